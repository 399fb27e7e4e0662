"""The data that is measured on: made once, and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from project_cache.manifest.model import Manifest

SESSION_ID = 715093703
ROOT = Path(__file__).resolve().parent.parent


def shared() -> Path:
    """Return the folder of real data and tools."""
    return Path(os.environ.get("PROJECT_CACHE_SHARED") or ROOT.parent / "shared")


def bench_session(peer: str, folder: Path) -> Path:
    """Return a cache folder with a full-size session (1.2 GB), written by AllenSDK's own writer."""
    target = folder / "bench_session"
    if not (target / "manifest.json").is_file():
        tool = shared() / "tools" / "make_allen_session.py"
        print(f"making a full-size session in {target} (some minutes, once) …", flush=True)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(
            [peer, str(tool), str(target), "--session-id", str(SESSION_ID), "--scale", "bench"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        shutil.rmtree(target / "raw", ignore_errors=True)
        Manifest.visual_coding(target / "manifest.json").write_path_manifest(target / "manifest.json")
    return target


def copy_of(source: Path, target: Path) -> Path:
    """Return a writable copy of a cache folder without anything that is hidden."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"), copy_function=shutil.copyfile)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    target.chmod(0o755)
    return target


def large_project(target: Path, *, sessions: int = 2_000, units: int = 100_000) -> Path:
    """Return a cache folder of tables only: 2,000 sessions, 3 probes each, 20 channels a probe, 100,000 units."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    rng = np.random.default_rng(0)
    areas = np.array(["VISp", "VISl", "VISal", "CA1", "DG", "LGd", "LP", None], dtype=object)
    sid = 700_000_000 + np.arange(sessions)
    pd.DataFrame(
        {
            "id": sid, "date_of_acquisition": "2019-01-19T08:54:18Z", "isi_experiment_id": sid + 5, "published_at": "2019-10-03T00:00:00Z",
            "specimen_id": sid + 7, "session_type": rng.choice(["brain_observatory_1.1", "functional_connectivity"], sessions),
            "age_in_days": rng.integers(90, 150, sessions).astype(float), "sex": rng.choice(["M", "F"], sessions),
            "genotype": rng.choice(["wt/wt", "Sst-IRES-Cre/wt;Ai32/wt"], sessions), "has_nwb": True,
        }
    ).to_csv(target / "sessions.csv", index=False)  # fmt: skip
    pid = 800_000_000 + np.arange(3 * sessions)
    pd.DataFrame(
        {
            "id": pid, "air_channel_index": 374, "ecephys_session_id": np.repeat(sid, 3), "has_lfp_data": True, "lfp_sampling_rate": 2500.0,
            "lfp_temporal_subsampling_factor": 2.0, "name": np.tile(["probeA", "probeB", "probeC"], sessions), "phase": "3a",
            "sampling_rate": 29999.96, "surface_channel_index": 360,
        }
    ).to_csv(target / "probes.csv", index=False)  # fmt: skip
    channels = 20 * len(pid)
    cid = 850_000_000 + np.arange(channels)
    area = rng.integers(0, len(areas), channels)
    pd.DataFrame(
        {
            "id": cid, "ecephys_probe_id": np.repeat(pid, 20), "local_index": np.tile(np.arange(20), len(pid)), "probe_horizontal_position": 43,
            "probe_vertical_position": np.tile(np.arange(20) * 20, len(pid)), "anterior_posterior_ccf_coordinate": rng.integers(6000, 9000, channels),
            "dorsal_ventral_ccf_coordinate": rng.integers(1000, 4000, channels), "left_right_ccf_coordinate": rng.integers(6000, 9000, channels),
            "ecephys_structure_id": np.where(area == len(areas) - 1, np.nan, 380.0 + area), "ecephys_structure_acronym": areas[area],
        }
    ).to_csv(target / "channels.csv", index=False)  # fmt: skip
    metrics = ["l_ratio", "PT_ratio", "amplitude", "cumulative_drift", "d_prime", "duration", "firing_rate", "halfwidth", "isolation_distance",
               "max_drift", "nn_hit_rate", "nn_miss_rate", "recovery_slope", "repolarization_slope", "silhouette_score", "snr", "spread",
               "velocity_above", "velocity_below"]  # fmt: skip
    pd.DataFrame(
        {
            "id": 950_000_000 + np.arange(units), **{name: rng.random(units) * 10 for name in metrics}, "amplitude_cutoff": rng.exponential(0.05, units),
            "ecephys_channel_id": rng.choice(cid, units), "isi_violations": rng.exponential(0.2, units),
            "presence_ratio": rng.uniform(0.9, 1.0, units), "quality": rng.choice(["good", "good", "good", "noise"], units),
        }
    ).to_csv(target / "units.csv", index=False)  # fmt: skip
    Manifest.visual_coding(target / "manifest.json").write_path_manifest(target / "manifest.json")
    return target
