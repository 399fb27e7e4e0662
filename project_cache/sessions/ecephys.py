"""EcephysSession: a Visual Coding session, as AllenSDK gives it, read by HDF5 alone."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray

from project_cache.analysis.counts import build_spike_histogram, build_time_window_domain
from project_cache.analysis.intervals import array_intervals, is_distinct_from, nan_intervals
from project_cache.errors import ConfigurationError, MissingDataError, UnknownObjectError
from project_cache.nwb.file import NWBReader
from project_cache.sessions import responses
from project_cache.sessions.api import SessionApi
from project_cache.sessions.choice import coerce_scalar, rows_of
from project_cache.sessions.gaze import read_pupil_data, read_screen_gaze_data
from project_cache.sessions.presentations import DETAILED_PARAMETERS
from project_cache.sessions.recording import EcephysRecording
from project_cache.sessions.stimuli import removed_unused_stimulus_presentation_columns
from project_cache.sessions.units import UnitFilters

if TYPE_CHECKING:
    import xarray

# The functions are AllenSDK's module-level names, which analyses import from beside the class.
__all__ = [
    "EcephysSession",
    "array_intervals",
    "build_spike_histogram",
    "build_time_window_domain",
    "coerce_scalar",
    "is_distinct_from",
    "nan_intervals",
    "removed_unused_stimulus_presentation_columns",
]


class EcephysSession(EcephysRecording):
    """A session of the Visual Coding Neuropixels project.

    Everything has the names, values, order and types that AllenSDK 2.16.2's class of this name gives it.
    Frames are kept, and handed out as they are: copy one before changing it.

    Parameters
    ----------
    path : path-like or NWBReader
        The session's NWB file.
    channel_table : callable, optional
        Gives, when it is needed, a frame by channel id of what the project's own table knows better than
        the file: ``ecephys_structure_id``, ``ecephys_structure_acronym`` and the three CCF coordinates.
    unit_metrics : callable, optional
        Gives, when it is needed, a frame by unit id of the project's metrics of the units, or None if it
        has none. They follow the other columns of ``units``.
    lfp_path : callable, optional
        Gives the path of a probe's LFP file, or what reads it, by the probe's id. Without it, that is
        ``probe_<id>_lfp.nwb`` beside the session's file.
    filter_by_validity, filter_out_of_brain_units : bool
        Leave out invalid channels, and units on them, or in no structure.
    amplitude_cutoff_maximum, presence_ratio_minimum, isi_violations_maximum : float or None
        Which units are good enough; None or 0 for no bound.
    origin : tuple of (callable, arguments), optional
        What makes this session anew where it is unpickled. Without it, its class, path and options do.

    Raises
    ------
    MissingObjectError, NotNWBError, CorruptObjectError, UnreadableObjectError
        As :class:`Session`.
    """

    _NOT_DATA: ClassVar[frozenset[str]] = EcephysRecording._NOT_DATA | {"DETAILED_STIMULUS_PARAMETERS", "api"}

    #: parameters that ``stimulus_presentations`` leaves out
    DETAILED_STIMULUS_PARAMETERS: ClassVar[tuple[str, ...]] = DETAILED_PARAMETERS

    def __init__(
        self,
        path: str | os.PathLike[str] | NWBReader,
        *,
        channel_table: Callable[[], pd.DataFrame | None] | None = None,
        unit_metrics: Callable[[], pd.DataFrame | None] | None = None,
        lfp_path: Callable[[int], str | os.PathLike[str] | NWBReader] | None = None,
        filter_by_validity: bool = True,
        filter_out_of_brain_units: bool = True,
        amplitude_cutoff_maximum: float | None = 0.1,
        presence_ratio_minimum: float | None = 0.95,
        isi_violations_maximum: float | None = 0.5,
        origin: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        filters = UnitFilters(
            filter_by_validity=filter_by_validity,
            filter_out_of_brain_units=filter_out_of_brain_units,
            amplitude_cutoff_maximum=amplitude_cutoff_maximum,
            presence_ratio_minimum=presence_ratio_minimum,
            isi_violations_maximum=isi_violations_maximum,
        )
        super().__init__(path, filters, channel_table, unit_metrics)
        self._lfp_path = lfp_path
        self._origin = origin

    @classmethod
    def from_nwb_path(
        cls,
        path: str | os.PathLike[str],
        nwb_version: int | str = 2,
        api_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Return the session of a file alone, without a cache.

        Parameters
        ----------
        path : path-like
            The file.
        nwb_version : int or str
            2 (or above); NWB 1 is not read.
        api_kwargs : mapping, optional
            AllenSDK's place for the options, under its names for them; here they may as well be given
            directly. ``probe_lfp_paths`` gives each probe's LFP file by the probe's id: its path, or what
            returns its path (or the file as pynwb has it) when it is needed.
        **kwargs
            The options of the class.
        """
        if int(float(nwb_version)) < 2:
            raise ConfigurationError("nwb_version=1: NWB 1 files are not read. Give an NWB 2 file.")
        options = {**(api_kwargs or {}), **kwargs}
        for theirs, ours in (
            ("external_channel_columns", "channel_table"),
            ("additional_unit_metrics", "unit_metrics"),
        ):
            if theirs in options:
                options[ours] = options.pop(theirs)
        paths = options.pop("probe_lfp_paths", None)
        if paths is not None:
            options["lfp_path"] = functools.partial(_path_among, dict(paths))
        return cls(path, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._origin is not None:
            return self._origin
        options = {
            "channel_table": self._channel_table,
            "unit_metrics": self._unit_metrics,
            "lfp_path": self._lfp_path,
            **asdict(self._filters),
        }
        return _again, (type(self), self._where, options)

    @property
    def api(self) -> SessionApi:
        """The file behind the session: its path, and the wheel's raw data."""
        return SessionApi(self, self._reader)

    # ------------------------------------------------------------------ responses

    def _units_of(self, ids: ArrayLike | None) -> NDArray[np.int64]:
        units = self.units.index
        return units.to_numpy()[rows_of(units, ids, "units", stacklevel=4)]

    def _train_of(self, unit: int) -> NDArray[np.float64]:
        """Return a unit's spike times in the order of time, without keeping them."""
        train = self._spike_times.cut(unit)
        # Windows are found by bisection; a train that some sorter left out of order would give wrong ones.
        return train if bool((train[1:] >= train[:-1]).all()) else np.sort(train)

    def presentationwise_spike_counts(
        self,
        bin_edges: ArrayLike,
        stimulus_presentation_ids: ArrayLike | None,
        unit_ids: ArrayLike | None,
        binarize: bool = False,
        dtype: DTypeLike | None = None,
        large_bin_size_threshold: float = 0.001,
        time_domain_callback: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
        *,
        half_open: bool = False,
    ) -> xarray.DataArray:
        """Return how many spikes each unit fired in each time bin around the start of each presentation.

        Parameters
        ----------
        bin_edges : array-like, shape (edges,)
            The edges of the bins, in seconds from the start of a presentation.
        stimulus_presentation_ids, unit_ids : array-like or None
            The presentations and the units, by their ids; None for all.
        binarize : bool
            1 for any number of spikes. Good for short bins.
        dtype : dtype-like, optional
            Of the counts: uint16 if not given, uint8 for ``binarize``.
        large_bin_size_threshold : float
            How long (s) bins may be before ``binarize`` warns.
        time_domain_callback : callable, optional
            Is given the edges of all bins (s, presentations by edges), and returns those to use.
        half_open : bool
            Bins are ``[start, stop)``. By default both ends belong to a bin, as in AllenSDK: a spike on
            the edge of two bins is counted in both.

        Returns
        -------
        xarray.DataArray
            ``spike_counts`` by stimulus_presentation_id, time_relative_to_stimulus_onset (the middle of
            each bin, s) and unit_id.

        Raises
        ------
        ConfigurationError
            The edges go back in time, or are fewer than two.
        UnknownObjectError
            There is no such presentation or unit.

        Warns
        -----
        UserWarning
            Bins of one presentation overlap with those of the next, or are long, and binarized.
        """
        table, units = self._presentations_of(stimulus_presentation_ids), self._units_of(unit_ids)
        self._warn_of_invalid_spikes(stacklevel=2)
        return responses.spike_counts(
            self._train_of,
            units,
            table,
            bin_edges,
            binarize=binarize,
            dtype=dtype,
            large_bin_size_threshold=large_bin_size_threshold,
            time_domain_callback=time_domain_callback,
            half_open=half_open,
        )

    def presentationwise_spike_times(
        self,
        stimulus_presentation_ids: ArrayLike | None = None,
        unit_ids: ArrayLike | None = None,
        *,
        half_open: bool = False,
    ) -> pd.DataFrame:
        """Return the spikes that units fired during presentations, in the order of time.

        Parameters
        ----------
        stimulus_presentation_ids, unit_ids : array-like, optional
            The presentations and the units, by their ids; all, if not given.
        half_open : bool
            A presentation is ``[start, stop)``. By default it is ``(start, stop]``, as in AllenSDK.

        Returns
        -------
        pandas.DataFrame
            Columns stimulus_presentation_id, unit_id, time_since_stimulus_presentation_onset (s); index
            ``spike_time`` (s). The same columns also where there are no spikes.

        Raises
        ------
        UnknownObjectError
            There is no such presentation or unit.
        """
        table, units = self._presentations_of(stimulus_presentation_ids), self._units_of(unit_ids)
        self._warn_of_invalid_spikes(stacklevel=2)
        return responses.spike_times(self._train_of, units, table, half_open=half_open)

    def conditionwise_spike_statistics(
        self,
        stimulus_presentation_ids: ArrayLike | None = None,
        unit_ids: ArrayLike | None = None,
        use_rates: bool = False,
        *,
        half_open: bool = False,
        include_silent: bool = False,
    ) -> pd.DataFrame:
        """Return how many spikes each unit fires under each stimulus condition: number, mean, spread.

        Parameters
        ----------
        stimulus_presentation_ids, unit_ids : array-like, optional
            The presentations and the units, by their ids; all, if not given.
        use_rates : bool
            Mean and spread of firing rates (1/s), and not of the numbers of spikes.
        half_open : bool
            As of :meth:`presentationwise_spike_times`.
        include_silent : bool
            Where no units are named: also those that fire in none of the presentations, which AllenSDK
            leaves out. Units that are named are always there.

        Returns
        -------
        pandas.DataFrame
            Columns spike_count (not with ``use_rates``), stimulus_presentation_count, spike_mean,
            spike_std (of a sample: NaN for one presentation), spike_sem; index (unit_id,
            stimulus_condition_id), in the order of conditions, then units.

        Raises
        ------
        UnknownObjectError
            There is no such presentation or unit.
        """
        table, units = self._presentations_of(stimulus_presentation_ids), self._units_of(unit_ids)
        self._warn_of_invalid_spikes(stacklevel=2)
        return responses.condition_statistics(
            self._train_of,
            units,
            table,
            use_rates=use_rates,
            only_active=unit_ids is None and not include_silent,
            half_open=half_open,
        )

    # ------------------------------------------------------------------ eyes, field potentials, places

    def get_pupil_data(self) -> pd.DataFrame | None:
        """Return the ellipses fitted to eye, pupil and corneal reflection, by ``Time (s)``.

        Columns ``{corneal_reflection,pupil,eye}_{center_x,center_y,height,width,phi}``, in pixels and
        radians; heights and widths from edge to edge. None if there was no eye tracking.
        """
        with self._reader.open() as handle:
            return read_pupil_data(handle)

    def get_screen_gaze_data(self, include_filtered_data: bool = False) -> pd.DataFrame | None:
        """Return where on the screen the mouse looked, by ``Time (s)``. None if there was no eye tracking.

        Parameters
        ----------
        include_filtered_data : bool
            Add the columns ``filtered_…``, in which what is not to be trusted is NaN.
        """
        with self._reader.open() as handle:
            return read_screen_gaze_data(handle, filtered=include_filtered_data)

    def _lfp_reader(self, probe_id: int) -> NWBReader:
        """Return a probe's own file, which may have to be fetched first."""
        if probe_id not in self.probes.index:
            raise UnknownObjectError(
                f"This session has no probe {probe_id}. It has: {', '.join(map(str, self.probes.index))}."
            )
        if self._lfp_path is not None:
            found = self._lfp_path(int(probe_id))
            return found if isinstance(found, NWBReader) else NWBReader(found)
        beside = self.path.with_name(f"probe_{probe_id}_lfp.nwb")
        if not beside.is_file():
            raise MissingDataError(
                f"The LFP of probe {probe_id} lies in a file of its own, and there is no {beside}. Open the session "
                f"through a cache, or give lfp_path= (or api_kwargs={{'probe_lfp_paths': …}})."
            )
        return NWBReader(beside)

    def get_lfp(
        self, probe_id: int, mask_invalid_intervals: bool = True, *, chunks: Any = None
    ) -> xarray.DataArray:
        """Return the LFP of a probe, of which no more is read than is looked at.

        ``session.get_lfp(probe_id).sel(time=slice(10, 11))`` reads one second; ``.load()`` reads all.

        Parameters
        ----------
        probe_id : int
            The probe.
        mask_invalid_intervals : bool
            NaN where the session says that the data of this probe, or of all, are invalid.
        chunks : object, optional
            What xarray's ``chunk`` takes (``"auto"``, ``{"time": 100_000}``), for an array of dask's.

        Returns
        -------
        xarray.DataArray
            ``LFP`` (V) by time (s) and channel (id).

        Raises
        ------
        UnknownObjectError
            There is no such probe.
        MissingDataError
            The probe has no LFP, or it is not known where.
        DependencyError
            ``chunks`` without dask.
        """
        from project_cache.sessions.lfp import open_lfp

        reader = self._lfp_reader(probe_id)
        invalid = None
        if mask_invalid_intervals:
            name = str(self.probes["description"].loc[probe_id])
            invalid = self._invalid_intervals(["all_probes", name])
        return open_lfp(reader, int(probe_id), invalid, chunks)

    def get_current_source_density(self, probe_id: int) -> xarray.DataArray:
        """Return a probe's current source density (V/cm²) after a flash, by virtual_channel_index and time (s).

        Parameters
        ----------
        probe_id : int
            The probe.

        Raises
        ------
        UnknownObjectError
            There is no such probe.
        MissingDataError
            The probe has none, or it is not known where.
        """
        from project_cache.sessions.lfp import read_current_source_density

        return read_current_source_density(self._lfp_reader(probe_id))

    def channel_structure_intervals(
        self, channel_ids: ArrayLike, *, sort: bool = False
    ) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
        """Return the structures that a list of channels goes through, and where in the list each begins.

        Parameters
        ----------
        channel_ids : array-like
            The channels.
        sort : bool
            Go through them in the order of their ids, as AllenSDK means to; by default, as it does, in
            the order that they are given in.

        Returns
        -------
        labels : numpy.ndarray
            The acronym of each stretch's structure; NaN or None for none.
        intervals : numpy.ndarray of int
            Where each stretch begins, and the number of channels: one more than there are labels.

        Raises
        ------
        UnknownObjectError
            There is no such channel.

        Warns
        -----
        UserWarning
            The channels are of several probes.
        """
        table = self.channels.iloc[rows_of(self.channels.index, channel_ids, "channels")]
        if sort:
            table = table.sort_index()
        if len(set(table["probe_id"].tolist())) > 1:
            warnings.warn(
                "The channels are of several probes: a stretch may go on from one probe to the next.",
                UserWarning,
                stacklevel=2,
            )
        acronyms = table[self._structure_column].to_numpy(dtype=object)
        structures = table.get("ecephys_structure_id")
        intervals = nan_intervals(acronyms if structures is None else structures.to_numpy())
        return acronyms[intervals[:-1] if len(acronyms) else []], intervals


def _again(cls: type[EcephysSession], path: Any, options: dict[str, Any]) -> EcephysSession:
    """Return a session from what was pickled of it."""
    return cls(path, **options)


def _path_among(paths: Mapping[int, Any], probe_id: int) -> Path:
    """Return the path of a probe's file, given as such, as what returns it, or as pynwb's view of it."""
    if probe_id not in paths:
        raise MissingDataError(
            f"There is no path of the LFP of probe {probe_id} among those that were given (probe_lfp_paths has: "
            f"{', '.join(map(str, paths)) or 'none'})."
        )
    found = paths[probe_id]
    found = found() if callable(found) else found
    return Path(getattr(found, "container_source", found))
