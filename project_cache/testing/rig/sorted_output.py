"""What the spike sorters leave: SpikeInterface's folders before and since the SortingAnalyzer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.testing.rig.open_ephys import CHANNELS, channel_positions
from project_cache.testing.rig.population import Population, templates

__all__ = [
    "QUALITY",
    "TEMPLATE",
    "quality_metrics",
    "template_metrics",
    "write_analyzer",
    "write_legacy",
    "write_root",
]

RATE = 30_000
NEAR = 9  # channels to each side of the peak that a template is kept on

QUALITY = (
    "amplitude_cutoff", "amplitude_cv_median", "amplitude_cv_range", "amplitude_median", "drift_ptp", "drift_std",
    "drift_mad", "firing_range", "firing_rate", "isi_violations_ratio", "isi_violations_count", "num_spikes",
    "presence_ratio", "rp_contamination", "rp_violations", "sliding_rp_violation", "snr", "sync_spike_2",
    "sync_spike_4", "sync_spike_8", "d_prime", "isolation_distance", "l_ratio", "silhouette", "nn_hit_rate",
    "nn_miss_rate",
)  # fmt: skip
TEMPLATE = (
    "exp_decay", "half_width", "num_negative_peaks", "num_positive_peaks", "peak_to_valley", "peak_trough_ratio",
    "recovery_slope", "repolarization_slope", "spread", "velocity_above", "velocity_below",
)  # fmt: skip


def write_root(folder: Path, name: str) -> None:
    """Write what stands at the top of a sorted asset."""
    folder.mkdir(parents=True)
    process = {
        "name": "Spike sorting",
        "software_version": "0.1.0",
        "parameters": {"sorter_name": "kilosort2_5"},
    }
    contents: dict[str, Any] = {
        "data_description.json": {"name": f"{name}_sorted"},
        "processing.json": {"processing_pipeline": {"data_processes": [process]}},
        "visualization_output.json": {},
    }
    for file, record in contents.items():
        (folder / file).write_text(json.dumps(record, indent=1), encoding="utf-8")
    (folder / "output").write_text("spike sorting capsule log\n", encoding="utf-8")


def write_legacy(folder: Path, node: str, letter: str, population: Population, seconds: float) -> None:
    """Write one probe's sorted output as SpikeInterface 0.97 to 0.100 does: npy, csv and json."""
    units = population.units
    n = len(units)
    name = f"experiment1_{node}#Neuropix-PXI-100.Probe{letter}-AP_recording1"
    precurated = folder / "sorting_precurated" / name
    (precurated / "properties").mkdir(parents=True)
    spikes = np.zeros(
        len(population.samples), [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")]
    )
    spikes["sample_index"], spikes["unit_index"] = population.samples, population.unit_index
    np.save(precurated / "spikes.npy", spikes)
    _json(
        precurated / "numpysorting_info.json",
        {"unit_ids": list(range(n)), "sampling_frequency": float(RATE), "num_segments": 1},
    )
    ids = [int(i) for i in units["cluster_id"]]
    _json(
        precurated / "provenance.json",
        {
            "class": "spikeinterface.core.unitsselectionsorting.UnitsSelectionSorting",
            "version": "0.100.6",
            "kwargs": {"parent_sorting": {"version": "0.100.6"}, "unit_ids": ids},
        },
    )
    for key, values in _properties(letter, population, seconds).items():
        np.save(precurated / "properties" / f"{key}.npy", values)

    post = folder / "postprocessed" / name
    for sub in (
        "quality_metrics",
        "template_metrics",
        "spike_amplitudes",
        "unit_locations",
        "recording_info",
    ):
        (post / sub).mkdir(parents=True)
    quality = quality_metrics(letter, population, seconds)
    shapes = template_metrics(letter, population)
    quality.to_csv(post / "quality_metrics" / "metrics.csv", lineterminator="\n")
    shapes.to_csv(post / "template_metrics" / "metrics.csv", lineterminator="\n")
    _json(post / "quality_metrics" / "params.json", {"metric_names": list(QUALITY)})
    _json(post / "template_metrics" / "params.json", {"metric_names": list(TEMPLATE), "peak_sign": "neg"})
    mean = templates(units)
    np.save(post / "templates_average.npy", mean)
    np.save(post / "templates_std.npy", _deviation(mean))
    np.save(post / "spike_amplitudes" / "amplitude_segment_0.npy", population.amplitudes)
    np.save(post / "unit_locations" / "unit_locations.npy", _locations(units))
    channels = [f"AP{i + 1}" for i in range(CHANNELS)]
    _json(post / "recording_info" / "recording_attributes.json", {"channel_ids": channels})
    kept = {str(i): [channels[c] for c in _near(int(u))] for i, u in enumerate(units["peak_channel"])}
    _json(post / "sparsity.json", {"unit_id_to_channel_ids": kept})
    x, y = channel_positions()
    location = [[int(a), int(b)] for a, b in zip(x, y, strict=True)]
    _json(
        post / "sorting.json",
        {"annotations": {"__sorting_info__": {"recording": {"properties": {"location": location}}}}},
    )
    aside = folder / "postprocessed" / f"{name}_sorting"
    aside.mkdir()
    (aside / "note.txt").write_text("not a postprocessed folder\n", encoding="utf-8")
    _drift_map(folder / "drift_maps" / f"{name}_drift.png", population, seconds)


def write_analyzer(
    folder: Path, node: str, letter: str, population: Population, seconds: float, shank: int | None = None
) -> None:
    """Write one probe's (or shank's) sorted output as a SortingAnalyzer does: one zarr group."""
    import zarr

    units = population.units
    n = len(units)
    suffix = "" if shank is None else f"_group{shank}"
    # streams of newer recordings are named by probe alone
    name = f"experiment1_{node}#Neuropix-PXI-100.Probe{letter}-AP_recording1{suffix}"
    path = folder / "postprocessed" / f"{name}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["spikeinterface_info"] = {
        "object": "SortingAnalyzer",
        "version": "0.101.2",
        "dev_mode": False,
    }
    group.attrs["settings"] = {"return_scaled": True}

    sorting = group.create_group("sorting")
    sorting.attrs.update({"sampling_frequency": float(RATE), "num_segments": 1})
    sorting.create_array("unit_ids", data=units["cluster_id"].to_numpy(np.int64))
    spikes = sorting.create_group("spikes")
    _array(spikes, "sample_index", population.samples)
    _array(spikes, "unit_index", population.unit_index)
    _array(spikes, "segment_slices", np.array([[0, len(population.samples)]], np.int64))
    properties = sorting.create_group("properties")
    for key, values in _properties(letter, population, seconds).items():
        _array(properties, key, values)

    mask = np.zeros((n, CHANNELS), bool)
    for row, channel in enumerate(units["peak_channel"]):
        mask[row, _near(int(channel))] = True
    _array(group, "sparsity_mask", mask)

    info = group.create_group("recording_info")
    x, y = channel_positions()
    info.attrs["recording_attributes"] = {
        "channel_ids": [f"AP{i + 1}" for i in range(CHANNELS)],
        "sampling_frequency": float(RATE),
        "num_channels": CHANNELS,
        "num_samples": [int(seconds * RATE)],
        "is_filtered": True,
        "dtype": "int16",
        "properties": {"location": [[int(a), int(b)] for a, b in zip(x, y, strict=True)]},
    }

    extensions = group.create_group("extensions")
    for extension, frame in (
        ("quality_metrics", quality_metrics(letter, population, seconds)),
        ("template_metrics", template_metrics(letter, population)),
    ):
        metrics = extensions.create_group(extension).create_group("metrics")
        _array(metrics, "index", frame.index.to_numpy(np.int64))
        for column in frame:
            _array(metrics, str(column), frame[column].to_numpy())
    mean = templates(units)
    shown = extensions.create_group("templates")
    shown.attrs["params"] = {"operators": ["average", "std"], "ms_before": 0.5, "ms_after": 0.8333}
    _array(shown, "average", mean)
    _array(shown, "std", _deviation(mean))
    _array(extensions.create_group("spike_amplitudes"), "amplitudes", population.amplitudes)
    _array(extensions.create_group("unit_locations"), "unit_locations", _locations(units))
    _drift_map(folder / "visualization" / name / "drift_map.png", population, seconds)


def quality_metrics(letter: str, population: Population, seconds: float) -> pd.DataFrame:
    """Return a row for each unit (index: cluster id): those that follow from the spikes do, the rest are made up."""
    units = population.units
    rng = np.random.default_rng([len(population.samples), ord(letter)])
    frame = pd.DataFrame(
        {column: rng.random(len(units)) for column in QUALITY}, index=units["cluster_id"].to_numpy()
    )
    counts = np.bincount(population.unit_index, minlength=len(units))
    frame["num_spikes"] = counts.astype(np.int64)
    frame["firing_rate"] = counts / seconds
    frame["amplitude_median"] = units["amplitude"].to_numpy()
    frame["amplitude_cutoff"] = 0.02 + 0.06 * rng.random(len(units))
    frame["snr"] = 2 + units["amplitude"].to_numpy() / 30
    frame["isi_violations_ratio"] = 0.1 * rng.random(len(units))
    frame["isi_violations_count"] = np.zeros(len(units), np.int64)
    frame["presence_ratio"] = 0.9 + 0.1 * rng.random(len(units))
    return frame


def template_metrics(letter: str, population: Population) -> pd.DataFrame:
    """Return a row for each unit (index: cluster id) with numbers such as the sorter gives."""
    rng = np.random.default_rng([len(population.units), ord(letter), 1])
    units = population.units
    frame = pd.DataFrame(
        {column: rng.random(len(units)) for column in TEMPLATE}, index=units["cluster_id"].to_numpy()
    )
    frame["num_negative_peaks"] = np.ones(len(units), np.int64)
    frame["num_positive_peaks"] = np.ones(len(units), np.int64)
    frame["half_width"] *= 3e-4
    frame["peak_to_valley"] *= 1e-3
    return frame


def _properties(letter: str, population: Population, seconds: float) -> dict[str, npt.NDArray[Any]]:
    units = population.units
    n = len(units)
    label = np.array(["sua", "mua", "sua", "sua", "noise"])[np.arange(n) % 5] if n > 5 else np.full(n, "sua")
    return {
        "original_cluster_id": units["cluster_id"].to_numpy(np.int64),
        "default_qc": (quality_metrics(letter, population, seconds)["presence_ratio"] > 0.92).to_numpy(),
        "decoder_label": label.astype("<U5"),
        "decoder_probability": np.round(0.6 + 0.4 * ((7 * np.arange(n)) % 11) / 11, 6),
    }


def _near(channel: int) -> list[int]:
    return list(range(max(0, channel - NEAR), min(CHANNELS, channel + NEAR)))


def _deviation(mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.where(mean != 0, 8.0 + 0.1 * np.abs(mean), 0.0).astype(np.float32)


def _locations(units: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return x, y (on the probe) and z (off it) of each unit, µm."""
    x, y = channel_positions()
    peak = units["peak_channel"].to_numpy(np.int64)
    return np.column_stack([x[peak], y[peak], np.full(len(peak), 10)]).astype(np.float64)


def _array(group: Any, name: str, values: npt.NDArray[Any]) -> None:
    # a chunk of no rows is no chunk: zarr refuses it
    group.create_array(name, data=values, chunks=tuple(max(1, n) for n in values.shape))


def _drift_map(path: Path, population: Population, seconds: float) -> None:
    """Write the sorter's picture of spikes by time and depth, as an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, y = channel_positions()
    peak = population.units["peak_channel"].to_numpy(np.int64)
    depth = y[peak][population.unit_index] if len(peak) else np.zeros(0)
    picture, *_ = np.histogram2d(
        depth, population.samples / RATE, bins=(192, 400), range=((0, 3840), (0, seconds))
    )
    grey = 255 - np.minimum(255, 40 * picture).astype(np.uint8)
    path.write_bytes(_png(grey[::-1]))


def _png(grey: npt.NDArray[np.uint8]) -> bytes:
    """Return a grey picture as PNG (W3C, third edition), so that no drawing library is needed."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = grey.shape
    rows = np.column_stack([np.zeros(height, np.uint8), grey]).tobytes()
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def _json(path: Path, record: Any) -> None:
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")
