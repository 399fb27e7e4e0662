"""What the photodiode sees of the box in the corner of the screen."""

from __future__ import annotations

import numpy as np

from project_cache.testing.rig.timeline import Floats, Frames

__all__ = ["diode_line", "with_short_flips", "without_edges"]


def diode_line(
    rng: np.random.Generator, frames: list[Frames], lag: float, every: int, black_first: bool
) -> tuple[list[Floats], bool]:
    """Return the changes that the photodiode sees in each stimulus, and whether its line is high before.

    The box is on every `every`-th frame of another colour. Light rises at once; that it is gone is noticed
    2.5 ms late, more or less. Between stimuli the box is taken off the screen.
    """
    made = []
    for clock in frames:
        light = clock.display - lag
        edges = light[::every].copy()
        falls = np.arange(len(edges)) % 2 == (0 if black_first else 1)
        edges[falls] += rng.normal(0.0025, 0.0005, int(falls.sum())).clip(0.001, 0.004)
        rests = edges[-1] + 1.0
        # an odd number of changes leaves the line where it did not begin
        made.append(np.append(edges, rests) if len(edges) % 2 else edges)
    return made, black_first


def without_edges(edges: Floats, at: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Return edges without the pairs that stand at these shares of them, and what was taken out."""
    gone = sorted({int(len(edges) * share) + i for share in at for i in (0, 1)})
    return np.delete(edges, gone), edges[gone]


def with_short_flips(edges: Floats, at: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Return edges with pairs 2 ms apart put 5 ms behind the ones at these shares, and the pairs."""
    behind = edges[[int(len(edges) * share) for share in at]] + 0.005
    extra = np.sort(np.concatenate([behind, behind + 0.002]))
    return np.sort(np.concatenate([edges, extra])), extra
