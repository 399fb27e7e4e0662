"""What lies in folders: listed once, and as the files themselves would say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from project_cache.errors import MissingObjectError
from project_cache.raw.layouts import members_of
from project_cache.raw.listings import Listings
from project_cache.raw.places import RemotePath
from project_cache.raw.recording import RawRecording
from project_cache.testing.server import ObjectServer, Served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with two sessions, the sorted output of one, and annotations of both."""
    for name in ("DRpilot_668755_20230831", "DRpilot_668755_20230831_sorted_1", "DRpilot_670248_20230801"):
        (tmp_path / name).mkdir()
    (tmp_path / "DRpilot_668755_20230831_sorted_1" / "postprocessed").mkdir()
    (tmp_path / "annotations" / "670248").mkdir(parents=True)
    (tmp_path / "annotations" / "Probe_A_668755.csv").touch()
    (tmp_path / "annotations" / "670248" / "Probe_B.csv").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_members_are_those_of_the_folder(folder: Path) -> None:
    listings = Listings()
    assert listings.members(folder) == members_of(folder)
    assert [path for path in members_of(folder) if path.is_dir()] == list(
        filter(listings.is_dir, listings.members(folder))
    )
    assert listings.is_dir(folder)
    assert not listings.is_dir(folder / "nothing")
    assert not listings.is_dir(folder / ".hidden")
    with pytest.raises(MissingObjectError):
        listings.members(folder / "nothing")


@pytest.mark.parametrize("listed", [True, False])
def test_by_the_beginning_of_their_names(folder: Path, listed: bool) -> None:
    listings = Listings()
    if listed:
        listings.members(folder)
    for prefix in ("DRpilot_668755_20230831", "DRpilot_668755_20230831_sorted", "n", "zzz", "D*"):
        found = [path for path in members_of(folder) if path.name.startswith(prefix)]
        assert listings.starting_with(folder, prefix) == found
    assert listings.starting_with(folder / "nothing", "n") == []


def test_a_folder_is_looked_at_once(folder: Path) -> None:
    listings = Listings()
    listings.members(folder)
    (folder / "later").mkdir()
    assert not listings.is_dir(folder / "later")
    assert Listings().is_dir(folder / "later")


def test_links_are_what_they_lead_to(folder: Path, tmp_path: Path) -> None:
    try:
        (folder / "link").symlink_to(folder / "annotations", target_is_directory=True)
        (folder / "nowhere").symlink_to(folder / "gone")
        (folder / "loop").symlink_to(folder / "loop")
    except OSError:
        pytest.skip("no symbolic links here")
    listings = Listings()
    listings.members(folder)
    assert [listings.is_dir(folder / name) for name in ("link", "nowhere", "loop")] == [True, False, False]


def test_recordings_that_share_them_find_what_they_would_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Listings()
    shared.members(folder)
    asked: list[str] = []
    scan = os.scandir

    def counted(path: str | Path = ".") -> object:
        asked.append(str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", counted)
    for name in ("DRpilot_668755_20230831", "DRpilot_670248_20230801"):
        ours, alone = RawRecording(folder / name, listings=shared), RawRecording(folder / name)
        assert ours.sorted_path == alone.sorted_path
        assert ours.annotation_paths == alone.annotation_paths
        assert ours.raw_data_paths == alone.raw_data_paths
    assert RawRecording(folder / "DRpilot_668755_20230831", listings=shared).is_sorted
    assert list(ours.annotation_paths) == ["B"]
    asked.clear()
    again = RawRecording(folder / "DRpilot_668755_20230831", listings=shared)
    assert list(again.annotation_paths) == ["A"]
    assert again.is_sorted
    assert asked == []


def test_files_of_other_subjects_are_left_out(folder: Path) -> None:
    listings = Listings()
    names = [path.name for path in listings.of_subject(folder / "annotations", 668755)]
    assert names == ["Probe_A_668755.csv"]
    assert [path.name for path in listings.of_subject(folder, 670248)] == [
        "DRpilot_670248_20230801",
        "annotations",
        "notes.txt",
    ]


def test_far_away_too() -> None:
    index = b'<a href="a/">a/</a> <a href="b.txt">b.txt</a>'
    with ObjectServer({"/root/": Served(index, "text/html"), "/root/b.txt": b"text"}) as server:
        root = RemotePath(server.url("/root/"))
        listings = Listings()
        assert [path.name for path in listings.members(root)] == ["a", "b.txt"]
        asked = len(server.log)
        assert listings.is_dir(root / "a")
        assert not listings.is_dir(root / "b.txt")
        assert not listings.is_dir(root / "c")
        assert len(server.log) == asked
