"""Mean waveforms: one labelled array a unit, made when it is asked for."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.nwb.ragged import Ragged, Room

if TYPE_CHECKING:
    import xarray

__all__ = ["MeanWaveforms"]


class MeanWaveforms(Mapping[int, "xarray.DataArray"]):
    """The mean waveform of each unit by its id: a DataArray of (channel_id, time).

    Times are in seconds; potentials are as the file has them: µV in the published files (whose attribute says volts).

    Parameters
    ----------
    waveforms : Ragged
        The file's waveforms: an array of (channels, samples) for each unit.
    probe_of : dict of int to int
        The probe of each unit.
    channels : pandas.DataFrame
        The channels that are to be seen; the others' rows are left out.
    rates : dict of int to float
        The sampling rate of each probe, in Hz.

    Notes
    -----
    To make the labels of an array costs ten times what the array does, and all units of a probe share
    them: they are made once for each probe.
    """

    def __init__(
        self, waveforms: Ragged, probe_of: dict[int, int], channels: pd.DataFrame, rates: dict[int, float]
    ) -> None:
        self._waveforms = waveforms
        self._probe_of = probe_of
        self._rates = rates
        probe = channels["probe_id"].to_numpy()
        number = channels["probe_channel_number"].to_numpy()
        ids = channels.index.to_numpy()
        self._channels = {
            each: (number[probe == each].astype(np.int64), ids[probe == each]) for each in set(probe.tolist())
        }
        self._templates: dict[tuple[int, int, int], tuple[NDArray[np.intp] | None, xarray.DataArray]] = {}
        self._made: dict[int, xarray.DataArray] = {}
        self._room = Room()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_templates": {}, "_made": {}}

    def __getitem__(self, key: int) -> xarray.DataArray:
        made = self._made.get(key)
        if made is not None:
            return made
        data = self._waveforms.cut(key)
        probe = self._probe_of[key]
        rows, template = self._template(probe, *data.shape)
        if rows is not None:
            data = data.take(
                rows, axis=0, out=self._room.array((len(rows), data.shape[1]), data.dtype), mode="clip"
            )
        array = template.copy(deep=False, data=data)
        return self._made.setdefault(int(key), array)

    def _template(
        self, probe: int, count: int, samples: int
    ) -> tuple[NDArray[np.intp] | None, xarray.DataArray]:
        """Return which rows of a waveform to keep (None: all), and an array with the labels of those."""
        key = (probe, count, samples)
        if key not in self._templates:
            import xarray

            of_row = np.full(count, -1, dtype=np.int64)
            numbers, ids = self._channels.get(probe, (np.empty(0, np.int64), np.empty(0, np.int64)))
            there = (numbers >= 0) & (numbers < count)
            of_row[numbers[there]] = ids[there]
            rows = np.flatnonzero(of_row != -1)
            template = xarray.DataArray(
                np.empty((len(rows), samples)),
                dims=["channel_id", "time"],
                coords={"channel_id": of_row[rows], "time": np.arange(samples) / self._rates[probe]},
            )
            self._templates[key] = (None if len(rows) == count else rows, template)
        return self._templates[key]

    def __iter__(self) -> Iterator[int]:
        return iter(self._probe_of)

    def __len__(self) -> int:
        return len(self._probe_of)

    def __contains__(self, key: object) -> bool:
        return key in self._probe_of

    def items(self) -> ItemsView[int, xarray.DataArray]:
        """Return the pairs of id and waveform. Packed data are unpacked once for all of them."""
        self._waveforms.gather()
        return super().items()

    def values(self) -> ValuesView[xarray.DataArray]:
        """Return the waveforms. Packed data are unpacked once for all of them."""
        self._waveforms.gather()
        return super().values()

    def __repr__(self) -> str:
        return f"<mean waveforms of {len(self)} units by id, each made when it is asked for>"
