"""Which probe went into which hole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project_cache.errors import CorruptObjectError
from project_cache.raw.insertions import read_insertions, read_shield_holes


def written(folder: Path, record: object) -> Path:
    path = folder / "insertions.json"
    path.write_text(json.dumps(record))
    return path


def test_todays_record(tmp_path: Path) -> None:
    record = {
        "shield": {"name": "2002", "drawing_id": "0283-200-002"},
        "probes": {"B": None, "A": "A1", "C": "C1"},
        "notes": {"A": None, "C": "bent"},
        "session": "366122_2023-12-01_0",
        "experiment_day": 1,
    }
    insertions = read_insertions(written(tmp_path, record))
    assert insertions.holes == {"A": "A1", "B": None, "C": "C1"}
    assert insertions.letters == "AC"
    assert (insertions.shield, insertions.drawing_id, insertions.experiment_day) == (
        "2002",
        "0283-200-002",
        1,
    )
    assert insertions.notes == {"C": "bent"}
    assert (insertions.location("A"), insertions.location("B"), insertions.location("F")) == (
        "2002 A1",
        None,
        None,
    )


def test_the_older_record_has_its_implant_among_the_probes(tmp_path: Path) -> None:
    record = {
        "probe_insertions": {
            "probeA": {"letter": "A", "hole": "A2", "notes": ""},
            "probeB": {"letter": "B", "hole": None, "notes": "broken"},
            "probeC": None,
            "implant": "2002",
        }
    }
    insertions = read_insertions(written(tmp_path, record))
    assert insertions.holes == {"A": "A2", "B": None, "C": None}
    assert insertions.location("A") == "2002 A2"
    assert insertions.notes == {"B": "broken"}
    assert insertions.experiment_day is None


@pytest.mark.parametrize(
    "record",
    [
        {},
        [],
        {"probes": ["A"]},
        {"probes": {"A": ["A1"]}},
        {"probes": {}, "shield": "2002"},
        {"probes": {}, "experiment_day": "first"},
        {"probe_insertions": None},
        {"probe_insertions": {"probeA": "A1"}},
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, record: object) -> None:
    with pytest.raises(CorruptObjectError, match=r"insertions\.json"):
        read_insertions(written(tmp_path, record))


def test_holes_of_a_shield(tmp_path: Path) -> None:
    path = tmp_path / "2002.csv"
    path.write_text("﻿Hole,AP,ML,Z\nA1,-0.3,-0.75,-0.1981\nE3,0,-3.25,-1.1892\n", "utf-8")
    holes = read_shield_holes(path)
    assert holes.loc["A1"].tolist() == [-0.3, -0.75, -0.1981, ""]
    assert holes["AP"].dtype == float
    # older shields: what a hole is for, but not how high it is
    path.write_text('Hole,Target,AP,ML\nA1,"RSP, MD",-0.7,-0.75\n')
    assert read_shield_holes(path).loc["A1", ["AP", "ML", "target"]].tolist() == [-0.7, -0.75, "RSP, MD"]
    path.write_text("Hole,AP\nA1,1\n")
    with pytest.raises(CorruptObjectError, match=r"2002\.csv"):
        read_shield_holes(path)
    path.write_text("Hole,AP,ML,Z\nA1,left,1,1\n")
    with pytest.raises(CorruptObjectError, match=r"2002\.csv"):
        read_shield_holes(path)


def test_real_records(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "shield"
    assert read_insertions(folder / "example-record.json").letters == "ACDEF"
    for path in folder.glob("*.csv"):
        holes = read_shield_holes(path)
        assert holes.index.is_unique
        assert holes[["AP", "ML"]].notna().all(axis=None)
