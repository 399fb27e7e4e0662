"""The units table: what was sorted from each probe, on the session's clock, with what decides of its quality."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.electrodes import not_in_a_file_yet
from project_cache.build.probe_units import ProbeUnits, probe_units
from project_cache.build.probes import channel_offset, probe_info, probe_stream
from project_cache.build.unit_metrics import DESCRIPTIONS
from project_cache.errors import ComponentUnavailable, CorruptObjectError

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.ecephys import ElectrodeGroup
    from pynwb.misc import Units

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording

__all__ = ["units"]

_log = logging.getLogger("project_cache")

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

    parts, times, amplitudes = [], [], []
    for part in probe_units(raw, clock, options, trials_table, is_surface_channels):
        times.append(part.spike_times)
        amplitudes.append(part.spike_amplitudes)
        # of a long recording spikes are gigabytes: they are held once
        parts.append(replace(part, spike_times=np.empty(0), spike_amplitudes=np.empty(0, dtype=np.float32)))
        del part
    if not parts:
        raise ComponentUnavailable(
            f"{raw.root} has sorted output, but of no probe that is used and has a clock."
        )
    rows = _rows(electrodes)
    offset = channel_offset(is_surface_channels)
    frame = pd.concat([_located(part, electrodes, rows) for part in parts], ignore_index=True)
    ends = np.cumsum(np.concatenate([part.counts for part in parts]))
    nominal = probe_stream(raw, parts[0].letter, "AP").nominal_rate

    columns: list[Any] = [
        VectorData(
            name=str(name),
            description=_COLUMNS.get(str(name), f"{name}, of the sorting pipeline."),
            data=data,
        )
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
    ragged(
        "spike_times", "Times of the unit's spikes, in seconds of the session's clock.", _joined(times), ends
    )
    text = "Size of each spike on the unit's peak channel, in microvolts."
    ragged("spike_amplitudes", text, _joined(amplitudes), ends.copy())
    observed = np.concatenate([np.repeat(part.observed, len(part.frame), axis=0) for part in parts])
    ragged(
        "obs_intervals",
        "When the unit's probe recorded, in seconds of the session's clock.",
        observed,
        np.arange(1, len(frame) + 1),
    )
    if options.waveforms and len(frame):
        channels = [part.channels[mask] for part in parts for mask in part.sparsity]
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
        columns.extend(_waveforms(parts, max(len(probe_info(raw, part.letter).x) for part in parts)))
    with not_in_a_file_yet():
        return Units(
            name="units",
            description="Units sorted from the AP band of each probe, with metrics of their quality.",
            columns=columns,
            colnames=[column.name for column in columns if not isinstance(column, VectorIndex)],
            waveform_rate=float(nominal),
            waveform_unit="microvolts",
            resolution=1.0 / float(nominal),
        )


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return these arrays as one, letting go of each as soon as it is copied."""
    found = np.empty(sum(len(part) for part in parts), dtype=parts[0].dtype)
    at = 0
    while parts:
        part = parts.pop(0)
        found[at : at + len(part)] = part
        at += len(part)
    return found


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
            f"The sorted output {part.name!r} has units on channel {peak.max()}, which the electrodes do not have."
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
            found[str(name)] = column.to_numpy(copy=True)
        elif name in ("sorter_default_qc",):
            # probes without a verdict beside probes with one
            found[str(name)] = column.map(lambda cell: cell is True or cell == 1).to_numpy(dtype=bool)
        else:
            found[str(name)] = ["" if cell is None or cell != cell else str(cell) for cell in column]
    return found


def _waveforms(parts: list[ProbeUnits], n_channels: int) -> list[Any]:
    """Return the columns of mean waveforms and standard deviations; none, where probes' are of different lengths."""
    from hdmf.common import VectorData

    lengths = {int(part.templates_mean.shape[1]) for part in parts}
    if len(lengths) > 1:
        _log.warning(
            "Mean waveforms are left out: they have %s samples on one probe and another.", sorted(lengths)
        )
        return []
    peaks = np.concatenate([part.channels[part.peaks] for part in parts])
    text = "{} of the unit's waveforms on all channels of its probe, in microvolts, 0 where the sorter did not look."
    return [
        VectorData(name="peak_waveform_index", description=_COLUMNS["peak_waveform_index"], data=peaks),
        VectorData(
            name="waveform_mean",
            description=text.format("Mean"),
            data=_dense([(part.templates_mean, part.channels) for part in parts], n_channels),
        ),
        VectorData(
            name="waveform_sd",
            description=text.format("Standard deviation"),
            data=_dense([(part.templates_sd, part.channels) for part in parts], n_channels),
        ),
    ]


def _dense(sources: list[tuple[Any, npt.NDArray[np.int64]]], n_channels: int) -> Any:
    """Return templates of several probes as one array, (units, samples, channels), read when it is sliced."""
    from pynwb import H5DataIO

    from project_cache.build.lazy_array import LazyArray

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
    chunk = (1, length, n_channels)
    # most of it is 0
    data = LazyArray(shape, np.float32, read, block=_BLOCK, chunk=chunk)
    return H5DataIO(data, compression="gzip", compression_opts=1, shuffle=True, chunks=chunk)
