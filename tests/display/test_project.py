"""What a cache says of itself."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from project_cache import ProjectCache
from project_cache.display.html import summary_html, summary_text
from project_cache.display.project import project_summary
from project_cache.manifest.keys import Key


@pytest.fixture
def cache() -> ProjectCache:
    return ProjectCache.open("demo", progress=False)


def shown(cache: ProjectCache, tables: dict[str, pd.DataFrame] | None = None) -> str:
    return summary_text(project_summary(type(cache), cache.manifest, cache.store, tables or {}))


def test_what_a_cache_is_and_holds(cache: ProjectCache) -> None:
    text = shown(cache)
    assert text.startswith("<ProjectCache demo>\n  what ")
    assert "synthetic" in text
    assert str(cache.manifest.folder) in text
    assert "demo (made on this machine)" in text
    assert "session_nwb" in text
    assert "get_session_table" in text
    assert "tables in memory" not in text
    assert "files found" not in text
    assert "offline" not in text


def test_what_is_in_memory_and_was_found(cache: ProjectCache) -> None:
    cache.store.get(Key("probes"))
    text = shown(cache, {"probes": pd.DataFrame({"a": range(3)})})
    assert "probes (3 rows × 1 columns)" in text
    assert "probes (1 file, 866 bytes)" in text
    html = summary_html(project_summary(type(cache), cache.manifest, cache.store, {}))
    assert "<dt>probes</dt><dd>1 file, 866 bytes</dd>" in html


def test_layers_and_no_network(tmp_path: Path) -> None:
    layer = tmp_path / "drive"
    layer.mkdir()
    cache = ProjectCache.open("demo", offline=True, layers=[layer], progress=False)
    text = " ".join(shown(cache).split())
    assert f"{layer}, asked first" in text
    assert "network" in text
    assert "offline" in text


def test_no_file_is_looked_at(cache: ProjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.get_session_table()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"a summary touched the disk: {args}")

    project_summary(type(cache), cache.manifest, cache.store, {})
    for where, name in ((builtins, "open"), (os, "stat"), (os, "scandir"), (os, "open"), (Path, "stat")):
        monkeypatch.setattr(where, name, refuse)
    text = shown(cache)
    html = summary_html(project_summary(type(cache), cache.manifest, cache.store, {}))
    monkeypatch.undo()
    assert "sessions" in text
    assert "sessions" in html
