"""When the frames of each video were exposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from project_cache.build.nwb_tables import events
from project_cache.errors import ComponentUnavailable, ProjectCacheError

if TYPE_CHECKING:
    from ndx_events import Events

    from project_cache.build.clock import SessionClock
    from project_cache.raw.recording import RawRecording

__all__ = ["VIEWS", "frame_times"]

#: what a camera is called where it looks at the subject, by the label that the rig gives it
VIEWS = {"behavior": "side", "face": "front", "eye": "eye", "nose": "zoomed_side"}


def frame_times(raw: RawRecording, clock: SessionClock) -> dict[str, Events]:
    """Return when each frame of each video was exposed, by ``"frame_times_<view>_camera"``.

    Times are those of all frames in the video's file, in their order: the one of the metadata frame with which
    each video begins, and of frames whose exposure was not recorded, is NaN.

    Raises
    ------
    ComponentUnavailable
        There is no video, or none whose frames can be placed in time; the text says why.
    """
    if raw.layout == "tables" or not raw.cameras:
        raise ComponentUnavailable(f"{raw.id} has no videos with their cameras' reports.")
    found: dict[str, Events] = {}
    problems = []
    for camera in raw.cameras:
        name = f"frame_times_{VIEWS[camera.label]}_camera"
        try:
            times = np.asarray(clock.camera(camera.label), np.float64)
        except ProjectCacheError as error:
            problems.append(f"{camera.label}: {error}")
            continue
        found[name] = events(
            name,
            f"start of the exposure of each frame in {camera.path.name}; NaN for the first, which holds metadata, and "
            "for frames whose exposure was not recorded",
            times,
        )
    if not found:
        raise ComponentUnavailable(f"No video of {raw.id} could be placed in time. {'; '.join(problems)}")
    return found
