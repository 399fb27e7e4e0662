"""Layers: which folder has an object, and what is told from a whole file."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from project_cache.errors import CorruptObjectError, UnreadableObjectError
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from folders import KEY, outcome, store_in  # type: ignore[import-not-found]
from origins import Origin, hdf5_bytes  # type: ignore[import-not-found]


def test_layers_are_asked_first_and_never_written_to(folder: Path, origin: Origin, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    (drive / "session_7").mkdir(parents=True)
    shutil.copy(origin.body, drive / "session_7" / "session_7.nwb")
    before = sorted(p.as_posix() for p in drive.rglob("*"))
    manifest = Manifest.visual_coding(folder / "manifest.json")
    store = Store(manifest, [manifest.at(tmp_path / "empty"), manifest.at(drive)], [origin])
    assert store.get(KEY) == drive / "session_7" / "session_7.nwb"
    assert store.get(Key("session_nwb", (8,))) == folder / "session_8" / "session_8.nwb"
    store.verify()
    assert sorted(p.as_posix() for p in drive.rglob("*")) == before
    assert origin.fills() == 1


def test_a_broken_file_on_a_drive_is_fetched_into_the_own_folder(
    folder: Path, origin: Origin, tmp_path: Path
) -> None:
    drive = tmp_path / "drive"
    (drive / "session_7").mkdir(parents=True)
    broken = drive / "session_7" / "session_7.nwb"
    broken.write_bytes(origin.body.read_bytes()[:100_000])
    manifest = Manifest.visual_coding(folder / "manifest.json")
    store = Store(manifest, [manifest.at(drive)], [origin])
    assert store.get(KEY) == folder / "session_7" / "session_7.nwb"
    assert broken.stat().st_size == 100_000


def test_a_file_that_may_not_be_read_is_not_fetched_again(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]], unprivileged: list[str]
) -> None:
    path = store_in(folder, origin).get(KEY)
    Receipt.path_for(path).unlink()
    path.chmod(0o000)
    try:
        code, _, err = outcome(worker(wrap=unprivileged))
    finally:
        path.chmod(0o644)
    assert code == 1
    assert UnreadableObjectError.__name__ in err
    assert "not fetched again" in err
    assert origin.fills() == 1


def test_a_newer_version_in_the_manifest_replaces_the_old(folder: Path, origin: Origin) -> None:
    old = Manifest.visual_coding(folder / "manifest.json")
    Store(old, (), [origin]).get(KEY)
    body = hdf5_bytes(origin.body)
    origin.validator = '"v2"'
    new = dataclasses.replace(old, objects=Objects([ObjectEntry(KEY, digest=digest_of(origin.body))]))
    assert Store(new, (), [origin]).get(KEY).read_bytes() == body


def test_hostile_receipts_and_journals_are_ignored(folder: Path, origin: Origin) -> None:
    path = store_in(folder, origin).get(KEY)
    for text in (
        "",
        "{",
        "[]",
        '{"size": "x"}',
        json.dumps({"key": 1, "size": None, "mtime_ns": [], "digest": {}}),
    ):
        Receipt.path_for(path).write_text(text)
        assert Receipt.read(path) is None
        assert store_in(folder, origin).get(KEY) == path
    (path.parent / ".session_8.nwb.aaaa.part").write_bytes(b"x")
    (path.parent / ".session_8.nwb.aaaa.journal").write_text('{"origin": []')
    assert origin.fills() == 1


# What AllenSDK leaves behind -------------------------------------------------------------------


def test_a_folder_without_receipts_works_as_it_is(shared: Path) -> None:
    root = shared / "data" / "allen_session"
    before = sorted(p.name for p in root.rglob("*"))
    store = Store(Manifest.read(root / "manifest.json"), offline=True)
    for kind in ("session_nwb", "probe_lfp_nwb", "sessions", "units", "session_analysis_metrics"):
        for key, path in store.manifest.scan(kind):
            assert store.get(key) == path
    assert sorted(p.name for p in root.rglob("*")) == before


@pytest.mark.parametrize("damage", ["truncated", "empty", "page", "zeros"])
def test_a_broken_file_is_healed_and_offline_it_is_told(folder: Path, origin: Origin, damage: str) -> None:
    path = folder / "session_7" / "session_7.nwb"
    path.parent.mkdir()
    good = origin.body.read_bytes()
    path.write_bytes(
        {
            "truncated": good[: len(good) // 2],
            "empty": b"",
            "page": b"<!DOCTYPE html>sorry",
            "zeros": bytes(len(good)),
        }[damage]
    )
    broken = path.read_bytes()
    with pytest.raises(CorruptObjectError, match=r"session_7\.nwb") as error:
        store_in(folder, origin, offline=True).get(KEY)
    assert "project-cache fetch" in str(error.value)
    assert path.read_bytes() == broken
    assert store_in(folder, origin).get(KEY).read_bytes() == good


def test_a_user_block_before_the_superblock_is_no_damage(folder: Path, tmp_path: Path) -> None:
    import h5py

    path = folder / "session_7" / "session_7.nwb"
    path.parent.mkdir()
    with h5py.File(path, "w", userblock_size=2048) as file:
        file["x"] = range(100)
    assert store_in(folder).get(KEY) == path


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_every_superblock_version_shows_truncation(folder: Path, version: str) -> None:
    import h5py

    path = folder / "session_7" / "session_7.nwb"
    path.parent.mkdir()
    with h5py.File(path, "w", libver=version) as file:
        file["x"] = range(10_000)
    assert store_in(folder).get(KEY) == path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptObjectError, match="cut short"):
        store_in(folder).get(KEY)
