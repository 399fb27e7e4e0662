"""Verdicts: what is good, and what others do to files meanwhile."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.store import verdicts
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from folders import KEY, store_in  # type: ignore[import-not-found]
from origins import Origin, hdf5_bytes  # type: ignore[import-not-found]


def test_verify_tells_good_from_changed_from_missing(folder: Path, origin: Origin) -> None:
    store = store_in(folder, origin)
    good, bad = store.get(KEY), store.get(Key("session_nwb", (8,)))
    (folder / "units.csv").write_text("id\n1\n")
    data = bytearray(bad.read_bytes())
    data[-1] ^= 1
    bad.write_bytes(data)
    manifest = dataclasses.replace(store.manifest, objects=Objects([ObjectEntry(Key("session_nwb", (9,)))]))
    verdicts = {str(v.key): v.state for v in Store(manifest).verify(workers=2)}
    assert verdicts == {
        "session_nwb/7": "good",
        "session_nwb/8": "corrupt",
        "session_nwb/9": "missing",
        "units": "seen",
    }
    assert good.exists()
    assert {str(v.key): v.state for v in Store(manifest).verify()}["units"] == "good"


def test_a_cache_that_was_copied_elsewhere_still_verifies(
    folder: Path, origin: Origin, tmp_path: Path
) -> None:
    store_in(folder, origin).get(KEY)
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved, copy_function=shutil.copy)  # times are not kept
    store = store_in(moved, origin)
    assert store.get(KEY) == moved / "session_7/session_7.nwb"
    assert [v.state for v in store.verify()] == ["good"]
    assert origin.fills() == 1


def test_a_file_that_is_replaced_while_it_is_verified_is_not_called_corrupt(
    folder: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_in(folder, origin).get(KEY)
    store = store_in(folder, origin)
    real, replaced = verdicts.digest_of, []

    def slow(file: Path, algorithm: str) -> str:
        found = real(file, algorithm)
        if not replaced:  # another process fetches the next version just now
            hdf5_bytes(origin.body)
            origin.validator = '"v2"'
            replaced.append(store_in(folder, origin).renew(KEY))
        return found

    monkeypatch.setattr(verdicts, "digest_of", slow)
    Receipt.path_for(path).unlink()
    assert [v.state for v in store.verify()] == ["good"]
    receipt = Receipt.read(path)
    assert receipt is not None
    assert receipt.digest == digest_of(path)
    assert replaced


def test_a_file_that_is_pruned_while_it_is_verified_is_missing(
    folder: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(folder, origin)
    path = store.get(KEY)

    def gone(file: Path, algorithm: str) -> str:
        file.unlink()
        raise FileNotFoundError(file)

    monkeypatch.setattr(verdicts, "digest_of", gone)
    assert [v.state for v in store.verify()] == ["missing"]
    assert not path.exists()


def test_a_file_that_is_pruned_before_its_digest_is_noted_is_missing(
    folder: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(folder, origin)
    path = store.get(KEY)
    Receipt.path_for(path).unlink()

    def late(file: Path, algorithm: str) -> str:
        found = digest_of(file, algorithm)
        file.unlink()
        return found

    monkeypatch.setattr(verdicts, "digest_of", late)
    assert [v.state for v in store.verify()] == ["missing"]
    assert not Receipt.path_for(path).exists()
