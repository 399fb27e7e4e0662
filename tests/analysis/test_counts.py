"""Counts in bins, against counting one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from project_cache.analysis.counts import build_spike_histogram, build_time_window_domain
from project_cache.errors import ConfigurationError


def counted(domain: Any, train: Any, *, half_open: bool) -> list[list[int]]:
    """Count spike by spike and bin by bin."""
    return [
        [
            sum(start <= t < stop if half_open else start <= t <= stop for t in train)
            for start, stop in zip(row[:-1], row[1:], strict=True)
        ]
        for row in domain
    ]


DOMAINS = {
    "even": np.arange(0, 5, 0.25)[None, :] + np.array([[0.0], [6.0], [12.5]]),
    "overlapping, any order": np.arange(0, 5, 0.25)[None, :] + np.array([[7.0], [0.0], [1.0], [7.0]]),
    "uneven": np.sort(np.random.default_rng(0).integers(0, 160, (6, 12)) / 8, axis=1),
    "no width": np.array([[1.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 3.0, 3.0, 3.0]]),
    "one bin": np.array([[1.0, 2.0], [-9.0, -8.0], [0.0, 99.0]]),
    "far from 0": np.array([[1.0, 2.0, 3.0]]) + 2.0**40,
}


@pytest.mark.parametrize("half_open", [False, True])
@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_each_spike_is_in_its_bins(domain: Any, half_open: bool) -> None:
    rng = np.random.default_rng(1)
    # on a grid: many are on an edge, and many at the same time
    trains = {unit: np.sort(rng.integers(0, 160, 70) / 8) for unit in (4, 9, 2)}
    trains[2] = trains[2][:0]
    trains[9] = np.sort(np.concatenate([trains[9], domain.ravel()]))
    units = [9, 2, 4]
    counts = build_spike_histogram(domain, trains, units, half_open=half_open)
    assert counts.dtype == np.uint16
    assert counts.shape == (len(domain), domain.shape[1] - 1, 3)
    for n, unit in enumerate(units):
        assert counts[:, :, n].tolist() == counted(domain, trains[unit].tolist(), half_open=half_open)
    once = build_spike_histogram(domain, trains, units, binarize=True, half_open=half_open)
    assert once.dtype == np.uint8
    np.testing.assert_array_equal(once, counts > 0)


def test_rounding_does_not_move_a_spike() -> None:
    # edges that are no binary fractions, and spikes on and beside them
    domain = build_time_window_domain(np.linspace(-0.5, 2, 201), np.array([1315.25, 4001.1, 9000.7]))
    train = np.sort(np.concatenate([domain.ravel(), np.nextafter(domain, 0).ravel()]))
    counts = build_spike_histogram(domain, {1: train}, [1])[:, :, 0]
    assert counts.tolist() == counted(domain.tolist(), train.tolist(), half_open=False)


def test_many_units_are_written_in_blocks() -> None:
    rng = np.random.default_rng(2)
    trains = {unit: np.sort(rng.uniform(0, 10, 50)) for unit in range(77)}
    domain = build_time_window_domain([0, 1, 2], [0, 3, 6])
    counts = build_spike_histogram(domain, trains, np.arange(77)[::-1], dtype=np.float32)
    assert counts.dtype == np.float32
    for n, unit in enumerate(range(76, -1, -1)):
        assert counts[:, :, n].tolist() == counted(domain, trains[unit].tolist(), half_open=False)


def test_no_rows_no_units_no_bins() -> None:
    assert build_spike_histogram(np.empty((0, 3)), {1: np.ones(2)}, [1]).shape == (0, 2, 1)
    assert build_spike_histogram([[0, 1]], {}, []).shape == (1, 1, 0)
    assert build_spike_histogram([[1.0]], {1: np.ones(2)}, [1]).shape == (1, 0, 1)


def test_edges_must_be_in_order() -> None:
    with pytest.raises(ConfigurationError, match="go back in time"):
        build_spike_histogram([[0, 2, 1]], {1: np.ones(1)}, [1])
    with pytest.raises(ValueError, match="table of rows"):
        build_spike_histogram([0, 1], {1: np.ones(1)}, [1])
