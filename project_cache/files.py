"""Files: publishing one so that others see all of it or nothing, and telling it by its digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import blake3

from project_cache.errors import ConfigurationError, DiskFullError, ReadOnlyCacheError

__all__ = [
    "Hasher",
    "atomic_write",
    "digest_of",
    "folder_bits",
    "hidden",
    "make_folder",
    "new_hasher",
    "publish",
    "room_for",
    "translated",
]

#: errno values that mean "no more room": the disk, the quota, the largest file that is allowed
NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
#: … and "not allowed to write here"
NO_WRITE = {errno.EROFS, errno.EACCES, errno.EPERM}


def hidden(path: Path, suffix: str) -> Path:
    """Return the name of a companion of ``path``: hidden, in the same folder.

    Examples
    --------
    >>> hidden(Path("session_1/session_1.nwb"), "receipt").name
    '.session_1.nwb.receipt'
    """
    return path.with_name(f".{path.name}.{suffix}")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the operating system's words about ``path`` into this package's errors."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFullError(
                f"No room left to write {path} ({os.strerror(error.errno or 0)}). Nothing in the cache was "
                f"changed. Free some space, or put the cache elsewhere with PROJECT_CACHE_DIR or manifest=."
            ) from error
        if error.errno in NO_WRITE and not isinstance(error, ReadOnlyCacheError):
            raise ReadOnlyCacheError(
                f"{path} cannot be written ({os.strerror(error.errno or 0)}). Give a manifest= in a folder "
                f"of your own, and this folder in layers=[…]: it is read where it is, and what is missing "
                f"goes to yours."
            ) from error
        raise


def folder_bits(folder: Path) -> tuple[int, int | None]:
    """Return the permission bits and the group that new things in ``folder`` should have.

    A lab's shared cache is often ``drwxrwsr-x``: what one member fetches, others must be able to
    add to, whatever that member's umask. So the folder itself, not the process, is asked.
    """
    status = folder.stat()
    group = getattr(status, "st_gid", None)
    return stat.S_IMODE(status.st_mode), group


def _adopt(path: Path, mode: int, group: int | None) -> None:
    # Bits and groups are a courtesy to a lab that shares a folder: not all file systems have them.
    with contextlib.suppress(OSError):
        path.chmod(mode)
    if group is not None and hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            if path.stat().st_gid != group:
                os.chown(path, -1, group)


def make_folder(folder: Path) -> Path:
    """Return ``folder``, made with its parents, each with the bits and the group of the one above it.

    The first folder that is new below an existing one that is private to the user (a home, ``/tmp``)
    follows the umask as any ``mkdir`` does.
    """
    missing = []
    above = folder
    while not above.exists():
        missing.append(above)
        if above.parent == above:
            break
        above = above.parent
    with translated(folder):
        for n, each in enumerate(reversed(missing)):
            try:
                each.mkdir()
            except FileExistsError:
                continue
            if n or _is_shared(above):
                mode, group = folder_bits(each.parent)
                _adopt(each, mode, group)
    return folder


def _is_shared(folder: Path) -> bool:
    """Whether a folder is one that a group writes to together (and not a sticky one such as /tmp)."""
    mode, _ = folder_bits(folder)
    return bool(mode & stat.S_IWGRP) and not mode & stat.S_ISVTX


def publish(temporary: Path, final: Path, *, durable: bool = True) -> None:
    """Move a finished file to its place: flushed to the disk first, then renamed over whatever is there.

    Parameters
    ----------
    temporary, final : pathlib.Path
        Both in the same folder, so that the rename is one step of the file system's.
    durable : bool
        Whether to wait for the disk. Left out only for copies that can be made again.
    """
    with translated(final):
        mode, group = folder_bits(final.parent)
        if os.name == "posix":
            _adopt(temporary, mode & 0o666, group)
        if durable:
            _flush(temporary)
        _replace(temporary, final)
        if durable and os.name == "posix":
            _flush(final.parent)


def _flush(path: Path) -> None:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    # Windows flushes only what is open for writing.
    descriptor = os.open(path, flags if os.name == "posix" else flags | os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems cannot sync a folder; the rename stands all the same.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)


def _replace(temporary: Path, final: Path) -> None:
    # On Windows a reader that has the old file open makes the rename fail for a moment.
    for wait in (0.05, 0.1, 0.2, 0.4, 0.8):
        try:
            temporary.replace(final)
        except PermissionError:
            if os.name == "posix":
                raise
            time.sleep(wait)
        else:
            return
    temporary.replace(final)


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a new name in the folder of ``path``; what was written there is published when the block ends.

    If the block raises, ``path`` stays as it was and nothing is left behind.
    """
    temporary = hidden(path, f"{uuid.uuid4().hex[:12]}.tmp")
    try:
        with translated(path):
            yield temporary
        publish(temporary, path, durable=durable)
    finally:
        # Gone after a rename; after a failure it holds nothing that anyone wants.
        with contextlib.suppress(OSError):
            temporary.unlink()


def room_for(folder: Path, size: int) -> None:
    """Raise before a byte moves if a file of ``size`` bytes cannot fit in ``folder``."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DiskFullError(
            f"{size:,} bytes are to come to {folder}, and {free:,} are free. Nothing in the cache was changed. "
            f"Free some space, or put the cache elsewhere with PROJECT_CACHE_DIR or manifest=."
        )


class Hasher(Protocol):
    """What hashlib's and blake3's objects have in common."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far."""


def new_hasher(algorithm: str) -> Hasher:
    """Return an empty hasher; ``algorithm`` is ``"blake3"``, ``"sha256"`` or ``"blake2b"`` (of 512 bits)."""
    if algorithm == "blake3":
        return blake3.blake3()
    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm == "blake2b":
        return hashlib.blake2b()
    raise ConfigurationError(f"No digest is called {algorithm!r} here: use blake3, sha256 or blake2b.")


def digest_of(path: Path, algorithm: str = "blake3") -> str:
    """Return the digest of a file, as ``"blake3:…"``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a").write_bytes(b"abc")
    ...     digest_of(Path(folder) / "a", "sha256")[:23]
    'sha256:ba7816bf8f01cfea'
    """
    hasher = new_hasher(algorithm)
    with path.open("rb") as file:
        while block := file.read(8 << 20):
            hasher.update(block)
    return f"{algorithm}:{hasher.hexdigest()}"
