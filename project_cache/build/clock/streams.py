"""Probes' clocks: barcodes on their TTL lines, matched with those on the sync line.

A barcode is a burst of pulses that comes every 30 seconds, on the sync line and on all Open Ephys devices at
once. Each device counts samples by a clock of its own, which is off by a few parts in a million and slowly at
that; so a straight line through all shared barcodes turns samples into seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.streams import Stream

__all__ = ["StreamClock", "decode_barcodes", "match_clocks", "stream_clock"]

#: seconds between the last pulse of a barcode and the first of the next one, at the least
BARCODE_GAP = 29.0
#: seconds at both ends of a recording in which a barcode may have been cut
EDGE = 2.0
BAR = 0.015
BITS = 32
#: no pulse of a barcode is as short as this, in seconds: what is, was induced in the cable
GLITCH = 0.002
#: how far from its nominal rate a device's clock can be: crystals keep to 1e-4
MAX_DRIFT = 5e-4
#: seconds by which a barcode may be off the line, however well the others fit it
TOLERANCE = 0.001


@dataclass(frozen=True, slots=True)
class StreamClock:
    """When a stream's samples were taken, in seconds of the session's clock.

    Attributes
    ----------
    rate : float
        Hz, as the session's clock sees it.
    start : float
        Time of the first sample, s.
    n_samples : int
        Number of samples of each channel.
    residual : float
        Root mean square of the distances between the barcodes and the line through them, s; NaN where no more
        than two fix it.
    n_barcodes : int
        Number of barcodes that the line goes through.
    method : str
        ``"barcodes"``, ``"one barcode, nominal rate"``, ``"adjusted timestamps"`` or ``"nominal rate"``.
    gaps : tuple of (int, int)
        Where samples were lost: the number of the sample that follows among those that are here, and how many
        are missing before it. Almost always empty.
    """

    rate: float
    start: float
    n_samples: int
    residual: float
    n_barcodes: int
    method: str = "barcodes"
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def stop(self) -> float:
        """Time at which the last sample ends, s."""
        return float(self.times(self.n_samples))

    def times(self, samples: ArrayLike) -> NDArray[np.float64]:
        """Return the times of samples, s; samples are numbered as they lie in the file, from 0 on."""
        counted = np.asarray(samples, dtype=np.float64)
        if self.gaps:
            after, missing = np.array(self.gaps).T
            lost = np.concatenate([[0], np.cumsum(missing)])
            counted = counted + lost[np.searchsorted(after, counted, side="right")]
        return counted / self.rate + self.start


def decode_barcodes(
    on: ArrayLike, off: ArrayLike, total: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return when the barcodes on a line began, and their values.

    A value is the states of the line at 32 instants, 15 ms apart, from the end of the first pulse on (1 where
    the line is low, the first the least significant). It is a fingerprint, the same on all clocks, and need
    not be the number that was sent. Pulses shorter than 2 ms are passed over. Barcodes within two seconds of either
    end are left out: they may be cut.

    Parameters
    ----------
    on, off : array-like of float
        Rising and falling edges, s.
    total : float
        Length of the recording, s.

    Returns
    -------
    times : numpy.ndarray of float64
        Rising edge with which each barcode began, s.
    values : numpy.ndarray of int64
        The fingerprints.
    """
    last = total - EDGE
    rising, falling = _without_glitches(np.asarray(on, dtype=np.float64), np.asarray(off, dtype=np.float64))
    rising, falling = rising[rising <= last], falling[falling <= last]
    if not len(rising):
        return np.empty(0), np.empty(0, np.int64)
    falling = falling[falling > rising[0]]
    gaps = np.diff(rising) > BARCODE_GAP
    starts = rising[1:][gaps]
    if rising[0] > EDGE:
        starts = np.concatenate([rising[:1], starts])
    ends = np.searchsorted(falling, starts, side="right")
    starts, ends = starts[ends < len(falling)], ends[ends < len(falling)]
    instants = falling[ends][:, None] + BAR * np.arange(BITS)
    # low where as many edges went down as up until then
    low = np.searchsorted(falling, instants, side="right") >= np.searchsorted(rising, instants, side="right")
    values = (low.astype(np.int64) << np.arange(BITS)).sum(axis=1)
    return starts, values


def _without_glitches(
    on: NDArray[np.float64], off: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rising and falling edges, in order, but for those that are too near to each other to be meant."""
    times = np.concatenate([on, off])
    up = np.arange(len(times)) < len(on)
    order = np.argsort(times, kind="stable")
    times, up = times[order], up[order]
    while len(near := np.flatnonzero((np.diff(times) < GLITCH) & (up[1:] != up[:-1]))):
        # in a run of them, every other one: the edges of two pairs are not the same
        begins = np.concatenate([[True], np.diff(near) > 1])
        first = near[(near - near[begins][np.cumsum(begins) - 1]) % 2 == 0]
        keep = np.ones(len(times), dtype=bool)
        keep[first] = keep[first + 1] = False
        times, up = times[keep], up[keep]
    return times[up], times[~up]


def match_clocks(
    sync_times: ArrayLike,
    sync_values: ArrayLike,
    times_samples: ArrayLike,
    values: ArrayLike,
    nominal_rate: float,
    n_samples: int,
) -> StreamClock:
    """Return the clock of a device, from barcodes that it and the sync line both have.

    Barcodes of the same value are paired. Those pairs that agree, within the drift that a clock may have, on
    when the device began are true (a value that stands twice makes false ones, half a minute off or more);
    the line goes through all of them by least squares, but for those that lie off it.

    Parameters
    ----------
    sync_times : array-like of float
        When barcodes began on the sync line, s.
    sync_values : array-like of int
        Their values.
    times_samples : array-like of float
        When barcodes began on the device, in samples since its first.
    values : array-like of int
        Their values.
    nominal_rate : float
        The device's own idea of its rate, Hz.
    n_samples : int
        Number of samples that it recorded.

    Raises
    ------
    MissingDataError
        No barcode is on both.
    """
    t = np.asarray(sync_times, dtype=np.float64)
    m = np.asarray(times_samples, dtype=np.float64)
    here, there = np.nonzero(np.asarray(values)[:, None] == np.asarray(sync_values)[None, :])
    if not len(here):
        raise MissingDataError(
            f"There are no matching barcodes: the device has {len(m)}, the sync line {len(t)}, and none of the same "
            "value. One of them is of another recording, or its barcode line was not plugged in."
        )
    m, t = m[here], t[there]
    keep = _agreeing(m / nominal_rate, t)
    m, t = m[keep], t[keep]
    if len(m) == 1:
        start = float(t[0] - m[0] / nominal_rate)
        return StreamClock(nominal_rate, start, n_samples, float("nan"), 1, "one barcode, nominal rate")
    seconds_per_sample, start, inliers = _line(m, t, 1 / nominal_rate)
    left = (t - start - m * seconds_per_sample)[inliers]
    residual = float(np.sqrt(np.mean(left**2))) if len(left) > 2 else float("nan")
    return StreamClock(1 / seconds_per_sample, start, n_samples, residual, len(left))


def _agreeing(m: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pairs are of the largest set that agrees on the start, or of the straightest of the largest."""
    starts = t - m
    # where the drift may be MAX_DRIFT, starts that are reckoned back from barcodes spread by this
    spread = MAX_DRIFT * float(np.ptp(m)) + TOLERANCE
    ordered = np.sort(starts)
    sizes = np.searchsorted(ordered, ordered + spread, side="right") - np.arange(len(ordered))
    # Were all barcodes the same, any shift by some of them would do; but no two follow at the very same time.
    lows = ordered[sizes == sizes.max()]
    sets: list[NDArray[np.bool_]] = [(starts >= low) & (starts <= low + spread) for low in lows]
    if sizes.max() <= 2:
        return sets[-1]
    bends = [_bend(m[each], t[each]) for each in sets[:100]]
    return sets[int(np.argmin(bends))]


def _bend(m: NDArray[np.float64], t: NDArray[np.float64]) -> float:
    """Return by how much points are off the line through them, in the middle of all."""
    slope, start = np.polyfit(m - m.mean(), t, 1)
    return float(np.median(np.abs(t - start - slope * (m - m.mean()))))


def _line(
    m: NDArray[np.float64], t: NDArray[np.float64], nominal: float
) -> tuple[float, float, NDArray[np.bool_]]:
    """Return slope and intercept of t over m, and which points they go through."""
    # Begun with the median of the slopes of all pairs of points, of which a few wrong points change nothing.
    first, second = np.triu_indices(len(m), 1)
    apart = m[second] != m[first]
    slopes = (t[second] - t[first])[apart] / (m[second] - m[first])[apart]
    slopes = slopes[np.abs(slopes / nominal - 1) <= MAX_DRIFT]
    if not len(slopes):
        raise MissingDataError(
            "There are no matching barcodes: those of the same value come at times that no device's clock could give."
        )
    slope = float(np.median(slopes))
    start = float(np.median(t - slope * m))
    inliers = np.ones(len(m), dtype=bool)
    for _ in range(20):
        left = t - start - slope * m
        # 1.4826 × the median distance is the deviation of points that scatter as a Gaussian does
        scatter = 1.4826 * float(np.median(np.abs(left)))
        now = np.abs(left) <= min(max(5 * scatter, 1e-4), TOLERANCE)
        if now.sum() < 2 or np.array_equal(now, inliers):
            break
        inliers = now
        centre_m, centre_t = m[inliers].mean(), t[inliers].mean()
        d = m[inliers] - centre_m
        slope = float(np.sum(d * (t[inliers] - centre_t)) / np.sum(d * d))
        start = float(centre_t - slope * centre_m)
    return slope, start, inliers


def stream_clock(
    stream: Stream, sync_barcodes: tuple[NDArray[np.float64], NDArray[np.int64]] | None
) -> StreamClock:
    """Return the clock of a stream.

    Parameters
    ----------
    stream : Stream
        What Open Ephys recorded.
    sync_barcodes : tuple of numpy.ndarray, or None
        Times and values of the barcodes on the sync line; None for a recording without sync, which begins at
        0 and keeps its nominal rate.

    Raises
    ------
    MissingDataError
        The stream and the sync line share no barcode, or the stream has no events.
    """
    n_samples = stream.n_samples
    if stream.adjusted:
        return _adjusted(stream, n_samples)
    if sync_barcodes is None:
        return StreamClock(stream.nominal_rate, 0.0, n_samples, float("nan"), 0, "nominal rate")
    samples, states, lines = stream.ttl()
    best: StreamClock | None = None
    problem = MissingDataError("There are no matching barcodes: there are no TTL events.")
    for line in np.unique(lines).tolist():
        seconds = samples[lines == line] / stream.nominal_rate
        up = states[lines == line] > 0
        # Events may go on after the last sample that is here: the file may have been cut short.
        total = max(n_samples / stream.nominal_rate, float(seconds[-1]) + 2 * EDGE)
        times, values = decode_barcodes(seconds[up], seconds[~up], total)
        try:
            clock = match_clocks(
                *sync_barcodes, times * stream.nominal_rate, values, stream.nominal_rate, n_samples
            )
        except MissingDataError as error:
            problem = error
            continue
        if best is None or clock.n_barcodes > best.n_barcodes:
            best = clock
    if best is None:
        raise MissingDataError(f"{stream.name} ({stream.path}): {problem}") from problem
    return replace(best, gaps=stream.gaps)


def _adjusted(stream: Stream, n_samples: int) -> StreamClock:
    """Return the clock that timestamps on the session's clock, written by an earlier alignment, amount to."""
    times = stream.timestamps
    if times.ndim != 1 or len(times) < 2 or not times[-1] > times[0]:
        raise CorruptObjectError(
            f"{stream.path / 'timestamps.npy'} holds no times that could be an alignment."
        )
    rate = (len(times) - 1) / float(times[-1] - times[0])
    return StreamClock(rate, float(times[0]), n_samples, float("nan"), 0, "adjusted timestamps")
