"""Histograms of all spikes of each probe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from project_cache.build.spike_histograms import all_spike_histograms, spikes_by_probe
from project_cache.build.units import units


def test_good_units_are_counted_second_by_second(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    import pynwb

    made = small()
    tables = made.electrodes()
    table = units(made.raw, made.clock, made.options, *tables)
    found = all_spike_histograms(table)
    assert list(found.time_series) == ["probeA", "probeB"]
    series = found["probeA"]
    # of the four one passes
    good = table["spike_times"][0]
    counts, edges = np.histogram(good, np.arange(np.floor(good[0]), np.ceil(good[-1]) + 1))
    assert series.data[:].tolist() == counts.tolist()
    np.testing.assert_allclose(series.timestamps[:], edges[:-1] + 0.5)
    assert series.unit == "spikes/s"
    assert "all 1 units that pass" in series.description
    path = tmp_path / "one.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb_file(made, tables, units=table, analysis=[found]))
    assert faults(path) == []


def test_where_none_passes_all_count(small: Callable[..., Any]) -> None:
    made = small(letters="A")
    table = units(made.raw, made.clock, made.options, *made.electrodes())
    table["default_qc"].data[:] = False
    series = all_spike_histograms(table)["probeA"]
    assert series.data[:].sum() == 1830
    assert "none passes" in series.description


def test_spikes_are_told_apart_by_probe(small: Callable[..., Any]) -> None:
    made = small()
    table = units(made.raw, made.clock, made.options, *made.electrodes())
    found = {
        name: (rows.tolist(), [len(times) for times in spikes])
        for name, rows, spikes in spikes_by_probe(table)
    }
    assert found == {
        "probeA": ([0, 1, 2, 3], [600, 600, 600, 30]),
        "probeB": ([4, 5, 6, 7], [600, 600, 600, 30]),
    }
