"""The barcodes that an Arduino sends to the sync board and to every probe: what tells their clocks apart."""

from __future__ import annotations

import numpy as np

from project_cache.testing.rig.sync_file import Line
from project_cache.testing.rig.timeline import Floats, Ints, on_ticks

__all__ = ["PERIOD", "barcode_edges", "barcode_line", "broken", "sent"]

PERIOD = 29.9914  # seconds: the Arduino's 30, by its own clock
BAR = 0.015
PREAMBLE = (0.020, 0.020)  # high, low
BITS = 32


def sent(
    rng: np.random.Generator,
    seconds: float,
    first_value: int,
    *,
    from_second: float = 4.7154,
    restarted_after: int | None = None,
) -> tuple[Floats, Ints]:
    """Return when the barcodes began (s) and what they said.

    An Arduino that was reset after `restarted_after` barcodes says the first of them again.
    """
    # the Arduino's loop is not exact: were it so, all barcodes would begin at the same part of a sample
    gaps = PERIOD + rng.normal(0, 1e-3, int(seconds / PERIOD) + 1).clip(-5e-3, 5e-3)
    times = on_ticks(from_second + np.concatenate([[0.0], np.cumsum(gaps)]))
    times = times[times < seconds - 3.0]
    count = np.arange(len(times))
    if restarted_after is not None and len(times) > restarted_after:
        count[restarted_after:] -= restarted_after
    return times, first_value + count.astype(np.int64)


def barcode_edges(time: float, value: int) -> Floats:
    """Return when the line changes (s) for one barcode: up first, down last."""
    levels = [1, 0] + [(value >> bit) & 1 for bit in range(BITS)] + [0]
    widths = [*PREAMBLE] + [BAR] * BITS
    starts = time + np.concatenate([[0.0], np.cumsum(widths)])
    changed = np.flatnonzero(np.diff([0, *levels]))
    return np.asarray(starts[changed], dtype=np.float64)


def barcode_line(times: Floats, values: Ints) -> Line:
    """Return the line that carries these barcodes."""
    edges = [barcode_edges(t, int(v)) for t, v in zip(times, values, strict=True)]
    return Line(np.concatenate([*edges, np.zeros(0)]))


def broken(line: Line, time: float) -> Line:
    """Return a barcode line of which the barcode that began at `time` (s) lacks two changes."""
    inside = np.flatnonzero((line.edges > time + 0.1) & (line.edges < time + BITS * BAR))
    return Line(np.delete(line.edges, inside[2:4]), line.high)
