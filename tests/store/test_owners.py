"""Owners of parts: who is at work, and what the dead leave."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from project_cache.store.journal import ABANDONED_S
from project_cache.store.owners import orphans, owners, sweep, sweep_below
from project_cache.store.part import Part


def begun(final: Path) -> Part:
    """A part of ten bytes, five of which have arrived."""
    part = Part(final)
    part.restart(origin="o", validator="v", size=10)
    part.write(b"12345")
    part.checkpoint()
    return part


def long_ago(path: Path) -> None:
    then = time.time() - 2 * ABANDONED_S
    os.utime(path, (then, then))


@pytest.mark.parametrize("name", ["x.nwb", "x[1]*.nwb" if os.name == "posix" else "x[1].nwb"])
def test_who_is_at_work_and_how_far(tmp_path: Path, name: str) -> None:
    part = begun(tmp_path / name)
    begun(tmp_path / "other.nwb").close()
    [(journal, size)] = owners(tmp_path / name)
    assert (journal.pid, size) == (os.getpid(), 5)
    part.spread()  # it has its full length from now on
    [(_, size)] = owners(tmp_path / name)
    assert size == 5
    part.discard()
    assert owners(tmp_path / name) == []


def test_what_is_silent_for_long_is_an_orphan(tmp_path: Path) -> None:
    final = tmp_path / "x.nwb"
    part = begun(final)
    part.close()
    assert orphans(final) == []
    [(path, note, journal)] = orphans(final, now=time.time() + 2 * ABANDONED_S)
    assert (path, note) == (part.path, part.path.with_suffix(".journal"))
    assert journal == part.journal


def test_of_an_object_that_is_there_nothing_else_stays_of_the_dead(tmp_path: Path) -> None:
    final = tmp_path / "x.nwb"
    begun(final).release()
    living = begun(final)
    for name, old in (("..x.nwb.receipt.1.tmp", True), ("..x.nwb.receipt.2.tmp", False), ("x.nwb", False)):
        (tmp_path / name).write_bytes(b"1")
        if old:
            long_ago(tmp_path / name)
    sweep(final)
    assert {path.name for path in tmp_path.iterdir()} == {
        living.path.name, living.path.with_suffix(".journal").name, "..x.nwb.receipt.2.tmp", "x.nwb",
    }  # fmt: skip
    living.discard()


def test_anywhere_below_parts_stay_and_what_nobody_can_use_goes(tmp_path: Path) -> None:
    below = tmp_path / "session_1"
    below.mkdir()
    kept, lost = begun(below / "x.nwb"), begun(below / "y.nwb")
    for part in (kept, lost):
        part.release()
    lost.path.unlink()
    long_ago_one = below / "..z.nwb.receipt.1.tmp"
    long_ago_one.write_bytes(b"1")
    long_ago(long_ago_one)
    sweep_below(tmp_path)
    assert {path.name for path in below.iterdir()} == {
        kept.path.name,
        kept.path.with_suffix(".journal").name,
    }
