"""A project of NWB files that a lab has: a manifest and a table of sessions beside them, for others to open."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py

from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    ManifestError,
    NWBError,
    ProjectCacheError,
    ReadOnlyCacheError,
)
from project_cache.files import atomic_write, make_folder
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout, absolute
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.manifest.objects import ObjectEntry, ObjectPlaces, Objects
from project_cache.manifest.trust import safe_name, safe_relative
from project_cache.nwb.links import find_dataset
from project_cache.sessions.base import Session
from project_cache.store.receipts import Receipt

__all__ = ["project_of_files", "session_facts"]

TABLES = ("sessions", "probes", "channels", "units")
ABOUT_SUBJECT = ("subject_id", "species", "strain", "genotype", "sex", "age", "date_of_birth")
#: rows that are counted without reading them
COUNTS = {
    "unit_count": "units/id",
    "trial_count": "intervals/trials/id",
    "electrode_count": "general/extracellular_ephys/electrodes/id",
}
_UNUSABLE = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f\s]+')


def session_facts(path: Path) -> dict[str, Any]:
    """Return what an NWB file says of its session, without reading data.

    Returns
    -------
    dict
        ``session_start_time`` (ISO 8601), ``session_description``, ``session_id``, ``identifier``; of the subject ``subject_id``,
        ``species``, ``strain``, ``genotype``, ``sex``, ``age`` (as it stands there: ISO 8601, ``P90D``), ``age_in_days``
        (where that is in days or weeks), ``date_of_birth``; ``unit_count``, ``trial_count``, ``electrode_count``; ``size``
        (bytes). None for what the file does not say.

    Raises
    ------
    NotNWBError
        It is not HDF5, or not NWB 2.
    CorruptObjectError
        It is cut short or damaged.
    """
    with Session(path) as session:
        subject = session.subject
        try:
            start: str | None = session.session_start_time.isoformat()
        except NWBError:
            start = None
        facts: dict[str, Any] = {
            "session_start_time": start,
            "session_description": session.session_description or None,
            "session_id": session.session_id,
            "identifier": session.identifier or None,
            **{name: subject.get(name) for name in ABOUT_SUBJECT},
        }
        facts["age_in_days"] = _days(facts["age"])
        with session._reader.open() as handle:
            facts |= {name: _rows(handle, place) for name, place in COUNTS.items()}
    return {**facts, "size": path.stat().st_size}


def _days(age: Any) -> float | None:
    found = re.fullmatch(r"P(\d+(?:\.\d+)?)([DW])(?:T.*)?", str(age))
    return None if found is None else float(found[1]) * (7 if found[2] == "W" else 1)


def _rows(handle: h5py.File, place: str) -> int:
    ids = find_dataset(handle, place)
    return 0 if ids is None or not ids.shape else int(ids.shape[0])


def project_of_files(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Mapping[Any, str | os.PathLike[str]],
    folder: str | os.PathLike[str] | None = None,
    *,
    project: str | None = None,
    description: str | None = None,
    ids: str = "name",
    session_class: str | None = None,
) -> tuple[Manifest, Path]:
    """Write the manifest and the table of a project of NWB files, and return the manifest and the files' folder.

    See :meth:`ProjectCache.from_files`.
    """
    if ids not in ("name", "session_id", "identifier"):
        raise ConfigurationError(
            f"ids={ids!r}: ids come from the 'name', the 'session_id' or the 'identifier' of a file."
        )
    given, base, strict = _files(files)
    home = absolute(folder) if folder is not None else base
    if base.is_relative_to(home):
        base = home
    before = _before(home)
    places = _places(before, base)
    rows, columns = _read_table(home / "sessions.csv")
    ids_of = {place: session_id for session_id, place in places.items()}
    # what is known already, unless a caller names its sessions anew
    known = {} if isinstance(files, Mapping) else ids_of
    found: dict[int | str, str] = {}
    for session_id, path in given:
        place = _place(path, base)
        try:
            facts = None
            if session_id is None and place not in known:
                facts = session_facts(path)
                session_id = _usable(path.stem if ids == "name" else facts[ids], path, ids)
            name = known[place] if session_id is None else session_id
            if str(name) not in rows:
                rows[str(name)] = _row(name, facts or session_facts(path), place)
        except ProjectCacheError as error:
            if strict or not isinstance(error, NWBError | CorruptObjectError):
                raise
            warnings.warn(f"{path} is left out: {error}", UserWarning, stacklevel=4)
            continue
        if name in found:
            raise ConfigurationError(
                f"{found[name]} and {place} would both be session {name}. Give ids='session_id' or ids='identifier', or a "
                f"mapping of ids to files."
            )
        found[name] = place
        if ids_of.get(place, name) != name:
            rows.pop(str(ids_of[place]), None)
    taken = set(found.values())
    stay = {i: p for i, p in places.items() if p not in taken and i not in found and (base / p).is_file()}
    found = dict(sorted({**stay, **found}.items(), key=lambda item: (isinstance(item[0], str), item[0])))
    if not found:
        raise ConfigurationError(f"There are no NWB files in {base}.")
    kept = {str(name): rows[str(name)] for name in found if str(name) in rows}
    lost = sorted(set(places) - set(found) - {ids_of.get(place) for place in found.values()}, key=str)
    if lost:
        warnings.warn(
            f"The files of {', '.join(map(str, lost))} have gone from {base}, and so do their rows in {home / 'sessions.csv'}.",
            UserWarning,
            stacklevel=3,
        )
    try:
        make_folder(home)
        _write_table(home / "sessions.csv", kept, columns)
    except ReadOnlyCacheError as error:
        raise ReadOnlyCacheError(
            f"{error} Give cache_dir=, a folder for the manifest and the table."
        ) from error
    manifest = Manifest(
        project=project or (before.project if before else _project_name(base)),
        version="1",
        layout=TemplateLayout(
            home, {kind: f"{kind}.csv" for kind in TABLES if (home / f"{kind}.csv").is_file()}
        ),
        session_class=session_class or (before.session_class if before else "Session"),
        sources=() if base == home else (SourceEntry("files", "directory", str(base)),),
        objects=Objects(
            ObjectEntry(Key("session_nwb", (name,)), path=place) for name, place in found.items()
        ),
        description=description if description is not None else (before.description if before else ""),
    )
    manifest.write(home / "manifest.json")
    return Manifest.read(home / "manifest.json"), base


def _files(files: Any) -> tuple[list[tuple[int | str | None, Path]], Path, bool]:
    """Return ids (None: not said) and files, the folder that they are in, and whether each must be good."""
    if isinstance(files, str | os.PathLike):
        folder = absolute(files)
        if folder.is_dir():
            return [(None, path) for path in _nwb_files(folder)], folder, False
        files = [folder]
    named = files.items() if isinstance(files, Mapping) else ((None, path) for path in files)
    given = [(None if i is None else _usable(i, Path(p), "name"), absolute(p)) for i, p in named]
    for _, path in given:
        if not path.is_file():
            raise ConfigurationError(
                f"There is no file {path}. Check the path, or whether the drive is mounted."
            )
    if not given:
        raise ConfigurationError("No files were given.")
    return given, Path(os.path.commonpath([path.parent for _, path in given])), True


def _nwb_files(folder: Path) -> list[Path]:
    """Return the NWB files below a folder, less those of other projects that are in it."""
    found = []
    for where, folders, names in os.walk(folder):
        if Path(where) != folder and "manifest.json" in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(where, n) for n in sorted(names) if n.endswith(".nwb") and not n.startswith(".")]
    return found


def _place(path: Path, base: Path) -> str:
    place = path.relative_to(base).as_posix()
    try:
        safe_relative(place)
    except ManifestError as error:
        raise ConfigurationError(f"{error} Rename it: others are to have it on their systems.") from error
    return place


def _usable(said: Any, path: Path, what: str) -> int | str:
    """Return a session's id as keys have it, from what stands in a file or in its name."""
    if isinstance(said, int):
        return said
    text = _UNUSABLE.sub("_", str(said or "")).strip("._ ")
    if not text:
        raise ConfigurationError(
            f"{path} has no {what} to call its session by. Give ids='name', or a mapping of ids to files."
        )
    return int(text) if text.isdecimal() else safe_name(text)


def _before(home: Path) -> Manifest | None:
    """Return the manifest that an earlier call wrote, if there is one; what somebody else wrote is left alone."""
    path = home / "manifest.json"
    if not path.exists():
        return None
    manifest = Manifest.read(path)
    layout = manifest.layout
    if (
        isinstance(layout, TemplateLayout)
        and "sessions" in layout.templates
        and {*layout.templates} <= {*TABLES}
    ):
        return manifest
    raise ConfigurationError(
        f"{home} has a manifest that is not of files that were found there ({path}): it is left alone. "
        f"ProjectCache.open({str(home)!r}) opens it; or give a cache_dir= of its own."
    )


def _places(before: Manifest | None, base: Path) -> dict[int | str, str]:
    """Return the files that the project has already, by id."""
    if before is None:
        return {}
    there = absolute(before.folder / before.sources[0].url) if before.sources else before.folder
    if there != base:
        raise ConfigurationError(
            f"The project in {before.folder} is of the files in {there}, not of those in {base}. Give another cache_dir=."
        )
    assert isinstance(before.layout, TemplateLayout)  # noqa: S101 - seen by _before
    assert isinstance(before.layout.fixed, ObjectPlaces)  # noqa: S101
    return {key.args[0]: place for key, place in before.layout.fixed.items() if key.kind == "session_nwb"}


def _row(session_id: int | str, facts: Mapping[str, Any], place: str) -> dict[str, str]:
    row = {"id": session_id, **facts, "file": place}
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _read_table(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the rows of the table that is there, as text, by id; and its columns."""
    import pandas as pd

    if not path.exists():
        return {}, []
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise CorruptObjectError(
            f"{path} cannot be read ({error}). Mend it, or delete it to have it made anew."
        ) from error
    if "id" not in table or not table["id"].is_unique:
        raise CorruptObjectError(
            f"{path} has no column 'id' that tells its rows apart. Mend it, or delete it."
        )
    rows = {str(row["id"]): {str(k): str(v) for k, v in row.items()} for row in table.to_dict("records")}
    return rows, [str(name) for name in table.columns]


def _write_table(path: Path, rows: Mapping[str, Mapping[str, str]], columns: list[str]) -> None:
    """Write the table; columns that are there stay as they are, and so does it when somebody took some away."""
    import pandas as pd

    shown = columns or list(dict.fromkeys(name for row in rows.values() for name in row))
    table = pd.DataFrame(
        [{name: row.get(name, "") for name in shown} for row in rows.values()], columns=shown
    )
    Receipt.path_for(path).unlink(missing_ok=True)  # it is of the table that was
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)


def _project_name(folder: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-._") or "project"
