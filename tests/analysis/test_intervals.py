"""Runs of equal values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache.analysis.intervals import array_intervals, is_distinct_from, nan_intervals

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([NAN, NAN, 4, 4, 4, 5, 5], [0, 2, 5, 7]),
        (np.array([1.0, NAN, NAN, 1.0]), [0, 1, 3, 4]),
        (np.array(["null", "null", 0.0, 0.0, NAN, NAN, None, "null"], dtype=object), [0, 2, 4, 6, 7, 8]),
        # of another type is another value
        ([1, 1.0, True], [0, 1, 2, 3]),
        (np.array([1, 1, 2]), [0, 2, 3]),
        (["a", "a"], [0, 2]),
        (pd.Series([True, True, False]), [0, 2, 3]),
        ([7], [0, 1]),
        ([], [0]),
    ],
)
def test_nan_intervals(values: Any, expected: list[int]) -> None:
    assert nan_intervals(values).tolist() == expected


def test_other_words_for_nothing() -> None:
    assert nan_intervals(["null", "", "null", "a"]).tolist() == [0, 1, 2, 3, 4]
    assert nan_intervals(["null", "", "null", "a"], nan_like=["null", ""]).tolist() == [0, 3, 4]


def test_array_intervals() -> None:
    assert array_intervals([1, 1, 2, 2, 2, 3]).tolist() == [0, 2, 5, 6]
    assert array_intervals(np.array([NAN, NAN])).tolist() == [0, 1, 2]


def test_is_distinct_from() -> None:
    assert not is_distinct_from(pd.NA, pd.NA)
    assert is_distinct_from(None, NAN)
    assert is_distinct_from(1, 1.0)
    assert is_distinct_from("a", "b")
