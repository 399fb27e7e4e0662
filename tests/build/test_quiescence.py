"""Licks in the quiescent interval."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.build.quiescence import quiescent_interval_violations
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

SESSION = "data/dynamic_routing/raw_session"
FOLDER = "DRpilot_712345_20231114"
TASK = "DynamicRouting1_712345_20231114_123602.hdf5"


@pytest.mark.parametrize("sync", [True, False])
def test_violations_of_a_simulated_session(shared: Path, tmp_path: Path, sync: bool) -> None:
    folder = shared / SESSION / FOLDER
    if not sync:
        folder = tmp_path / FOLDER
        folder.mkdir()
        (folder / TASK).symlink_to(shared / SESSION / FOLDER / TASK)
    raw = RawRecording(folder)
    made = quiescent_interval_violations(raw, SessionClock(raw, Options()))
    with np.load(shared / SESSION / "truth/times.npz") as truth:
        wanted = truth["quiescent_violation_times" if sync else "nosync_quiescent_violations"]
    np.testing.assert_allclose(made.timestamps, wanted, rtol=0, atol=1e-5 if sync else 1e-9)


def test_a_subject_that_kept_still(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    with h5py.File(folder / TASK, "w") as file:
        file["frameIntervals"] = np.full(10, 0.016)
        file["quiescentViolationFrames"] = np.zeros(0)
    raw = RawRecording(folder)
    with pytest.raises(ComponentUnavailable, match="no violations"):
        quiescent_interval_violations(raw, SessionClock(raw, Options()))
