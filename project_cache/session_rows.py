"""The rows of a raw project's table: many sessions at once, each read as soon as a thread is free."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property
from typing import TYPE_CHECKING, Any

from project_cache.build.plan import KIND, BuildPlan
from project_cache.build.session_row import RowNotes
from project_cache.display.progress import bar
from project_cache.errors import ProjectCacheError
from project_cache.raw.listings import Listings
from project_cache.raw.project import RawProject
from project_cache.sessions.dynamic_routing_building import build_state

if TYPE_CHECKING:
    from project_cache.manifest.model import Manifest

__all__ = ["SessionRows"]

#: file systems of clusters take long to answer, and answer many at once
THREADS = 16
#: rows that were read are written down so often (s): who interrupts has not waited for nothing
EVERY = 5.0


class SessionRows:
    """What a project's table says of sessions, as the folders are now: made for one table.

    Parameters
    ----------
    project : RawProject
        The sessions.
    plan : callable
        Returns the plan of a session by its id, by given listings.
    manifest : Manifest
        Whose folder built sessions lie in, and the rows of before.
    layers : sequence of Manifest
        Where else built sessions lie.
    progress : bool, optional
        Whether to show a bar.
    """

    def __init__(
        self,
        project: RawProject,
        plan: Callable[..., BuildPlan],
        manifest: Manifest,
        layers: Iterable[Manifest] = (),
        progress: bool | None = None,
    ) -> None:
        self.project = project
        self.notes = RowNotes(manifest.folder / "session_rows.json")
        self._plan, self._progress = plan, progress
        self._folder = manifest.folder
        self._layers = (*layers, manifest)
        self._listings = Listings()

    def rows(self, session_ids: Iterable[str]) -> list[dict[str, Any]]:
        """Return the row of each session, in this order; a session that cannot be read says why.

        Rows are noted as they are read, also when this is interrupted.
        """
        wanted = list(session_ids)
        # what many of them look into, before they all do: of one session alone not all around it is listed
        found = [folder for session_id in wanted if (folder := self.project.folder(session_id)) is not None]
        shared = [parent for parent, count in Counter(each.parent for each in found).items() if count > 1]
        for folder in (*shared, self._folder):
            if folder.is_dir():
                self._listings.members(folder)
        rows: list[dict[str, Any]] = []
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="rows")
        try:
            futures = [pool.submit(self._row, session_id) for session_id in wanted]
            with bar("look at sessions", unit=" sessions", show=self._progress) as told:
                noted = time.monotonic()
                for future in futures:
                    rows.append(_result(future))
                    told(len(rows), len(wanted))
                    if time.monotonic() - noted > EVERY:
                        self.notes.write()
                        noted = time.monotonic()
        finally:
            pool.shutdown(cancel_futures=True)
            self.notes.write()
        return rows

    def _row(self, session_id: str) -> dict[str, Any]:
        record = self.project.record(session_id)
        about = {"session_id": session_id, "subject_id": int(record.subject), "date": str(record.date)}
        try:
            plan = self._plan(session_id, listings=self._listings)
            return {**about, **self.notes.row(plan), **self._state(plan)}
        except ProjectCacheError as error:
            info = self.project.info(record)
            known = (
                {"project": str(info.project), "is_ephys": bool(info.is_ephys)} if info is not None else {}
            )
            built = session_id in self._built
            return {
                **about,
                **known,
                "issues": "; ".join(map(str, getattr(info, "issues", ()) or ())),
                "build_state": "built" if built else "impossible",
                "build_detail": str(error),
            }

    @cached_property
    def _built(self) -> set[str]:
        """The sessions that were built by anybody, whatever has become of their raw folders."""
        return {str(key.args[0]) for layer in self._layers for key, _ in layer.scan(KIND)}

    def _state(self, plan: BuildPlan) -> dict[str, str]:
        """Return what there is of a session in the cache: of most there is nothing, and one listing tells."""
        if not self._listings.is_dir(self._folder / f"session_{plan.session_id}"):
            return {"build_state": "not built", "build_detail": ""}
        return build_state(self._folder, plan)


def _result(future: Future[dict[str, Any]]) -> dict[str, Any]:
    while not future.done():
        # an interrupt arrives between two waits also where a wait cannot be interrupted
        wait([future], timeout=0.5)
    return future.result()
