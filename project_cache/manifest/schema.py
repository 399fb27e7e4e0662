"""The JSON Schema of manifests, and the manifests that ship with the package."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from project_cache.errors import ManifestError

__all__ = ["shipped", "shipped_manifest", "validated"]

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def _shelf() -> Path:
    """Return the folder of the shipped manifests: in the package once installed, beside it in a checkout."""
    for folder in (_PACKAGE / "_manifests", _PACKAGE.parent / "manifest"):
        if (folder / "schema.json").is_file():
            return folder
    raise ManifestError(f"The manifests that ship with the package are not in {_PACKAGE}. Install it again.")


def shipped() -> list[str]:
    """Return the names of the manifests that ship with the package.

    Examples
    --------
    >>> shipped()
    ['demo', 'dynamic-routing', 'visual-behavior-neuropixels', 'visual-coding-neuropixels']
    """
    return sorted(path.stem for path in _shelf().glob("*.json") if path.stem != "schema")


def shipped_manifest(name: str) -> Path:
    """Return the file of a shipped manifest.

    Raises
    ------
    ManifestError
        None of that name ships.
    """
    path = _shelf() / f"{name}.json"
    if name not in shipped():
        raise ManifestError(
            f"No manifest named {name!r} ships with the package; there are {', '.join(shipped())}."
        )
    return path


@cache
def _schema() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((_shelf() / "schema.json").read_text("utf-8")))


def validated(data: object, origin: str) -> dict[str, Any]:
    """Return parsed JSON if it obeys the schema.

    Raises
    ------
    ManifestError
        It does not; the message says where.
    """
    from jsonschema import Draft202012Validator

    if isinstance(data, dict) and "format" in data and not str(data["format"]).startswith("project_cache/1"):
        raise ManifestError(
            f"The manifest {origin} is of the format {data['format']!r}, which this version of project_cache does "
            f"not know. Update the package."
        )
    errors = sorted(Draft202012Validator(_schema()).iter_errors(data), key=lambda e: list(map(str, e.path)))
    if errors:
        where = "/".join(map(str, errors[0].absolute_path)) or "the top"
        raise ManifestError(
            f"The manifest {origin} is not one of this package's: at {where}, {errors[0].message[:300]}."
        )
    return cast("dict[str, Any]", data)
