"""An NWB 2 file on disk: opened for as long as a read takes, and never held.

HDF5 keeps one set of properties for each file that a process has open. A reader that held its handle
would make the user's own ``pynwb`` or ``h5py.File(path, "r+")`` of the same path fail, would lock the
file on some systems, and would hand a broken handle to forked children. Opening costs 0.2 ms, so this
one opens, reads and closes; nothing of it has to be kept alive, pickled or protected by a lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from project_cache.errors import (
    CorruptObjectError,
    MissingObjectError,
    NotNWBError,
    ProjectCacheError,
    UnreadableObjectError,
)
from project_cache.nwb.arrays import as_text, read
from project_cache.nwb.links import find

__all__ = ["NWBReader", "reading"]

#: HDF5 begins with these bytes, at 0 or at a power of two from 512 on (after a "user block")
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_VERSION = re.compile(r"(?:NWB-)?(\d+)\.(\d+)(?:\.(\d+))?")
#: what the operating system says when the file may be good, but not here and now
_NOT_HERE = {
    errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.EBUSY,
    errno.ETIMEDOUT, errno.ENODEV, errno.EAGAIN, errno.ENOMEM,
}  # fmt: skip


# Where h5py does not itself take its lock around a fork (3.11 does not), a child that was forked while
# another thread was reading would wait for ever for a thread that it does not have.
_lock = h5py._objects.phil
if hasattr(os, "register_at_fork") and not hasattr(h5py._objects, "_phil_before_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class NWBReader:
    """An NWB 2 file that can be read from: by any thread, in forked children, after being pickled.

    Parameters
    ----------
    path : path-like
        The file.

    Attributes
    ----------
    path : pathlib.Path
        Where it is.
    version : tuple of int
        The version of NWB that it was written with: ``(2, 7, 0)``.

    Raises
    ------
    MissingObjectError
        There is no such file.
    NotNWBError
        It is not HDF5, or not NWB 2.
    CorruptObjectError
        It is cut short or damaged.
    UnreadableObjectError
        It may be good, but cannot be read here.
    """

    __slots__ = ("_closed", "path", "version")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._closed = False
        with self.open() as handle:
            self.version = _version(handle, self.path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path.name}>"

    @contextlib.contextmanager
    def open(self) -> Iterator[h5py.File]:
        """Yield the open file; it is closed when the block ends. HDF5's errors become this package's."""
        self.require_open()
        with reading(self.path), open_unlocked(self.path) as handle:
            yield handle

    @property
    def local(self) -> bool:
        """Whether the bytes are on this machine, where they can be mapped."""
        return True

    def handle(self) -> h5py.File:
        """Return the file, opened to read: the caller closes it."""
        return open_unlocked(self.path)

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill memory with the bytes from an offset on, past HDF5.

        Raises
        ------
        CorruptObjectError
            The file ends before that.
        """
        self.require_open()
        with reading(self.path), self.path.open("rb", buffering=0) as file:
            file.seek(offset)
            done = 0
            while done < len(into):
                got = file.readinto(into[done:])
                if not got:
                    raise CorruptObjectError(f"{self.path} ended while it was read. Fetch it again.")
                done += got

    def rows(self, dataset: h5py.Dataset, start: int, stop: int) -> NDArray[Any]:
        """Return rows of a data set, through HDF5."""
        return read(dataset, start, stop)

    def known(self, dataset: h5py.Dataset) -> NDArray[Any] | None:
        """Return what a data set holds if that is known without reading it: never of a local file."""
        return None

    def prefetch(
        self, dataset: h5py.Dataset, start: int, stop: int, columns: tuple[int, int] | None = None
    ) -> None:
        """Prepare for rows of a data set to be read: nothing to do for a local file."""

    def expect(self, handle: h5py.File, *paths: str) -> None:
        """Prepare for all of some groups to be read but what is large in them: nothing to do for a local file.

        Parameters
        ----------
        handle : h5py.File
            The open file.
        *paths : str
            The groups, if they are there; ``"intervals/*"`` for those that are in one.
        """

    def require_open(self) -> None:
        """Refuse, after :meth:`close`."""
        if self._closed:
            raise UnreadableObjectError(f"{self.path} was closed. Open the session again to read more of it.")

    def close(self) -> None:
        """Refuse all further reads. Arrays that were read stay as they are."""
        self._closed = True


def open_unlocked(path: Path) -> h5py.File:
    """Return the file, opened to read, without a lock against other programs."""
    try:
        return h5py.File(path, "r", locking=False)
    except (OSError, ValueError) as error:
        # This process has it open with another setting (HDF5 wants them equal), or HDF5 is too old to ask.
        if "lock" not in str(error):
            raise
    for locking in (None, "best-effort"):
        with contextlib.suppress(OSError):
            return h5py.File(path, "r", locking=locking)
    return h5py.File(path, "r", locking=True)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what HDF5 says while ``path`` is read into this package's errors."""
    try:
        yield
    except (ProjectCacheError, RecursionError, NotImplementedError):
        raise
    except (OSError, RuntimeError) as error:
        raise _meaning(error, path) from error


def _meaning(error: OSError | RuntimeError, path: Path) -> ProjectCacheError:
    """Return the error that says what HDF5 meant."""
    said = str(error)
    number = getattr(error, "errno", None)
    inner = re.search(r"errno = (\d+)", said)
    if isinstance(error, FileNotFoundError) or number == errno.ENOENT:
        return MissingObjectError(f"There is no file {path}.")
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return NotNWBError(f"{path} is a folder; an NWB file in HDF5 was wanted.")
    if number in _NOT_HERE or (inner and int(inner[1]) in _NOT_HERE):
        return UnreadableObjectError(
            f"{path} cannot be read here ({said}). The file may well be good: look at its permissions and at "
            f"the drive that it is on."
        )
    if (
        "plugin" in said
        or "filter" in said
        and ("registered" in said or "available" in said or "required" in said)
    ):
        return UnreadableObjectError(
            f"{path} is compressed with a filter that this HDF5 does not have ({said}). "
            f"`pip install hdf5plugin` and `import hdf5plugin` first; the file itself is not at fault."
        )
    if "superblock" in said and "version" in said:
        return UnreadableObjectError(
            f"{path} was written by a newer HDF5 than this one ({said}). Update h5py."
        )
    if "signature not found" in said:
        return _unsigned(path)
    return CorruptObjectError(
        f"{path} is cut short or damaged ({said}). Remove it and fetch it again; "
        f"`project-cache verify` finds others like it."
    )


def _unsigned(path: Path) -> ProjectCacheError:
    """Return the error for a file in which HDF5 found no signature."""
    try:
        with path.open("rb") as file:
            head = file.read(len(SIGNATURE))
    except OSError as error:
        return UnreadableObjectError(f"{path} cannot be read here ({error}).")
    if not head:
        return CorruptObjectError(f"{path} is empty: what was to be written there never was. Fetch it again.")
    if head == SIGNATURE:
        return CorruptObjectError(f"{path} begins as HDF5 does, and ends at once. Fetch it again.")
    return NotNWBError(f"{path} is not an HDF5 file (it begins with {head!r}), so it is not NWB 2.")


def _version(handle: h5py.File, path: Path) -> tuple[int, ...]:
    """Return the file's version of NWB as numbers."""
    said = as_text(handle.attrs.get("nwb_version"))
    if said is None:
        first = find(handle, "nwb_version") is not None
        raise NotNWBError(
            f"{path} is an NWB 1 file. This package reads NWB 2; convert it, or open it with h5py."
            if first
            else f"{path} is HDF5, but says nowhere which version of NWB it has: it is not an NWB file."
        )
    match = _VERSION.match(said)
    if match is None or int(match[1]) != 2:
        raise NotNWBError(f"{path} says that it is NWB {said!r}. This package reads NWB 2.")
    return tuple(int(number) for number in match.groups() if number is not None)
