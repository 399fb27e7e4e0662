"""Owners of parts: who fills an object at this moment, and what those have left behind who are gone."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from project_cache.store.journal import ABANDONED_S, Journal

__all__ = ["orphans", "owners", "sweep", "sweep_below"]


def owners(final: Path) -> list[tuple[Journal, int]]:
    """Return who is filling an object at this moment: the journal, and how many bytes have arrived."""
    found = []
    for path in final.parent.glob(f".{_escape(final.name)}.*.part"):
        journal = Journal.read(path.with_suffix(".journal"))
        with contextlib.suppress(OSError):
            if journal is not None:
                size = path.stat().st_size
                # a part that is filled in any order has its full length from the first byte on
                found.append((journal, journal.held if size == journal.size else size))
    return found


def orphans(final: Path, *, now: float | None = None) -> list[tuple[Path, Path, Journal | None]]:
    """Return the abandoned parts of an object: part, journal's path, journal (None where it is unreadable).

    Either file of the two may be missing.
    """
    now = time.time() if now is None else now
    found = []
    names = f".{_escape(final.name)}.*"
    stems = {
        p.with_suffix("") for ending in ("part", "journal") for p in final.parent.glob(f"{names}.{ending}")
    }
    for stem in sorted(stems):
        path, journal_path = (stem.with_name(f"{stem.name}.{ending}") for ending in ("part", "journal"))
        journal = Journal.read(journal_path)
        try:
            last_sign = (journal_path if journal else path).stat().st_mtime
        except OSError:
            last_sign = now if journal or path.exists() else 0.0
        if journal.abandoned(last_sign, now) if journal else now - last_sign > ABANDONED_S:
            found.append((path, journal_path, journal))
    return found


def sweep(final: Path) -> None:
    """Remove what dead processes have left of an object that is there by now."""
    leftovers = [path for pair in orphans(final) for path in pair[:2]]
    # a process can also die while it writes a journal or a receipt
    for path in final.parent.glob(f"*.{_escape(final.name)}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                leftovers.append(path)
    for path in leftovers:
        with contextlib.suppress(OSError):
            path.unlink()


def sweep_below(folder: Path) -> None:
    """Remove what dead processes have left anywhere in a folder and nobody can use: all but parts."""
    now = time.time()
    for path in [*folder.rglob(".*.tmp"), *folder.rglob(".*.journal")]:
        with contextlib.suppress(OSError):
            last_sign = path.stat().st_mtime
            journal = Journal.read(path) if path.suffix == ".journal" else None
            dead = journal.abandoned(last_sign, now) if journal else now - last_sign > ABANDONED_S
            if dead and not path.with_suffix(".part").exists():
                path.unlink()


def _escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
