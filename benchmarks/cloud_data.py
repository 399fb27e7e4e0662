"""A folder of the cloud cache, of the size that the Visual Behavior Neuropixels project has; made once, and kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from project_cache.files import digest_of
from project_cache.visual_behavior import VisualBehaviorNeuropixelsProjectCache as Cache

__all__ = ["MANIFEST", "large_cloud"]

VERSION = "0.5.0"
MANIFEST = f"{Cache.PROJECT_NAME}_project_manifest_v{VERSION}.json"
SESSIONS, TRAINING, PROBES, CHANNELS, UNITS = 153, 3_271, 6, 384, 319_013

METRICS = ["amplitude_cutoff", "anterior_posterior_ccf_coordinate", "dorsal_ventral_ccf_coordinate", "left_right_ccf_coordinate",
           "cumulative_drift", "d_prime", "structure_id", "firing_rate", "isi_violations", "isolation_distance", "l_ratio", "max_drift",
           "nn_hit_rate", "nn_miss_rate", "presence_ratio", "silhouette_score", "snr", "amplitude", "waveform_duration",
           "waveform_halfwidth", "PT_ratio", "recovery_slope", "repolarization_slope", "spread", "velocity_above", "velocity_below"]  # fmt: skip


def large_cloud(target: Path) -> Path:
    """Return a cache folder with the five tables (together about 190 MB) and a manifest of 4,300 files, and no recordings."""
    if (target / MANIFEST).is_file():
        return target
    shutil.rmtree(target, ignore_errors=True)
    tables = target / f"{Cache.PROJECT_NAME}-{VERSION}" / "project_metadata"
    tables.mkdir(parents=True)
    files = _write_tables(tables)

    def entry(place: str, file_hash: str) -> dict[str, str]:
        url = f"https://{Cache.BUCKET_NAME}.s3.us-west-2.amazonaws.com/{Cache.PROJECT_NAME}/{place}"
        return {"url": url, "version_id": "", "file_hash": file_hash}

    data = {
        "project_name": Cache.PROJECT_NAME,
        "manifest_version": VERSION,
        "data_pipeline": [{"name": "AllenSDK", "version": "2.16.2", "comment": ""}],
        "metadata_file_id_column_name": "file_id",
        "metadata_files": {
            path.stem: entry(f"project_metadata/{path.name}", digest_of(path, "blake2b").partition(":")[2])
            for path in sorted(tables.glob("*.csv"))
        },
        "data_files": {str(n): entry(place, f"{n:0128x}") for n, place in enumerate(files)},
    }
    (target / "_manifest_last_used.txt").write_text(MANIFEST)
    (target / MANIFEST).write_text(json.dumps(data, indent=2))
    return target


def _write_tables(folder: Path) -> list[str]:
    """Write the tables, and return where the files are that they name: the file id is the position."""
    rng = np.random.default_rng(0)
    places: list[str] = []
    sid = 1_040_000_000 + np.arange(SESSIONS) * 7
    bid = 1_050_000_000 + np.arange(SESSIONS + TRAINING) * 3
    about = {"genotype": "wt/wt", "sex": "M", "mouse_id": 544836, "age_in_days": 140, "session_number": 4,
             "date_of_acquisition": "2020-08-19 14:23:08.212000+00:00", "image_set": "G", "prior_exposures_to_omissions": 0}  # fmt: skip
    first = len(places)
    places += [f"behavior_ecephys_sessions/{s}/ecephys_session_{s}.nwb" for s in sid]
    pd.DataFrame(
        {
            "ecephys_session_id": sid, "behavior_session_id": bid[:SESSIONS], **about, "project_code": "NeuropixelVisualBehavior",
            "unit_count": 2000.0, "probe_count": 6.0, "channel_count": 2304.0, "structure_acronyms": "['CA1', 'VISp', 'root']",
            "prior_exposures_to_image_set": 32.0, "file_id": first + np.arange(SESSIONS),
            "abnormal_histology": np.where(np.arange(SESSIONS) < 30, "['VISp']", ""), "abnormal_activity": "",
        }
    ).to_csv(folder / "ecephys_sessions.csv", index=False)  # fmt: skip
    first = len(places)
    places += [f"behavior_only_sessions/{b}/behavior_session_{b}.nwb" for b in bid[SESSIONS:]]
    pd.DataFrame(
        {
            "behavior_session_id": bid, **about, "equipment_name": "BEH.D-Box3", "session_type": "TRAINING_5_images_G",
            "prior_exposures_to_session_type": 0, "prior_exposures_to_image_set": 4.0,
            "ecephys_session_id": [*sid, *[None] * TRAINING], "file_id": [-999] * SESSIONS + list(range(first, first + TRAINING)),
        }
    ).to_csv(folder / "behavior_sessions.csv", index=False)  # fmt: skip
    probes = SESSIONS * PROBES
    pid = 1_060_000_000 + np.arange(probes)
    names = [f"probe{letter}" for letter in "ABCDEF"]
    first = len(places)
    places += [f"behavior_ecephys_sessions/{s}/probe_{name}_lfp.nwb" for s in sid for name in names]
    pd.DataFrame(
        {
            "ecephys_probe_id": pid, "ecephys_session_id": np.repeat(sid, PROBES), "name": np.tile(names, SESSIONS),
            "sampling_rate": 29999.97, "lfp_sampling_rate": 1249.9987, "phase": 1.0, "has_lfp_data": True, "unit_count": 340,
            "channel_count": CHANNELS, "structure_acronyms": "['CA1', 'VISp', 'root']", "file_id": first + np.arange(probes),
        }
    ).to_csv(folder / "probes.csv", index=False)  # fmt: skip
    count = probes * CHANNELS
    cid = 1_070_000_000 + np.arange(count)
    ccf = {axis: rng.integers(500, 9000, count).astype(float) for axis in METRICS[1:4]}
    areas = np.array(["VISp", "VISl", "CA1", "LGd", "root"], dtype=object)
    pd.DataFrame(
        {
            "ecephys_channel_id": cid, "ecephys_probe_id": np.repeat(pid, CHANNELS), "ecephys_session_id": np.repeat(sid, PROBES * CHANNELS),
            "probe_channel_number": np.tile(np.arange(CHANNELS), probes), "probe_vertical_position": 20, "probe_horizontal_position": 43,
            **ccf, "structure_acronym": rng.choice(areas, count), "unit_count": 1, "valid_data": True,
        }
    ).to_csv(folder / "channels.csv", index=False)  # fmt: skip
    peak = rng.integers(0, count, UNITS)
    pd.DataFrame(
        {
            "unit_id": 1_090_000_000 + np.arange(UNITS), "ecephys_channel_id": cid[peak], "ecephys_probe_id": pid[peak // CHANNELS],
            "ecephys_session_id": sid[peak // CHANNELS // PROBES], **{name: rng.random(UNITS) * 10 for name in METRICS},
            "structure_acronym": rng.choice(areas, UNITS), "local_index": 3, "probe_horizontal_position": 43,
            "probe_vertical_position": 20, "quality": rng.choice(["good", "noise"], UNITS), "valid_data": True,
        }
    ).to_csv(folder / "units.csv", index=False, float_format="%.13g")  # fmt: skip
    return places
