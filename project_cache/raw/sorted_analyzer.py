"""Sorted output in SpikeInterface's newer layout: a SortingAnalyzer in a zarr folder for each recording."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError, ProjectCacheError
from project_cache.raw.compressed import ZarrGroup
from project_cache.raw.places import AnyPath
from project_cache.raw.sorted import SortedProbe, channel_numbers, texts

__all__ = ["count_units", "incomplete", "read"]

NEEDED = (
    "sorting/unit_ids",
    "sorting/spikes/sample_index",
    "extensions/quality_metrics/metrics",
    "extensions/templates/average",
    "extensions/templates/std",
    "extensions/spike_amplitudes/amplitudes",
)


def incomplete(root: AnyPath, folder: AnyPath) -> str | None:
    """Return what the output of a recording lacks, or None where it has all that units need."""
    del root
    if folder.suffix != ".zarr":
        return f"{folder.name} is no SortingAnalyzer"
    try:
        group = ZarrGroup(folder)
        missing = [name for name in NEEDED if name not in group]
    except ProjectCacheError as error:
        return str(error).rstrip(".")
    return f"{folder} has no {', '.join(missing)}" if missing else None


def count_units(root: AnyPath, folder: AnyPath) -> int:
    """Return how many units the sorting of a recording lists."""
    del root
    return int(ZarrGroup(folder).array("sorting/unit_ids").shape[0])


def read(
    root: AnyPath,
    folder: AnyPath,
    letter: str,
    shank: int | None,
    plugin_version: str | None,
    drift_map_paths: tuple[AnyPath, ...],
) -> SortedProbe:
    """Return what was sorted from one recording, or from one shank.

    Raises
    ------
    MissingDataError, CorruptObjectError, DependencyError
        An array is missing; it is damaged, or does not fit the others; its codec is not installed.
    """
    del root
    group = ZarrGroup(folder)
    own_ids = group.read("sorting/unit_ids")
    cluster_ids = _property(group, "original_cluster_id")
    unit_ids = _whole(own_ids if cluster_ids is None else cluster_ids, folder)
    samples = group.read("sorting/spikes/sample_index").astype(np.int64, copy=False)
    units = group.read("sorting/spikes/unit_index").astype(np.int64, copy=False)
    channel_ids = _channel_ids(group)
    average = group.array("extensions/templates/average")
    verdict = _property(group, "default_qc")
    labels = _property(group, "decoder_label")
    probability = _property(group, "decoder_probability")
    return SortedProbe(
        letter=letter,
        shank=shank,
        name=folder.name.removesuffix(".zarr"),
        unit_ids=unit_ids,
        spike_samples=samples,
        spike_units=units,
        amplitudes=group.read("extensions/spike_amplitudes/amplitudes"),
        metrics=_metrics(group, own_ids, unit_ids),
        templates_mean=average,
        templates_sd=group.array("extensions/templates/std"),
        sparsity=(
            group.read("sparsity_mask").astype(bool)
            if "sparsity_mask" in group
            else np.ones((len(unit_ids), len(channel_ids)), dtype=bool)
        ),
        channels=channel_numbers(channel_ids, counted_from_0=True, plugin_version=plugin_version),
        locations=_locations(group, len(channel_ids)),
        unit_locations=(
            group.read("extensions/unit_locations/unit_locations").astype(np.float64)
            if "extensions/unit_locations/unit_locations" in group
            else None
        ),
        default_qc=None if verdict is None else verdict.astype(bool),
        decoder_label=None if labels is None else texts(labels),
        decoder_probability=None if probability is None else probability.astype(np.float64),
        drift_map_paths=drift_map_paths,
    )


def _whole(ids: NDArray[Any], folder: AnyPath) -> NDArray[np.int64]:
    try:
        return np.asarray(ids).astype(np.int64)
    except (TypeError, ValueError) as error:
        raise CorruptObjectError(f"{folder} has units whose ids are no numbers ({ids[:3]}).") from error


def _property(group: ZarrGroup, name: str) -> NDArray[Any] | None:
    name = f"sorting/properties/{name}"
    return group.read(name) if name in group else None


def _channel_ids(group: ZarrGroup) -> list[Any]:
    try:
        return list(group.attributes("recording_info")["recording_attributes"]["channel_ids"])
    except (KeyError, TypeError) as error:
        raise CorruptObjectError(f"{group.path} does not list its channels (recording_info).") from error


def _metrics(group: ZarrGroup, own_ids: NDArray[Any], unit_ids: NDArray[np.int64]) -> pd.DataFrame:
    """Return quality and template metrics by unit; each extension has an array for each column."""
    frames = []
    for extension in ("quality_metrics", "template_metrics"):
        folder = f"extensions/{extension}/metrics"
        if folder not in group:
            continue
        columns = {name: group.read(f"{folder}/{name}") for name in group.names(folder) if name != "index"}
        try:
            index = group.read(f"{folder}/index") if f"{folder}/index" in group else own_ids
            frame = pd.DataFrame(columns, index=pd.Index(_whole(index, group.path)))
        except ValueError as error:
            raise CorruptObjectError(f"{group.path}: the columns of {folder} differ in length.") from error
        own = _whole(own_ids, group.path)
        for ids in (own, unit_ids):
            if frame.index.is_unique and set(frame.index) == set(ids.tolist()):
                frames.append(frame.loc[ids].set_axis(pd.Index(unit_ids, name="unit_id")))
                break
        else:
            raise CorruptObjectError(f"{group.path}: {folder} is of other units than the sorting.")
    if not frames:
        raise MissingDataError(f"{group.path} has no quality metrics.")
    return pd.concat(frames, axis=1)


def _locations(group: ZarrGroup, n_channels: int) -> NDArray[np.float64] | None:
    """Return where the contacts are, as the analyzer keeps it: a probe group among the recording's attributes."""
    try:
        probes = group.attributes("recording_info")["probegroup"]["probes"]
        positions = [np.asarray(each["contact_positions"], dtype=np.float64) for each in probes]
        order = [each.get("device_channel_indices") for each in probes]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if not positions or sum(map(len, positions)) != n_channels:
        return None
    stacked = np.concatenate(positions)
    if all(each is not None for each in order):
        at = np.concatenate([np.asarray(each, dtype=np.int64) for each in order])
        if not np.array_equal(np.sort(at), np.arange(n_channels)):
            return None
        sorted_by_channel = np.empty_like(stacked)
        sorted_by_channel[at] = stacked
        return sorted_by_channel
    return stacked
