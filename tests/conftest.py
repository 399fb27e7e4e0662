"""What all tests share: where the real data are, and a cache folder that is nobody else's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, or a skip that says what is missing."""
    folder = Path(os.environ.get("PROJECT_CACHE_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"the real data are not at {folder} (set PROJECT_CACHE_SHARED to where they are)")
    return folder


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's own cache, or obeys the user's settings."""
    for name in list(os.environ):
        if name.startswith("PROJECT_CACHE_") and name != "PROJECT_CACHE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def unprivileged() -> list[str]:
    """The command that takes root's power over permissions away; empty for who has none."""
    if os.name != "posix":
        pytest.skip("permission bits are POSIX's")
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root reads and writes everywhere, and there is no setpriv to take that away")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]
