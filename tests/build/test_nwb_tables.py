"""Frames as tables of an NWB file: each column comes back as it went in."""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pynwb import NWBHDF5IO, NWBFile

from project_cache.build.nwb_tables import dynamic_table, events, time_intervals, without_empty_columns
from project_cache.errors import DependencyError

FRAME = pd.DataFrame(
    {
        "start_time": [1.0, 2.0],
        "is_hit": [True, False],
        "stop_time": [1.5, 2.5],
        "n_trials": [3, 4],
        "stim_name": ["vis1", None],
        "phase": [np.nan, np.nan],
        "rate": [0.5, np.nan],
        "tags": [["task", "rewards"], []],
        "nothing": [[], []],
    }
)


def read_back(path: Path) -> NWBHDF5IO:
    nwb = NWBFile("a session", "an id", datetime(2023, 11, 14, tzinfo=UTC))
    nwb.add_time_intervals(time_intervals("trials", "the trials", FRAME, {"is_hit": "a response"}))
    nwb.add_acquisition(events("licks", "the licks", [0.5, 1.25]))
    nwb.add_acquisition(dynamic_table("licks_details", "row by row", FRAME[["rate", "n_trials"]]))
    with NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    return NWBHDF5IO(path, "r")


def test_a_table_comes_back_with_its_kinds_of_columns(tmp_path: Path) -> None:
    with read_back(tmp_path / "a.nwb") as io:
        nwb = io.read()
        table = nwb.intervals["trials"]
        assert table.colnames == (
            "start_time",
            "stop_time",
            "is_hit",
            "n_trials",
            "stim_name",
            "rate",
            "tags",
        )
        assert table["is_hit"].description == "a response"
        frame = table.to_dataframe()
        assert frame["is_hit"].tolist() == [True, False]
        assert frame["is_hit"].dtype == bool
        assert np.issubdtype(frame["n_trials"].dtype, np.integer)
        assert frame["stim_name"].tolist() == ["vis1", ""]
        assert [list(cell) for cell in frame["tags"]] == [["task", "rewards"], []]
        assert nwb.acquisition["licks"].timestamps[:].tolist() == [0.5, 1.25]
        details = nwb.acquisition["licks_details"].to_dataframe()
        assert details["n_trials"].tolist() == [3, 4]


def test_columns_of_floats_without_a_value_are_left_out() -> None:
    assert "phase" not in without_empty_columns(FRAME)
    assert list(without_empty_columns(FRAME[["rate", "is_hit"]])) == ["rate", "is_hit"]


def test_a_later_ndx_events_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.4.0")
    with pytest.raises(DependencyError, match=r"ndx-events>=0\.2\.2,<0\.3"):
        events("licks", "the licks", [1.0])
