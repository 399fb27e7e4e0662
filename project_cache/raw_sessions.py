"""Sessions of raw recordings, by their ids or by what they are, each read from its raw folder."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from project_cache.errors import ProjectCacheError
from project_cache.raw_projects import RawProjectCache
from project_cache.sessions.dynamic_routing import DynamicRoutingSession

__all__ = ["get_sessions"]

_log = logging.getLogger("project_cache")


def get_sessions(
    ids: Any = None,
    *,
    root: Any = None,
    registry: Any = None,
    cache_dir: Any = None,
    **filters_and_given: Any,
) -> DynamicRoutingSession | Iterator[DynamicRoutingSession]:
    """Return a session, or yield several, newest first.

    Parameters
    ----------
    ids : str, or iterable of str, optional
        One id gives one session; several give a generator of theirs; none gives one of all sessions of the project.
    root, registry, cache_dir
        As in :class:`DynamicRoutingSession`.
    **filters_and_given
        Flags and facts of sessions (``is_task=True``, ``is_ephys=True``, ``subject=668755``, ``project=…``) choose
        sessions. Options of the build (``invalid_times=…``) are given to each session.

    Notes
    -----
    Sessions of which the registry says that they have issues are left out with a warning, unless they were asked for
    by id; so are those that cannot be opened. The generator keeps no session.

    Examples
    --------
    >>> trials = {s.id: s.trials[:] for s in get_sessions(root="/data/raw", is_task=True)}  # doctest: +SKIP
    """
    import dataclasses

    from project_cache.build.options import Options

    options = {field.name for field in dataclasses.fields(Options)}
    given = {name: value for name, value in filters_and_given.items() if name in options}
    filters = {name: value for name, value in filters_and_given.items() if name not in options}
    cache = RawProjectCache(root, registry=registry, cache_dir=cache_dir, given=given)
    if ids is not None and (isinstance(ids, str) or not isinstance(ids, Iterable)):
        return cache.raw_session(ids)
    return _chosen(cache, ids, filters)


def _chosen(
    cache: RawProjectCache, ids: Iterable[Any] | None, filters: Mapping[str, Any]
) -> Iterator[DynamicRoutingSession]:
    for session_id in cache.session_ids() if ids is None else ids:
        record = cache.project.record(session_id, known=False)
        info = cache.project.info(record)
        if ids is None and info is not None and info.issues:
            warnings.warn(f"{record} is left out, having issues: {info.issues}", UserWarning, stacklevel=2)
            continue
        if info is not None and any(getattr(info, n, v) != v for n, v in filters.items() if hasattr(info, n)):
            continue
        try:
            session = cache.raw_session(session_id)
            if all(getattr(session, name) == value for name, value in filters.items()):
                yield session
        except ProjectCacheError as error:
            _log.warning("%s is left out: %s", record, error)
