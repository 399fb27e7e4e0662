"""A session in pynapple's types: the same numbers, with what is known of each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.errors import DependencyError
from project_cache.sessions.base import Session
from project_cache.sessions.ecephys import EcephysSession

Write = Callable[..., Path]


def write_intervals(file: h5py.File, name: str, **columns: Any) -> None:
    group = file.create_group(f"intervals/{name}")
    group.attrs.update({"neurodata_type": "TimeIntervals", "namespace": "core"})
    group.attrs["colnames"] = np.array(list(columns), dtype=h5py.string_dtype())
    for column, values in columns.items():
        group[column] = values
    group["id"] = np.arange(len(columns["start_time"]))


@pytest.fixture
def nap() -> Any:
    return pytest.importorskip("pynapple", reason="pynapple is not installed (the extra `pynapple`)")


def test_units_are_spike_trains_with_their_columns(nap: Any, recording: Write) -> None:
    session = EcephysSession(recording(), filter_by_validity=False, presence_ratio_minimum=None)
    units = session.to_pynapple().units
    assert isinstance(units, nap.TsGroup)
    assert sorted(units.keys()) == sorted(session.units.index)
    for unit, times in session.spike_times.items():
        np.testing.assert_allclose(units[unit].t, times, atol=1e-9)
    table = session.units.sort_index()
    assert units["structure_acronym"].tolist() == table["structure_acronym"].tolist()
    assert units["probe_description"].tolist() == table["probe_description"].tolist()
    np.testing.assert_array_equal(units["peak_channel_id"], table["peak_channel_id"])
    np.testing.assert_array_equal(units["firing_rate"], table["firing_rate"])


def test_a_group_lasts_as_long_as_the_recording(nap: Any, recording: Write) -> None:
    session = EcephysSession(recording(), filter_out_of_brain_units=False, filter_by_validity=False)
    units = session.to_pynapple().units
    first = min(t[0] for t in session.spike_times.values() if len(t))
    last = max(t[-1] for t in session.spike_times.values() if len(t))
    shown = session.stimulus_presentations
    assert units.time_support.start[0] == min(
        first, shown["start_time"].min(), session.running_speed["start_time"].min()
    )
    assert units.time_support.end[0] == max(
        last, shown["stop_time"].max(), session.running_speed["end_time"].max()
    )


def test_a_unit_that_never_fires_is_there(nap: Any, recording: Write) -> None:
    session = EcephysSession(
        recording(),
        filter_by_validity=False,
        filter_out_of_brain_units=False,
        amplitude_cutoff_maximum=None,
        presence_ratio_minimum=None,
        isi_violations_maximum=None,
    )
    silent = [unit for unit, times in session.spike_times.items() if not len(times)]
    assert silent
    units = session.to_pynapple().units
    assert len(units[silent[0]]) == 0


def test_presentations_by_stimulus(nap: Any, recording: Write) -> None:
    session = EcephysSession(recording())
    shown = session.stimulus_presentations
    presentations = session.to_pynapple().presentations
    assert list(presentations) == session.stimulus_names
    flashes = presentations["flashes"]
    assert isinstance(flashes, nap.IntervalSet)
    table = shown[shown["stimulus_name"] == "flashes"]
    np.testing.assert_array_equal(flashes.start, table["start_time"])
    np.testing.assert_array_equal(flashes.end, table["stop_time"])
    assert flashes["color"].tolist() == table["color"].tolist()
    assert flashes["stimulus_presentation_id"].tolist() == table.index.tolist()
    assert flashes["stimulus_condition_id"].tolist() == table["stimulus_condition_id"].tolist()
    # what flashes do not have
    assert "frame" not in flashes.metadata_columns


def test_frames_that_touch_are_kept_apart_and_known(nap: Any, recording: Write) -> None:
    session = EcephysSession(recording())
    movie = session.to_pynapple().presentations["natural_movie_three"]
    assert movie.start.tolist() == [10.0, 11.0, 12.0]
    np.testing.assert_allclose(movie.end, [11.0 - 1e-6, 12.0 - 1e-6, 13.0], atol=1e-10)
    assert movie["frame"].tolist() == [0, 1, 2]


def test_epochs_and_running(nap: Any, recording: Write) -> None:
    session = EcephysSession(recording())
    made = session.to_pynapple()
    assert made.epochs["stimulus_name"].tolist() == ["spontaneous", "flashes", "natural_movie_three"]
    np.testing.assert_allclose(made.epochs.start, [0.0, 2.0, 10.0])
    np.testing.assert_allclose(made.epochs.end, [1.5, 4.25, 13.0])
    running = session.running_speed
    assert isinstance(made.running_speed, nap.Tsd)
    np.testing.assert_allclose(made.running_speed.t, (running["start_time"] + running["end_time"]) / 2)
    np.testing.assert_array_equal(made.running_speed.d, running["velocity"])
    assert made.trials is None
    assert made.invalid_times is None


def test_invalid_times_are_joined(nap: Any, recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        write_intervals(
            file,
            "invalid_times",
            start_time=[100.0, 101.0, 50.0, 100.0],
            stop_time=[110.0, 102.0, 51.0, 111.0],
        )
    invalid = EcephysSession(path).to_pynapple().invalid_times
    assert invalid.start.tolist() == [50.0, 100.0]
    assert invalid.end.tolist() == [51.0, 111.0]


def test_any_file_gives_what_it_has(nap: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        write_intervals(
            file,
            "trials",
            start_time=[0.0, 1.0, 3.0],
            stop_time=[1.0, 2.0, np.nan],
            correct=np.array([True, False, True]),
        )
    made = Session(path).to_pynapple()
    assert made.trials.start.tolist() == [0.0, 1.0]
    assert made.trials["correct"].tolist() == [True, False]
    assert made.units is None
    assert made.epochs is None
    assert made.running_speed is None
    assert made.presentations == {}


def test_it_shows_itself_in_short(nap: Any, recording: Write) -> None:
    made = EcephysSession(recording(), filter_by_validity=False).to_pynapple()
    lines = repr(made).splitlines()
    assert lines[0] == "<PynappleData>"
    assert f"TsGroup of {len(made.units)}" in lines[1]
    text = " ".join(repr(made).split())
    assert "trials none in this recording" in text
    assert "presentations['flashes'] IntervalSet of 3" in text
    assert len(lines) == 9


def test_pynapple_can_work_with_it(nap: Any, recording: Write) -> None:
    session = EcephysSession(recording(), filter_by_validity=False)
    made = session.to_pynapple()
    in_flashes = made.units.restrict(made.presentations["flashes"])
    for unit, times in session.spike_times.items():
        inside = [t for t in times if any(a <= t <= a + 0.25 for a in (2.0, 3.0, 4.0))]
        np.testing.assert_allclose(in_flashes[unit].t, inside, atol=1e-9)
    by_area = made.units.getby_category("structure_acronym")
    assert set(by_area) == set(session.units["structure_acronym"])
    assert isinstance(made.units.metadata, pd.DataFrame)


def test_without_pynapple_it_says_what_to_install(recording: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynapple", None)
    with pytest.raises(DependencyError, match=r"pip install 'project-cache\[pynapple\]'"):
        EcephysSession(recording()).to_pynapple()
