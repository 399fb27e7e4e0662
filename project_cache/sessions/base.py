"""Session: what any NWB 2 file holds, read when it is asked for."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import DependencyError, MissingDataError, NWBError
from project_cache.nwb.arrays import as_text, check, read_text
from project_cache.nwb.file import NWBReader, reading
from project_cache.nwb.links import find_dataset, find_group, kind_of, members, require_whole
from project_cache.nwb.ragged import Ragged, is_ragged, need_ragged
from project_cache.nwb.table import column_names, read_ids, read_table
from project_cache.sessions.attributes import attribute

if TYPE_CHECKING:
    import pynwb

    from project_cache.sessions.exports import PynappleData

__all__ = ["Session"]

#: parts of a file that are about the file
_ABOUT = {"specifications"}


class Session:
    """One recording: an NWB 2 file, of which nothing is read that was not asked for.

    The file is open only while something is being read from it. Sessions can be pickled (by path), used
    from several threads, and used in forked children. What was read is kept, and stays after
    :meth:`close`.

    Parameters
    ----------
    path : path-like or NWBReader
        The NWB file, or what reads one that lies on a server.

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

    #: public names that give no data of the recording
    _NOT_DATA: ClassVar[frozenset[str]] = frozenset(
        {"close", "from_nwb_path", "list_data_attributes_and_methods", "path"}
    )

    def __init__(self, path: str | os.PathLike[str] | NWBReader) -> None:
        self._values: dict[str, Any] = {}
        self._reader = path if isinstance(path, NWBReader) else NWBReader(path)
        # The process that opened the file for pynwb, the file, and what pynwb made of it.
        self._pynwb: tuple[int, Any, pynwb.NWBFile] | None = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._reader.path

    def __repr__(self) -> str:
        from project_cache.display.html import summary_text
        from project_cache.sessions.shown import session_summary

        return summary_text(session_summary(self))

    def _repr_html_(self) -> str:
        from project_cache.display.html import summary_html
        from project_cache.sessions.shown import session_summary

        return summary_html(session_summary(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._where,)

    @property
    def _where(self) -> Path | NWBReader:
        """What opens the file again: its path, or what reads it on its server."""
        return self.path if self._reader.local else self._reader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. What was read already stays; what was not can no longer be."""
        self._reader.close()
        if self._pynwb is not None:
            owner, file, _ = self._pynwb
            self._pynwb = None
            if owner == os.getpid():
                file.close()

    def list_data_attributes_and_methods(self) -> list[str]:
        """Return the names of the attributes and methods that give data of this recording, in alphabetical order."""
        return [name for name in dir(type(self)) if not name.startswith("_") and name not in self._NOT_DATA]

    @attribute
    def identifier(self) -> str:
        """The file's identifier."""
        return self._text("identifier") or ""

    @attribute
    def session_id(self) -> str | None:
        """The lab's id of the session, where the file has one."""
        return self._text("general/session_id")

    @attribute
    def session_description(self) -> str:
        """What the session was, in a sentence."""
        return self._text("session_description") or ""

    @attribute
    def session_start_time(self) -> datetime:
        """When the session began, with its time zone.

        Raises
        ------
        MissingDataError
            The file does not say, or says what is not a date.

        Notes
        -----
        A date without a zone is taken to be in this computer's, as pynwb does.
        """
        said = self._text("session_start_time")
        try:
            start = datetime.fromisoformat(said or "")
        except ValueError as error:
            raise MissingDataError(
                f"{self.path} does not say when its session began (it says {said!r})."
            ) from error
        return start if start.tzinfo else start.astimezone()

    @attribute
    def subject(self) -> dict[str, Any]:
        """What the file says of the animal: ``subject_id``, ``species``, ``sex``, ``age`` and more."""
        with self._reader.open() as handle:
            group = find_group(handle, "general/subject")
            return {} if group is None else _plain(group)

    def keys(self) -> list[str]:
        """Return the path of everything in the file that NWB has a type for, without reading it."""
        return list(self._contents)

    @attribute
    def tables(self) -> list[str]:
        """The paths of all tables in the file; :meth:`table` reads one."""
        return [path for path, is_table in self._contents.items() if is_table]

    @attribute
    def _contents(self) -> dict[str, bool]:
        """Each typed object of the file by path, and whether it is a table."""
        found: dict[str, bool] = {}

        def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
            # HDF5 itself follows neither soft nor external links here, and comes to each object once.
            if isinstance(node, h5py.Group) and name.split("/", 1)[0] not in _ABOUT and kind_of(node):
                found[f"/{name}"] = "colnames" in node.attrs

        with self._reader.open() as handle:
            handle.visititems(look)
        return found

    def table(self, path: str, *, skip: tuple[str, ...] = ()) -> pd.DataFrame:
        """Return a table of the file as a frame, indexed by ``id``.

        Parameters
        ----------
        path : str
            Where it is, as in :attr:`tables`: ``/intervals/trials``. A name alone (``trials``) is looked
            for in ``/intervals`` too.
        skip : tuple of str
            Columns that are not to be read.

        Raises
        ------
        MissingDataError
            There is no such table.
        """
        with self._reader.open() as handle:
            group = find_group(handle, path)
            if group is None and "/" not in path:
                group = find_group(handle, f"intervals/{path}")
            if group is None:
                raise MissingDataError(
                    f"{self.path} has no table {path!r}. It has: {', '.join(self.tables) or 'none'}."
                )
            self._reader.expect(handle, group.name)
            return read_table(group, skip=skip)

    @attribute
    def trials(self) -> pd.DataFrame:
        """The trials, one a row (times in seconds).

        Raises
        ------
        MissingDataError
            This recording has none.
        """
        return self.table("/intervals/trials")

    @attribute
    def units(self) -> pd.DataFrame:
        """The units, one a row, less what is ragged (see :attr:`spike_times`).

        Raises
        ------
        MissingDataError
            This recording has none.
        """
        with self._reader.open() as handle:
            group = find_group(handle, "units")
            if group is None:
                raise MissingDataError(f"{self.path} has no units.")
            skip = [name for name in column_names(group) if is_ragged(group, name)]
            self._reader.expect(handle, "units")
            return read_table(group, skip=skip)

    @attribute
    def spike_times(self) -> Mapping[int, NDArray[np.float64]]:
        """The spike times of each unit, in seconds, by the unit's id.

        Raises
        ------
        MissingDataError
            This recording has none.
        """
        with self._reader.open() as handle:
            group = find_group(handle, "units")
            if group is None:
                raise MissingDataError(f"{self.path} has no units.")
            need_ragged(group, "spike_times")
            ids = read_ids(group)
            return Ragged(self._reader, "/units", "spike_times", ids, np.arange(len(ids)))

    @property
    def nwb(self) -> pynwb.NWBFile:
        """The file as pynwb sees it, for all that this package has no shorter way to.

        pynwb and ndx-events are imported now, and the file stays open (to read, without a lock) until
        :meth:`close`.

        Raises
        ------
        DependencyError
            ndx-events is of a version with which pynwb drops the file's Events without a word.
        """
        if self._pynwb is None or self._pynwb[0] != os.getpid():
            with self._reader.open(), reading(self.path):
                self._pynwb = (os.getpid(), *_open_pynwb(self._reader))
        return self._pynwb[2]

    def to_pynapple(self) -> PynappleData:
        """Return what pynapple has types for: units, presentations, epochs, trials and the running speed.

        Returns
        -------
        PynappleData
            With ``units`` (a TsGroup), ``presentations`` (an IntervalSet for each stimulus), ``epochs`` and more;
            None for what this recording does not have. All spike times are read.

        Raises
        ------
        DependencyError
            pynapple is not installed.
        """
        from project_cache.sessions.exports import pynapple_data

        return pynapple_data(self)

    def _text(self, path: str) -> str | None:
        with self._reader.open() as handle:
            return read_text(find_dataset(handle, path))


def _plain(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes and the scalars of a group as plain Python values."""
    found: dict[str, Any] = {}
    for name, value in group.attrs.items():
        if name not in ("namespace", "neurodata_type", "object_id", "help"):
            found[name] = _plain_value(value)
    for name, node in members(group):
        if isinstance(node, h5py.Dataset) and node.shape in ((), (1,)):
            check(node)
            found[name] = _plain_value(node[()])
    return found


def _plain_value(value: Any) -> Any:
    """Return what HDF5 gave as ``str``, ``int``, ``float``, ``bool`` or a list of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, (bytes, str)):
        return as_text(value)
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _open_pynwb(reader: NWBReader) -> tuple[Any, pynwb.NWBFile]:
    """Return the file, opened for pynwb, and pynwb's view of it."""
    _check_ndx_events()
    try:
        # before the file is opened: only then are its Events ndx_events.Events
        import ndx_events  # noqa: F401
        import pynwb
    except ImportError as error:
        raise DependencyError(
            f"session.nwb needs pynwb and ndx-events ({error}): `pip install 'pynwb>=4.2,<5' 'ndx-events>=0.2.2,<0.3'`."
        ) from error
    file = reader.handle()
    try:
        if reader.local:
            require_whole(file, reader.path.parent)
        with _quiet():
            io = pynwb.NWBHDF5IO(file=file, mode="r", load_namespaces=True)
            # the file is closed by who opened it, which is this package: of an io that is thrown away before that,
            # hdmf would warn, at any moment and to whoever is at work then
            io.__dict__["is_open"] = _never
            return file, io.read()
    except BaseException as error:
        file.close()
        if isinstance(error, OSError | NWBError) or not isinstance(error, Exception):
            raise
        raise NWBError(
            f"pynwb cannot make sense of {reader.path} ({error}). What this package reads by itself still works."
        ) from error


def _never() -> bool:
    return False


def _check_ndx_events() -> None:
    """Refuse the versions of ndx-events with which Events vanish."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("ndx-events")
    except PackageNotFoundError as error:
        raise DependencyError(
            "session.nwb needs ndx-events, which is not installed: `pip install 'ndx-events>=0.2.2,<0.3'`."
        ) from error
    match = re.match(r"(\d+)\.(\d+)", found)
    if match is None or (int(match[1]), int(match[2])) >= (0, 3):
        raise DependencyError(
            f"ndx-events {found} is installed. With 0.3 and later, pynwb drops the Events (licks, rewards) of "
            f"files that were written with 0.2, and says nothing. `pip install 'ndx-events>=0.2.2,<0.3'`."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what pynwb says of any file that is older than itself, and that nobody can act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*[Ii]gnoring .*cached namespace")
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
