"""Writing NWB files in the layout of the Visual Coding Neuropixels project.

The layout (group names, columns, units) is that of the files which the Allen Institute published for the
project, so that what reads those reads these: this package, AllenSDK, and pynwb by the specification that
is kept inside the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.extension import POSITIONS, ROTATIONS, Types
from project_cache.build.recording import Eye, Lfp, Recording

__all__ = ["write_lfp", "write_session"]

_UNIT_TEXT = "no description"
_ELECTRODE_TEXT = {
    "x": "anterior to posterior position in the common coordinate framework (µm)",
    "y": "dorsal to ventral position in the common coordinate framework (µm)",
    "z": "left to right position in the common coordinate framework (µm)",
    "imp": "impedance (ohm)",
    "location": "acronym of the brain structure, empty outside of the brain",
    "filtering": "hardware filters",
    "group": "the probe's electrode group",
    "group_name": "the probe's name",
    "probe_id": "id of the probe",
    "probe_channel_number": "index of the channel on its probe",
    "probe_horizontal_position": "position across the shank (µm)",
    "probe_vertical_position": "position along the shank, from the tip (µm)",
    "valid_data": "whether the channel gives usable data",
}


def write_session(recording: Recording, path: Path) -> None:
    """Write a session's NWB file. The same recording always gives the same bytes."""
    types = Types()
    nwb = _file(recording, types, str(recording.session_id))
    _stimuli(nwb, recording)
    _electrodes(nwb, recording, types, recording.channels)
    nwb.units = _units(recording)
    _running(nwb, recording)
    if recording.optotagging is not None:
        _optotagging(nwb, recording.optotagging)
    for start, stop, tags in recording.invalid_times:
        nwb.add_invalid_time_interval(start_time=start, stop_time=stop, tags=list(tags))
    if recording.rig is not None:
        _rig(nwb, types, recording.rig)
    if recording.eye is not None:
        _eye(nwb, recording.eye)
    types.write(nwb, path)


def write_lfp(recording: Recording, probe_id: int, lfp: Lfp, path: Path) -> None:
    """Write the NWB file of one probe's field potential. The same input always gives the same bytes."""
    from pynwb import ProcessingModule, TimeSeries
    from pynwb.ecephys import LFP

    types = Types()
    nwb = _file(recording, types, str(probe_id))
    _electrodes(nwb, recording, types, recording.channels.loc[lfp.channel_ids], [probe_id])
    region = nwb.create_electrode_table_region(
        region=list(range(len(lfp.channel_ids))), name="electrodes", description=f"channels of {probe_id}"
    )
    # held by the LFP, and linked to from beside it, as in the published files
    holder = LFP(name=f"probe_{probe_id}_lfp")
    nwb.add_acquisition(holder)
    nwb.add_acquisition(
        holder.create_electrical_series(
            name=f"probe_{probe_id}_lfp_data", data=lfp.data, timestamps=lfp.timestamps, electrodes=region
        )
    )
    density = TimeSeries(
        name="current_source_density", data=lfp.csd, timestamps=lfp.csd_timestamps, unit="V/m^2"
    )
    x, y = lfp.csd_positions.T
    csd = types.make(
        "EcephysCSD",
        name="ecephys_csd",
        time_series=density,
        virtual_electrode_x_positions=x.astype(np.float32),
        virtual_electrode_x_positions__unit="um",
        virtual_electrode_y_positions=y.astype(np.float32),
        virtual_electrode_y_positions__unit="um",
    )
    nwb.add_processing_module(
        ProcessingModule(
            name="current_source_density",
            description="Current source density around the onsets of flashes",
            data_interfaces=[csd],
        )
    )
    types.write(nwb, path)


def _file(recording: Recording, types: Types, identifier: str) -> Any:
    from pynwb import NWBFile

    subject = types.make(
        "EcephysSpecimen",
        age=f"P{round(recording.subject['age_in_days'])}D",
        **recording.subject,
    )
    return NWBFile(
        session_description=recording.description,
        identifier=identifier,
        session_id=str(recording.session_id),
        session_start_time=recording.start,
        file_create_date=recording.start,
        institution=recording.institution,
        stimulus_notes=recording.session_type,
        subject=subject,
    )


def _electrodes(
    nwb: Any, recording: Recording, types: Types, channels: pd.DataFrame, probe_ids: list[int] | None = None
) -> None:
    from pynwb.ecephys import ElectrodesTable

    groups = {}
    for key, probe in recording.probes.iterrows():
        probe_id = int(str(key))
        if probe_ids is not None and probe_id not in probe_ids:
            continue
        device = types.make(
            "EcephysProbe",
            name=probe["name"],
            description="Neuropixels 1.0 Probe",
            probe_id=probe_id,
            sampling_rate=float(probe["sampling_rate"]),
        )
        group = types.make(
            "EcephysElectrodeGroup",
            name=probe["name"],
            description="Ecephys Electrode Group",
            location="See electrode locations",
            device=device,
            probe_id=probe_id,
            has_lfp_data=bool(probe["has_lfp_data"]),
            lfp_sampling_rate=float(probe["lfp_sampling_rate"]),
        )
        nwb.add_device(device)
        nwb.add_electrode_group(group)
        groups[probe_id] = group
    rows = [groups[p] for p in channels["probe_id"]]
    values: dict[str, Any] = {
        "x": channels["anterior_posterior_ccf_coordinate"].to_numpy(float),
        "y": channels["dorsal_ventral_ccf_coordinate"].to_numpy(float),
        "z": channels["left_right_ccf_coordinate"].to_numpy(float),
        "imp": np.full(len(channels), np.nan),
        "location": channels["structure_acronym"].tolist(),
        "filtering": ["AP band: 500 Hz high-pass; LFP band: 1000 Hz low-pass"] * len(channels),
        "group": rows,
        "group_name": [group.name for group in rows],
        **{
            name: channels[name].to_numpy()
            for name in (
                "probe_id",
                "probe_channel_number",
                "probe_horizontal_position",
                "probe_vertical_position",
                "valid_data",
            )
        },
    }
    nwb.set_electrode_table(
        ElectrodesTable(
            id=channels.index.to_numpy(),
            columns=[_column(n, v, _ELECTRODE_TEXT[n]) for n, v in values.items()],
            colnames=list(values),
        )
    )


def _column(name: str, data: Any, description: str = _UNIT_TEXT) -> Any:
    from hdmf.common import VectorData

    return VectorData(name=name, description=description, data=data)


def _plain(values: pd.Series) -> Any:
    """Return numbers as an array, words as a list: what pynwb writes as one type throughout."""
    if values.dtype.kind in "bif":
        return values.to_numpy()
    if any(isinstance(v, str) for v in values):
        return values.astype(str).tolist()
    return values.to_numpy(float)


def _index(target: Any, lengths: npt.NDArray[np.int64]) -> Any:
    from hdmf.common import VectorIndex

    return VectorIndex(name=f"{target.name}_index", target=target, data=np.cumsum(lengths))


def _units(recording: Recording) -> Any:
    from pynwb.misc import Units

    n_units, n_channels, n_samples = recording.waveforms.shape
    scalar = [_column(str(name), _plain(values)) for name, values in recording.units.items()]
    ragged = []
    for name, parts, text in (
        ("spike_times", recording.spike_times, "times (s) of spikes"),
        ("spike_amplitudes", recording.spike_amplitudes, "amplitudes (V) of spikes"),
    ):
        data = _column(name, np.concatenate(parts), text)
        ragged += [data, _index(data, np.array([len(p) for p in parts]))]
    waveforms = _column(
        "waveform_mean",
        recording.waveforms.reshape(-1, n_samples).astype(np.float32),
        "mean waveforms (µV, as in the published files), channels of the probe by samples",
    )
    ragged += [waveforms, _index(waveforms, np.full(n_units, n_channels))]
    return Units(
        name="units",
        description="sorted units",
        id=recording.units.index.to_numpy(),
        columns=[*scalar, *ragged],
        colnames=[*map(str, recording.units.columns), "spike_times", "spike_amplitudes", "waveform_mean"],
        waveform_unit="volts",
    )


def _stimuli(nwb: Any, recording: Recording) -> None:
    from pynwb import ProcessingModule, TimeSeries
    from pynwb.base import TimeSeriesReference

    presentations = recording.presentations
    starts = presentations["start_time"].to_numpy(float)
    times = TimeSeries(name="timestamps", data=starts, timestamps=starts, unit="s")
    nwb.add_processing_module(
        ProcessingModule(
            name="stimulus", description="Times of stimulus presentations", data_interfaces=[times]
        )
    )
    for name in presentations["stimulus_name"].unique():
        chosen = np.flatnonzero((presentations["stimulus_name"] == name).to_numpy())
        table = presentations.iloc[chosen].dropna(axis="columns", how="all")
        nwb.add_time_intervals(
            _intervals(
                f"{name}_presentations",
                f"Presentations of {name}",
                table,
                "stimulus_time_interval",
                [TimeSeriesReference(int(row), 1, times) for row in chosen],
            )
        )


def _intervals(name: str, description: str, table: pd.DataFrame, tag: str, references: list[Any]) -> Any:
    from pynwb.base import TimeSeriesReferenceVectorData
    from pynwb.epoch import TimeIntervals

    one_each = np.ones(len(table), dtype=np.int64)
    tags = _column("tags", [tag] * len(table), "tags of the interval")
    series = TimeSeriesReferenceVectorData(
        name="timeseries", description="where the interval lies in a TimeSeries", data=references
    )
    scalar = [_column(str(c), _plain(values)) for c, values in table.items()]
    return TimeIntervals(
        name=name,
        description=description,
        id=np.arange(len(table)),
        columns=[*scalar, tags, _index(tags, one_each), series, _index(series, one_each)],
        colnames=[*map(str, table.columns), "tags", "timeseries"],
    )


def _running(nwb: Any, recording: Recording) -> None:
    from pynwb import ProcessingModule, TimeSeries

    running, wheel = recording.running, recording.wheel
    starts = running["start_time"].to_numpy()
    speed = TimeSeries(
        name="running_speed", data=running["velocity"].to_numpy(), timestamps=starts, unit="cm/s"
    )
    ends = TimeSeries(
        name="running_speed_end_times",
        data=np.full(len(running), np.nan),  # the published files keep the ends as this series' timestamps
        timestamps=running["end_time"].to_numpy(),
        unit="cm/s",
    )
    rotation = TimeSeries(
        name="running_wheel_rotation",
        data=running["net_rotation"].to_numpy(),
        timestamps=speed,
        unit="radians",
    )
    nwb.add_processing_module(
        ProcessingModule(
            name="running", description="running speed data", data_interfaces=[speed, ends, rotation]
        )
    )
    raw = TimeSeries(
        name="raw_running_wheel_rotation",
        data=wheel["rotation"].to_numpy(),
        timestamps=wheel["frame_time"].to_numpy(),
        unit="radians",
    )
    nwb.add_acquisition(raw)
    for name, column in (
        ("running_wheel_signal_voltage", "signal_voltage"),
        ("running_wheel_supply_voltage", "supply_voltage"),
    ):
        nwb.add_acquisition(TimeSeries(name=name, data=wheel[column].to_numpy(), timestamps=raw, unit="V"))


def _optotagging(nwb: Any, trials: pd.DataFrame) -> None:
    from pynwb import ProcessingModule, TimeSeries
    from pynwb.base import TimeSeriesReference

    light = TimeSeries(
        name="optotagging",
        data=trials["duration"].to_numpy(),
        timestamps=trials["start_time"].to_numpy(),
        unit="seconds",
    )
    table = _intervals(
        "optogenetic_stimulation",
        "Pulses of light",
        trials,
        "optical_stimulation",
        [TimeSeriesReference(row, 1, light) for row in range(len(trials))],
    )
    nwb.add_processing_module(
        ProcessingModule(
            name="optotagging", description="optogenetic stimulation data", data_interfaces=[light, table]
        )
    )


def _rig(nwb: Any, types: Types, rig: dict[str, Any]) -> None:
    from pynwb import ProcessingModule

    measures: dict[str, Any] = {}
    for names, unit in ((POSITIONS, "mm"), (ROTATIONS, "deg")):
        for name in names:
            measures |= {name: np.asarray(rig[name], dtype=np.float32), f"{name}__unit": unit}
    geometry = types.make(
        "EcephysEyeTrackingRigMetadata",
        name="eye_tracking_rig_metadata",
        equipment=rig["equipment"],
        **measures,
    )
    nwb.add_processing_module(
        ProcessingModule(
            name="eye_tracking_rig_metadata",
            description="Eye tracking rig metadata module",
            data_interfaces=[geometry],
        )
    )


def _eye(nwb: Any, eye: Eye) -> None:
    from hdmf.common import DynamicTable
    from pynwb import ProcessingModule, TimeSeries

    fits = []
    for name, ellipses in eye.ellipses.items():
        values = {**{str(c): v.to_numpy() for c, v in ellipses.items()}, "timestamps": eye.timestamps}
        fits.append(
            DynamicTable(
                name=f"{name}_ellipse_fits",
                description="ellipses fitted to the camera's frames",
                columns=[_column(n, v) for n, v in values.items()],
                colnames=list(values),
            )
        )
    nwb.add_processing_module(
        ProcessingModule(
            name="eye_tracking", description="Eye tracking processing module", data_interfaces=fits
        )
    )
    for kind, gaze in eye.gaze.items():
        series = [
            TimeSeries(name=name, data=gaze[columns].to_numpy(), timestamps=eye.timestamps, unit=unit)
            for name, columns, unit in (
                ("eye_area", "eye_area", "Pixels ^ 2"),
                ("pupil_area", "pupil_area", "Pixels ^ 2"),
                ("screen_coordinates", ["y_cm", "x_cm"], "Centimeters"),
                ("screen_coordinates_spherical", ["y_deg", "x_deg"], "Degrees"),
            )
        ]
        nwb.add_processing_module(
            ProcessingModule(
                name=f"{kind}_gaze_mapping",
                description=f"Gaze mapping processing module {kind} outputs",
                data_interfaces=series,
            )
        )
