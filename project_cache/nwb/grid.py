"""Times on a grid: millions of numbers that a first one and a step give again, each to its last bit."""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.errors import ContentError
from project_cache.nwb.arrays import read

__all__ = ["Grid", "grid_of"]

#: of more numbers than these nothing is tried
LARGEST = 1 << 26
#: numbers are looked at in steps of so many
_AT_ONCE = 1 << 20
#: a correction
_EACH = np.dtype("<i4")
#: corrections that take more than this part of the numbers themselves are not worth it
_WORTH = 1 / 16
#: so many of the first, of the last and of those in the middle tell which formula fits best
_SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced numbers: ``first + n * by``, or ``first + n / by``, for ``n`` from 0.

    Both are computed in double precision, one operation after the other, as IEEE 754 has it: the bits that come out
    are the same on every machine. Who wrote the numbers may have computed them in another way, and then some differ
    in their last bits; what is to be added to these bits is kept too.

    Attributes
    ----------
    count : int
        How many numbers.
    first : float
        The first.
    by : float
        The step; or the rate, where `is_rate`.
    is_rate : bool
        Whether to divide by it.
    corrections : bytes
        One int32 for each number, packed by zlib: how many doubles it lies above what the formula gives. Empty where
        the formula gives them all.
    """

    count: int
    first: float
    by: float
    is_rate: bool
    corrections: bytes = b""

    def values(self) -> NDArray[np.float64]:
        """Return the numbers.

        Raises
        ------
        ContentError
            The corrections are not those of so many numbers.
        """
        found = _computed(self.first, self.by, self.is_rate, 0, self.count)
        if self.corrections:
            bits, unpacker, rest = found.view(np.int64), zlib.decompressobj(), self.corrections
            try:
                for at in range(0, self.count, _AT_ONCE):
                    some = bits[at : at + _AT_ONCE]
                    some += np.frombuffer(unpacker.decompress(rest, some.size * _EACH.itemsize), _EACH)
                    rest = unpacker.unconsumed_tail
                if unpacker.decompress(rest, 1) or not unpacker.eof:
                    raise ValueError("there are more, or they are cut short")
            except (zlib.error, ValueError) as error:
                raise ContentError(
                    f"The corrections of {self.count:,} times are not theirs ({error})."
                ) from error
        return found

    def to_json(self) -> list[Any]:
        """Return it as JSON can have it; numbers keep all their bits."""
        packed = base64.b64encode(self.corrections).decode()
        return [self.count, self.first.hex(), self.by.hex(), self.is_rate, packed]

    @classmethod
    def from_json(cls, said: Any) -> Self:
        """Return what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, TypeError, OverflowError
            It wrote something else.
        """
        count, first, by, is_rate, packed = said
        found = cls(
            int(count),
            float.fromhex(first),
            float.fromhex(by),
            bool(is_rate),
            base64.b64decode(packed, validate=True),
        )
        if not 1 < found.count <= LARGEST or not math.isfinite(found.first) or not 0 < found.by < math.inf:
            raise ValueError("a grid of times makes no sense")
        return found


def _computed(first: float, by: float, is_rate: bool, start: int, stop: int) -> NDArray[np.float64]:
    found = np.arange(start, stop, dtype=np.float64)
    if is_rate:
        found /= by
    else:
        found *= by
    found += first
    return found


def grid_of(dataset: h5py.Dataset) -> Grid | None:
    """Return the grid on which a data set's numbers lie, each checked to its last bit; None if they lie on none.

    Parameters
    ----------
    dataset : h5py.Dataset
        One row of float64. It is read in steps, and that once but for a few rows.
    """
    if dataset.ndim != 1 or dataset.dtype.kind != "f" or dataset.dtype.itemsize != 8:
        return None
    count = int(dataset.shape[0])
    if not 2 * _SAMPLE <= count <= LARGEST:
        return None
    middle = (count - _SAMPLE) // 2
    sample = {at: _bits(dataset, at, at + _SAMPLE) for at in (0, middle, count - _SAMPLE)}
    first, last = (float(sample[at].view(np.float64)[n]) for at, n in ((0, 0), (count - _SAMPLE, -1)))
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        return None
    best: tuple[float, bool, float] | None = None
    for is_rate, by in _candidates(count - 1, last - first):
        apart = [
            bits - _computed(first, by, is_rate, at, at + _SAMPLE).view(np.int64)
            for at, bits in sample.items()
        ]
        misfit = sum(float(np.abs(each.astype(np.float64)).sum()) for each in apart)
        if best is None or misfit < best[0]:
            best = misfit, is_rate, by
    if best is None:
        return None
    _, is_rate, by = best
    packer = zlib.compressobj()
    packed, corrected = [], False
    for at in range(0, count, _AT_ONCE):
        stop = min(at + _AT_ONCE, count)
        off = _bits(dataset, at, stop) - _computed(first, by, is_rate, at, stop).view(np.int64)
        if np.abs(off.astype(np.float64)).max() > np.iinfo(_EACH).max:
            return None
        corrected = corrected or bool(off.any())
        packed.append(packer.compress(off.astype(_EACH).tobytes()))
    packed.append(packer.flush())
    corrections = b"".join(packed) if corrected else b""
    worth = len(corrections) <= _WORTH * count * 8
    return Grid(count, first, by, is_rate, corrections) if worth else None


def _bits(dataset: h5py.Dataset, start: int, stop: int) -> NDArray[np.int64]:
    """Return numbers as the whole numbers that their bits are: neighbouring doubles are neighbours among these."""
    return read(dataset, start, stop).view(np.int64)


def _candidates(steps: int, length: float) -> list[tuple[bool, float]]:
    """Return rates and steps that may have been meant: round ones first, then what the ends say, and its neighbours."""
    found: list[tuple[bool, float]] = []
    for is_rate, by in ((True, steps / length), (False, length / steps)):
        near = [float(f"{by:.{digits}g}") for digits in range(5, 17)]
        above = below = by
        for _ in range(3):
            above, below = math.nextafter(above, math.inf), math.nextafter(below, 0)
            near += [above, below]
        found += [(is_rate, each) for each in dict.fromkeys([*near, by]) if 0 < each < math.inf]
    return found
