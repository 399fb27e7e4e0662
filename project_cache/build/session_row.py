"""What a project's table says of one session, from its raw folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache._version import __version__
from project_cache.errors import ProjectCacheError, StoreError
from project_cache.files import atomic_write, make_folder, new_hasher

if TYPE_CHECKING:
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

    What cannot be read is None, and why stands in ``issues``.
    """
    graph = plan.graph()
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
        return len(plan.raw.tables.get("trials", ()))
    return plan.raw.task.n_trials if plan.raw.task is not None else 0


def _units(plan: BuildPlan) -> int:
    if not plan.raw.is_sorted or plan.raw.sorted is None:
        return 0
    found = plan.raw.sorted
    skipped = plan.options.probe_letters_to_skip
    return sum(
        len(group.unit_ids)
        for letter in found.probes
        if letter not in skipped
        for group in found.groups(letter)
    )


class RowNotes:
    """Rows of sessions from before, which hold for as long as their folders look the same.

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
        try:
            self._noted = dict(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            self._noted = {}

    def get(self, plan: BuildPlan) -> dict[str, Any] | None:
        """Return a session's row if its folder looks as it did, else None."""
        noted = self._noted.get(plan.session_id)
        if isinstance(noted, dict) and noted.get("look") == _look(plan):
            return self.last(plan.session_id)
        return None

    def last(self, session_id: str) -> dict[str, Any] | None:
        """Return the row that a session had when it was noted last, whatever has become of its folder."""
        noted = self._noted.get(session_id)
        row = noted.get("row") if isinstance(noted, dict) else None
        return dict(row) if isinstance(row, dict) else None

    def keep(self, plan: BuildPlan, row: dict[str, Any]) -> dict[str, Any]:
        """Note a session's row, and return it as it is when it is read again."""
        row = dict(json.loads(json.dumps(row, default=str)))
        self._new[plan.session_id] = {"look": _look(plan), "row": row}
        return row

    def write(self) -> None:
        """Put the notes on the disk, if there are new ones."""
        if self._new:
            with contextlib.suppress(StoreError, OSError):
                make_folder(self.path.parent)
                with atomic_write(self.path, durable=False) as temporary:
                    temporary.write_text(json.dumps({**self._noted, **self._new}), "utf-8")


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
