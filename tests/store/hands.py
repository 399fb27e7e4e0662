"""The project of the state machine, and hands that work on it in processes of their own, which can be struck down.

As a program it waits for orders, one JSON object in a line each, and carries each out in a child: forked from a
process that has everything imported and no threads, so that one takes a few milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from blake3 import blake3

from project_cache.errors import ProjectCacheError
from project_cache.housekeeping import KeepsHouse
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.nwb.skeleton import skeleton_of
from project_cache.nwb.streamed import skeleton_key
from project_cache.sources.http import HttpSource
from project_cache.store import keeping, part
from project_cache.store.store import Store
from project_cache.transfer.pieces import Pulse
from project_cache.transfer.retry import Clock, Policy

#: the manifest knows the digests of the first and the last; of the others there is what the server has
SESSION, OTHER, SMALL, TABLE = KEYS = (
    Key("session_nwb", (1,)),
    Key("session_nwb", (2,)),
    Key("session_nwb", (3,)),
    Key("units"),
)
VOUCHED = {SESSION: "blake3", TABLE: "sha256"}
PLACES = {
    SESSION: "session_1/session_1.nwb",
    OTHER: "session_2/session_2.nwb",
    SMALL: "session_3/session_3.nwb",
    TABLE: "units.csv",
}
SIZES = {SESSION: 900_000, OTHER: 500_000, SMALL: 40_000, TABLE: 20_000}
LAYOUT = {"session_nwb": "session_{0}/session_{0}.nwb", "units": "units.csv"}
SKELETON = "session_1/session_1.skeleton"

POLICY = Policy(
    tries=3, connect_s=5.0, silence_s=0.4, patience_s=20.0, worth=16 << 10, part_bytes=64 << 10,
    connections=4, stalled_s=0.1,
)  # fmt: skip
HASHERS = {"blake3": blake3, "sha256": hashlib.sha256}


@functools.cache
def contents(key: Key, version: int) -> bytes:
    """What the server has of an object in its n-th version; no two versions have a block in common."""
    rng = np.random.default_rng([KEYS.index(key), version])
    if key == TABLE:
        return b"id,x\n" + b"".join(b"%d,%d\n" % (n, x) for n, x in enumerate(rng.integers(0, 9999, 2000)))
    # of one all versions are of one size: they are told apart by their bytes alone
    more = 0 if key == OTHER else 1000 * (version % 3)
    with h5py.File(memory := io.BytesIO(), "w") as file:
        file.attrs["nwb_version"] = "2.2.5"
        file["x"] = rng.integers(0, 256, SIZES[key] + more, np.uint8)
    return memory.getvalue()


def digest(data: bytes, algorithm: str = "blake3") -> str:
    return f"{algorithm}:{HASHERS[algorithm](data).hexdigest()}"


@functools.cache
def skeleton() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.nwb"
        path.write_bytes(contents(SESSION, 0))
        return skeleton_of(path).to_bytes()


def write_manifest(folder: Path) -> None:
    entries = []
    for key, algorithm in VOUCHED.items():
        data = contents(key, 0)
        entries.append(ObjectEntry(key, size=len(data), digest=digest(data, algorithm)))
    bones = skeleton()
    entries.append(ObjectEntry(skeleton_key(SESSION), path=SKELETON, size=len(bones), digest=digest(bones)))
    Manifest("machine", "1", TemplateLayout(folder, LAYOUT), objects=Objects(entries)).write(
        folder / "manifest.json"
    )


class House(KeepsHouse):
    """A cache as far as the machine needs one: a store, and what looks after its folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.manifest = Manifest.read(folder / "manifest.json")
        places = {**PLACES, skeleton_key(SESSION): SKELETON}
        no_waiting = Clock(sleep=lambda _: None, draw=lambda: 0.0)
        source = HttpSource("server", url, places.get, policy=POLICY, clock=no_waiting)
        self.store = Store(self.manifest, (), [source])
        self.progress = False


@contextlib.contextmanager
def conditions(*, spread: bool = False, old: bool = False, locks: bool = True) -> Iterator[None]:
    """Have transfers over several connections, objects that were used long ago, locks that lie."""
    with contextlib.ExitStack() as stack:
        # no power cuts here: waiting for the disk shows nothing
        stack.callback(setattr, os, "fsync", os.fsync)
        os.fsync = lambda _: None
        # and journals that say all there is to say
        stack.callback(setattr, part, "CHECKPOINT_S", part.CHECKPOINT_S)
        part.CHECKPOINT_S = 0.0
        if spread:
            stack.callback(setattr, Pulse, "says_split", Pulse.says_split)
            Pulse.says_split = lambda *_: True  # type: ignore[method-assign]
        if old:
            stack.callback(setattr, keeping, "IN_USE_S", keeping.IN_USE_S)
            keeping.IN_USE_S = -1e9
        if not locks:
            import fcntl

            stack.callback(setattr, fcntl, "flock", fcntl.flock)
            fcntl.flock = lambda *_: None
        yield


def work(house: House, op: str, key: Key, budget: int) -> Any:
    """Do one thing to a cache, and return what is to be known of it."""
    if op == "fetch":
        return str(house.store.get(key))
    if op == "verify":
        return {str(v.key): v.state for v in house.verify(workers=1)}
    if op == "repair":
        return {str(k): said for k, said in house.repair(workers=1).items()}
    if op == "prune":
        return str(house.prune(budget))
    if op == "pin":
        return house.pin(key)
    return house.unpin(key)


# In the child ----------------------------------------------------------------------------------

_TOUCH = {"os.rename", "os.remove", "os.mkdir", "os.utime", "os.chmod", "os.truncate", "os.link"}
BLOWS = ("kill", "full", "broken", "interrupt")


def _trap(folder: str, at: int, blow: str) -> None:
    """Strike when the n-th change to the folder is about to be made."""
    left = at

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            if not isinstance(args[2], int) or not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _TOUCH:
            return
        if not str(args[0]).startswith(folder):
            return
        left -= 1
        if left == 0:
            if blow == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if blow == "interrupt":
                raise KeyboardInterrupt
            raise OSError(errno.ENOSPC if blow == "full" else errno.EIO, "struck")

    sys.addaudithook(hook)


def _powerless() -> None:
    """Take root's power over permissions away from this process."""
    if os.geteuid() == 0:
        import ctypes

        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        none = (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0


def _obey(order: dict[str, Any]) -> None:
    random.seed(order["seed"])
    house = House(Path(order["folder"]), order["url"])
    if order["powerless"]:
        _powerless()
    if order["at"]:
        _trap(order["folder"], order["at"], order["blow"])
    said: list[Any] = []
    with conditions(spread=order["spread"], old=True, locks=order["locks"]):
        for op, key in order["ops"]:
            try:
                said.append(["done", work(house, op, Key.parse(key), order["budget"])])
            except (ProjectCacheError, KeyboardInterrupt) as error:
                said.append(["said", f"{type(error).__name__}: {error}"])
            except BaseException:
                said.append(["escaped", traceback.format_exc()])
    report = Path(order["report"])
    report.with_suffix(".new").write_text(json.dumps(said))
    report.with_suffix(".new").rename(report)


def _main() -> None:
    # what is imported when it is needed, is imported once, here
    import filelock  # noqa: F401
    import requests.adapters  # noqa: F401

    import project_cache.display.progress
    import project_cache.nwb.mending
    import project_cache.store.blocks  # noqa: F401

    skeleton()
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            answer = os.waitpid(order["reap"], 0)[1]
        else:
            answer = os.fork()
            if answer == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                try:
                    _obey(order)
                finally:
                    os._exit(0)
        print(answer, flush=True)


# In the test -----------------------------------------------------------------------------------


class Hands:
    """Processes that do things to a cache."""

    def __init__(self) -> None:
        self._foreman = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        self._foreman.communicate(timeout=60)

    def _tell(self, order: dict[str, Any]) -> int:
        assert self._foreman.stdin is not None
        assert self._foreman.stdout is not None
        self._foreman.stdin.write(json.dumps(order) + "\n")
        self._foreman.stdin.flush()
        return int(self._foreman.stdout.readline())

    def begin(
        self, folder: Path, url: str, ops: list[tuple[str, Key]], report: Path, *, at: int = 0, blow: str = "kill",
        spread: bool = False, locks: bool = True, powerless: bool = False, budget: int = 0,
    ) -> int:  # fmt: skip
        """Return the number of a process that has begun to do something."""
        order = {
            "folder": str(folder), "url": url, "ops": [(op, str(key)) for op, key in ops], "report": str(report),
            "at": at, "blow": blow, "spread": spread, "locks": locks, "powerless": powerless, "budget": budget,
            "seed": 0,
        }  # fmt: skip
        return self._tell(order)

    def end(self, process: int, report: Path) -> list[tuple[str, Any]] | None:
        """Return what a process reports when it has ended; None if it was killed."""
        self._tell({"reap": process})
        if not report.exists():
            return None
        said = json.loads(report.read_text())
        report.unlink()
        return [(how, what) for how, what in said]


if __name__ == "__main__":
    _main()
