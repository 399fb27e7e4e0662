"""Places: folders and files on this machine, in S3 buckets and on web servers, read in one way."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import json
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import h5py
import numpy as np
from numpy.typing import NDArray

from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    MissingObjectError,
    ProjectCacheError,
    UnreadableObjectError,
)
from project_cache.raw.buckets import bucket
from project_cache.raw.ranged import Ranges
from project_cache.raw.stores import RemoteStat, RemoteStore
from project_cache.raw.web_folders import web_server
from project_cache.transfer.remote_file import RemoteFile

__all__ = [
    "AnyPath",
    "RemotePath",
    "held_open",
    "opened_hdf5",
    "place",
    "read_json",
    "read_npy",
    "read_text",
    "translated",
]


class RemotePath:
    """A folder or file in an S3 bucket or on a web server, with the part of pathlib's face that reading needs.

    Parameters
    ----------
    url : str
        ``s3://bucket/key``, or ``http(s)://host/path`` (quoted as addresses are).

    Examples
    --------
    >>> path = RemotePath("s3://bucket/DRpilot_668755_20230831/") / "20230831T120415.h5"
    >>> path.name, path.stem, path.suffix, path.parent.name
    ('20230831T120415.h5', '20230831T120415', '.h5', 'DRpilot_668755_20230831')
    >>> str(RemotePath("http://host/Record%20Node%20102"))
    'http://host/Record%20Node%20102'
    """

    __slots__ = ("_anchor", "_is_dir", "_segments", "_stat")

    def __init__(self, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in ("s3", "http", "https"):
            raise ConfigurationError(f"{url!r} is not a remote place: s3://… or http(s)://… is.")
        if scheme != "s3":
            parts = urlsplit(url)
            if parts.query or parts.fragment:
                raise ConfigurationError(
                    f"A folder's address has no query: {scheme}://{parts.netloc}{parts.path}?… cannot be listed."
                )
            rest = f"{parts.netloc}{unquote(parts.path)}"
        host, _, key = rest.partition("/")
        if not host:
            raise ConfigurationError(f"{url!r} names no {'bucket' if scheme == 's3' else 'host'}.")
        self._anchor = f"{scheme}://{host}"
        self._segments = tuple(each for each in key.split("/") if each and each != ".")
        if ".." in self._segments:
            raise ConfigurationError(f"{url!r} leads out of its own folder: remote places have no '..'.")
        self._is_dir: bool | None = None
        self._stat: RemoteStat | None = None

    @classmethod
    def _made(
        cls,
        anchor: str,
        segments: tuple[str, ...],
        is_dir: bool | None = None,
        stat: RemoteStat | None = None,
    ) -> RemotePath:
        made = cls.__new__(cls)
        made._anchor, made._segments, made._is_dir, made._stat = anchor, segments, is_dir, stat
        return made

    @property
    def _store(self) -> RemoteStore:
        return bucket() if self._anchor.startswith("s3:") else web_server()

    @property
    def _key(self) -> str:
        return "/".join(self._segments)

    @property
    def _pure(self) -> PurePosixPath:
        return PurePosixPath(self.name)

    @property
    def name(self) -> str:
        """The last part; empty for a whole bucket or host."""
        return self._segments[-1] if self._segments else ""

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return self._pure.stem

    @property
    def suffix(self) -> str:
        """The last suffix, with its dot."""
        return self._pure.suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """The bucket or host, and all names down to this one."""
        return (self._anchor, *self._segments)

    @property
    def parent(self) -> RemotePath:
        """The folder that this lies in."""
        return RemotePath._made(self._anchor, self._segments[:-1], True)

    def with_name(self, name: str) -> RemotePath:
        """Return the sibling of this name."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> RemotePath:
        """Return the sibling with another suffix."""
        return self.parent / self._pure.with_suffix(suffix).name

    def __truediv__(self, name: str) -> RemotePath:
        added = tuple(each for each in str(name).split("/") if each and each != ".")
        if ".." in added:
            raise ConfigurationError(f"{name!r} leads out of its own folder: remote places have no '..'.")
        return RemotePath._made(self._anchor, self._segments + added)

    def __str__(self) -> str:
        key = self._key if self._anchor.startswith("s3:") else quote(self._key)
        return f"{self._anchor}/{key}" if key else self._anchor

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.parts == other.parts

    def __lt__(self, other: RemotePath) -> bool:
        return self.parts < other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __reduce__(self) -> tuple[type[RemotePath], tuple[str]]:
        return RemotePath, (str(self),)

    def iterdir(self) -> Iterator[RemotePath]:
        """Yield the folder's members, by name; each knows from the listing whether it is a folder."""
        return self._listed("")

    def _listed(self, prefix: str) -> Iterator[RemotePath]:
        for entry in self._store.entries(self._anchor, self._key, prefix):
            yield RemotePath._made(self._anchor, (*self._segments, entry.name), entry.is_dir, entry.stat)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Yield the folder's members whose names match ``pattern`` (one level: no ``/`` and no ``**``)."""
        if "/" in pattern or "**" in pattern:
            raise ConfigurationError(f"Remote folders are searched one level at a time, not by {pattern!r}.")
        literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        try:
            yield from (path for path in self._listed(literal) if fnmatch.fnmatchcase(path.name, pattern))
        except MissingObjectError:
            return

    def is_dir(self) -> bool:
        """Return whether this is a folder."""
        if self._is_dir is None:
            self._is_dir = self._store.is_folder(self._anchor, self._key)
        return self._is_dir

    def is_file(self) -> bool:
        """Return whether this is a file."""
        return not self.is_dir() and self._known() is not None

    def exists(self) -> bool:
        """Return whether this is a folder or a file."""
        return self.is_dir() or self._known() is not None

    def _known(self) -> RemoteStat | None:
        if self._stat is None:
            self._stat = self._store.stat(self._anchor, self._key)
        return self._stat

    def stat(self) -> RemoteStat:
        """Return the file's size, as ``.st_size``; in S3 its ETag, too.

        Raises
        ------
        MissingObjectError
            There is no such file.
        """
        known = self._known()
        if known is None:
            raise MissingObjectError(f"There is no {self}.")
        return known

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Return the file, open for reading; bytes are fetched as they are asked for, in blocks of 2 MiB."""
        if mode != "rb":
            raise ConfigurationError(
                f"{self} is remote: it is opened for reading bytes ('rb'), not {mode!r}."
            )
        size = self.stat().st_size
        ranges = Ranges(self.read_range, size, str(self))
        return io.BufferedReader(RemoteFile(ranges.read_at, size, str(self)), 64 << 10)

    def read_bytes(self) -> bytes:
        """Return the file's bytes."""
        return self._store.read(self._anchor, self._key, 0, self.stat().st_size)

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the file's text."""
        return self.read_bytes().decode(encoding)

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` up to ``stop``, or to the end."""
        return self._store.read(self._anchor, self._key, start, stop)


AnyPath = Path | RemotePath


def place(text: str | Path | RemotePath) -> AnyPath:
    """Return the place that ``text`` names: an S3 or web address, or else a path on this machine.

    Examples
    --------
    >>> place("s3://bucket/folder").name
    'folder'
    >>> isinstance(place("/data/raw"), Path)
    True
    """
    if isinstance(text, Path | RemotePath):
        return text
    return RemotePath(text) if re.match(r"(?i)(s3|https?)://", text) else Path(text).expanduser()


@contextlib.contextmanager
def translated(path: AnyPath) -> Iterator[None]:
    """Turn what the operating system, h5py and numpy say of a file into this package's errors.

    Raises
    ------
    MissingObjectError, UnreadableObjectError, CorruptObjectError
        There is no such file; it may not be read; it is damaged.
    """
    try:
        yield
    except ProjectCacheError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingObjectError(f"There is no {path}.") from error
    except PermissionError as error:
        raise UnreadableObjectError(f"{path} may not be read: ask its owner for the permission.") from error
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise CorruptObjectError(
            f"{path} cannot be read ({error}): it is damaged, or another kind of file. Copy it again."
        ) from error


#: the files that this thread holds open, and what closes them
_held: ContextVar[tuple[dict[AnyPath, h5py.File], contextlib.ExitStack] | None] = ContextVar(
    "held", default=None
)


@contextlib.contextmanager
def held_open() -> Iterator[None]:
    """Keep the HDF5 files that are opened in the block open until its end: each is opened once, not for each value.

    Only in this thread, and only what is read and closed again soon: nobody else could change the files meanwhile.
    """
    with contextlib.ExitStack() as stack:
        before = _held.set(({}, stack))
        try:
            yield
        finally:
            _held.reset(before)


@contextlib.contextmanager
def opened_hdf5(path: AnyPath) -> Iterator[h5py.File]:
    """Yield an HDF5 file, open for reading; of a remote one only the bytes that are asked for are fetched.

    Raises
    ------
    MissingObjectError, UnreadableObjectError
        There is no such file; it may not be read.
    CorruptObjectError
        It is no HDF5 file, or what is read inside the block turns out to be damaged.
    """
    with contextlib.ExitStack() as own:
        held, stack = _held.get() or ({}, own)
        try:
            if path not in held:
                with translated(path):
                    source = path if isinstance(path, Path) else stack.enter_context(path.open("rb"))
                    keywords = {"locking": False} if isinstance(path, Path) else {}
                    held[path] = stack.enter_context(h5py.File(source, "r", **keywords))
            yield held[path]
        except ProjectCacheError:
            raise
        except OSError as error:
            raise CorruptObjectError(
                f"{path} cannot be read ({error}): it is damaged. Copy it again."
            ) from error


def read_npy(path: AnyPath, *, mmap: bool = True) -> NDArray[Any]:
    """Return the array of an .npy file; nothing is unpickled.

    Parameters
    ----------
    path : Path or RemotePath
        The file.
    mmap : bool
        Whether a file on this machine is mapped (and read as it is used) rather than read at once.

    Raises
    ------
    MissingObjectError, UnreadableObjectError, CorruptObjectError
        There is no such file; it may not be read; it is no array, is cut short, or holds Python objects.
    """
    with translated(path):
        if isinstance(path, Path):
            array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        else:
            array = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an archive of arrays, not one array")
        return array


def read_text(path: AnyPath) -> str:
    """Return the text of a file (UTF-8, with or without a mark at its start).

    Raises
    ------
    MissingObjectError, UnreadableObjectError, CorruptObjectError
        There is no such file; it may not be read; it is not text.
    """
    with translated(path):
        return path.read_bytes().decode("utf-8-sig")


def read_json(path: AnyPath) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    MissingObjectError, UnreadableObjectError, CorruptObjectError
        There is no such file; it may not be read; it is not JSON.
    """
    with translated(path):
        return json.loads(read_text(path))
