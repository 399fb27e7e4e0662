"""The tables of a project: its sessions, probes, channels and units, and what was measured of these."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache.errors import UnknownObjectError
from project_cache.manifest.keys import Key

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.manifest.model import Manifest
    from project_cache.store.store import Store
    from project_cache.tables.tables import Tables

__all__ = ["HasTables", "id_of"]


class HasTables:
    """The part of a :class:`~project_cache.cache.ProjectCache` that says what there is: its tables."""

    manifest: Manifest
    store: Store
    _tables: Tables | None

    @property
    def tables(self) -> Tables:
        """The project's tables, each read when it is first asked for."""
        if self._tables is None:
            from project_cache.tables.tables import Tables

            # Copies go beside what this cache owns, never into a layer.
            may_keep = functools.partial(_is_own, self.manifest)
            self._tables = Tables(self.store.get, may_keep, self._has_table)
        return self._tables

    def _has_table(self, kind: str) -> bool:
        """Return whether the project has a table: it is here, or there is somebody who can be asked for it."""
        if self.manifest.allen:
            return True
        key = Key(kind)
        if not any(kind in layer.layout.kinds() for layer in (*self.store.layers, self.manifest)):
            return False
        return bool(self.store.sources_for(key)) or self.store.find(key) is not None

    def get_session_table(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row for each session, with the number of its units, channels and probes and its structures.

        A project with fewer than the four tables gives what it has: its table of sessions as it is, with the counts that
        follow from its other tables; without a table of sessions, ``session_class`` and ``size`` of those that its manifest
        names or that are here.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out; by default AllenSDK's choice.
        """
        if not self.tables.has("sessions"):
            from project_cache.tables.loose import listed_sessions

            here = self.store.present(["session_nwb"])
            table = listed_sessions(self.manifest.objects, here, self.manifest.session_class)
            return table.drop(columns=list(suppress or ()), errors="ignore")
        return self.tables.sessions(suppress=suppress)

    def get_probes(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row for each probe of each session."""
        return self.tables.probes(suppress=suppress)

    def get_channels(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row for each channel of each probe."""
        return self.tables.channels(suppress=suppress)

    def get_units(
        self,
        suppress: Sequence[str] | None = None,
        filter_by_validity: bool = True,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return one row for each sorted unit that passes the filters, joined with its channel, probe and session.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out; by default AllenSDK's choice.
        filter_by_validity : bool
            Whether to keep only units of the quality "good".
        **unit_filter_kwargs
            ``amplitude_cutoff_maximum`` (0.1), ``presence_ratio_minimum`` (0.95), ``isi_violations_maximum`` (0.5);
            None is no limit. ``filter_out_of_brain_units`` (True). More: see :meth:`Tables.units`.
        """
        return self.tables.units(
            suppress=suppress, filter_by_validity=filter_by_validity, **unit_filter_kwargs
        )

    def get_unit_analysis_metrics_for_session(
        self,
        session_id: int | str,
        annotate: bool = True,
        filter_by_validity: bool = True,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the published response metrics of a session's units, one row for each."""
        return self.tables.session_metrics(
            id_of(session_id), annotate=annotate, filter_by_validity=filter_by_validity, **unit_filter_kwargs
        )

    def get_unit_analysis_metrics_by_session_type(
        self,
        session_type: str,
        annotate: bool = True,
        filter_by_validity: bool = True,
        **unit_filter_kwargs: Any,
    ) -> pd.DataFrame:
        """Return the published response metrics of the units of all sessions of a type, one row for each."""
        return self.tables.type_metrics(
            session_type, annotate=annotate, filter_by_validity=filter_by_validity, **unit_filter_kwargs
        )

    def get_all_session_types(self, **session_kwargs: Any) -> list[Any]:
        """Return the session types, in the order of the table."""
        return self.tables.session_types(**session_kwargs)

    def get_all_full_genotypes(self, **session_kwargs: Any) -> list[Any]:
        """Return the genotypes, in the order of the table."""
        return self.tables.full_genotypes(**session_kwargs)

    def get_structure_acronyms(self, **channel_kwargs: Any) -> list[Any]:
        """Return the acronyms of the structures that channels lie in (nan for those outside of the brain)."""
        return self.tables.structure_acronyms(**channel_kwargs)

    def get_all_ages(self, **session_kwargs: Any) -> list[Any]:
        """Return the ages in days, in the order of the table."""
        return self.tables.ages(**session_kwargs)

    def get_all_sexes(self, **session_kwargs: Any) -> list[Any]:
        """Return the sexes, in the order of the table."""
        return self.tables.sexes(**session_kwargs)


def _is_own(manifest: Manifest, key: Key, path: Path) -> bool:
    return path == manifest.locate(key)


def id_of(session_id: Any) -> Any:
    """Return an id as the keys have it: an int (whatever NumPy calls it), or a string that is no number."""
    if isinstance(session_id, str) and not session_id.isdecimal():
        return session_id
    try:
        return int(session_id) if isinstance(session_id, str) else operator.index(session_id)
    except TypeError:
        raise UnknownObjectError(
            f"{session_id!r} is not a session id: give one of the index of get_session_table()."
        ) from None
