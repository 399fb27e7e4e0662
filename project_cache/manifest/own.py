"""The package's own dialect of manifests: reading it, from the user's disk or from a server, and writing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from project_cache.errors import ManifestError
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import VISUAL_CODING, PercentLayout, TemplateLayout, absolute
from project_cache.manifest.model import FORMAT, Manifest, SourceEntry
from project_cache.manifest.objects import ObjectPlaces, Objects
from project_cache.manifest.schema import validated
from project_cache.manifest.trust import safe_relative

__all__ = ["own_json", "own_manifest"]


def own_manifest(data: object, origin: str, folder: Path, *, path: Path | None, trusted: bool) -> Manifest:
    """Return a manifest of this package's own dialect from parsed JSON."""
    data = validated(data, origin)
    templates = {str(kind): str(template) for kind, template in data.get("layout", VISUAL_CODING).items()}
    for template in templates.values():
        _checked(template.replace("{", "").replace("}", ""), origin)
    sources = tuple(SourceEntry(**{"name": s["kind"], **s}) for s in data.get("sources", ()))
    if not trusted:
        sources = tuple(_from_server(source, origin) for source in sources)
        if any("://" not in each for name in ("roots", "registry") for each in _raw(data, name, None, None)):
            raise ManifestError(
                f"The manifest {origin} came from a server and names a folder of this machine."
            )
    listed = data.get("objects", ())
    if isinstance(listed, dict):
        if not listed["parquet"].endswith(".parquet"):
            raise ManifestError(
                f"The manifest {origin} has a list of objects that is not parquet: {listed['parquet']}."
            )
        file = (folder if path is None else path.parent) / _checked(listed["parquet"], origin)
        objects = Objects.from_parquet(file, listed.get("digest"), origin)
    else:
        objects = Objects.from_json(listed, origin)
    tables = {Key(kind): _checked(place, origin) for kind, place in data.get("tables", {}).items()}
    layout = TemplateLayout(folder, templates, ObjectPlaces(objects, tables), trusted)
    return Manifest(
        project=data["project"],
        version=str(data["version"]),
        layout=layout,
        path=path,
        trusted=trusted,
        session_class=data.get("session_class", "EcephysSession"),
        sources=sources,
        objects=objects,
        description=data.get("description", ""),
        raw_roots=tuple(_raw(data, "roots", (), path)),
        registry=next(iter(_raw(data, "registry", None, path)), None),
        releases=data.get("releases"),
        frozen=data.get("frozen"),
    )


def _from_server(source: SourceEntry, origin: str) -> SourceEntry:
    """Return a source that a server names, without what it has no right to: credentials, money, this machine."""
    if source.kind not in ("warehouse", "http", "s3"):
        raise ManifestError(
            f"The manifest {origin} came from a server and names a {source.kind} of this machine."
        )
    if source.requester_pays:
        raise ManifestError(
            f"The manifest {origin} came from a server and would have whoever uses it pay for {source.url}. "
            f"Open the address yourself, with requester_pays=True, if that is meant."
        )
    # a request that is signed for a server that nobody chose would tell it whose it is
    return dataclasses.replace(source, anonymous=True) if source.kind == "s3" else source


def _raw(data: dict[str, Any], name: str, default: Any, path: Path | None) -> Iterator[str]:
    """Yield places of raw recordings; those that are no addresses are taken from the manifest's folder."""
    said = data.get("raw", {}).get(name, default)
    for each in [said] if isinstance(said, str) else said or ():
        yield each if "://" in each or path is None else str(absolute(path.parent / each))


def _checked(place: str, origin: str) -> str:
    try:
        safe_relative(place)
    except ManifestError as error:
        raise ManifestError(f"The manifest {origin} is not used: {error}") from error
    return place


def own_json(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest in this package's own dialect, as JSON, but for its objects.

    Raises
    ------
    ManifestError
        Its paths lie in more than one folder, which this dialect cannot say.
    """
    data: dict[str, Any] = {"format": FORMAT, "project": manifest.project, "version": manifest.version}
    if manifest.description:
        data["description"] = manifest.description
    data["session_class"] = manifest.session_class
    data["layout"] = dict(_templates(manifest))
    if manifest.raw_roots or manifest.registry:
        raw = {"roots": list(manifest.raw_roots), "registry": manifest.registry}
        data["raw"] = {name: value for name, value in raw.items() if value}
    if manifest.sources:
        data["sources"] = [
            {k: v for k, v in dataclasses.asdict(source).items() if v or (k == "anonymous" and v is not None)}
            for source in manifest.sources
        ]
    if manifest.releases:
        data["releases"] = manifest.releases
    if manifest.frozen is not None:
        data["frozen"] = manifest.frozen
    return data


def _templates(manifest: Manifest) -> Mapping[str, str]:
    """Return how each kind's place is spelled; of a path manifest, if it is as usual."""
    if isinstance(manifest.layout, TemplateLayout):
        return manifest.layout.templates
    assert isinstance(manifest.layout, PercentLayout)  # noqa: S101 - for mypy: there are two
    standard = Manifest.visual_coding(manifest.folder / "manifest.json").layout
    assert isinstance(standard, PercentLayout)  # noqa: S101
    if {k: manifest.layout.specs.get(k) for k in VISUAL_CODING} != {
        k: standard.specs[k] for k in VISUAL_CODING
    }:
        raise ManifestError(
            f"The manifest {manifest.path} puts files in folders of their own, which this package's dialect "
            f"does not say. Keep the path manifest."
        )
    return VISUAL_CODING
