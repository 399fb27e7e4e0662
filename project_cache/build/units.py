"""The units table: what was sorted from each probe, on the session's clock, with what decides of its quality."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.drift import DRIFT_THRESHOLD, activity_drift
from project_cache.build.probes import channel_offset, group_name, probe_letters, probe_stream
from project_cache.build.unit_metrics import DESCRIPTIONS, amplitude_cutoff, default_qc
from project_cache.errors import ComponentUnavailable, CorruptObjectError, MissingDataError

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.ecephys import ElectrodeGroup
    from pynwb.misc import Units

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.build.streaming import LazyArray
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.sorted import SortedProbe

__all__ = ["ProbeUnits", "probe_units", "units"]

_log = logging.getLogger("project_cache")

#: templates that are looked at together
_TOGETHER = 64
#: mean waveforms that are written together
_BLOCK = 32
#: annotation of the peak electrode, by the name that a unit has it under
_PLACES = {"structure": "structure", "location": "location", "ccf_ap": "x", "ccf_dv": "y", "ccf_ml": "z"}

_COLUMNS = {
    "unit_id": "Identifier of the unit among all sessions: session, probe (and shank), and the sorter's cluster.",
    "electrode_group_name": "Name of the probe's electrode group.",
    "device_name": "Name of the probe: its serial number.",
    "cluster_id": "The unit's number in the sorter's output, unique on its probe.",
    "shank": "The shank that the unit was sorted on.",
    "peak_channel": "Number of the channel on its probe on which the mean waveform is largest, from peak to trough.",
    "peak_electrode": "Row of the peak channel in the electrodes table.",
    "amplitude": "Size of the mean waveform on the peak channel, from peak to trough, in microvolts.",
    "structure": "Acronym of the CCF structure of the peak electrode.",
    "location": "Acronym of the CCF area, with its layer, of the peak electrode.",
    "ccf_ap": "CCF coordinate of the peak electrode in micrometers, +x is posterior.",
    "ccf_dv": "CCF coordinate of the peak electrode in micrometers, +y is inferior.",
    "ccf_ml": "CCF coordinate of the peak electrode in micrometers, +z is to the subject's right.",
    "default_qc": "Whether the unit passes: activity_drift < 0.1 (where there is a task), isi_violations_ratio <= 0.5, "
    "amplitude_cutoff <= 0.1, presence_ratio >= 0.7 and decoder_label is not 'noise'.",
    "is_qc_pass": "The same as default_qc.",
    "sorter_default_qc": "Whether the sorting pipeline let the unit pass.",
    "decoder_label": "What the pipeline's classifier takes the unit for: 'sua' (one cell), 'mua' (several) or 'noise'.",
    "decoder_probability": "How sure the classifier is of decoder_label.",
    "activity_drift": "How differently the unit fired in one block and another around the same stimulus in the same "
    "context (1.5 s before to 2 s after it): largest k-sample Anderson-Darling statistic / 100, from 0 to 1.",
    "is_not_drift": "Whether activity_drift is below 0.1.",
    "peak_waveform_index": "The peak channel's place along the last axis of waveform_mean and waveform_sd.",
    **DESCRIPTIONS,
}


@dataclass(frozen=True, slots=True, eq=False)
class ProbeUnits:
    """The units of one probe, or of one shank of it.

    Attributes
    ----------
    letter : str
        The probe.
    frame : pandas.DataFrame
        One row a unit: all columns that have one value a unit.
    spike_times : list of array
        Of each unit, in seconds, ascending.
    spike_amplitudes : list of array
        Of each spike, in µV.
    observed : array (1, 2)
        When the probe recorded, in seconds.
    source : SortedProbe
        What it was made from.
    """

    letter: str
    frame: pd.DataFrame
    spike_times: list[npt.NDArray[np.float64]]
    spike_amplitudes: list[npt.NDArray[np.floating[Any]]]
    observed: npt.NDArray[np.float64]
    source: SortedProbe


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
        raise ComponentUnavailable(f"{raw.root} has no sorted output: give sorted_data_path= if it lies elsewhere.")
    offset = channel_offset(is_surface_channels)
    for letter in probe_letters(raw, options, is_surface_channels):
        try:
            stream = clock.stream(probe_stream(raw, letter, "AP").name)
            groups = raw.sorted.groups(letter)
        except MissingDataError as error:
            _log.warning("The units of probe %s of %s are left out: %s", letter, raw.id, error)
            continue
        last = clock.stop if clock.has_sync else np.inf
        for group in groups:
            order = _by_unit(group)
            times = np.asarray(stream.times(group.spike_samples[order]), dtype=np.float64)
            bounds = np.cumsum(np.bincount(group.spike_units, minlength=len(group.unit_ids)))
            # what was sorted was recorded, even if the samples that are here were cut short
            stop = max(stream.stop, float(times.max(initial=stream.stop)))
            observed = np.array([[stream.start, min(stop, last)]])
            spikes = np.split(times, bounds[:-1]) if len(bounds) else []
            amplitudes = np.split(group.amplitudes[order], bounds[:-1]) if len(bounds) else []
            frame = _frame(raw, letter, group, amplitudes, offset)
            _judge(frame, spikes, trials, observed)
            yield ProbeUnits(letter, frame, spikes, amplitudes, observed, group)


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
    peak, size = _peaks(group)
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
        "device_name": [str(raw.ephys.probes[letter].serial_number)] * n_units,
        "cluster_id": group.unit_ids,
        "peak_channel": group.channels[peak] + offset,
        "amplitude": size,
    }
    if group.shank is not None:
        columns["shank"] = np.full(n_units, group.shank, dtype=np.int64)
    for name in metrics:
        if name not in columns and name != "amplitude_cutoff":
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
    frame["default_qc"] = default_qc({str(name): frame[name] for name in frame}, with_drift=trials is not None)
    frame["is_qc_pass"] = frame["default_qc"]


def units(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    electrodes: DynamicTable,
    electrode_groups: dict[str, ElectrodeGroup],
    trials_table: pd.DataFrame | None = None,
    is_surface_channels: bool = False,
) -> Units:
    """Return the table of units of all probes.

    Spike times are in seconds of the session's clock, spike amplitudes and waveforms in µV. Mean waveforms (and
    their standard deviations), on all channels of the probe and 0 where the sorter did not look, are read when
    they are asked for.

    Raises
    ------
    ComponentUnavailable
        There is no sorted output, or none of its probes can be put on the session's clock.
    CorruptObjectError
        Parts of the sorted output do not fit each other.
    """
    from hdmf.common import DynamicTableRegion, VectorData, VectorIndex
    from pynwb.misc import Units

    parts = list(probe_units(raw, clock, options, trials_table, is_surface_channels))
    if not parts:
        raise ComponentUnavailable(f"{raw.root} has sorted output, but of no probe that is used and has a clock.")
    rows = _rows(electrodes)
    offset = channel_offset(is_surface_channels)
    frame = pd.concat([_located(part, electrodes, rows) for part in parts], ignore_index=True)
    counts = np.array([len(each) for part in parts for each in part.spike_times], dtype=np.int64)
    nominal = probe_stream(raw, parts[0].letter, "AP").nominal_rate

    columns: list[Any] = [
        VectorData(name=str(name), description=_COLUMNS.get(str(name), f"{name}, of the sorting pipeline."), data=data)
        for name, data in _data(frame).items()
    ]

    def ragged(name: str, description: str, data: Any, ends: npt.NDArray[np.int64]) -> None:
        target = VectorData(name=name, description=description, data=data)
        columns.extend([target, VectorIndex(name=f"{name}_index", data=ends, target=target)])

    columns.append(
        VectorData(
            name="electrode_group",
            description="The probe that the unit was recorded with.",
            data=[electrode_groups[name] for name in frame["electrode_group_name"]],
        )
    )
    ends = np.cumsum(counts)
    times = np.concatenate([each for part in parts for each in part.spike_times] or [np.empty(0)])
    ragged("spike_times", "Times of the unit's spikes, in seconds of the session's clock.", times, ends)
    sizes = np.concatenate([each for part in parts for each in part.spike_amplitudes] or [np.empty(0)])
    ragged("spike_amplitudes", "Size of each spike on the unit's peak channel, in microvolts.", sizes, ends.copy())
    observed = np.concatenate([np.repeat(part.observed, len(part.frame), axis=0) for part in parts])
    ragged(
        "obs_intervals",
        "When the unit's probe recorded, in seconds of the session's clock.",
        observed,
        np.arange(1, len(frame) + 1),
    )
    if options.waveforms and len(frame):
        channels = [part.source.channels[mask] for part in parts for mask in part.source.sparsity]
        ends = np.cumsum([len(each) for each in channels])
        ragged(
            "channels",
            "Numbers of the channels on which the unit's waveform was taken.",
            np.concatenate(channels) + offset,
            ends,
        )
        letters = np.repeat([part.letter for part in parts], [len(part.frame) for part in parts])
        region = DynamicTableRegion(
            name="electrodes",
            description="The electrodes on which the unit's waveform was taken, in the order of channels.",
            data=np.concatenate(
                [rows[letter][each + offset] for letter, each in zip(letters, channels, strict=True)]
            ),
            table=electrodes,
        )
        columns.extend([region, VectorIndex(name="electrodes_index", data=ends.copy(), target=region)])
        columns.extend(_waveforms(parts, max(len(raw.ephys.probes[part.letter].x) for part in parts)))
    return Units(
        name="units",
        description="Units sorted from the AP band of each probe, with metrics of their quality.",
        columns=columns,
        colnames=[column.name for column in columns if not isinstance(column, VectorIndex)],
        waveform_rate=float(nominal),
        waveform_unit="microvolts",
        resolution=1.0 / float(nominal),
    )


def _rows(electrodes: DynamicTable) -> dict[str, dict[int, int] | npt.NDArray[np.int64]]:
    """Return the row of each channel number in the electrodes table, by probe letter; -1 where there is none."""
    names = np.asarray(electrodes["group_name"].data[:])
    numbers = np.asarray(electrodes["channel"].data[:], dtype=np.int64)
    found: dict[str, Any] = {}
    for name in np.unique(names):
        of_probe = np.flatnonzero(names == name)
        table = np.full(int(numbers[of_probe].max()) + 1, -1, dtype=np.int64)
        table[numbers[of_probe]] = of_probe
        found[str(name).removeprefix("probe")] = table
    return found


def _located(part: ProbeUnits, electrodes: DynamicTable, rows: Mapping[str, Any]) -> pd.DataFrame:
    """Return the units' columns with the row, and the place in the brain, of the peak electrode."""
    frame = part.frame.copy()
    table = rows[part.letter]
    peak = frame["peak_channel"].to_numpy()
    if len(peak) and (peak.max() >= len(table) or (table[peak] < 0).any()):
        raise CorruptObjectError(
            f"The sorted output {part.source.name!r} has units on channel {peak.max()}, which the electrodes do not have."
        )
    at = table[peak]
    frame.insert(int(frame.columns.get_loc("peak_channel")) + 1, "peak_electrode", at)  # type: ignore[arg-type]
    if "x" in electrodes.colnames:
        for name, column in _PLACES.items():
            if column in electrodes.colnames:
                frame[name] = np.asarray(electrodes[column].data[:])[at]
    return frame


def _data(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the columns as HDF5 has them: truth, numbers, text."""
    found: dict[str, Any] = {}
    for name in frame:
        column = frame[name]
        if column.dtype.kind in "iufb":
            found[str(name)] = column.to_numpy()
        elif name in ("sorter_default_qc",):
            # probes without a verdict beside probes with one
            found[str(name)] = column.map(lambda cell: cell is True or cell == 1).to_numpy(dtype=bool)
        else:
            found[str(name)] = ["" if cell is None or cell != cell else str(cell) for cell in column]
    return found


def _waveforms(parts: list[ProbeUnits], n_channels: int) -> list[Any]:
    """Return the columns of mean waveforms and standard deviations; none, where probes' are of different lengths."""
    from hdmf.common import VectorData

    lengths = {int(part.source.templates_mean.shape[1]) for part in parts}
    if len(lengths) > 1:
        _log.warning("Mean waveforms are left out: they have %s samples on one probe and another.", sorted(lengths))
        return []
    peaks = np.concatenate([part.source.channels[_peaks(part.source)[0]] for part in parts])
    text = "{} of the unit's waveforms on all channels of its probe, in microvolts, 0 where the sorter did not look."
    return [
        VectorData(name="peak_waveform_index", description=_COLUMNS["peak_waveform_index"], data=peaks),
        VectorData(
            name="waveform_mean",
            description=text.format("Mean"),
            data=_dense([(part.source.templates_mean, part.source.channels) for part in parts], n_channels),
        ),
        VectorData(
            name="waveform_sd",
            description=text.format("Standard deviation"),
            data=_dense([(part.source.templates_sd, part.source.channels) for part in parts], n_channels),
        ),
    ]


def _dense(sources: list[tuple[Any, npt.NDArray[np.int64]]], n_channels: int) -> LazyArray:
    """Return templates of several probes as one array, (units, samples, channels), read when it is sliced."""
    from project_cache.build.streaming import LazyArray

    starts = np.cumsum([0, *(source.shape[0] for source, _ in sources)])
    length = int(sources[0][0].shape[1])

    def read(start: int, stop: int) -> npt.NDArray[np.float32]:
        found = np.zeros((stop - start, length, n_channels), dtype=np.float32)
        for (source, channels), first, last in zip(sources, starts[:-1], starts[1:], strict=True):
            lower, upper = max(start, int(first)), min(stop, int(last))
            if lower < upper:
                part = np.asarray(source[lower - first : upper - first], dtype=np.float32)
                found[lower - start : upper - start][:, :, channels] = part
        return found

    shape = (int(starts[-1]), length, n_channels)
    return LazyArray(shape, np.float32, read, block=_BLOCK, chunk=(1, length, n_channels))
