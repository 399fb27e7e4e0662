"""The sorted units of each probe on the session's clock, with what decides of their quality."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.drift import DRIFT_THRESHOLD, activity_drift
from project_cache.build.probes import (
    channel_offset,
    group_name,
    probe_info,
    probe_letters,
    probe_stream,
)
from project_cache.build.unit_metrics import amplitude_cutoff, default_qc
from project_cache.errors import (
    ComponentUnavailable,
    CorruptObjectError,
    MissingDataError,
    MissingObjectError,
)

if TYPE_CHECKING:
    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.sorted import SortedProbe

__all__ = ["ProbeUnits", "probe_units"]

_log = logging.getLogger("project_cache")

#: templates that are looked at together
_TOGETHER = 64


@dataclass(frozen=True, slots=True, eq=False)
class ProbeUnits:
    """The units of one probe, or of one shank of it.

    Attributes
    ----------
    letter : str
        The probe.
    frame : pandas.DataFrame
        One row a unit: all columns that have one value a unit.
    spike_times : array (spikes,)
        In seconds: those of the first unit, ascending, then those of the second …
    spike_amplitudes : array (spikes,)
        Of these, in µV.
    counts : array (units,)
        How many spikes each unit has.
    observed : array (1, 2)
        When the probe recorded, in seconds.
    name : str
        What the sorter calls it.
    channels : array (channels,)
        Numbers of the channels of the templates' last axis.
    sparsity : array (units, channels)
        On which of them a unit's template was taken.
    peaks : array (units,)
        Which of them is the largest.
    templates_mean, templates_sd : array-like (units, samples, channels)
        In µV, read when sliced.
    """

    letter: str
    frame: pd.DataFrame
    spike_times: npt.NDArray[np.float64]
    spike_amplitudes: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    observed: npt.NDArray[np.float64]
    name: str
    channels: npt.NDArray[np.int64]
    sparsity: npt.NDArray[np.bool_]
    peaks: npt.NDArray[np.int64]
    templates_mean: Any
    templates_sd: Any


def probe_units(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    trials: pd.DataFrame | None = None,
    is_surface_channels: bool = False,
) -> Iterator[ProbeUnits]:
    """Yield the units of each probe, or shank, that was sorted and can be put on the session's clock.

    Parameters
    ----------
    raw, clock, options
        The recording, its clock, and what the build was told.
    trials : pandas.DataFrame, optional
        The task's trials, for drift; without them it is NaN, and no condition of ``default_qc``.
    is_surface_channels : bool
        Whether this is a recording of the surface channels.
    """
    if not raw.is_sorted or raw.sorted is None:
        raise ComponentUnavailable(
            f"{raw.root} has no sorted output: give sorted_data_path= if it lies elsewhere."
        )
    offset = channel_offset(is_surface_channels)
    for letter in probe_letters(raw, options, is_surface_channels):
        try:
            stream = clock.stream(probe_stream(raw, letter, "AP").name)
            groups = raw.sorted.groups(letter)
        except (MissingDataError, MissingObjectError) as error:
            _log.warning("The units of probe %s of %s are left out: %s", letter, raw.id, error)
            continue
        last = clock.stop if clock.has_sync else np.inf
        for group in groups:
            order = _by_unit(group)
            counts = np.bincount(group.spike_units, minlength=len(group.unit_ids))
            times = np.asarray(stream.times(group.spike_samples[order]), dtype=np.float64)
            amplitudes = group.amplitudes[order].astype(np.float32, copy=False)
            del order
            # what was sorted was recorded, even if the samples that are here were cut short
            stop = max(stream.stop, float(times.max(initial=stream.stop)))
            observed = np.array([[stream.start, min(stop, last)]])
            peaks, size = _peaks(group)
            frame = _frame(raw, letter, group, _split(amplitudes, counts), offset)
            frame.insert(4, "peak_channel", group.channels[peaks] + offset)
            frame.insert(5, "amplitude", size)
            _judge(frame, _split(times, counts), trials, observed)
            yield ProbeUnits(
                letter=letter,
                frame=frame,
                spike_times=times,
                spike_amplitudes=amplitudes,
                counts=counts,
                observed=observed,
                name=group.name,
                channels=group.channels,
                sparsity=group.sparsity,
                peaks=peaks,
                templates_mean=group.templates_mean,
                templates_sd=group.templates_sd,
            )
            # before the next probe's spikes are read
            del group, times, amplitudes
        del groups


def _split(values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
    """Return each unit's share of the spikes, as views."""
    return np.split(values, np.cumsum(counts)[:-1]) if len(counts) else []


def _by_unit(group: SortedProbe) -> npt.NDArray[np.int64]:
    """Return the order of spikes by unit, and in time within each."""
    samples, owners = group.spike_samples, group.spike_units
    if len(samples) and (np.diff(samples) < 0).any():
        return np.lexsort((samples, owners))
    # 16 bits are sorted by counting
    return np.argsort(owners.astype(np.uint16) if len(group.unit_ids) < 1 << 16 else owners, kind="stable")


def _frame(
    raw: RawRecording, letter: str, group: SortedProbe, amplitudes: list[npt.NDArray[Any]], offset: int
) -> pd.DataFrame:
    """Return what has one value a unit, but for drift and what follows from it."""
    shank = "" if group.shank is None else f"-{group.shank}"
    n_units = len(group.unit_ids)
    metrics = group.metrics.reset_index(drop=True)
    counts = np.array([len(each) for each in amplitudes], dtype=np.int64)
    if "num_spikes" in metrics:
        wrong = np.flatnonzero(metrics["num_spikes"].to_numpy() != counts)
        if len(wrong):
            raise CorruptObjectError(
                f"The sorted output {group.name!r} has {counts[wrong[0]]:,} spikes of unit "
                f"{group.unit_ids[wrong[0]]}, but its metrics say {metrics['num_spikes'][wrong[0]]:,}: its parts are "
                "of different sortings."
            )
    columns: dict[str, Any] = {
        "unit_id": [f"{raw.id}_{letter}{shank}-{cluster}" for cluster in group.unit_ids.tolist()],
        "electrode_group_name": [group_name(letter)] * n_units,
        "device_name": [str(probe_info(raw, letter).serial_number)] * n_units,
        "cluster_id": group.unit_ids,
    }
    if group.shank is not None:
        columns["shank"] = np.full(n_units, group.shank, dtype=np.int64)
    for name in metrics:
        if name not in (*columns, "amplitude_cutoff", "amplitude", "peak_channel"):
            columns[str(name)] = metrics[name].to_numpy()
    columns["amplitude_cutoff"] = np.array([amplitude_cutoff(each) for each in amplitudes], dtype=np.float64)
    if "amplitude_cutoff" in metrics:
        columns["sorter_amplitude_cutoff"] = metrics["amplitude_cutoff"].to_numpy()
    for name, values in {
        "sorter_default_qc": group.default_qc,
        "decoder_label": group.decoder_label,
        "decoder_probability": group.decoder_probability,
    }.items():
        if values is not None:
            columns[name] = values
    return pd.DataFrame(columns)


def _peaks(group: SortedProbe) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the column of each unit's template that is largest from peak to trough, and that size, in µV."""
    n_units = len(group.unit_ids)
    peak = np.zeros(n_units, dtype=np.int64)
    size = np.zeros(n_units)
    for start in range(0, n_units, _TOGETHER):
        templates = np.asarray(group.templates_mean[start : start + _TOGETHER])
        extent = np.nan_to_num(templates.max(axis=1) - templates.min(axis=1))
        at = slice(start, start + len(extent))
        peak[at] = extent.argmax(axis=1)
        size[at] = extent.max(axis=1)
    return peak, size


def _judge(
    frame: pd.DataFrame,
    spikes: list[npt.NDArray[np.float64]],
    trials: pd.DataFrame | None,
    observed: npt.NDArray[np.float64],
) -> None:
    """Add drift to the units, and whether they pass."""
    drift = np.full(len(frame), np.nan) if trials is None else activity_drift(spikes, trials, observed)
    frame["activity_drift"] = drift
    frame["is_not_drift"] = drift < DRIFT_THRESHOLD
    frame["default_qc"] = default_qc(
        {str(name): frame[name] for name in frame}, with_drift=trials is not None
    )
    frame["is_qc_pass"] = frame["default_qc"]
