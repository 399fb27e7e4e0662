"""What goes wrong on a rig, and how each of it is done to a simulated session."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from project_cache.testing.rig.sync_file import Line
from project_cache.testing.rig.timeline import Floats, Frames

__all__ = [
    "FAULTS",
    "checked",
    "cut",
    "diode_line",
    "with_short_flips",
    "without_edges",
    "without_middle_edge",
]

#: every switch, and what it does
FAULTS = {
    "dropped_frames": "0.4 % of frames miss their refresh",
    "missing_diode_edges": "the photodiode misses two changes of its box in the task",
    "extra_short_flips": "the photodiode sees pairs of changes 2 ms apart that were none",
    "black_first": "the diode's box begins black: its first change is a fall",
    "swapped_cameras": "the eye camera is plugged in where the face camera belongs, and the other way round",
    "lost_camera_frames": "exposures that reached no file; one report counts frames that had no exposure",
    "duplicate_barcodes": "the Arduino was reset, and its barcodes begin anew",
    "broken_barcode": "one barcode on each stream lacks two changes, and says something else",
    "truncated_recording": "the probes' recording ends at 60 % of the session",
    "truncated_continuous": "continuous.dat of the first probe ends in the middle of a sample",
    "late_ephys_start": "the probes' recording begins in the second stimulus",
    "missing_sync": "no sync file",
    "misnamed_stim": "the first Spontaneous file bears another mouse's number",
    "duplicate_task_file": "a task that was broken off after 10 s, and begun again",
    "truncated_stimulus": "the last stimulus file that is not the task ends half-way",
    "unopenable_stimulus": "the last stimulus file that is not the task is not HDF5",
    "rollover": "sync ran since the night: its counter rolls over in the session",
    "aborted_stimulus": "a stimulus that was broken off after one frame, with no file",
    "missing_vsync_frame": "the sync board missed one vsync of the task",
    "failed_probe_sorting": "nothing sorted for the last probe",
    "negative_lick_durations": "the tongue was on the spout when sync began",
    "manual_rewards": "two rewards by hand; the script stores them twice",
}


def checked(faults: tuple[str, ...]) -> frozenset[str]:
    """Return these faults as a set.

    Raises
    ------
    ValueError
        One is not in `FAULTS`.
    """
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise ValueError(f"no such faults: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return frozenset(faults)


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


def without_middle_edge(line: Line, per_barcode_s: float, time: float) -> Line:
    """Return a barcode line of which the barcode that began at `time` (s) lacks two changes."""
    inside = np.flatnonzero((line.edges > time + 0.1) & (line.edges < time + per_barcode_s))
    return Line(np.delete(line.edges, inside[2:4]), line.high)


def cut(path: Path, share: float) -> None:
    """Cut a file to a share of its bytes, so that it ends where no sample and no block ends."""
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share) // 2 * 2 + 1)
