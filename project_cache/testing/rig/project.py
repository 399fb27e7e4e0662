"""Several sessions and the registry that tracks them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from project_cache.testing.rig.session import simulate
from project_cache.testing.rig.truth import SimulatedSession

__all__ = ["REGISTRY", "simulate_project"]

REGISTRY = "tracked_sessions.yaml"

FIRST_DAY = date(2024, 5, 2)
SUBJECTS = (712345, 712346, 713003)
DAYS = 2  # of recordings with each mouse


def simulate_project(
    folder: Path | str, n: int = 2, *, seed: int = 0, **options: Any
) -> list[SimulatedSession]:
    """Write `n` sessions into `folder`, with a registry beside them, and return them by date.

    Each mouse is recorded on two days, and the next a week later. The sessions are as far apart as mice are:
    each has a seed of its own.

    Parameters
    ----------
    folder : Path or str
    n : int
    seed : int
    **options
        What `simulate` takes, for all sessions alike.

    Returns
    -------
    list of SimulatedSession
        Their folders stand in `folder`; `tracked_sessions.yaml` names them.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made: list[SimulatedSession] = []
    lines = ["ephys:" if options.get("ephys", True) else "behavior_with_sync:", "  DynamicRouting:"]
    for number in range(n):
        mouse, day = divmod(number, DAYS)
        subject = SUBJECTS[mouse % len(SUBJECTS)] + 10 * (mouse // len(SUBJECTS))
        when = FIRST_DAY + timedelta(days=7 * mouse + day)
        session = simulate(folder, subject=subject, date=when.isoformat(), seed=seed + number, **options)
        made.append(session)
        lines += [f"    - {session.path.name}:", f"        day: {day + 1}"]
    (folder / REGISTRY).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made
