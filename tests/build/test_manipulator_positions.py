"""Where the manipulators stood when the recording began."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.manipulator_positions import last_positions, manipulator_positions
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

START = datetime(2023, 11, 14, 12, 33, 45)


def log(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["time", "device_name", "z"])
    frame["time"] = pd.to_datetime("2023-11-14 " + frame["time"])
    return frame.assign(x=7520.0, y=7505.0).sort_values("time", ignore_index=True)


def test_the_last_move_before_the_recording_counts() -> None:
    moves = log(
        ("12:00:00", "SN40906", 0.0),
        ("12:33:40", "SN40906", 2850.0),
        ("13:10:00", "SN40906", 0.0),
        ("13:10:00", "SN40908", 0.0),
    )
    (row,) = last_positions(moves, START).to_dict("records")
    assert row == {
        "device_name": "SN40906",
        "x": 7520.0,
        "y": 7505.0,
        "z": 2850.0,
        "last_movement_time": -5.0,
    }


def test_a_manipulator_that_was_parked_at_the_far_end_is_turned_over() -> None:
    moves = log(
        ("11:00:00", "SN1", 15000.0),
        ("11:01:00", "SN1", 14998.0),
        ("12:00:00", "SN1", 12000.0),
        ("11:00:00", "SN2", 6000.0),
        ("12:00:00", "SN2", 5000.0),
        ("11:00:00", "SN3", 0.0),
        ("11:01:00", "SN3", 6000.0),
        ("12:00:00", "SN3", 5000.0),
    )
    assert last_positions(moves, START)["z"].tolist() == [3000.0, 1000.0, 5000.0]


def test_each_is_named_with_the_probe_that_it_held(small: Callable[..., Any]) -> None:
    moves = log(("12:00:00", "SN40906", 10.0), ("12:00:00", "SN40907", 10.0), ("12:00:00", "SN777", 10.0))
    made = small(manipulators=moves)
    table = manipulator_positions(made.raw, made.clock, made.options).to_dataframe()
    # probe C is not used
    assert table["device_name"].tolist() == ["SN40906", "SN777"]
    assert table["electrode_group_name"].tolist() == ["probeA", ""]
    told = Options(given={"manipulators": {"SN777": "B"}})
    table = manipulator_positions(made.raw, made.clock, told).to_dataframe()
    assert table["electrode_group_name"].tolist() == ["probeA", "probeB"]


def test_without_a_log_there_is_none(small: Callable[..., Any]) -> None:
    made = small()
    with pytest.raises(ComponentUnavailable, match="no log of manipulators"):
        manipulator_positions(made.raw, made.clock, made.options)
    late = small(manipulators=log(("13:00:00", "SN40906", 10.0)))
    with pytest.raises(ComponentUnavailable, match="no position before"):
        manipulator_positions(late.raw, late.clock, late.options)


def test_a_file_with_it_is_valid(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    import pynwb

    made = small(manipulators=log(("12:00:00", "SN40906", 10.0)))
    table = manipulator_positions(made.raw, made.clock, made.options)
    with pynwb.NWBHDF5IO(str(tmp_path / "one.nwb"), "w") as io:
        io.write(nwb_file(made, acquisition=[table]))
    assert faults(tmp_path / "one.nwb") == []


def test_positions_of_a_simulated_session_are_the_true_ones(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session"
    truth = json.loads((folder / "truth/session.json").read_text())["manipulators"]
    raw, options = RawRecording(folder / "DRpilot_712345_20231114"), Options()
    table = manipulator_positions(raw, SessionClock(raw, options), options).to_dataframe()
    assert table["electrode_group_name"].tolist() == list(truth)
    for _, row in table.iterrows():
        expected = truth[row["electrode_group_name"]]
        assert row["device_name"] == expected["device_name"]
        assert row[["x", "y", "z"]].tolist() == [expected["x"], expected["y"], expected["z"]]
        assert row["last_movement_time"] == pytest.approx(expected["last_movement_time"], abs=1.0)
