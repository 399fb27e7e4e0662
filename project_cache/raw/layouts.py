"""Layouts: how a session's raw files lie in their folder, and which file is what, told by names alone.

A rig leaves one flat folder (``local``); in the cloud the same files lie sorted into subfolders by modality
(``aind``); and some old sessions are known by their tables only (``tables``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from project_cache.raw.names import extract_camera_name, extract_date, extract_datetime, extract_subject
from project_cache.raw.places import AnyPath, translated

if TYPE_CHECKING:
    from project_cache.raw.listings import Listings

__all__ = [
    "MODALITY_FOLDERS",
    "NOT_RAW",
    "is_insertions",
    "is_manipulator_log",
    "is_record_node",
    "is_stimulus",
    "is_sync",
    "is_task",
    "is_video",
    "layout_of",
    "members_of",
    "raw_paths",
    "session_root",
    "surface_name",
]

#: the subfolders by which a cloud folder is known
MODALITY_FOLDERS = frozenset(
    {"behavior", "behavior_videos", "behavior-videos", "ecephys", "ecephys_clipped", "ecephys_compressed"}
)
#: subfolders that may lie among the raw files, but were not written by the rig
NOT_RAW = frozenset({"sorted", "annotations", "cache", "nwb"})
_RECORD_NODE = re.compile(r"Record Node [0-9]+")
_SURFACE = "_surface_channels"
_TASK = "DynamicRouting1"


def members_of(folder: AnyPath, pattern: str = "*") -> list[AnyPath]:
    """Return what lies in a folder and matches a pattern, by name, without hidden files.

    Raises
    ------
    MissingObjectError
        There is no such folder.
    """
    found: list[AnyPath] = []
    with translated(folder):
        # listed as a whole where all is wanted: a pattern finds nothing in a folder that is not there
        found += folder.iterdir() if pattern == "*" else folder.glob(pattern)
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: path.name)


def session_root(path: AnyPath, *, is_dir: bool) -> AnyPath:
    """Return the folder of the session that a folder, or a file in it, belongs to.

    A folder of one modality (``…/ecephys_668755_2023-08-31_12-33-31/behavior``) stands for the one above it.
    """
    folder = path if is_dir else path.parent
    if folder.name in MODALITY_FOLDERS and extract_date(folder.parent.name) is not None:
        return folder.parent
    return folder


def layout_of(members: Iterable[AnyPath]) -> str:
    """Return ``"tables"``, ``"aind"`` or ``"local"`` for the members of a session's folder."""
    names = {path.name for path in members}
    if "intervals" in names and "session.json" in names:
        return "tables"
    return "aind" if names & MODALITY_FOLDERS else "local"


def raw_paths(layout: str, members: Iterable[AnyPath], listings: Listings) -> list[AnyPath]:
    """Return a session's raw files, and the folders that stand for recordings (Record Nodes, zarr stores).

    Parameters
    ----------
    layout : str
        From `layout_of`.
    members : iterable of Path or RemotePath
        What lies in the session's folder.
    listings : Listings
        What tells the folders among them.
    """
    out: list[AnyPath] = []
    for path in members:
        if not listings.is_dir(path) or is_record_node(path):
            out.append(path)
        elif path.name in NOT_RAW or path.name.endswith(_SURFACE):
            continue
        elif layout == "local":
            # two computers record three probes each: their Record Nodes may lie one level down
            out += [inner for inner in listings.members(path) if is_record_node(inner)]
        elif layout == "aind":
            inside = listings.members(path)
            out += inside
            for inner in inside:
                if "ecephys" in inner.name and listings.is_dir(inner):
                    out += listings.members(inner)
    return out


def is_record_node(path: AnyPath) -> bool:
    """Return whether a path is named as Open Ephys names the folder of a Record Node."""
    return _RECORD_NODE.fullmatch(path.name) is not None


def is_sync(path: AnyPath, date: str) -> bool:
    """Return whether a path is named as a sync file of that day (``YYYY-MM-DD``)."""
    if path.suffix == ".sync":
        return True
    return path.suffix == ".h5" and path.stem.startswith(f"{date.replace('-', '')}T")


def is_stimulus(path: AnyPath, subject: int, date: str) -> bool:
    """Return whether a path is named as a stimulus file of that subject and day."""
    return (
        path.suffix == ".hdf5" and extract_subject(path.stem) == subject and extract_date(path.stem) == date
    )


def is_task(path: AnyPath) -> bool:
    """Return whether a stimulus file is one of the task, by its name."""
    return path.stem.split("_")[0] == _TASK


def is_video(path: AnyPath) -> bool:
    """Return whether a path is named as the video of a camera."""
    return path.suffix in (".mp4", ".avi") and extract_camera_name(path.stem) is not None


def is_manipulator_log(path: AnyPath) -> bool:
    """Return whether a path is named as the log of the probes' manipulators."""
    stem = path.stem.lower()
    return path.suffix == ".csv" and any(part in stem for part in ("log", "motor-locs", "motor_locs"))


def is_insertions(path: AnyPath) -> bool:
    """Return whether a path is named as the record of which probe went into which hole."""
    return path.name.endswith("insertions.json")


def surface_name(name: str) -> str:
    """Return the name of the folder with the surface-channel recording that belongs to a session's folder."""
    return name + _SURFACE


def time_of(path: AnyPath) -> str:
    """Return when a file was begun, by its name, as text that sorts; empty where the name has no time."""
    return extract_datetime(path.stem) or ""
