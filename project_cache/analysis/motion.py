"""Motion in a video: its energy, and its principal components, from frames that are streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motion", "binned", "motion_components"]

#: frames that are decomposed at once
_BLOCK = 250
#: blocks that the components are worked out from, as many in the first as in the last minutes
_BLOCKS = 60


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved in a video.

    Attributes
    ----------
    energy : numpy.ndarray of float32, shape (frames,)
        The mean, over pixels, of the absolute difference to the frame before (grey levels). NaN where there is
        no frame before.
    scores : numpy.ndarray of float32, shape (frames, components)
        Each frame's motion on each component.
    masks : numpy.ndarray of float32, shape (components, height, width)
        The components: which (binned) pixels move together. Each is of length 1.
    average : numpy.ndarray of float32, shape (height, width)
        The mean absolute difference that was taken away before.
    singular_values : numpy.ndarray of float64, shape (components,)
        How much of the motion each component holds; in descending order.
    """

    energy: NDArray[np.float32]
    scores: NDArray[np.float32]
    masks: NDArray[np.float32]
    average: NDArray[np.float32]
    singular_values: NDArray[np.float64]


def binned(frame: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Return the means of a frame over squares of `size` pixels; what is left at the borders is cut off.

    Parameters
    ----------
    frame : numpy.ndarray of uint8, shape (height, width)
        The frame.
    size : int
        The side of the squares.

    Examples
    --------
    >>> binned(np.array([[1, 3, 9], [5, 7, 9]], dtype=np.uint8), 2)
    array([[4.]], dtype=float32)
    """
    height, width = frame.shape[0] // size, frame.shape[1] // size
    squares = frame[: height * size, : width * size].reshape(height, size, width, size)
    # summing whole rows first is several times as fast as a mean over both axes at once
    sums = squares.sum(axis=1, dtype=np.uint32).sum(axis=2, dtype=np.uint32)
    means: NDArray[np.float32] = sums.astype(np.float32) / np.float32(size * size)
    return means


def motion_components(
    frames: Callable[[], Iterable[NDArray[np.float32]]],
    n_frames: int,
    n_components: int = 100,
    first: int = 0,
) -> Motion:
    """Return a video's motion energy and the principal components of its motion.

    Parameters
    ----------
    frames : callable
        Gives the video's frames, in order, of one shape: it is called twice, and no more than a few hundred
        frames are held at once.
    n_frames : int
        How many there are.
    n_components : int
        How many components are kept; fewer where the frames or their pixels do not give as many.
    first : int
        The first frame that is a picture: motion is counted from the one after it on.

    Notes
    -----
    As in facemap (Stringer et al., Science 364, 255, 2019; Syeda et al., Nat. Neurosci. 27, 187, 2024), the
    singular value decomposition is that of the absolute differences between successive frames, less their
    mean. It is done block by block: up to 60 blocks of 250 frames, evenly spread, each of which is decomposed
    together with the components of those before it. Then every frame is projected onto what comes out. A
    component's sign is arbitrary: here its largest weight is positive.

    The mean is only known at the end, so it is taken away from the decomposition instead of the frames:
    the scatter of centred values is that of the values as they are, less the scatter of the mean.
    """
    energy = np.full(n_frames, np.nan, dtype=np.float32)
    sample = _Sample(n_components, max(n_frames - first - 1, 0))
    total: NDArray[np.float64] | None = None
    count = 0
    for number, difference in _differences(frames(), first):
        energy[number] = difference.mean(dtype=np.float64)
        total = difference.astype(np.float64) if total is None else total + difference
        sample.add(count, difference.ravel())
        count += 1
    if total is None:
        nothing = np.zeros((n_frames, 0), dtype=np.float32)
        empty = np.zeros((0, 0), dtype=np.float32)
        return Motion(energy, nothing, empty[None][:0], empty, np.zeros(0))
    average = (total / count).astype(np.float32)
    values, masks = sample.components()
    scores = np.full((n_frames, len(masks)), np.nan, dtype=np.float32)
    block: list[NDArray[np.float32]] = []
    number = first
    for number, difference in _differences(frames(), first):
        block.append((difference - average).ravel())
        # many at once: the masks are read from memory once for all of them
        if len(block) == _BLOCK:
            scores[number - len(block) + 1 : number + 1] = np.stack(block) @ masks.T
            block = []
    if block:
        scores[number - len(block) + 1 : number + 1] = np.stack(block) @ masks.T
    return Motion(energy, scores, masks.reshape(-1, *average.shape), average, values)


def _differences(
    frames: Iterable[NDArray[np.float32]], first: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the number of each frame and how much it differs from the one before."""
    before: NDArray[np.float32] | None = None
    for number, frame in enumerate(frames):
        if number < first:
            continue
        if before is not None:
            yield number, np.abs(frame - before)
        before = frame


class _Sample:
    """The components of blocks of differences, evenly spread over a video, as they come by."""

    def __init__(self, n_components: int, n_differences: int) -> None:
        n_blocks = min(-(-n_differences // _BLOCK), _BLOCKS)
        starts = np.linspace(0, max(n_differences - _BLOCK, 0), n_blocks).astype(int)
        self._wanted = np.zeros(n_differences, dtype=bool)
        for start in starts:
            self._wanted[start : start + _BLOCK] = True
        self._keep = n_components
        self._block: list[NDArray[np.float32]] = []
        self._basis: NDArray[np.float32] | None = None
        self._total: NDArray[np.float64] | None = None
        self._count = 0

    def add(self, number: int, difference: NDArray[np.float32]) -> None:
        """Take one difference, if it is of the sample."""
        if number >= len(self._wanted) or not self._wanted[number]:
            return
        self._block.append(difference)
        if len(self._block) == _BLOCK:
            self._decompose()

    def _decompose(self) -> None:
        """Merge the block with the components of those before it."""
        block = np.stack(self._block)
        self._block = []
        summed = block.sum(axis=0, dtype=np.float64)
        self._total = summed if self._total is None else self._total + summed
        self._count += len(block)
        if self._basis is not None and not block.any():
            # nothing moved: nothing changes but the mean
            return
        if self._basis is not None:
            block = np.concatenate([self._basis, block])
        # by the products of frames, of which there are few, and not of pixels; several times as fast as an SVD,
        # and exact enough in double precision for all but components that nobody would keep
        wide = block.astype(np.float64)
        squares, turn = np.linalg.eigh(wide @ wide.T)
        # more than are wanted in the end: what the next blocks add may lift one of these
        largest = np.argsort(squares)[::-1][: self._keep + 20]
        self._basis = (turn[:, largest].T @ wide).astype(np.float32)

    def components(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return the singular values (components,) and the components (components, pixels), centred."""
        if self._block:
            self._decompose()
        assert self._basis is not None
        assert self._total is not None
        mean = self._total / self._count
        values = np.linalg.norm(self._basis, axis=1)
        solid = values > max(float(values.max()), 1.0) * 1e-6
        values, axes = values[solid].astype(float), self._basis[solid].astype(float) / values[solid, None]
        inside = axes @ mean
        rest = mean - inside @ axes
        beyond = float(np.linalg.norm(rest))
        if beyond > 1e-6 * max(float(np.linalg.norm(mean)), 1e-12):
            axes = np.concatenate([axes, rest[None] / beyond])
            values, inside = np.append(values, 0.0), np.append(inside, beyond)
        scatter = np.diag(values**2) - self._count * np.outer(inside, inside)
        squares, turn = np.linalg.eigh(scatter)
        order = np.argsort(squares)[::-1][: self._keep]
        order = order[squares[order] > max(float(squares.max(initial=0.0)), 1e-9) * 1e-9]
        masks = turn[:, order].T @ axes
        largest = np.abs(masks).argmax(axis=1)
        masks *= np.sign(masks[np.arange(len(masks)), largest])[:, None]
        return np.sqrt(squares[order]), masks.astype(np.float32)
