"""Everything that the NWB files of a session hold, as plain tables and arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Eye", "Lfp", "Recording"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """What the eye camera saw.

    Attributes
    ----------
    timestamps : array (n_frames,)
        Seconds.
    ellipses : dict of pandas.DataFrame
        ``cr``, ``eye`` and ``pupil``: ``center_x``, ``center_y``, ``width``, ``height`` (pixels; the last two
        are half axes) and ``phi`` (radians).
    gaze : dict of pandas.DataFrame
        ``raw`` and ``filtered``: ``eye_area``, ``pupil_area``, ``y_cm``, ``x_cm``, ``y_deg``, ``x_deg``.
    """

    timestamps: Floats
    ellipses: dict[str, pd.DataFrame]
    gaze: dict[str, pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Everything that a session's NWB file holds, as plain tables and arrays.

    Attributes
    ----------
    session_id : int
    session_type : str
        ``"brain_observatory_1.1"`` or ``"functional_connectivity"``.
    description, institution : str
        Free text of the file.
    start : datetime
        With its time zone; time 0 s of everything else.
    subject : dict
        ``specimen_name``, ``age_in_days``, ``genotype``, ``sex``, ``strain``, ``species``, ``subject_id``.
    probes : pandas.DataFrame
        Index probe id; ``name``, ``sampling_rate``, ``lfp_sampling_rate`` (Hz), ``has_lfp_data``.
    channels : pandas.DataFrame
        Index channel id; ``probe_id``, ``probe_channel_number``, both positions (µm), three CCF
        coordinates (µm), ``structure_acronym`` (empty outside of the brain), ``valid_data``.
    units : pandas.DataFrame
        Index unit id; scalar columns under the names they have in the file.
    spike_times, spike_amplitudes : list of arrays
        One for each unit; seconds, and volts.
    waveforms : array (n_units, n_channels, n_samples)
        Mean waveforms (V) on all channels of the unit's probe.
    presentations : pandas.DataFrame
        ``start_time``, ``stop_time``, ``stimulus_name``, ``stimulus_block``, ``stimulus_index`` and
        parameters, in order of time. A parameter that a stimulus never has is NaN or None throughout.
    running : pandas.DataFrame
        ``start_time``, ``end_time`` (s), ``velocity`` (cm/s), ``net_rotation`` (radians).
    wheel : pandas.DataFrame
        ``frame_time`` (s), ``rotation`` (radians), ``signal_voltage``, ``supply_voltage`` (V).
    optotagging : pandas.DataFrame or None
        ``start_time``, ``stop_time``, ``duration``, ``condition``, ``level``, ``stimulus_name``.
    invalid_times : list of tuple
        Start, stop (s) and the three tags of a stretch of time that is not to be used.
    rig : dict, optional
        ``equipment`` and, of three numbers each, ``monitor_position``, ``camera_position``, ``led_position``
        (mm), ``monitor_rotation``, ``camera_rotation`` (degrees).
    eye : Eye, optional
    """

    session_id: int
    session_type: str
    description: str
    institution: str
    start: datetime
    subject: dict[str, Any]
    probes: pd.DataFrame
    channels: pd.DataFrame
    units: pd.DataFrame
    spike_times: list[Floats]
    spike_amplitudes: list[Floats]
    waveforms: npt.NDArray[np.float32]
    presentations: pd.DataFrame
    running: pd.DataFrame
    wheel: pd.DataFrame
    optotagging: pd.DataFrame | None = None
    invalid_times: list[tuple[float, float, tuple[str, str, str]]] = field(default_factory=list)
    rig: dict[str, Any] | None = None
    eye: Eye | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lfp:
    """The field potential of one probe and the current source density computed from it.

    Attributes
    ----------
    data : array (n_times, n_channels)
        Volts, on the channels whose ids are ``channel_ids``.
    timestamps : array (n_times,)
        Seconds.
    channel_ids : array (n_channels,)
    csd : array (n_csd_times, n_positions)
        V/m².
    csd_timestamps : array (n_csd_times,)
        Seconds from the onset of a flash.
    csd_positions : array (n_positions, 2)
        Horizontal and vertical position (µm).
    """

    data: npt.NDArray[np.float32]
    timestamps: Floats
    channel_ids: npt.NDArray[np.int64]
    csd: npt.NDArray[np.float32]
    csd_timestamps: Floats
    csd_positions: Floats
