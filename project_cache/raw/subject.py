"""Descriptions: subject.json, procedures.json and their like, and who ran the session."""

from __future__ import annotations

import re
from typing import Any

from project_cache.errors import CorruptObjectError
from project_cache.raw.places import AnyPath, read_json, translated

__all__ = ["read_description", "read_experimenter"]

_USER = re.compile(r"User\(['\"]([^'\"]+)['\"]\)")


def read_description(path: AnyPath) -> dict[str, Any]:
    """Return what a JSON file of metadata says, by name.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such file; it is no JSON object.
    """
    described = read_json(path)
    if not isinstance(described, dict):
        raise CorruptObjectError(f"{path} holds a {type(described).__name__}, not names and values.")
    return described


def read_experimenter(path: AnyPath) -> str | None:
    """Return the user whom the rig's log names last, as ``First Last``, or None.

    Parameters
    ----------
    path : Path or RemotePath
        The rig's ``debug.log``, in which a login reads ``User('first.last')``.
    """
    with translated(path):
        # people's names and paths in any code page of the rig's computers
        text = path.read_bytes().decode("utf-8", "replace")
    users = _USER.findall(text)
    return users[-1].replace(".", " ").title() if users else None
