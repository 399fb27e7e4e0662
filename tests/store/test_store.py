"""The store: one complete, verified file for each key, whoever asks for it and however many do."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from project_cache.display.progress import Together
from project_cache.errors import (
    DiskFullError,
    LockTimeoutError,
    MissingObjectError,
    ReadOnlyCacheError,
    TransferError,
)
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.sources.base import Filled
from project_cache.sources.directory import DirectorySource
from project_cache.store.part import Part
from project_cache.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from folders import KEY, gate, hidden_files, outcome, store_in, visible  # type: ignore[import-not-found]
from origins import Origin, hdf5_bytes  # type: ignore[import-not-found]


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


def test_the_warm_path_reads_no_byte_of_the_object(folder: Path, origin: Origin) -> None:
    path = store_in(folder, origin).get(KEY)
    status = path.stat()
    # Broken inside, and with size and time as before: a receipt that fits is believed, verify() is not fooled.
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    store = store_in(folder, origin)
    assert store.get(KEY) == path
    assert [v.state for v in store.verify()] == ["corrupt"]


def test_the_manifest_orders_the_sources_of_an_object(folder: Path, origin: Origin, tmp_path: Path) -> None:
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


# Many ------------------------------------------------------------------------------------------


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


# Several at once -------------------------------------------------------------------------------


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


# Elsewhere -------------------------------------------------------------------------------------


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


def test_a_store_is_pickled_without_its_locks(folder: Path, origin: Origin) -> None:
    store = store_in(folder, origin)
    path = store.get(KEY)
    assert pickle.loads(pickle.dumps(store)).get(KEY) == path
