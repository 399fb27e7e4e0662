"""Roots: folders, S3 prefixes and web folders that hold the raw folders of many sessions, one each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from project_cache.errors import MissingObjectError, UnknownObjectError
from project_cache.raw.identity import AINDSessionRecord, SessionRecord
from project_cache.raw.layouts import surface_name
from project_cache.raw.listings import Listings
from project_cache.raw.names import extract_aind_session_id, extract_session_id, is_session_name
from project_cache.raw.places import AnyPath, RemotePath, place

__all__ = ["recordings_by_session", "resolve", "session_of"]

_SURFACE = surface_name("")


def session_of(name: str) -> SessionRecord | None:
    """Return the session whose raw folder would have this name, or None.

    Examples
    --------
    >>> session_of("DRpilot_668755_20230831"), session_of("DRpilot_668755_20230831_surface_channels")
    (SessionRecord('668755_2023-08-31'), SessionRecord('668755_2023-08-31_1'))
    >>> session_of("ecephys_668755_2023-08-31_12-33-31_sorted_2024-01-02_03-04-05") is None
    True
    """
    surface = name.endswith(_SURFACE)
    stem = name.removesuffix(_SURFACE)
    if not is_session_name(stem):
        return None
    try:
        session = SessionRecord(extract_session_id(stem))
    except ValueError:
        return None
    return session.with_idx(1) if surface else session


def recordings_by_session(root: str | AnyPath) -> dict[SessionRecord, AnyPath]:
    """Return the raw folders in a root by session, told by their names alone.

    The surface-channel recording of a session has the index 1: its folder is named after the main one's, or, in
    the cloud, is the day's second asset. Of a session in several folders, the rig's own comes first.

    Parameters
    ----------
    root : str or Path or RemotePath
        A folder of session folders, or one session's folder.

    Raises
    ------
    MissingObjectError
        There is no such folder.
    """
    folder = place(root)
    if isinstance(folder, Path):
        folder = folder.absolute()
    if not folder.is_dir():
        raise MissingObjectError(f"There is no folder {folder}.")
    itself = session_of(folder.name)
    if itself is not None:
        return {itself: folder}
    found: dict[SessionRecord, AnyPath] = {}
    assets: dict[SessionRecord, list[AnyPath]] = defaultdict(list)
    listings = Listings()
    for path in listings.members(folder):
        session = session_of(path.name)
        if session is None or not listings.is_dir(path):
            continue
        if extract_aind_session_id(path.name) == path.name:
            assets[session.with_idx(0)].append(path)
        else:
            found.setdefault(session, path)
    for session, paths in assets.items():
        # a training session of the same day is an asset too, but not one of this recording's
        ecephys = [path for path in paths if AINDSessionRecord(path.name).platform == "ecephys"]
        for idx, path in enumerate(ecephys or paths):
            found.setdefault(session.with_idx(idx), path)
    return found


def resolve(session: str | AnyPath, roots: str | AnyPath | Iterable[str | AnyPath]) -> AnyPath:
    r"""Return the raw folder of a session.

    Parameters
    ----------
    session : str or Path or RemotePath
        An id; or, where it has a ``/``, ``\`` or ``.`` in it, a path.
    roots : str or Path or RemotePath, or iterable of them
        Where to look, in this order; roots that do not exist are passed over.

    Raises
    ------
    UnknownObjectError
        That is no session. (It is a KeyError.)
    MissingObjectError
        It is in none of the roots, all of which are named. (It is a FileNotFoundError.)
    """
    text = str(session)
    if isinstance(session, Path | RemotePath) or re.search(r"[/\\.]", text):
        path = place(session if isinstance(session, Path | RemotePath) else text)
        if not path.exists():
            raise MissingObjectError(
                f"There is no {path}: a session's raw folder, or a file in it, is needed."
            )
        return path
    try:
        record = SessionRecord(text)
    except ValueError as error:
        raise UnknownObjectError(str(error)) from error
    searched = []
    for root in [roots] if isinstance(roots, str | Path | RemotePath) else roots:
        try:
            found = recordings_by_session(root)
        except MissingObjectError:
            searched.append(f"{root} (does not exist)")
            continue
        if record in found:
            return found[record]
        searched.append(f"{root} ({len(found)} recordings)")
    raise MissingObjectError(
        f"Session {record} is in none of the raw roots: {', '.join(searched) or 'none was given'}. Give root= or set "
        f"PROJECT_CACHE_RAW to the folder or S3 prefix that holds its raw folder."
    )
