"""A session: cold to the first spike train, or every attribute once.

usage: session.py (ours | allensdk | h5py) (first | all | every) CACHE_FOLDER SESSION_ID
"""

from __future__ import annotations

import resource
import sys
import warnings
from pathlib import Path
from typing import Any

from common import Laps

warnings.filterwarnings("ignore")
who, what, folder, session_id = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
laps = Laps()

#: the HDF5 datasets that the attributes are made of
UNITS = "/units"
TABLES = ("/general/extracellular_ephys/electrodes", "/intervals", "/processing/running")


def opened() -> Any:
    """Return the session as a user gets it."""
    manifest = str(folder / "manifest.json")
    if who == "ours":
        from project_cache import EcephysProjectCache
    else:
        from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

    return EcephysProjectCache.from_warehouse(manifest=manifest).get_session_data(session_id)


def touched(trains: Any) -> float:
    """Return the sum over all spikes, so that every byte is really there."""
    return float(sum(trains[unit].sum() for unit in trains))


def raw() -> None:
    """Read the same bytes with h5py, and nothing else; what a session would hand over is kept as it would be."""
    import h5py

    kept = []

    def summed(dataset: Any) -> float:
        values = dataset[:]
        if what == "every":
            kept.append(values)
        return float(values.sum())

    with h5py.File(folder / f"session_{session_id}" / f"session_{session_id}.nwb", "r") as file:
        units = file[UNITS]
        laps.lap(
            "units", lambda: [units[n][:] for n in units if units[n].ndim == 1 and not n.startswith("spike")]
        )
        laps.lap("channels", lambda: _all_of(file[TABLES[0]]))
        laps.lap("spike_times", lambda: summed(units["spike_times"]))
        laps.lap("mean_waveforms", lambda: summed(units["waveform_mean"]))
        laps.lap("stimulus_presentations", lambda: _all_of(file[TABLES[1]], skip=("tags", "timeseries")))
        laps.lap("running_speed", lambda: _all_of(file[TABLES[2]]))
        if what == "every":
            laps.lap("spike_amplitudes", lambda: summed(units["spike_amplitudes"]))
            laps.lap(
                "optotagging", lambda: _all_of(file["/processing/optotagging"], skip=("tags", "timeseries"))
            )


def _all_of(group: Any, skip: tuple[str, ...] = ()) -> int:
    import h5py

    count = 0
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            count += _all_of(item, skip)
        elif not name.startswith(skip or ("\0",)):
            count += item[()].size if item.shape else 1
    return count


PROPERTIES = (
    "units", "channels", "probes", "spike_times", "spike_amplitudes", "mean_waveforms", "stimulus_presentations",
    "stimulus_conditions", "inter_presentation_intervals", "running_speed", "optogenetic_stimulation_epochs", "invalid_times",
    "rig_geometry_data", "rig_equipment_name", "stimulus_names", "structure_acronyms", "structurewise_unit_counts", "num_units",
    "num_probes", "num_channels", "num_stimulus_presentations", "session_start_time", "specimen_name", "sex", "full_genotype",
    "session_type", "age_in_days", "metadata",
)  # fmt: skip


def size_of(value: Any) -> float:
    """Return the bytes of what a property gave, all of which have been touched."""
    import pandas as pd

    if isinstance(value, (pd.DataFrame, pd.Series)):  # noqa: UP038 - AllenSDK runs this as well
        used = value.memory_usage(index=True)
        return float(used.sum() if hasattr(used, "sum") else used)
    if not hasattr(value, "items"):
        return 0.0
    total = 0.0
    for each in (value[key] for key in value):
        array = getattr(each, "values", each)
        if hasattr(array, "nbytes"):
            array.sum()
            total += array.nbytes
    return total


if who == "h5py":
    raw()
    laps.done()
    sys.exit()

session = laps.lap("open", opened)
if what == "every":
    # what the libraries take is not the properties'
    import xarray  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    kept, given = [], 0.0
    for name in PROPERTIES:
        kept.append(laps.lap(name, lambda name=name: getattr(session, name)))
        given += laps.lap(f"touch {name}", lambda: size_of(kept[-1]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    laps.done(given_mb=given / 1e6, added_mb=peak - before)
    sys.exit()
if what == "first":
    # Any unit that passes the filters; AllenSDK knows them only when it has read all.
    train = laps.lap("first spike train", lambda: session.spike_times[session.units.index[0]])
    laps.done(spikes=len(train))
else:
    laps.lap("units", lambda: session.units)
    spikes = laps.lap("spike_times", lambda: touched(session.spike_times))
    waves = laps.lap(
        "mean_waveforms",
        lambda: float(sum(session.mean_waveforms[u].to_numpy().sum() for u in session.mean_waveforms)),
    )
    laps.lap("stimulus_presentations", lambda: session.stimulus_presentations)
    laps.lap("running_speed", lambda: session.running_speed)
    laps.done(spikes=round(spikes, 3), waves=round(waves, 3), units=len(session.units))
