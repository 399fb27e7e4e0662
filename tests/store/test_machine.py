"""Anything at any time: fetch, kill, corrupt, prune, pin, verify, repair, move, with a server that is never the same.

A random walk, the same one each time. After every step all that lies in the cache folder is held against what the server
has had, byte for byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from project_cache.errors import ProjectCacheError
from project_cache.manifest.keys import Key
from project_cache.store.journal import ABANDONED_S, Journal
from project_cache.testing.faults import (
    Fault,
    compressed,
    html_page,
    ignored_range,
    lying_length,
    redirect,
    reset,
    slow,
    stalled,
    status,
    truncated,
    wrong_range,
)
from project_cache.testing.server import ObjectServer, Served

sys.path.insert(0, str(Path(__file__).parent))
import hands
from hands import BLOWS, KEYS, PLACES, SKELETON, VOUCHED, Hands, House, conditions, contents

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are forked and killed")

HANDS: list[Hands] = []
KEY = st.sampled_from(KEYS)
NWB = st.sampled_from([key for key in KEYS if key.kind == "session_nwb"])
#: where in an object, as a share of it
WHERE = st.sampled_from([0.0, 0.001, 0.2, 0.5, 0.8, 0.999, 1.0])
#: whether an object is taken away first, so that there is something to do
FRESH = st.sampled_from([True, True, True, False])
BLOW = st.sampled_from(BLOWS)
CHORE = st.sampled_from(["fetch", "fetch", "verify", "repair", "prune", "pin", "unpin"])


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


class Machine(RuleBasedStateMachine):
    """A cache folder, a server, and what is known of both."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(
            tempfile.mkdtemp(prefix="machine", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        self.folder = self.home / "0"
        self.folder.mkdir()
        hands.write_manifest(self.folder)
        self.moves = 0
        self.stack = contextlib.ExitStack()
        self.server = self.stack.enter_context(ObjectServer())
        self.url = self.server.url("/")
        #: version that the server has now, and all that it has had; what the test has put into a file itself
        self.now = dict.fromkeys(KEYS, 0)
        self.had = {key: [contents(key, 0)] for key in KEYS}
        self.spoilt: dict[Key, bytes] = {}
        #: receipts that the test has taken away or made up; parts that it has spoilt; what was pinned
        self.forged: set[Key] = set()
        self.pinned: set[Key] = set()
        self.tampered = False
        #: what lay there after the last step; what this one may put there, and take away
        self.last: dict[Key, bytes | None] = dict.fromkeys(KEYS)
        self.may_fill: set[Key] = set()
        self.may_go: set[Key] = set()
        for key in KEYS:
            self.serve(key)
        self.server.put(f"/{SKELETON}", hands.skeleton())
        self.house = House(self.folder, self.url)

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.home, ignore_errors=True)

    # What there is -------------------------------------------------------------------------------

    def path(self, key: Key) -> Path:
        return self.folder / PLACES[key]

    def note(self, key: Key, ending: str) -> Path:
        path = self.path(key)
        return path.with_name(f".{path.name}.{ending}")

    def litter(self, key: Key, *endings: str) -> list[Path]:
        path = self.path(key)
        return [p for ending in endings for p in path.parent.glob(f".{path.name}.*.{ending}")]

    def receipt(self, key: Key) -> dict[str, Any] | None:
        try:
            found = json.loads(self.note(key, "receipt").read_text())
            return found if isinstance(found["digest"], str) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def serve(self, key: Key) -> None:
        self.server.put(f"/{PLACES[key]}", Served(contents(key, self.now[key])))

    def right(self, key: Key) -> list[bytes]:
        """What may lie at an object's path."""
        return [contents(key, 0)] if key in VOUCHED else self.had[key]

    def served(self, key: Key) -> bool:
        """Whether the server has what the manifest says."""
        return key not in VOUCHED or self.now[key] == 0

    def at_work(self, *keys: Key, fill: bool = False, go: bool = False) -> None:
        self.may_fill |= set(keys) if fill else set()
        self.may_go |= set(keys) if go else set()

    @contextlib.contextmanager
    def faults(self, key: Key, faults: list[tuple[Fault, int]]) -> Iterator[None]:
        for fault, nth in faults:
            self.server.misbehave(f"/{PLACES[key]}", fault, nth=nth or None)
        try:
            yield
        finally:
            self.server.behave()

    def clear(self, key: Key, fresh: bool) -> None:
        """Take an object away, as its owner may."""
        if fresh:
            for path in (self.path(key), self.note(key, "receipt")):
                path.unlink(missing_ok=True)
            self.last[key] = None
            self.spoilt.pop(key, None)
            self.forged.discard(key)

    # Fetching ------------------------------------------------------------------------------------

    @rule(key=KEY, spread=st.booleans())
    def fetch(self, key: Key, spread: bool) -> None:
        """A good server gives what it has, or what is here stays."""
        self.at_work(key, fill=True)
        before, sent = read(self.path(key)), len(self.server.log)
        with conditions(spread=spread):
            if not self.served(key) and (before is None or self.plainly_bad(key, before)):
                with pytest.raises(ProjectCacheError):
                    self.house.store.get(key)
                assert read(self.path(key)) == before
                return
            path = self.house.store.get(key)
        found = path.read_bytes()
        assert path == self.path(key)
        if len(self.server.log) == sent:
            assert found == before
        else:
            assert found == contents(key, self.now[key])
            assert self.receipt(key) is not None
            assert self.receipt(key)["digest"] == hands.digest(found, VOUCHED.get(key, "blake3"))  # type: ignore[index]
            # nobody is at work: what the dead have left is gone, if it can be told whose it was
            assert self.tampered or self.litter(key, "part", "journal") == []

    def plainly_bad(self, key: Key, data: bytes) -> bool:
        """Whether a look at size and receipt tells that a file is not the object."""
        receipt, status = self.receipt(key), self.path(key).stat()
        if key in VOUCHED and len(data) != len(contents(key, 0)):
            return True
        if receipt is not None and (receipt["size"], receipt["mtime_ns"]) == (
            status.st_size,
            status.st_mtime_ns,
        ):
            return key in VOUCHED and receipt["digest"] != hands.digest(contents(key, 0), VOUCHED[key])
        if key == hands.TABLE:
            return not data or data.lstrip().lower().startswith(b"<!doctype")
        return not data.startswith(b"\x89HDF") or len(data) < len(self.right(key)[0]) - 10_000

    @rule(
        key=KEY, fresh=FRESH, spread=st.booleans(), where=WHERE, nth=st.integers(0, 3), then=WHERE,
        fault=st.sampled_from([
            "cut", "reset", "503", "404", "page", "whole", "range", "gzip", "no length", "longer", "shorter", "changed",
            "changed", "if-range", "if-range", "if-range", "no etag", "weak", "slow", "away", "two cuts",
            "given up", "given up", "given up",
        ]),
    )  # fmt: skip
    def fetch_badly(
        self, key: Key, fresh: bool, spread: bool, where: float, nth: int, then: float, fault: str
    ) -> None:
        """A server that misbehaves once, or always: the object arrives or it does not."""
        self.clear(key, fresh)
        self.at_work(key, fill=True)
        size = len(contents(key, self.now[key]))
        at, later = int(where * size), int(then * size)
        if fault == "changed" or fault == "if-range":
            self.had[key].append(contents(key, self.now[key] + 1))
        chosen: dict[str, list[tuple[Fault, int]]] = {
            "cut": [(truncated(at), nth)],
            "reset": [(reset(at), nth)],
            "503": [(status(503), nth)],
            "404": [(status(404), nth)],
            "page": [(html_page(), nth)],
            "whole": [(truncated(at), 1), (ignored_range(), nth)],
            "range": [(truncated(at), 1), (wrong_range(1 + later), nth)],
            "gzip": [(compressed(), nth)],
            "no length": [(Fault(no_length=True, cut_at=later), nth)],
            "longer": [(lying_length(1 + at), nth)],
            "shorter": [(lying_length(-min(size, 1 + at)), nth)],
            "changed": [(truncated(at), 1), (Fault(replace=contents(key, self.now[key] + 1)), 2)],
            "if-range": [
                (truncated(at), 1), (Fault(replace=contents(key, self.now[key] + 1), ignore_if_range=True), 2),
                (Fault(ignore_if_range=True), 0),
            ],
            "no etag": [(Fault(etag="", cut_at=at), nth)],
            "weak": [(Fault(etag='W/"1"', cut_at=at), nth)],
            "slow": [(slow(3e6), nth)],
            "away": [(redirect("ftp://elsewhere/"), nth)],
            "given up": [(truncated(at), 1), (status(503), 0)],
            "two cuts": [(truncated(at), 1), (truncated(later), 2)],
        }  # fmt: skip
        before = read(self.path(key))
        with conditions(spread=spread), self.faults(key, chosen[fault]):
            try:
                path = self.house.store.get(key)
            except ProjectCacheError:
                assert read(self.path(key)) == before
            else:
                assert path == self.path(key)
        if (
            fault in ("changed", "if-range")
            and self.server._objects[f"/{PLACES[key]}"].data == self.had[key][-1]
        ):
            self.now[key] += 1

    @rule(key=KEY)
    def a_new_version(self, key: Key) -> None:
        self.now[key] = (self.now[key] + 1) % 5
        self.had[key].append(contents(key, self.now[key]))
        self.serve(key)

    @rule(key=st.sampled_from(list(VOUCHED)), lie=st.booleans())
    def the_right_version(self, key: Key, lie: bool) -> None:
        """The server has what the manifest says; or something else by the same ETag."""
        etag = Served(contents(key, 0)).validator
        self.now[key] = 1 if lie else 0
        self.server.put(f"/{PLACES[key]}", Served(contents(key, self.now[key]), etag=etag))

    # Killing -------------------------------------------------------------------------------------

    @rule(
        key=NWB, fresh=FRESH, where=WHERE, spread=st.booleans(), locks=st.booleans(), wait=st.sampled_from([0.0, 0.005, 0.02])
    )  # fmt: skip
    def kill_in_the_middle(
        self, key: Key, fresh: bool, where: float, spread: bool, locks: bool, wait: float
    ) -> None:
        """A process dies while bytes arrive."""
        self.clear(key, fresh)
        self.at_work(key, fill=True)
        at = int(where * len(contents(key, self.now[key])))
        before = self.server.sent
        report = self.home / "report"
        with self.faults(key, [(stalled(at, 30.0), 0)]):
            number = HANDS[0].begin(
                self.folder, self.url, [("fetch", key)], report, spread=spread, locks=locks
            )
            deadline = time.monotonic() + 5
            while self.server.sent - before < at and not report.exists() and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(wait)
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
            HANDS[0].end(number, report)
            self.hang_up()

    def hang_up(self) -> None:
        """End the answers that are still waiting to go on."""
        self.server.stopping.set()
        deadline = time.monotonic() + 5
        while self.server._open and time.monotonic() < deadline:
            time.sleep(0.001)
        self.server.stopping.clear()

    @rule(
        chore=CHORE, key=KEY, fresh=FRESH, at=st.integers(1, 30), blow=BLOW, spread=st.booleans(), locks=st.booleans(),
        all_=st.booleans(),
    )  # fmt: skip
    def strike(
        self, chore: str, key: Key, fresh: bool, at: int, blow: str, spread: bool, locks: bool, all_: bool
    ) -> None:
        """A process dies, or the disk is full or broken, at the n-th change that it makes to the folder."""
        if chore == "fetch":
            self.clear(key, fresh)
        elif chore == "repair" and fresh:
            self.corrupt(key, 0.5, "silent", 0)
        self.at_work(*KEYS, fill=chore in ("fetch", "repair"), go=chore == "prune")
        report = self.home / "report"
        number = HANDS[0].begin(
            self.folder, self.url, [(chore, key)], report, at=at, blow=blow, spread=spread, locks=locks,
            budget=0 if all_ else 700_000,
        )  # fmt: skip
        for how, what in HANDS[0].end(number, report) or ():
            # a broken disk may say so in its own words
            assert how != "escaped" or (blow == "broken" and "OSError" in what), what
        if chore in ("pin", "unpin"):
            self.pinned = {k for k in KEYS if self.note(k, "pin").exists()}

    @rule(
        key=KEY, fresh=FRESH, locks=st.booleans(), spread=st.booleans(), killed=st.integers(0, 2), where=WHERE
    )
    def race(self, key: Key, fresh: bool, locks: bool, spread: bool, killed: int, where: float) -> None:
        """Three processes want the same object, and one or two of them may be killed."""
        self.clear(key, fresh)
        self.at_work(key, fill=True)
        reports = [self.home / f"report{n}" for n in range(3)]
        before = self.server.sent
        size = len(contents(key, self.now[key]))
        with self.faults(key, [(slow(4e6), 0)]):
            numbers = [
                HANDS[0].begin(self.folder, self.url, [("fetch", key)], report, spread=spread, locks=locks)
                for report in reports
            ]
            deadline = time.monotonic() + 1
            while (
                self.server.sent - before < where * size
                and time.monotonic() < deadline
                and not reports[-1].exists()
            ):
                time.sleep(0.001)
            for number in numbers[:killed]:
                os.kill(number, signal.SIGKILL)
            said = [HANDS[0].end(number, report) for number, report in zip(numbers, reports, strict=True)]
        for each in said[killed:]:
            assert each is not None
            assert each[0][0] != "escaped", each
            if self.served(key):
                assert each[0][0] == "done", each

    # Damage --------------------------------------------------------------------------------------

    @rule(
        key=KEY, where=WHERE, how=st.sampled_from(["silent", "flip", "cut", "other", "empty", "page", "gone", "longer"]),
        version=st.integers(0, 4),
    )  # fmt: skip
    def corrupt(self, key: Key, where: float, how: str, version: int) -> None:
        path = self.path(key)
        data = read(path)
        if data is None:
            return
        if how == "gone":
            path.unlink()
            self.at_work(key, go=True)
            return
        status = path.stat()
        at = min(int(where * len(data)), len(data) - 1) if data else 0
        bad = {
            "cut": data[:at], "empty": b"", "page": b"<!doctype html>sorry", "longer": data + b"\0",
            "other": contents(key, version),
        }.get(how, data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :] if data else b"")  # fmt: skip
        if bad == data:
            return
        path.write_bytes(bad)
        if how == "silent":
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:  # another time, whatever the clock's grain
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_007))
        self.spoilt[key] = bad
        self.last[key] = bad

    @rule(key=KEY, how=st.sampled_from(["gone", "empty", "nonsense", "list", "deep"]))
    def corrupt_the_receipt(self, key: Key, how: str) -> None:
        note = self.note(key, "receipt")
        if not note.exists():
            return
        self.forged.add(key)
        if how == "gone":
            note.unlink()
        else:
            note.write_text({"empty": "", "nonsense": "\0{", "list": "[1]", "deep": "[" * 100_000}[how])

    @rule(key=NWB, where=WHERE, how=st.sampled_from(["flip", "cut", "gone", "journal", "alone", "longer"]))
    def corrupt_what_is_unfinished(self, key: Key, where: float, how: str) -> None:
        for part in self.litter(key, "part"):
            self.tampered = True
            data = part.read_bytes()
            if how == "flip" and data:
                at = min(int(where * len(data)), len(data) - 1)
                part.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
            elif how == "cut":
                part.write_bytes(data[: int(where * len(data))])
            elif how == "longer":
                part.write_bytes(data + b"\0" * 1000)
            elif how == "gone":
                part.unlink()
            elif how == "journal":
                part.with_suffix(".journal").write_text('{"origin": [' * 100)
            else:
                part.with_suffix(".journal").unlink(missing_ok=True)

    @rule()
    def much_later(self) -> None:
        """What nobody has touched for long is abandoned, whoever's it is."""
        then = time.time() - ABANDONED_S - 60
        for path in self.folder.rglob(".*"):
            if path.suffix in (".part", ".journal", ".tmp"):
                os.utime(path, (then, then))

    # Keeping house -------------------------------------------------------------------------------

    @rule(budget=st.sampled_from([0, 30_000, 600_000, 10**9]), old=st.booleans())
    def prune(self, budget: int, old: bool) -> None:
        there = {key for key in KEYS if self.path(key).exists()}
        with conditions(old=old):
            plan = self.house.prune(budget)
        gone = {key for key in there if not self.path(key).exists()}
        assert {h.key for h in plan.remove if h.key in KEYS} == gone
        assert not gone & self.pinned
        if old:
            left = {key: self.path(key).stat().st_size for key in there - gone}
            assert sum(left.values()) <= budget or {key for key in left if left[key]} <= self.pinned
        else:
            for key in gone:  # only what was never noted as used
                assert time.time() - self.path(key).parent.stat().st_mtime < 60
        for key in gone:
            assert not self.note(key, "receipt").exists()
        for note in [*self.folder.rglob(".*.journal"), *self.folder.rglob(".*.tmp")]:
            # nobody is at work: what is left is young, or belongs to a part
            young = time.time() - note.stat().st_mtime < ABANDONED_S
            unclear = note.suffix == ".tmp" or Journal.read(note) is None
            assert note.with_suffix(".part").exists() or (young and unclear), note
        self.at_work(*gone, go=True)

    @rule(key=KEY)
    def pin(self, key: Key) -> None:
        if self.path(key).exists():
            self.house.pin(key)
            self.pinned.add(key)
        else:
            with pytest.raises(ProjectCacheError, match="cannot be pinned"):
                self.house.pin(key)

    @rule(key=KEY)
    def unpin(self, key: Key) -> None:
        if self.path(key).parent.is_dir():
            self.house.unpin(key)
            self.pinned.discard(key)

    def judged(self, key: Key) -> str:
        """What verify has to say of an object."""
        data = read(self.path(key))
        if data is None:
            return "missing"
        expected = [hands.digest(contents(key, 0), VOUCHED[key])] if key in VOUCHED else []
        receipt = self.receipt(key)
        if not expected and receipt is not None:
            expected = [receipt["digest"]]
        if not expected:
            return "corrupt" if self.plainly_bad(key, data) else "seen"
        return "good" if hands.digest(data, expected[0].partition(":")[0]) in expected else "corrupt"

    @rule()
    def verify(self) -> None:
        told = {key: self.judged(key) for key in KEYS}
        # a file that the test has let alone is never called bad, and one that it has not is found
        for key in KEYS:
            if told[key] == "corrupt":
                assert key in self.spoilt, key
            elif key in self.spoilt and self.spoilt[key] not in self.right(key):
                assert told[key] == "missing" or key in self.forged or self.receipt(key) is None, key
        found = {v.key: v.state for v in self.house.verify(workers=1)}
        for key in KEYS:
            assert found.get(key, "missing") == told[key], (key, found.get(key), told[key])

    @rule(spread=st.booleans())
    def repair(self, spread: bool) -> None:
        told = {key: self.judged(key) for key in KEYS}
        bad = {key for key in KEYS if told[key] == "corrupt"}
        self.at_work(*bad, fill=True)
        before = {key: read(self.path(key)) for key in KEYS}
        with conditions(spread=spread):
            said = self.house.repair(workers=1)
        assert set(said) == bad
        for key in bad:
            if self.served(key):
                assert said[key] == "repaired", said[key]
                assert read(self.path(key)) == contents(key, self.now[key])
            elif said[key] != "repaired":
                assert read(self.path(key)) == before[key]
        for key in set(KEYS) - bad:
            assert read(self.path(key)) == before[key]

    # Places --------------------------------------------------------------------------------------

    @rule()
    def move(self) -> None:
        self.moves += 1
        there = self.home / str(self.moves)
        self.folder.rename(there)
        self.folder = there
        self.house = House(there, self.url)

    @rule()
    def open_again(self) -> None:
        self.house = House(self.folder, self.url)

    @rule(key=KEY)
    def read_only(self, key: Key) -> None:
        """What is there can be had, nothing else can, and nothing changes."""
        before = {p: (p.stat().st_mtime_ns, read(p) if p.is_file() else b"") for p in self.folder.rglob("*")}
        folders = [self.folder, *(p for p in before if p.is_dir())]
        for each in folders:
            each.chmod(0o555)
        try:
            report = self.home / "report"
            ops = [("fetch", key), ("verify", key), ("prune", key)]
            number = HANDS[0].begin(self.folder, self.url, ops, report, powerless=True)
            said = HANDS[0].end(number, report)
        finally:
            for each in folders:
                each.chmod(0o755)
        assert said is not None
        data = read(self.path(key))
        if data is None or self.plainly_bad(key, data):
            assert said[0][0] == "said", said[0]
        else:
            assert said[0] == ("done", str(self.path(key)))
        assert said[1][0] == "done", said[1]
        assert said[2][0] != "escaped", said[2]
        after = {p: (p.stat().st_mtime_ns, read(p) if p.is_file() else b"") for p in self.folder.rglob("*")}
        assert {p for p in before if before[p][1] != after.get(p, (0, b""))[1]} == set()
        assert set(after) == set(before)

    # What holds ----------------------------------------------------------------------------------

    @invariant()
    def nothing_wrong_or_partial_at_an_objects_path(self) -> None:
        there = {
            p.relative_to(self.folder).as_posix()
            for p in self.folder.rglob("*")
            if p.is_file() and not p.name.startswith(".")
        }
        assert there <= {"manifest.json", *PLACES.values()}, there
        for key in KEYS:
            data, old = read(self.path(key)), self.last[key]
            if data != old:
                if data is None:
                    assert key in self.may_go, f"{key} has gone"
                else:
                    assert key in self.may_fill, f"{key} has changed"
                    assert data in self.right(key), f"{key} is wrong"
                self.spoilt.pop(key, None)
                if data is not None:
                    self.forged.discard(key)
            if data is not None and key not in self.spoilt:
                assert data in self.right(key), f"{key} is wrong"
            self.last[key] = data
        self.may_fill, self.may_go = set(), set()

    @invariant()
    def receipts_do_not_lie(self) -> None:
        for key in KEYS:
            receipt, data = self.receipt(key), self.last[key]
            if receipt is None or data is None:
                continue
            status = self.path(key).stat()
            true = receipt["digest"] == hands.digest(data, receipt["digest"].partition(":")[0])
            if key not in self.spoilt:
                assert true, f"the receipt of {key} slanders it"
            fits = (receipt["size"], receipt["mtime_ns"]) == (status.st_size, status.st_mtime_ns)
            assert true or not fits or key in self.spoilt, f"the receipt of {key} lies"

    @invariant()
    def journals_do_not_lie(self) -> None:
        parts = [part for key in KEYS for part in self.litter(key, "part")]
        if not parts:
            self.tampered = False
        for part in parts:
            journal = Journal.read(part.with_suffix(".journal"))
            if journal is None or self.tampered:
                continue
            data = part.read_bytes()
            hasher = {"blake3": blake3, "sha256": hashlib.sha256}[journal.algorithm]
            for count, digest in journal.marks:
                assert hasher(data[:count]).hexdigest() == digest
            for extent in journal.extents:
                assert blake3(data[extent.start : extent.end]).hexdigest() == extent.digest

    @invariant()
    def pins_stay(self) -> None:
        assert {key for key in KEYS if self.note(key, "pin").exists()} == self.pinned


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    HANDS.append(Hands())
    try:
        yield
    finally:
        HANDS.pop().close()


def walk(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink), print_blob=True,
        ),
    )  # fmt: skip


def test_a_short_walk() -> None:
    walk(examples=6, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_long_walk() -> None:
    walk(examples=100, steps=50)
