"""Licks, from the sensor's line and from the script's frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.licks import (
    lick_sensor_falling_edges,
    lick_sensor_rising_edges,
    lick_table,
    licks,
    licks_details,
)
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

DATA = "data/dynamic_routing"
SESSION = f"{DATA}/raw_session"
FOLDER = "DRpilot_712345_20231114"
TASK = "DynamicRouting1_712345_20231114_123602.hdf5"


def alone(task: Path, tmp_path: Path) -> RawRecording:
    folder = tmp_path / ("DRpilot_" + "_".join(task.name.split("_")[1:3]))
    folder.mkdir()
    (folder / task.name).symlink_to(task)
    return RawRecording(folder)


def test_licks_of_the_sensor(shared: Path) -> None:
    raw = RawRecording(shared / SESSION / FOLDER)
    table = lick_table(raw, SessionClock(raw, Options()))
    with np.load(shared / SESSION / "truth/times.npz") as truth:
        on, off = truth["lick_on"], truth["lick_off"]
    np.testing.assert_allclose(table["timestamps"], on, rtol=0, atol=1e-5)
    np.testing.assert_allclose(table["duration"], off - on, rtol=0, atol=1e-5)
    assert (~table["is_likely_lick"]).sum() == 1
    assert table["duration"][~table["is_likely_lick"]].item() == pytest.approx(0.8, abs=1e-4)
    np.testing.assert_array_equal(licks(table).timestamps, table["timestamps"])
    np.testing.assert_array_equal(lick_sensor_rising_edges(raw).timestamps, table["timestamps"])
    np.testing.assert_allclose(lick_sensor_falling_edges(raw).timestamps, off, rtol=0, atol=1e-5)
    assert len(licks_details(table)) == len(on)


def test_licks_of_a_session_without_sync(shared: Path, tmp_path: Path) -> None:
    raw = alone(shared / SESSION / FOLDER / TASK, tmp_path)
    table = lick_table(raw, SessionClock(raw, Options()))
    with np.load(shared / SESSION / "truth/times.npz") as truth:
        np.testing.assert_allclose(table["timestamps"], truth["nosync_licks"], rtol=0, atol=1e-9)
    with pytest.raises(ComponentUnavailable, match="not recorded"):
        licks_details(table)
    with pytest.raises(ComponentUnavailable, match="no sync file"):
        lick_sensor_rising_edges(raw)


def test_a_lick_is_counted_once_where_each_frame_of_it_is_listed(shared: Path, tmp_path: Path) -> None:
    task = shared / DATA / "raw_behavior_674721_20230710/DynamicRouting1_674721_20230710_084322.hdf5"
    raw = alone(task, tmp_path)
    assert raw.task is not None
    assert len(raw.task["lickFrames"]) == 6911
    assert len(lick_table(raw, SessionClock(raw, Options()))) == 1921
