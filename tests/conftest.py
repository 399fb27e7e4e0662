"""What all tests share: where the real data are, and a cache folder that is nobody else's.

``PROJECT_CACHE_TEST_FOLDER=moved`` runs them on cache folders that were used and then moved, ``=readonly`` on some that
cannot be written to (as root: under ``setpriv`` as in :func:`unprivileged`, or root writes all the same).
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: how cache folders lie that are there before a test begins
FOLDER = os.environ.get("PROJECT_CACHE_TEST_FOLDER", "")


def pytest_configure(config: pytest.Config) -> None:
    if FOLDER not in ("", "moved", "readonly"):
        raise pytest.UsageError(f"PROJECT_CACHE_TEST_FOLDER is {FOLDER!r}: moved or readonly.")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Leave out tests that write to their folder themselves, where it is read-only. The package's own doing is no excuse."""
    try:
        return (yield)
    except PermissionError as error:
        frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        if FOLDER != "readonly" or any(Path(name).is_relative_to(ROOT / "project_cache") for name in frames):
            raise
    pytest.skip("it writes to its folder itself, which is read-only this time")


@pytest.fixture(autouse=True)
def collector_rests() -> Iterator[None]:
    """Collect no garbage in the middle of a test.

    h5py frees what it made under a lock of its own, which a read holds while it waits for a server. Where that server
    is a thread of the same process, as only in tests, and the collector runs in it, both would wait for ever.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, or a skip that says what is missing."""
    folder = Path(os.environ.get("PROJECT_CACHE_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"the real data are not at {folder} (set PROJECT_CACHE_SHARED to where they are)")
    return folder


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's own cache, or obeys the user's settings."""
    for name in list(os.environ):
        if name.startswith("PROJECT_CACHE_") and name != "PROJECT_CACHE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def settled() -> Iterator[Callable[..., Path]]:
    """Return what has a cache folder lie as this run wants it, and returns where: where it is, moved, or read-only."""
    locked: list[Path] = []

    def settle(folder: Path, *, kept: bool = False) -> Path:
        # kept: it was used as it should be, and the tests are to put it in order
        if FOLDER == "moved":
            (folder.parent / "far away").mkdir()
            there = folder.rename(folder.parent / "far away" / folder.name)
            if kept:
                return there
            used(there)
            return there.rename(folder)
        if FOLDER == "readonly" and not kept:
            if os.name == "posix":
                locked.extend(path for path in (folder, *folder.rglob("*")) if not path.is_symlink())
            for path in locked:
                path.chmod(path.stat().st_mode & ~0o222)
            if os.access(folder, os.W_OK):
                pytest.skip("this user writes everywhere: run it under setpriv --bounding-set=-dac_override")
        return folder

    yield settle
    for path in locked:
        with contextlib.suppress(OSError):
            path.chmod(path.stat().st_mode | 0o200)


def used(folder: Path) -> None:
    """Leave in a cache folder what using it leaves: receipts, parsed tables, blocks."""
    from project_cache.cache import ProjectCache
    from project_cache.errors import ProjectCacheError

    with contextlib.suppress(ProjectCacheError):
        cache = ProjectCache.open(folder, offline=True, progress=False)
        cache.verify()
        for read in (cache.get_session_table, cache.get_probes, cache.get_channels, cache.get_units):
            with contextlib.suppress(ProjectCacheError, AttributeError):
                read()
        for key in cache.store.present(["session_nwb"]):
            with contextlib.suppress(ProjectCacheError):
                cache.get_session_data(key.args[0])


@pytest.fixture
def drive(shared: Path, tmp_path: Path, settled: Callable[..., Path]) -> Path:
    """A copy of the folder that AllenSDK wrote, as on a workshop's drive."""
    target = tmp_path / "drive"
    shutil.copytree(shared / "data" / "allen_session", target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return settled(target)


@pytest.fixture
def unprivileged() -> list[str]:
    """The command that takes root's power over permissions away; empty for who has none."""
    if os.name != "posix":
        pytest.skip("permission bits are POSIX's")
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root reads and writes everywhere, and there is no setpriv to take that away")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket can be opened."""

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
