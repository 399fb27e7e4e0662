"""Sorted output in SpikeInterface's older layout: folders of npy, csv and json files for each recording."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingObjectError
from project_cache.raw.places import AnyPath, read_json, read_npy, translated
from project_cache.raw.sorted import SortedProbe, channel_numbers, texts

__all__ = ["count_units", "incomplete", "read"]

#: folders of sortings, the first that is there is used
SORTINGS = ("sorting_precurated", "curated")
NEEDED = (
    "quality_metrics/metrics.csv",
    "templates_average.npy",
    "templates_std.npy",
    "spike_amplitudes/amplitude_segment_0.npy",
)


def incomplete(root: AnyPath, folder: AnyPath) -> str | None:
    """Return what the output of a recording lacks, or None where it has all that units need."""
    sorting = _sorting(root, folder)
    if sorting is None:
        return f"{folder.name} was postprocessed, but there is no sorting of it"
    if not _has_spikes(sorting):
        return f"{sorting} has no spikes"
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    return f"{folder} has no {', '.join(missing)}" if missing else None


def _sorting(root: AnyPath, folder: AnyPath) -> AnyPath | None:
    for name in SORTINGS:
        found = root / name / folder.name
        if found.is_dir():
            return found
    return None


def _has_spikes(sorting: AnyPath) -> bool:
    return (sorting / "spikes.npy").is_file() or (sorting / "sorting_cached.npz").is_file()


def count_units(root: AnyPath, folder: AnyPath) -> int:
    """Return how many units the sorting of a recording lists."""
    sorting = _sorting(root, folder)
    if sorting is None:
        raise MissingObjectError(f"There is no sorting of {folder.name} in {root}.")
    if (sorting / "spikes.npy").is_file():
        return len(_listed_units(sorting))
    return len(_cached_spikes(sorting / "sorting_cached.npz")[0])


def _listed_units(sorting: AnyPath) -> NDArray[Any]:
    info = read_json(sorting / "numpysorting_info.json")
    if not isinstance(info, dict) or "unit_ids" not in info:
        raise CorruptObjectError(f"{sorting / 'numpysorting_info.json'} lists no units.")
    return np.asarray(info["unit_ids"])


def read(
    root: AnyPath,
    folder: AnyPath,
    letter: str,
    shank: int | None,
    plugin_version: str | None,
    drift_map_paths: tuple[AnyPath, ...],
) -> SortedProbe:
    """Return what was sorted from one recording.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        A file is missing, or damaged, or does not fit the others.
    """
    sorting = _sorting(root, folder)
    if sorting is None:
        raise MissingObjectError(f"There is no sorting of {folder.name} in {root}.")
    own_ids, samples, units = _spikes(sorting)
    metrics = _metrics(folder)
    cluster_ids = _property(sorting, "original_cluster_id")
    if cluster_ids is None:
        # Before ids were renumbered, the sorting's own were the clusters'.
        cluster_ids = own_ids if set(own_ids.tolist()) == set(metrics.index) else metrics.index.to_numpy()
    unit_ids = np.asarray(cluster_ids).astype(np.int64)
    if len(unit_ids) != len(own_ids) or set(unit_ids.tolist()) != set(metrics.index):
        raise CorruptObjectError(
            f"{folder / 'quality_metrics'} is of {len(metrics)} units, {sorting} of {len(own_ids)}: their ids are "
            "not the same, so that they are of different sortings."
        )
    attributes = read_json(folder / "recording_info" / "recording_attributes.json")
    try:
        channel_ids = list(attributes["channel_ids"])
        channels = channel_numbers(channel_ids, plugin_version=plugin_version)
    except (KeyError, TypeError) as error:
        raise CorruptObjectError(f"{folder / 'recording_info'} does not list its channels.") from error
    labels = _property(sorting, "decoder_label")
    probability = _property(sorting, "decoder_probability")
    verdict = _property(sorting, "default_qc")
    return SortedProbe(
        letter=letter,
        shank=shank,
        name=folder.name,
        unit_ids=unit_ids,
        spike_samples=samples,
        spike_units=units,
        amplitudes=read_npy(folder / "spike_amplitudes" / "amplitude_segment_0.npy"),
        metrics=metrics.reindex(unit_ids),
        templates_mean=_templates(folder / "templates_average.npy"),
        templates_sd=_templates(folder / "templates_std.npy"),
        sparsity=_sparsity(folder / "sparsity.json", own_ids, unit_ids, channel_ids),
        channels=channels,
        locations=_locations(folder / "sorting.json", len(channels)),
        unit_locations=_optional(folder / "unit_locations" / "unit_locations.npy"),
        default_qc=None if verdict is None else verdict.astype(bool),
        decoder_label=None if labels is None else texts(labels),
        decoder_probability=None if probability is None else probability.astype(np.float64),
        drift_map_paths=drift_map_paths,
    )


def _spikes(sorting: AnyPath) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of the units as the sorting has them, and of each spike its sample and its unit's number."""
    if not (sorting / "spikes.npy").is_file():
        return _cached_spikes(sorting / "sorting_cached.npz")
    spikes = read_npy(sorting / "spikes.npy")
    own_ids = _listed_units(sorting)
    if own_ids.dtype.kind not in "iu":
        own_ids = np.arange(len(own_ids))
    if spikes.dtype.names:
        columns = [spikes[name] for name in ("sample_index", "unit_index") if name in spikes.dtype.names]
    else:
        columns = [spikes[:, 0], spikes[:, 1]] if spikes.ndim == 2 and spikes.shape[1] >= 2 else []
    if len(columns) != 2:
        raise CorruptObjectError(
            f"{sorting / 'spikes.npy'} holds {spikes.dtype} of shape {spikes.shape}: no spikes."
        )
    # mapped, not copied, as they come from the sorter
    samples, units = (column.astype(np.int64, copy=False) for column in columns)
    return own_ids.astype(np.int64), samples, units


def _cached_spikes(path: AnyPath) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the same from the form that SpikeInterface wrote before 0.99."""
    with translated(path), np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
        missing = {"unit_ids", "spike_indexes_seg0", "spike_labels_seg0"} - set(content.files)
        if missing:
            raise CorruptObjectError(f"{path} has no {', '.join(sorted(missing))}.")
        own_ids = content["unit_ids"].astype(np.int64)
        samples = content["spike_indexes_seg0"].astype(np.int64)
        labels = content["spike_labels_seg0"].astype(np.int64)
    order = np.argsort(own_ids)
    at = np.minimum(np.searchsorted(own_ids[order], labels), max(len(own_ids) - 1, 0))
    if len(labels) and not (len(own_ids) and np.array_equal(own_ids[order][at], labels)):
        raise CorruptObjectError(f"{path} has spikes of units that it does not list.")
    return own_ids, samples, order[at] if len(labels) else labels


def _metrics(folder: AnyPath) -> pd.DataFrame:
    frames = []
    for name in ("quality_metrics", "template_metrics"):
        path = folder / name / "metrics.csv"
        if name == "template_metrics" and not path.is_file():
            continue
        with translated(path):
            frame = pd.read_csv(io.BytesIO(path.read_bytes()), index_col=0)
            frame.index = pd.Index(frame.index.astype(np.int64), name="unit_id")
        if not frame.index.is_unique:
            raise CorruptObjectError(f"{path} has several rows of the same unit.")
        frames.append(frame)
    if any(not frames[0].index.sort_values().equals(each.index.sort_values()) for each in frames[1:]):
        raise CorruptObjectError(f"{folder} has quality and template metrics of different units.")
    return pd.concat(frames, axis=1)


def _property(sorting: AnyPath, name: str) -> NDArray[Any] | None:
    try:
        return read_npy(sorting / "properties" / f"{name}.npy", mmap=False)
    except MissingObjectError:
        return None


def _optional(path: AnyPath) -> NDArray[np.float64] | None:
    return read_npy(path, mmap=False).astype(np.float64) if path.is_file() else None


def _templates(path: AnyPath) -> NDArray[Any]:
    templates = read_npy(path)
    if templates.ndim != 3:
        raise CorruptObjectError(
            f"{path} holds templates of shape {templates.shape}, not (units, time, channels)."
        )
    return templates


def _sparsity(
    path: AnyPath, own_ids: NDArray[np.int64], unit_ids: NDArray[np.int64], channel_ids: list[Any]
) -> NDArray[np.bool_]:
    """Return which channels each unit's template is on: all, where no file says it."""
    sparsity = np.ones((len(unit_ids), len(channel_ids)), dtype=bool)
    if not path.is_file():
        return sparsity
    content = read_json(path)
    try:
        listed = {
            str(key): {str(each) for each in value}
            for key, value in content["unit_id_to_channel_ids"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptObjectError(f"{path} does not list the channels of units.") from error
    # keys are the sorting's own ids, or those of the clusters
    for ids in (own_ids, unit_ids):
        if listed.keys() == {str(each) for each in ids}:
            names = [str(each) for each in channel_ids]
            return np.array([[name in listed[str(each)] for name in names] for each in ids]).reshape(
                sparsity.shape
            )
    raise CorruptObjectError(f"{path} is of other units than the sorting.")


def _locations(path: AnyPath, n_channels: int) -> NDArray[np.float64] | None:
    if not path.is_file():
        return None
    try:
        recording = read_json(path)["annotations"]["__sorting_info__"]["recording"]
        locations = np.asarray(recording["properties"]["location"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        return None
    return locations if locations.ndim == 2 and len(locations) == n_channels else None
