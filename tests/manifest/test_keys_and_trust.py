from __future__ import annotations

from pathlib import Path

import pytest

from project_cache.errors import ManifestError
from project_cache.manifest.keys import Key
from project_cache.manifest.trust import inside, safe_relative


@pytest.mark.parametrize(
    "text", ["units", "session_nwb/715093703", "probe_lfp_nwb/1/2", "typewise_analysis_metrics/a_1.1"]
)
def test_a_key_is_read_as_it_was_written(text: str) -> None:
    assert str(Key.parse(text)) == text


def test_numbers_in_keys_are_numbers_unless_they_would_change() -> None:
    assert Key.parse("x/7").args == (7,)
    assert Key.parse("x/007").args == ("007",)


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../../x", "/etc/passwd", "C:\\x", "C:x", "c:/x", "\\\\server\\share\\x", "//server/share", "a\\b", "a//b", "",
        ".", "a/.", "a/..", "nul", "NUL.nwb", "a/com1.csv", "LPT¹.txt", "x:stream", "a\x00b", "a\nb", "a.", "a ", "~/.ssh/../x/", ".units.csv.parquet",
        "a/.hidden", "x" * 300, "a*b", "a?b", 'a"b', "a|b", "a<b", "CONIN$",
    ],
)  # fmt: skip
def test_a_path_that_some_system_reads_otherwise_is_refused(path: str) -> None:
    with pytest.raises(ManifestError):
        safe_relative(path)


@pytest.mark.parametrize(
    "path", ["a.nwb", "session_1/a b.nwb", "ünits.csv", "a-b_c.1/d.e.f", "console.csv", "com10x/nulled"]
)
def test_ordinary_paths_pass(path: str) -> None:
    assert safe_relative(path).as_posix() == path


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder, outside = tmp_path / "cache", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "session_1").symlink_to(outside)
    (folder / "session_2").symlink_to(folder)
    assert inside(folder / "session_2" / "x.nwb", folder)
    with pytest.raises(ManifestError, match="leads out of the cache folder"):
        inside(folder / "session_1" / "x.nwb", folder)
