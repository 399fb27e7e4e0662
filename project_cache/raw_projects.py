"""A project of raw recordings: its table, its sessions built once, its components as tables."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache.build.component_frames import named_frame
from project_cache.build.component_source import ComponentSource
from project_cache.build.plan import KIND, BuildPlan
from project_cache.build.source import BuildSource, built_project
from project_cache.cache import ProjectCache
from project_cache.errors import BuildError, MissingObjectError, ProjectCacheError, UnknownObjectError
from project_cache.files import atomic_write, make_folder
from project_cache.manifest.keys import Key
from project_cache.raw.project import RawProject
from project_cache.session_rows import SessionRows
from project_cache.sessions.dynamic_routing import DynamicRoutingSession
from project_cache.sessions.dynamic_routing_building import project_folder, recipe_in
from project_cache.store.receipts import Receipt

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.publishing.publication import Published

__all__ = ["RawProjectCache"]

_log = logging.getLogger("project_cache")


class RawProjectCache(ProjectCache):
    """A project of raw recordings, whose sessions are built when they are asked for; made by :meth:`ProjectCache.from_raw`.

    Parameters
    ----------
    root : path-like, or sequence of them, optional
        Folders or S3 prefixes in which raw folders lie; by default those in ``PROJECT_CACHE_RAW``, then those of the
        manifest ``dynamic-routing``.
    registry : path-like, optional
        The project's registry of sessions (YAML); by default the manifest's.
    cache_dir : path-like, optional
        Where built things go, in a folder ``dynamic-routing``; by default ``PROJECT_CACHE_DIR``, or the user's cache
        folder.
    raw : {'omit', 'lfp', 'copy'}
        What built files do with the raw AP and LFP.
    given : mapping, optional
        What is said of every session (see :class:`DynamicRoutingSession`).
    **options
        ``layers``, ``progress``, ``lock_timeout`` as in :class:`ProjectCache`.
    """

    def __init__(
        self,
        root: Any = None,
        *,
        registry: Any = None,
        cache_dir: Any = None,
        raw: str = "omit",
        given: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.project = RawProject(root, registry)
        self.given = dict(given or {})
        self.raw_mode = raw
        self._arguments = {"root": root, "registry": registry, "cache_dir": cache_dir, "raw": raw}
        self._source = BuildSource(f"build from {', '.join(map(str, self.project.roots))}")
        self._frames = ComponentSource()
        manifest = built_project(project_folder(cache_dir))
        self._setup(manifest, sources=[self._source, self._frames], **options)

    # Sessions ----------------------------------------------------------------------------------

    def session_ids(self) -> list[str]:
        """Return the ids of the project's sessions, newest first: those of the registry, and those in the roots."""
        return self.project.session_ids()

    def plan(self, session_id: Any, **given: Any) -> BuildPlan:
        """Return how a session is to be built.

        Raises
        ------
        UnknownObjectError
            The project has no such session.
        MissingObjectError
            Its raw folder is in none of the roots.
        """
        record = self.project.record(session_id)
        path = self.project.resolve(record)
        said = {**self.given, **given}
        return BuildPlan(
            path, info=self.project.info(record), session_id=str(record), raw=self.raw_mode, **said
        )

    def get_session_data(self, session_id: Any, **given: Any) -> DynamicRoutingSession:  # type: ignore[override]
        """Return a session that reads its NWB, which is built if it is not there.

        Parameters
        ----------
        session_id : str
            The session's id, in any of its forms.
        **given
            What the caller knows better (see :class:`DynamicRoutingSession`): another file is built for it.

        Raises
        ------
        UnknownObjectError
            The project has no such session.
        BuildError
            It cannot be built; the table says so too, and the other sessions are not touched.
        """
        try:
            plan = self.plan(session_id, **given)
        except (MissingObjectError, UnknownObjectError):
            newest = self._newest(session_id)
            if newest is None:
                raise
            return DynamicRoutingSession(newest)
        return DynamicRoutingSession(self._built(plan))

    def build(self, session_id: Any, **given: Any) -> Path:
        """Return the NWB of a session, which is built if it is not there."""
        return self._built(self.plan(session_id, **given))

    def _built(self, plan: BuildPlan) -> Path:
        recipe = recipe_in(self.manifest.folder, plan)
        return self.store.get(self._source.offer(plan, recipe))

    def _newest(self, session_id: Any) -> Path | None:
        """Return the last NWB that was built of a session whose raw folder is not here."""
        record = str(self.project.record(session_id, known=False))
        found = [
            path
            for layer in (*self.store.layers, self.manifest)
            for key, path in layer.scan(KIND)
            if str(key.args[0]) == record
        ]
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def raw_session(self, session_id: Any, **given: Any) -> DynamicRoutingSession:
        """Return a session that computes its components from the raw folder, each when it is asked for."""
        return DynamicRoutingSession.from_plan(
            self.plan(session_id, **given), cache_dir=self._arguments["cache_dir"]
        )

    def fetch(  # type: ignore[override]
        self, session_ids: Iterable[Any] | None = None, *, workers: int | None = None
    ) -> dict[Key, Path]:
        """Build sessions, several at a time, and return their files.

        Parameters
        ----------
        session_ids : iterable of str, optional
            Which; by default all.
        workers : int, optional
            Processes; by default one for each core.

        Notes
        -----
        A session that cannot be built is left out, with a warning, and does not stop the others.
        """
        wanted = [
            str(self.project.record(i))
            for i in (session_ids if session_ids is not None else self.session_ids())
        ]
        found: dict[Key, Path] = {}
        if workers == 1 or len(wanted) <= 1:
            results = [self._try_build(i) for i in wanted]
        else:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context) as pool:
                try:
                    results = list(pool.map(_build_one, [(self._arguments, self.given, i) for i in wanted]))
                except BrokenProcessPool as error:
                    raise BuildError(
                        "A process that was building ended before it was done. In a script, what calls fetch() must stand "
                        "under `if __name__ == '__main__':`; if it does, memory may have run out: workers=1 builds one "
                        "session at a time, in this process."
                    ) from error
        for session_id, result in zip(wanted, results, strict=True):
            if isinstance(result, str):
                warnings.warn(f"{session_id} was not built: {result}", UserWarning, stacklevel=2)
            else:
                found[Key(KIND, (session_id, result.stem.rpartition("_")[2]))] = result
        return found

    def _try_build(self, session_id: str) -> Path | str:
        try:
            return Path(self.get_session_data(session_id).path)
        except ProjectCacheError as error:
            return str(error)

    # Tables ------------------------------------------------------------------------------------

    def get_session_table(self, suppress: Iterable[str] | None = None) -> pd.DataFrame:
        """Return one row for each session, newest first, by its id.

        Columns: ``subject_id``, ``date``, ``project``, ``session_type``, flags (``is_ephys``, ``is_task`` …),
        ``trial_count``, ``unit_count``, ``issues``, and the state of its NWB in the cache: ``build_state`` (``built``,
        ``outdated``: its inputs have changed since, ``not built``, ``failed``, ``impossible``), ``build_detail``.

        Parameters
        ----------
        suppress : iterable of str, optional
            Columns to leave out.

        Notes
        -----
        What was read of a folder is kept in the cache and holds for as long as the folder looks the same. Who
        interrupts keeps what had been read by then.
        """
        import pandas as pd

        frame = pd.DataFrame(self._rows().rows(self.session_ids()))
        if frame.empty:
            frame = pd.DataFrame({"session_id": pd.Series(dtype=str)})
        return frame.set_index("session_id").drop(columns=list(suppress or ()), errors="ignore")

    def _rows(self) -> SessionRows:
        return SessionRows(self.project, self.plan, self.manifest, self.store.layers, self.progress)

    def publish(
        self,
        destination: str | Path,
        version: str | None = None,
        *,
        sessions: Iterable[Any] | None = None,
        **options: Any,
    ) -> Published:
        """Publish built sessions for others to open, with a table of them, as a new version of what is there.

        Readers need neither the raw recordings nor anything that builds: they open a project of NWB files.

        Parameters
        ----------
        destination : str or pathlib.Path
            ``s3://bucket/prefix``, or a folder: a shared drive, or what a web server serves.
        version : str, optional
            What the version is called; by default ``"1"``, then the last one counted on.
        sessions : iterable of str, optional
            Which sessions; they are built where they are not. By default those that are built.
        **options
            As in :meth:`ProjectCache.publish`.

        Raises
        ------
        BuildError
            A session that was asked for cannot be built.
        PublishConflictError
            Somebody else published in the meantime. Publish again.
        """
        wanted = None if sessions is None else [str(self.project.record(i, known=False)) for i in sessions]
        for session_id in wanted or ():
            try:
                self.build(session_id)
            except (MissingObjectError, UnknownObjectError):
                if self._newest(session_id) is None:
                    raise
        built = {str(key.args[0]): None for key in self.store.present([KIND])}
        self._write_table(list(built) if wanted is None else wanted)
        return super().publish(destination, version, sessions=wanted, **options)

    def _write_table(self, session_ids: list[str]) -> None:
        """Write the table that is published: flags and counts, and nothing about this machine."""
        import pandas as pd

        table = self._rows()
        rows = []
        records = [self.project.record(session_id, known=False) for session_id in session_ids]
        records.sort(key=lambda record: (str(record.date), str(record)), reverse=True)
        here = [session_id for session_id in map(str, records) if self.project.folder(session_id) is not None]
        looked = dict(zip(here, table.rows(here), strict=True))
        for record in records:
            session_id = str(record)
            row = {"session_id": session_id, "subject_id": int(record.subject), "date": str(record.date)}
            # of one whose recording is not here any more, what was noted last
            row |= looked[session_id] if session_id in looked else table.notes.last(session_id) or {}
            if row.pop("build_state", "") == "outdated":
                warnings.warn(
                    f"{session_id} is published as it was built, and {row['build_detail']}. Ask for it to build it anew.",
                    UserWarning,
                    stacklevel=3,
                )
            row.pop("build_detail", None)
            for root in map(str, self.project.roots):
                row["issues"] = str(row.get("issues") or "").replace(f"{root.rstrip('/')}/", "")
            rows.append(row)
        if not rows:
            return
        path = self.manifest.locate(Key("sessions"))
        make_folder(path.parent)
        Receipt.path_for(path).unlink(missing_ok=True)  # it is of the table that was
        with atomic_write(path) as temporary:
            # flags and counts that are not known are empty cells, and the others stay what they are
            pd.DataFrame(rows).convert_dtypes().to_csv(temporary, index=False)
        self.store.forget(Key("sessions"))

    def get_all(
        self, component: str, session_ids: Iterable[Any] | None = None, *, workers: int | None = None
    ) -> pd.DataFrame:
        """Return a component of all sessions as one frame, whose rows say of which session they are.

        Each session's part is kept as parquet in the cache, and made again only when its recording changes.

        Parameters
        ----------
        component : str
            ``trials``, ``performance``, ``units``, ``electrodes``, ``licks``, ``running_speed``, ``spike_times`` …
        session_ids : iterable of str, optional
            Of which; by default of all.
        workers : int, optional
            Threads.

        Notes
        -----
        Sessions without the component are left out; those that cannot be read as well, with a warning.
        """
        from concurrent.futures import ThreadPoolExecutor

        import pandas as pd

        name = named_frame(component)
        wanted = list(session_ids if session_ids is not None else self.session_ids())
        with ThreadPoolExecutor(workers or 2) as pool:
            parts = list(pool.map(lambda session_id: self._part(name, session_id), wanted))
        frames = [part for part in parts if part is not None and len(part)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _part(self, name: str, session_id: Any) -> pd.DataFrame | None:
        import pandas as pd

        try:
            plan = self.plan(session_id)
            recipe = recipe_in(self.manifest.folder, plan)
            built = self.store.find(plan.key(recipe))
            session = DynamicRoutingSession(built) if built else DynamicRoutingSession.from_plan(plan)
            key = self._frames.offer(
                name, plan.raw.id, recipe.digest, lambda which: getattr(session, which), recipe.json()
            )
            with contextlib.closing(session):
                return pd.read_parquet(self.store.get(key))
        except MissingObjectError as error:
            _log.info("%s", error)
        except ProjectCacheError as error:
            warnings.warn(f"{session_id} has no part in {name}: {error}", UserWarning, stacklevel=2)
        return None

    def get_units(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Return the units of all sessions: :meth:`get_all` of ``units``."""
        return self.get_all("units", *args, **kwargs)

    def get_channels(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Return the electrodes of all sessions: :meth:`get_all` of ``electrodes``."""
        return self.get_all("electrodes", *args, **kwargs)

    def get_probes(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Return the probes of all sessions: :meth:`get_all` of ``electrode_groups``."""
        return self.get_all("electrode_groups", *args, **kwargs)


def _build_one(what: tuple[dict[str, Any], dict[str, Any], str]) -> Path | str:
    """Build a session in a process of its own."""
    arguments, given, session_id = what
    cache = RawProjectCache(**arguments, given=given, progress=False)
    return cache._try_build(session_id)
