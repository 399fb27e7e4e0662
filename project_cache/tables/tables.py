"""The tables of a project: sessions, probes, channels, units, and the published metrics of units."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from project_cache.errors import (
    ConfigurationError,
    UnknownObjectError,
)
from project_cache.manifest.keys import Key
from project_cache.tables.annotated import (
    ACRONYMS,
    annotated_channels,
    annotated_sessions,
    annotated_units,
    counted_channels,
    counted_probes,
    objects,
)
from project_cache.tables.columns import (
    ANNOTATED_NAMES,
    ID_NAMES,
    SUPPRESS_FROM_CHANNELS,
    SUPPRESS_FROM_PROBES,
    SUPPRESS_FROM_UNITS,
)
from project_cache.tables.csvfile import Array, TableFile, table_file
from project_cache.tables.filters import UNIT_FILTERS, bounds_of, kept_units, with_metrics
from project_cache.tables.joins import beside
from project_cache.tables.loose import counts, of_session

__all__ = ["UNIT_FILTERS", "Tables"]

KINDS = ("sessions", "probes", "channels", "units")

_CCF = ("anterior_posterior_ccf_coordinate", "dorsal_ventral_ccf_coordinate", "left_right_ccf_coordinate")


class Tables:
    """The tables of a project, each read when it is first asked for, and again when its file has changed.

    Values, order, index and types are those of AllenSDK 2.16.2 on the same files, whatever version of pandas there
    is (text is of the type "object").

    A project need not have all four tables. Where one is missing the others are as they are in their files, with no
    columns renamed, left out or joined; sessions get counts from the tables that say which session their rows are of
    (``session_id`` or ``ecephys_session_id``, or by way of a probe or a channel). Asking for a table that the project
    does not have raises :class:`~project_cache.errors.UnknownObjectError`.

    Parameters
    ----------
    path_of : callable
        Returns the file of a table by its :class:`Key`: ``sessions``, ``probes``, ``channels``, ``units``,
        ``session_analysis_metrics/…``, ``typewise_analysis_metrics/…``.
    may_keep : callable, optional
        Whether a parsed copy of the file at a path may be kept beside it. By default none is.
    has : callable, optional
        Whether the project has a table of a kind. By default it has all four.
    """

    def __init__(
        self,
        path_of: Callable[[Key], Path],
        may_keep: Callable[[Key, Path], bool] = lambda key, path: False,
        has: Callable[[str], bool] = lambda kind: True,
    ) -> None:
        self._path_of = path_of
        self._may_keep = may_keep
        self._has = has
        self._had: set[str] = set()
        self._made: dict[str, tuple[tuple[TableFile, ...], pd.DataFrame]] = {}

    @property
    def made(self) -> dict[str, pd.DataFrame]:
        """The tables that are in memory, by name; not to be changed."""
        return {name: table for name, (_, table) in self._made.items()}

    def has(self, kind: str) -> bool:
        """Return whether the project has a table of a kind: ``sessions``, ``probes``, ``channels``, ``units``."""
        if kind not in self._had and self._has(kind):
            self._had.add(kind)
        return kind in self._had

    # The four tables -------------------------------------------------------------------------------

    def sessions(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the sessions by id, with unit, channel and probe counts and the structures that were recorded.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out, by their names in the file. By default has_nwb, isi_experiment_id and
            date_of_acquisition; none where the project has not all four tables.

        Notes
        -----
        ``unit_count`` is of the units that pass the default filters; the other counts are of all.
        """
        if not self._whole():
            table = self._once("sessions", self._loose_sessions, *self._those("sessions"))
            return table.drop(columns=_listed(suppress, ()), errors="ignore")
        table = self._once("sessions", annotated_sessions, *self._files(*KINDS))
        if suppress is not None:
            table = annotated_sessions(*self._files(*KINDS), suppress=_listed(suppress, ()))
        return table

    def probes(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the probes by id. ``lfp_sampling_rate`` (Hz) is that of the LFP files, after subsampling.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out; by default what is the session's, and some more.
        """
        if not self._whole():
            return self._loose("probes", suppress)
        files = self._files(*KINDS)
        table = self._once("probes", counted_probes, *files)
        return table.drop(columns=_listed(suppress, SUPPRESS_FROM_PROBES), errors="ignore")

    def channels(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the channels by id, with the columns of their probes (coordinates in µm).

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out; by default what is the session's, and some more.
        """
        if not self._whole():
            return self._loose("channels", suppress)
        files = self._files(*KINDS)
        table = self._once("channels", counted_channels, *files)
        table = table.drop(columns=_listed(suppress, SUPPRESS_FROM_CHANNELS), errors="ignore")
        return table.rename(columns={"name": "probe_name"})

    def units(
        self,
        suppress: Sequence[str] | None = None,
        filter_by_validity: bool = True,
        *,
        probe_names: bool = False,
        keep_unmeasured: bool = False,
        only_in_brain: bool = False,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the units by id that pass the filters, with the columns of their channels, probes and sessions.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out.
        filter_by_validity : bool
            Keep units of the quality "good" only, and drop that column.
        probe_names : bool
            Call the probe's columns ``probe_name``, ``probe_phase``, ``probe_sampling_rate``,
            ``probe_lfp_sampling_rate``. AllenSDK means to, and does not.
        keep_unmeasured : bool
            Keep units whose metric is not known (NaN) where that bound is None. AllenSDK drops them.
        only_in_brain : bool
            Leave out units whose channel is in no structure. AllenSDK's ``filter_out_of_brain_units`` is to do
            that, and looks for the structure in the units' own file, which has none.
        **unit_filter_kwargs
            ``amplitude_cutoff_maximum`` (0.1), ``presence_ratio_minimum`` (0.95), ``isi_violations_maximum`` (0.5),
            themselves included; None is no bound. ``filter_out_of_brain_units`` is accepted, see above.

        Raises
        ------
        ConfigurationError
            There is no filter of that name.
        """
        bounds = bounds_of(unit_filter_kwargs)
        if not self._whole():
            found, bounds = with_metrics(self._those("units")[0], bounds, unit_filter_kwargs)
            rows = np.flatnonzero(kept_units(found, bounds, filter_by_validity, keep_unmeasured))
            table = found.frame().iloc[rows]
            if only_in_brain and "ecephys_structure_id" not in table:
                raise ConfigurationError(f"{found.path} does not say in which structure units are.")
            if only_in_brain:
                table = table[table["ecephys_structure_id"].notna().to_numpy()]
            return table.drop(columns=_listed(suppress, ()), errors="ignore")
        files = self._files(*KINDS)
        in_brain = bool(unit_filter_kwargs.get("filter_out_of_brain_units", True))

        def made(*files: TableFile) -> pd.DataFrame:
            files[3].load(["ecephys_channel_id"])
            kept = kept_units(files[3], bounds, filter_by_validity, keep_unmeasured, in_brain)
            return self._annotated_units(np.flatnonzero(kept), filter_by_validity, *files)

        if (bounds, filter_by_validity, keep_unmeasured, in_brain) == (UNIT_FILTERS, True, False, True):
            table = self._once("units", made, *files)
        else:
            table = made(*files)
        if only_in_brain:
            table = table[table["ecephys_structure_id"].notna().to_numpy()]
        table = table.drop(columns=_listed(suppress, SUPPRESS_FROM_UNITS), errors="ignore")
        return table.rename(columns=ANNOTATED_NAMES) if probe_names else table

    # The metrics of units --------------------------------------------------------------------------

    def session_metrics(
        self,
        session_id: int | str,
        annotate: bool = True,
        filter_by_validity: bool = True,
        *,
        parse_lists: bool = False,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the metrics of a session's units by ``ecephys_unit_id``.

        Parameters
        ----------
        session_id : int
            The session.
        annotate : bool
            Keep units that pass the filters only, and put the columns of :meth:`units` first.
        filter_by_validity, **unit_filter_kwargs
            As :meth:`units`.
        parse_lists : bool
            Return lists as lists. AllenSDK gives back the text that stands in the file.
        """
        metrics = self._metrics(Key("session_analysis_metrics", (session_id,)), parse_lists)
        if not annotate:
            return metrics
        units = self.units(filter_by_validity=filter_by_validity, **unit_filter_kwargs)
        return _beside_metrics(of_session(units, session_id), metrics)

    def type_metrics(
        self,
        session_type: str,
        annotate: bool = True,
        filter_by_validity: bool = True,
        *,
        parse_lists: bool = False,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the metrics of the units of all sessions of a type by ``ecephys_unit_id``.

        Parameters
        ----------
        session_type : str
            One of :meth:`session_types`.
        annotate, filter_by_validity, parse_lists, **unit_filter_kwargs
            As :meth:`session_metrics`.

        Raises
        ------
        ConfigurationError
            No session is of that type.
        """
        known = self.session_types()
        if session_type not in known:
            raise ConfigurationError(
                f"No session is of the type {session_type!r}; there are {', '.join(map(str, known))}."
            )
        metrics = self._metrics(Key("typewise_analysis_metrics", (session_type,)), parse_lists)
        if not annotate:
            return metrics
        return _beside_metrics(
            self.units(filter_by_validity=filter_by_validity, **unit_filter_kwargs), metrics
        )

    def _metrics(self, key: Key, parse_lists: bool) -> pd.DataFrame:
        metrics = self._file(key, "ecephys_unit_id").frame()
        for name in metrics.columns if parse_lists else ():
            cells = metrics[name].to_numpy()
            if cells.dtype == object and any(isinstance(c, str) and c.startswith("[") for c in cells):
                metrics[name] = objects(ast.literal_eval(c) if isinstance(c, str) else c for c in cells)
        return metrics

    # Lists -----------------------------------------------------------------------------------------

    def session_types(self, **session_kwargs: Any) -> list[Any]:
        """Return the types of sessions, in the order of the table."""
        return self._different("session_type", self.sessions(**session_kwargs))

    def full_genotypes(self, **session_kwargs: Any) -> list[Any]:
        """Return the genotypes, in the order of the table."""
        table = self.sessions(**session_kwargs)
        return self._different("full_genotype" if "full_genotype" in table else "genotype", table)

    def ages(self, **session_kwargs: Any) -> list[Any]:
        """Return the ages (days), in the order of the table."""
        return self._different("age_in_days", self.sessions(**session_kwargs))

    def sexes(self, **session_kwargs: Any) -> list[Any]:
        """Return the sexes, in the order of the table."""
        return self._different("sex", self.sessions(**session_kwargs))

    def structure_acronyms(self, **channel_kwargs: Any) -> list[Any]:
        """Return the structures that channels are in, in the order of the table; nan for those in none."""
        return self._different("ecephys_structure_acronym", self.channels(**channel_kwargs))

    @staticmethod
    def _different(name: str, table: pd.DataFrame) -> list[Any]:
        if name not in table:
            raise ConfigurationError(f"There is no {name} to list: it was suppressed, or the table has none.")
        found: list[Any] = table[name].unique().tolist()
        return found

    # For the cache ---------------------------------------------------------------------------------

    def session_ids(self) -> Collection[Any]:
        """Return the ids of the sessions: numbers as int, also where others are text."""
        (sessions,) = self._those("sessions", only=True)
        return {int(i) if isinstance(i, str) and i.isdecimal() else i for i in sessions.ids.tolist()}

    def lfp_probes(self, session_id: int | str) -> list[int]:
        """Return the probes of a session that have an LFP file, in the order of the table."""
        (probes,) = self._those("probes", only=True)
        of_session = probes.values("ecephys_session_id") == session_id
        if session_id not in self.session_ids():
            raise UnknownObjectError(f"There is no session {session_id} in {probes.path.parent}.")
        if "has_lfp_data" in probes.names:
            of_session &= probes.values("has_lfp_data").astype(bool)
        found: list[int] = probes.ids[of_session].tolist()
        return found

    def session_channels(self) -> pd.DataFrame:
        """Return what the project knows of channels by id: structure (id and acronym) and coordinates (µm)."""
        (channels,) = self._those("channels", only=True)
        return channels.some(("ecephys_structure_id", "ecephys_structure_acronym", *_CCF))

    # Making ----------------------------------------------------------------------------------------

    def _file(self, key: Key, id_name: str | None = None) -> TableFile:
        path = self._path_of(key)
        return table_file(path, id_name or ID_NAMES[key.kind], keep=self._may_keep(key, path))

    def _whole(self) -> bool:
        """Return whether the project has all four tables."""
        return all(self.has(kind) for kind in KINDS)

    def _those(self, first: str, *, only: bool = False) -> list[TableFile]:
        """Return a table that is asked for, and after it the others that the project has."""
        if not self.has(first):
            there = ", ".join(kind for kind in KINDS if self.has(kind))
            raise UnknownObjectError(
                f"This project has no table of {first}; it has {there or 'no tables at all'}."
            )
        kinds = [first] if only else [first, *(kind for kind in KINDS if kind != first and self.has(kind))]
        return [self._file(Key(kind)) for kind in kinds]

    def _loose(self, kind: str, suppress: Sequence[str] | None) -> pd.DataFrame:
        (table,) = self._those(kind, only=True)
        return table.frame().drop(columns=_listed(suppress, ()), errors="ignore")

    def _loose_sessions(self, *files: TableFile) -> pd.DataFrame:
        table = files[0].frame()
        others = [kind for kind in KINDS[1:] if self.has(kind)]
        named = dict(zip(others, files[1:], strict=True))
        kept = None
        if "units" in named:
            units, bounds = with_metrics(named["units"], UNIT_FILTERS, {})
            kept = kept_units(units, bounds)
        for name, count in counts(files[0], named, kept).items():
            table[name] = count
        return table

    def _files(self, *kinds: str) -> tuple[TableFile, ...]:
        return tuple(self._file(Key(kind)) for kind in kinds)

    def _once(self, name: str, make: Callable[..., pd.DataFrame], *files: TableFile) -> pd.DataFrame:
        """Return a table that is made anew only if one of its files is another by now; the caller's to change."""
        known = self._made.get(name)
        if known is None or any(a is not b for a, b in zip(known[0], files, strict=True)):
            known = self._made[name] = files, make(*files)
        # With copy-on-write a shallow copy is safe, and costs nothing.
        table = known[1].copy(deep=not _COPY_ON_WRITE)
        if ACRONYMS in table:
            # cells that are arrays are the caller's own as well: they can be sorted in place
            table[ACRONYMS] = objects(c.copy() if isinstance(c, np.ndarray) else c for c in table[ACRONYMS])
        return table

    def _annotated_units(self, rows: Array, drop_quality: bool, *files: TableFile) -> pd.DataFrame:
        channels = self._once("channels of units", annotated_channels, *files[:3])
        return annotated_units(files[3], rows, channels, drop_quality=drop_quality)


def _beside_metrics(units: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    at = metrics.index.get_indexer(units.index)
    table = beside(units[at >= 0], metrics.iloc[at[at >= 0]], ("_x", "_y"))
    return table.rename_axis("ecephys_unit_id")


def _listed(names: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    """Return the columns to leave out; a single name may be given as it is."""
    if names is None:
        return list(default)
    return [names] if isinstance(names, str) else list(names)


#: pandas 3 copies when something is written
_COPY_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3
