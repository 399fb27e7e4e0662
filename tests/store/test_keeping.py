"""Keeping house: sizes, pins, what a budget makes go and what it does not."""

from __future__ import annotations

import dataclasses
import json
import math
import mmap
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from project_cache.errors import ConfigurationError, MissingObjectError
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.keeping import (
    UNFINISHED,
    Holding,
    byte_count,
    holdings,
    is_pinned,
    open_files,
    pin,
    plan_prune,
    prune,
    unpin,
    used,
)
from project_cache.store.part import Part
from project_cache.store.receipts import Receipt

NOW = 1_000_000.0


def key(n: int) -> Key:
    return Key("session_nwb", (n,))


def held(n: int, size: int = 100, **more: Any) -> Holding:
    return Holding(key(n), Path(f"/cache/{n}"), size, NOW - 10_000 + n, **more)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest.visual_coding(tmp_path / "cache" / "manifest.json")


def put(manifest: Manifest, n: int, size: int = 5_000, *, age: float = 10_000.0) -> Path:
    """An object as the store leaves it, used some seconds ago."""
    path = manifest.locate(key(n))
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(size))
    then = time.time() - age
    os.utime(path, (then, then))
    Receipt.of(path, key(n), "blake3:" + "0" * 64).write(path)
    os.utime(Receipt.path_for(path), (then, then))
    return path


# Sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (0, 0), (7, 7), (1e3, 1000), ("0", 0), ("12", 12), ("1 kB", 1000), ("1.5 GB", 1_500_000_000), ("2GiB", 2 << 30),
        ("500 gb", 500 * 10**9), ("3 T", 3 * 10**12), ("1 KiB", 1024), (" 4 MB ", 4_000_000), ("10 B", 10),
    ],
)  # fmt: skip
def test_sizes_are_read(said: int | float | str, count: int) -> None:
    assert byte_count(said) == count


@pytest.mark.parametrize("said", [-1, "-1 GB", "much", "", "1 XB", math.nan, math.inf, True, None, "1e9"])
def test_what_is_no_size_is_refused(said: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no size"):
        byte_count(said)


# Plans -----------------------------------------------------------------------------------------


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    plan = plan_prune([held(3), held(1), held(2)], 150, now=NOW)
    assert [h.key for h in plan.remove] == [key(1), key(2)]
    assert [(h.key, why) for h, why in plan.keep] == [(key(3), "within the budget")]
    assert (plan.before, plan.after, plan.reached) == (300, 100, True)


def test_nothing_goes_within_the_budget() -> None:
    plan = plan_prune([held(1), held(2)], 200, now=NOW)
    assert plan.remove == ()
    assert plan.reached


def test_pinned_used_unobtainable_and_kept_ones_stay() -> None:
    all_of_it = [
        held(1, pinned=True), held(2, again=False), held(3), held(4),
        dataclasses.replace(held(5), used=NOW - 5), held(6),
    ]  # fmt: skip
    plan = plan_prune(all_of_it, 0, keep=[key(4)], busy=[Path("/cache/3")], now=NOW)
    assert [h.key for h in plan.remove] == [key(6)]
    assert {h.key.args[0]: why for h, why in plan.keep} == {
        1: "pinned", 2: "cannot be had again", 3: "in use", 4: "pinned", 5: "in use",
    }  # fmt: skip
    assert not plan.reached
    assert "cannot be kept: 1 cannot be had again, 2 in use, 2 pinned" in str(plan)
    assert key(2) in [h.key for h in plan_prune(all_of_it, 0, now=NOW, unobtainable=True).remove]


# Pins ------------------------------------------------------------------------------------------


def test_a_pin_stays_with_the_file(manifest: Manifest, tmp_path: Path) -> None:
    path = put(manifest, 1)
    pin(path)
    pin(path)
    assert is_pinned(path)
    (tmp_path / "cache").rename(tmp_path / "moved")
    moved = tmp_path / "moved" / path.relative_to(tmp_path / "cache")
    assert is_pinned(moved)
    unpin(moved)
    unpin(moved)
    assert not is_pinned(moved)


def test_what_is_not_there_is_not_pinned(manifest: Manifest) -> None:
    with pytest.raises(MissingObjectError, match="Fetch it first"):
        pin(manifest.locate(key(1)))


# Use -------------------------------------------------------------------------------------------


def test_use_is_noted_now_and_then(manifest: Manifest) -> None:
    path = put(manifest, 1, age=10_000)
    used(path)
    noted = Receipt.path_for(path).stat().st_mtime
    assert time.time() - noted < 60
    used(path, now=noted + 10)
    assert Receipt.path_for(path).stat().st_mtime == noted
    # and the receipt is as good as before
    receipt, status = Receipt.read(path), path.stat()
    assert receipt is not None
    assert receipt.fits(status.st_size, status.st_mtime_ns)


def test_use_of_a_file_without_a_receipt_is_no_trouble(tmp_path: Path) -> None:
    used(tmp_path / "nothing.nwb")
    assert list(tmp_path.iterdir()) == []


# What is held ----------------------------------------------------------------------------------


def test_all_objects_are_held(manifest: Manifest) -> None:
    put(manifest, 1)
    put(manifest, 2)
    pin(manifest.locate(key(2)))
    found = {h.key: h for h in holdings(manifest, lambda k: k == key(1))}
    assert set(found) == {key(1), key(2)}
    assert (found[key(1)].pinned, found[key(2)].pinned) == (False, True)
    assert (found[key(1)].again, found[key(2)].again) == (True, False)
    assert abs(found[key(1)].used - (time.time() - 10_000)) < 60


def test_other_versions_objects_are_told_by_their_receipts(manifest: Manifest) -> None:
    put(manifest, 1)
    other = manifest.folder / "objects" / "0123" / "session_1.nwb"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another version")
    Receipt.of(other, key(1), "blake3:" + "1" * 64).write(other)
    found = holdings(manifest, lambda k: True)
    assert sorted(h.path for h in found) == sorted([manifest.locate(key(1)), other])
    assert {h.key for h in found} == {key(1)}


def test_a_file_of_two_names_is_counted_once(manifest: Manifest) -> None:
    path = put(manifest, 1, 8_000)
    twin = manifest.locate(key(2))
    twin.parent.mkdir()
    twin.hardlink_to(path)
    assert sum(h.size for h in holdings(manifest, lambda k: True)) == 8_000


def test_a_part_that_was_given_up_is_nobodys_and_goes(manifest: Manifest) -> None:
    final = manifest.locate(key(1))
    final.parent.mkdir(parents=True)
    with Part(final) as left:
        left.restart(origin="o", validator='"v"', size=50_000)
        left.write(bytes(20_000))
        left.release()
    at_work = Part(manifest.locate(key(1)))
    at_work.restart(origin="o", validator='"v"', size=50_000)
    [found] = holdings(manifest, lambda k: True)
    assert (found.key.kind, found.path) == (UNFINISHED, left.path)
    plan = plan_prune([found], 0, now=time.time() + 3600)
    assert prune(plan).after == 0
    assert sorted(p.suffix for p in final.parent.iterdir()) == [".journal", ".part"]  # the other one's
    at_work.discard()


# Pruning ---------------------------------------------------------------------------------------


def test_pruning_removes_files_and_the_notes_beside_them(manifest: Manifest) -> None:
    one, two = put(manifest, 1, age=20_000), put(manifest, 2)
    one.with_name(f".{one.name}.parquet").write_bytes(b"copy")
    plan = plan_prune(holdings(manifest, lambda k: True), 5_000)
    asked: list[Key] = []
    done = prune(plan, asked.append)
    assert (done.after, done.reached, asked) == (5_000, True, [key(1)])
    assert list(one.parent.iterdir()) == []
    assert two.exists()


def test_what_was_used_or_pinned_since_stays(manifest: Manifest) -> None:
    put(manifest, 1)
    put(manifest, 2)
    put(manifest, 3)
    plan = plan_prune(holdings(manifest, lambda k: True), 0)
    used(manifest.locate(key(1)))
    pin(manifest.locate(key(2)))
    done = prune(plan)
    assert [h.key for h in done.remove] == [key(3)]
    assert sorted((h.key.args[0], why) for h, why in done.keep) == [(1, "in use"), (2, "in use")]
    assert done.after == 10_000


def test_what_another_process_has_removed_already_is_no_trouble(manifest: Manifest) -> None:
    path = put(manifest, 1)
    plan = plan_prune(holdings(manifest, lambda k: True), 0)
    path.unlink()
    assert prune(plan).after == 0


# Open files ------------------------------------------------------------------------------------

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which files are open")


@linux
def test_files_that_another_process_has_open_are_seen(manifest: Manifest) -> None:
    one, two = put(manifest, 1), put(manifest, 2)
    twin = one.with_name("other name.nwb")
    twin.hardlink_to(one)
    script = "import sys; f = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.readline()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(twin)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert open_files([one, two]) == {one}
    process.communicate("\n")
    assert open_files([one, two]) == set()


@linux
def test_files_that_are_mapped_are_seen(manifest: Manifest) -> None:
    path = put(manifest, 1)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert open_files([path]) == {path}
    mapped.close()
    assert open_files([path]) == set()


def test_a_read_only_folder_says_so(manifest: Manifest, unprivileged: list[str]) -> None:
    path = put(manifest, 1)
    path.parent.chmod(0o555)
    script = """
        import sys
        from pathlib import Path
        from project_cache.errors import ReadOnlyCacheError
        from project_cache.manifest.model import Manifest
        from project_cache.store.keeping import holdings, pin, plan_prune, prune
        manifest = Manifest.visual_coding(sys.argv[1])
        held = holdings(manifest, lambda key: True)
        for act in (lambda: prune(plan_prune(held, 0)), lambda: pin(held[0].path)):
            try:
                act()
            except ReadOnlyCacheError as error:
                print("cannot be written" in str(error))
    """
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", textwrap.dedent(script), str(manifest.path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    path.parent.chmod(0o755)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")
    assert path.exists()
    assert json.loads(Receipt.path_for(path).read_text())["key"] == "session_nwb/1"
