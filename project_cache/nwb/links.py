"""Finding things in a file without leaving it: external links are seen, and not followed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import h5py
from h5py import h5l

from project_cache.errors import CorruptObjectError, MissingDataError, NWBError
from project_cache.nwb.arrays import as_text, check, path_of

__all__ = [
    "find",
    "find_dataset",
    "find_group",
    "kind_of",
    "members",
    "need_dataset",
    "need_group",
    "require_whole",
]

Node: TypeAlias = "h5py.Group | h5py.Dataset"
#: a chain of soft links longer than this goes round in a circle
_HOPS = 64


def find(group: h5py.Group, path: str) -> Node | None:
    """Return what lies at ``path``, through soft links, or None if nothing does.

    Parameters
    ----------
    group : h5py.Group
        Where a relative path starts.
    path : str
        ``units/id``, or ``/units/id`` from the root.

    Raises
    ------
    NWBError
        The path leads into another file.
    CorruptObjectError
        Its soft links go round in a circle, or it cannot be opened.
    """
    node: Node = group.file["/"] if path.startswith("/") else group
    parts = deque(part for part in path.split("/") if part not in ("", "."))
    hops = 0
    while parts:
        if not isinstance(node, h5py.Group):
            return None
        part = parts.popleft()
        name = part.encode()
        links = node.id.links
        if not links.exists(name):
            return None
        kind = links.get_info(name).type
        if kind == h5l.TYPE_HARD:
            try:
                node = node[part]
            except (KeyError, ValueError) as error:
                raise CorruptObjectError(
                    f"{path_of(node)}/{part} cannot be opened ({error}). The file is damaged: fetch it again."
                ) from error
            continue
        if kind != h5l.TYPE_SOFT:
            raise NWBError(
                f"{path_of(node)}/{part} is a link into another file. Other files are not followed: "
                f"open that file itself, or copy them into one with `h5repack`."
            )
        hops += 1
        if hops > _HOPS:
            raise CorruptObjectError(f"The links at {path_of(node)}/{part} go round in a circle.")
        target = links.get_val(name).decode()
        if target.startswith("/"):
            node = node.file["/"]
        parts.extendleft(reversed([each for each in target.split("/") if each not in ("", ".")]))
    return node


def find_group(group: h5py.Group, path: str) -> h5py.Group | None:
    """Return the group at ``path``, or None if there is none."""
    node = find(group, path)
    return node if isinstance(node, h5py.Group) else None


def find_dataset(group: h5py.Group, path: str) -> h5py.Dataset | None:
    """Return the data set at ``path``, or None if there is none."""
    node = find(group, path)
    return node if isinstance(node, h5py.Dataset) else None


def need_group(group: h5py.Group, path: str) -> h5py.Group:
    """Return the group at ``path``, or say that the recording has none."""
    node = find_group(group, path)
    if node is None:
        raise MissingDataError(f"This recording has no {path} ({path_of(group)}).")
    return node


def need_dataset(group: h5py.Group, path: str) -> h5py.Dataset:
    """Return the data set at ``path``, or say that the recording has none."""
    node = find_dataset(group, path)
    if node is None:
        raise MissingDataError(f"This recording has no {path} ({path_of(group)}).")
    return node


def members(group: h5py.Group) -> Iterator[tuple[str, Node]]:
    """Yield the name and the node of each member of a group that is in this file, in the file's order."""
    for name in group:
        info = group.id.links.get_info(name.encode())
        if info.type == h5l.TYPE_HARD or info.type == h5l.TYPE_SOFT:
            node = find(group, name)
            if node is not None:
                yield name, node


def kind_of(node: Node) -> str | None:
    """Return a node's neurodata type, such as ``TimeIntervals``."""
    return as_text(node.attrs.get("neurodata_type"))


def require_whole(handle: h5py.File, folder: Path | None = None) -> None:
    """Refuse a file of which something lies in another file: for readers that would follow it there.

    Parameters
    ----------
    handle : h5py.File
        The file.
    folder : pathlib.Path, optional
        Where links into other files may lead: the folder that the file lies in.

    Raises
    ------
    NWBError
        It has a link into another file, or a data set whose bytes are in one.
    """

    def look(name: bytes, info: h5l.LinkInfo) -> bytes | None:
        if info.type in (h5l.TYPE_HARD, h5l.TYPE_SOFT):
            return None
        if folder is not None and info.type == h5l.TYPE_EXTERNAL:
            target = os.path.realpath(folder / os.fsdecode(handle.id.links.get_val(name)[0]))
            if Path(target).is_relative_to(os.path.realpath(folder)):
                return None
        return name

    def look_into(name: str, node: Node) -> None:
        if isinstance(node, h5py.Dataset) and (node.external or node.is_virtual):
            check(node)

    found = handle.id.links.visit(look, info=True)
    if found is not None:
        raise NWBError(
            f"{handle.filename}:/{found.decode()} is a link into another file. Other files are not followed: copy "
            f"them into one with `h5repack`."
        )
    handle.visititems(look_into)
