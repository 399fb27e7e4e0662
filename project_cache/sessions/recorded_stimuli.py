"""What was shown in a Visual Coding session, and when: presentations, conditions, epochs, and invalid times."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from project_cache.nwb.file import NWBReader
from project_cache.nwb.table import frame
from project_cache.sessions import stimuli
from project_cache.sessions.attributes import attribute
from project_cache.sessions.choice import coerce_scalar, rows_of
from project_cache.sessions.presentations import (
    DETAILED_PARAMETERS,
    build_presentations,
    mask_invalid,
    read_invalid_times,
    read_presentations,
)

__all__ = ["HasStimuli"]


class HasStimuli:
    """The part of an :class:`~project_cache.sessions.recording.EcephysRecording` that was shown to the mouse."""

    _reader: NWBReader

    @attribute
    def invalid_times(self) -> pd.DataFrame:
        """The intervals in which data are not to be trusted: start_time, stop_time (s), tags."""
        with self._reader.open() as handle:
            return read_invalid_times(handle)

    def _invalid_intervals(self, tags: list[str]) -> NDArray[np.float64]:
        """Return the start and the stop of the invalid intervals that have one of these tags."""
        table = self.invalid_times
        if not len(table) or "tags" not in table:
            return np.empty((0, 2))
        tagged = [not set(tags).isdisjoint(each) for each in table["tags"]]
        return table.loc[tagged, ["start_time", "stop_time"]].to_numpy(dtype=np.float64)

    @attribute
    def _read_presentations(self) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, NDArray[Any] | None]]:
        """The presentations, as they are shown, the conditions, and all columns: None for those that are shown."""
        with self._reader.open() as handle:
            self._reader.expect(handle, "intervals/*")
            columns, conditions = build_presentations(read_presentations(handle))
        columns = mask_invalid(columns, self._invalid_intervals(["stimulus"]))
        shown = {name: values for name, values in columns.items() if name not in DETAILED_PARAMETERS}
        hidden = {name: None if name in shown else values for name, values in columns.items()}
        ids = np.arange(len(columns["start_time"]))
        return frame(shown, ids, "stimulus_presentation_id"), conditions, hidden

    @property
    def _all_presentations(self) -> pd.DataFrame:
        """The presentations with all their columns, in the file's order."""
        shown, _, columns = self._read_presentations
        every = {
            name: shown[name].to_numpy() if values is None else values for name, values in columns.items()
        }
        return frame(every, shown.index.to_numpy(), "stimulus_presentation_id")

    @property
    def stimulus_presentations(self) -> pd.DataFrame:
        """The presentations by ``stimulus_presentation_id``, in the order of time (times in s).

        A parameter that a stimulus does not have is the string ``"null"``.
        """
        return self._read_presentations[0]

    @property
    def stimulus_conditions(self) -> pd.DataFrame:
        """Each different set of stimulus parameters, by ``stimulus_condition_id``."""
        return self._read_presentations[1]

    @property
    def stimulus_names(self) -> list[str]:
        """The stimuli, in the order in which they were first shown."""
        found: list[str] = self.stimulus_presentations["stimulus_name"].unique().tolist()
        return found

    @attribute
    def inter_presentation_intervals(self) -> pd.DataFrame:
        """The pause (s) between each presentation and the next, by (from_presentation_id, to_presentation_id)."""
        return stimuli.inter_presentation_intervals(self.stimulus_presentations)

    def get_inter_presentation_intervals_for_stimulus(
        self, stimulus_names: str | Collection[str]
    ) -> pd.DataFrame:
        """Return the pauses between presentations that are both of some stimuli.

        Parameters
        ----------
        stimulus_names : str or collection of str
            The stimuli.
        """
        names = coerce_scalar(stimulus_names, "")
        return stimuli.intervals_within(self.inter_presentation_intervals, self.stimulus_presentations, names)

    def get_stimulus_table(
        self,
        stimulus_names: str | Collection[str] | None = None,
        include_detailed_parameters: bool = False,
        include_unused_parameters: bool = False,
        *,
        parse_parameters: bool = False,
    ) -> pd.DataFrame:
        """Return the presentations of some stimuli, with the parameters that these have.

        Parameters
        ----------
        stimulus_names : str or collection of str, optional
            The stimuli; all, if not given.
        include_detailed_parameters : bool
            Keep parameters that ``stimulus_presentations`` leaves out (``mask``, ``units``, …).
        include_unused_parameters : bool
            Keep parameters that say nothing of these stimuli.
        parse_parameters : bool
            Numbers, and tuples of them, where ``phase``, ``size`` and ``spatial_frequency`` are text that
            spells them (``"[250.0, 250.0]"``). AllenSDK means to do so, and does not.
        """
        names = None if stimulus_names is None else coerce_scalar(stimulus_names, "")
        table = self._all_presentations if include_detailed_parameters else self.stimulus_presentations
        chosen = stimuli.stimulus_table(
            table, names, detailed=include_detailed_parameters, unused=include_unused_parameters
        )
        return stimuli.parsed(chosen) if parse_parameters else chosen

    def get_stimulus_epochs(self, duration_thresholds: Mapping[str, float] | None = None) -> pd.DataFrame:
        """Return the stretches of time in which one stimulus was shown.

        Parameters
        ----------
        duration_thresholds : mapping of str to float, optional
            The shortest epoch (s) that is listed, by stimulus. If not given, all are listed, as AllenSDK
            does: its own threshold is for a stimulus of a name that no session has. Give
            ``{"spontaneous": 90.0}`` to have what it means.

        Returns
        -------
        pandas.DataFrame
            Columns start_time, stop_time, duration (s), stimulus_name, stimulus_block.
        """
        shortest = stimuli.DURATION_THRESHOLDS if duration_thresholds is None else duration_thresholds
        return stimuli.stimulus_epochs(self.stimulus_presentations, shortest)

    def get_stimulus_parameter_values(
        self,
        stimulus_presentation_ids: ArrayLike | None = None,
        drop_nulls: bool = True,
        *,
        drop_invalid: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Return the different values that each parameter took, in the order of their first presentation.

        Parameters
        ----------
        stimulus_presentation_ids : array-like, optional
            The presentations to look at; all, if not given.
        drop_nulls : bool
            Leave out ``"null"``, which says that a parameter does not apply.
        drop_invalid : bool
            Leave out presentations that touch invalid times. By default they add a NaN to the values of
            each parameter, as in AllenSDK.
        """
        table = self._presentations_of(stimulus_presentation_ids)
        if drop_invalid:
            table = table[(table["stimulus_name"] != "invalid_presentation").to_numpy()]
        return stimuli.parameter_values(table, drop_nulls=drop_nulls)

    def get_parameter_values_for_stimulus(
        self, stimulus_name: str, drop_nulls: bool = True
    ) -> dict[str, NDArray[Any]]:
        """Return the different values that each parameter took while one stimulus was shown.

        Parameters
        ----------
        stimulus_name : str
            The stimulus.
        drop_nulls : bool
            Leave out ``"null"``, which says that a parameter does not apply.
        """
        ids = self.get_stimulus_table(stimulus_name).index.to_numpy()
        return self.get_stimulus_parameter_values(ids, drop_nulls=drop_nulls)

    def get_invalid_times(self) -> pd.DataFrame:
        """Return the intervals in which data are not to be trusted: start_time, stop_time (s), tags.

        The tags of each are what it is about (``EcephysSession``, ``EcephysProbe``), the id of that, and
        what is invalid: ``stimulus``, ``optotagging``, ``all_probes`` or a probe's name.
        """
        return self.invalid_times

    def _presentations_of(self, ids: ArrayLike | None) -> pd.DataFrame:
        table = self.stimulus_presentations
        return table if ids is None else table.iloc[rows_of(table.index, ids, "presentations", stacklevel=4)]
