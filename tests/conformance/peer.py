"""An environment of AllenSDK 2.16.2's own, found or made; ``python tests/conformance/peer.py`` prints its Python.

It is where ``PROJECT_CACHE_ALLENSDK_PYTHON`` says, or else ``.venv-allensdk`` in the root of the repository, which is
made when it is not there: AllenSDK wants Python 3.11 at most, and old numpy and pandas.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

__all__ = ["NoPeer", "answer", "python"]

#: AllenSDK alone, as published today, resolves to an hdmf with which it opens no file.
REQUIREMENTS = ("allensdk==2.16.2", "hdmf==3.14.6")
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-allensdk"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
#: Written last: an environment without it was not finished.
MARKER = FOLDER / ".complete"
#: Read when this module is loaded: the tests themselves run without the user's settings.
CHOSEN = os.environ.get("PROJECT_CACHE_ALLENSDK_PYTHON")


class NoPeer(Exception):
    """The environment is not there and cannot be made; the text says why."""


def python() -> str:
    """Return the Python that has AllenSDK; its environment is made if there is none (some minutes, once)."""
    if CHOSEN:
        if shutil.which(CHOSEN) is None:
            raise NoPeer(f"PROJECT_CACHE_ALLENSDK_PYTHON is {CHOSEN}, which is no program")
        return CHOSEN
    if not _complete():
        lock = FOLDER.with_name(".venv-allensdk-lock") / "lock"
        try:
            lock.parent.mkdir(exist_ok=True)
            with FileLock(lock):
                if not _complete():
                    _make(_python_3_11())
        except OSError as error:
            raise NoPeer(f"{FOLDER} cannot be written: {error}") from error
    return str(PYTHON)


def _complete() -> bool:
    return PYTHON.exists() and MARKER.is_file() and MARKER.read_text().split() == list(REQUIREMENTS)


def _python_3_11() -> str:
    """Return a Python 3.11 that can make environments."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        raise NoPeer("AllenSDK 2.16.2 needs Python 3.11, and there is no python3.11 on the PATH")
    # A shim of pyenv's may be there without the Python that it stands for.
    said = subprocess.run([found, "-c", "import ensurepip, venv"], capture_output=True, text=True)
    if said.returncode:
        raise NoPeer(f"{found} cannot make an environment for AllenSDK: {_last(said.stderr)}")
    return found


def _make(base: str) -> None:
    steps = (
        [base, "-m", "venv", "--clear", str(FOLDER)],
        [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS],
        [str(PYTHON), "-c", "import allensdk.brain_observatory.ecephys.ecephys_project_cache"],
    )
    for step in steps:
        said = subprocess.run(step, capture_output=True, text=True, env=_environment())
        if said.returncode:
            raise NoPeer(
                f"AllenSDK's environment cannot be made: {' '.join(step[:5])} …: {_last(said.stderr)}"
            )
    MARKER.write_text("\n".join(REQUIREMENTS))


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:]) or "it said nothing"


def _environment() -> dict[str, str]:
    """Return this process's environment without what steers another Python's imports and warnings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def answer(script: str, *args: str, timeout: float = 900) -> str:
    """Return what a script prints that AllenSDK's Python runs; a RuntimeError has what it says when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.py"
        file.write_text(script, encoding="utf-8")
        said = subprocess.run(
            [python(), str(file), *args],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=folder,
            env=_environment(),
            timeout=timeout,
        )
    if said.returncode:
        raise RuntimeError(f"AllenSDK's script ended with {said.returncode}:\n{said.stderr[-6000:]}")
    return said.stdout


if __name__ == "__main__":
    try:
        print(python())
    except NoPeer as reason:
        sys.exit(str(reason))
