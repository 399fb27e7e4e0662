"""Camera reports: what the video software wrote beside each movie, and the number that it drew into each frame."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, DependencyError, MissingDataError, MissingObjectError
from project_cache.raw.places import AnyPath, place, read_json

__all__ = ["Camera", "camera_label", "frame_number", "parse_lost_frames"]

#: parts of file names, in the order in which they are looked for, and the camera that they mean
LABELS = {"eye": "eye", "face": "face", "beh": "behavior", "_box_": "behavior", "nose": "nose"}

#: the imprint, in pixels: 5 groups of 4 bits; a bit is 4 wide, with a border of 1 between it and the next;
#: a group has 3 free on each side of it (but at the ends), which fills the 129 of the box
GROUPS, BITS, BIT_PITCH, GROUP_PITCH, IMPRINT_WIDTH = 5, 4, 5, 27, 129


def camera_label(name: str) -> str | None:
    """Return which camera a file is of: ``"eye"``, ``"face"``, ``"behavior"``, ``"nose"``, or None.

    Examples
    --------
    >>> camera_label("Behavior_20230803T120430.mp4"), camera_label("x_Box_2_20230803.avi"), camera_label("a.mp4")
    ('behavior', 'behavior', None)
    """
    lowered = name.lower()
    return next((label for part, label in LABELS.items() if part in lowered), None)


def parse_lost_frames(text: str) -> NDArray[np.int64]:
    """Return the frames that a report says were lost, sorted, each once.

    Parameters
    ----------
    text : str
        Numbers and ranges, with commas between them.

    Examples
    --------
    >>> parse_lost_frames("1-2,4-5,7").tolist()
    [1, 2, 4, 5, 7]
    """
    frames: list[int] = []
    for part in re.split(r"[,;\s]+", text.strip()):
        if not part:
            continue
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if not found or int(found[2] or found[1]) - int(found[1]) > 10_000_000:
            raise ValueError(f"{part!r} is no frame, nor a range of frames")
        frames += range(int(found[1]), int(found[2] or found[1]) + 1)
    return np.unique(np.array(frames, dtype=np.int64))


class Camera:
    """One camera's movie and the report beside it.

    The report is read when it is first needed; the movie is not, unless its frames have to be counted.

    Parameters
    ----------
    path : str or path
        The movie (``.mp4``, ``.avi``).
    info_path : str or path, optional
        The report, by default the ``.json`` of the same name.

    Attributes
    ----------
    path, info_path : path
        The files.
    label : str
        ``"eye"``, ``"face"``, ``"behavior"`` or ``"nose"``, by the file's name.
    """

    def __init__(self, path: str | AnyPath, info_path: str | AnyPath | None = None) -> None:
        self.path = place(path)
        self.info_path = self.path.with_suffix(".json") if info_path is None else place(info_path)
        label = camera_label(self.path.name)
        if label is None:
            raise MissingDataError(f"{self.path} does not say in its name which camera it is of.")
        self.label = label

    def __repr__(self) -> str:
        return f"Camera({self.label!r}, {str(self.path)!r})"

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the report says, as it says it."""
        content = read_json(self.info_path)
        report = content.get("RecordingReport") if isinstance(content, dict) else None
        if not isinstance(report, dict):
            raise CorruptObjectError(f"{self.info_path} is no report of a camera: it has no RecordingReport.")
        return report

    def _number(self, key: str) -> float | None:
        value = self.info.get(key)
        if value is None or value == "":
            return None
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise CorruptObjectError(f"{self.info_path}: {key} is {value!r}, which is no number.") from error

    @property
    def frames_recorded(self) -> int:
        """Number of frames that were recorded, without the metadata frame."""
        value = self._number("FramesRecorded")
        if value is None:
            raise MissingDataError(f"{self.info_path} does not say how many frames were recorded.")
        return int(value)

    @cached_property
    def lost_frames(self) -> NDArray[np.int64]:
        """Exposures of which no frame was recorded: their numbers from 0, in the order of the exposures."""
        value = self.info.get("LostFrames") or []
        texts = [value] if isinstance(value, str) else value
        try:
            return np.unique(
                np.concatenate([np.empty(0, np.int64), *(parse_lost_frames(str(t)) for t in texts)])
            )
        except (TypeError, ValueError) as error:
            raise CorruptObjectError(
                f"{self.info_path}: LostFrames cannot be understood ({error})."
            ) from error

    @property
    def start_time(self) -> datetime:
        """When the recording was started: local time (whatever the report's Z says), whole seconds, naive."""
        return self._time("TimeStart")

    @property
    def stop_time(self) -> datetime:
        """When the recording was stopped: local time, whole seconds, naive."""
        return self._time("TimeEnd")

    def _time(self, key: str) -> datetime:
        value = self.info.get(key)
        try:
            return datetime.fromisoformat(str(value)).replace(tzinfo=None)
        except ValueError as error:
            raise MissingDataError(f"{self.info_path} has no usable {key} ({value!r}).") from error

    @property
    def exposure_ms(self) -> float | None:
        """How long the first few frames were exposed, in ms: by this each camera's line is told from the others."""
        return self._number("CustomInitialExposureTime")

    @property
    def initial_frames(self) -> int:
        """How many frames were exposed for `exposure_ms`."""
        return int(self._number("CustomInitialNumberOfFrames") or 0)

    @property
    def fps(self) -> float:
        """Frames a second, as asked of the camera."""
        value = self._number("FPS")
        if not value or value <= 0:
            raise MissingDataError(f"{self.info_path} does not say at what rate frames were taken.")
        return value

    @cached_property
    def frames_in_file(self) -> int:
        """Number of frames in the movie: those that were recorded, after one that shows metadata.

        Where there is no report that says it, the movie's frames are counted.
        """
        try:
            return self.frames_recorded + 1
        except (MissingDataError, MissingObjectError):
            return count_frames(self.path)

    @property
    def is_imprinted(self) -> bool:
        """Whether each frame has its number drawn into its corner (`frame_number` reads it)."""
        return str(self.info.get("FrameID imprint enabled", "")).lower() == "true"

    @property
    def imprint_box(self) -> tuple[int, int, int, int]:
        """Where the number is drawn, in pixels: left, top, width, height."""
        box = self.info.get("BarcodeCoordinates") or {}
        try:
            return (
                int(box.get("xOffset", 0)),
                int(box.get("yOffset", 0)),
                int(box.get("width", IMPRINT_WIDTH)),
                int(box.get("height", 3)),
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise CorruptObjectError(f"{self.info_path}: BarcodeCoordinates cannot be understood.") from error

    @cached_property
    def lick_frames(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The frames at which the lick line, where it was plugged into the camera, went up, and went down."""
        value = self.info.get("CameraInput") or []
        text = value if isinstance(value, str) else ",".join(str(each) for each in value)
        try:
            numbers = np.array([int(part) for part in text.split(",") if part.strip()], dtype=np.int64)
        except ValueError as error:
            raise CorruptObjectError(
                f"{self.info_path}: CameraInput cannot be understood ({error})."
            ) from error
        frames, states = numbers[: len(numbers) // 2 * 2].reshape(-1, 2).T
        return frames[states == 1], frames[1:][(states[1:] == 0)]


def count_frames(path: AnyPath) -> int:
    """Return how many frames a movie has, by its index, or by decoding it where it has none.

    Raises
    ------
    DependencyError
        PyAV is not installed.
    CorruptObjectError
        The movie cannot be read.
    """
    try:
        import av
    except ImportError as error:
        raise DependencyError(
            f"{path} has to be opened to count its frames: pip install 'project-cache[video]'."
        ) from error
    try:
        with path.open("rb") as file, av.open(file, "r") as container:
            stream = container.streams.video[0]
            return int(stream.frames) or sum(len(packet.decode()) for packet in container.demux(stream))
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise CorruptObjectError(f"{path} cannot be read as a movie ({error}). Copy it again.") from error


def frame_number(box: NDArray[Any]) -> int:
    """Return the number that is drawn into a frame, as the video software's FrameID imprint.

    Twenty bits in five groups of four, white for 1, the least significant first (on the left); an all-white
    imprint is that of frame 0.

    Parameters
    ----------
    box : numpy.ndarray
        Grey values of the imprint's pixels (`Camera.imprint_box`), ``(width,)`` or ``(height, width)``.

    Raises
    ------
    ValueError
        The box is too narrow to hold an imprint.
    """
    row = np.asarray(box, dtype=np.float64)
    row = row if row.ndim == 1 else row.mean(axis=0)
    bits = row[_bit_columns(len(row))].mean(axis=1) > 127.5
    if bits.all():
        return 0
    return int(np.sum(bits.astype(np.int64) << np.arange(len(bits))))


def _bit_columns(width: int) -> NDArray[np.int64]:
    """Return the columns of the inner two pixels of each bit, ``(20, 2)``: compression blurs the outer ones."""
    bits = np.arange(GROUPS * BITS)
    left = bits // BITS * GROUP_PITCH + bits % BITS * BIT_PITCH
    columns: NDArray[np.int64] = left[:, None] + np.array([2, 3])
    if columns.max() >= width:
        raise ValueError(f"an imprint does not fit into {width} pixels")
    return columns
