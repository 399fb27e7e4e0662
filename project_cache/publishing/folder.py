"""A folder as the place that a project is published to: a shared drive, or what a web server serves."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import uuid
from pathlib import Path

from project_cache.files import atomic_write, folder_bits, hidden, make_folder, room_for, translated
from project_cache.manifest.layout import absolute
from project_cache.publishing.destination import Sent, checked_blocks

__all__ = ["FolderDestination"]

_BLOCK = 8 << 20
_LINKLESS = {
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EINVAL,
}


class FolderDestination:
    """A folder. Files get their names when they are whole; a name that must be new is taken by a hard link.

    Parameters
    ----------
    folder : pathlib.Path
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = absolute(folder)
        self.where = str(self.folder)

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return a small file and the tag of this very state of it, or None where there is none."""
        path = self.folder / name
        try:
            with translated(path):
                data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return data, _tag(data)

    def holds(self, name: str, size: int, digest: str) -> bool:
        """Return whether an object is there, whole: names are given to whole files only."""
        try:
            return (self.folder / name).stat().st_size == size
        except OSError:
            return False

    def upload(self, name: str, file: Path, digest: str, sent: Sent) -> None:
        """Copy an object into the folder."""
        path = self.folder / name
        make_folder(path.parent)
        room_for(path.parent, file.stat().st_size)
        with (
            checked_blocks(file, digest, sent) as blocks,
            atomic_write(path) as temporary,
            temporary.open("xb", buffering=0) as out,
        ):
            while block := blocks.read(_BLOCK):
                _written(out, block)

    def create(self, name: str, data: bytes) -> bool:
        """Put a small file where there is none, in one step; return False where there is one."""
        path = self.folder / name
        make_folder(path.parent)
        temporary = hidden(path, f"{uuid.uuid4().hex[:12]}.tmp")
        try:
            with translated(path):
                with temporary.open("xb") as out:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
                with contextlib.suppress(OSError):
                    # as readable as the folder is
                    temporary.chmod(folder_bits(path.parent)[0] & 0o666)
                return _named(temporary, path, data)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def swap(self, name: str, data: bytes, tag: str | None) -> bool:
        """Replace a small file if its state is still that of the tag.

        Between looking and replacing another may replace it: what counts is settled by :meth:`create`, and who
        publishes next sets this right.
        """
        found = self.read(name)
        if (found[1] if found else None) != tag:
            return False
        path = self.folder / name
        make_folder(path.parent)
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)
        return True

    def close(self) -> None:
        """Do nothing: a folder has no connections."""


def _written(out: io.FileIO, block: bytes) -> None:
    """Write all of a block: one call may write less."""
    rest = memoryview(block)
    while len(rest):
        rest = rest[out.write(rest) :]


def _named(temporary: Path, path: Path, data: bytes) -> bool:
    """Give a file a name that must be new."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _LINKLESS:
            raise
        # no hard links here: the name is taken first, and filled at once
        try:
            with path.open("xb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        except FileExistsError:
            return False
    return True


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
