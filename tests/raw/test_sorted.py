"""Sorted output in both layouts, whole, partial and damaged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError
from project_cache.raw.sorted import SortedOutput, channel_numbers


@dataclass
class Truth:
    """A sorting of three units on six channels."""

    cluster_ids: NDArray[np.int64]
    samples: NDArray[np.int64]
    units: NDArray[np.int64]
    amplitudes: NDArray[np.float64]
    templates: NDArray[np.float32]
    sparsity: NDArray[np.bool_]
    labels: NDArray[Any]
    qc: NDArray[np.bool_]


def truth(seed: int = 0) -> Truth:
    rng = np.random.default_rng(seed)
    n = 200
    return Truth(
        np.array([7, 3, 12]),
        np.sort(rng.integers(0, 900_000, n)),
        rng.integers(0, 3, n),
        rng.normal(-80, 10, n),
        rng.normal(0, 5, (3, 40, 6)).astype(np.float32),
        rng.random((3, 6)) > 0.4,
        np.array(["sua", "mua", "noise"]),
        np.array([True, True, False]),
    )


def metrics(t: Truth) -> pd.DataFrame:
    return pd.DataFrame(
        {"num_spikes": np.bincount(t.units, minlength=3), "snr": [1.5, np.nan, 3.0]}, index=t.cluster_ids
    )


def recording_name(letter: str) -> str:
    return f"experiment1_Record Node 102#Neuropix-PXI-100.Probe{letter}-AP_recording1"


CHANNELS = ["AP1", "AP2", "AP3", "AP5", "AP6", "AP384"]


def write_legacy(
    root: Path, letter: str, t: Truth, sorting: str = "sorting_precurated", old: bool = False
) -> Path:
    """Write what SpikeInterface left before it had analyzers; ``old``: before 0.99."""
    at, folder = root / sorting / recording_name(letter), root / "postprocessed" / recording_name(letter)
    for each in ("properties",):
        (at / each).mkdir(parents=True)
    for each in (
        "quality_metrics",
        "template_metrics",
        "spike_amplitudes",
        "unit_locations",
        "recording_info",
    ):
        (folder / each).mkdir(parents=True)
    (root / "postprocessed" / f"{recording_name(letter)}_sorting").mkdir()
    if old:
        np.savez(
            at / "sorting_cached.npz",
            unit_ids=t.cluster_ids,
            spike_indexes_seg0=t.samples,
            spike_labels_seg0=t.cluster_ids[t.units],
            sampling_frequency=[30000.0],
        )
    else:
        spikes = np.zeros(
            len(t.samples), dtype=[("sample_index", "i8"), ("unit_index", "i8"), ("segment_index", "i8")]
        )
        spikes["sample_index"], spikes["unit_index"] = t.samples, t.units
        np.save(at / "spikes.npy", spikes)
        (at / "numpysorting_info.json").write_text(json.dumps({"unit_ids": [0, 1, 2], "num_segments": 1}))
        np.save(at / "properties/original_cluster_id.npy", t.cluster_ids)
    np.save(at / "properties/default_qc.npy", t.qc)
    np.save(at / "properties/decoder_label.npy", t.labels)
    np.save(at / "properties/decoder_probability.npy", np.array([0.9, 0.8, 0.7]))
    # rows in another order than the units
    table = metrics(t).sort_index()
    table[["num_spikes"]].to_csv(folder / "quality_metrics/metrics.csv")
    table[["snr"]].to_csv(folder / "template_metrics/metrics.csv")
    np.save(folder / "templates_average.npy", t.templates)
    np.save(folder / "templates_std.npy", t.templates / 10)
    np.save(folder / "spike_amplitudes/amplitude_segment_0.npy", t.amplitudes.astype(np.float32))
    np.save(folder / "unit_locations/unit_locations.npy", np.zeros((3, 3)))
    ids = t.cluster_ids if old else np.arange(3)
    listed = {
        str(i): [c for c, on in zip(CHANNELS, row, strict=True) if on]
        for i, row in zip(ids, t.sparsity, strict=True)
    }
    (folder / "sparsity.json").write_text(json.dumps({"unit_id_to_channel_ids": listed}))
    (folder / "recording_info/recording_attributes.json").write_text(json.dumps({"channel_ids": CHANNELS}))
    location = {"recording": {"properties": {"location": [[n, 20.0 * n] for n in range(6)]}}}
    (folder / "sorting.json").write_text(json.dumps({"annotations": {"__sorting_info__": location}}))
    return folder


def write_analyzer(root: Path, letter: str, t: Truth, group: int | None = None, zarr_format: int = 2) -> Path:
    """Write a SortingAnalyzer as SpikeInterface does since 0.101."""
    import zarr

    suffix = "" if group is None else f"_group{group}"
    folder = root / "postprocessed" / f"{recording_name(letter)}{suffix}.zarr"
    top = zarr.open_group(folder, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    top.attrs["spikeinterface_info"] = {"object": "SortingAnalyzer", "version": "0.101.2"}

    def put(name: str, values: Any) -> None:
        at, _, leaf = name.rpartition("/")
        parent = top.require_group(at) if at else top
        parent.create_array(leaf, data=np.asarray(values))

    put("sorting/unit_ids", t.cluster_ids)
    put("sorting/spikes/sample_index", t.samples)
    put("sorting/spikes/unit_index", t.units)
    put("sorting/spikes/segment_slices", [[0, len(t.samples)]])
    put("sorting/properties/default_qc", t.qc)
    put("sorting/properties/decoder_label", t.labels.astype("<U5" if zarr_format == 2 else "T"))
    put("sorting/properties/decoder_probability", [0.9, 0.8, 0.7])
    put("sparsity_mask", t.sparsity)
    info = top.require_group("recording_info")
    info.attrs["recording_attributes"] = {"channel_ids": [f"AP{n}" for n in (1, 2, 3, 4, 5, 6)]}
    positions = [[n, 20.0 * n] for n in range(6)]
    info.attrs["probegroup"] = {
        "probes": [{"contact_positions": positions[::-1], "device_channel_indices": [5, 4, 3, 2, 1, 0]}]
    }
    for extension, column in (("quality_metrics", "num_spikes"), ("template_metrics", "snr")):
        put(f"extensions/{extension}/metrics/index", t.cluster_ids)
        put(f"extensions/{extension}/metrics/{column}", metrics(t)[column])
    put("extensions/templates/average", t.templates)
    put("extensions/templates/std", t.templates / 10)
    put("extensions/spike_amplitudes/amplitudes", t.amplitudes)
    put("extensions/unit_locations/unit_locations", np.zeros((3, 2)))
    return folder


def check(output: SortedOutput, t: Truth, channels: list[int], letter: str = "A") -> None:
    (probe,) = output.groups(letter)
    assert probe.letter == letter
    assert output.count_units(letter) == len(t.cluster_ids)
    assert probe.unit_ids.tolist() == t.cluster_ids.tolist()
    assert np.array_equal(probe.spike_samples, t.samples)
    assert np.array_equal(probe.spike_units, t.units)
    assert np.allclose(probe.amplitudes, t.amplitudes)
    pd.testing.assert_frame_equal(probe.metrics, metrics(t), check_names=False)
    assert np.array_equal(probe.templates_mean[1], t.templates[1])
    assert np.allclose(probe.templates_sd[2, :, 3], t.templates[2, :, 3] / 10)
    assert np.array_equal(probe.sparsity, t.sparsity)
    assert probe.channels.tolist() == channels
    assert probe.locations is not None
    assert probe.locations[:, 1].tolist() == [0, 20, 40, 60, 80, 100]
    assert probe.default_qc is not None
    assert probe.default_qc.tolist() == [True, True, False]
    assert probe.decoder_label is not None
    assert probe.decoder_label.tolist() == ["sua", "mua", "noise"]
    assert probe.decoder_probability is not None
    assert probe.decoder_probability.tolist() == [0.9, 0.8, 0.7]


@pytest.mark.parametrize("old", [False, True])
def test_the_older_layout(tmp_path: Path, old: bool) -> None:
    t = truth()
    write_legacy(tmp_path, "A", t, old=old)
    output = SortedOutput(tmp_path)
    assert (output.layout, output.probes, output.skipped) == ("folders", ("A",), {})
    # AP384 is the 384th: these count from 1
    check(output, t, [0, 1, 2, 4, 5, 383])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_newer_layout(tmp_path: Path, zarr_format: int) -> None:
    t = truth()
    write_analyzer(tmp_path, "A", t, zarr_format=zarr_format)
    output = SortedOutput(tmp_path)
    assert (output.layout, output.probes, output.skipped) == ("analyzer", ("A",), {})
    check(output, t, [1, 2, 3, 4, 5, 6])


def test_spikes_as_plain_columns(tmp_path: Path) -> None:
    t = truth()
    folder = write_legacy(tmp_path, "A", t)
    columns = np.column_stack([t.samples, t.units, np.zeros_like(t.units)])
    np.save(tmp_path / "sorting_precurated" / folder.name / "spikes.npy", columns)
    check(SortedOutput(tmp_path), t, [0, 1, 2, 4, 5, 383])
    np.save(tmp_path / "sorting_precurated" / folder.name / "spikes.npy", t.samples)
    with pytest.raises(CorruptObjectError, match=r"spikes\.npy"):
        SortedOutput(tmp_path).groups("A")


def test_shanks_that_were_sorted_apart(tmp_path: Path) -> None:
    sortings = {n: truth(n) for n in (0, 1, 3)}
    for n, t in sortings.items():
        write_analyzer(tmp_path, "B", t, group=n)
    groups = SortedOutput(tmp_path).groups("B")
    assert [each.shank for each in groups] == [0, 1, 3]
    for each, t in zip(groups, sortings.values(), strict=True):
        assert np.array_equal(each.spike_samples, t.samples)


def test_the_precurated_sorting_is_preferred(tmp_path: Path) -> None:
    t = truth()
    write_legacy(tmp_path, "A", t, sorting="curated")
    assert SortedOutput(tmp_path).groups("A")[0].spike_samples[0] == t.samples[0]


def test_probes_whose_sorting_failed_are_left_out_and_named(tmp_path: Path) -> None:
    write_legacy(tmp_path, "A", truth())
    b, c = write_legacy(tmp_path, "B", truth()), write_legacy(tmp_path, "C", truth())
    (b / "templates_average.npy").unlink()
    (tmp_path / "sorting_precurated" / c.name / "spikes.npy").unlink()
    (tmp_path / "sorting_precurated" / recording_name("D")).mkdir()
    (tmp_path / "output").write_text("N E X T F L O W  ~  version 22.10.8\nLaunching …\n")
    output = SortedOutput(tmp_path)
    assert output.is_pipeline_run
    assert output.probes == ("A",)
    assert list(output.skipped) == ["B", "C", "D"]
    with pytest.raises(MissingDataError, match=r"Probe B has no units .*templates_average"):
        output.groups("B")
    with pytest.raises(MissingDataError, match="it was not sorted"):
        output.groups("F")


def test_an_analyzer_that_lacks_what_units_need_is_left_out(tmp_path: Path) -> None:
    import shutil

    write_analyzer(tmp_path, "A", truth())
    shutil.rmtree(write_analyzer(tmp_path, "B", truth()) / "extensions" / "templates")
    (write_analyzer(tmp_path, "C", truth()) / ".zgroup").write_text("{")
    output = SortedOutput(tmp_path)
    assert output.probes == ("A",)
    assert "templates/average" in output.skipped["B"]
    assert "C" in output.skipped


def test_parts_of_different_sortings_are_refused(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path, "A", truth())
    amplitudes = folder / "spike_amplitudes/amplitude_segment_0.npy"
    np.save(amplitudes, np.zeros(5))
    with pytest.raises(CorruptObjectError, match="amplitudes"):
        SortedOutput(tmp_path).groups("A")
    np.save(amplitudes, truth().amplitudes)
    table = folder / "quality_metrics/metrics.csv"
    table.write_text(table.read_text().replace("\n7,", "\n8,"))
    with pytest.raises(CorruptObjectError, match="quality"):
        SortedOutput(tmp_path).groups("A")


@pytest.mark.parametrize(
    "name",
    [
        "templates_std.npy",
        "quality_metrics/metrics.csv",
        "sparsity.json",
        "recording_info/recording_attributes.json",
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = write_legacy(tmp_path, "A", truth()) / name
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(CorruptObjectError, match=name.partition("/")[0].partition("_")[0].partition(".")[0]):
        SortedOutput(tmp_path).groups("A")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    folder = write_legacy(tmp_path, "A", truth())
    labels = tmp_path / "sorting_precurated" / folder.name / "properties/decoder_label.npy"
    np.save(labels, truth().labels.astype(object), allow_pickle=True)
    with pytest.raises(CorruptObjectError, match="decoder_label"):
        SortedOutput(tmp_path).groups("A")
    analyzer = write_analyzer(tmp_path / "new", "A", truth())
    described = analyzer / "sorting/properties/decoder_label/.zarray"
    content = json.loads(described.read_text())
    described.write_text(
        json.dumps(
            {**content, "dtype": "|O", "fill_value": None, "filters": [{"id": "pickle", "protocol": 5}]}
        )
    )
    with pytest.raises(CorruptObjectError, match="pickled"):
        SortedOutput(tmp_path / "new").groups("A")


def test_drift_maps_are_found_by_probe(tmp_path: Path) -> None:
    write_legacy(tmp_path, "A", truth())
    write_legacy(tmp_path, "B", truth())
    (tmp_path / "drift_maps").mkdir()
    for letter in "AB":
        (tmp_path / "drift_maps" / f"{recording_name(letter)}.png").touch()
    (probe,) = SortedOutput(tmp_path).groups("B")
    assert [path.name for path in probe.drift_map_paths] == [f"{recording_name('B')}.png"]


def test_a_folder_that_is_no_sorted_output(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match="postprocessed"):
        _ = SortedOutput(tmp_path).probes


def test_channels_are_counted_from_0() -> None:
    part = ["AP10", "AP11", "AP20"]
    assert channel_numbers([f"AP{n}" for n in range(1, 385)]).tolist() == list(range(384))
    assert channel_numbers([f"CH{n}" for n in range(384)]).tolist() == list(range(384))
    assert channel_numbers(part, plugin_version="0.6.4").tolist() == [9, 10, 19]
    assert channel_numbers(part, plugin_version="0.7.0").tolist() == [10, 11, 20]
    assert channel_numbers(part, plugin_version="1.0.0-dev").tolist() == [10, 11, 20]
    assert channel_numbers(part, counted_from_0=True).tolist() == [10, 11, 20]
    for wrong in (["AP1", "AP1"], ["AP", "AP2"]):
        with pytest.raises(CorruptObjectError):
            channel_numbers(wrong)


def test_the_simulated_session_agrees_with_its_truth(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session"
    expected = json.loads((folder / "truth/ephys.json").read_text())["units"]
    times = np.load(folder / "truth/times.npz")
    output = SortedOutput(folder / "sorted")
    assert output.probes == ("A", "B")
    assert not output.is_pipeline_run
    for letter, units in expected.items():
        (probe,) = output.groups(letter)
        assert probe.unit_ids.tolist() == [unit["cluster_id"] for unit in units]
        assert np.array_equal(probe.spike_samples, times[f"spikes/{letter}/sample"])
        assert np.array_equal(probe.spike_units, times[f"spikes/{letter}/unit_index"])
        assert probe.metrics["num_spikes"].tolist() == [unit["num_spikes"] for unit in units]
        peaks = [int(probe.channels[np.ptp(mean, axis=0).argmax()]) for mean in probe.templates_mean]
        assert peaks == [unit["peak_channel"] for unit in units]
