"""The subject, by its record in the forms that it has had."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.build.subject import described, subject
from project_cache.raw.recording import RawRecording

START = datetime(2023, 11, 14, 12, 33, 31, tzinfo=ZoneInfo("America/Los_Angeles"))


def test_the_subject_of_a_simulated_session(shared: Path) -> None:
    session = shared / "data/dynamic_routing/raw_session"
    raw = RawRecording(session / "DRpilot_712345_20231114")
    made = subject(raw, SessionClock(raw, Options()))
    truth = json.loads((session / "truth/session.json").read_text())["subject_truth"]
    assert made.subject_id == "712345"
    for name, value in truth.items():
        assert getattr(made, name) == value


def test_the_subject_of_stored_tables_has_its_age_of_the_day(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/trial_tables/DRpilot_626791_20220815"
    raw = RawRecording(folder)
    made = subject(raw, SessionClock(raw, Options()))
    assert made.age == "P146D"
    assert made.genotype == "wt/wt"
    assert made.sex == "M"


def test_newer_and_poorer_records() -> None:
    newer = {
        "subject_id": "712345",
        "subject_details": {
            "sex": "female",
            "date_of_birth": "2023-07-06",
            "genotype": "wt/wt",
            "species": {"name": "Mus musculus"},
            "strain": {"name": "C57BL/6J"},
            "breeding_info": {"breeding_group": "VGAT"},
        },
    }
    made = described(newer, "712345", START)
    assert made["sex"] == "F"
    assert made["age"] == "P131D"
    assert made["strain"] == "C57BL/6J"
    bred = described({"breeding_info": {"breeding_group": "VGAT"}}, "712345", START)
    assert bred["strain"] == "VGAT"
    assert bred["sex"] == "U"
    assert "age" not in bred


def test_without_a_record_the_id_is_known(tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    raw = RawRecording(folder)
    made = subject(raw, SessionClock(raw, Options()))
    assert made.subject_id == "712345"
    assert made.species == "Mus musculus"
    assert made.age is None
