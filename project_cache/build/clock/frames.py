"""The frames of a stimulus: when each was flipped, when its inputs were read, when it was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from project_cache.raw.sync import SyncFile

__all__ = [
    "FrameTimes",
    "Match",
    "Recorded",
    "frames_from_intervals",
    "frames_from_vsyncs",
    "matched_blocks",
    "vsync_blocks",
]

Floats = npt.NDArray[np.float64]

_LONGEST_GAP = 1.0  # s: vsyncs that are further apart belong to two scripts
_SHORTEST_BLOCK = 2


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When each frame of a stimulus happened, seconds of the session's clock.

    Attributes
    ----------
    flip : array, shape (n_frames,)
        When the script's flip returned: the falling edge of the frame's vsync.
    input : array, shape (n_frames,)
        When the script read its inputs for the frame: the flip before; NaN for the first of a synced file.
    display : array, shape (n_frames,)
        When the frame appeared in the centre of the screen.
    method : str
        Where `display` is from: ``"photodiode"``; ``"constant lag"`` after the flips; ``"no sync"`` (the
        flips themselves, by the script's own clock); ``"none"`` (all NaN).
    """

    flip: Floats
    input: Floats
    display: Floats
    method: Literal["photodiode", "constant lag", "no sync", "none"]

    def __len__(self) -> int:
        return len(self.flip)

    def at(self, kind: Literal["flip", "input", "display"], frame_numbers: npt.ArrayLike) -> Floats:
        """Return the times of frames, in the shape of `frame_numbers`; NaN for NaN and for no frame of these."""
        times: Floats = {"flip": self.flip, "input": self.input, "display": self.display}[kind]
        asked = np.asarray(frame_numbers, np.float64)
        there = np.isfinite(asked) & (asked >= 0) & (asked < len(times))
        return np.where(
            there, times[np.where(there, asked, 0).astype(np.int64)] if len(times) else np.nan, np.nan
        )


def frames_from_intervals(intervals: npt.ArrayLike) -> FrameTimes:
    """Return the times of frames by the script's own clock, seconds from the first frame.

    Parameters
    ----------
    intervals : array, shape (n_frames - 1,)
        From each flip to the next, s.

    Notes
    -----
    A frame's flip is the end of the interval that follows it, and the last one's is a median *change* of
    interval later, not a median interval: so npc_sessions has it, and the tables that are in use are made so.
    """
    ends = np.cumsum(np.asarray(intervals, np.float64))
    if not len(ends):
        nothing = np.empty(0)
        return FrameTimes(nothing, nothing, nothing, "no sync")
    change = float(np.median(np.diff(intervals))) if len(ends) > 1 else 0.0
    flip = np.append(ends, ends[-1] + change)
    return FrameTimes(flip, np.append(0.0, ends), flip, "no sync")


def frames_from_vsyncs(
    vsyncs: Floats, display: Floats | None, *, lag: float | None, expected: int
) -> FrameTimes:
    """Return the times of frames of a synced file.

    Parameters
    ----------
    vsyncs : array, shape (n_frames,)
        The falling edges of the vsync line, s.
    display : array or None
        Display times by the photodiode.
    lag : float or None
        From flip to display (s), for where there is no photodiode; None: display times are NaN then.
    expected : int
        The number of frames in the file, checked.
    """
    if len(vsyncs) != expected:
        raise ValueError(f"{len(vsyncs)} vsyncs for {expected} frames")
    before = np.append(np.nan, vsyncs[:-1])
    if display is not None:
        return FrameTimes(vsyncs, before, display, "photodiode")
    if lag is not None:
        return FrameTimes(vsyncs, before, vsyncs + lag, "constant lag")
    return FrameTimes(vsyncs, before, np.full(len(vsyncs), np.nan), "none")


def vsync_blocks(sync: SyncFile) -> list[Floats]:
    """Return the vsyncs of each script that ran, in order, seconds from the first sync sample.

    A vsync is the falling edge of ``vsync_stim``: the line is up during a flip. Where ``stim_running`` was
    recorded, each of its pulses is a block, and vsyncs outside of them (a monitor test, a script of something
    else) are left out; else blocks are told apart by gaps of more than 1 s. Blocks of a single vsync (a script
    that was stopped at once) and slow ones (a median interval of 1 s or more) are left out.
    """
    rising, falling = sync.rising("vsync_stim"), sync.falling("vsync_stim")
    # a line that was up when sync started goes down without a flip
    vsyncs = falling[np.searchsorted(falling, rising[0]) :] if len(rising) else falling[:0]
    starts, stops = _pulses(sync)
    if len(starts):
        pairs = zip(np.searchsorted(vsyncs, starts), np.searchsorted(vsyncs, stops, "right"), strict=True)
        blocks = [vsyncs[first:last] for first, last in pairs]
    else:
        blocks = np.split(vsyncs, np.flatnonzero(np.diff(vsyncs) > _LONGEST_GAP) + 1)
    return [b for b in blocks if len(b) >= _SHORTEST_BLOCK and np.median(np.diff(b)) < _LONGEST_GAP]


def _pulses(sync: SyncFile) -> tuple[Floats, Floats]:
    """When ``stim_running`` was up: starts and stops; one that was still up at the end stops there."""
    if not sync.has("stim_running"):
        return np.empty(0), np.empty(0)
    starts, stops = sync.rising("stim_running"), sync.falling("stim_running")
    if not len(starts):
        # up from before the first sample
        return np.empty(0), np.empty(0)
    stops = stops[np.searchsorted(stops, starts[0]) :]
    if len(stops) < len(starts):
        stops = np.append(stops, sync.total_seconds)
    return starts, stops[: len(starts)]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a stimulus file says of its own frames.

    Attributes
    ----------
    stem : str
        The file's name.
    start : float
        When the script started, by the computers' clocks, seconds from the start of sync.
    intervals : array, shape (n_frames - 1,)
        Frame intervals by the script's clock, s.
    """

    stem: str
    start: float
    intervals: Floats

    @property
    def n_frames(self) -> int:
        """The number of frames; 0 without intervals."""
        return len(self.intervals) + 1 if len(self.intervals) else 0


@dataclass(frozen=True, slots=True)
class Match:
    """The vsyncs of a file's frames, or why there are none.

    Attributes
    ----------
    vsyncs : array or None
        Shape (n_frames,), s.
    issue : str or None
        What is wrong, where there are no vsyncs.
    """

    vsyncs: Floats | None
    issue: str | None


def matched_blocks(files: Sequence[Recorded], blocks: Sequence[Floats]) -> list[Match]:
    """Return, for each file, the block of vsyncs that is its frames.

    A block is a file's when it has as many vsyncs as the file has frames, one more or one less, at the
    intervals that the script saw. Of several such blocks it is the one that starts nearest to when the script
    did; that one also with other intervals, if their number is right. No block is two files': the better fit
    has it.

    Parameters
    ----------
    files : sequence of Recorded
    blocks : sequence of array
        As `vsync_blocks` returns them.
    """
    found: list[Match | None] = [None] * len(files)
    fits = []
    for f, file in enumerate(files):
        if not file.n_frames:
            found[f] = Match(None, f"{file.stem} has no frames: the script ended before it showed any.")
            continue
        late = [abs(float(block[0]) - file.start) for block in blocks]
        for b, block in enumerate(blocks):
            fitted = _fitted(block, file.intervals)
            if fitted is None:
                continue
            misfit = not _are_the_same(fitted, file.intervals)
            if not misfit or (len(block) == file.n_frames and late[b] == min(late)):
                fits.append((misfit, len(block) != file.n_frames, late[b], f, b))
    taken: set[int] = set()
    for *_, f, b in sorted(fits):
        if found[f] is None and b not in taken:
            taken.add(b)
            found[f] = Match(_fitted(blocks[b], files[f].intervals), None)
    return [match or Match(None, _mismatch(files[f], blocks)) for f, match in enumerate(found)]


# s: intervals of the script and of the vsync line differ by some 0.1 ms; those of two runs by whole refreshes,
# wherever one of them dropped a frame
_MISFIT = 0.004
# s: half a refresh
_ANOTHER_REFRESH = 0.008


def _fitted(block: Floats, intervals: Floats) -> Floats | None:
    """The vsyncs of all frames, out of a block that has as many, or one more or less; else None."""
    extra = len(block) - len(intervals) - 1
    if extra == 0:
        return block
    if extra == 1:
        return min((block[1:], block[:-1]), key=lambda vsyncs: _misfit(vsyncs, intervals))
    if extra == -1 and len(block) > _SHORTEST_BLOCK:
        return _with_missing(block, intervals)
    return None


def _with_missing(vsyncs: Floats, intervals: Floats) -> Floats:
    """The vsyncs with the one that was not recorded, at the place where the script's intervals fit best.

    It is the first or last where the script was started or stopped while the line was up; else the sync board
    missed it.
    """
    between = np.diff(vsyncs)
    # up to the missing one, intervals are the script's of the same number, after it those of the next; the one
    # across it is two of the script's
    before = np.append(0.0, np.cumsum((between - intervals[:-1]) ** 2))
    after = np.append(np.cumsum((between - intervals[1:])[::-1] ** 2)[::-1], 0.0)
    across = (between - intervals[:-1] - intervals[1:]) ** 2
    missing = int(np.argmin([after[0], *(before[:-1] + across + after[1:]), before[-1]]))
    if missing == 0:
        return np.append(vsyncs[0] - intervals[0], vsyncs)
    return np.insert(vsyncs, missing, vsyncs[missing - 1] + intervals[missing - 1])


def _are_the_same(vsyncs: Floats, intervals: Floats) -> bool:
    """Whether the intervals are those between the vsyncs: at no frame a refresh more or less.

    What is wrong with each interval may add up over hours, so the sum alone would tell too little.
    """
    if _misfit(vsyncs, intervals) <= _MISFIT:
        return True
    return bool((np.abs(np.diff(vsyncs) - intervals) < _ANOTHER_REFRESH).all())


def _misfit(vsyncs: Floats, intervals: Floats) -> float:
    """How far the script's frames are from the vsyncs, s, but for the drift between the two clocks."""
    apart = np.append(0.0, np.cumsum(intervals)) - (vsyncs - vsyncs[0])
    along = np.linspace(-1, 1, len(apart))
    apart = apart - apart.mean()
    apart -= along * (along @ apart) / (along @ along)
    return float(np.sqrt(np.mean(apart**2)))


def _mismatch(file: Recorded, blocks: Sequence[Floats]) -> str:
    lengths = ", ".join(f"{len(b)} from {b[0]:.1f} s" for b in blocks) or "none"
    return (
        f"{file.stem} has {file.n_frames} frames and was started {file.start:.0f} s after sync, "
        f"but no block of vsyncs is left for it (blocks: {lengths})."
    )
