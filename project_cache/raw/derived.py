"""Derived folders: where the sorted output and the annotations of a recording lie, inside its folder or beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from project_cache.errors import CorruptObjectError, MissingObjectError
from project_cache.raw.identity import SessionRecord
from project_cache.raw.listings import Listings
from project_cache.raw.names import extract_probe_letter, extract_subject
from project_cache.raw.places import AnyPath, read_json
from project_cache.raw.roots import session_of

__all__ = ["annotation_files", "find_annotations", "find_sorted", "is_sorted_output"]

#: what the sorting pipeline leaves; any of them makes a folder its output
_SORTED = frozenset(
    {"postprocessed", "sorting_precurated", "curated", "spikesorted", "visualization_output.json"}
)
_TISSUECYTE = re.compile(r"[Pp]robe_?(?P<letter>[A-F])(?P<day>[0-9]+)_channels_(?P<subject>[0-9]{6,7})_")
_TABLES = (".csv", ".json")
#: annotations/tissuecyte/<subject>/<file>
_DEEPEST = 3


def is_sorted_output(folder: AnyPath, listings: Listings) -> bool:
    """Return whether a folder holds what the spike sorting pipeline leaves."""
    return listings.is_dir(folder) and any(path.name in _SORTED for path in listings.members(folder))


def find_sorted(root: AnyPath, session: SessionRecord, listings: Listings) -> AnyPath | None:
    """Return the folder of a session's sorted output, or None.

    Looked for, in this order: ``sorted/`` in the session's folder; beside that folder ``<its name>_sorted…`` (the
    newest), ``sorted/<its name>/`` and ``sorted/<session>/``; at last ``sorted/`` itself, unless what lies
    in it says that it is another session's, or there are others that it may be of.
    """
    inside = root / "sorted"
    if is_sorted_output(inside, listings):
        return inside
    siblings = listings.starting_with(root.parent, f"{root.name}_sorted")[::-1]
    for folder in siblings:
        if is_sorted_output(folder, listings):
            return folder
    beside = root.parent / "sorted"
    if not listings.is_dir(beside):
        return None
    for folder in (beside / root.name, beside / str(session)):
        if is_sorted_output(folder, listings):
            return folder
    if not is_sorted_output(beside, listings):
        return None
    named = _named(beside)
    if named is None:
        # it does not say whose it is: this session's, if there is no other one here
        others = {session_of(path.name) for path in listings.members(root.parent)} - {
            None,
            session,
            session.with_idx(1),
        }
        return None if others else beside
    return beside if named == session else None


def _named(folder: AnyPath) -> SessionRecord | None:
    """Return the session that a folder of sorted output says it is of."""
    try:
        described = read_json(folder / "data_description.json")
        return SessionRecord(described["name"])
    except (MissingObjectError, CorruptObjectError, ValueError, TypeError, KeyError):
        return None


def find_annotations(root: AnyPath, listings: Listings) -> AnyPath | None:
    """Return the folder of annotations in a session's folder, or beside it, or None."""
    for folder in (root / "annotations", root.parent / "annotations"):
        if listings.is_dir(folder):
            return folder
    return None


def annotation_files(
    folder: AnyPath, session: SessionRecord, experiment_day: int | None = None, *, listings: Listings
) -> dict[str, list[AnyPath]]:
    """Return the files with the channels' positions in the brain, by probe letter.

    Parameters
    ----------
    folder : Path or RemotePath
        The folder of annotations, up to two levels of folders deep (``tissuecyte/<subject>/``).
    session : SessionRecord
        Files that name another subject are left out.
    experiment_day : int, optional
        TissueCyte's files number the insertions of a probe by day (``Probe_A2_…``): which day this was.
    listings : Listings
        What folders hold.

    Returns
    -------
    dict of str to list
        More than one file for a probe, where they are of several days and the session's is not known.
    """
    found: dict[str, list[AnyPath]] = {}
    for path in _files(folder, session.subject, _DEEPEST, listings):
        if path.suffix not in _TABLES or extract_subject(path.stem) not in (None, session.subject):
            continue
        tissuecyte = _TISSUECYTE.match(path.name)
        if tissuecyte:
            if experiment_day is None or int(tissuecyte["day"]) == experiment_day:
                found.setdefault(tissuecyte["letter"], []).append(path)
            continue
        # one table for each probe, named after it, or lying in a folder named after it
        letter = extract_probe_letter(path.stem) or extract_probe_letter(path.parent.name)
        if letter is not None:
            found.setdefault(letter, []).append(path)
    return dict(sorted(found.items()))


def _files(folder: AnyPath, subject: int, depth: int, listings: Listings) -> Iterator[AnyPath]:
    # one folder may have the files of all subjects, or a folder for each: those of others are not looked at
    for path in listings.of_subject(folder, subject):
        if not listings.is_dir(path):
            yield path
        elif depth > 1:
            yield from _files(path, subject, depth - 1, listings)
