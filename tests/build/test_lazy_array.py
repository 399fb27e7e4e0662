"""Arrays larger than memory: sliced like others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from project_cache.build.lazy_array import LazyArray, lazy


@pytest.fixture
def plain() -> Any:
    return np.random.default_rng(0).integers(-500, 500, (1000, 70), dtype=np.int16)


def of(plain: Any, block: int = 128) -> LazyArray:
    return LazyArray(plain.shape, plain.dtype, lambda start, stop: plain[start:stop], block=block)


def test_it_is_sliced_like_an_array(plain: Any) -> None:
    array = of(plain)
    assert (array.shape, array.dtype, array.ndim, len(array), array.nbytes) == (
        (1000, 70),
        "int16",
        2,
        1000,
        140000,
    )
    for key in (
        5,
        -1,
        np.int64(3),
        slice(None),
        slice(100, 900),
        slice(3, 800, 7),
        slice(None, None, -1),
        slice(900, 100, -130),
        slice(5, 5),
        (slice(10, 300), 4),
        (slice(10, 300), slice(0, 70, 2)),
        (7, 3),
        (slice(None), [1, 2]),
        [3, 1, -1],
        np.arange(1000) % 100 == 0,
        ...,
    ):
        np.testing.assert_array_equal(array[key], plain[key])
    np.testing.assert_array_equal(np.asarray(array), plain)
    with pytest.raises(IndexError, match="row 1000 of 1000"):
        array[1000]


def test_only_what_is_asked_for_is_read(plain: Any) -> None:
    asked = []

    def read(start: int, stop: int) -> Any:
        asked.append((start, stop))
        return plain[start:stop]

    array = LazyArray(plain.shape, plain.dtype, read, block=100)
    assert repr(array) == "LazyArray(shape=(1000, 70), dtype=int16)"
    assert asked == []
    assert array[250:450].shape == (200, 70)
    assert asked == [(250, 350), (350, 450)]


def test_it_can_be_gone_through_twice(plain: Any) -> None:
    array = of(plain)
    for _ in range(2):
        chunks = list(array)
        np.testing.assert_array_equal(np.concatenate([chunk.data for chunk in chunks]), plain)


def test_a_memory_map_with_some_of_its_channels(plain: Any) -> None:
    array = lazy(plain, slice(0, 64))
    assert array.shape == (1000, 64)
    np.testing.assert_array_equal(array[10:20], plain[10:20, :64])
