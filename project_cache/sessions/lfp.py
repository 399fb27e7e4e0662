"""Local field potentials of one probe, from its own file: labelled arrays that read what is sliced.

Who needs this module imports it when it is needed, since xarray takes its time.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeAlias, TypeGuard

import h5py
import numpy as np
import xarray
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from project_cache.errors import CorruptObjectError, DependencyError, MissingDataError
from project_cache.nwb.arrays import check, offset_of, path_of, read, read_text
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import find_dataset, find_group, kind_of, members, need_dataset, need_group
from project_cache.nwb.ragged import FlatRows
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import read_ids

__all__ = ["StoredSamples", "open_lfp", "read_current_source_density"]

_CSD = "processing/current_source_density/ecephys_csd"
#: so many bytes of the file are looked at, at once
_AT_ONCE = 1 << 25
#: rows that are this far apart are read by themselves
_FAR = 1024

Axis: TypeAlias = "range | NDArray[np.intp]"


class StoredSamples(BackendArray):
    """The samples of a series, (time, channel), of which the file gives what is asked for.

    Parameters
    ----------
    reader : NWBReader
        The file.
    path : str
        The data set in it.
    invalid : numpy.ndarray of bool, shape (samples,), optional
        The samples that are NaN, whatever the file says.

    Attributes
    ----------
    shape : tuple of int
        Samples, channels.
    dtype : numpy.dtype
        The file's; where there may be NaN, what holds both.

    Notes
    -----
    Where the samples lie in the file one after the other, only those asked for are copied, out of a
    mapping that is there for as long as it takes; where they are in chunks, only the chunks of those are
    unpacked. Either goes through the file in blocks, so that it needs little memory beside the result.
    """

    def __init__(self, reader: NWBReader, path: str, invalid: NDArray[np.bool_] | None = None) -> None:
        self._reader = reader
        self._path = path
        self._invalid = invalid
        with reader.open() as handle:
            dataset = need_dataset(handle, path)
            check(dataset)
            if dataset.ndim != 2:
                raise CorruptObjectError(
                    f"{path_of(dataset)} should be samples by channels; it is of shape {dataset.shape}."
                )
            self.shape: tuple[int, ...] = dataset.shape
            self._stored = dataset.dtype.newbyteorder("=")
            self._offset = offset_of(dataset)
            self._chunks: tuple[int, int] | None = dataset.chunks
        self.dtype = self._stored
        if invalid is not None and self._stored.kind != "f":
            self.dtype = np.dtype(np.float32 if self._stored.itemsize <= 2 else np.float64)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[int | slice | NDArray[Any], ...]) -> NDArray[Any]:
        """Return samples by numpy's keys of each axis on its own."""
        rows, columns = (_axis(each, size) for each, size in zip(key, self.shape, strict=True))
        values = np.empty((len(rows), len(columns)), dtype=self.dtype)
        if values.size:
            with self._reader.open() as handle:
                dataset = need_dataset(handle, self._path)
                for places, wanted in self._blocks(rows):
                    values[places] = self._read(dataset, wanted, columns)
        if self._invalid is not None:
            at = slice(rows.start, rows.stop) if _is_plain(rows) else np.asarray(rows)
            values[self._invalid[at]] = np.nan
        # a place by itself takes its axis away
        return values[tuple(0 if isinstance(each, (int, np.integer)) else slice(None) for each in key)]

    def _blocks(self, rows: Axis) -> Iterator[tuple[slice | NDArray[np.intp], Axis]]:
        """Yield which of the rows to read at once, and which rows of the file these are."""
        most = max(1, _AT_ONCE // max(1, self.shape[1] * self._stored.itemsize))
        if self._chunks is not None:
            # no chunk is to be unpacked for each of two blocks
            most = -(-most // self._chunks[0]) * self._chunks[0]
        if _is_plain(rows):
            cuts = [rows.start, *range((rows.start // most + 1) * most, rows.stop, most), rows.stop]
            for start, stop in pairwise(cuts):
                yield slice(start - rows.start, stop - rows.start), range(start, stop)
            return
        listed = np.asarray(rows)
        order = np.argsort(listed, kind="stable")
        rising = listed[order]
        far = self._chunks[0] if self._chunks else _FAR
        for places in np.split(order, np.flatnonzero((np.diff(rising) > far) | np.diff(rising // most)) + 1):
            yield places, listed[places]

    def _read(self, dataset: h5py.Dataset, rows: Axis, columns: Axis) -> NDArray[Any]:
        """Return these rows, which are in order, of these columns."""
        start, stop = int(rows[0]), int(rows[-1]) + 1
        taken = slice(None) if isinstance(rows, range) else rows - start
        if self._offset is not None:
            found = self._in_place(start, stop, taken, columns)
            if found is not None:
                return found
        values = np.empty((len(rows), len(columns)), dtype=self._stored)
        for first, last, places in _runs(columns, self._chunks[1] if self._chunks else 1):
            self._reader.prefetch(dataset, start, stop, (first, last))
            values[:, places] = dataset[start:stop, first:last][taken][:, np.asarray(columns)[places] - first]
        return values

    def _in_place(
        self, start: int, stop: int, taken: slice | NDArray[np.intp], columns: Axis
    ) -> NDArray[Any] | None:
        """Return rows and columns from where they lie in the file, or None on a file system that cannot map."""
        row = self.shape[1] * self._stored.itemsize
        offset = (self._offset or 0) + start * row
        if not self._reader.local:
            whole = np.empty((stop - start, self.shape[1]), self._stored)
            self._reader.read_into(offset, whole.reshape(-1).view(np.uint8).data)
            return whole[taken][:, np.asarray(columns)]
        before = offset % mmap.ALLOCATIONGRANULARITY
        size = (stop - start) * row + before
        try:
            with self._reader.path.open("rb") as file:
                memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, offset=offset - before)
        except (OSError, ValueError):
            return None
        with memory:
            rows = np.ndarray((stop - start, self.shape[1]), self._stored, buffer=memory, offset=before)
            if isinstance(columns, range) and columns.step > 0:
                found = rows[taken, columns.start : columns.stop : columns.step].copy()
            elif isinstance(taken, slice):
                found = rows[:, np.asarray(columns)]
            else:
                found = rows[np.ix_(taken, np.asarray(columns))]
            # a mapping cannot be closed while an array looks into it
            del rows
        return found


def _axis(key: int | slice | NDArray[Any], size: int) -> Axis:
    """Return the places that a key means, none of them negative."""
    if isinstance(key, slice):
        return range(*key.indices(size))
    places = np.atleast_1d(np.asarray(key))
    if places.dtype == bool:
        return np.flatnonzero(places)
    places = places.astype(np.intp)
    if ((places < -size) | (places >= size)).any():
        raise IndexError(
            f"There are {size} places on this axis, and one was asked for that is not among them."
        )
    return np.where(places < 0, places + size, places)


def _is_plain(places: Axis) -> TypeGuard[range]:
    return isinstance(places, range) and places.step == 1


def _runs(columns: Axis, near: int) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
    """Yield stretches of columns to read at once (first, after the last), and whose places among all these are."""
    listed = np.asarray(columns)
    order = np.argsort(listed, kind="stable")
    cuts = np.flatnonzero(np.diff(listed[order]) > near) + 1
    for places in np.split(order, cuts):
        yield int(listed[places].min()), int(listed[places].max()) + 1, places


def open_lfp(
    reader: NWBReader, probe_id: int, invalid: NDArray[np.float64] | None, chunks: Any = None
) -> xarray.DataArray:
    """Return the LFP of a probe (V): a DataArray of (time in s, channel id), of which only the labels are read.

    Parameters
    ----------
    reader : NWBReader
        The probe's file.
    probe_id : int
        The probe.
    invalid : numpy.ndarray, shape (intervals, 2), or None
        The start and the stop (s, themselves included) of what is to be NaN.
    chunks : object, optional
        What xarray's ``chunk`` takes, for an array of dask's.
    """
    with reader.open() as handle:
        series = _series(handle, probe_id)
        path = need_dataset(series, "data").name
        times, channels = _times(reader, series), _channels(handle, series)
    bad = None
    if invalid is not None and len(invalid):
        bad = np.zeros(len(times), dtype=bool)
        for start, stop in invalid.tolist():
            bad |= (times >= start) & (times <= stop)
    samples = StoredSamples(reader, path, bad if bad is not None and bad.any() else None)
    if samples.shape != (len(times), len(channels)):
        raise CorruptObjectError(
            f"{reader.path}:{path} has samples of shape {samples.shape} for {len(times)} times and "
            f"{len(channels)} channels. The file is damaged: fetch it again."
        )
    lfp = xarray.DataArray(
        indexing.LazilyIndexedArray(samples),
        dims=["time", "channel"],
        coords={"time": times, "channel": channels},
        name="LFP",
    )
    if chunks is None:
        return lfp
    try:
        import dask  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "get_lfp(chunks=…) needs dask: `pip install 'project-cache[dask]'`. Without chunks=, it reads what is "
            "sliced as well."
        ) from error
    return lfp.chunk(chunks)


def _series(handle: h5py.File, probe_id: int) -> h5py.Group:
    """Return the probe's ElectricalSeries."""
    for path in (f"probe_{probe_id}_lfp/probe_{probe_id}_lfp_data", f"probe_{probe_id}_lfp_data"):
        series = find_group(handle, f"acquisition/{path}")
        if series is not None:
            return series
    acquisition = find_group(handle, "acquisition")
    held = [] if acquisition is None else [name for name, node in members(acquisition) if kind_of(node)]
    raise MissingDataError(
        f"{handle.filename} has no LFP of probe {probe_id} (its acquisition holds: {', '.join(held) or 'nothing'}; "
        f"it calls itself {read_text(find_dataset(handle, 'identifier'))!r})."
    )


def _times(reader: NWBReader, series: h5py.Group) -> NDArray[np.float64]:
    """Return the time of each sample, mapped where it can be."""
    stored = find_dataset(series, "timestamps")
    if stored is None or stored.dtype.kind != "f" or stored.dtype.itemsize != 8 or stored.ndim != 1:
        return series_times(series)
    known = reader.known(stored)
    if known is not None:
        return known
    rows = FlatRows(reader, stored.name)
    return rows.slice(0, rows.shape[0])


def _channels(handle: h5py.File, series: h5py.Group) -> NDArray[np.int64]:
    """Return the ids of the channels, in the order of the data."""
    ids = read_ids(need_group(handle, "general/extracellular_ephys/electrodes"))
    region = find_dataset(series, "electrodes")
    if region is None:
        return ids
    places = read(region)
    if places.size and (places.min() < 0 or places.max() >= len(ids)):
        raise CorruptObjectError(f"{path_of(region)} points beyond the {len(ids)} electrodes there are.")
    chosen: NDArray[np.int64] = ids[places]
    return chosen


def read_current_source_density(reader: NWBReader) -> xarray.DataArray:
    """Return the current source density (V/cm²) after a flash: a DataArray of (virtual_channel_index, time in s).

    ``vertical_position`` and ``horizontal_position`` (µm, on the probe) label the virtual channels.

    Raises
    ------
    MissingDataError
        The file has none.
    """
    with reader.open() as handle:
        group = need_group(handle, _CSD)
        series = need_group(group, "current_source_density")
        values = series_data(series).T
        along = ("virtual_channel_index",)
        return xarray.DataArray(
            values,
            dims=["virtual_channel_index", "time"],
            coords={
                "virtual_channel_index": np.arange(len(values)),
                "time": series_times(series),
                "vertical_position": (along, read(need_dataset(group, "virtual_electrode_y_positions"))),
                "horizontal_position": (along, read(need_dataset(group, "virtual_electrode_x_positions"))),
            },
            name="CSD",
        )
