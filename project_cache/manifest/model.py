"""The manifest: what a project holds, where it lies, how it is checked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from project_cache.errors import ManifestError
from project_cache.files import atomic_write, make_folder
from project_cache.manifest.allen import is_path_manifest, path_layout, path_manifest_of
from project_cache.manifest.folders import cache_dir
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import (
    VISUAL_CODING,
    Layout,
    TemplateLayout,
    absolute,
)
from project_cache.manifest.objects import ObjectEntry, Objects, entries_json, entries_parquet

__all__ = ["FORMAT", "Manifest", "SourceEntry"]

#: the name and the version of our own dialect
FORMAT = "project_cache/1"


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One place that a project can be had from.

    Attributes
    ----------
    name : str
        What objects refer to it by.
    kind : str
        ``warehouse``, ``http``, ``s3``, ``directory`` or ``demo``.
    url : str
        Where it is, with whatever secrets it has, so that it is not shown; empty for a source that needs no place.
    endpoint_url, region : str or None
        Of S3: a server other than Amazon's; where the bucket is.
    anonymous : bool or None
        Of S3: True never signs a request, False never sends one unsigned, None does what works.
    requester_pays : bool
        Of S3: whether whoever fetches agrees to be charged.
    """

    name: str
    kind: str
    url: str = field(default="", repr=False)
    endpoint_url: str | None = field(default=None, repr=False)
    region: str | None = None
    anonymous: bool | None = None
    requester_pays: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a project holds and where its files lie in one cache folder.

    Two dialects are read and written: AllenSDK's path manifests (0.2.1 and 0.3.0, which name paths and
    nothing else) and this package's own, which adds size, digest, validator and sources.

    Attributes
    ----------
    project : str
        The project's name.
    version : str
        The manifest's own version (a path manifest's: ``"0.3.0"``).
    layout : Layout
        From keys to paths.
    path : pathlib.Path or None
        The file it was read from.
    trusted : bool
        False where it came from a server.
    session_class : str
        The class of the sessions that are not told otherwise.
    sources : tuple of SourceEntry
        Where objects come from, in order.
    objects : Objects
        What is known about single objects.
    raw_roots : tuple of str
        Of a project whose sessions are built: where raw recordings lie.
    registry : str or None
        … and the registry of its sessions.
    releases : str or None
        Of a project whose versions AllenSDK's cloud manifests describe: where those are, below the first source.
    frozen : str or None
        Of a lock, which names what an analysis used and nothing else: the folder where that lay.
    """

    project: str
    version: str
    layout: Layout
    path: Path | None = None
    trusted: bool = True
    session_class: str = "EcephysSession"
    sources: tuple[SourceEntry, ...] = ()
    objects: Objects = field(default_factory=Objects)
    description: str = ""
    allen: bool = False
    raw_roots: tuple[str, ...] = ()
    registry: str | None = None
    releases: str | None = None
    frozen: str | None = None

    # Reading -----------------------------------------------------------------------------------

    @classmethod
    def read(
        cls, path: str | Path, *, version: str | None = None, folder: str | Path | None = None
    ) -> Manifest:
        """Return the manifest of either dialect in a file on the user's own disk.

        Parameters
        ----------
        path : str or pathlib.Path
            The JSON file. The folder it is in is the cache folder.
        version : str, optional
            The version it must be of.
        folder : str or pathlib.Path, optional
            The cache folder, where it is not the one that the manifest lies in.

        Raises
        ------
        ManifestError
            It is missing, empty, truncated, of an unknown version or wrong in itself.
        """
        path = absolute(path)
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError as error:
            raise ManifestError(
                f"There is no manifest at {path}. Check the path, or whether the drive is mounted."
            ) from error
        except IsADirectoryError as error:
            raise ManifestError(f"{path} is a folder. Give the manifest.json in it.") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"The manifest {path} cannot be read: {error}.") from error
        manifest = cls._parsed(text, str(path), absolute(folder or path.parent), path=path, trusted=True)
        if manifest.frozen is not None and folder is None and isinstance(manifest.layout, TemplateLayout):
            # a lock lies beside an analysis; what it names belongs with the project's other objects
            layout = dataclasses.replace(manifest.layout, base=cache_dir() / manifest.project)
            manifest = dataclasses.replace(manifest, layout=layout)
        if version is not None and manifest.version != version:
            raise ManifestError(
                f"The manifest {path} is of version {manifest.version}, and version={version!r} was asked for. "
                f"Leave version= out, or move the manifest away to have a new one written."
            )
        return manifest

    @classmethod
    def parse(cls, text: str, *, folder: str | Path, origin: str) -> Manifest:
        """Return a manifest that came from a server, with the cache folder it is to be used in.

        None of its paths may leave that folder, and it must be of this package's own dialect.

        Raises
        ------
        ManifestError
            It is broken, a path manifest (which could name any place on the disk), or not to be trusted.
        """
        return cls._parsed(text, origin, absolute(folder), path=None, trusted=False)

    @classmethod
    def _parsed(cls, text: str, origin: str, folder: Path, *, path: Path | None, trusted: bool) -> Manifest:
        if not text.strip():
            raise ManifestError(
                f"The manifest {origin} is empty. Restore it, or delete it to have it made anew."
            )
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ManifestError(
                f"The manifest {origin} is not whole JSON ({error}): it may have been cut short. "
                f"Restore it, or delete it to have it made anew."
            ) from error
        if is_path_manifest(data):
            if not trusted or path is None:
                raise ManifestError(
                    f"The manifest {origin} came from a server and names paths of a disk; it is not used."
                )
            version, layout = path_layout(data, path)
            return cls(project=folder.name, version=version, layout=layout, path=path, allen=True)
        from project_cache.manifest.own import own_manifest

        return own_manifest(data, origin, folder, path=path, trusted=trusted)

    @classmethod
    def visual_coding(cls, path: str | Path) -> Manifest:
        """Return AllenSDK's own manifest for a cache folder that has none yet. Nothing is written."""
        path = absolute(path)
        version, layout = path_layout(path_manifest_of(), path)
        return cls(project=path.parent.name, version=version, layout=layout, path=path, allen=True)

    def at(self, folder: str | Path) -> Manifest:
        """Return the same project as it lies in another folder: a layer.

        A folder with a manifest of its own is read by that.
        """
        folder = absolute(folder)
        if folder.is_file():
            return Manifest.read(folder)
        own = folder / "manifest.json"
        if own.is_file():
            found = Manifest.read(own)
            if not (_names_each(self.layout) and _names_each(found.layout)):
                return dataclasses.replace(found, objects=found.objects or self.objects)
            # two versions of a published project: their objects lie side by side, each where its own version says
        if isinstance(self.layout, TemplateLayout):
            layout: Layout = dataclasses.replace(self.layout, base=folder)
        else:
            _, layout = path_layout(path_manifest_of(), folder / "manifest.json")
        return dataclasses.replace(self, layout=layout, path=folder / "manifest.json")

    # What it says ------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The cache folder: the base of the layout, or where a path manifest lies."""
        if isinstance(self.layout, TemplateLayout):
            return self.layout.base
        assert self.path is not None  # noqa: S101 - a path manifest always has one
        return self.path.parent

    def lay_in(self) -> list[Path]:
        """Return the folder where a lock's objects lay, if it is there on this machine and is not the cache folder."""
        if not self.frozen or self.path is None:
            return []
        folder = absolute(self.path.parent / self.frozen)
        return [folder] if folder.is_dir() and folder != self.folder else []

    def locate(self, key: Key) -> Path:
        """Return where an object lies, or would."""
        return self.layout.locate(key)

    def scan(self, kind: str) -> Iterator[tuple[Key, Path]]:
        """Yield the objects of a kind that are there."""
        return self.layout.scan(kind)

    def entry(self, key: Key) -> ObjectEntry:
        """Return what is known about an object; with no digest and no size where nothing is."""
        return self.objects.get(key) or ObjectEntry(key)

    def version_of(self, key: Key) -> str | None:
        """Return which version of an object is meant, where its source keeps several; None: the newest."""
        return self.entry(key).version_id

    def sources_of(self, key: Key) -> tuple[str, ...]:
        """Return the names of the sources of an object, in the order in which they are asked."""
        return self.entry(key).sources or tuple(source.name for source in self.sources)

    def relative(self, key: Key) -> str | None:
        """Return where an object lies below its project's root, or None where that is not known."""
        layout = self.layout if isinstance(self.layout, TemplateLayout) else None
        templates = layout or TemplateLayout(Path(), VISUAL_CODING)
        return templates.relative(key) if key in templates.fixed or key.kind in templates.templates else None

    # Writing -----------------------------------------------------------------------------------

    def write(self, path: str | Path, *, parquet: bool = False) -> Path:
        """Write it in this package's own dialect, and return the path.

        Parameters
        ----------
        path : str or pathlib.Path
            The JSON file.
        parquet : bool
            Whether the object list goes to a parquet file beside it: for projects of many objects.

        Raises
        ------
        ManifestError
            Its paths lie in more than one folder, which this dialect cannot say.
        """
        from project_cache.manifest.own import own_json

        path = absolute(path)
        make_folder(path.parent)
        data = own_json(self)
        entries = list(self.objects)
        if parquet:
            listed = path.with_name(f"{path.stem}.objects.parquet")
            data["objects"] = {"parquet": listed.name, "digest": entries_parquet(entries, listed)}
        elif entries:
            data["objects"] = entries_json(entries)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
        return path

    def write_path_manifest(self, path: str | Path) -> Path:
        """Write it in AllenSDK's dialect (0.3.0), so that AllenSDK opens the folder, and return the path."""
        path = absolute(path)
        data = path_manifest_of(self.layout if isinstance(self.layout, TemplateLayout) else None)
        make_folder(path.parent)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(data, indent=2), "utf-8")
        return path


def _names_each(layout: Layout) -> bool:
    """Return whether each object is given a path of its own, as published manifests and locks do."""
    return isinstance(layout, TemplateLayout) and not layout.templates
