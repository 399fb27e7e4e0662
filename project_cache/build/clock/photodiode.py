"""When frames were seen: the photodiode's edges put to the frames that made them.

A box in a corner of the screen turns from black to white or back every frame (until 2025-07-15) or every third
(since), and a photodiode on it writes a sync line. The screen refreshes on a grid of its own; a frame is seen
at the first refresh after its flip, and a frame that came late is seen a whole refresh late. So a frame's time
is a refresh, and the edges say which: rising ones also when, to 0.1 ms; falling ones are some ms late, for the
screen is slow to go black.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CENTRE_AFTER_TOP", "CONSTANT_LAG", "display_times"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CONSTANT_LAG = 0.02755
"""From a vsync to the frame in the centre of the screen where there is no photodiode to tell, s: the mean of
the Dynamic Routing rigs (0.01955 s to the photodiode, 0.008 s from there)."""
CENTRE_AFTER_TOP = 0.008
"""From the photodiode, at the top of the screen, to the centre: half a refresh, s."""

# s, from a vsync to its refresh at the photodiode: a frame is seen no sooner, unless dropped frames say so
_SHORTEST_LAG = 0.015
_FEWEST_FRAMES = 12
_FLICKER = 0.4  # of a refresh: no box is white or black for less
_LEAST_SEEN = 0.75  # of the rising edges that there should be: with fewer the photodiode was not on the box
# s: an edge this near to where its neighbours say that a refresh is, is on it; one so far is never
_ON_GRID, _OFF_GRID = 0.0003, 0.0015
_NEIGHBOURS = 31
_AROUND = 5  # frames that are compared, where there are no edges
_EARLIEST = 0.35  # of a refresh: how much sooner than its refresh a frame may seem to be
_CHANGES = (1, 2, 3, 4, 5, 6)  # frames from one change of the box to the next that are told apart


@dataclass(frozen=True, slots=True)
class _Box:
    """How the box changed: every `period` frames, white first at frame `white` (of twice the period)."""

    period: int
    white: int
    lag_rising: float
    lag_falling: float


def display_times(vsyncs: Floats, rising: Floats, falling: Floats) -> Floats | None:
    """Return when each frame appeared in the centre of the screen, s; None where the photodiode cannot tell.

    Every how many frames the box changes, and whether it was black or white first, is found in the data.
    Edges that are missing, double or too many do no harm: each frame is put on the refresh that the edges
    around it and its own vsync agree on, so an edge that is wrong moves no frame but those beside it.

    Parameters
    ----------
    vsyncs : array, shape (n_frames,)
        When each frame was flipped, ascending, s.
    rising, falling : array
        The photodiode's edges, ascending, s; those outside of the block do no harm.

    Returns
    -------
    array, shape (n_frames,), or None
        Strictly ascending.
    """
    if len(vsyncs) < _FEWEST_FRAMES:
        return None
    refresh = float(np.median(np.diff(vsyncs)))
    first, last = vsyncs[0], vsyncs[-1] + 5 * refresh
    rising = rising[np.searchsorted(rising, first) : np.searchsorted(rising, last)]
    falling = falling[np.searchsorted(falling, first) : np.searchsorted(falling, last)]
    rising, falling = _without_flickers(rising, falling, _FLICKER * refresh)
    box = _box(vsyncs, rising, falling, refresh)
    if box is None:
        return None
    frames = np.arange(len(vsyncs))
    whites = frames[box.white :: 2 * box.period]
    blacks = frames[(box.white + box.period) % (2 * box.period) :: 2 * box.period]
    near = 0.95 * refresh
    on = _edges_of(vsyncs[whites] + box.lag_rising, rising, near)
    if np.isfinite(on).mean() < _LEAST_SEEN:
        return None
    off = _edges_of(vsyncs[blacks] + box.lag_falling, falling, near)
    # the screen may drop a frame some frames sooner or later than the script does
    sure = np.isfinite(on)
    between = whites[sure], on[sure]
    on = _in_order(whites, on, vsyncs[whites] + box.lag_rising, rising, between, 2.5 * refresh)
    off = _in_order(blacks, off, vsyncs[blacks] + box.lag_falling, falling, between, 2.5 * refresh)
    # what each frame's time is about: it decides on the refresh, and on nothing else
    about = vsyncs + box.lag_rising
    about[blacks] = np.where(np.isfinite(off), off - box.lag_falling + box.lag_rising, about[blacks])
    seen = np.isfinite(on)
    anchors, times = _on_grid(whites[seen], on[seen], refresh)
    return _on_refreshes(about, anchors, times, refresh) + CENTRE_AFTER_TOP


def _without_flickers(rising: Floats, falling: Floats, shortest: float) -> tuple[Floats, Floats]:
    """Return the edges without pulses and gaps that are shorter than any frame, both of whose edges go."""
    times = np.concatenate([rising, falling])
    up = np.arange(len(times)) < len(rising)
    order = np.argsort(times, kind="stable")
    times, up = times[order], up[order]
    keep = np.ones(len(times), np.bool_)
    lasted = np.diff(times)
    short = np.flatnonzero((lasted < shortest) & (up[1:] != up[:-1]))
    # the shortest first: beside a flicker a true frame may look short
    for i in short[np.argsort(lasted[short], kind="stable")]:
        if keep[i] and keep[i + 1]:
            keep[i : i + 2] = False
    return times[keep & up], times[keep & ~up]


def _box(vsyncs: Floats, rising: Floats, falling: Floats, refresh: float) -> _Box | None:
    """How the box changed in this block, from its edges; None where they make no sense."""
    if len(rising) < 3 or not len(falling):
        return None
    period = round(float(np.median(np.diff(rising))) / (2 * refresh))
    if period not in _CHANGES:
        return None
    lag = _lag(vsyncs, rising, refresh)
    if lag is None:
        return None
    cycle = 2 * period
    lag += refresh * _shift(vsyncs, rising, cycle, lag, refresh)
    frames = _nearest(vsyncs, rising - lag)
    white = _commonest(frames % cycle, cycle)
    latest = (rising - vsyncs[frames])[frames % cycle == white]
    if not len(latest):
        return None
    lag = float(np.median(latest))
    frames = _nearest(vsyncs, falling - lag)
    black = (falling - vsyncs[frames])[frames % cycle == (white + period) % cycle]
    return _Box(period, white, lag, float(np.median(black)) if len(black) else lag)


def _lag(vsyncs: Floats, rising: Floats, refresh: float) -> float | None:
    """From a vsync to the edge of its frame: the one time of a refresh's span that most edges agree on."""
    frames = np.searchsorted(vsyncs, rising, "right") - 1
    turn = (rising - vsyncs[frames])[frames >= 0] / refresh
    mean = np.exp(2j * np.pi * turn).mean()
    if abs(mean) < 0.5:
        # edges at any time: no box, or the diode on something else
        return None
    lag = float(np.angle(mean)) / (2 * np.pi) % 1 * refresh
    return lag + refresh * float(np.ceil((_SHORTEST_LAG - lag) / refresh))


def _shift(vsyncs: Floats, rising: Floats, cycle: int, lag: float, refresh: float) -> int:
    """By how many refreshes the lag is longer than was thought.

    A dropped frame is long on both lines. With the wrong frame put to each edge, there is none in time for the
    edge beside it, and the box seems to lose count; with the right one it does not.
    """
    wrong = {}
    for shift in (0, 1, -1):
        expected = rising - lag - shift * refresh
        frames = _nearest(vsyncs, expected)
        late = np.abs(vsyncs[frames] - expected) > refresh / 2
        wrong[shift] = late | (frames % cycle != _commonest(frames % cycle, cycle))
    best = min(wrong, key=lambda shift: int(wrong[shift].sum()))
    # of the edges that are right by one of the two and wrong by the other, more than chance would have it
    better, worse = int((wrong[0] & ~wrong[best]).sum()), int((wrong[best] & ~wrong[0]).sum())
    return best if better - worse > 3 + 3 * np.sqrt(better + worse) else 0


def _commonest(values: Ints, n: int) -> int:
    return int(np.argmax(np.bincount(values, minlength=n)))


def _nearest(times: Floats, asked: Floats) -> Ints:
    """The index of the nearest of `times` (ascending, not empty) to each of `asked`."""
    after = np.clip(np.searchsorted(times, asked), 1, max(len(times) - 1, 1))
    nearer = np.abs(asked - times[after - 1]) <= np.abs(times[np.minimum(after, len(times) - 1)] - asked)
    return np.where(nearer, after - 1, np.minimum(after, len(times) - 1))


def _edges_of(expected: Floats, edges: Floats, within: float) -> Floats:
    """The edge of each expected time; NaN where there is none near, or it is nearer to another."""
    found = np.full(len(expected), np.nan)
    if not len(edges) or not len(expected):
        return found
    chosen = _nearest(edges, expected)
    late = np.abs(edges[chosen] - expected)
    # each edge to the one that it fits best
    order = np.lexsort((late, chosen))
    best = order[np.append(True, np.diff(chosen[order]) != 0)]
    best = best[late[best] < within]
    found[best] = edges[chosen[best]]
    return found


def _in_order(
    frames: Ints, found: Floats, expected: Floats, edges: Floats, sure: tuple[Ints, Floats], within: float
) -> Floats:
    """Return `found`, with the edges that are left over given to the frames that have none, in order.

    Between two frames that are sure of their edges there must be as many of the one as of the other.
    """
    open_ = np.flatnonzero(np.isnan(found))
    free = edges[~np.isin(edges, found)]
    n = len(sure[0]) + 1
    frame_part, edge_part = np.searchsorted(sure[0], frames[open_]), np.searchsorted(sure[1], free)
    same = np.bincount(frame_part, minlength=n) == np.bincount(edge_part, minlength=n)
    same[[0, -1]] = False
    given, edge = open_[same[frame_part]], free[same[edge_part]]
    near = np.abs(edge - expected[given]) < within
    found = found.copy()
    found[given[near]] = edge[near]
    return found


def _on_grid(frames: Ints, times: Floats, refresh: float) -> tuple[Ints, Floats]:
    """Return the frames, and their edges, without edges that are on no refresh: those of something else."""
    from scipy.ndimage import uniform_filter1d

    if len(times) < 3:
        return frames, times
    # the part of a refresh at which each comes is nearly that of the others around it
    turn = 2j * np.pi / refresh
    phase = np.exp(turn * (times - times[0]))
    usual = uniform_filter1d(phase, _NEIGHBOURS, mode="nearest")
    off = np.angle(phase * usual.conj()) / abs(turn)
    scatter = 1.4826 * float(np.median(np.abs(off)))
    good = np.abs(off) < min(max(8 * scatter, _ON_GRID), _OFF_GRID)
    return (frames[good], times[good]) if good.mean() > 0.5 else (frames, times)


def _on_refreshes(about: Floats, anchors: Ints, times: Floats, refresh: float) -> Floats:
    """Return the times of all frames: those of the anchors, and between them the refreshes nearest to `about`.

    Parameters
    ----------
    about : array, shape (n_frames,)
        Where each frame is thought to be, s.
    anchors, times : array, shape (k,)
        Frames whose times are known, ascending, and the times, s.
    refresh : float
        About how long a refresh is, s.
    """
    from scipy.ndimage import median_filter

    n = len(about)
    refresh = _refresh(times, refresh)
    if anchors[0] > 0:
        back = max(int(anchors[0]), round((times[0] - about[0]) / refresh))
        anchors, times = np.append(0, anchors), np.append(times[0] - back * refresh, times)
    if anchors[-1] < n - 1:
        on = max(n - 1 - int(anchors[-1]), round((about[-1] - times[-1]) / refresh))
        anchors, times = np.append(anchors, n - 1), np.append(times, times[-1] + on * refresh)
    between = np.diff(anchors)
    # refreshes from anchor to anchor; where there are fewer than frames, two were flipped within one
    steps = np.maximum(np.round(np.diff(times) / refresh).astype(np.int64), between)
    count = np.append(0, np.cumsum(steps))
    part = np.clip(np.searchsorted(anchors, np.arange(n), "right") - 1, 0, len(steps) - 1)
    start, length = times[part], np.diff(times)[part] / steps[part]
    into = np.arange(n) - anchors[part]
    # a vsync may come late, and never early
    turn = np.floor((about - start) / length + _EARLIEST).astype(np.int64)
    turn = np.clip(turn, into, steps[part] - (between[part] - into))
    # how many refreshes had no new frame until then, which can but grow: a frame that seems later than those
    # after it only seems so
    idle = turn + count[part] - np.arange(n)
    idle[anchors] = count - anchors
    idle = median_filter(idle, _AROUND, mode="nearest")
    idle[anchors] = count - anchors
    idle = np.minimum.accumulate(idle[::-1])[::-1]
    turn = np.clip(idle + np.arange(n) - count[part], into, steps[part] - (between[part] - into))
    times_of_all: Floats = start + turn * length
    return times_of_all


def _refresh(times: Floats, refresh: float) -> float:
    """The length of a refresh, from all edges together."""
    steps = np.round(np.diff(times) / refresh)
    return float((times[-1] - times[0]) / steps.sum()) if len(steps) and steps.sum() else refresh
