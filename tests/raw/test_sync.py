"""Sync files: edges by line, counters that go round, labels, and files that are damaged."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError, ProjectCacheError
from project_cache.raw.sync import SyncFile

META: dict[str, Any] = {
    "ni_daq": {"device": "Dev1", "counter_output_freq": 100000.0, "counter_bits": 32, "event_bits": 32},
    "start_time": "2023-11-14 12:33:31.324839",
    "stop_time": "2023-11-14 12:33:41.324839",
    "line_labels": ["barcode_ephys", "", "vsync_stim", *[""] * 28, "lick_sensor"],
    "total_samples": 1_000_000,
}
# a row for each change: counter, state of all lines
ROWS = [
    (31, 0),
    (100, 1 << 2),
    (1500, 1 << 2 | 1 << 31),
    (1600, 1 << 31),
    (2000, 0),
    (2100, 1 << 2),
    (2200, 0),
]


def sync_file(path: Path, rows: Any = ROWS, **meta: Any) -> SyncFile:
    with h5py.File(path, "w") as file:
        file["data"] = np.array(rows, np.uint32)
        file["meta"] = np.bytes_(repr(META | meta))
    return SyncFile(path)


def test_edges_are_seconds_from_the_first_sample(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "20231114T123331.h5")
    assert sync.rising("vsync_stim").tolist() == [0.001, 0.021]
    assert sync.falling(2).tolist() == [0.016, 0.022]
    assert sync.rising("lick_sensor").tolist() == [0.015]
    assert sync.rising(7).tolist() == []


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "a.h5")
    assert sync.start_time == datetime(2023, 11, 14, 12, 33, 31, 324839)
    assert sync.stop_time == datetime(2023, 11, 14, 12, 33, 41, 324839)
    assert (sync.sample_rate, sync.total_samples, sync.total_seconds) == (100_000.0, 1_000_000, 10.0)
    assert sync.line_labels[2] == "vsync_stim"


def test_lines_by_label_by_number_and_by_the_rigs_map(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "a.h5")
    assert [sync.line(name) for name in ("lick_sensor", 31, "laser_488", "sound_running")] == [31, 31, 11, 1]
    with pytest.raises(MissingDataError, match="no line 'toaster'"):
        sync.line("toaster")
    with pytest.raises(MissingDataError, match="no line 32"):
        sync.line(32)


def test_a_files_own_label_wins(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "a.h5", line_labels=["", "", "laser_488", *[""] * 29])
    assert sync.line("laser_488") == 2


def test_lines_that_never_changed_have_nothing(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "a.h5")
    assert sync.has("vsync_stim")
    assert not sync.has("barcode_ephys")
    assert not sync.has("toaster")


def test_state_of_a_line_at_any_time(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "a.h5")
    assert sync.high_at("vsync_stim", [0.0, 0.001, 0.0159, 0.016, 0.0215, 9.0]).tolist() == [
        False, True, True, False, True, False,
    ]  # fmt: skip
    assert sync.high_at(2, sync.rising(2)).all()
    assert not sync.high_at(2, sync.falling(2)).any()


def test_a_counter_that_goes_round_goes_on(tmp_path: Path) -> None:
    rows = [(2**32 - 200, 0), (2**32 - 100, 4), (50, 0), (2**31, 4), (2**32 - 1, 0), (7, 4)]
    times = sync_file(tmp_path / "a.h5", rows).rising(2) * 100_000
    assert times.round().tolist() == [2**32 - 100, 2**32 + 2**31, 2 * 2**32 + 7]


def test_a_total_that_went_round_is_told_by_the_times_of_day(tmp_path: Path) -> None:
    samples = 13 * 3600 * 100_000
    sync = sync_file(
        tmp_path / "a.h5",
        start_time="2023-11-14 06:00:00.000000", stop_time="2023-11-14 19:00:00.004000",
        total_samples=samples - 2**32,
    )  # fmt: skip
    assert sync.total_samples == samples


def test_wide_rows_have_the_lines_last(tmp_path: Path) -> None:
    rows = [(c, 99, s) for c, s in ROWS]
    assert sync_file(tmp_path / "a.h5", rows).falling(2).tolist() == [0.016, 0.022]


def test_other_names_of_the_rate(tmp_path: Path) -> None:
    daq = {"sample_freq": 50_000.0, "counter_output_freq": 100_000.0}
    assert sync_file(tmp_path / "a.h5", ni_daq=daq).sample_rate == 50_000.0
    assert sync_file(tmp_path / "b.h5", ni_daq={"sample_rate": 20_000}).sample_rate == 20_000.0


def test_without_a_total_the_last_change_ends_the_recording(tmp_path: Path) -> None:
    assert sync_file(tmp_path / "a.h5", total_samples=None).total_samples == 2201


def test_a_file_without_any_change(tmp_path: Path) -> None:
    sync = sync_file(tmp_path / "a.h5", np.empty((0, 2)))
    assert not sync.has(2)
    assert sync.rising(2).tolist() == []
    assert sync.high_at(2, [1.0]).tolist() == [False]


def test_meta_costs_no_look_at_the_edges(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["meta"] = np.bytes_(repr(META))
    sync = SyncFile(tmp_path / "a.h5")
    assert sync.total_seconds == 10.0
    with pytest.raises(CorruptObjectError, match=r"a\.h5 is not a good sync file"):
        sync.rising(2)


@pytest.mark.parametrize("meta", ["__import__('os').getcwd()", "[1, 2]", "{'a': ", "open('x')", ""])
def test_meta_that_is_no_dict_is_refused_and_never_run(tmp_path: Path, meta: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["meta"] = meta
    with pytest.raises(CorruptObjectError, match=r"a\.h5"):
        SyncFile(tmp_path / "a.h5").meta  # noqa: B018


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.arange(50_000) * 10, rng.integers(0, 2**32, 50_000)])
    sync_file(path, rows)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(ProjectCacheError, match=r"cut\.h5"):
        SyncFile(path).rising(2)
    (tmp_path / "text.h5").write_text("nothing of the kind")
    with pytest.raises(CorruptObjectError, match=r"text\.h5"):
        SyncFile(tmp_path / "text.h5").rising(2)
    with pytest.raises(MissingObjectError, match=r"gone\.h5"):
        SyncFile(tmp_path / "gone.h5").meta  # noqa: B018


@pytest.mark.parametrize("data", [np.arange(5), np.ones((4, 1)), np.ones((4, 2), float), np.bytes_("no")])
def test_data_of_another_kind_are_refused(tmp_path: Path, data: Any) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = data
        file["meta"] = np.bytes_(repr(META))
    with pytest.raises(CorruptObjectError, match=r"a\.h5"):
        SyncFile(str(tmp_path / "a.h5")).rising(2)


def test_a_whole_recording(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "raw_session"
    sync = SyncFile(next(folder.glob("DRpilot*/*.h5")))
    truth = np.load(folder / "truth" / "times.npz")
    assert sync.total_seconds == 1421.018
    np.testing.assert_allclose(sync.rising("lick_sensor"), truth["lick_on"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(sync.falling("lick_sensor"), truth["lick_off"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(sync.rising("reward"), truth["solenoid_on"], atol=1e-5, rtol=0)
