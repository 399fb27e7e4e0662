"""The eye: its ellipses frame by frame, the pupil's size, and where it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.blinks import likely_blinks
from project_cache.analysis.pupil import find_pupil, find_reflection, pupil_level
from project_cache.build.features import ellipses_path, read_ellipses
from project_cache.build.nwb_tables import dynamic_table
from project_cache.build.video import camera_of, frames, sample, times_of
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.behavior import EyeTracking, PupilTracking

    from project_cache.raw.places import AnyPath
    from project_cache.raw.recording import RawRecording

__all__ = ["ellipses_of_video", "eye_ellipses", "eye_tracking", "gaze", "pupil"]

#: a fit of which less of the outline was seen is a guess
_LEAST_LIKELIHOOD = 0.5
#: the first frame of a video holds no picture, but what the recording software says of itself
_FIRST_PICTURE = 1
#: frames from which it is told how dark the pupil is
_SAMPLE = 24
#: the share of frames with a corneal reflection from which on gaze is counted from it
_OFTEN = 0.5

_TEXTS = {
    "timestamps": "when the frame was taken (s)",
    "frame_index": "the frame's number in the video, from 0",
    "likely_blink": "whether a fit is missing, or an area is more than three standard deviations from its mean, "
    "within two frames",
    "pupil_area": "area of the pupil's ellipse (pixels²)",
    "pupil_likelihood": "share of the ellipse's outline along which the pupil's edge was found (0 to 1)",
}
_PARTS = {"cr": "corneal reflection", "eye": "eye", "pupil": "pupil"}
_MEASURES = {
    "center_x": "x of the centre (pixels, from the left)",
    "center_y": "y of the centre (pixels, from the top)",
    "width": "one half-axis (pixels)",
    "height": "the other half-axis (pixels)",
    "phi": "angle of the width's axis to the x axis (rad)",
}


def eye_ellipses(raw: RawRecording, clock: Any) -> pd.DataFrame:
    """Return the ellipses fitted to the eye, one row for each frame of the eye's video that has a time.

    From the file of an earlier fit, where there is one; else from the video itself.

    Parameters
    ----------
    raw : RawRecording
        The recording.
    clock : SessionClock
        When frames were taken.

    Returns
    -------
    pandas.DataFrame
        ``timestamps`` (s), ``frame_index``, ``likely_blink``, and for each of ``pupil``, ``eye`` and ``cr`` that
        was fitted ``…_center_x``, ``…_center_y``, ``…_width``, ``…_height`` (pixels; half-axes) and ``…_phi``
        (rad), ``pupil_area`` (pixels²). What they are from is in ``.attrs["source"]``.

    Raises
    ------
    ComponentUnavailable
        There is neither a file nor a video; the times of its frames are not known; the file has not as many rows
        as the video has frames; no pupil is to be seen in the video; or PyAV is not installed.
    """
    path = ellipses_path(raw)
    if path is not None:
        times = times_of(clock, "eye")
        fits = read_ellipses(path)
        source = f"fitted before ({path.name})"
    else:
        camera = camera_of(raw, "eye")
        times = times_of(clock, "eye")
        fits = ellipses_of_video(camera.path)
        source = f"fitted to the dark pupil in {camera.path.name}"
        path = camera.path
    if len(fits) != len(times):
        raise ComponentUnavailable(
            f"{path} has {len(fits)} frames, and the eye camera recorded {len(times)}: it is damaged, or another's."
        )
    pupil_area = np.pi * fits["pupil_width"].to_numpy() * fits["pupil_height"].to_numpy()
    if not np.isfinite(pupil_area).any():
        raise ComponentUnavailable(f"No pupil is to be seen in any frame of {path}.")
    eye_area = (
        np.pi * fits["eye_width"].to_numpy() * fits["eye_height"].to_numpy()
        if "eye_width" in fits
        else pupil_area
    )
    timed = np.isfinite(times)
    # a frame without a time is no frame of the session: neither a blink nor part of the mean
    blinks = np.zeros(len(times), dtype=bool)
    blinks[timed] = likely_blinks(eye_area[timed], pupil_area[timed])
    found = pd.DataFrame(
        {
            "timestamps": times,
            "frame_index": np.arange(len(times)),
            "likely_blink": blinks,
            "pupil_area": pupil_area,
        }
    )
    found = pd.concat([found, fits], axis=1)[timed].reset_index(drop=True)
    found.attrs["source"] = source
    return found


def ellipses_of_video(path: AnyPath) -> pd.DataFrame:
    """Return the ellipses of the pupil and the corneal reflection in a video, one row for each frame.

    Parameters
    ----------
    path : Path or RemotePath
        The eye camera's video, in which the pupil is darker than what is around it.

    Returns
    -------
    pandas.DataFrame
        ``pupil_…`` and ``cr_…`` as of :func:`project_cache.build.features.read_ellipses`, and
        ``pupil_likelihood``. NaN where there is no pupil (a blink), or so little of it that it would be a guess.

    Raises
    ------
    ComponentUnavailable
        No pupil is to be seen in a sample of the frames; or PyAV is not installed.

    Notes
    -----
    See :func:`project_cache.analysis.pupil.find_pupil`. The grey level that divides pupil and eye is one for the
    whole video, from a sample of its frames.
    """
    level = pupil_level(sample(path, _SAMPLE))
    if level < 0:
        raise ComponentUnavailable(f"No pupil is to be seen in any of {_SAMPLE} frames from all of {path}.")
    names = [f"{part}_{name}" for part in ("pupil", "cr") for name in _MEASURES]
    rows: list[tuple[float, ...]] = []
    nothing = (np.nan,) * len(_MEASURES)
    for number, picture in enumerate(frames(path)):
        fit = find_pupil(picture, level) if number >= _FIRST_PICTURE else None
        if fit is None or fit.likelihood < _LEAST_LIKELIHOOD:
            rows.append((*nothing, *nothing, 0.0 if fit is None else fit.likelihood))
            continue
        reflection = find_reflection(picture, fit.ellipse)
        ellipses = [
            nothing if each is None else (each.center_x, each.center_y, each.width, each.height, each.phi)
            for each in (fit.ellipse, reflection)
        ]
        rows.append((*ellipses[0], *ellipses[1], fit.likelihood))
    return pd.DataFrame(rows, columns=[*names, "pupil_likelihood"], dtype=float)


def eye_tracking(eye_ellipses: pd.DataFrame) -> DynamicTable:
    """Return the table ``eye_tracking``: the ellipses of each frame of the eye's video.

    Parameters
    ----------
    eye_ellipses : pandas.DataFrame
        As of :func:`eye_ellipses`.
    """
    texts = dict(_TEXTS)
    for part, what in _PARTS.items():
        texts |= {f"{part}_{name}": f"{what}: {text}" for name, text in _MEASURES.items()}
    return dynamic_table(
        "eye_tracking",
        f"Ellipses of the eye in each frame of its video, {eye_ellipses.attrs['source']}. NaN where there is none.",
        eye_ellipses,
        texts,
    )


def pupil(eye_ellipses: pd.DataFrame) -> PupilTracking:
    """Return the pupil's area and diameter in each frame, without blinks (NaN).

    Parameters
    ----------
    eye_ellipses : pandas.DataFrame
        As of :func:`eye_ellipses`.

    Notes
    -----
    The diameter is that of the ellipse's larger axis: turning away from the camera makes the other one shorter.
    """
    from pynwb import TimeSeries
    from pynwb.behavior import PupilTracking

    times, source = eye_ellipses["timestamps"].to_numpy(), eye_ellipses.attrs["source"]
    larger = np.fmax(eye_ellipses["pupil_width"].to_numpy(), eye_ellipses["pupil_height"].to_numpy())
    area = TimeSeries(
        name="pupil_area",
        data=_seen(eye_ellipses, eye_ellipses["pupil_area"].to_numpy()),
        timestamps=times,
        unit="pixels^2",
        description=f"Area of the pupil's ellipse, {source}; NaN in blinks.",
    )
    diameter = TimeSeries(
        name="pupil_diameter",
        data=_seen(eye_ellipses, 2 * larger),
        timestamps=area,
        unit="pixels",
        description=f"Larger axis of the pupil's ellipse, {source}; NaN in blinks.",
    )
    return PupilTracking(name="pupil", time_series=[area, diameter])


def gaze(eye_ellipses: pd.DataFrame) -> EyeTracking:
    """Return where the pupil is in each frame, in the picture and against the corneal reflection; NaN in blinks.

    Parameters
    ----------
    eye_ellipses : pandas.DataFrame
        As of :func:`eye_ellipses`.

    Notes
    -----
    Against the corneal reflection, which moves with the head and hardly with the eye, where it is seen in most
    frames; else against the pupil's median position. Pixels do not become degrees without the rig's geometry
    and the size of the eye, which raw recordings do not tell.
    """
    from pynwb.behavior import EyeTracking, SpatialSeries

    times, source = eye_ellipses["timestamps"].to_numpy(), eye_ellipses.attrs["source"]
    center = eye_ellipses[["pupil_center_x", "pupil_center_y"]].to_numpy(dtype=float)
    position = SpatialSeries(
        name="pupil_position",
        data=_seen(eye_ellipses, center),
        timestamps=times,
        unit="pixels",
        reference_frame="The video: x from its left, y from its top.",
        description=f"Centre of the pupil's ellipse, {source}; NaN in blinks.",
    )
    origin, against = np.nanmedian(center, axis=0), "the median position of the pupil"
    if "cr_center_x" in eye_ellipses:
        reflection = eye_ellipses[["cr_center_x", "cr_center_y"]].to_numpy(dtype=float)
        if np.isfinite(reflection[:, 0])[np.isfinite(center[:, 0])].mean() >= _OFTEN:
            origin, against = reflection, "the corneal reflection"
    # up is where the eye looks up, though pixels are counted downwards
    direction = (center - origin) * np.array([1.0, -1.0])
    looking = SpatialSeries(
        name="gaze",
        data=_seen(eye_ellipses, direction),
        timestamps=position,
        unit="pixels",
        reference_frame=f"Right and up in the video, from {against}.",
        description=f"Direction of gaze: the pupil's centre, from {against}, {source}; NaN in blinks.",
    )
    return EyeTracking(name="gaze", spatial_series=[position, looking])


def _seen(eye_ellipses: pd.DataFrame, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with NaN in blinks."""
    values = values.copy()
    values[eye_ellipses["likely_blink"].to_numpy()] = np.nan
    return values
