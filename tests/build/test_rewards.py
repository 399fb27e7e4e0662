"""Deliveries of water, by the script's frames and by the solenoid's line."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.build.rewards import reward_table, rewards, rewards_details
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

SESSION = "data/dynamic_routing/raw_session"
FOLDER = "DRpilot_712345_20231114"
TASK = "DynamicRouting1_712345_20231114_123602.hdf5"


def clock_of(raw: RawRecording) -> SessionClock:
    return SessionClock(raw, Options())


def test_rewards_of_the_script(shared: Path) -> None:
    raw = RawRecording(shared / SESSION / FOLDER)
    table = reward_table(raw, clock_of(raw))
    with np.load(shared / SESSION / "truth/times.npz") as truth:
        np.testing.assert_allclose(table["timestamps"], truth["reward_script_times"], rtol=0, atol=1e-5)
    assert not table["is_solenoid_time"].any()
    assert table["is_manual"].sum() == 2
    np.testing.assert_array_equal(rewards(table).timestamps, table["timestamps"])
    assert rewards_details(table).colnames == ("timestamps", "is_solenoid_time", "is_manual")


def test_a_reward_by_hand_is_one_reward(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / TASK).symlink_to(shared / SESSION / FOLDER / TASK)
    raw = RawRecording(folder)
    table = reward_table(raw, clock_of(raw))
    with np.load(shared / SESSION / "truth/times.npz") as truth:
        listed = truth["nosync_rewards"]
    # the file lists those by hand twice
    assert len(listed) == len(table) + 2
    np.testing.assert_allclose(table["timestamps"], np.unique(listed), rtol=0, atol=1e-9)


def write_solenoid(folder: Path) -> None:
    """A sync file in which the solenoid (line 15) opens at 1 s and 2.5 s for 50 and 60 ms, at 100 kHz."""
    folder.mkdir()
    ticks = [0, 100_000, 105_000, 250_000, 256_000, 400_000]
    state = [0, 1 << 15, 0, 1 << 15, 0, 0]
    meta = {
        "ni_daq": {"counter_output_freq": 100_000.0, "counter_bits": 32, "event_bits": 32},
        "start_time": "2024-05-01 12:00:00.000000",
        "stop_time": "2024-05-01 12:00:04.000000",
        "line_labels": [""] * 32,
        "total_samples": 400_000,
    }
    with h5py.File(folder / "20240501T120000.h5", "w") as file:
        file["data"] = np.array([ticks, state], np.uint32).T
        file["meta"] = str(meta).encode()


def test_rewards_of_the_solenoid(tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_712345_20240501"
    write_solenoid(folder)
    raw = RawRecording(folder)
    table = reward_table(raw, clock_of(raw))
    np.testing.assert_allclose(table["timestamps"], [1.0, 2.5])
    np.testing.assert_allclose(table["duration"], [0.05, 0.06])
    assert table["is_solenoid_time"].all()
    assert not table["is_manual"].any()


def test_a_session_without_rewards(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    with h5py.File(folder / TASK, "w") as file:
        file["frameIntervals"] = np.full(10, 0.016)
        file["rewardFrames"] = np.zeros(0)
        file["startTime"] = "20231114_123602"
    raw = RawRecording(folder)
    with pytest.raises(ComponentUnavailable, match="No reward"):
        rewards(reward_table(raw, clock_of(raw)))
    stored = RawRecording(shared / "data/dynamic_routing/trial_tables/DRpilot_626791_20220815")
    with pytest.raises(ComponentUnavailable, match="tables only"):
        reward_table(stored, clock_of(stored))
