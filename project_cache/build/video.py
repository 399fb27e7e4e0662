"""The pixels of a camera's video, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from project_cache.errors import ComponentUnavailable, CorruptObjectError, MissingObjectError

if TYPE_CHECKING:
    from project_cache.raw.cameras import Camera
    from project_cache.raw.places import AnyPath
    from project_cache.raw.recording import RawRecording

__all__ = ["CAMERA_NAMES", "camera_of", "frames", "sample", "times_of"]

#: what a camera is called in the file, by what it is called on the rig
CAMERA_NAMES = {
    "eye": "eye_camera",
    "face": "front_camera",
    "behavior": "side_camera",
    "nose": "zoomed_side_camera",
}


def frames(path: AnyPath) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video as grey levels, each of shape (height, width); one is held at a time.

    Parameters
    ----------
    path : Path or RemotePath
        The video.

    Raises
    ------
    ComponentUnavailable
        PyAV, which reads videos, is not installed.
    MissingObjectError, CorruptObjectError
        There is no such file, or it is not a video that can be read.
    """
    with _opened(path) as (container, failure):
        try:
            stream = container.streams.video[0]
            # several threads: a frame is given out when it is its turn, so the result is the same
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                yield frame.to_ndarray(format="gray")
        except (failure, IndexError) as error:
            raise _damaged(path, error) from error


def sample(path: AnyPath, number: int) -> list[NDArray[np.uint8]]:
    """Return some frames from all of a video, in order, without decoding what is between them.

    Parameters
    ----------
    path : Path or RemotePath
        The video.
    number : int
        How many; fewer where the video has fewer frames that are whole by themselves.

    Raises
    ------
    ComponentUnavailable, MissingObjectError, CorruptObjectError
        As of :func:`frames`.
    """
    chosen: dict[int, NDArray[np.uint8]] = {}
    with _opened(path) as (container, failure):
        try:
            stream = container.streams.video[0]
            lasting = stream.duration or 0
            for place in range(number):
                container.seek(int(lasting * (place + 0.5) / number), stream=stream)
                # the frame before the place asked for that needs no other
                frame = next(container.decode(stream), None)
                if frame is not None and frame.pts is not None:
                    chosen.setdefault(frame.pts, frame.to_ndarray(format="gray"))
        except (failure, IndexError) as error:
            raise _damaged(path, error) from error
    return [chosen[time] for time in sorted(chosen)]


def camera_of(raw: RawRecording, label: str) -> Camera:
    """Return the camera of a label (``"eye"``, ``"face"``, ``"behavior"``, ``"nose"``).

    Raises
    ------
    ComponentUnavailable
        There is no video of it.
    """
    for camera in raw.cameras:
        if camera.label == label:
            return camera
    raise ComponentUnavailable(f"There is no video of the {label} camera.")


def times_of(clock: Any, label: str) -> NDArray[np.float64]:
    """Return the time of each frame of a camera's video (s); NaN for a frame that has none.

    Parameters
    ----------
    clock : SessionClock
        The session's clock.
    label : str
        The camera.

    Raises
    ------
    ComponentUnavailable
        The times of its frames are not known.
    """
    from project_cache.errors import MissingDataError

    try:
        times = clock.camera(label)
    except ComponentUnavailable:
        raise
    except MissingDataError as error:
        raise ComponentUnavailable(
            f"The times of the {label} camera's frames are not known: {error}"
        ) from error
    return np.asarray(times, dtype=np.float64)


def _damaged(path: AnyPath, error: Exception) -> CorruptObjectError:
    return CorruptObjectError(f"{path} cannot be read as a video ({error}). Copy it again.")


@contextmanager
def _opened(path: AnyPath) -> Iterator[tuple[Any, type[Exception]]]:
    """Open a video; with it comes the error by which its reader says that it is damaged."""
    try:
        import av
    except ImportError as error:
        raise ComponentUnavailable(
            f"{path} has to be decoded, for which PyAV is needed: pip install 'project-cache[video]'."
        ) from error
    failure: type[Exception] = av.error.FFmpegError
    try:
        with path.open("rb") as file:
            try:
                container = av.open(file)
            except failure as error:
                raise _damaged(path, error) from error
            with container:
                yield container, failure
    except FileNotFoundError as error:
        if isinstance(error, MissingObjectError):
            raise
        raise MissingObjectError(f"There is no video {path}.") from error
