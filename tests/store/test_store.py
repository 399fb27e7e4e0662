"""The store: one complete, verified file for each key, whatever happens."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from project_cache.display.progress import Together
from project_cache.errors import (
    ContentError,
    CorruptObjectError,
    DiskFullError,
    LockTimeoutError,
    MissingObjectError,
    OfflineError,
    ReadOnlyCacheError,
    TransferError,
    UnreadableObjectError,
)
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.sources.base import Filled
from project_cache.sources.directory import DirectorySource
from project_cache.store.owners import orphans
from project_cache.store.part import Part
from project_cache.store.receipts import Receipt
from project_cache.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from origins import Origin, hdf5_bytes  # type: ignore[import-not-found]

KEY = Key("session_nwb", (7,))
HERE = Path(__file__).parent


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    body = tmp_path / "body"
    hdf5_bytes(body)
    return Origin(body, tmp_path / "log")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cache"
    made.mkdir()
    return made


def store_in(folder: Path, *sources: object, **options: object) -> Store:
    return Store(Manifest.visual_coding(folder / "manifest.json"), (), sources, **options)  # type: ignore[arg-type]


def visible(folder: Path) -> list[str]:
    """What anybody would take for data: all files that are not hidden."""
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    )


def hidden_files(folder: Path, suffix: str) -> list[Path]:
    return list(folder.rglob(f".*.{suffix}"))


# Fetching and finding --------------------------------------------------------------------------


def test_an_absent_object_is_fetched_once_and_found_after_that(folder: Path, origin: Origin) -> None:
    store = store_in(folder, origin)
    path = store.get(KEY)
    assert path == folder / "session_7/session_7.nwb"
    assert path.read_bytes() == origin.body.read_bytes()
    assert store.get(KEY) == path
    assert store_in(folder, origin).get(KEY) == path
    assert origin.fills() == 1
    assert visible(folder) == ["session_7/session_7.nwb"]
    assert not hidden_files(folder, "part")
    assert not hidden_files(folder, "journal")


def test_the_receipt_keeps_what_the_object_was_verified_with(folder: Path, origin: Origin) -> None:
    path = store_in(folder, origin).get(KEY)
    receipt = Receipt.read(path)
    assert receipt is not None
    assert receipt.digest == digest_of(path)
    assert (receipt.size, receipt.validator, receipt.origin) == (path.stat().st_size, '"v1"', "origin")
    assert receipt.fits(path.stat().st_size, path.stat().st_mtime_ns)


def test_the_warm_path_reads_no_byte_of_the_object(folder: Path, origin: Origin) -> None:
    path = store_in(folder, origin).get(KEY)
    status = path.stat()
    # Broken inside, and with size and time as before: a receipt that fits is believed, verify() is not fooled.
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    store = store_in(folder, origin)
    assert store.get(KEY) == path
    assert [v.state for v in store.verify()] == ["corrupt"]


def test_sources_are_asked_in_order_until_one_has_it(folder: Path, origin: Origin, tmp_path: Path) -> None:
    empty = Origin(origin.body, tmp_path / "other", name="empty")
    empty.missing = True
    assert store_in(folder, empty, origin).get(KEY).exists()
    assert (empty.fills(), origin.fills()) == (0, 1)


def test_the_manifest_orders_the_sources_of_an_object(folder: Path, origin: Origin, tmp_path: Path) -> None:
    import dataclasses

    second = Origin(origin.body, tmp_path / "other", name="second")
    manifest = Manifest.visual_coding(folder / "manifest.json")
    manifest = dataclasses.replace(manifest, objects=Objects([ObjectEntry(KEY, sources=("second",))]))
    Store(manifest, (), (origin, second)).get(KEY)
    assert (origin.fills(), second.fills()) == (0, 1)


def test_a_folder_is_a_source(folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    (there / "session_7").mkdir(parents=True)
    body = hdf5_bytes(there / "session_7" / "session_7.nwb")
    source = DirectorySource(Manifest.visual_coding(there / "manifest.json"))
    assert store_in(folder, source, offline=True).get(KEY).read_bytes() == body
    with pytest.raises(MissingObjectError, match="there is no file"):
        store_in(folder, source).get(Key("session_nwb", (8,)))


def test_no_source_at_all_says_where_to_put_the_file(folder: Path) -> None:
    with pytest.raises(MissingObjectError, match="Put the file at") as error:
        store_in(folder).get(KEY)
    assert str(folder / "session_7" / "session_7.nwb") in str(error.value)
    assert isinstance(error.value, FileNotFoundError)


def test_offline_names_the_object_and_the_command_that_gets_it(folder: Path, origin: Origin) -> None:
    with pytest.raises(OfflineError, match=r"project-cache fetch session_nwb/7 --manifest"):
        store_in(folder, origin, offline=True).get(KEY)
    assert origin.fills() == 0


# Layers ----------------------------------------------------------------------------------------


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


# Verification before publication ---------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["size", "digest", "format", "manifest size"])
def test_what_is_not_the_object_never_gets_its_name(folder: Path, origin: Origin, wrong: str) -> None:
    import dataclasses

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
    import dataclasses

    entry = ObjectEntry(KEY, digest=digest_of(origin.body, algorithm), size=origin.body.stat().st_size)
    manifest = dataclasses.replace(Manifest.visual_coding(folder / "manifest.json"), objects=Objects([entry]))
    store = Store(manifest, (), [origin])
    path = store.get(KEY)
    receipt = Receipt.read(path)
    assert receipt is not None
    assert receipt.digest == entry.digest
    assert [v.state for v in store.verify()] == ["good"]


def test_a_newer_version_in_the_manifest_replaces_the_old(folder: Path, origin: Origin) -> None:
    import dataclasses

    old = Manifest.visual_coding(folder / "manifest.json")
    Store(old, (), [origin]).get(KEY)
    body = hdf5_bytes(origin.body)
    origin.validator = '"v2"'
    new = dataclasses.replace(old, objects=Objects([ObjectEntry(KEY, digest=digest_of(origin.body))]))
    assert Store(new, (), [origin]).get(KEY).read_bytes() == body


def test_a_web_page_is_no_nwb_whatever_the_kind_is_called(folder: Path, origin: Origin) -> None:
    import dataclasses

    from project_cache.manifest.layout import TemplateLayout

    origin.body.write_bytes(b"\0" * 5_000)
    layout = TemplateLayout(folder, {"recording": "{0}.nwb"})
    manifest = dataclasses.replace(Manifest.visual_coding(folder / "manifest.json"), layout=layout)
    origin.has = lambda key: True  # type: ignore[method-assign]
    with pytest.raises(ContentError, match="not an HDF5 file"):
        Store(manifest, (), [origin]).get(Key("recording", (7,)))
    assert visible(folder) == []


# Drops, kills and races ------------------------------------------------------------------------


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


WORKER = """
    import sys, time
    sys.path.insert(0, {here!r})
    from pathlib import Path
    from origins import Origin
    from project_cache.manifest.keys import Key
    from project_cache.manifest.model import Manifest
    from project_cache.store.store import Store
    {before}
    folder = Path({folder!r})
    origin = Origin(Path({body!r}), Path({log!r}), pause={pause})
    store = Store(Manifest.visual_coding(folder / "manifest.json"), (), [origin])
    {go}
    path = store.get(Key("session_nwb", (7,)))
    print(path.stat().st_size)
"""


@pytest.fixture
def worker(folder: Path, origin: Origin) -> Callable[..., subprocess.Popen[str]]:
    def start(
        pause: float = 0.0, before: str = "", go: str = "", wrap: list[str] | None = None
    ) -> subprocess.Popen[str]:
        code = textwrap.dedent(WORKER).format(
            here=str(HERE),
            folder=str(folder),
            body=str(origin.body),
            log=str(origin.log),
            pause=pause,
            before=before,
            go=go,
        )
        return subprocess.Popen(
            [*(wrap or []), sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.strip(), err


def gate(folder: Path) -> str:
    return f"while not Path({str(folder / '.go')!r}).exists(): time.sleep(0.005)"


def test_eight_processes_ask_and_one_fetches(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    processes = [worker(pause=0.01, go=gate(folder)) for _ in range(8)]
    (folder / ".go").touch()
    size = str(origin.body.stat().st_size)
    assert [outcome(p)[:2] for p in processes] == [(0, size)] * 8
    assert origin.fills() == 1
    assert visible(folder) == ["session_7/session_7.nwb"]


def test_where_locks_lie_all_fetch_and_the_file_is_good(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    lie = "import fcntl; fcntl.flock = lambda *a: None"
    processes = [worker(pause=0.005, before=lie, go=gate(folder)) for _ in range(3)]
    (folder / ".go").touch()
    size = str(origin.body.stat().st_size)
    assert [outcome(p)[:2] for p in processes] == [(0, size)] * 3
    assert (folder / "session_7/session_7.nwb").read_bytes() == origin.body.read_bytes()
    assert origin.fills() > 1
    assert [v.state for v in store_in(folder).verify()] == ["good"]


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
    before = f"import os, signal, project_cache.store.store as s\ns.{step} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)"
    assert outcome(worker(before=before))[0] == -signal.SIGKILL
    assert visible(folder) == (["session_7/session_7.nwb"] if step == "Part.forget" else [])
    assert outcome(worker())[0] == 0
    assert (folder / "session_7/session_7.nwb").read_bytes() == origin.body.read_bytes()
    assert [v.state for v in store_in(folder).verify()] == ["good"]


def test_a_process_that_waits_says_for_what_and_for_whom(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import project_cache.store.store as module
    from project_cache.store.locks import object_lock

    monkeypatch.setattr(module, "object_lock", lambda *a, **k: object_lock(*a, **{**k, "patience": 0.2}))
    process = worker(pause=0.05)
    while not hidden_files(folder, "part"):
        time.sleep(0.01)
    with caplog.at_level(logging.WARNING):
        store_in(folder, origin).get(KEY)
    assert outcome(process)[0] == 0
    assert f"waiting for session_nwb/7: process {process.pid} on" in caplog.text
    assert origin.fills() == 1


def test_a_lock_that_is_never_given_back_times_out_if_asked_to(folder: Path, origin: Origin) -> None:
    from filelock import FileLock

    (folder / "session_7").mkdir()
    with (
        FileLock(folder / "session_7" / ".session_7.nwb.lock"),
        pytest.raises(LockTimeoutError, match="delete that file"),
    ):
        store_in(folder, origin, lock_timeout=0.1).get(KEY)
    store_in(folder, origin, lock_timeout=0.1).get(KEY)


def test_threads_of_one_process_fetch_once(folder: Path, origin: Origin) -> None:
    origin.pause = 0.005
    store = store_in(folder, origin)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(store.get(KEY))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert origin.fills() == 1


def test_a_part_of_a_living_process_is_left_alone(folder: Path) -> None:
    final = folder / "x.nwb"
    mine = Part(final)
    mine.restart(origin="o", validator="v", size=10)
    mine.write(b"12345")
    mine.checkpoint()
    assert orphans(final) == []
    assert Part.claim(final).position == 0
    mine.release()
    claimed = Part.claim(final)
    assert claimed.position == 5
    claimed.write(b"67890")
    assert claimed.digest == "blake3:" + __import__("blake3").blake3(b"1234567890").hexdigest()
    claimed.discard()


def test_a_part_is_cut_to_what_was_known_to_be_on_the_disk(folder: Path) -> None:
    final = folder / "x.nwb"
    part = Part(final)
    part.restart(origin="o", validator="v", size=10)
    part.write(b"12345")
    part.release()
    with part.path.open("ab") as file:
        file.write(b"\0\0\0")  # what a power cut may leave behind the last flush
    claimed = Part.claim(final)
    assert (claimed.position, claimed.path.stat().st_size) == (5, 5)
    claimed.discard()
    assert list(folder.iterdir()) == []


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


def test_a_read_only_folder_is_read_and_never_needs_to_be_written(
    folder: Path, origin: Origin, worker: Callable[..., subprocess.Popen[str]], unprivileged: list[str]
) -> None:
    store_in(folder, origin).get(KEY)
    for path in (folder, folder / "session_7"):
        path.chmod(0o555)
    try:
        code, size, err = outcome(worker(wrap=unprivileged))
        assert (code, size) == (0, str(origin.body.stat().st_size)), err
        absent = "Key.__init__; get = store.get; store.get = lambda key: get(Key('session_nwb', (8,)))"
        code, _, err = outcome(worker(wrap=unprivileged, go=absent))
        assert code == 1
        assert "ReadOnlyCacheError" in err
        assert "layers=[" in err
    finally:
        for path in (folder, folder / "session_7"):
            path.chmod(0o755)
    assert ReadOnlyCacheError.__mro__.index(PermissionError)


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


# Keeping ---------------------------------------------------------------------------------------


def test_verify_tells_good_from_changed_from_missing(folder: Path, origin: Origin) -> None:
    import dataclasses

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


def test_a_store_is_pickled_without_its_locks(folder: Path, origin: Origin) -> None:
    store = store_in(folder, origin)
    path = store.get(KEY)
    assert pickle.loads(pickle.dumps(store)).get(KEY) == path


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


def test_many_are_fetched_side_by_side_and_one_failure_stops_nobody(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    class Slow:
        name, remote = "slow", False

        def has(self, key: Key) -> bool:
            return True

        def fill(self, key: Key, part: Part, progress: Any = None) -> Filled:
            if key.args[0] in (3, 5):
                raise TransferError(f"no line to {key}")
            part.path.write_bytes(b"x" * 1000)
            part.written(origin="here")
            progress(1000, 1000)
            return Filled("here")

    manifest = Manifest("p", "1", TemplateLayout(tmp_path, {"table": "table_{0}.csv"}))
    store = Store(manifest, (), [Slow()], tries=1)
    keys = [Key("table", (n,)) for n in range(8)]
    together = Together(lambda done, total: seen.append((done, total)))
    with pytest.raises(TransferError, match="no line to table/3") as caught:
        store.get_many(keys, progress=together.of)
    assert caught.value.__notes__ == ["2 of 8 objects could not be had; also: table/5."]
    assert sorted(seen)[-1] == (6000, 6000)
    good = [key for key in keys if key.args[0] not in (3, 5)]
    assert list(store.get_many(good)) == good


def test_a_file_that_is_replaced_while_it_is_verified_is_not_called_corrupt(
    folder: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from project_cache.store import store as module

    path = store_in(folder, origin).get(KEY)
    store = store_in(folder, origin)
    real, replaced = module.digest_of, []

    def slow(file: Path, algorithm: str) -> str:
        found = real(file, algorithm)
        if not replaced:  # another process fetches the next version just now
            hdf5_bytes(origin.body)
            origin.validator = '"v2"'
            replaced.append(store_in(folder, origin).renew(KEY))
        return found

    monkeypatch.setattr(module, "digest_of", slow)
    Receipt.path_for(path).unlink()
    assert [v.state for v in store.verify()] == ["good"]
    receipt = Receipt.read(path)
    assert receipt is not None
    assert receipt.digest == digest_of(path)
    assert replaced


def test_a_file_that_is_pruned_while_it_is_verified_is_missing(
    folder: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from project_cache.store import store as module

    store = store_in(folder, origin)
    path = store.get(KEY)

    def gone(file: Path, algorithm: str) -> str:
        file.unlink()
        raise FileNotFoundError(file)

    monkeypatch.setattr(module, "digest_of", gone)
    assert [v.state for v in store.verify()] == ["missing"]
    assert not path.exists()


def test_a_disk_that_has_no_room_for_a_lock_is_told_of(
    folder: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    import filelock

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(filelock.FileLock, "acquire", full)
    with pytest.raises(DiskFullError, match="No room left"):
        store_in(folder, origin).get(KEY)


@pytest.mark.parametrize("when", ["under way", "handed over"])
def test_an_interrupt_stops_all_transfers_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    stopped: list[Key] = []

    class Endless:
        name, remote = "endless", False

        def has(self, key: Key) -> bool:
            return True

        def fill(self, key: Key, part: Part, progress: Any = None) -> Filled:
            if when == "under way" and key.args[0] == 1:
                os.kill(os.getpid(), signal.SIGINT)
            try:
                for n in range(6000):
                    progress(n, 6000)
                    time.sleep(0.01)
            except KeyboardInterrupt:
                stopped.append(key)
                raise
            return Filled("here")

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *task: Any, **options: Any) -> Any:
            future = super().submit(*task, **options)
            if when == "handed over" and task[1].args[0] == 3:
                os.kill(os.getpid(), signal.SIGINT)  # while the rest is yet to come
            return future

    monkeypatch.setattr("project_cache.store.store.ThreadPoolExecutor", Interrupted)
    store = Store(Manifest("p", "1", TemplateLayout(tmp_path, {"table": "table_{0}.csv"})), (), [Endless()])
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        store.get_many([Key("table", (n,)) for n in range(6)], workers=2)
    assert time.monotonic() - began < 20
    assert len(stopped) <= 2
    assert not list(tmp_path.glob("table_*"))
