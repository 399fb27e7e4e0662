"""AllenSDK's cloud manifests: one for each version of a project, with a digest and a version id for every file.

Their form: ``project_name``, ``manifest_version``, ``metadata_files`` (tables by name) and ``data_files`` (by file id),
where a file is ``{"url", "version_id", "file_hash"}``, its hash being BLAKE2b of 512 bits.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from project_cache.errors import ManifestError
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout
from project_cache.manifest.model import Manifest
from project_cache.manifest.objects import ObjectEntry, ObjectPlaces, Objects
from project_cache.manifest.trust import safe_name, safe_relative

__all__ = [
    "Change", "CloudFile", "CloudManifest", "Release", "changes", "comparison", "in_order", "is_manifest_name", "newest",
]  # fmt: skip

# https://semver.org, with a name in front
_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*_v(?P<release>\d+\.\d+\.\d+)(?:-(?P<early>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\.json"
)
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")
_HASH = re.compile(r"[0-9a-f]{128}")
_STEP = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
_ORDINARY = re.compile(rf"https://[A-Za-z0-9.-]+/({_STEP}(?:/{_STEP})*)")
# names that Windows keeps for devices
_RESERVED = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:[./]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CloudFile:
    """One file of a version.

    Attributes
    ----------
    name : str
        A table's name, or a file id.
    place : str
        Where it is below the project, in the bucket as on the disk.
    key : str
        Where it is in the bucket.
    digest : str
        ``"blake2b:…"``.
    version_id : str or None
        Which version of that key in the bucket.
    """

    name: str
    place: str
    key: str
    digest: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class CloudManifest:
    """One version of a project.

    Attributes
    ----------
    project, version : str
        Its name; its number, ``"0.5.0"``.
    tables, files : mapping of str to CloudFile
        By table's name (``units``); by file id.
    """

    project: str
    version: str
    tables: Mapping[str, CloudFile]
    files: Mapping[str, CloudFile]

    @classmethod
    def parse(cls, text: str | bytes, origin: str) -> CloudManifest:
        """Return a manifest from its JSON. None of its places may lead out of the project.

        Raises
        ------
        ManifestError
            It is broken, something else, or not to be trusted.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ManifestError(
                f"The manifest {origin} is not whole JSON ({error}): it may have been cut short. Delete it to have it "
                f"fetched again."
            ) from error
        try:
            project, version = safe_name(data["project_name"]), str(data["manifest_version"])
            if not _VERSION.fullmatch(version):
                raise ManifestError(f"its version is {version!r}.")
            tables = {name: _file(name, said) for name, said in data["metadata_files"].items()}
            files = {name: _file(name, said) for name, said in data["data_files"].items()}
            _no_clash(list(tables.values()) + list(files.values()))
        except ManifestError as error:
            raise ManifestError(f"The manifest {origin} is not used: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(
                f"{origin} is no manifest of a project in the cloud: it lacks, or has otherwise, {error}."
            ) from error
        return cls(project, version, tables, files)

    def __iter__(self) -> Iterator[CloudFile]:
        yield from self.tables.values()
        yield from self.files.values()

    @property
    def folder(self) -> str:
        """The folder of this version in a cache folder."""
        return f"{self.project}-{self.version}"


def _file(name: str, said: Mapping[str, Any]) -> CloudFile:
    url = said["url"]
    ordinary = _ORDINARY.fullmatch(url)
    path = ordinary[1] if ordinary else unquote(urlsplit(url).path).removeprefix("/")
    # there are thousands, and nearly all are spelled so that there is nothing to look at closely
    if not ordinary or len(path) > 240 or _RESERVED.search(path):
        safe_relative(path)
    place = path.partition("/")[2]
    if not place:
        raise ManifestError(f"{name!r} is at {path!r}, which is no place in a project.")
    if not _HASH.fullmatch(said["file_hash"]):
        raise ManifestError(f"the hash of {place} is {said['file_hash']!r:.150}.")
    version_id = said.get("version_id")
    if version_id is not None and not isinstance(version_id, str):
        raise ManifestError(f"the version_id of {place} is {version_id!r:.150}.")
    return CloudFile(
        name if name.isalnum() else safe_name(name),
        place,
        path,
        f"blake2b:{said['file_hash']}",
        version_id or None,
    )


def _no_clash(files: Iterable[CloudFile]) -> None:
    """Raise where two files would be one file, on this system or on another."""
    seen: dict[str, CloudFile] = {}
    for file in files:
        place = file.place if file.place.isascii() else unicodedata.normalize("NFC", file.place)
        other = seen.setdefault(place.casefold(), file)
        if (other.place, other.digest) != (file.place, file.digest):
            raise ManifestError(f"{other.place} and {file.place} cannot both be stored.")


# Versions ----------------------------------------------------------------------------------------


def is_manifest_name(name: str) -> bool:
    """Return whether a file is called as manifests of versions are.

    Examples
    --------
    >>> is_manifest_name("visual-behavior-neuropixels_project_manifest_v0.5.0.json"), is_manifest_name("manifest.json")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


def _rank(name: str) -> tuple[Any, ...]:
    """Return what manifests are compared by: https://semver.org, section 11."""
    match = _NAME.fullmatch(name)
    assert match is not None  # noqa: S101 - callers have asked is_manifest_name
    early = match["early"]
    steps = [(0, int(s), "") if s.isdecimal() else (1, 0, s) for s in early.split(".")] if early else []
    return (*map(int, match["release"].split(".")), early is None, steps)


def in_order(names: Iterable[str]) -> list[str]:
    """Return those names that are manifests', the oldest version first.

    Examples
    --------
    >>> in_order(["a_manifest_v0.10.0.json", "a_manifest_v0.9.1.json", "a_manifest_v0.10.0-rc.1.json", "x"])
    ['a_manifest_v0.9.1.json', 'a_manifest_v0.10.0-rc.1.json', 'a_manifest_v0.10.0.json']
    """
    return sorted(filter(is_manifest_name, names), key=_rank)


def newest(names: Iterable[str]) -> str | None:
    """Return the name of the newest version's manifest, or None where there is none."""
    found = in_order(names)
    return found[-1] if found else None


# Differences -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one file from one version to another.

    Attributes
    ----------
    place : str
        Where it is, or was.
    what : {"created", "deleted", "changed", "renamed"}
    now : str or None
        Of a file that was renamed: where it is now.
    """

    place: str
    what: str
    now: str | None = None

    def __str__(self) -> str:
        return f"{self.place} {self.what}" + (f" {self.now}" if self.now else "")


def changes(old: CloudManifest, new: CloudManifest) -> list[Change]:
    """Return what became of the files of one version in another: tables first, in the order of their places.

    A file of the same bytes at another place counts as renamed if it is not at its old place any more.
    """
    found = []
    for before, after in ((old.tables, new.tables), (old.files, new.files)):
        was = {file.place: file.digest for file in before.values()}
        now = {file.place: file.digest for file in after.values()}
        arrived: dict[str, list[str]] = {}
        for place in sorted(now.keys() - was.keys(), reverse=True):
            arrived.setdefault(now[place], []).append(place)
        for place in sorted(was.keys() - now.keys()):
            moved = arrived.get(was[place])
            found.append(Change(place, "renamed", moved.pop()) if moved else Change(place, "deleted"))
        found += [Change(place, "created") for places in arrived.values() for place in places]
        found += [Change(place, "changed") for place in was.keys() & now.keys() if was[place] != now[place]]
    tables = {file.place for manifest in (old, new) for file in manifest.tables.values()}
    return sorted(found, key=lambda change: (change.place not in tables, change.place))


def comparison(old: CloudManifest, new: CloudManifest, old_name: str, new_name: str) -> str:
    """Return the changes from one version to another in words, as AllenSDK says them."""
    found = changes(old, new)
    if not found:
        return "The two manifests are equivalent"
    return f"Changes going from\n{old_name}\nto\n{new_name}\n\n" + "".join(f"{change}\n" for change in found)


# Into this package's words -----------------------------------------------------------------------


class Release:
    """A version of a project, as it lies in a folder. Its lists are made when they are asked for.

    Parameters
    ----------
    cloud : CloudManifest
        The version.
    folder : pathlib.Path
        The cache folder.
    templates : mapping of str to str
        What kinds of object there are, and how their places are spelled: by these, files get keys that tell what they
        are. A file that is not spelled so is ``file/ID``.
    below : str
        The folder of the version in the cache folder.
    session_class : str
        The class of its sessions.

    Attributes
    ----------
    manifest : Manifest
        What it holds, in this package's words.
    """

    def __init__(
        self,
        cloud: CloudManifest,
        folder: Path,
        templates: Mapping[str, str],
        *,
        below: str,
        session_class: str = "Session",
    ) -> None:
        self.cloud = cloud
        self._below = below
        self._patterns = [
            (kind, _pattern(template)) for kind, template in templates.items() if "{" in template
        ]
        objects = Objects.made_by(self._entries)
        self.manifest = Manifest(
            project=cloud.project,
            version=cloud.version,
            # Trusted, though it came from a server: its places have been checked one by one, and the links in the folder
            # are AllenSDK's or the user's.
            layout=TemplateLayout(folder, {}, ObjectPlaces(objects)),
            session_class=session_class,
            objects=objects,
        )

    @functools.cached_property
    def keys(self) -> dict[str, Key]:
        """The keys of its data files, by file id."""
        return {
            name: _named(file.place, self._patterns) or Key.parse(f"file/{name}")
            for name, file in self.cloud.files.items()
        }

    @functools.cached_property
    def _files(self) -> dict[Key, CloudFile]:
        files = {Key(name): file for name, file in self.cloud.tables.items()}
        for name, key in self.keys.items():
            files.setdefault(key, self.cloud.files[name])
        return files

    def _entries(self) -> Iterator[ObjectEntry]:
        for key, file in self._files.items():
            path = f"{self._below}/{file.place}"
            yield ObjectEntry(key, path=path, digest=file.digest, version_id=file.version_id)

    def place(self, key: Key) -> str | None:
        """Return where an object is in the bucket, or None where there is no such object."""
        file = self._files.get(key)
        return None if file is None else file.key


def _pattern(template: str) -> re.Pattern[str]:
    """Return what finds the ids in a place that is spelled by a template."""
    seen: set[str] = set()
    pattern = ""
    for literal, number in re.findall(r"([^{]*)(?:\{(\d)\})?", template):
        pattern += re.escape(literal)
        if number:
            pattern += f"(?P=a{number})" if number in seen else f"(?P<a{number}>[^/]+)"
            seen.add(number)
    return re.compile(pattern)


def _named(place: str, patterns: Iterable[tuple[str, re.Pattern[str]]]) -> Key | None:
    for kind, pattern in patterns:
        match = pattern.fullmatch(place)
        if match:
            return Key.parse("/".join([kind, *(match[name] for name in sorted(match.groupdict()))]))
    return None
