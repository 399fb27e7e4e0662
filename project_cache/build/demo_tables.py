"""The demo project's tables, in the columns that the warehouse gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from project_cache.build.demo_project import DIRECTIONS, SESSIONS, Layout, direction_curve, layout

__all__ = ["analysis_metrics", "table"]


def analysis_metrics(session: Layout) -> pd.DataFrame:
    """Return the tuning of a session's units, in the words of the project's metrics tables.

    These are the values that the units were made with, not estimates from their spikes.
    """
    made = layout(session).tuning
    curve = direction_curve(made, DIRECTIONS)
    turn = np.exp(1j * np.deg2rad(DIRECTIONS))
    total = curve.sum(axis=1)
    on, off = made["flash_on"], made["flash_off"]
    metrics = {
        "area_rf": np.round(np.pi * made["rf_sigma"] ** 2, 3),
        "azimuth_rf": made["rf_x"].round(3),
        "elevation_rf": made["rf_y"].round(3),
        "g_dsi_dg": np.round(np.abs(curve @ turn) / total, 6),
        "g_osi_dg": np.round(np.abs(curve @ turn**2) / total, 6),
        "on_off_ratio_fl": np.round((on - off) / (on + off), 6),
        "on_screen_rf": made["visual"] > 0,
        "p_value_rf": np.where(made["visual"] > 0, 0.001, 0.5),
        "pref_ori_dg": made["pref_direction"],
        "pref_tf_dg": made["pref_temporal_frequency"],
        "time_to_peak_fl": np.round(made["latency"] + 0.02, 4),
    }
    if session.session_type == "brain_observatory_1.1":
        metrics |= {
            "pref_ori_sg": made["pref_direction"] % 180,
            "pref_phase_sg": made["pref_phase"],
            "pref_sf_sg": made["pref_spatial_frequency"],
        }
    return pd.DataFrame(metrics).rename_axis("ecephys_unit_id")


def table(kind: str) -> pd.DataFrame:
    """Return a table of the whole project (``sessions``, ``probes``, ``channels`` or ``units``).

    The columns are those which the warehouse gives, before any renaming or joining.
    """
    if kind == "sessions":
        return pd.DataFrame([_session_row(s) for s in SESSIONS.values()]).set_index("id")
    made = {s.session_id: layout(s) for s in SESSIONS.values()}
    if kind == "probes":
        return pd.concat([_probe_rows(sid, each.probes) for sid, each in made.items()])
    if kind == "channels":
        return pd.concat([_channel_rows(each.channels) for each in made.values()])
    return pd.concat([_unit_rows(each.units) for each in made.values()])


def _session_row(session: Layout) -> dict[str, Any]:
    return {
        "id": session.session_id,
        "date_of_acquisition": session.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "isi_experiment_id": session.session_id + 50_000,
        "published_at": "2020-06-01T00:00:00Z",
        "specimen_id": session.session_id + 10_000,
        "session_type": session.session_type,
        "age_in_days": session.age,
        "sex": session.sex,
        "genotype": session.genotype,
        "has_nwb": True,
    }


def _probe_rows(session_id: int, probes: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "air_channel_index": 76,
            "ecephys_session_id": session_id,
            # the warehouse keeps the rate before subsampling
            "lfp_sampling_rate": 2 * probes["lfp_sampling_rate"],
            "lfp_temporal_subsampling_factor": 2.0,
            "name": probes["name"],
            "phase": "3a",
            "sampling_rate": probes["sampling_rate"],
            "surface_channel_index": 68,
            "has_lfp_data": probes["has_lfp_data"],
        }
    )


def _channel_rows(channels: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ecephys_probe_id": channels["probe_id"],
            "local_index": channels["probe_channel_number"],
            "probe_horizontal_position": channels["probe_horizontal_position"],
            "probe_vertical_position": channels["probe_vertical_position"],
            "anterior_posterior_ccf_coordinate": channels["anterior_posterior_ccf_coordinate"],
            "dorsal_ventral_ccf_coordinate": channels["dorsal_ventral_ccf_coordinate"],
            "left_right_ccf_coordinate": channels["left_right_ccf_coordinate"],
            "ecephys_structure_id": channels["structure_id"],
            "ecephys_structure_acronym": channels["structure_acronym"].mask(
                channels["structure_acronym"] == ""
            ),
        }
    )


def _unit_rows(units: pd.DataFrame) -> pd.DataFrame:
    rows = units.drop(columns=["cluster_id", "local_index"]).rename(
        columns={
            "peak_channel_id": "ecephys_channel_id",
            "waveform_duration": "duration",
            "waveform_halfwidth": "halfwidth",
        }
    )
    rows["epoch_name_quality_metrics"] = "complete_session"
    rows["epoch_name_waveform_metrics"] = "complete_session"
    return rows[sorted(rows.columns)]
