"""The table of many raw folders: the same rows, in the same order, whatever happens meanwhile."""

from __future__ import annotations

import _thread
import io
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from project_cache import ProjectCache
from project_cache.build import session_row as rows
from project_cache.build.plan import BuildPlan
from project_cache.build.session_row import RowNotes

COUNT = 60
TRIALS = "start_time,stop_time,index\n" + "".join(f"{n},{n + 0.5},{n}\n" for n in range(5))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many sessions, of tables alone, with the folders that all of them look into."""
    root = tmp_path_factory.mktemp("many")
    for n in range(COUNT):
        folder = root / f"DRpilot_{700001 + n}_202405{n % 28 + 1:02}"
        (folder / "intervals").mkdir(parents=True)
        (folder / "session.json").write_text("{}")
        (folder / "subject.json").write_text(json.dumps({"genotype": "wt/wt", "date_of_birth": "2024-01-01"}))
        (folder / "intervals" / "task_trials.csv").write_text(TRIALS * (n != 7))
    for kind in ("sorted", "annotations"):
        (root / kind / "other").mkdir(parents=True)
    return root


@pytest.fixture
def cache(root: Path, tmp_path: Path) -> ProjectCache:
    return ProjectCache.from_raw(root, cache_dir=tmp_path / "cache", progress=False)


def notes(cache: ProjectCache) -> dict[str, Any]:
    try:
        return dict(json.loads((cache.manifest.folder / "session_rows.json").read_text("utf-8")))
    except FileNotFoundError:
        return {}


def test_rows_are_those_of_each_session_alone_newest_first(cache: ProjectCache, root: Path) -> None:
    table = cache.get_session_table()
    assert list(table.index) == cache.session_ids()
    assert list(table.date) == sorted(table.date, reverse=True)
    for session_id in table.index[::7]:
        plan = BuildPlan(cache.project.folder(session_id), session_id=session_id)
        alone = rows.session_row(plan)
        said = table.loc[session_id]
        assert {name: said[name] for name in alone if alone[name] is not None} == {
            name: value for name, value in alone.items() if value is not None
        }
    broken = table[table.issues != ""]
    assert [int(subject) for subject in broken.subject_id] == [700008]
    assert table.trial_count.drop(broken.index).eq(5).all()
    pd.testing.assert_frame_equal(cache.get_session_table(), table)
    assert set(notes(cache)) == set(table.index)


def test_each_folder_is_listed_once(cache: ProjectCache, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.session_ids()
    listed: Counter[str] = Counter()
    scan, names = os.scandir, os.listdir

    def scanned(path: Any = ".") -> Any:
        listed[os.fspath(path)] += 1
        return scan(path)

    def named(path: Any = ".") -> Any:
        listed[os.fspath(path)] += 1
        return names(path)

    monkeypatch.setattr(os, "scandir", scanned)
    monkeypatch.setattr(os, "listdir", named)
    cache.get_session_table()
    ours = {path: count for path, count in listed.items() if path.startswith(str(root))}
    assert ours[str(root)] == 1
    # the folders that all look into may be listed by several threads at once
    assert {count for path, count in ours.items() if "DRpilot" in path} == {1}
    assert sum(ours.values()) < 2 * COUNT + 50


def test_sessions_are_waited_for_together(cache: ProjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    read = rows.session_row

    def slow(plan: BuildPlan) -> dict[str, Any]:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        try:
            return read(plan)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(rows, "session_row", slow)
    assert len(cache.get_session_table()) == COUNT
    assert most > 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_was_read_before_an_interrupt_is_kept(
    cache: ProjectCache, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    whole = ProjectCache.from_raw(
        cache.project.roots, cache_dir=cache.manifest.folder / "another", progress=False
    ).get_session_table()
    read = rows.session_row
    done: list[str] = []

    def interrupted(plan: BuildPlan) -> dict[str, Any]:
        if len(done) >= 20:
            raise error
        done.append(plan.session_id)
        return read(plan)

    monkeypatch.setattr(rows, "session_row", interrupted)
    with pytest.raises(error):
        cache.get_session_table()
    kept = set(notes(cache))
    assert 20 <= len(kept) < COUNT
    again: list[str] = []

    def counted(plan: BuildPlan) -> dict[str, Any]:
        again.append(plan.session_id)
        return read(plan)

    monkeypatch.setattr(rows, "session_row", counted)
    pd.testing.assert_frame_equal(cache.get_session_table(), whole)
    assert not kept & set(again)


def test_an_interrupt_ends_it_soon(cache: ProjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    read = rows.session_row
    done: list[str] = []

    def slow(plan: BuildPlan) -> dict[str, Any]:
        done.append(plan.session_id)
        if len(done) == 20:
            _thread.interrupt_main()
        time.sleep(0.05)
        return read(plan)

    monkeypatch.setattr(rows, "session_row", slow)
    with pytest.raises(KeyboardInterrupt):
        cache.get_session_table()
    assert len(done) < COUNT
    assert set(notes(cache)) == set(done)


def test_rows_are_noted_in_steps(cache: ProjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    write = RowNotes.write
    monkeypatch.setattr("project_cache.session_rows.EVERY", 0.0)
    monkeypatch.setattr(RowNotes, "write", lambda self: (write(self), written.append(len(notes(cache))))[0])
    cache.get_session_table()
    assert len(set(written)) > 1
    assert written[0] < COUNT
    assert written == sorted(written)
    assert written[-1] == COUNT


def test_there_is_a_bar(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    slow = rows.session_row
    monkeypatch.setattr(rows, "session_row", lambda plan: time.sleep(0.25) or slow(plan))
    ProjectCache.from_raw(root, cache_dir=tmp_path, progress=True).get_session_table()
    assert "look at sessions" in shown.getvalue()
    assert f"/{COUNT}" in shown.getvalue()


def test_where_nothing_can_be_written_the_table_is_there(
    cache: ProjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("project_cache.build.session_row.make_folder", refused)
    assert len(cache.get_session_table()) == COUNT
    assert notes(cache) == {}
