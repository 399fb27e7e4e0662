"""Times on a grid: whatever formula they were written by, each comes back to its last bit."""

from __future__ import annotations

import base64
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from project_cache.errors import ContentError
from project_cache.nwb.grid import Grid, grid_of

N = 50_000
K = np.arange(N)


def found(tmp_path: Path, values: NDArray[Any], **how: Any) -> Grid | None:
    with h5py.File(tmp_path / "times.h5", "w") as file:
        return grid_of(file.create_dataset("timestamps", data=values, **how))


def same(grid: Grid, values: NDArray[Any]) -> bool:
    again = grid.values()
    return again.dtype == np.float64 and again.tobytes() == values.astype(np.float64).tobytes()


EXACT = {
    "a rate": 5.0 + K / 1250,
    "a step": 100.0 + K * 0.0008,
    "an odd rate": 3.7745083 + K / 1249.9986372,
    "an odd step": 0.1 + K * 0.00080000127,
    "from zero": K / 2500,
    "the time of day": 1.7e9 + K / 1250,
    "before zero": -20.0 + K / 1250,
    "single precision of a step": np.float64(np.float32(0.0008)) * K + 1e-3,
    "linspace": np.linspace(0.25, 3000, N),
}


@pytest.mark.parametrize("values", EXACT.values(), ids=EXACT)
def test_a_first_one_and_a_step_are_all(tmp_path: Path, values: NDArray[Any]) -> None:
    grid = found(tmp_path, values)
    assert grid is not None
    assert same(grid, values)
    assert grid.corrections == b""


CORRECTED = {
    "samples of a faster clock": (K * 2 + 123457) / 2500.02 - 17.25,
    "from before zero": (K * 12 + 77) / 29999.954846 - 11.2345,
    "a drifting clock": 10.0 + (K / 1250) * (1 + 1e-17 * K),
}


@pytest.mark.parametrize("values", CORRECTED.values(), ids=CORRECTED)
def test_other_formulas_need_few_bits_more(tmp_path: Path, values: NDArray[Any]) -> None:
    grid = found(tmp_path, values, chunks=(4096,), compression="gzip")
    assert grid is not None
    assert same(grid, values)
    assert 0 < len(grid.corrections) <= values.nbytes / 16
    assert Grid.from_json(json.loads(json.dumps(grid.to_json()))) == grid


NONE = {
    "a gap": np.append(K[: N // 2], K[N // 2 :] + 1) / 1250,
    "jitter": K / 1250 + np.random.default_rng(0).normal(0, 1e-6, N),
    "one that is missing": np.where(K == 30_000, np.nan, K / 1250),
    "a zero that is negative": np.where(K == 0, -0.0, K / 1250),
    "backwards": -K / 1250,
    "all the same": np.ones(N),
    "no numbers": np.full(N, np.nan),
    "hardly larger than nothing": K * 5e-324,
    "few": 5.0 + np.arange(1000) / 1250,
    "single precision": (K / 1250).astype(np.float32),
    "whole numbers": K,
    "two columns": np.stack([K, K], 1) / 1250,
}


@pytest.mark.parametrize("values", NONE.values(), ids=NONE)
def test_others_have_none(tmp_path: Path, values: NDArray[Any]) -> None:
    grid = found(tmp_path, values)
    assert grid is None or same(grid, values)
    if values.ndim == 1 and np.isfinite(values).all() and np.ptp(values) > 1e-300:
        assert grid is None


def test_other_machines_numbers(tmp_path: Path) -> None:
    values = 5.0 + K / 1250
    grid = found(tmp_path, values, dtype=">f8")
    assert grid is not None
    assert same(grid, values)


def test_what_was_not_written_here_is_refused() -> None:
    good = Grid(100, 1.0, 0.5, False).to_json()
    for n, wrong in (
        (0, 0),
        (0, 1 << 40),
        (1, "nan"),
        (1, 3),
        (2, "inf"),
        (2, "-0x1p0"),
        (4, "?"),
        (4, None),
    ):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            Grid.from_json([*good[:n], wrong, *good[n + 1 :]])
    for packed in (
        b"no",
        zlib.compress(bytes(399)),
        zlib.compress(bytes(396)),
        zlib.compress(bytes(404)),
        zlib.compress(bytes(400))[:-2],
    ):
        grid = Grid.from_json([*good[:4], base64.b64encode(packed).decode()])
        with pytest.raises(ContentError, match="corrections"):
            grid.values()


def test_a_bomb_is_not_unpacked() -> None:
    grid = Grid(100, 1.0, 0.5, False, zlib.compress(bytes(100 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(ContentError):
            grid.values()
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()
