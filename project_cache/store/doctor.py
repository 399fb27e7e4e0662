"""The doctor: what the file system of a cache can do, tried out, and what follows from it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from project_cache.errors import StoreError
from project_cache.files import make_folder

__all__ = ["Finding", "examine"]

#: less than this is too little for one session
LITTLE_BYTES = 5 * 10**9
#: Windows without long paths enabled ends here
SHORT_PATH = 260
_LOCK_TEST = """
import sys
from filelock import FileLock, Timeout
try:
    with FileLock(sys.argv[1], timeout=0, thread_local=False):
        print("got it")
except Timeout:
    print("excluded")
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried.

    Attributes
    ----------
    name : str
        What.
    ok : bool
        Whether it works as well as it can.
    found : str
        What was seen.
    consequence : str
        What this package does about it.
    """

    name: str
    ok: bool
    found: str
    consequence: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'note'}  {self.name}: {self.found}. {self.consequence}"


def examine(folder: Path) -> list[Finding]:
    """Return what the file system of a cache folder can do. Trial files are made in it and removed.

    Tried: writing, atomic replacing, hard links, locks between processes, upper and lower case, free space, and how
    long a path may be.
    """
    findings = [_space(folder)]
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        make_folder(folder)
        trial = folder / f".doctor-{uuid.uuid4().hex[:8]}"
        trial.mkdir()
    except (OSError, StoreError) as error:
        return [
            Finding(
                "writing", False, f"nothing can be written ({error})",
                "What is there is read; what is absent cannot be fetched into this folder. Use it as a layer=, with a "
                "cache folder of your own.",
            ),
            *findings,
        ]  # fmt: skip
    tries: tuple[Callable[[Path], Finding], ...] = (_replace, _links, _locks, _case, _long_names)
    try:
        findings = [Finding("writing", True, "files can be written", "Objects are kept here."), *findings]
        findings += [test(trial) for test in tries]
    finally:
        shutil.rmtree(trial, ignore_errors=True)
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
    return findings


def _space(folder: Path) -> Finding:
    at = folder
    while not at.exists() and at != at.parent:
        at = at.parent
    free = shutil.disk_usage(at).free
    enough = free >= LITTLE_BYTES
    what = "Room is checked before each transfer."
    return Finding(
        "free space", enough, f"{free / 1e9:,.1f} GB", what if enough else f"{what} prune() makes some."
    )


def _replace(trial: Path) -> Finding:
    one, other = trial / "one", trial / "other"
    one.write_bytes(b"new")
    other.write_bytes(b"old")
    try:
        one.replace(other)
        good = other.read_bytes() == b"new" and not one.exists()
    except OSError as error:
        return Finding(
            "replacing", False, f"a file cannot be replaced ({error})", "Nothing can be published here."
        )
    return Finding(
        "replacing", good, "a file is replaced in one step" if good else "replacing leaves something else behind",
        "Objects get their name when they are whole.",
    )  # fmt: skip


def _links(trial: Path) -> Finding:
    one = trial / "linked"
    one.write_bytes(b"1")
    try:
        (trial / "link").hardlink_to(one)
    except OSError as error:
        return Finding("hard links", False, f"none ({error})", "Versions that share a file each keep a copy.")
    return Finding("hard links", True, "can be made", "Versions that share a file keep it once.")


def _locks(trial: Path) -> Finding:
    from filelock import FileLock

    path = trial / "lock"
    try:
        with FileLock(path, timeout=0, thread_local=False):
            said = subprocess.run(
                [sys.executable, "-c", _LOCK_TEST, str(path)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            "locks", False, f"none ({error})", "Two processes may fetch the same object; both end well."
        )
    if said == "excluded":
        return Finding(
            "locks", True, "another process on this machine is kept out",
            "An object is fetched once. Machines that share the folder may not see each other's locks: then both fetch, "
            "and both end well.",
        )  # fmt: skip
    return Finding(
        "locks",
        False,
        "they are granted to two processes at once",
        "Two processes may fetch the same object; both end well.",
    )


def _case(trial: Path) -> Finding:
    (trial / "Case").write_bytes(b"")
    same = (trial / "case").exists()
    return Finding(
        "case", not same, "upper and lower case are the same" if same else "upper and lower case differ",
        "No two objects have names that differ in case only.",
    )  # fmt: skip


def _long_names(trial: Path) -> Finding:
    deep = trial
    with contextlib.suppress(OSError):
        while len(str(deep)) < SHORT_PATH + 40:
            deep = deep / ("d" * 60)
            deep.mkdir()
        (deep / "file.nwb").write_bytes(b"")
    long = (deep / "file.nwb").exists()
    return Finding(
        "long paths", long, f"{'longer than' if long else 'no longer than'} {SHORT_PATH} characters",
        "Nothing to do." if long else "Keep the cache near the root of its drive, or enable long paths in Windows.",
    )  # fmt: skip
