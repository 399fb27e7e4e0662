"""Filling: an object gets its name when it is whole and checked, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from project_cache.errors import (
    ContentError,
    CorruptObjectError,
    DiskFullError,
    MissingObjectError,
    OfflineError,
    TransferError,
)
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.store.part import Part
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from folders import KEY, hidden_files, outcome, store_in, visible  # type: ignore[import-not-found]
from origins import Origin, hdf5_bytes  # type: ignore[import-not-found]


def test_sources_are_asked_in_order_until_one_has_it(folder: Path, origin: Origin, tmp_path: Path) -> None:
    empty = Origin(origin.body, tmp_path / "other", name="empty")
    empty.missing = True
    assert store_in(folder, empty, origin).get(KEY).exists()
    assert (empty.fills(), origin.fills()) == (0, 1)


def test_no_source_at_all_says_where_to_put_the_file(folder: Path) -> None:
    with pytest.raises(MissingObjectError, match="Put the file at") as error:
        store_in(folder).get(KEY)
    assert str(folder / "session_7" / "session_7.nwb") in str(error.value)
    assert isinstance(error.value, FileNotFoundError)


def test_offline_names_the_object_and_the_command_that_gets_it(folder: Path, origin: Origin) -> None:
    with pytest.raises(OfflineError, match=r"project-cache fetch session_nwb/7 --manifest"):
        store_in(folder, origin, offline=True).get(KEY)
    assert origin.fills() == 0


def test_the_receipt_keeps_what_the_object_was_verified_with(folder: Path, origin: Origin) -> None:
    path = store_in(folder, origin).get(KEY)
    receipt = Receipt.read(path)
    assert receipt is not None
    assert receipt.digest == digest_of(path)
    assert (receipt.size, receipt.validator, receipt.origin) == (path.stat().st_size, '"v1"', "origin")
    assert receipt.fits(path.stat().st_size, path.stat().st_mtime_ns)


# Verification before publication ---------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["size", "digest", "format", "manifest size"])
def test_what_is_not_the_object_never_gets_its_name(folder: Path, origin: Origin, wrong: str) -> None:
    entry = ObjectEntry(KEY)
    if wrong == "size":
        origin.claim_size = 5
    elif wrong == "digest":
        entry = ObjectEntry(KEY, digest="sha256:" + "0" * 64)
    elif wrong == "manifest size":
        entry = ObjectEntry(KEY, size=5)
    else:
        origin.body.write_bytes(b"<html>maintenance</html>" * 1000)
    manifest = dataclasses.replace(Manifest.visual_coding(folder / "manifest.json"), objects=Objects([entry]))
    with pytest.raises((ContentError, CorruptObjectError)):
        Store(manifest, (), [origin], tries=3).get(KEY)
    assert origin.fills() == 3
    assert visible(folder) == []
    assert not hidden_files(folder, "part")


@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
def test_a_digest_of_the_manifest_is_what_is_checked(folder: Path, origin: Origin, algorithm: str) -> None:
    entry = ObjectEntry(KEY, digest=digest_of(origin.body, algorithm), size=origin.body.stat().st_size)
    manifest = dataclasses.replace(Manifest.visual_coding(folder / "manifest.json"), objects=Objects([entry]))
    store = Store(manifest, (), [origin])
    path = store.get(KEY)
    receipt = Receipt.read(path)
    assert receipt is not None
    assert receipt.digest == entry.digest
    assert [v.state for v in store.verify()] == ["good"]


def test_a_web_page_is_no_nwb_whatever_the_kind_is_called(folder: Path, origin: Origin) -> None:
    origin.body.write_bytes(b"\0" * 5_000)
    layout = TemplateLayout(folder, {"recording": "{0}.nwb"})
    manifest = dataclasses.replace(Manifest.visual_coding(folder / "manifest.json"), layout=layout)
    origin.has = lambda key: True  # type: ignore[method-assign]
    with pytest.raises(ContentError, match="not an HDF5 file"):
        Store(manifest, (), [origin]).get(Key("recording", (7,)))
    assert visible(folder) == []


# Drops and kills -------------------------------------------------------------------------------


def test_after_a_drop_the_next_call_goes_on_where_it_stopped(folder: Path, origin: Origin) -> None:
    origin.drop_at = 1_500_000
    store = store_in(folder, origin)
    with pytest.raises(TransferError, match="dropped"):
        store.get(KEY)
    assert visible(folder) == []
    origin.drop_at = None
    assert store.get(KEY).read_bytes() == origin.body.read_bytes()
    starts = [int(line.split()[2]) for line in origin.log.read_text().splitlines()]
    assert starts[0] == 0
    assert starts[1] >= 1_500_000


def test_bytes_of_another_version_are_not_gone_on_with(folder: Path, origin: Origin) -> None:
    origin.drop_at = 1_500_000
    store = store_in(folder, origin)
    with pytest.raises(TransferError):
        store.get(KEY)
    origin.drop_at, origin.validator = None, '"v2"'
    body = hdf5_bytes(origin.body)
    assert store.get(KEY).read_bytes() == body


def test_killed_at_any_instant_nothing_partial_is_seen_and_the_next_run_heals(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    path = folder / "session_7" / "session_7.nwb"
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
        process = worker(pause=0.02)
        before = origin.fills()
        while origin.fills() == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        outcome(process)
        assert not path.exists()
    code, size, _ = outcome(worker())
    assert (code, size) == (0, str(origin.body.stat().st_size))
    assert path.read_bytes() == origin.body.read_bytes()
    # The last run went on with what a killed one had brought to the disk.
    assert int(origin.log.read_text().splitlines()[-1].split()[2]) > 0
    assert not hidden_files(folder, "part")


@pytest.mark.parametrize("step", ["Receipt.write", "publish", "Part.forget"])
def test_killed_between_verification_and_the_end_the_next_run_heals(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]], step: str
) -> None:
    before = f"import os, signal, project_cache.store.filling as s\ns.{step} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)"
    assert outcome(worker(before=before))[0] == -signal.SIGKILL
    assert visible(folder) == (["session_7/session_7.nwb"] if step == "Part.forget" else [])
    assert outcome(worker())[0] == 0
    assert (folder / "session_7/session_7.nwb").read_bytes() == origin.body.read_bytes()
    assert [v.state for v in store_in(folder).verify()] == ["good"]


# No room, no permission ------------------------------------------------------------------------


def test_a_size_limit_in_the_middle_of_a_file_is_told_and_leaves_nothing(
    folder: Path, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    code, _, err = outcome(worker(before=limit))
    assert code == 1
    assert "DiskFullError: No room left to write" in err
    assert visible(folder) == []
    assert not hidden_files(folder, "part")
    assert outcome(worker())[0] == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, origin: Origin) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        store = store_in(mount, origin)
        first = store.get(KEY)
        # … the second of two megabytes does not fit: refused before a byte moves, as its size is known …
        with pytest.raises(DiskFullError, match="are free"):
            store.get(Key("session_nwb", (8,)))
        # … and in the middle, where it is not.
        monkey = Origin.fill
        origin.validator = None

        def sizeless(self: Origin, key: Key, part: Part, progress: object = None) -> object:
            part.restart(origin="o")
            for _ in range(40):
                part.write(bytes(100_000))
            raise AssertionError("there is room after all")

        Origin.fill = sizeless
        try:
            with pytest.raises(DiskFullError, match="No room left to write"):
                store.get(Key("session_nwb", (8,)))
        finally:
            Origin.fill = monkey
        assert visible(mount) == ["session_7/session_7.nwb"]
        assert not hidden_files(mount, "part")
        assert first.read_bytes() == origin.body.read_bytes()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_new_files_take_the_bits_and_the_group_of_the_cache_folder(folder: Path, origin: Origin) -> None:
    group = 54321 if os.geteuid() == 0 else os.getegid()
    os.chown(folder, -1, group)
    folder.chmod(0o775)
    old = os.umask(0o077)
    try:
        path = store_in(folder, origin).get(KEY)
    finally:
        os.umask(old)
    for each, mode in ((path.parent, 0o775), (path, 0o664), (Receipt.path_for(path), 0o664)):
        assert oct(each.stat().st_mode & 0o777) == oct(mode)
        assert each.stat().st_gid == group
