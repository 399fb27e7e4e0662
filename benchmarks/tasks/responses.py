"""Responses to 600 presentations: counts in 200 bins, spike times, statistics by condition, and a slice of LFP.

usage: responses.py (ours | allensdk) CACHE_FOLDER SESSION_ID
"""

from __future__ import annotations

import resource
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from common import Laps

warnings.filterwarnings("ignore")
who, folder, session_id = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
laps = Laps()
PRESENTATIONS, BINS, UNITS = 600, 200, 1_000


# Libraries are imported on first use here, and at once by AllenSDK: imports are measured elsewhere.
import xarray  # noqa: E402, F401

if who == "ours":
    from project_cache import EcephysProjectCache
    from project_cache.sessions import ecephys  # noqa: F401
else:
    from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

cache = EcephysProjectCache.from_warehouse(manifest=str(folder / "manifest.json"))


def peak_mb() -> float:
    """The most memory that the process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def one(name: str, step: Any) -> Any:
    """Run a step, and note by how much it raised the peak, and how many bytes it gave."""
    before = peak_mb()
    result = laps.lap(name, step)
    size = result.memory_usage(index=True).sum() if hasattr(result, "memory_usage") else result.nbytes
    memory[name] = {"added_mb": peak_mb() - before, "output_mb": float(size) / 1e6}
    return result


memory: dict[str, dict[str, float]] = {}
session = laps.lap("open", lambda: cache.get_session_data(session_id))
presentations = session.get_stimulus_table("drifting_gratings").index.to_numpy()[:PRESENTATIONS]
units = session.units.index.to_numpy()[:UNITS]
if who == "allensdk":
    # it reads all spikes of all units on first use, which is not what is measured here
    laps.lap("spike_times", lambda: session.spike_times)
edges = np.linspace(-0.5, 2.0, BINS + 1)
total = int(
    one(
        "presentationwise_spike_counts",
        lambda: session.presentationwise_spike_counts(edges, presentations, units),
    ).values.sum()
)
spikes = len(
    one(
        "presentationwise_spike_times",
        lambda: session.presentationwise_spike_times(presentations, units),
    )
)
rows = len(
    one(
        "conditionwise_spike_statistics",
        lambda: session.conditionwise_spike_statistics(presentations, units),
    )
)
probe = session.probes.index[0]


def second_of_lfp() -> Any:
    """Return one second of four channels of a probe."""
    lfp = session.get_lfp(probe)
    start = float(lfp.time[0]) + 10
    return lfp.isel(channel=slice(0, 40, 10)).sel(time=slice(start, start + 1)).load()


samples = one("get_lfp, 1 s of 4 channels", second_of_lfp).size
laps.done(counted=total, spikes=spikes, rows=rows, samples=samples, memory=memory)
