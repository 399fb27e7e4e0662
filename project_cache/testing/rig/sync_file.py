"""The sync board's HDF5 file: one row for each change of any of 32 lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from project_cache.testing.rig.timeline import Floats

__all__ = ["LABELS", "LINES", "Line", "pulses", "write_lines"]

RATE = 100_000

#: the lines of the Dynamic Routing rigs. "sound_running" (1), "laser_488" (11) and "reward" (15) are plugged
#: in but bear no label in the files.
LINES = {
    "barcode_ephys": 0,
    "sound_running": 1,
    "vsync_stim": 2,
    "stim_photodiode": 4,
    "stim_running": 5,
    "beh_frame_received": 8,
    "eye_frame_received": 9,
    "face_frame_received": 10,
    "laser_488": 11,
    "reward": 15,
    "stim_running_opto": 17,
    "stim_trial_opto": 18,
    "beh_cam_frame_readout": 21,
    "face_cam_frame_readout": 22,
    "eye_cam_frame_readout": 25,
    "beh_cam_exposing": 27,
    "face_cam_exposing": 28,
    "eye_cam_exposing": 29,
    "lick_sensor": 31,
}
UNLABELLED = ("sound_running", "laser_488", "reward")
LABELS = [
    next((name for name, line in LINES.items() if line == n and name not in UNLABELLED), "")
    for n in range(32)
]


@dataclass(frozen=True, slots=True)
class Line:
    """The times (s) at which a line changes, and whether it is high at the first sample."""

    edges: Floats
    high: bool = False


def pulses(on: npt.ArrayLike, off: npt.ArrayLike) -> Line:
    """Return a line that is high from each `on` to each `off` (s)."""
    return Line(np.sort(np.concatenate([np.asarray(on, np.float64), np.asarray(off, np.float64)])))


def write_lines(path: Path, lines: Mapping[str, Line], started: datetime, seconds: float) -> None:
    """Write the sync file of a recording of `seconds` that began at `started` (the rig's local time).

    The counter is 32 bits wide and rolls over after 11.9 hours.
    """
    ticks: list[npt.NDArray[np.int64]] = [np.zeros(1, np.int64)]
    bits: list[npt.NDArray[np.uint32]] = [np.zeros(1, np.uint32)]
    state = 0
    total = round(seconds * RATE)
    for name, line in lines.items():
        edges = np.round(line.edges * RATE).astype(np.int64)
        edges = edges[(edges > 0) & (edges < total)]
        ticks.append(edges)
        bits.append(np.full(len(edges), 1 << LINES[name], np.uint32))
        state |= int(line.high) << LINES[name]
    tick = np.concatenate(ticks)
    order = np.argsort(tick, kind="stable")
    tick, bit = tick[order], np.concatenate(bits)[order]
    # lines that change between the same two samples share a row
    starts = np.flatnonzero(np.diff(tick, prepend=-1))
    change = np.bitwise_xor.reduceat(bit, starts)
    word = np.bitwise_xor.accumulate(change) ^ np.uint32(state)
    data = np.column_stack([(tick[starts] & 0xFFFFFFFF).astype(np.uint32), word])
    meta: dict[str, Any] = {
        "ni_daq": {
            "device": "Dev1",
            "counter_output_freq": float(RATE),
            "sample_rate": float(RATE),
            "counter_bits": 32,
            "event_bits": 32,
        },
        "start_time": f"{started:%Y-%m-%d %H:%M:%S.%f}",
        "stop_time": f"{started + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f}",
        "line_labels": LABELS,
        "timeouts": [],
        "version": {"dio": "0.1.7", "sync": "2.2.1"},
        "sampling_type": "frequency",
        "file_version": "1.0.0",
        "line_label_revision": 3,
        "total_samples": total,
    }
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, chunks=(min(len(data), 65536), 2), track_times=False)
        file.create_dataset("meta", data=np.bytes_(repr(meta)), track_times=False)
