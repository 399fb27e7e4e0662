"""AllenSDK's path manifests: reading versions 0.2.1 and 0.3.0 by their own rules, and writing 0.3.0."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from project_cache.errors import ManifestError
from project_cache.manifest.layout import _PERCENT, PercentLayout, TemplateLayout, absolute

__all__ = ["PATH_MANIFEST", "VERSIONS", "is_path_manifest", "path_layout", "path_manifest_of"]

#: the versions that are read; the paths of both are resolved alike
VERSIONS = ("0.2.1", "0.3.0")

_log = logging.getLogger("project_cache")

#: What AllenSDK 2.16.2 writes into a new cache folder: key, type, spec, parent.
PATH_MANIFEST: tuple[tuple[str, str, str, str | None], ...] = (
    ("BASEDIR", "dir", ".", None),
    ("sessions", "file", "sessions.csv", "BASEDIR"),
    ("probes", "file", "probes.csv", "BASEDIR"),
    ("channels", "file", "channels.csv", "BASEDIR"),
    ("units", "file", "units.csv", "BASEDIR"),
    ("session_data", "dir", "session_%d", "BASEDIR"),
    ("session_nwb", "file", "session_%d.nwb", "session_data"),
    ("session_analysis_metrics", "file", "session_%d_analysis_metrics.csv", "session_data"),
    ("probe_lfp_nwb", "file", "probe_%d_lfp.nwb", "session_data"),
    ("movie_dir", "dir", "natural_movie_templates", "BASEDIR"),
    ("typewise_analysis_metrics", "file", "%s_analysis_metrics.csv", "BASEDIR"),
    ("natural_movie", "file", "natural_movie_%d.h5", "movie_dir"),
    ("natural_scene_dir", "dir", "natural_scene_templates", "BASEDIR"),
    ("natural_scene", "file", "natural_scene_%d.tiff", "natural_scene_dir"),
)


def is_path_manifest(data: object) -> bool:
    """Return whether parsed JSON is of AllenSDK's dialect."""
    return isinstance(data, dict) and isinstance(data.get("manifest"), list)


def path_layout(data: Mapping[str, Any], manifest_path: Path) -> tuple[str, PercentLayout]:
    """Return the version of a path manifest and where its entries lie.

    A folder is relative to the manifest's own; a file without ``parent_key`` to the working directory;
    a spec that begins with a slash is absolute where it has no parent; parents precede children.

    Raises
    ------
    ManifestError
        An unknown version, an entry without key or spec, or one whose parent has not been named yet.
    """
    version: str | None = None
    specs: dict[str, tuple[Path, str]] = {}
    formats: dict[str, str] = {}
    for number, entry in enumerate(data["manifest"]):
        where = f"Entry {number} of the manifest {manifest_path}"
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise ManifestError(
                f"{where} has no type. Restore the manifest, or delete it to have it made anew."
            )
        kind = entry["type"]
        if kind == "manifest_version":
            version = str(entry.get("value"))
            continue
        if kind not in ("dir", "dir_name", "file"):
            _log.warning("%s has the unknown type %r and is left out.", where, kind)
            continue
        key, spec, parent = entry.get("key"), entry.get("spec"), entry.get("parent_key")
        if not isinstance(key, str) or not isinstance(spec, str) or not spec:
            raise ManifestError(
                f"{where} has no key or no spec. Restore the manifest, or delete it to have it made anew."
            )
        if parent and parent not in specs:
            raise ManifestError(
                f"{where} ({key}) lies in {parent!r}, which no entry before it names. Parents come first."
            )
        base = (
            specs[parent]
            if parent
            else (absolute(manifest_path).parent if kind != "file" else absolute("."), "")
        )
        specs[key] = _joined(base, spec, free=not parent)
        if kind == "dir_name":
            folder, template = specs[key]
            specs[key] = (folder, template.rpartition("/")[0]) if template else (folder.parent, "")
        if isinstance(entry.get("format"), str):
            formats[key] = entry["format"]
    if version not in VERSIONS:
        raise ManifestError(
            f"The manifest {manifest_path} is of version {version or 'none'}; this package reads "
            f"{' and '.join(VERSIONS)}. Move it away to have a new one written (the data beside it stay)."
        )
    return version, PercentLayout(specs, formats)


def _joined(base: tuple[Path, str], spec: str, *, free: bool) -> tuple[Path, str]:
    """Return ``base`` with ``spec`` below it; literal folders go to the first part, placeholders to the second."""
    folder, template = base
    if free and (spec.startswith("/") or PurePath(spec).is_absolute()):
        folder, spec = Path(PurePath(spec).anchor), spec[len(PurePath(spec).anchor) :]
    for step in spec.split("/"):
        if step in ("", "."):
            continue
        if template or any(match[1] != "%" for match in _PERCENT.finditer(step)):
            template = f"{template}/{step}" if template else step
        else:
            folder = absolute(folder / step)
    return folder, template


def path_manifest_of(layout: TemplateLayout | None = None) -> dict[str, Any]:
    """Return the JSON of a path manifest 0.3.0 for a layout of templates (without one: AllenSDK's own).

    Raises
    ------
    ManifestError
        AllenSDK could not find the layout's files, because it gives each path other ids than the layout takes.
    """
    rows = list(PATH_MANIFEST)
    if layout is not None:
        rows = [row for row in rows if row[1] == "dir" or row[0] in layout.templates]
        for n, (key, kind, _, _) in enumerate(rows):
            if kind == "file":
                rows[n] = (key, kind, _percent(key, layout.templates[key]), "BASEDIR")
        if {row[0]: row[2] for row in rows if row[1] == "file"} == _STANDARD:
            rows = list(PATH_MANIFEST)
    entries: list[dict[str, str]] = [{"type": "manifest_version", "value": VERSIONS[-1]}]
    for key, kind, spec, parent in rows:
        entry = {"key": key, "type": kind, "spec": spec}
        if parent:
            entry["parent_key"] = parent
        entries.append(entry)
    return {"manifest": entries}


#: AllenSDK's own paths, spelled from the cache folder
_STANDARD = {
    "sessions": "sessions.csv",
    "probes": "probes.csv",
    "channels": "channels.csv",
    "units": "units.csv",
    "session_nwb": "session_%d/session_%d.nwb",
    "session_analysis_metrics": "session_%d/session_%d_analysis_metrics.csv",
    "probe_lfp_nwb": "session_%d/probe_%d_lfp.nwb",
    "typewise_analysis_metrics": "%s_analysis_metrics.csv",
    "natural_movie": "natural_movie_templates/natural_movie_%d.h5",
    "natural_scene": "natural_scene_templates/natural_scene_%d.tiff",
}


def _percent(kind: str, template: str) -> str:
    numbers = [int(c) for c in _numbers(template)]
    wanted = [
        int(c)
        for c in {"session_nwb": "00", "session_analysis_metrics": "00", "probe_lfp_nwb": "01"}.get(kind, "")
    ]
    if kind in ("typewise_analysis_metrics", "natural_movie", "natural_scene"):
        wanted = [0]
    if numbers != wanted:
        raise ManifestError(
            f"AllenSDK cannot open this layout: it would fill {template!r} (of {kind}) with other ids. "
            f"Write the manifest in this package's own format instead."
        )
    placeholder = "%s" if kind == "typewise_analysis_metrics" else "%d"
    parts = _split(template.replace("%", "%%") if numbers else template)
    return placeholder.join(parts)


def _numbers(template: str) -> list[str]:
    import re

    return re.findall(r"\{(\d)\}", template)


def _split(template: str) -> list[str]:
    import re

    return re.split(r"\{\d\}", template)
