"""Pictures of each probe's spikes by depth and time, in which a moving brain is seen at a glance."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from project_cache.build.probes import group_name
from project_cache.build.spike_histograms import spikes_by_probe
from project_cache.errors import ComponentUnavailable, CorruptObjectError

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.base import Images
    from pynwb.misc import Units

    from project_cache.raw.places import AnyPath
    from project_cache.raw.recording import RawRecording

__all__ = ["drift_maps", "spike_map"]

_log = logging.getLogger("project_cache")

#: µm and seconds of a pixel of a map that is drawn here
DEPTH_BIN = 20.0
TIME_BIN = 5.0


def spike_map(spikes: list[npt.NDArray[np.float64]], depths: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return how often units fired by depth and time, as a picture: the tip below, time from left to right.

    Parameters
    ----------
    spikes : list of array
        Times of the spikes of each unit, ascending, in seconds.
    depths : array-like, shape (units,)
        Of each unit along the probe, in µm from the tip up.

    Returns
    -------
    numpy.ndarray of float32, shape (depths, times)
        Spikes/s in pixels of 20 µm and 5 s. The last row begins at 0 µm, the first column at the first spike's
        whole second.
    """
    there = [
        (times, depth)
        for times, depth in zip(spikes, np.asarray(depths, dtype=float), strict=True)
        if len(times)
    ]
    if not there:
        return np.zeros((1, 1), dtype=np.float32)
    first = np.floor(min(times[0] for times, _ in there))
    n_times = int((max(times[-1] for times, _ in there) - first) // TIME_BIN) + 1
    rows = [int(max(np.nan_to_num(depth), 0.0) // DEPTH_BIN) for _, depth in there]
    drawn = np.zeros((max(rows) + 1, n_times), dtype=np.float32)
    for (times, _), row in zip(there, rows, strict=True):
        drawn[row] += np.bincount(((times - first) // TIME_BIN).astype(np.int64), minlength=n_times)
    return np.ascontiguousarray(drawn[::-1]) / np.float32(TIME_BIN)


def drift_maps(raw: RawRecording, units: Units, electrodes: DynamicTable) -> Images:
    """Return ``drift_maps``: the sorting pipeline's pictures of each probe or, where it left none, our own.

    Parameters
    ----------
    raw : RawRecording
        With its sorted output.
    units, electrodes
        For what is drawn here: the units' spikes, and where their peak channels are.

    Raises
    ------
    ComponentUnavailable
        There are no units.
    """
    from pynwb.base import Images
    from pynwb.image import GrayscaleImage

    depths = np.asarray(electrodes["rel_y"].data[:], dtype=np.float64)
    peaks = np.asarray(units["peak_electrode"].data[:], dtype=np.int64)
    images: list[Any] = []
    for name, rows, spikes in spikes_by_probe(units):
        found = _pictures(raw, name)
        if found:
            images += found
            continue
        images.append(
            GrayscaleImage(
                name=name,
                description=f"Spikes/s of all sorted units of {name} by depth (rows, {DEPTH_BIN:g} um each, the last "
                f"one at the tip) and time (columns, {TIME_BIN:g} s each, from the first spike on). A unit's depth is "
                "that of its peak channel.",
                data=spike_map(spikes, depths[peaks[rows]]),
            )
        )
    if not images:
        raise ComponentUnavailable(f"{raw.root} has no units: there is nothing to draw a drift map of.")
    return Images(
        name="drift_maps",
        description="Spikes of each probe by depth and time: what drifts moves up or down.",
        images=images,
    )


def _pictures(raw: RawRecording, name: str) -> list[Any]:
    """Return the pictures that the sorting pipeline left of a probe; none, where they cannot be read."""
    if raw.sorted is None:
        return []
    letter = name.removeprefix(group_name(""))
    paths = raw.sorted.drift_map_paths(letter)
    names = [name] if len(paths) == 1 else [f"{name}_{path.stem.replace(':', '_')}" for path in paths]
    try:
        return [_picture(path, each) for path, each in zip(paths, names, strict=True)]
    except ImportError:
        _log.warning(
            "The drift maps of %s are drawn anew: Pillow, which reads pictures, is not installed.", name
        )
    except CorruptObjectError as error:
        _log.warning("The drift maps of %s are drawn anew: %s", name, error)
    return []


def _picture(path: AnyPath, name: str) -> Any:
    """Return a PNG as the kind of NWB image that it is."""
    import io

    from PIL import Image, UnidentifiedImageError
    from pynwb.image import GrayscaleImage, RGBAImage, RGBImage

    kinds = {"L": GrayscaleImage, "RGB": RGBImage, "RGBA": RGBAImage}
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as opened:
            picture = opened if opened.mode in kinds else opened.convert("RGBA")
            data = np.asarray(picture)
            kind = kinds[picture.mode]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptObjectError(f"{path} is no picture that can be read ({error}).") from error
    return kind(name=name, description=f"Drift map by the sorting pipeline: {path.name}.", data=data)
