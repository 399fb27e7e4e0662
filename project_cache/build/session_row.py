"""What a project's table says of one session, from its raw folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from project_cache.errors import ProjectCacheError

if TYPE_CHECKING:
    from project_cache.build.plan import BuildPlan

__all__ = ["session_row"]

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
        len(group.unit_ids) for letter in found.probes if letter not in skipped for group in found.groups(letter)
    )
