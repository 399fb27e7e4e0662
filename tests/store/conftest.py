"""What the tests of the store share: a source, a cache folder, and processes that fetch from the one into the other."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from origins import Origin, hdf5_bytes  # type: ignore[import-not-found]

WORKER = """
    import sys, time
    sys.path.insert(0, {here!r})
    from pathlib import Path
    from origins import Origin
    from project_cache.manifest.keys import Key
    from project_cache.manifest.model import Manifest
    from project_cache.store.store import Store
    {before}
    folder = Path({folder!r})
    origin = Origin(Path({body!r}), Path({log!r}), pause={pause})
    store = Store(Manifest.visual_coding(folder / "manifest.json"), (), [origin])
    {go}
    path = store.get(Key("session_nwb", (7,)))
    print(path.stat().st_size)
"""


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    body = tmp_path / "body"
    hdf5_bytes(body)
    return Origin(body, tmp_path / "log")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cache"
    made.mkdir()
    return made


@pytest.fixture
def worker(folder: Path, origin: Origin) -> Callable[..., subprocess.Popen[str]]:
    def start(
        pause: float = 0.0, before: str = "", go: str = "", wrap: list[str] | None = None
    ) -> subprocess.Popen[str]:
        code = textwrap.dedent(WORKER).format(
            here=str(Path(__file__).parent),
            folder=str(folder),
            body=str(origin.body),
            log=str(origin.log),
            pause=pause,
            before=before,
            go=go,
        )
        return subprocess.Popen(
            [*(wrap or []), sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
