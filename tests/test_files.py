"""Publishing files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from project_cache.errors import ConfigurationError, DiskFullError, ReadOnlyCacheError
from project_cache.files import atomic_write, digest_of, make_folder, new_hasher, room_for, translated


def test_a_file_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half of the n")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_the_systems_words_become_errors_that_say_what_to_do(tmp_path: Path) -> None:
    for number, kind in (
        (errno.ENOSPC, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EROFS, ReadOnlyCacheError),
    ):
        with pytest.raises(kind, match="manifest="), translated(tmp_path):
            raise OSError(number, os.strerror(number))
    with pytest.raises(OSError, match="Input/output error"), translated(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_room_is_asked_for_before(tmp_path: Path) -> None:
    room_for(tmp_path, 1)
    with pytest.raises(DiskFullError, match="are free"):
        room_for(tmp_path, 1 << 60)


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_folders_follow_a_shared_one_and_else_the_umask(tmp_path: Path) -> None:
    shared, private = tmp_path / "lab", tmp_path / "home"
    shared.mkdir()
    shared.chmod(0o2775)
    private.mkdir(mode=0o700)
    old = os.umask(0o027)
    try:
        assert oct(make_folder(shared / "a" / "b").stat().st_mode & 0o777) == oct(0o775)
        assert oct(make_folder(private / "a" / "b").stat().st_mode & 0o777) == oct(0o750)
    finally:
        os.umask(old)


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert digest_of(path, "sha256").endswith("f20015ad")
    assert digest_of(path) == "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    with pytest.raises(ConfigurationError, match="md5"):
        new_hasher("md5")
