"""What a manifest knows of single objects: place, size, digest, validator, sources."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project_cache.errors import ManifestError
from project_cache.files import atomic_write, digest_of
from project_cache.manifest.keys import Key
from project_cache.manifest.trust import safe_relative

__all__ = ["ObjectEntry", "ObjectPlaces", "Objects", "entries_json", "entries_parquet"]


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object as a manifest describes it; what it does not say is None.

    Attributes
    ----------
    key : Key
        Its name.
    path : str or None
        Where it lies below the cache folder, if not where the layout puts its kind.
    size : int or None
        Bytes.
    digest : str or None
        ``"blake3:…"``, ``"sha256:…"`` or ``"blake2b:…"``.
    validator : str or None
        The ETag or version that the bytes belong to at their source.
    sources : tuple of str
        Names of the sources that have it, in the order in which they are asked; empty: the project's.
    session_class : str or None
        The class that opens it, where it is not the project's.
    version_id : str or None
        Which version of it is meant, where its source (a bucket) keeps several.
    """

    key: Key
    path: str | None = None
    size: int | None = None
    digest: str | None = None
    validator: str | None = None
    sources: tuple[str, ...] = ()
    session_class: str | None = None
    version_id: str | None = None


class Objects:
    """The objects of a manifest by key. A list in a parquet file is read when the first is asked for."""

    def __init__(self, entries: Iterable[ObjectEntry] = ()) -> None:
        self._entries: dict[Key, ObjectEntry] | None = {entry.key: entry for entry in entries}
        self._make: Callable[[], Iterable[ObjectEntry]] | None = None

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]], origin: str) -> Objects:
        """Return the objects of a list in JSON that obeys the schema."""
        return cls(_distinct([_entry(row, origin) for row in rows], origin))

    @classmethod
    def from_parquet(cls, file: Path, digest: str | None, origin: str) -> Objects:
        """Return the objects of a parquet file, which is not read yet."""
        return cls.made_by(functools.partial(_read_parquet, file, digest, origin))

    @classmethod
    def made_by(cls, make: Callable[[], Iterable[ObjectEntry]]) -> Objects:
        """Return the objects that a function gives, which is called when the first is asked for."""
        objects = cls()
        objects._entries = None
        objects._make = make
        return objects

    def _all(self) -> dict[Key, ObjectEntry]:
        if self._entries is None:
            assert self._make is not None  # noqa: S101 - one of the two is always there
            self._entries = {entry.key: entry for entry in self._make()}
        return self._entries

    def get(self, key: Key) -> ObjectEntry | None:
        """Return what is known of an object, or None."""
        return self._all().get(key)

    def __iter__(self) -> Iterator[ObjectEntry]:
        return iter(self._all().values())

    def __len__(self) -> int:
        return len(self._all())


class ObjectPlaces(Mapping[Key, str]):
    """Places that are given object by object; a list that is elsewhere is read when the first is asked for.

    Parameters
    ----------
    objects : Objects
        Those that have a ``path``.
    tables : mapping of Key to str
        More of them.
    """

    def __init__(self, objects: Objects, tables: Mapping[Key, str] | None = None) -> None:
        self._objects = objects
        self._tables = tables or {}

    def __getitem__(self, key: Key) -> str:
        if key in self._tables:
            return self._tables[key]
        entry = self._objects.get(key)
        if entry is None or entry.path is None:
            raise KeyError(key)
        return entry.path

    def __iter__(self) -> Iterator[Key]:
        yield from self._tables
        yield from (entry.key for entry in self._objects if entry.path is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_FIELDS = ("path", "size", "digest", "validator", "session_class", "version_id")


def _entry(row: Mapping[str, Any], origin: str) -> ObjectEntry:
    try:
        key = Key.parse(str(row["key"]))
        path = row.get("path")
        if path is not None:
            safe_relative(str(path))
        size = row.get("size")
        if size is not None and (int(size) != size or size < 0):
            raise ManifestError(f"{key} has the size {size!r}.")
        digest = row.get("digest")
        if digest is not None and digest.partition(":")[0] not in ("blake3", "sha256", "blake2b"):
            raise ManifestError(f"{key} has a digest of an unknown kind: {digest!r}.")
        return ObjectEntry(
            key,
            path=path,
            size=None if size is None else int(size),
            digest=digest,
            validator=row.get("validator"),
            sources=tuple(s for s in (row.get("sources") or ()) if s),
            session_class=row.get("session_class"),
            version_id=row.get("version_id"),
        )
    except ManifestError as error:
        raise ManifestError(f"The manifest {origin} is not used: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(
            f"The manifest {origin} is not used: an object of it makes no sense ({error!r})."
        ) from error


def _distinct(entries: list[ObjectEntry], origin: str) -> list[ObjectEntry]:
    """Return entries if no two different objects lie in one place, on any file system."""
    places: dict[str, ObjectEntry] = {}
    for entry in entries:
        if entry.path is not None:
            # to some upper and lower case are the same, and to some an accent however it is written
            other = places.setdefault(unicodedata.normalize("NFC", entry.path).casefold(), entry)
            if other is not entry and (entry.digest is None or entry.digest != other.digest):
                raise ManifestError(
                    f"The manifest {origin} is not used: {other.key} and {entry.key} would lie in one place ({entry.path})."
                )
    return entries


def entries_json(entries: Iterable[ObjectEntry]) -> list[dict[str, Any]]:
    """Return objects as JSON; what is not known is left out."""
    rows = []
    for entry in entries:
        row: dict[str, Any] = {"key": str(entry.key)}
        row |= {name: value for name in _FIELDS if (value := getattr(entry, name)) is not None}
        if entry.sources:
            row["sources"] = list(entry.sources)
        rows.append(row)
    return rows


def entries_parquet(entries: Iterable[ObjectEntry], file: Path) -> str:
    """Write objects to a parquet file, and return the digest of what was written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [("key", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("digest", pa.string())]
        + [("validator", pa.string()), ("session_class", pa.string()), ("version_id", pa.string())]
        + [("sources", pa.list_(pa.string()))]
    )
    table = pa.Table.from_pylist(entries_json(entries), schema=schema)
    with atomic_write(file) as temporary:
        pq.write_table(table, temporary, compression="zstd")
        return digest_of(temporary)


def _read_parquet(file: Path, digest: str | None, origin: str) -> list[ObjectEntry]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if digest is not None and digest_of(file, digest.partition(":")[0]) != digest:
            raise ManifestError(
                f"The object list {file} is not the one that the manifest {origin} names (its digest differs). "
                f"Fetch both again."
            )
        rows = pq.read_table(file).to_pylist()
    except FileNotFoundError as error:
        raise ManifestError(
            f"The object list {file} of the manifest {origin} is missing. Put it beside it."
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise ManifestError(
            f"The object list {file} of the manifest {origin} cannot be read: {error}."
        ) from error
    return _distinct([_entry(row, origin) for row in rows], origin)
