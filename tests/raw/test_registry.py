"""The sessions that a project tracks."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import pytest

from project_cache.errors import ManifestError, MissingObjectError, UnknownObjectError
from project_cache.raw.registry import project_of, read_registry

TRACKED = """
ephys:
  DynamicRouting:
    - //server/pilot/DRpilot_668755_20230831:
        day: 4
        session_kwargs:
          probe_letters_to_skip: DE # not recorded
          is_production: false
        issues: https://example.org/issues/1
    - //server/pilot/DRpilot_668755_20230830
    - //server/pilot/DRpilot_668755_20230831_second:
        idx: 1
        probe_letters_to_skip: A
        notes: surface channels
    - //server/pilot/DRpilot_668755_20230831:
        ephys_day: 5
        session_kwargs: {is_context_naive: true, probe_letters_to_skip: X}
        issues: [https://example.org/issues/2]
  TempletonPilotSession:
    - //server/templeton/2022-07-27_13-57-17_620263
behavior_with_sync:
  DynamicRouting:
    - //server/pilot/DRpilot_700000_20240101:
        session_kwargs: {is_task: false}
behavior:
  DynamicRouting:
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tracked_sessions.yaml"
    file.write_text(TRACKED)
    return file


def test_sessions_newest_first(path: Path) -> None:
    registry = read_registry(path)
    assert [str(info.id) for info in registry] == [
        "700000_2024-01-01", "668755_2023-08-31_1", "668755_2023-08-31", "668755_2023-08-30", "620263_2022-07-27",
    ]  # fmt: skip
    assert len(registry) == 5
    assert "DRpilot_668755_20230831" in registry
    assert "668755_2023-08-29" not in registry
    assert "nothing" not in registry


def test_what_is_known_of_a_session(path: Path) -> None:
    info = read_registry(path)["DRpilot_668755_20230831"]
    assert (info.subject, info.date, info.idx, info.project) == (668755, "2023-08-31", 0, "DynamicRouting")
    assert (info.is_ephys, info.is_sync, info.is_video, info.is_task) == (True, True, True, True)
    # listed twice: the first entry says it, the second adds to it
    assert info.experiment_day == 4
    assert info.session_kwargs == {
        "probe_letters_to_skip": "DE",
        "is_production": False,
        "is_context_naive": True,
    }
    assert info.issues == ("https://example.org/issues/1", "https://example.org/issues/2")
    assert (info.is_production, info.is_context_naive, info.has_issues) == (False, True, True)
    assert info.allen_path == "//server/pilot/DRpilot_668755_20230831"
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.notes = "other"  # type: ignore[misc]


def test_what_is_written_one_level_too_high_counts(path: Path) -> None:
    info = read_registry(path)["668755_2023-08-31_1"]
    assert (info.idx, info.session_kwargs, info.notes) == (
        1,
        {"probe_letters_to_skip": "A"},
        "surface channels",
    )


def test_templeton_and_behavior(path: Path) -> None:
    registry = read_registry(path)
    pilot = registry["620263_2022-07-27"]
    assert (pilot.is_templeton, pilot.is_context_naive, pilot.is_ephys) == (True, True, True)
    behavior = registry["700000_2024-01-01"]
    assert (behavior.is_ephys, behavior.is_sync, behavior.is_task) == (False, True, False)
    assert project_of(620263) == "TempletonPilotSession"
    assert project_of(668755) == "DynamicRouting"


def test_sessions_are_one_by_their_id(path: Path) -> None:
    info = read_registry(path)["668755_2023-08-31"]
    other = dataclasses.replace(info, notes="read again")
    assert info == other
    assert len({info, other}) == 1
    assert info != "668755_2023-08-31"
    assert pickle.loads(pickle.dumps(info)) == info


def test_filters(path: Path) -> None:
    registry = read_registry(path)
    assert [str(info.id) for info in registry.where(subject=668755, is_production=False)] == [
        "668755_2023-08-31"
    ]
    assert len(registry.where()) == 5
    assert registry.where(project="TempletonPilotSession", is_ephys=False) == []
    with pytest.raises(UnknownObjectError, match="'is_purple'.*is_ephys"):
        registry.where(is_purple=True)


def test_unknown_sessions(path: Path) -> None:
    registry = read_registry(path)
    with pytest.raises(UnknownObjectError, match="668755_2023-08-29 is not in this registry of 5 sessions"):
        registry["668755_2023-08-29"]
    with pytest.raises(KeyError):
        registry["nothing"]


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- b\n",
        "ephys: [a]\n",
        "histology: {DynamicRouting: []}\n",
        "ephys: {DynamicRouting: {a: b}}\n",
        "ephys: {DynamicRouting: [[a]]}\n",
        "ephys: {DynamicRouting: [no_session]}\n",
        "ephys: {DynamicRouting: [668755_2023-08-31: [1]]}\n",
        "ephys: {DynamicRouting: [668755_2023-08-31: {day: first}]}\n",
        "ephys: {DynamicRouting: [668755_2023-08-31: {session_kwargs: 1}]}\n",
        "ephys: {:\n",
        "ephys: !!python/object/apply:os.getcwd []\n",
    ],
)
def test_what_is_no_registry_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tracked.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError, match=r"tracked\.yaml"):
        read_registry(path)
    with pytest.raises(MissingObjectError):
        read_registry(tmp_path / "nothing.yaml")


def test_the_real_registry(shared: Path) -> None:
    registry = read_registry(shared / "data" / "dynamic_routing" / "tracking" / "tracked_sessions.yaml")
    # 440 entries, 43 of which repeat another
    assert len(registry) == 397
    assert len(registry.where(project="TempletonPilotSession")) == 31
    assert len(registry.where(is_ephys=False)) == 6
    assert registry["668755_2023-08-31"].experiment_day == 4
    assert registry["836729_2026-02-16"].session_kwargs == {
        "probe_letters_to_skip": "C",
        "is_context_naive": True,
    }
