"""A small recording in the layout of the Visual Coding project, written with h5py alone, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

TEXT = h5py.string_dtype()
UNITS = np.array([100, 101, 102, 103, 104, 105])
#: unit 104 never fires
SPIKES = [np.linspace(0.1 * n, 9.0 + n, [40, 30, 20, 10, 0, 50][n]) for n in range(6)]
#: on channels 11, 12, 13 and 14 of probe 1 (14 is outside of the brain), 21 to 24 of probe 2 (23 is invalid)
PEAKS = np.array([13, 11, 12, 14, 24, 21])
WAVEFORMS = np.arange(6 * 4 * 5, dtype=np.float32).reshape(24, 5)


def write_table(
    file: h5py.File, path: str, columns: dict[str, Any], kind: str = "DynamicTable", **how: Any
) -> h5py.Group:
    """Write a table; a column that is a tuple is ragged: (flat values, ends)."""
    group = file.require_group(path)
    group.attrs.update({"neurodata_type": kind, "namespace": "core", "object_id": path, "description": "…"})
    group.attrs["colnames"] = np.array([name for name in columns if name != "id"], dtype=TEXT)
    for name, values in columns.items():
        ends = None
        if isinstance(values, tuple):
            values, ends = values
        values = np.asarray(values)
        if values.dtype.kind in "OU":
            values = values.astype(object)
        dtype = TEXT if values.dtype == object else values.dtype
        node = group.create_dataset(name, data=values, dtype=dtype, **(how if values.size else {}))
        node.attrs["neurodata_type"] = "ElementIdentifiers" if name == "id" else "VectorData"
        if ends is not None:
            index = group.create_dataset(f"{name}_index", data=ends)
            index.attrs["neurodata_type"] = "VectorIndex"
            index.attrs["target"] = node.ref
    if "id" not in columns:
        group.create_dataset("id", data=np.arange(len(group[next(iter(columns))])))
    return group


def write_recording(
    path: Path,
    *,
    packed: bool = False,
    index: type = np.uint32,
    units: bool = True,
    pad: int = 0,
    chunk: int = 16,
) -> Path:
    """Write the recording: contiguous, or in compressed chunks; indices of any width; with units or with none."""
    how: dict[str, Any] = {"chunks": True, "compression": "gzip"} if packed else {}
    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.2.2", "neurodata_type": "NWBFile", "namespace": "core"})
        for name, text in (
            ("identifier", "7"),
            ("session_description", "a synthetic recording"),
            ("session_start_time", "2019-01-19T08:54:18-08:00"),
            ("general/session_id", "7"),
            ("general/stimulus", "functional_connectivity"),
            ("general/subject/sex", "F"),
            ("general/subject/genotype", "wt/wt"),
        ):
            file.create_dataset(name, data=text, dtype=TEXT)
        file["general/subject"].attrs.update({"specimen_name": "Ann", "age_in_days": 99.0})
        for n, name in ((1, "probeA"), (2, "probeB")):
            device = file.create_group(f"general/devices/{name}")
            device.attrs.update({"probe_id": n, "sampling_rate": 30000.0, "neurodata_type": "EcephysProbe"})
            group = file.create_group(f"general/extracellular_ephys/{name}")
            group.attrs.update({"probe_id": n, "lfp_sampling_rate": 1250.0, "has_lfp_data": n == 1})
            group.attrs.update(
                {"location": "See electrode locations", "neurodata_type": "EcephysElectrodeGroup"}
            )
            group["device"] = h5py.SoftLink(f"/general/devices/{name}")
        write_table(
            file,
            "general/extracellular_ephys/electrodes",
            {
                "id": np.array([11, 12, 13, 14, 21, 22, 23, 24], dtype=np.int32),
                "location": ["VISp", "VISp", "LGd-sh", "", "CA1", "CA1", "DG-mo", "None"],
                "filtering": ["AP"] * 8,
                "probe_vertical_position": np.array([20, 20, 40, 40] * 2, dtype=np.int16),
                "probe_horizontal_position": np.array([43, 11, 59, 27] * 2, dtype=np.int16),
                "probe_id": [1] * 4 + [2] * 4,
                "local_index": [0, 1, 2, 3] * 2,
                "valid_data": np.array([1, 1, 1, 1, 1, 1, 0, 1], dtype=bool),
                "x": [-1000.0] * 4 + [8000.0] * 4,
                "y": [-1000.0] * 4 + [1500.0] * 4,
                "z": [-1000.0] * 4 + [7500.0] * 4,
                "imp": [np.nan] * 8,
            },
        )
        _write_units(file, UNITS if units else UNITS[:0], index, how, pad)
        _write_stimuli(file, how)
        times = 1.0 + np.arange(6) / 60
        for name, data, stamps in (
            ("running_speed", np.arange(6.0), times),
            ("running_speed_end_times", np.full(6, np.nan), times + 1 / 60),
        ):
            group = file.create_group(f"processing/running/{name}")
            group.attrs["neurodata_type"] = "TimeSeries"
            group["data"], group["timestamps"] = data, stamps
    return path


def _write_units(file: h5py.File, ids: np.ndarray, index: type, how: dict[str, Any], pad: int) -> None:
    count = len(ids)
    spikes = SPIKES[:count]
    ends = np.cumsum([len(each) for each in spikes], dtype=index)
    if pad:
        # moves what follows to another byte of the file
        file.create_dataset("scratch", data=np.zeros(pad, dtype=np.uint8))
    flat = np.concatenate([np.empty(0), *spikes])
    metric = np.linspace(1, 2, count)
    write_table(
        file,
        "units",
        {
            "id": ids,
            "spike_times": (flat, ends),
            "spike_amplitudes": (flat * 1e-6, ends),
            "waveform_mean": (WAVEFORMS[: 4 * count], np.arange(4, 4 * count + 1, 4).astype(index)),
            "peak_channel_id": PEAKS[:count],
            "quality": np.array(["good", "noise", "good", "good", "good", "good"][:count], dtype=object),
            "amplitude_cutoff": np.array([0.01, 0.01, np.nan, 0.01, 0.1, 0.05])[:count],
            "presence_ratio": np.array([0.99, 0.99, 0.99, 0.99, 0.95, 0.96])[:count],
            "isi_violations": np.array([0.1, 0.1, 0.1, 0.1, 0.5, 0.2])[:count],
            "firing_rate": metric.astype(np.float32),
            "local_index": np.arange(count),
            "cluster_id": np.arange(count),
            "snr": metric,
            "waveform_halfwidth": metric,
        },
        "Units",
        **how,
    )


def _write_stimuli(file: h5py.File, how: dict[str, Any]) -> None:
    write_table(
        file,
        "intervals/natural_movie_3_presentations",
        {
            # not in order
            "start_time": [12.0, 10.0, 11.0],
            "stop_time": [13.0, 11.0, 12.0],
            "stimulus_name": ["natural_movie_3"] * 3,
            "stimulus_block": [1.0] * 3,
            "stimulus_index": [0, 0, 0],
            "frame": np.array([2, 0, 1], dtype=np.int16),
            "units": ["deg"] * 3,
            "tags": (["stimulus_time_interval"] * 3, np.array([1, 2, 3], dtype=np.uint8)),
        },
        "TimeIntervals",
        **how,
    )
    write_table(
        file,
        "intervals/flash_250ms_presentations",
        {
            "start_time": [2.0, 3.0, 4.0],
            "stop_time": [2.25, 3.25, 4.25],
            "stimulus_name": ["flash_250ms"] * 3,
            "stimulus_block": [0.0] * 3,
            "stimulus_index": [1, 1, 1],
            "color": ["1.0", "-1.0", "1.0"],
            "phase": ["N/A", "[0.0, 0.0]", "N/A"],
        },
        "TimeIntervals",
        **how,
    )
    write_table(
        file,
        "intervals/spontaneous_presentations",
        {"start_time": [0.0], "stop_time": [1.5], "stimulus_name": [""], "stimulus_index": [2]},
        "TimeIntervals",
    )


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Write a recording, and return where it is."""

    def write(**options: Any) -> Path:
        return write_recording(tmp_path / "session_7.nwb", **options)

    return write
