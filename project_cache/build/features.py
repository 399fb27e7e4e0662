"""Features of the videos that were worked out before: where their files lie, and what is in them.

Eye tracking as ellipses (``*ellipses*.h5``), parts of the body as points (Lightning Pose's or DeepLabCut's CSV
files), and motion (facemap's motion SVD, in a zarr store).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.build.nwb_tables import dynamic_table
from project_cache.build.video import CAMERA_NAMES, times_of
from project_cache.errors import ComponentUnavailable, CorruptObjectError
from project_cache.raw.compressed import ZarrGroup
from project_cache.raw.layouts import members_of
from project_cache.raw.places import AnyPath, opened_hdf5

if TYPE_CHECKING:
    from hdmf.common import DynamicTable

    from project_cache.raw.recording import RawRecording

__all__ = [
    "ellipses_path",
    "feature_paths",
    "keypoints",
    "motion_svd_path",
    "read_ellipses",
    "read_keypoints",
    "read_motion_svd",
]

#: ellipses are given by these, in pixels and rad; width and height are half-axes
ELLIPSE_COLUMNS = ("center_x", "center_y", "width", "height", "phi")
#: in this order: a folder may be named after a video of one camera, and the file in it after none
_CAMERAS = (
    ("nose", "nose|zoomed"),
    ("eye", "eye"),
    ("face", "face|front"),
    ("behavior", "behavior|beh|side"),
)
#: what a derived folder beside the session's is called, after its name
_DERIVED = re.compile(r"dlc|lp|lightning|facemap|ellipse|feature|eye.?tracking", re.IGNORECASE)
#: what Lightning Pose writes beside its predictions, and the column that comes of it
_ERRORS = {"pca": "pca_error", "temporal_norm": "temporal_norm"}


def feature_paths(raw: RawRecording) -> Iterator[AnyPath]:
    """Yield the files and zarr stores that may hold features of a recording's videos.

    They are looked for among the raw files, in ``features/`` in the session's folder, in ``features/<its name>/``
    beside it, and in folders beside it that are named after it (``<its name>_dlc…``, ``…_facemap…``, ``…_LP…``).

    Parameters
    ----------
    raw : RawRecording
        The recording.
    """
    yield from raw.raw_data_paths
    root = raw.root
    folders = [root / "features", root.parent / "features" / root.name]
    beside = (
        path for path in root.parent.glob(f"{root.name}_*") if _DERIVED.search(path.name[len(root.name) :])
    )
    for folder in [*folders, *sorted(beside, key=str)]:
        if folder.is_dir():
            yield from _files(folder, 3)


def _files(folder: AnyPath, depth: int) -> Iterator[AnyPath]:
    for path in members_of(folder):
        if path.suffix == ".zarr" or not path.is_dir():
            yield path
        elif depth:
            yield from _files(path, depth - 1)


def _camera(path: AnyPath) -> str | None:
    """Return the camera that a file is of, by its name or that of its folder."""
    for name in (path.stem, path.parent.name):
        for label, words in _CAMERAS:
            if re.search(words, name, re.IGNORECASE):
                return label
    return None


def ellipses_path(raw: RawRecording) -> AnyPath | None:
    """Return the file of the ellipses that were fitted to the eye, or None."""
    return next((p for p in feature_paths(raw) if p.suffix == ".h5" and "ellipse" in p.stem.lower()), None)


def motion_svd_path(raw: RawRecording, label: str) -> AnyPath | None:
    """Return facemap's motion SVD of a camera, or None."""
    for path in feature_paths(raw):
        named = f"{path.parent.name}/{path.name}".lower()
        if path.suffix == ".zarr" and ("motsvd" in named or "facemap" in named) and _camera(path) == label:
            return path
    return None


def read_ellipses(path: AnyPath) -> pd.DataFrame:
    """Return the ellipses of corneal reflection, eye and pupil, one row for each frame of the video.

    Parameters
    ----------
    path : Path or RemotePath
        HDF5 with the keys ``cr``, ``eye`` and ``pupil``, each a frame of pandas (of its "fixed" format), or a
        group of data sets, of centre, half-axes and angle.

    Returns
    -------
    pandas.DataFrame
        ``cr_center_x`` … ``pupil_phi``: positions and half-axes in pixels, angles in rad. A part that the file
        lacks has no columns.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such file, or it is none of ellipses.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    with opened_hdf5(path) as file:
        for part in ("cr", "eye", "pupil"):
            if part not in file:
                continue
            try:
                stored = _pandas_frame(file[part])
            except (KeyError, ValueError, TypeError, OSError, IndexError, AttributeError) as error:
                raise CorruptObjectError(f"{path}: {part} is no table of ellipses ({error}).") from error
            missing = [name for name in ELLIPSE_COLUMNS if name not in stored]
            if missing:
                raise CorruptObjectError(f"{path}: the ellipses of {part} have no {', '.join(missing)}.")
            columns |= {f"{part}_{name}": stored[name] for name in ELLIPSE_COLUMNS}
    if "pupil_center_x" not in columns:
        raise CorruptObjectError(f"{path} holds no ellipses of the pupil.")
    if len({len(values) for values in columns.values()}) > 1:
        raise CorruptObjectError(f"{path}: corneal reflection, eye and pupil are not of as many frames.")
    return pd.DataFrame(columns)


def _pandas_frame(group: h5py.Group) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a frame that pandas stored: blocks of values, and the names of their columns."""
    columns: dict[str, NDArray[np.float64]] = {}
    if "block0_values" not in group:
        return {name: np.asarray(group[name][()], dtype=np.float64) for name in group}
    for number in range(len(group)):
        if f"block{number}_values" not in group:
            break
        names = [name.decode("utf-8") for name in group[f"block{number}_items"][()].tolist()]
        values = np.asarray(group[f"block{number}_values"][()], dtype=np.float64)
        columns |= dict(zip(names, values.T, strict=True))
    return columns


def keypoints(raw: RawRecording, clock: Any) -> dict[str, DynamicTable]:
    """Return the points of the body that were tracked, one table for each camera and tool.

    Parameters
    ----------
    raw : RawRecording
        The recording, with CSV files of Lightning Pose or DeepLabCut.
    clock : SessionClock
        When frames were taken.

    Returns
    -------
    dict of str to hdmf.common.DynamicTable
        ``lp_side_camera``, ``dlc_eye_camera`` … with a row for each frame that has a time.

    Raises
    ------
    ComponentUnavailable
        There are no such files, or none has as many rows as its camera's video has frames.
    """
    predictions: dict[str, tuple[str, AnyPath]] = {}
    errors: dict[str, list[AnyPath]] = {}
    for path in feature_paths(raw):
        label, tool = _camera(path), _tool(path)
        # points that DeepLabCut's models of the other cameras gave are not reliable
        if path.suffix != ".csv" or label is None or tool is None or (tool == "dlc" and label != "eye"):
            continue
        name = f"{tool}_{CAMERA_NAMES[label]}"
        if _error_of(path) is None:
            predictions.setdefault(name, (label, path))
        else:
            errors.setdefault(name, []).append(path)
    tables: dict[str, DynamicTable] = {}
    reasons = []
    for name, (label, path) in sorted(predictions.items()):
        try:
            tables[name] = _table(name, label, path, errors.get(name, []), clock)
        except ComponentUnavailable as error:
            reasons.append(str(error))
    if not tables:
        raise ComponentUnavailable(" ".join(reasons) or "There are no files of points tracked in the videos.")
    return tables


def _tool(path: AnyPath) -> str | None:
    name = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    if re.search(r"dlc|deeplabcut", name, re.IGNORECASE):
        return "dlc"
    if re.search(r"(?<![a-z])lp(?![a-z])|LPFace|lightning.?pose", name) or "lightning" in name.lower():
        return "lp"
    return None


def _error_of(path: AnyPath) -> str | None:
    return next((column for word, column in _ERRORS.items() if word in path.stem.lower()), None)


def _table(name: str, label: str, path: AnyPath, errors: list[AnyPath], clock: Any) -> DynamicTable:
    frame = read_keypoints(path)
    for each in errors:
        column = _error_of(each)
        added = read_keypoints(each)
        frame = frame.join(added.rename(columns={part: f"{part}_{column}" for part in added}), how="left")
    times = times_of(clock, label)
    if len(frame) != len(times):
        raise ComponentUnavailable(
            f"{path} has {len(frame)} rows, and the {label} camera's video {len(times)} frames: it is of another video."
        )
    frame.insert(0, "timestamps", times)
    frame.insert(1, "frame_index", np.arange(len(frame)))
    tool = "Lightning Pose" if name.startswith("lp") else "DeepLabCut"
    suffixes = {
        "x": "x (pixels, from the left)",
        "y": "y (pixels, from the top)",
        "likelihood": "how sure the network is (0 to 1)",
        "pca_error": "how far the point is from where the other points put it (pixels)",
        "temporal_norm": "how far the point moved since the frame before (pixels)",
    }
    texts = {
        "timestamps": "when the frame was taken (s)",
        "frame_index": "the frame's number in the video, from 0",
    }
    for column in frame.columns[2:]:
        suffix = next((each for each in suffixes if column.endswith(f"_{each}")), None)
        if suffix is not None:
            texts[column] = f"{column.removesuffix(f'_{suffix}')}: {suffixes[suffix]}"
    return dynamic_table(
        name,
        f"Points tracked by {tool} in the video of the {CAMERA_NAMES[label].replace('_', ' ')} ({path.name}).",
        frame[np.isfinite(times)].reset_index(drop=True),
        texts,
    )


def read_keypoints(path: AnyPath) -> pd.DataFrame:
    """Return the points of a CSV of DeepLabCut or Lightning Pose, one row for each frame.

    Parameters
    ----------
    path : Path or RemotePath
        With three rows of names (scorer, part of the body, coordinate), or, for Lightning Pose's errors, one.

    Returns
    -------
    pandas.DataFrame
        ``<part>_x``, ``<part>_y`` and ``<part>_likelihood``; or ``<part>`` for errors.

    Raises
    ------
    CorruptObjectError
        It is no such table.
    """
    try:
        with path.open("rb") as file:
            first = file.readline().decode("utf-8", "replace")
        with path.open("rb") as file:
            frame = pd.read_csv(file, header=[0, 1, 2] if first.startswith("scorer") else 0, index_col=0)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise CorruptObjectError(f"{path} is no table of tracked points ({error}).") from error
    if isinstance(frame.columns, pd.MultiIndex):
        frame.columns = pd.Index([f"{part}_{coordinate}" for _, part, coordinate in frame.columns])
    else:
        frame.columns = pd.Index([str(column) for column in frame.columns])
    numeric = [column for column in frame if pd.api.types.is_numeric_dtype(frame[column].dtype)]
    if not numeric:
        raise CorruptObjectError(f"{path} is no table of tracked points: it has no numbers.")
    return frame[numeric].astype(float).reset_index(drop=True)


def read_motion_svd(path: AnyPath, n_frames: int) -> NDArray[np.float32]:
    """Return facemap's motion SVD, of shape (frames, components).

    Parameters
    ----------
    path : Path or RemotePath
        A zarr group with the array (``motSVD``, or the only one of two dimensions); on this machine also an array
        by itself.
    n_frames : int
        How many frames the video has.

    Raises
    ------
    CorruptObjectError
        It is no such store.
    ComponentUnavailable
        It is of another number of frames.
    """
    array = _motion_array(path)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise CorruptObjectError(f"{path} holds no motion SVD: an array of frames by components.")
    if array.shape[0] != n_frames:
        raise ComponentUnavailable(
            f"{path} has {array.shape[0]} frames, and the camera recorded {n_frames}: it is damaged, or another's."
        )
    try:
        return np.asarray(array[...], dtype=np.float32)
    except Exception as error:
        # codecs and stores have errors of many kinds
        raise CorruptObjectError(f"{path} cannot be read ({error}). Copy it again.") from error


def _motion_array(path: AnyPath) -> Any:
    """Return the zarr array of a motion SVD, of which nothing is read yet."""
    import zarr

    if isinstance(path, Path):
        try:
            whole = zarr.open_array(zarr.storage.LocalStore(path, read_only=True), mode="r")
        except Exception:  # no array: a group, or nothing; which, is found out below
            whole = None
        if whole is not None:
            # a pickle is a program: what came from elsewhere is not run
            if "pickle" in repr(whole.metadata).lower():
                raise CorruptObjectError(f"{path} holds pickled Python objects, which are not read.")
            return whole
    group = ZarrGroup(path)
    names = group.names("")
    named = [name for name in names if name.lower().startswith("motsvd")] or names
    arrays = [group.array(name) for name in named if not group.names(name)]
    found = next((array for array in arrays if array.ndim == 2), None)
    if found is None:
        raise CorruptObjectError(f"{path} holds no motion SVD: an array of frames by components.")
    return found
