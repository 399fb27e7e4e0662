"""Frames: blocks of vsyncs, which file each is of, and times without sync."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from project_cache.build.clock.frames import (
    FrameTimes,
    Recorded,
    frames_from_intervals,
    frames_from_vsyncs,
    matched_blocks,
    vsync_blocks,
)
from project_cache.raw.sync import SyncFile

Floats = npt.NDArray[np.float64]


def sync_file(path: Path, lines: dict[int, list[tuple[float, float]]], total: float = 100.0) -> SyncFile:
    """A sync file with these pulses (start, stop, s) on these lines; a stop of None: still up at the end."""
    changes: dict[int, int] = {0: 0}
    for line, pulses in lines.items():
        for start, stop in pulses:
            for edge in (start, stop):
                if edge is not None and edge >= 0:
                    ticks = round(edge * 1e5)
                    changes[ticks] = changes.get(ticks, 0) ^ 1 << line
    rows, state = [], sum(1 << line for line, pulses in lines.items() if pulses and pulses[0][0] < 0)
    for ticks in sorted(changes):
        state ^= changes[ticks]
        rows.append((ticks, state))
    meta: dict[str, Any] = {
        "ni_daq": {"counter_output_freq": 1e5},
        "start_time": "2023-11-14 12:00:00",
        "total_samples": round(total * 1e5),
        "line_labels": [],
    }
    with h5py.File(path, "w") as file:
        file["data"] = np.array(rows, np.uint32)
        file["meta"] = np.bytes_(repr(meta))
    return SyncFile(path)


def flips(*times: Floats) -> list[tuple[float, float]]:
    return [(t - 0.005, t) for t in np.concatenate(times).tolist()]


def run(start: float, n: int) -> Floats:
    return (start + np.arange(n) / 60).round(5)


def test_blocks_are_the_falling_edges_between_pauses(tmp_path: Path) -> None:
    blocks = vsync_blocks(sync_file(tmp_path / "a.h5", {2: flips(run(1, 100), run(5, 200))}))
    assert [len(b) for b in blocks] == [100, 200]
    np.testing.assert_allclose(blocks[1], run(5, 200), atol=1e-6)


def test_a_line_that_was_up_at_the_start_gives_no_frame(tmp_path: Path) -> None:
    pulses = [(-1.0, 0.9), *flips(run(1, 100))]
    assert [len(b) for b in vsync_blocks(sync_file(tmp_path / "a.h5", {2: pulses}))] == [100]


def test_single_and_slow_flips_are_no_block(tmp_path: Path) -> None:
    slow = np.arange(10) * 0.9 + 20
    slow[::2] = 0
    line = flips(run(1, 100), np.array([5.0]), np.arange(30.0, 60, 5))
    assert [len(b) for b in vsync_blocks(sync_file(tmp_path / "a.h5", {2: line}))] == [100]


def test_where_stim_running_was_recorded_it_says_what_a_block_is(tmp_path: Path) -> None:
    # a stall of 1.5 s in the first script; one aborted at its first flip; a test of the monitor; one that ran on
    line = flips(run(1, 50), run(3.4, 50), np.array([6.0]), run(8, 30), run(12, 40))
    running = [(-1.0, 0.2), (0.5, 5.0), (5.5, 6.5), (11.0, None)]
    blocks = vsync_blocks(sync_file(tmp_path / "a.h5", {2: line, 5: running}))
    assert [(len(b), b[0]) for b in blocks] == [(100, 1.0), (40, 12.0)]


def test_nothing_recorded_gives_no_blocks(tmp_path: Path) -> None:
    assert vsync_blocks(sync_file(tmp_path / "a.h5", {31: [(1.0, 2.0)]})) == []


def intervals(n: int, seed: int) -> Floats:
    """Frame intervals of a script that dropped some frames."""
    rng = np.random.default_rng(seed)
    return (1 + (rng.random(n - 1) < 0.01)) / 59.95 + rng.normal(0, 1e-4, n - 1)


def block(start: float, steps: Floats, seed: int = 9) -> Floats:
    """The vsyncs of these intervals, by a clock that runs 20 ppm fast."""
    times = start + np.append(0, np.cumsum(steps)) * (1 + 2e-5)
    return times + np.random.default_rng(seed).normal(0, 1e-4, len(times))


def test_files_find_their_blocks_by_length_and_time() -> None:
    a, b, c = intervals(3000, 1), intervals(2000, 2), intervals(3000, 3)
    blocks = [block(10, a), block(100, b), block(200, c)]
    files = [Recorded("c", 190, c), Recorded("a", 2, a), Recorded("b", 95, b)]
    found = matched_blocks(files, blocks)
    for match, i in zip(found, (2, 0, 1), strict=True):
        assert match.issue is None
        assert match.vsyncs is blocks[i]


def test_of_blocks_as_long_the_one_with_the_files_own_drops_wins() -> None:
    a, b = intervals(3000, 1), intervals(3000, 2)
    # the script's computer is an hour off
    found = matched_blocks([Recorded("b", 3600, b), Recorded("a", 3500, a)], [block(10, a), block(100, b)])
    assert [m.vsyncs[0] > 50 for m in found if m.vsyncs is not None] == [True, False]


def test_a_vsync_too_many_or_too_few_is_put_right() -> None:
    steps = intervals(3000, 1)
    true = block(10, steps)
    for given in (np.append(true, true[-1] + 0.0167), np.append(true[0] - 0.0167, true), true[1:], true[:-1]):
        (match,) = matched_blocks([Recorded("a", 3, steps)], [given])
        assert match.vsyncs is not None
        np.testing.assert_allclose(match.vsyncs, true, atol=1e-3)


@pytest.mark.parametrize("frame", [1, 700, 2998])
def test_a_vsync_that_the_sync_board_missed_is_put_back(frame: int) -> None:
    steps = intervals(3000, 1)
    true = block(10, steps)
    (match,) = matched_blocks([Recorded("a", 3, steps)], [np.delete(true, frame)])
    assert match.vsyncs is not None
    np.testing.assert_allclose(match.vsyncs, true, atol=1e-3)


def test_small_errors_of_the_scripts_clock_may_add_up_over_hours() -> None:
    rng = np.random.default_rng(0)
    true = 10 + np.arange(400_000) / 60
    steps = np.diff(true) + rng.normal(0, 1e-4, len(true) - 1)
    assert np.ptp(np.cumsum(steps) - (true[1:] - true[0])) > 0.03
    (match,) = matched_blocks([Recorded("a", 5, steps)], [np.delete(true, 100_000)])
    assert match.vsyncs is not None
    np.testing.assert_allclose(match.vsyncs, true, atol=1e-3)


def test_files_that_fit_no_block_say_so_and_leave_the_others_be() -> None:
    a, b = intervals(3000, 1), intervals(2000, 2)
    good, bad, empty = matched_blocks(
        [Recorded("good", 5, a), Recorded("bad", 95, b), Recorded("empty", 300, np.empty(0))],
        [block(10, a), block(100, b)[:-40]],
    )
    assert good.issue is None
    assert bad.vsyncs is None
    assert bad.issue is not None
    assert "bad has 2000 frames" in bad.issue
    assert "1960 from 100.0 s" in bad.issue
    assert empty.issue is not None
    assert "no frames" in empty.issue


def test_no_block_is_given_to_two_files() -> None:
    a, b = intervals(3000, 1), intervals(3000, 2)
    mine, other = matched_blocks([Recorded("mine", 5, a), Recorded("other", 95, b)], [block(10, a)])
    assert mine.issue is None
    assert other.vsyncs is None


def test_without_sync_frames_are_by_the_scripts_clock() -> None:
    frames = frames_from_intervals([0.25, 0.5, 0.25, 0.375])
    assert frames.method == "no sync"
    # the last by the median of the changes of interval
    assert frames.flip.tolist() == [0.25, 0.75, 1.0, 1.375, 1.5]
    assert frames.input.tolist() == [0.0, 0.25, 0.75, 1.0, 1.375]
    assert frames.display.tolist() == frames.flip.tolist()
    assert len(frames_from_intervals([])) == 0
    assert len(frames_from_intervals([0.1])) == 2


def test_with_sync_inputs_were_read_after_the_flip_before() -> None:
    vsyncs = np.array([1.0, 1.25, 1.5])
    frames = frames_from_vsyncs(vsyncs, None, lag=0.5, expected=3)
    assert (frames.method, frames.display.tolist()) == ("constant lag", [1.5, 1.75, 2.0])
    np.testing.assert_array_equal(frames.input, [np.nan, 1.0, 1.25])
    assert np.isnan(frames_from_vsyncs(vsyncs, None, lag=None, expected=3).display).all()
    assert frames_from_vsyncs(vsyncs, vsyncs + 0.1, lag=0.5, expected=3).method == "photodiode"
    with pytest.raises(ValueError, match="3 vsyncs for 4 frames"):
        frames_from_vsyncs(vsyncs, None, lag=None, expected=4)


def test_frames_that_are_none_have_no_time() -> None:
    times = np.array([1.0, 2.0, 3.0])
    frames = FrameTimes(times, times - 1, times + 0.5, "photodiode")
    np.testing.assert_array_equal(
        frames.at("display", [0, 2.0, np.nan, 3, -1]), [1.5, 3.5, np.nan, np.nan, np.nan]
    )
    assert frames.at("flip", np.array([[1], [2]])).shape == (2, 1)
    nothing = FrameTimes(np.empty(0), np.empty(0), np.empty(0), "no sync")
    assert np.isnan(nothing.at("flip", [0])).all()
