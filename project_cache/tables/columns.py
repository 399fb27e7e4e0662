"""Columns by name: those that are left out by default, and those that have another name in a table than in its file.

The names and the choice are AllenSDK 2.16.2's. Nothing here needs pandas.
"""

from __future__ import annotations

__all__ = [
    "ANNOTATED_NAMES",
    "ID_NAMES",
    "SUPPRESS_FROM_CHANNELS",
    "SUPPRESS_FROM_PROBES",
    "SUPPRESS_FROM_SESSION_TABLE",
    "SUPPRESS_FROM_UNITS",
    "UNIT_NAMES",
]

_RECORDING = ("air_channel_index", "surface_channel_index", "has_nwb", "lfp_temporal_subsampling_factor")
_SESSION = (
    "date_of_acquisition",
    "published_at",
    "specimen_id",
    "session_type",
    "isi_experiment_id",
    "age_in_days",
    "sex",
    "genotype",
)

SUPPRESS_FROM_SESSION_TABLE = ("has_nwb", "isi_experiment_id", "date_of_acquisition")
SUPPRESS_FROM_PROBES = (*_RECORDING, *_SESSION)
SUPPRESS_FROM_CHANNELS = (*_RECORDING, *_SESSION, "name")
SUPPRESS_FROM_UNITS = (
    *_RECORDING,
    "epoch_name_quality_metrics",
    "epoch_name_waveform_metrics",
    "isi_experiment_id",
)

#: The units' columns: name in the file, name in the table.
UNIT_NAMES = {
    **{
        name: f"waveform_{name}"
        for name in (
            "PT_ratio",
            "amplitude",
            "duration",
            "halfwidth",
            "recovery_slope",
            "repolarization_slope",
            "spread",
            "velocity_above",
            "velocity_below",
        )
    },
    "l_ratio": "L_ratio",
}

#: The column of ids of each table: the first of these that it has. Tables of AllenSDK's projects have ``id``.
ID_NAMES = {
    "sessions": ("id", "session_id", "ecephys_session_id"),
    "probes": ("id", "probe_id", "ecephys_probe_id"),
    "channels": ("id", "channel_id", "ecephys_channel_id"),
    "units": ("id", "unit_id", "ecephys_unit_id"),
}

#: What ``rename=True`` calls the columns that units and channels have from their probe.
ANNOTATED_NAMES = {
    "name": "probe_name",
    "phase": "probe_phase",
    "sampling_rate": "probe_sampling_rate",
    "lfp_sampling_rate": "probe_lfp_sampling_rate",
}
