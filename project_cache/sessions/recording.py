"""What the file of a Visual Coding session holds, as AllenSDK gives it: attributes, read when they are asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import MissingDataError
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import need_group
from project_cache.nwb.ragged import Ragged, need_ragged
from project_cache.nwb.table import read_ids
from project_cache.sessions.attributes import attribute
from project_cache.sessions.base import Session
from project_cache.sessions.metrics import beside_metrics
from project_cache.sessions.opto import read_optotagging
from project_cache.sessions.recorded_stimuli import HasStimuli
from project_cache.sessions.rig import read_rig, read_running_speed
from project_cache.sessions.units import (
    UnitFilters,
    choose_units,
    join_units,
    read_channels,
    read_probe_names,
    read_probes,
    select_channels,
)

if TYPE_CHECKING:
    import xarray

    from project_cache.sessions.waveforms import MeanWaveforms

__all__ = ["EcephysRecording"]


class EcephysRecording(HasStimuli, Session):
    """The recording of a session of the Visual Coding Neuropixels project: what its file holds.

    :class:`~project_cache.sessions.ecephys.EcephysSession` is this, with all that is worked out of it.

    Parameters
    ----------
    path, channel_table, unit_metrics, origin
        As of :class:`~project_cache.sessions.ecephys.EcephysSession`.
    filters : UnitFilters
        Which units and channels are to be seen.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | NWBReader,
        filters: UnitFilters,
        channel_table: Callable[[], pd.DataFrame | None] | None,
        unit_metrics: Callable[[], pd.DataFrame | None] | None,
    ) -> None:
        super().__init__(path)
        self._channel_table = channel_table
        self._unit_metrics = unit_metrics
        self._filters = filters
        self._warned = False

    # ------------------------------------------------------------------ what was recorded, and of whom

    @attribute
    def ecephys_session_id(self) -> int:
        """The id of the session."""
        try:
            return int(self.identifier)
        except ValueError as error:
            raise MissingDataError(
                f"{self.path} is called {self.identifier!r}, which is no number: it is not a session of the "
                f"Visual Coding project. Open it as a Session."
            ) from error

    @property
    def specimen_name(self) -> str | None:
        """The name of the mouse."""
        return self.subject.get("specimen_name")

    @property
    def sex(self) -> str | None:
        """The sex of the mouse: M or F."""
        return self.subject.get("sex")

    @property
    def full_genotype(self) -> str | None:
        """The genotype of the mouse."""
        return self.subject.get("genotype")

    @property
    def age_in_days(self) -> float | None:
        """The age of the mouse on the day of the session."""
        return self.subject.get("age_in_days")

    @attribute
    def session_type(self) -> str | None:
        """The set of stimuli that was shown: ``brain_observatory_1.1`` or ``functional_connectivity``."""
        return self._text("general/stimulus")

    @attribute
    def _rig(self) -> tuple[pd.DataFrame, str | None] | None:
        with self._reader.open() as handle:
            return read_rig(handle)

    @property
    def rig_geometry_data(self) -> pd.DataFrame | None:
        """Where monitor, camera and light stood (mm, degrees), by axis; None if the file does not say."""
        return None if self._rig is None else self._rig[0]

    @property
    def rig_equipment_name(self) -> str | None:
        """The name of the rig; None if the file does not say."""
        return None if self._rig is None else self._rig[1]

    @property
    def metadata(self) -> dict[str, Any]:
        """What there is to say of the session in short."""
        return {
            "specimen_name": self.specimen_name,
            "session_type": self.session_type,
            "full_genotype": self.full_genotype,
            "sex": self.sex,
            "age_in_days": self.age_in_days,
            "rig_equipment_name": self.rig_equipment_name,
            "num_units": self.num_units,
            "num_channels": self.num_channels,
            "num_probes": self.num_probes,
            "num_stimulus_presentations": self.num_stimulus_presentations,
            "session_start_time": self.session_start_time,
            "ecephys_session_id": self.ecephys_session_id,
            "structure_acronyms": self.structure_acronyms,
            "stimulus_names": self.stimulus_names,
        }

    @property
    def num_units(self) -> int:
        """How many units there are."""
        return len(self.units)

    @property
    def num_probes(self) -> int:
        """How many probes there are."""
        return len(self.probes)

    @property
    def num_channels(self) -> int:
        """How many channels there are."""
        return len(self.channels)

    @property
    def num_stimulus_presentations(self) -> int:
        """How many presentations there are."""
        return len(self.stimulus_presentations)

    # ------------------------------------------------------------------ probes, channels, units

    @attribute
    def probes(self) -> pd.DataFrame:
        """The probes by ``id``: description, location, sampling_rate, lfp_sampling_rate (Hz), has_lfp_data."""
        with self._reader.open() as handle:
            return read_probes(handle)

    @attribute
    def _all_channels(self) -> pd.DataFrame:
        with self._reader.open() as handle:
            self._reader.expect(handle, "general/extracellular_ephys/electrodes")
            return read_channels(handle)

    @attribute
    def channels(self) -> pd.DataFrame:
        """The channels by ``id``: where each is on its probe (µm) and in the brain (CCF, µm)."""
        external = None if self._channel_table is None else self._channel_table()
        return select_channels(self._all_channels, external, by_validity=self._filters.filter_by_validity)

    @attribute
    def _unit_rows(self) -> NDArray[np.intp]:
        channels = self._all_channels
        with self._reader.open() as handle:
            self._reader.expect(handle, "units")
            return choose_units(handle, channels, self._filters)

    @attribute
    def units(self) -> pd.DataFrame:
        """The units by ``unit_id``, along each probe, with the columns of their channels and probes.

        The project's published metrics of each unit follow on the right, where they are at hand.
        """
        # before the file is opened: the channels may come from elsewhere, and so may errors
        rows, channels, probes = self._unit_rows, self.channels, self.probes
        with self._reader.open() as handle:
            units = join_units(handle, rows, channels, probes, quality=not self._filters.filter_by_validity)
        metrics = None if self._unit_metrics is None else self._unit_metrics()
        return units if metrics is None else beside_metrics(units, metrics)

    @property
    def _structure_column(self) -> str:
        # A file alone has the structures of the day on which it was written.
        name = "ecephys_structure_acronym"
        return name if name in self.channels.columns else "structure_acronym"

    @property
    def structure_acronyms(self) -> list[Any]:
        """The structures that channels are in, in the order of the channels; NaN or None stands for none."""
        found: list[Any] = self.channels[self._structure_column].unique().tolist()
        return found

    @property
    def structurewise_unit_counts(self) -> pd.Series[int]:
        """How many units there are in each structure, most first."""
        name = self._structure_column
        codes, different = pd.factorize(self.units[name].to_numpy(dtype=object))
        counts = np.bincount(codes[codes >= 0], minlength=len(different))
        order = np.argsort(-counts, kind="stable")
        return pd.Series(counts[order], index=pd.Index(different[order], dtype=object), name=name)

    def _ragged(self, column: str, rows: NDArray[np.intp] | None, *, narrow: bool) -> Ragged:
        """Return a ragged column of the units table, of these rows, or of all whose channel is known."""
        with self._reader.open() as handle:
            table = need_group(handle, "units")
            need_ragged(table, column)
            if rows is None:
                rows = choose_units(handle, self._all_channels, None)
            ids = read_ids(table)[rows]
            # The project's table can lack a channel, and with it the unit. To know, it must be read.
            exact = self._listed if narrow and self._channel_table is not None else None
            return Ragged(self._reader, "/units", column, ids, rows, exact)

    def _listed(self) -> NDArray[np.int64]:
        return self.units.index.to_numpy()

    @attribute
    def _spike_times(self) -> Ragged:
        return self._ragged("spike_times", self._unit_rows, narrow=True)

    @property
    def spike_times(self) -> Mapping[int, NDArray[np.float64]]:
        """The spike times of each unit (s), by ``unit_id``.

        Warns
        -----
        UserWarning
            Once for a session: some of its times are marked as invalid for a probe.
        """
        found = self._spike_times
        self._warn_of_invalid_spikes(stacklevel=2)
        return found

    def _warn_of_invalid_spikes(self, *, stacklevel: int) -> None:
        """Say once that some of the spikes are not to be trusted, if so."""
        if self._warned:
            return
        self._warned = True
        if not len(self.invalid_times):
            return
        with self._reader.open() as handle:
            names = read_probe_names(handle).values()
        if len(self._invalid_intervals([*names, "all_probes"])):
            warnings.warn(
                "Parts of this session are marked as invalid for one or more of its probes. Spikes in the "
                "intervals of session.invalid_times may have to be left out.",
                UserWarning,
                stacklevel=stacklevel + 1,
            )

    @attribute
    def spike_amplitudes(self) -> Mapping[int, NDArray[np.float64]]:
        """The amplitude of each spike (V), by unit: of all units, also those that ``units`` leaves out."""
        return self._ragged("spike_amplitudes", None, narrow=False)

    @attribute
    def mean_waveforms(self) -> Mapping[int, xarray.DataArray]:
        """The mean waveform of each unit (µV in the published files), by ``unit_id``: (channel_id, time in s)."""
        from project_cache.sessions.waveforms import MeanWaveforms

        waveforms = self._ragged("waveform_mean", self._unit_rows, narrow=True)
        probe = dict(zip(self.units.index.tolist(), self.units["probe_id"].tolist(), strict=True))
        rates = dict(zip(self.probes.index.tolist(), self.probes["sampling_rate"].tolist(), strict=True))
        made: MeanWaveforms = MeanWaveforms(
            waveforms, {unit: probe[unit] for unit in waveforms}, self.channels, rates
        )
        return made

    # ------------------------------------------------------------------ behaviour, and light

    @attribute
    def running_speed(self) -> pd.DataFrame:
        """The running speed: start_time, end_time (s), velocity (cm/s)."""
        with self._reader.open() as handle:
            self._reader.expect(handle, "processing/running/*")
            return read_running_speed(handle)

    @attribute
    def optogenetic_stimulation_epochs(self) -> pd.DataFrame:
        """The light pulses by ``id``: start_time, condition, level (V), stop_time, stimulus_name, duration (s).

        Raises
        ------
        MissingDataError
            There were none: the mouse is a wild type.
        """
        with self._reader.open() as handle:
            return read_optotagging(handle)
