"""From an id to a raw folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from project_cache.errors import MissingObjectError, UnknownObjectError
from project_cache.raw.roots import recordings_by_session, resolve, session_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "DRpilot_668755_20230831",
        "DRpilot_668755_20230831_surface_channels",
        "ecephys_670248_2023-08-03_15-00-00",
        "ecephys_670248_2023-08-03_12-04-15",
        "behavior_670248_2023-08-03_09-00-00",
        "ecephys_670248_2023-08-03_12-04-15_sorted_2024-01-01_00-00-00",
        "behavior_620263_2022-07-27_13-57-17",
        "sorted",
        "annotations",
        "DRpilot_668755_20230831_old",
    ):
        (tmp_path / "raw" / name).mkdir(parents=True)
    (tmp_path / "raw" / "DynamicRouting1_668755_20230829_120000.hdf5").write_bytes(b"")
    return tmp_path / "raw"


def test_one_folder_for_each_session(root: Path) -> None:
    assert {str(session): path.name for session, path in recordings_by_session(root).items()} == {
        "620263_2022-07-27": "behavior_620263_2022-07-27_13-57-17",
        "668755_2023-08-31": "DRpilot_668755_20230831",
        "668755_2023-08-31_1": "DRpilot_668755_20230831_surface_channels",
        "670248_2023-08-03": "ecephys_670248_2023-08-03_12-04-15",
        "670248_2023-08-03_1": "ecephys_670248_2023-08-03_15-00-00",
    }


def test_a_session_folder_is_a_root_of_one(root: Path) -> None:
    folder = root / "DRpilot_668755_20230831"
    assert list(recordings_by_session(folder).values()) == [folder]


def test_an_id_is_looked_up(root: Path, tmp_path: Path) -> None:
    assert resolve("668755_2023-08-31", root) == root / "DRpilot_668755_20230831"
    assert resolve("668755_20230831_1", [root]) == root / "DRpilot_668755_20230831_surface_channels"
    assert resolve("670248_2023-08-03", [root]).name == "ecephys_670248_2023-08-03_12-04-15"
    assert resolve("670248_2023-08-03_1", [tmp_path / "nothing", str(root)]).name.endswith("15-00-00")
    assert resolve(str(root / "annotations"), []) == root / "annotations"
    assert resolve(root / "annotations", []) == root / "annotations"


def test_an_id_that_is_nowhere(root: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError) as caught:
        resolve("668755_2023-08-30", [root, tmp_path / "nothing"])
    assert f"{root} (5 recordings), {tmp_path / 'nothing'} (does not exist)" in str(caught.value)
    with pytest.raises(MissingObjectError, match="none was given"):
        resolve("668755_2023-08-30", [])
    with pytest.raises(UnknownObjectError, match="is no session"):
        resolve("my favourite", [root])
    with pytest.raises(FileNotFoundError, match="favourite"):
        resolve("./favourite", [root])
    with pytest.raises(MissingObjectError, match="no folder"):
        recordings_by_session(tmp_path / "nothing")


@pytest.mark.parametrize(
    "name",
    ["sorted", "DRpilot_668755_20230831_dlc", "668755", "20230831", "3661_12345678_1", "668755_20230231"],
)
def test_what_is_no_session_folder(name: str) -> None:
    assert session_of(name) is None


def test_thousands_of_sessions_are_listed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(5000):
        (tmp_path / f"DRpilot_{600_000 + n}_202301{n % 28 + 1:02d}").mkdir()
    listed, scandir = [], os.scandir

    def counted(folder: Path) -> Iterator[os.DirEntry[str]]:
        listed.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    assert len(recordings_by_session(tmp_path)) == 5000
    assert listed == [tmp_path]


def test_real_roots(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing"
    assert len(recordings_by_session(folder / "trial_tables")) == 30
    assert [str(session) for session in recordings_by_session(folder / "raw_session")] == [
        "712345_2023-11-14"
    ]
