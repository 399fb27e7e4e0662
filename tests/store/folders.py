"""Cache folders for tests of the store: what lies in one, and processes that fetch into it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.store import Store

KEY = Key("session_nwb", (7,))


def store_in(folder: Path, *sources: object, **options: object) -> Store:
    return Store(Manifest.visual_coding(folder / "manifest.json"), (), sources, **options)  # type: ignore[arg-type]


def visible(folder: Path) -> list[str]:
    """What anybody would take for data: all files that are not hidden."""
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    )


def hidden_files(folder: Path, suffix: str) -> list[Path]:
    return list(folder.rglob(f".*.{suffix}"))


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.strip(), err


def gate(folder: Path) -> str:
    return f"while not Path({str(folder / '.go')!r}).exists(): time.sleep(0.005)"
