"""The Visual Behavior Neuropixels project: its tables and its sessions, by the calls of AllenSDK."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from project_cache.cloud_cache import CloudProjectCache
from project_cache.errors import ConfigurationError, UnknownObjectError
from project_cache.manifest.keys import Key

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.sessions.behavior import BehaviorSession
    from project_cache.sessions.behavior_ecephys import BehaviorEcephysSession

__all__ = ["VisualBehaviorNeuropixelsProjectCache"]

#: what the tables have for "no file"
NO_FILE = -999
ABNORMALITIES = ("abnormal_histology", "abnormal_activity")
#: what the table of probes says of the LFP
OF_LFP = ("has_lfp_data", "lfp_sampling_rate", "file_id")


class VisualBehaviorNeuropixelsProjectCache(CloudProjectCache):
    """The Allen Institute's Visual Behavior Neuropixels project: AllenSDK's class of this name, on this package's store.

    Made by :meth:`from_s3_cache` and :meth:`from_local_cache`.
    """

    PROJECT_NAME: ClassVar[str] = "visual-behavior-neuropixels"
    BUCKET_NAME: ClassVar[str] = "visual-behavior-neuropixels-data"
    REGION: ClassVar[str | None] = "us-west-2"
    SESSION_CLASS: ClassVar[str] = "BehaviorEcephysSession"
    LAYOUT: ClassVar[Mapping[str, str]] = {
        "session_nwb": "behavior_ecephys_sessions/{0}/ecephys_session_{0}.nwb",
        "probe_lfp_nwb": "behavior_ecephys_sessions/{0}/probe_{1}_lfp.nwb",
        "behavior_session_nwb": "behavior_only_sessions/{0}/behavior_session_{0}.nwb",
    }

    # Tables ------------------------------------------------------------------------------------

    def get_ecephys_session_table(self, filter_abnormalities: bool = True) -> pd.DataFrame:
        """Return one row for each recording session, by ``ecephys_session_id``.

        Parameters
        ----------
        filter_abnormalities : bool
            Leave out sessions with abnormal histology or abnormal activity.
        """
        table = _nullable(self._table("ecephys_sessions", "ecephys_session_id", "file_id"))
        for name in ABNORMALITIES if filter_abnormalities else ():
            # the first versions do not say
            if name in table.columns:
                table = table[table[name].isna()]
        return table

    def get_behavior_session_table(self) -> pd.DataFrame:
        """Return one row for each behavior session, training included, by ``behavior_session_id``."""
        return _nullable(
            self._table("behavior_sessions", "behavior_session_id", "ecephys_session_id", "file_id")
        )

    def get_probe_table(self) -> pd.DataFrame:
        """Return one row for each probe of each session, by ``ecephys_probe_id``."""
        return self._table("probes", "ecephys_probe_id", "ecephys_session_id", "name", *OF_LFP)

    def get_channel_table(self) -> pd.DataFrame:
        """Return one row for each channel of each probe, by ``ecephys_channel_id``."""
        return self._table("channels", "ecephys_channel_id")

    def get_unit_table(self) -> pd.DataFrame:
        """Return one row for each unit, of whatever quality, by ``unit_id``."""
        return self._table("units", "unit_id")

    def get_session_table(self, suppress: Sequence[str] | None = None) -> pd.DataFrame:
        """Return :meth:`get_ecephys_session_table`, under the name that it has in all projects.

        Parameters
        ----------
        suppress : sequence of str, optional
            Columns to leave out.
        """
        return self.get_ecephys_session_table().drop(columns=list(suppress or ()), errors="ignore")

    # Sessions ----------------------------------------------------------------------------------

    def get_ecephys_session(self, ecephys_session_id: int, *, stream: bool = False) -> BehaviorEcephysSession:
        """Return a recording session; its file is fetched if it is not there, those of its LFP when that is asked for.

        Parameters
        ----------
        ecephys_session_id : int
            A session of :meth:`get_ecephys_session_table`.
        stream : bool
            Whether to read the files where they are, in the bucket, and nothing of them but what is asked for.

        Raises
        ------
        UnknownObjectError
            The project has no such session.
        MissingObjectError
            It has no file, or the file is not here and cannot be had.
        """
        from project_cache.sessions.behavior_ecephys import BehaviorEcephysSession

        key = self._session_key(ecephys_session_id)
        return BehaviorEcephysSession(
            self._current.streamed(key) if stream else self._get(key),
            probe_meta=self._probe_meta(ecephys_session_id, stream=stream),
            origin=(_reopened, (self, "get_ecephys_session", ecephys_session_id, stream)),
        )

    def get_behavior_session(self, behavior_session_id: int, *, stream: bool = False) -> BehaviorSession:
        """Return the behavior of a session, whether it was recorded in training or along with the brain.

        Parameters
        ----------
        behavior_session_id : int
            A session of :meth:`get_behavior_session_table`.
        stream : bool
            Whether to read the file where it is, in the bucket, and nothing of it but what is asked for.

        Raises
        ------
        UnknownObjectError
            The project has no such session.
        MissingObjectError
            It has no file, or the file is not here and cannot be had.
        """
        import pandas as pd

        from project_cache.sessions.behavior import BehaviorSession

        table = self.get_behavior_session_table()
        if behavior_session_id not in table.index:
            raise UnknownObjectError(
                f"{self.PROJECT_NAME} has no behavior session {behavior_session_id!r}; get_behavior_session_table() "
                f"lists its {len(table):,}."
            )
        row = table.loc[behavior_session_id]
        if row["file_id"] == NO_FILE and pd.notna(row["ecephys_session_id"]):
            key = self._session_key(row["ecephys_session_id"])
        else:
            key = self._file(row["file_id"], f"The behavior session {behavior_session_id}")
        return BehaviorSession(
            self._current.streamed(key) if stream else self._get(key),
            origin=(_reopened, (self, "get_behavior_session", behavior_session_id, stream)),
        )

    def get_session_data(
        self,
        session_id: Any,
        filter_by_validity: bool = True,
        *,
        stream: bool = False,
        **unit_filter_kwargs: Any,
    ) -> BehaviorEcephysSession:
        """Return :meth:`get_ecephys_session`, under the name that it has in all projects. It takes no filters."""
        if unit_filter_kwargs or not filter_by_validity:
            raise ConfigurationError(
                f"The sessions of {self.PROJECT_NAME} take no filters; their get_units() and get_channels() do."
            )
        return self.get_ecephys_session(session_id, stream=stream)

    def fetch(self, session_ids: Iterable[Any], *, lfp: bool = False, workers: int = 4) -> dict[Key, Path]:
        """Return the files of recording sessions, each fetched if it is not there: several at a time.

        Parameters
        ----------
        session_ids : iterable of int
            Sessions of the table.
        lfp : bool
            Whether the LFP file of each of their probes is fetched as well.
        workers : int
            How many files are fetched at once.
        """
        keys: list[Key] = []
        for session_id in session_ids:
            keys.append(self._session_key(session_id))
            keys += [key for key, _ in self._lfp_files(session_id).values()] if lfp else []
        absent = [key for key in keys if self.store.find(key) is None]
        if absent:
            # the first one also asks for newer versions of the project; then the rest, beside one another
            self._get(absent[0])
            self._fetch_keys(absent[1:], workers)
        return {key: self._get(key) for key in keys}

    def _session_key(self, session_id: Any) -> Key:
        table = self.get_ecephys_session_table(filter_abnormalities=False)
        if session_id not in table.index:
            raise UnknownObjectError(
                f"{self.PROJECT_NAME} has no recording session {session_id!r}; get_ecephys_session_table() lists its "
                f"{len(table):,}."
            )
        return self._file(table.loc[session_id, "file_id"], f"The recording session {session_id}")

    def _lfp_files(self, session_id: int) -> dict[str, tuple[Key, float]]:
        """Return the LFP file and the LFP's sampling rate (Hz) of the probes that have any, by the probe's name."""
        probes = self.get_probe_table()
        probes = probes[(probes["ecephys_session_id"] == session_id) & probes["has_lfp_data"].astype(bool)]
        rows = zip(probes["name"], probes["file_id"], probes["lfp_sampling_rate"], strict=True)
        return {
            name: (self._file(file_id, f"The LFP of {name}"), float(rate)) for name, file_id, rate in rows
        }

    def _probe_meta(self, session_id: int, *, stream: bool) -> dict[str, Any]:
        from project_cache.sessions.behavior_ecephys import ProbeWithLFPMeta

        # the session's own version, whatever is loaded later
        get: Callable[[Key], Any] = self._current.streamed if stream else self._current.get
        return {
            name: ProbeWithLFPMeta(functools.partial(get, key), rate)
            for name, (key, rate) in self._lfp_files(session_id).items()
        }


def _reopened(cache: VisualBehaviorNeuropixelsProjectCache, call: str, session_id: int, stream: bool) -> Any:
    """Return a session that was pickled, by its cache and its id."""
    return getattr(cache, call)(session_id, stream=stream)


#: columns of the session tables that are whole numbers, where there is one
_WHOLE = ("ecephys_session_id", "prior_exposures_to_image_set", "unit_count", "probe_count", "channel_count")


def _nullable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of sessions with its whole numbers as such, missing ones included."""
    import pandas as pd

    table = table.astype(
        {name: "Int64" for name in _WHOLE if name in table.columns and _is_whole(table[name])}
    )
    if table.index.name in _WHOLE:
        table.index = pd.Index(table.index.astype("Int64"), name=table.index.name)
    return table


def _is_whole(column: pd.Series[Any]) -> bool:
    """Return whether a column has whole numbers and nothing else, as far as it has anything."""
    return column.dtype.kind in "iu" or (column.dtype.kind == "f" and bool((column.dropna() % 1 == 0).all()))
