"""Where the files of a project lie: from a key to a path, and back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from project_cache.errors import ManifestError, UnknownObjectError
from project_cache.manifest.keys import Key
from project_cache.manifest.trust import inside, safe_name

__all__ = ["VISUAL_CODING", "Layout", "PercentLayout", "TemplateLayout"]

#: The layout of AllenSDK's Visual Coding Neuropixels cache, manifest version 0.3.0.
VISUAL_CODING: Mapping[str, str] = {
    "sessions": "sessions.csv",
    "probes": "probes.csv",
    "channels": "channels.csv",
    "units": "units.csv",
    "session_nwb": "session_{0}/session_{0}.nwb",
    "session_analysis_metrics": "session_{0}/session_{0}_analysis_metrics.csv",
    "probe_lfp_nwb": "session_{0}/probe_{1}_lfp.nwb",
    "typewise_analysis_metrics": "{0}_analysis_metrics.csv",
    "natural_movie": "natural_movie_templates/natural_movie_{0}.h5",
    "natural_scene": "natural_scene_templates/natural_scene_{0}.tiff",
}

#: How often AllenSDK's callers give the session id to the path of a kind.
_REPEATED = {"session_nwb": 2, "session_analysis_metrics": 2}


class Layout(Protocol):
    """Where objects lie in one folder."""

    def locate(self, key: Key) -> Path:
        """Return the path of an object, which may not be there yet."""

    def scan(self, kind: str) -> Iterator[tuple[Key, Path]]:
        """Yield the objects of a kind that are there."""

    def kinds(self) -> list[str]:
        """Return the kinds of object that it has a place for."""


@dataclass(frozen=True, slots=True)
class TemplateLayout:
    """Paths below one folder, from templates such as ``session_{0}/session_{0}.nwb``.

    Parameters
    ----------
    base : pathlib.Path
        The cache folder.
    templates : mapping of str to str
        Kind to template; ``{0}``, ``{1}`` stand for the key's ids.
    fixed : mapping of Key to str
        Objects that lie elsewhere below the folder.
    trusted : bool
        False where the templates came from a server: then no link on the way may lead out of the folder.

    Examples
    --------
    >>> layout = TemplateLayout(Path("cache"), VISUAL_CODING)
    >>> layout.locate(Key("probe_lfp_nwb", (1, 2))).as_posix()
    'cache/session_1/probe_2_lfp.nwb'
    """

    base: Path
    templates: Mapping[str, str]
    fixed: Mapping[Key, str] = field(default_factory=dict)
    trusted: bool = True

    def relative(self, key: Key) -> str:
        """Return the path of an object below the folder, with forward slashes."""
        if key in self.fixed:
            return self.fixed[key]
        template = self.templates.get(key.kind)
        if template is None:
            of_its_kind = sum(1 for each in self.fixed if each.kind == key.kind)
            if of_its_kind:
                raise UnknownObjectError(
                    f"This project has no {key}; it names {of_its_kind} objects of that kind."
                )
            raise UnknownObjectError(
                f"This project has no objects of the kind {key.kind!r}; it has {', '.join(sorted(self.kinds()))}."
            )
        return _filled(template, key, re.compile(r"\{(\d)\}"), _numbered)

    def locate(self, key: Key) -> Path:
        """Return the path of an object, which may not be there yet."""
        relative = self.relative(key)
        if self.trusted:
            return self.base / relative
        if relative.casefold() == "manifest.json":
            # who opens the folder later would take it for the user's own
            raise ManifestError(
                f"{key} would lie in the place of the manifest; it came from a server, and is not used."
            )
        return inside(self.base / relative, self.base)

    def scan(self, kind: str) -> Iterator[tuple[Key, Path]]:
        """Yield the objects of a kind that are there."""
        if kind in self.templates:
            yield from _scan(self.base, self.templates[kind], kind, re.compile(r"\{(\d)\}"), {})
        for key, path in self.fixed.items():
            if key.kind == kind and (self.base / path).is_file():
                yield key, self.base / path

    def kinds(self) -> list[str]:
        """Return the kinds of object that it has a place for."""
        return list(dict.fromkeys([*self.templates, *(key.kind for key in self.fixed)]))


@dataclass(frozen=True, slots=True)
class PercentLayout:
    """Paths as AllenSDK's path manifests spell them: ``%d`` and ``%s``, in folders that may lie anywhere.

    Parameters
    ----------
    specs : mapping of str to tuple of (pathlib.Path, str)
        Kind to the folder that no placeholder is in, and what follows it. Kept apart, so that a literal
        ``%`` in the folder's own name does no harm.
    formats : mapping of str to str
        The ``format`` of entries that have one.
    """

    specs: Mapping[str, tuple[Path, str]]
    formats: Mapping[str, str] = field(default_factory=dict)

    def locate(self, key: Key) -> Path:
        """Return the path of an object, which may not be there yet."""
        if key.kind not in self.specs:
            raise UnknownObjectError(
                f"The manifest has no entry {key.kind!r}; it has {', '.join(sorted(self.specs))}."
            )
        base, template = self.specs[key.kind]
        return base / _filled(template, key, _PERCENT, _in_turn(template, key))

    def scan(self, kind: str) -> Iterator[tuple[Key, Path]]:
        """Yield the objects of a kind that are there."""
        if kind in self.specs:
            base, template = self.specs[kind]
            repeated = dict.fromkeys(range(_REPEATED.get(kind, 0)), 0)
            yield from _scan(base, template, kind, _PERCENT, repeated)

    def kinds(self) -> list[str]:
        """Return the kinds of object that it has a place for."""
        return list(self.specs)


_PERCENT = re.compile(r"%(%|[-0 +#]*\d*[dis])")


def _numbered(match: re.Match[str], args: tuple[int | str, ...]) -> str:
    return str(args[int(match[1])])


class _in_turn:  # noqa: N801 - a function with a memory
    """Fill placeholders from left to right, the session id as often as AllenSDK's callers give it."""

    def __init__(self, template: str, key: Key) -> None:
        wanted = sum(match[1] != "%" for match in _PERCENT.finditer(template))
        args = key.args * _REPEATED.get(key.kind, 1)
        # A relocated entry may have dropped the folder of the session: then the last ids are meant.
        self.left = list(args[len(args) - wanted :] if wanted < len(args) else args)

    def __call__(self, match: re.Match[str], args: tuple[int | str, ...]) -> str:
        if match[1] == "%":
            return "%"
        return match[0] % self.left.pop(0)


class _Fill(Protocol):
    def __call__(self, match: re.Match[str], args: tuple[int | str, ...]) -> str: ...


def _filled(template: str, key: Key, placeholder: re.Pattern[str], fill: _Fill) -> str:
    for arg in key.args:
        try:
            safe_name(str(arg))
        except ManifestError as error:
            raise UnknownObjectError(f"{arg!r} cannot be the id of an object: {error}") from error
    try:
        return placeholder.sub(lambda match: fill(match, key.args), template)
    except (IndexError, TypeError) as error:
        raise ManifestError(
            f"The manifest's path {template!r} does not fit the object {key}: it asks for other ids."
        ) from error


def _scan(
    base: Path, template: str, kind: str, placeholder: re.Pattern[str], same: Mapping[int, int]
) -> Iterator[tuple[Key, Path]]:
    """Yield what is below ``base`` and matches the template."""
    pattern, glob, at, n = "", "", 0, 0
    groups: dict[str, str] = {}
    for match in placeholder.finditer(template):
        literal = template[at : match.start()]
        at = match.end()
        pattern += re.escape(literal)
        glob += _glob_escape(literal)
        if match[1] == "%":
            pattern, glob = pattern + "%", glob + "%"
            continue
        number = int(match[1]) if match[1].isdecimal() else same.get(n, n - max(0, len(same) - 1))
        n += 1
        name = f"a{number}"
        if name in groups:
            pattern += f"(?P={name})"
        else:
            groups[name] = name
            pattern += f"(?P<{name}>[^/]+)"
        glob += "*"
    pattern += re.escape(template[at:])
    glob += _glob_escape(template[at:])
    if not glob:  # nothing to fill in: the base is the file itself
        if base.is_file():
            yield Key(kind), base
        return
    if not base.is_dir():
        return
    for path in sorted(base.glob(glob)):
        found = re.fullmatch(pattern, path.relative_to(base).as_posix())
        if found and path.is_file() and not path.name.startswith("."):
            ids = [found[name] for name in sorted(groups)]
            yield Key(kind, tuple(int(i) if i.isdecimal() else i for i in ids)), path


def _glob_escape(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path made absolute by words alone: links stay as they are, the drive may be mounted elsewhere.

    Examples
    --------
    >>> absolute("/data/./a/../b").as_posix()
    '/data/b'
    """
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow links
