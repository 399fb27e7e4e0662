"""Spikes in windows, and statistics of them, against looking at each spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from project_cache.analysis.statistics import statistics_by_condition
from project_cache.analysis.times import spikes_by_time

RNG = np.random.default_rng(5)
TRAINS = {unit: np.sort(RNG.integers(0, 400, n) / 16) for unit, n in ((7, 90), (3, 0), (5, 60), (8, 1))}
UNITS = [7, 3, 5, 8]
WINDOWS: dict[str, tuple[Any, Any]] = {
    "one after the other": (np.arange(0.0, 25, 0.5), np.arange(0.5, 25.5, 0.5)),
    "with gaps": (np.arange(1.0, 20, 3), np.arange(2.0, 21, 3)),
    "any order": (np.array([9.0, 1.0, 20.0, 1.0]), np.array([10.0, 2.0, 21.0, 2.0])),
    "overlapping": (np.array([1.0, 2.0, 2.5]), np.array([5.0, 3.0, 9.0])),
    "of no length": (np.array([1.0, 2.0]), np.array([1.0, 2.0])),
    "none": (np.empty(0), np.empty(0)),
    "outside": (np.array([-5.0, 90.0]), np.array([-4.0, 99.0])),
}


@pytest.mark.parametrize("half_open", [False, True])
@pytest.mark.parametrize(("starts", "stops"), WINDOWS.values(), ids=WINDOWS)
def test_spikes_are_found_and_in_the_order_of_time(starts: Any, stops: Any, half_open: bool) -> None:
    sides: Any = ("left", "left") if half_open else ("right", "right")
    found = spikes_by_time(TRAINS.__getitem__, UNITS, starts, stops, *sides)
    expected = sorted(
        (t, n, window)
        for n, unit in enumerate(UNITS)
        for t in TRAINS[unit].tolist()
        for window, (start, stop) in enumerate(zip(starts, stops, strict=True))
        if (start <= t < stop if half_open else start < t <= stop)
    )
    listed = list(zip(found.times.tolist(), found.unit.tolist(), found.window.tolist(), strict=True))
    assert found.times.tolist() == [t for t, _, _ in expected]
    assert sorted(listed) == expected
    if not (starts[1:] < stops[:-1]).any():
        # equal times in the order of units
        assert listed == expected


def test_long_recordings_are_sorted_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project_cache.analysis.times._AT_ONCE", 3)
    for starts, stops in WINDOWS.values():
        found = spikes_by_time(TRAINS.__getitem__, UNITS, starts, stops)
        assert (np.diff(found.times) >= 0).all()


@pytest.mark.filterwarnings("error")
def test_statistics_of_each_condition() -> None:
    starts, stops = WINDOWS["one after the other"]
    condition = RNG.integers(-1, 4, len(starts))
    condition[0] = 4
    durations = RNG.uniform(0.4, 0.6, len(starts))
    for weights in (None, durations):
        found = statistics_by_condition(TRAINS.__getitem__, UNITS, starts, stops, condition, weights)
        assert found.windows.tolist() == np.bincount(condition[condition >= 0]).tolist()
        assert found.fired.tolist() == [True, False, True, True]
        for n, unit in enumerate(UNITS):
            train = TRAINS[unit]
            number = np.array(
                [((train > a) & (train <= b)).sum() for a, b in zip(starts, stops, strict=True)]
            )
            for each in range(5):
                values = (number if weights is None else number / weights)[condition == each]
                assert found.spikes[each, n] == number[condition == each].sum()
                np.testing.assert_allclose(found.mean[each, n], values.mean(), rtol=1e-13)
                if len(values) == 1:
                    assert np.isnan(found.std[each, n])
                    assert np.isnan(found.sem[each, n])
                else:
                    np.testing.assert_allclose(found.std[each, n], values.std(ddof=1), rtol=1e-12)
                    np.testing.assert_allclose(
                        found.sem[each, n], values.std(ddof=1) / np.sqrt(len(values)), rtol=1e-12
                    )


def test_statistics_of_no_condition() -> None:
    found = statistics_by_condition(
        TRAINS.__getitem__, UNITS, np.array([0.0]), np.array([9.0]), np.array([-1])
    )
    assert found.spikes.shape == found.mean.shape == (0, 4)
    assert found.fired.tolist() == [True, False, True, False] or found.fired[0]
