"""How many spikes each probe had in each second of the session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pynwb.behavior import BehavioralTimeSeries
    from pynwb.misc import Units

__all__ = ["all_spike_histograms", "spikes_by_probe"]

#: seconds
BIN = 1.0

Floats = npt.NDArray[np.float64]


def spikes_by_probe(units: Units) -> Iterator[tuple[str, npt.NDArray[np.int64], list[Floats]]]:
    """Yield the name of each probe, the rows of its units, and their spike times (s), as views of the table."""
    names = np.asarray(units["electrode_group_name"].data[:])
    times: Any = units.spike_times.data
    stops = np.asarray(units.spike_times_index.data[:], dtype=np.int64)
    starts = np.concatenate([[0], stops[:-1]])
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        yield str(name), rows, [times[starts[row] : stops[row]] for row in rows]


def all_spike_histograms(units: Units) -> BehavioralTimeSeries:
    """Return ``all_spike_histograms``: for each probe the spikes of all its good units, in bins of 1 s.

    Of a probe without a unit that passes ``default_qc``, all units count.

    Parameters
    ----------
    units : pynwb.misc.Units
        The units of all probes.
    """
    from pynwb import TimeSeries
    from pynwb.behavior import BehavioralTimeSeries

    passed = np.asarray(units["default_qc"].data[:], dtype=bool)
    series = []
    for name, rows, spikes in spikes_by_probe(units):
        good = passed[rows]
        counted = [times for times, is_good in zip(spikes, good, strict=True) if is_good or not good.any()]
        counted = [times for times in counted if len(times)]
        if not counted:
            continue
        first = np.floor(min(times[0] for times in counted))
        n_bins = max(int(np.ceil(max(times[-1] for times in counted)) - first), 1)
        counts = np.zeros(n_bins, dtype=np.int64)
        for times in counted:
            at = np.minimum(((times - first) / BIN).astype(np.int64), n_bins - 1)
            counts += np.bincount(at, minlength=n_bins)
        which = "units that pass default_qc" if good.any() else "units (none passes default_qc)"
        series.append(
            TimeSeries(
                name=name,
                description=f"Spikes of all {len(counted)} {which} of {name}, in bins of {BIN:g} s.",
                data=counts / BIN,
                unit="spikes/s",
                timestamps=first + BIN * (np.arange(n_bins) + 0.5),
                comments="timestamps are the centers of the bins",
            )
        )
    return BehavioralTimeSeries(name="all_spike_histograms", time_series=series)
