"""The small files beside the data: the mouse, the probes' holes, manipulators, the log, the annotation."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project_cache.testing.rig.open_ephys import CHANNELS

__all__ = [
    "HOLES",
    "STRUCTURES",
    "annotation",
    "subject_of",
    "write_annotations",
    "write_assets",
    "write_insertions",
    "write_log",
    "write_manipulators",
]

HOLES = {"A": "A1", "B": "B3", "C": "C1", "D": "D1", "E": "E2", "F": "F1"}
MANIPULATORS = {"A": 40906, "B": 40908, "C": 40907, "D": 40911, "E": 40913, "F": 40909}

#: structures along a probe, from the tip up: acronym with layer, acronym, channels
STRUCTURES = (
    ("TH", "TH", 90),
    ("CA1", "CA1", 70),
    ("VISp6a", "VISp", 40),
    ("VISp5", "VISp", 60),
    ("VISp4", "VISp", 40),
    ("VISp2/3", "VISp", 50),
    ("VISp1", "VISp", 14),
)


def subject_of(subject: int, date: datetime, *, wildtype: bool = False) -> dict[str, Any]:
    """Return subject.json of a mouse of 131 days."""
    return {
        "subject_id": str(subject),
        "sex": "Male" if subject % 2 else "Female",
        "date_of_birth": f"{date - timedelta(days=131):%Y-%m-%d}",
        "genotype": "wt/wt" if wildtype else "VGAT-ChR2-YFP/wt",
        "species": {"name": "Mus musculus"},
        "background_strain": "C57BL/6J",
    }


def write_insertions(path: Path, letters: str, session_id: str) -> None:
    """Write insertions.json: the shield and the hole of each probe."""
    record = {
        "shield": {"name": "2002", "drawing_id": "0283-200-002"},
        "probes": {p: HOLES[p] if p in letters else None for p in "ABCDEF"},
        "notes": dict.fromkeys("ABCDEF"),
        "session": f"{session_id}_0",
        "experiment_day": 1,
    }
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")


def write_manipulators(path: Path, letters: str, started: datetime) -> dict[str, dict[str, Any]]:
    """Write the manipulators' log, and return where each probe ended.

    The log goes on after `started` (local time): what was moved then, when the probes were withdrawn, is not
    where they recorded.
    """
    rows: list[tuple[datetime, str]] = []
    last: dict[str, dict[str, Any]] = {}
    for number, p in enumerate(letters):
        serial = f"SN{MANIPULATORS[p]}"
        x, y, depth = 7520.0 + number, 7505.0, 2400.0 + 150.0 * number
        for step in range(41):
            when = started - timedelta(seconds=2400 - 35 * step - 3 * number)
            z = depth * step / 40
            rows.append((when, f"{serial}, {x}, {y}, {z}, {x}, {y}, {z}"))
        last[f"probe{p}"] = {
            "device_name": serial,
            "x": x,
            "y": y,
            "z": depth,
            "last_movement_time": (when - started).total_seconds(),
        }
        after = started + timedelta(hours=6, seconds=number)
        rows.append((after, f"{serial}, {x}, {y}, 0.0, {x}, {y}, 0.0"))
    rows.sort(key=lambda row: row[0])
    lines = [f"{when:%Y/%m/%d %H:%M:%S}.{when.microsecond // 1000:03d}, {text}" for when, text in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return last


def write_log(path: Path, experimenter: str) -> None:
    """Write debug.log, in which another user was logged in first."""
    user = experimenter.lower().replace(" ", ".")
    lines = [
        "2023-01-01 root INFO started",
        "... User('first.wrong') ...",
        f"... User('{user}') logged in",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def annotation(letter: str) -> pd.DataFrame:
    """Return where each channel of a probe was: channel, AP, DV, ML (25 µm voxels), region, region_stripped.

    The top channels were above the brain: -1 in all three.
    """
    region = [layer for layer, _, n in STRUCTURES for _ in range(n)]
    stripped = [structure for _, structure, n in STRUCTURES for _ in range(n)]
    inside = len(region)
    index = np.arange(inside)
    out = np.full(CHANNELS - inside, -1)
    offset = 8 * "ABCDEF".index(letter)
    return pd.DataFrame(
        {
            "channel": np.arange(CHANNELS),
            "AP": np.concatenate([np.full(inside, 336 + offset), out]),
            "DV": np.concatenate([150 - index * 10 // 25, out]),
            "ML": np.concatenate([np.full(inside, 134 + offset), out]),
            "region": region + [""] * len(out),
            "region_stripped": stripped + [""] * len(out),
        }
    )


def write_annotations(folder: Path, letters: str, subject: int) -> None:
    """Write one TissueCyte table for each probe."""
    folder.mkdir(parents=True)
    for p in letters:
        name = f"Probe_{p}1_channels_{subject}_warped_processed_new_sorting.csv"
        annotation(p).to_csv(folder / name, index=False, lineterminator="\n")


def write_assets(folder: Path, name: str, subject: dict[str, Any], started: datetime) -> None:
    """Write the JSON that stands at the top of a cloud asset."""
    day = f"{started:%Y-%m-%d}"
    contents: dict[str, dict[str, Any]] = {
        "subject.json": subject,
        "data_description.json": {"name": name, "subject_id": subject["subject_id"], "data_level": "raw"},
        "procedures.json": {"subject_id": subject["subject_id"], "subject_procedures": []},
        "session.json": {"session_start_time": started.isoformat(), "rig_id": "NP3"},
        "rig.json": {"rig_id": "323_EPHYS3_240401", "modification_date": day},
    }
    for file, record in contents.items():
        (folder / file).write_text(json.dumps(record, indent=1), encoding="utf-8")
