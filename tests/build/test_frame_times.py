"""When the frames of videos were exposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.frame_times import frame_times
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

SESSION = "data/dynamic_routing/raw_session"


def test_the_frames_of_a_simulated_session(shared: Path) -> None:
    raw = RawRecording(shared / SESSION / "DRpilot_712345_20231114")
    made = frame_times(raw, SessionClock(raw, Options()))
    assert set(made) == {f"frame_times_{view}_camera" for view in ("side", "front", "eye")}
    with np.load(shared / SESSION / "truth/times.npz") as truth:
        for view, label in (("side", "Behavior"), ("front", "Face"), ("eye", "Eye")):
            times = made[f"frame_times_{view}_camera"].timestamps
            np.testing.assert_allclose(times, truth[f"camera/{label}"], rtol=0, atol=1e-5)


def test_a_session_without_videos(shared: Path) -> None:
    raw = RawRecording(shared / "data/dynamic_routing/trial_tables/DRpilot_626791_20220815")
    with pytest.raises(ComponentUnavailable, match="no videos"):
        frame_times(raw, SessionClock(raw, Options()))
