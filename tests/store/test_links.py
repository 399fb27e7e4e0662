"""Keeping a file once that is wanted in two places."""

from __future__ import annotations

from pathlib import Path

import pytest

from project_cache.store.links import kept_once, reflink


def test_the_ways_to_keep_a_file_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    try:
        reflink(tmp_path / "a", tmp_path / "b")
    except OSError:
        assert not (tmp_path / "b").exists()
    else:
        assert (tmp_path / "b").read_bytes() == b"abc"
    kept_once(tmp_path / "a", tmp_path / "c", (reflink,))
    assert (tmp_path / "c").read_bytes() == b"abc"
    with pytest.raises(FileNotFoundError):
        kept_once(tmp_path / "none", tmp_path / "d")
