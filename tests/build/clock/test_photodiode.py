"""Display times: simulated screens that drop frames, diodes that miss edges, boxes of all kinds."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from project_cache.build.clock.photodiode import CENTRE_AFTER_TOP, display_times

Floats = npt.NDArray[np.float64]
TWO_HOURS = 432_000


@dataclass(frozen=True)
class Screen:
    """A screen with a box that changes every `period` frames, and a diode that is not perfect."""

    n: int = 20_000
    period: int = 1
    black_first: bool = True
    lag: float = 0.0195
    fall: float = 0.0025  # s, by which the screen is late to go black
    dropped: float = 0.004
    late: float = 0.01  # of vsyncs, by up to 10 ms
    lost: float = 0.002  # of boxes that the diode did not see
    stretches: int = 2  # … and of stretches of up to 120 of them
    flickers: float = 0.001
    apart: int = 0  # frames by which the screen drops a frame sooner or later than the script
    seed: int = 0

    def seen(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Vsyncs, rising and falling edges, and when frames truly were in the centre of the screen."""
        rng = np.random.default_rng(self.seed)
        refreshes = (
            1
            + (rng.random(self.n) < self.dropped)
            + 2 * (rng.random(self.n) < self.dropped / 10) * (not self.apart)
        )
        top = 100 + np.cumsum(refreshes) / 59.95
        flips = top
        if self.apart:
            moved = np.ones(self.n, np.int64)
            extra = np.flatnonzero(refreshes > 1)
            to = np.clip(extra + rng.integers(-self.apart, self.apart + 1, len(extra)), 0, self.n - 1)
            np.add.at(moved, to, refreshes[extra] - 1)
            flips = 100 + np.cumsum(moved) / 59.95
        vsyncs = flips - self.lag + rng.normal(0, 1.6e-4, self.n)
        vsyncs += np.where(rng.random(self.n) < self.late, rng.uniform(0, 0.01, self.n), 0)
        frames = np.arange(self.n)
        changes = frames[frames % self.period == 0]
        white = (changes // self.period % 2 == 1) == self.black_first
        edges = top[changes] + np.where(
            white, rng.normal(0, 8e-5, len(changes)), self.fall + rng.uniform(-5e-4, 5e-4, len(changes))
        )
        keep = np.ones(len(edges), np.bool_)
        for first in np.flatnonzero(rng.random(len(edges)) < self.lost):
            keep[first : first + 2] = False
        for first in rng.integers(0, len(edges), self.stretches):
            keep[first : first + 2 * rng.integers(1, 60)] = False
        edges, white = edges[keep], white[keep]
        starts = rng.uniform(top[0], top[-1], int(self.flickers * self.n))
        stops = starts + rng.uniform(3e-4, 5e-3, len(starts))
        state = white[np.maximum(np.searchsorted(edges, starts) - 1, 0)]
        rising = np.sort(np.concatenate([edges[white], np.where(state, stops, starts)]))
        falling = np.sort(np.concatenate([edges[~white], np.where(state, starts, stops), [top[-1] + 0.0221]]))
        return vsyncs.round(5), rising.round(5), falling.round(5), top + CENTRE_AFTER_TOP


def assert_right(found: Floats | None, truth: Floats) -> None:
    """Within 1 ms; one in a thousand may be a refresh off, and never two in a row."""
    assert found is not None
    off = np.abs(found - truth) > 1e-3
    assert np.diff(found).min() > 0.01
    assert off.mean() < 1e-3
    assert not (off[1:] & off[:-1]).any()
    assert np.abs(found - truth).max() < 1.1 / 59.95


@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize(
    "screen",
    [
        Screen(),
        Screen(black_first=False),
        Screen(dropped=0, late=0, lost=0, stretches=0, flickers=0),
        Screen(dropped=0.05),
        Screen(late=0.2),
        Screen(lost=0.03),
        Screen(flickers=0.01),
        Screen(fall=-0.003),
        Screen(fall=0.006),
        Screen(lag=0.0155),
        Screen(lag=0.031),
        Screen(n=60, lost=0, stretches=0),
        Screen(seed=1),
        Screen(dropped=0.02, late=0.1, lost=0.02, flickers=0.005, seed=2),
    ],
    ids=lambda s: ",".join(f"{k}={v}" for k, v in vars(s).items() if v != getattr(Screen, k)) or "usual",
)
def test_every_frame_is_on_its_refresh(screen: Screen, period: int) -> None:
    screen = Screen(**(vars(screen) | {"period": period}))
    vsyncs, rising, falling, truth = screen.seen()
    assert_right(display_times(vsyncs, rising, falling), truth)


@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize("lag", [0.0065, 0.0476])
def test_dropped_frames_tell_a_lag_that_is_unusual_by_a_refresh(period: int, lag: float) -> None:
    vsyncs, rising, falling, truth = Screen(period=period, lag=lag, dropped=0.02).seen()
    assert_right(display_times(vsyncs, rising, falling), truth)


@pytest.mark.parametrize("period", [1, 3])
def test_two_hours_take_less_than_a_second_or_so(period: int) -> None:
    vsyncs, rising, falling, truth = Screen(n=TWO_HOURS, period=period, stretches=20).seen()
    started = time.process_time()
    found = display_times(vsyncs, rising, falling)
    assert time.process_time() - started < 2
    assert_right(found, truth)


@pytest.mark.parametrize("period", [1, 3])
def test_edges_missing_at_both_ends(period: int) -> None:
    vsyncs, rising, falling, truth = Screen(n=3000, stretches=0, period=period).seen()
    first, last = truth[100], truth[-100]
    rising = rising[(rising > first) & (rising < last)]
    falling = falling[(falling > first) & (falling < last)]
    assert_right(display_times(vsyncs, rising, falling), truth)


@pytest.mark.parametrize("apart", [1, 3, 5])
def test_screen_and_script_drop_frames_at_different_times(apart: int) -> None:
    vsyncs, rising, falling, truth = Screen(apart=apart, lost=0, stretches=0, late=0, flickers=0).seen()
    assert_right(display_times(vsyncs, rising, falling), truth)


def test_edges_of_other_blocks_do_no_harm() -> None:
    vsyncs, rising, falling, truth = Screen(n=3000).seen()
    other = np.arange(0, 90, 0.04)
    found = display_times(
        vsyncs,
        np.concatenate([other, rising, other + 200]),
        np.concatenate([other + 0.02, falling, other + 200.02]),
    )
    assert_right(found, truth)


def test_a_diode_that_saw_little_is_not_believed() -> None:
    vsyncs, rising, falling, _ = Screen(n=3000).seen()
    rng = np.random.default_rng(0)
    nothing = np.empty(0)
    assert display_times(vsyncs, nothing, nothing) is None
    assert display_times(vsyncs, rising[:5], falling[:5]) is None
    assert display_times(vsyncs, rising[: len(rising) // 2], falling) is None
    assert (
        display_times(vsyncs, np.sort(rng.uniform(100, 150, 1500)), np.sort(rng.uniform(100, 150, 1500)))
        is None
    )
    assert display_times(vsyncs[:5], rising, falling) is None


def test_late_edges_of_single_frames_are_put_on_the_grid() -> None:
    vsyncs, rising, falling, truth = Screen(n=3000, lost=0, stretches=0, flickers=0).seen()
    rising = rising.copy()
    rising[::50] += 0.004
    assert_right(display_times(vsyncs, rising, falling), truth)
