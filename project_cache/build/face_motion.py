"""Motion of face and body: motion energy and the components of motion of each camera but the eye's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from project_cache.analysis.motion import Motion, binned, motion_components
from project_cache.build.features import motion_svd_path, read_motion_svd
from project_cache.build.video import CAMERA_NAMES, frames, times_of
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from pynwb import TimeSeries

    from project_cache.raw.cameras import Camera
    from project_cache.raw.recording import RawRecording

__all__ = ["face_motion"]

#: components that are worked out from a video
_COMPONENTS = 100
#: pixels are averaged so that a frame's shorter side has about this many; facemap averages by 4 or so
_SHORTER_SIDE = 120
#: the first frame of a video holds no picture, but what the recording software says of itself
_FIRST_PICTURE = 1


def face_motion(raw: RawRecording, clock: Any) -> dict[str, Any]:
    """Return the motion in the videos of face and body.

    From facemap's output, where there is some; else from the video itself.

    Parameters
    ----------
    raw : RawRecording
        The recording.
    clock : SessionClock
        When frames were taken.

    Returns
    -------
    dict
        For each camera (``front_camera``, ``side_camera``, ``zoomed_side_camera``) the TimeSeries
        ``facemap_<camera>`` (frames by components). If worked out here also the TimeSeries
        ``motion_energy_<camera>`` (grey levels), and the DynamicTable ``facemap_<camera>_components`` with each
        component's ``mask`` and ``singular_value``.

    Raises
    ------
    ComponentUnavailable
        There is no such video, or none whose frames have times; or PyAV is not installed.
    """
    made: dict[str, Any] = {}
    reasons = []
    for camera in raw.cameras:
        if camera.label == "eye":
            continue
        try:
            made |= {each.name: each for each in _motion(raw, clock, camera)}
        except ComponentUnavailable as error:
            reasons.append(str(error))
    if not made:
        raise ComponentUnavailable(" ".join(reasons) or "There is no video of face or body.")
    return made


def _motion(raw: RawRecording, clock: Any, camera: Camera) -> list[Any]:
    name = CAMERA_NAMES[camera.label]
    times = times_of(clock, camera.label)
    timed = np.isfinite(times)
    path = motion_svd_path(raw, camera.label)
    if path is not None:
        scores = read_motion_svd(path, len(times))
        return [_series(name, scores[timed], times[timed], f"worked out before by facemap ({path.name})")]
    motion, size = _of_video(camera, len(times))
    _check(camera.path, len(motion.energy), len(times))
    # no motion is known of the first picture
    timed &= np.isfinite(motion.energy)
    if not timed.any():
        raise ComponentUnavailable(f"{camera.path} has too few frames to tell what moved.")
    how = (
        f"worked out from {camera.path.name} after the method of facemap: projections of the absolute difference "
        f"between successive frames, averaged over {size} x {size} pixels, onto its components"
    )
    from pynwb import TimeSeries

    energy = TimeSeries(
        name=f"motion_energy_{name}",
        data=motion.energy[timed],
        timestamps=times[timed],
        unit="grey levels",
        description=f"Mean absolute difference to the frame before, over all pixels of {camera.path.name} "
        f"(averaged over {size} x {size} pixels).",
    )
    if not len(motion.masks):
        return [energy]
    return [energy, _series(name, motion.scores[timed], energy, how), _components(name, motion, size)]


def _of_video(camera: Camera, n_frames: int) -> tuple[Motion, int]:
    """Return the motion in a camera's video, and over how many pixels a side frames were averaged."""
    size = 1
    count = 0

    def pictures() -> Any:
        nonlocal size, count
        count = 0
        for picture in frames(camera.path):
            size = max(1, round(min(picture.shape) / _SHORTER_SIDE))
            count += 1
            # what is more than there should be is counted, and refused once the number is known
            if count <= n_frames:
                yield binned(picture, size)

    motion = motion_components(pictures, n_frames, _COMPONENTS, first=_FIRST_PICTURE)
    _check(camera.path, count, n_frames)
    return motion, size


def _check(path: Any, found: int, expected: int) -> None:
    if found != expected:
        raise ComponentUnavailable(
            f"{path} has {found} frames, and the camera recorded {expected}: it is damaged, or another's."
        )


def _series(
    name: str, scores: NDArray[np.float32], timestamps: NDArray[np.float64] | TimeSeries, how: str
) -> TimeSeries:
    from pynwb import TimeSeries

    return TimeSeries(
        name=f"facemap_{name}",
        data=scores,
        timestamps=timestamps,
        unit="a.u.",
        description=f"Motion SVD of the {name.replace('_', ' ')}'s video (frames by components), {how}.",
    )


def _components(name: str, motion: Motion, size: int) -> Any:
    from hdmf.common import DynamicTable, VectorData

    return DynamicTable(
        name=f"facemap_{name}_components",
        description=f"The components of motion in the {name.replace('_', ' ')}'s video: a row for each column of "
        f"facemap_{name}.",
        id=np.arange(len(motion.masks)),
        columns=[
            VectorData(
                name="singular_value",
                description="how much of the motion it holds",
                data=motion.singular_values,
            ),
            VectorData(
                name="mask",
                description=f"weight of each square of {size} x {size} pixels, of shape (height, width)",
                data=motion.masks,
            ),
        ],
        colnames=["singular_value", "mask"],
    )
