"""BehaviorEcephysSession: a Visual Behavior Neuropixels session, as AllenSDK gives it, read by HDF5 alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import MissingDataError, UnknownObjectError
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import need_group
from project_cache.nwb.ragged import Ragged, need_ragged
from project_cache.nwb.table import frame, read_ids
from project_cache.sessions.attributes import attribute
from project_cache.sessions.behavior import BehaviorSession
from project_cache.sessions.opto import read_optotagging
from project_cache.sessions.units import (
    UnitFilters,
    choose_units,
    read_channels,
    read_probes,
    read_units,
    select_channels,
)

if TYPE_CHECKING:
    import xarray

__all__ = ["BehaviorEcephysSession", "ProbeWithLFPMeta"]


@dataclass(frozen=True, slots=True)
class ProbeWithLFPMeta:
    """Where the LFP of a probe is, which lies in a file of its own.

    Attributes
    ----------
    lfp_csd_filepath : path-like or callable
        The probe's NWB file, or what fetches it when it is first needed and returns its path, or what reads it.
    lfp_sampling_rate : float
        Its sampling rate, in Hz.
    """

    lfp_csd_filepath: str | os.PathLike[str] | Callable[[], str | os.PathLike[str] | NWBReader]
    lfp_sampling_rate: float


class BehaviorEcephysSession(BehaviorSession):
    """A session of the Visual Behavior Neuropixels project, as AllenSDK 2.16.2's class of this name gives it.

    It has all of a :class:`BehaviorSession`, in the same way, and what the probes recorded.

    Parameters
    ----------
    path : path-like
        The session's NWB file.
    probe_meta : mapping of str to ProbeWithLFPMeta, optional
        Where the LFP of each probe is, by the probe's name. Probes that it lacks have no LFP.
    eye_tracking_z_threshold, eye_tracking_dilation_frames, origin
        As :class:`BehaviorSession`.

    Raises
    ------
    MissingObjectError, NotNWBError, CorruptObjectError, UnreadableObjectError
        As :class:`project_cache.sessions.base.Session`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | NWBReader,
        *,
        probe_meta: Mapping[str, ProbeWithLFPMeta] | None = None,
        eye_tracking_z_threshold: float = 3.0,
        eye_tracking_dilation_frames: int = 2,
        origin: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        super().__init__(
            path,
            # these files know their changes, of which not all are of the image
            add_is_change_to_stimulus_presentations_table=False,
            eye_tracking_z_threshold=eye_tracking_z_threshold,
            eye_tracking_dilation_frames=eye_tracking_dilation_frames,
            origin=origin,
        )
        self._probe_meta = dict(probe_meta or {})
        self._lfp_readers: dict[int, NWBReader] = {}

    @classmethod
    def from_nwb_path(
        cls,
        nwb_path: str | os.PathLike[str],
        probe_meta: Mapping[str, ProbeWithLFPMeta] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Return the session of a file, without a cache.

        Parameters
        ----------
        nwb_path : path-like
            The file.
        probe_meta : mapping of str to ProbeWithLFPMeta, optional
            Where the LFP of each probe is, by the probe's name.
        **kwargs
            The options of the class.
        """
        return cls(nwb_path, probe_meta=probe_meta, **kwargs)

    def _options(self) -> dict[str, Any]:
        options = super()._options()
        del options["add_is_change_to_stimulus_presentations_table"]
        return {**options, "probe_meta": self._probe_meta}

    @property
    def metadata(self) -> dict[str, Any]:
        """What there is to say of the session and the mouse; None for what the file does not say."""
        return {**super().metadata, "ecephys_session_id": self._ecephys_session_id}

    @property
    def _ecephys_session_id(self) -> int:
        try:
            return int(self.identifier)
        except ValueError as error:
            raise MissingDataError(
                f"{self.path} is called {self.identifier!r}, which is no number: it is not a session of the "
                f"Visual Behavior Neuropixels project. Open it as a Session."
            ) from error

    # ------------------------------------------------------------------ probes, channels, units

    @attribute
    def _all_probes(self) -> pd.DataFrame:
        with self._reader.open() as handle:
            return read_probes(handle)

    @attribute
    def probes(self) -> pd.DataFrame:
        """The probes by ``id``: name, location, sampling_rate, lfp_sampling_rate (Hz), has_lfp_data.

        The last two say what LFP is to be had here, by the ``probe_meta`` that the session was opened with.
        """
        known = self._all_probes
        meta = [self._probe_meta.get(name) for name in known["description"]]
        rates = [None if each is None else each.lfp_sampling_rate for each in meta]
        return frame(
            {
                "name": known["description"].to_numpy(dtype=object),
                "location": known["location"].to_numpy(dtype=object),
                "sampling_rate": known["sampling_rate"].to_numpy(),
                "lfp_sampling_rate": np.array(rates, dtype=float if any(meta) else object),
                "has_lfp_data": np.array([each is not None for each in meta], dtype=bool),
            },
            known.index.to_numpy(),
            "id",
        )

    @attribute
    def _all_channels(self) -> pd.DataFrame:
        """All channels, probe by probe."""
        with self._reader.open() as handle:
            channels = read_channels(handle)
        order = {probe: n for n, probe in enumerate(self._all_probes.index.tolist())}
        rank = np.array([order.get(probe, -1) for probe in channels["probe_id"].tolist()], dtype=np.intp)
        rows = np.argsort(rank, kind="stable")
        return channels.iloc[rows[rank[rows] >= 0]]

    def get_channels(self, filter_by_validity: bool = True) -> pd.DataFrame:
        """Return the channels by ``id``: where each is on its probe (µm) and in the brain (CCF, µm).

        Parameters
        ----------
        filter_by_validity : bool
            Leave out channels without valid data, and the column ``valid_data`` with them.
        """
        # a copy: what is done to it must not change which units there are
        return select_channels(self._all_channels.copy(), None, by_validity=filter_by_validity)

    def get_units(
        self,
        filter_by_validity: bool = False,
        filter_out_of_brain_units: bool = False,
        amplitude_cutoff_maximum: float | None = None,
        presence_ratio_minimum: float | None = None,
        isi_violations_maximum: float | None = None,
    ) -> pd.DataFrame:
        """Return the units by ``id``, probe by probe. None are left out that are not asked to be.

        Parameters
        ----------
        filter_by_validity : bool
            Leave out units on channels without valid data, or of a quality other than ``good``, and the
            column ``quality`` with them.
        filter_out_of_brain_units : bool
            Leave out units whose peak channel is in no structure.
        amplitude_cutoff_maximum, presence_ratio_minimum, isi_violations_maximum : float or None
            Bounds, themselves included; None and 0 are no bound. A unit of which one of the three metrics
            is not known (NaN) is left out in either case, as AllenSDK does.
        """
        filters = UnitFilters(
            filter_by_validity=filter_by_validity,
            filter_out_of_brain_units=filter_out_of_brain_units,
            amplitude_cutoff_maximum=amplitude_cutoff_maximum,
            presence_ratio_minimum=presence_ratio_minimum,
            isi_violations_maximum=isi_violations_maximum,
        )
        channels = self._all_channels
        with self._reader.open() as handle:
            rows = choose_units(handle, channels, filters)
            return read_units(handle, rows, quality=not filter_by_validity)

    def _ragged(self, column: str) -> Ragged:
        """Return a ragged column of the units table, of all units of which the channel is known."""
        channels = self._all_channels
        with self._reader.open() as handle:
            table = need_group(handle, "units")
            need_ragged(table, column)
            rows = choose_units(handle, channels, None)
            return Ragged(self._reader, "/units", column, read_ids(table)[rows], rows)

    @attribute
    def spike_times(self) -> Mapping[int, NDArray[np.float64]]:
        """The spike times of each unit (s), by its id."""
        return self._ragged("spike_times")

    @attribute
    def spike_amplitudes(self) -> Mapping[int, NDArray[np.float64]]:
        """The amplitude of each spike (V), by the unit's id."""
        return self._ragged("spike_amplitudes")

    @attribute
    def mean_waveforms(self) -> Mapping[int, NDArray[np.float32]]:
        """The mean waveform of each unit, as the file has it, by its id: an array of (channels, samples)."""
        return self._ragged("waveform_mean")

    # ------------------------------------------------------------------ local field potentials

    def _lfp_reader(self, probe_id: int) -> NWBReader | None:
        """Return the file of a probe's LFP, fetched if need be; None if it has none."""
        names = self._all_probes["description"]
        if probe_id not in names.index:
            raise UnknownObjectError(
                f"This session has no probe {probe_id}. It has: {', '.join(map(str, names.index))}."
            )
        meta = self._probe_meta.get(names[probe_id])
        if meta is None:
            return None
        self._reader.require_open()
        if probe_id not in self._lfp_readers:
            where = meta.lfp_csd_filepath
            found = where() if callable(where) else where
            self._lfp_readers[int(probe_id)] = found if isinstance(found, NWBReader) else NWBReader(found)
        return self._lfp_readers[int(probe_id)]

    def get_lfp(self, probe_id: int, *, chunks: Any = None) -> xarray.DataArray | None:
        """Return the LFP of a probe (V): a DataArray of (time in s, channel id) that reads what is sliced.

        Parameters
        ----------
        probe_id : int
            The probe.
        chunks : object, optional
            What xarray's ``chunk`` takes, for an array of dask's.

        Returns
        -------
        xarray.DataArray or None
            None if this probe has no LFP, by the ``probe_meta`` that the session was opened with.
            ``.load()`` reads it whole.

        Raises
        ------
        UnknownObjectError
            The session has no such probe.
        MissingObjectError
            Its file is not where it should be.
        """
        reader = self._lfp_reader(probe_id)
        if reader is None:
            return None
        from project_cache.sessions.lfp import open_lfp

        return open_lfp(reader, int(probe_id), None, chunks)

    def get_current_source_density(self, probe_id: int) -> xarray.DataArray | None:
        """Return the current source density of a probe: a DataArray of (virtual_channel_index, time in s).

        Parameters
        ----------
        probe_id : int
            The probe.

        Returns
        -------
        xarray.DataArray or None
            In V/cm², its virtual channels labelled with where they are on the probe (µm); None if this probe
            has no LFP, by the ``probe_meta`` that the session was opened with.

        Raises
        ------
        UnknownObjectError
            The session has no such probe.
        MissingObjectError
            Its file is not where it should be.
        MissingDataError
            Its file has none.
        """
        reader = self._lfp_reader(probe_id)
        if reader is None:
            return None
        from project_cache.sessions.lfp import read_current_source_density

        density = read_current_source_density(reader)
        # the file has them without a sign, which differences of theirs would need
        places = ("vertical_position", "horizontal_position")
        return density.assign_coords({name: density.coords[name].astype(np.int64) for name in places})

    def close(self) -> None:
        """Let go of the files. What was read already stays; what was not can no longer be."""
        super().close()
        for reader in self._lfp_readers.values():
            reader.close()

    # ------------------------------------------------------------------ optotagging

    @attribute
    def optotagging_table(self) -> pd.DataFrame:
        """The light pulses by ``id``: start_time, stop_time, duration (s), condition, level (V), stimulus_name.

        Raises
        ------
        MissingDataError
            This recording has none.
        """
        with self._reader.open() as handle:
            return read_optotagging(handle)
