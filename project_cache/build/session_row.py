"""What a project's table says of one session, from its raw folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from project_cache._version import __version__
from project_cache.build.subject import genotype_of
from project_cache.errors import ProjectCacheError, StoreError
from project_cache.files import atomic_write, make_folder, new_hasher
from project_cache.raw.places import held_open
from project_cache.raw.sorted import SortedOutput
from project_cache.raw.trial_tables import count_rows

if TYPE_CHECKING:
    from project_cache.build.graph import Graph
    from project_cache.build.plan import BuildPlan
    from project_cache.raw.places import AnyPath

__all__ = ["RowNotes", "session_row"]

#: flags that need no times: from the names of files, and from single values in the task's file
FLAGS = (
    "project", "session_type", "is_ephys", "is_sync", "is_video", "is_task", "is_sorted", "is_annotated", "is_opto",
    "is_opto_control", "is_training", "is_hab", "is_templeton", "is_production", "is_naive", "experiment_day", "rig",
)  # fmt: skip


def session_row(plan: BuildPlan) -> dict[str, Any]:
    """Return a session's row: flags, type, numbers of trials and units, and what is wrong with it.

    What cannot be read is None, and why stands in ``issues``. No more is read than that: spikes, for example, are not,
    nor is it found out whether they could be.
    """
    with held_open():
        return _row(plan, _graph(plan))


def _graph(plan: BuildPlan) -> Graph:
    """Return the plan's graph, in which the subject is no more than its genotype: all that flags depend on."""
    graph = plan.graph()
    if "subject" not in plan.given:
        # what cannot be read says so when it is asked for
        with contextlib.suppress(ProjectCacheError):
            graph.set("subject", SimpleNamespace(genotype=genotype_of(plan.raw.subject)))
    return graph


def _row(plan: BuildPlan, graph: Graph) -> dict[str, Any]:
    row: dict[str, Any] = {}
    issues: list[str] = []
    for name in FLAGS:
        try:
            row[name] = graph.get(name)
        except ProjectCacheError as error:
            row[name] = None
            if str(error) not in issues:
                issues.append(str(error))
    for name, count in (("trial_count", _trials), ("unit_count", _units)):
        try:
            row[name] = count(plan)
        except ProjectCacheError as error:
            row[name] = None
            issues.append(str(error))
    try:
        issues += [issue for issue in graph["issues"] if issue not in issues]
    except ProjectCacheError as error:
        if str(error) not in issues:
            issues.append(str(error))
    row["issues"] = "; ".join(issues)
    return row


def _trials(plan: BuildPlan) -> int:
    if plan.raw.layout == "tables":
        trials = plan.raw.table_paths.get("trials")
        return 0 if trials is None else count_rows(trials)
    return plan.raw.task.n_trials if plan.raw.task is not None else 0


def _units(plan: BuildPlan) -> int:
    if plan.raw.sorted_path is None:
        return 0
    found = SortedOutput(plan.raw.sorted_path)
    skipped = plan.options.probe_letters_to_skip
    return sum(found.count_units(letter) for letter in found.probes if letter not in skipped)


class RowNotes:
    """Rows of sessions from before, which hold for as long as their folders look the same; any thread may ask.

    A folder looks the same while the names, sizes and times of its members are the same. Where nothing can be written,
    rows are made anew each time.

    Parameters
    ----------
    path : pathlib.Path
        The file of the notes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new: dict[str, Any] = {}
        self._written = 0
        try:
            self._noted = dict(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            self._noted = {}

    def row(self, plan: BuildPlan) -> dict[str, Any]:
        """Return a session's row: the one from before if its folder looks as it did, else a new one, which is noted."""
        look = _look(plan)
        noted = self._noted.get(plan.session_id)
        if isinstance(noted, dict) and noted.get("look") == look:
            row = self.last(plan.session_id)
            if row is not None:
                return row
        # as it is when it is read again
        made: dict[str, Any] = json.loads(json.dumps(session_row(plan), default=str))
        self._new[plan.session_id] = {"look": look, "row": made}
        return dict(made)

    def last(self, session_id: str) -> dict[str, Any] | None:
        """Return the row that a session had when it was noted last, whatever has become of its folder."""
        noted = self._noted.get(session_id)
        row = noted.get("row") if isinstance(noted, dict) else None
        return dict(row) if isinstance(row, dict) else None

    def write(self) -> None:
        """Put the notes on the disk, if there are new ones since the last time."""
        new = dict(self._new)
        if len(new) > self._written:
            self._written = len(new)
            with contextlib.suppress(StoreError, OSError):
                make_folder(self.path.parent)
                with atomic_write(self.path, durable=False) as temporary:
                    temporary.write_text(json.dumps({**self._noted, **new}), "utf-8")


def _look(plan: BuildPlan) -> str:
    """Return a digest of what a session's folder looks like, and of what was said of the session."""
    hasher = new_hasher("blake3")
    info = plan.info
    said = {"version": __version__, "options": dataclasses.asdict(plan.options), "info": repr(info)}
    hasher.update(json.dumps(said, sort_keys=True, default=str).encode())
    places: list[AnyPath] = [*plan.raw.raw_data_paths, *plan.raw.annotation_paths.values()]
    if plan.raw.sorted_path is not None:
        places.append(plan.raw.sorted_path)
    for place in sorted(places, key=str):
        with contextlib.suppress(OSError):
            status = place.stat()
            hasher.update(f"{place}:{status.st_size}:{getattr(status, 'st_mtime_ns', 0)}".encode())
    return str(hasher.hexdigest())
