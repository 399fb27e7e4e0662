"""The source of the demo project: it makes each object when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from project_cache.errors import MissingObjectError
from project_cache.files import translated
from project_cache.manifest.keys import Key
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DemoSource"]

TABLES = ("sessions", "probes", "channels", "units")


class DemoSource:
    """A source that computes the demo project's objects instead of fetching them.

    The project is synthetic: six sessions of two types, with the tables, the file layout and the names of
    the Visual Coding Neuropixels project, and units whose tuning is known because they were made with it.
    An object always comes out the same, byte for byte, on one machine with one set of libraries. Only what
    is asked for is made: a session takes about a second.

    Attributes
    ----------
    name : str
    remote : bool
        False: nothing leaves the machine.

    Examples
    --------
    >>> source = DemoSource()
    >>> source.has(Key("sessions")), source.has(Key("session_nwb", (900003,)))
    (True, True)
    >>> source.has(Key("session_nwb", (715093703,)))
    False
    """

    name = "demo (made on this machine)"
    remote = False

    def has(self, key: Key) -> bool:
        """Return whether the object is part of the demo project."""
        # the source is made wherever the cache is opened; pandas is only wanted when something is
        from project_cache.build.demo_project import NO_LFP, SESSIONS

        args = key.args
        if key.kind in TABLES:
            return not args
        if key.kind == "typewise_analysis_metrics":
            return len(args) == 1 and args[0] in {s.session_type for s in SESSIONS.values()}
        session = SESSIONS.get(args[0]) if args and isinstance(args[0], int) else None
        if session is None:
            return False
        if key.kind in ("session_nwb", "session_analysis_metrics"):
            return len(args) == 1
        if key.kind == "probe_lfp_nwb":
            have = {
                session.probe_id(n) for n, _, _ in session.probes if (session.session_id, n) not in NO_LFP
            }
            return len(args) == 2 and args[1] in have
        return False

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Make the object in the part.

        Raises
        ------
        MissingObjectError
            It is no object of the demo project.
        """
        if not self.has(key):
            raise MissingObjectError(
                f"The demo project has no {key}. Its sessions are listed by get_session_table()."
            )
        origin = f"demo:{key}"
        progress(0, None)
        _make(key, part.path)
        part.written(origin=origin)
        progress(part.position, part.position)
        return Filled(origin=origin, size=part.position)


def _make(key: Key, path: Path) -> None:
    """Write the object to ``path``."""
    from project_cache.build.demo_project import SESSIONS
    from project_cache.build.demo_tables import analysis_metrics, table

    if key.kind in TABLES:
        _write_csv(table(key.kind), path)
        return
    if key.kind == "typewise_analysis_metrics":
        from pandas import concat

        chosen = [s for s in SESSIONS.values() if s.session_type == key.args[0]]
        _write_csv(concat([analysis_metrics(s) for s in chosen]), path)
        return
    session = SESSIONS[int(key.args[0])]
    if key.kind == "session_analysis_metrics":
        _write_csv(analysis_metrics(session), path)
        return

    from project_cache.build import demo_activity, visual_coding

    recording = demo_activity.recording(session)
    if key.kind == "session_nwb":
        visual_coding.write_session(recording, path)
    else:
        probe_id = int(key.args[1])
        lfp = demo_activity.field_potential(session, probe_id)
        visual_coding.write_lfp(recording, probe_id, lfp, path)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with translated(path):
        table.to_csv(path, lineterminator="\n")
