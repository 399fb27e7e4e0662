"""The doctor: what it finds, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from project_cache.store import doctor
from project_cache.store.doctor import examine

NAMES = ["writing", "free space", "replacing", "hard links", "locks", "case", "long paths"]


def test_a_usual_folder_is_well(tmp_path: Path) -> None:
    findings = {f.name: f for f in examine(tmp_path)}
    assert list(findings) == NAMES
    assert all(findings[name].ok for name in ("writing", "replacing", "hard links", "locks", "long paths"))
    assert "GB" in findings["free space"].found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_yet_is_not_there_afterwards(tmp_path: Path) -> None:
    assert {f.name for f in examine(tmp_path / "new" / "cache")} == set(NAMES)
    assert not (tmp_path / "new").exists()


def test_each_finding_is_a_line(tmp_path: Path) -> None:
    for finding in examine(tmp_path):
        line = str(finding)
        assert line.startswith(("ok", "note"))
        assert finding.name in line
        assert "\n" not in line
        assert line.endswith(".")


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, unprivileged: list[str]) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    folder.chmod(0o555)
    script = """
        import sys
        from pathlib import Path
        from project_cache.store.doctor import examine
        for finding in examine(Path(sys.argv[1])):
            print(finding)
    """
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", textwrap.dedent(script), str(folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder.chmod(0o755)
    assert done.stdout.startswith("note  writing: nothing can be written")
    assert "layer" in done.stdout
    assert len(done.stdout.splitlines()) == 2


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def linkless(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", linkless)
    [found] = [f for f in examine(tmp_path) if f.name == "hard links"]
    assert not found.ok
    assert str(found).startswith("note")


def test_a_file_system_on_which_locks_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    @contextlib.contextmanager
    def lying(*arguments: Any, **options: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(filelock, "FileLock", lying)
    [found] = [f for f in examine(tmp_path) if f.name == "locks"]
    assert not found.ok
    assert "two processes at once" in found.found


def test_a_full_disk_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LITTLE_BYTES", 1 << 60)
    [found] = [f for f in examine(tmp_path) if f.name == "free space"]
    assert not found.ok
    assert "prune()" in found.consequence
