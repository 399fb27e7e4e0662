"""A session's row in the project's table: what is said, what is read for it, and what is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from project_cache.build.plan import BuildPlan
from project_cache.build.session_row import FLAGS, RowNotes, session_row
from project_cache.raw import places, sorted_legacy, trial_tables
from project_cache.testing.rig import simulate

#: a rig's recording, but for what takes long to be written
SMALL: dict[str, Any] = {
    "blocks": 2,
    "trials_per_block": 6,
    "ephys_seconds": 0.05,
    "lfp_seconds": 0.1,
    "video": False,
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("row")
    return simulate(folder, opto=True, wildtype=True, stimuli=("DynamicRouting1",), **SMALL).path


def test_it_is_what_the_components_are(recording: Path) -> None:
    plan = BuildPlan(recording)
    row = session_row(plan)
    assert list(row) == [*FLAGS, "trial_count", "unit_count", "issues"]
    graph = BuildPlan(recording).graph()
    assert {name: row[name] for name in FLAGS} == {name: graph.get(name) for name in FLAGS}
    assert row["is_opto_control"]
    assert not row["is_opto"]
    assert row["trial_count"] == plan.raw.task.n_trials > 0
    groups = [group for letter in plan.raw.sorted.probes for group in plan.raw.sorted.groups(letter)]
    assert row["unit_count"] == sum(len(group.unit_ids) for group in groups) > 0
    assert session_row(BuildPlan(recording, probe_letters_to_skip="A"))["unit_count"] < row["unit_count"]
    assert row["issues"] == ""


def test_what_the_caller_says_of_the_subject_counts(recording: Path) -> None:
    class Mutant:
        genotype = "Vip-IRES-Cre/wt"

    row = session_row(BuildPlan(recording, subject=Mutant()))
    assert (row["is_opto"], row["is_opto_control"]) == (True, False)


def test_no_more_is_read_than_it_says(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("nobody asked for this")

    opened: list[str] = []
    file = h5py.File

    def counted(path: Any, *args: Any, **options: Any) -> h5py.File:
        opened.append(str(path))
        return file(path, *args, **options)

    monkeypatch.setattr(sorted_legacy, "read", refused)
    monkeypatch.setattr(trial_tables, "read_table", refused)
    monkeypatch.setattr(places.h5py, "File", counted)
    assert session_row(BuildPlan(recording))["unit_count"]
    assert len(opened) == len(set(opened)) == 2


def test_what_is_damaged_is_an_issue(tmp_path: Path) -> None:
    path = simulate(tmp_path, stimuli=("DynamicRouting1",), **SMALL).path
    (path / "subject.json").write_text("[")
    for info in path.rglob("numpysorting_info.json"):
        info.write_text("{}")
    row = session_row(BuildPlan(path))
    assert row["is_opto"] is None
    assert row["unit_count"] is None
    assert row["trial_count"] > 0
    assert "subject.json" in row["issues"]
    assert "lists no units" in row["issues"]
    assert row["issues"].count("subject.json") == 1


def test_pynwb_is_not_needed(recording: Path) -> None:
    code = (
        "import sys; from project_cache.build.plan import BuildPlan\n"
        "from project_cache.build.session_row import session_row\n"
        f"session_row(BuildPlan({str(recording)!r}))\n"
        "sys.exit('pynwb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_are_kept_for_as_long_as_the_folder_looks_the_same(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = RowNotes(tmp_path / "rows.json")
    row = notes.row(BuildPlan(recording))
    notes.write()
    written = (tmp_path / "rows.json").stat().st_mtime_ns
    notes.write()
    assert (tmp_path / "rows.json").stat().st_mtime_ns == written
    monkeypatch.setattr("project_cache.build.session_row.session_row", lambda plan: {"made": "anew"})
    again = RowNotes(tmp_path / "rows.json")
    assert again.row(BuildPlan(recording)) == row
    assert again.row(BuildPlan(recording, is_opto=True)) == {"made": "anew"}
    assert again.last(str(BuildPlan(recording).session_id)) == row
    (tmp_path / "rows.json").write_text(json.dumps([1]))
    assert RowNotes(tmp_path / "rows.json").row(BuildPlan(recording)) == {"made": "anew"}
