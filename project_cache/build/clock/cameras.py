"""Cameras' clocks: when each frame of a movie was exposed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from project_cache.errors import MissingDataError
from project_cache.raw.cameras import Camera

__all__ = ["camera_lines", "camera_times", "camera_times_from_licks", "exposures"]

#: what the sync line of a camera is called, by the camera
LINES = {
    "behavior": "beh_cam_exposing",
    "face": "face_cam_exposing",
    "eye": "eye_cam_exposing",
    "nose": "nose_cam_exposing",
}
#: a pause of this many frames parts one run of a camera from the next
PAUSE_FRAMES = 30
#: seconds between what the report says and the first exposure, at the most
MAX_START_ERROR = 10.0
#: how many of the first exposures tell a camera, and how far, in ms, each may be from what was set
FINGERPRINT_FRAMES = 8
FINGERPRINT_TOLERANCE = 0.5
#: licks that camera and task must share, and by how many seconds they may see one apart: two frames
FEWEST_LICKS = 10
LICK_TOLERANCE = 0.035
#: how far a camera's frame rate can be from what was asked of it
MAX_DRIFT = 5e-4


def exposures(rising: ArrayLike, expected_start: float) -> NDArray[np.float64]:
    """Return the exposures of one recording: the run of a line's rising edges that began when it was started.

    A camera may have run earlier in the same session (in a test of its picture), and after.

    Parameters
    ----------
    rising : array-like of float
        Rising edges of a line that says when a camera exposes, s.
    expected_start : float
        When the report says that the recording was started, s on the same clock.

    Raises
    ------
    MissingDataError
        No run began within ten seconds of it, or the camera was running already when the line was first seen.
    """
    times = np.asarray(rising, dtype=np.float64)
    if len(times) < 2:
        raise MissingDataError("the camera's sync line has no exposures")
    intervals = np.diff(times)
    breaks = np.flatnonzero(intervals > PAUSE_FRAMES * np.median(intervals)) + 1
    runs = np.split(times, breaks)
    run = min(runs, key=lambda each: abs(each[0] - expected_start))
    error = run[0] - expected_start
    if abs(error) > MAX_START_ERROR:
        raise MissingDataError(
            f"the report says that the recording was started at {expected_start:.1f} s, but the exposures nearest "
            f"to that begin at {run[0]:.1f} s"
        )
    # the report's time has whole seconds: it may be up to one too early, not more
    if run is runs[0] and run[0] < 2 * np.median(intervals) and expected_start < -1.5:
        raise MissingDataError(
            f"the camera was started {-expected_start:.0f} s before sync: its first exposures are unknown"
        )
    return run


def camera_times(camera: Camera, rising: ArrayLike, sync_start: datetime) -> NDArray[np.float64]:
    """Return when each frame of a movie was exposed.

    Parameters
    ----------
    camera : Camera
        The movie and its report.
    rising : array-like of float
        Rising edges of the line that says when it exposes (`camera_lines` tells which), s.
    sync_start : datetime.datetime
        Local time of the first sync sample (naive, as the report's).

    Returns
    -------
    numpy.ndarray of float64, (frames in the movie,)
        Seconds; NaN for the metadata frame (the first), and for frames at the end of which no exposure is
        known.

    Raises
    ------
    MissingDataError
        No exposures fit the report's start.
    """
    expected = (camera.start_time - sync_start.replace(tzinfo=None)).total_seconds()
    try:
        run = exposures(rising, expected)
    except MissingDataError as error:
        raise MissingDataError(f"{camera.path}: {error}.") from error
    lost = camera.lost_frames
    kept = np.delete(run, lost[lost < len(run)])
    times = np.full(camera.frames_in_file, np.nan)
    n = min(len(kept), len(times) - 1)
    times[1 : n + 1] = kept[:n]
    return times


def camera_lines(
    cameras: Sequence[Camera],
    rising: Mapping[str, ArrayLike],
    falling: Mapping[str, ArrayLike],
    sync_start: datetime,
) -> dict[str, str]:
    """Return which line each camera's exposures are on, by the camera's label.

    Plugs get swapped. Each camera exposes its first frames for a time of its own, which its report gives; the
    line whose first pulses are of that length is the camera's, whatever the line is called.

    Parameters
    ----------
    cameras : sequence of Camera
        The session's.
    rising, falling : mapping of str to array-like
        Edges of each line that says when a camera exposes, s, by its label (``"eye_cam_exposing"``).
    sync_start : datetime.datetime
        Local time of the first sync sample.

    Returns
    -------
    dict of str to str
        Label of the camera to label of the line. A camera of which nothing is known has its own line, if
        there is one; otherwise it is left out.
    """
    widths = {line: np.asarray(rising[line], dtype=np.float64) for line in sorted(rising)}
    lines = [line for line in widths if len(widths[line]) >= 2]
    cameras = [each for each in cameras if _has_report(each)]
    told = [each for each in cameras if each.exposure_ms is not None]
    cost: dict[tuple[str, str], float] = {}
    for camera in told:
        expected = (camera.start_time - sync_start.replace(tzinfo=None)).total_seconds()
        for line in lines:
            width = _first_width(widths[line], np.asarray(falling[line], dtype=np.float64), expected)
            if width is not None:
                cost[camera.label, line] = abs(width - float(camera.exposure_ms or 0))
    found = _assigned([each.label for each in told], lines, cost)
    for camera in cameras:
        own = LINES.get(camera.label, "")
        if camera.label not in found and own in lines and own not in found.values():
            found[camera.label] = own
    return found


def _has_report(camera: Camera) -> bool:
    return camera.info_path.is_file()


def _first_width(rising: NDArray[np.float64], falling: NDArray[np.float64], expected: float) -> float | None:
    """Return the mean length of a recording's first exposures, in ms."""
    try:
        first = exposures(rising, expected)[:FINGERPRINT_FRAMES]
    except MissingDataError:
        return None
    ends = np.searchsorted(falling, first, side="right")
    if ends[-1] >= len(falling):
        return None
    return float(np.mean(falling[ends] - first)) * 1000


def _assigned(labels: list[str], lines: list[str], cost: dict[tuple[str, str], float]) -> dict[str, str]:
    """Return the lines of those cameras whose fingerprint is on one, each line once: the best of all ways."""
    never = float("inf")
    slots: list[str | None] = [*lines, *([None] * len(labels))]
    best: tuple[float, int, dict[str, str]] = (never, 0, {})
    for chosen in set(itertools.permutations(slots, len(labels))):
        total, found = 0.0, {}
        for label, line in zip(labels, chosen, strict=True):
            if line is None:
                total += FINGERPRINT_TOLERANCE
                continue
            off = cost.get((label, line), never)
            # where two cameras have the same exposure, each has its own line
            total += (
                off + (0 if line == LINES.get(label) else 1e-3) if off <= FINGERPRINT_TOLERANCE else never
            )
            found[label] = line
        if total < best[0]:
            best = (total, len(found), found)
    return best[2]


def camera_times_from_licks(
    lick_frames: ArrayLike, lick_times: ArrayLike, fps: float, frames_in_file: int
) -> NDArray[np.float64]:
    """Return when frames were taken, for a behavior box without sync, where licks were recorded by camera and task.

    Parameters
    ----------
    lick_frames : array-like of int
        Frames of the movie at which the lick line went up (`Camera.lick_frames`).
    lick_times : array-like of float
        When the task saw licks begin, s on the session's clock.
    fps : float
        Frames a second, as asked of the camera.
    frames_in_file : int
        Number of frames in the movie, with the metadata frame.

    Returns
    -------
    numpy.ndarray of float64, (frames_in_file,)
        Seconds: straight lines between licks that both saw, and beyond the first and the last of them at the
        rate over all; NaN for the metadata frame.

    Raises
    ------
    MissingDataError
        The two do not share enough licks.
    """
    seen = np.unique(np.asarray(lick_frames, dtype=np.float64)) / fps
    told = np.unique(np.asarray(lick_times, dtype=np.float64))
    told = told[np.isfinite(told)]
    fewer = min(len(seen), len(told))
    if fewer < FEWEST_LICKS:
        raise MissingDataError(f"only {fewer} licks were seen by both the camera and the task")
    slope, start = _coarse_line(seen, told)
    at = np.empty(0, np.int64)
    for _ in range(5):
        reckoned = start + slope * seen
        nearest = _nearest(told, reckoned)
        # each the other's nearest: a lick that one of them missed has no pair
        mutual = _nearest(reckoned, told[nearest]) == np.arange(len(seen))
        at = np.flatnonzero(mutual & (np.abs(told[nearest] - reckoned) <= LICK_TOLERANCE))
        if len(at) < max(FEWEST_LICKS, fewer / 2):
            raise MissingDataError(
                f"of the {len(seen)} licks that the camera saw and the {len(told)} of the task, only {len(at)} "
                "can be the same"
            )
        slope, start = np.polyfit(seen[at], told[nearest[at]], 1)
    left = told[nearest[at]] - start - slope * seen[at]
    clock = np.arange(frames_in_file) / fps
    times = start + slope * clock
    # Both see a lick up to a frame late (0.4 frames rms), so that a line through all is better than any of them; but where
    # frames were dropped unseen there is no one line, and licks are what there is to go by.
    if np.sqrt(np.mean(left**2)) > 0.5 / fps:
        times += np.interp(clock, seen[at], left)
    times[:1] = np.nan
    return np.asarray(times, dtype=np.float64)


def _nearest(sorted_values: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of the value nearest to each that is wanted."""
    after = np.clip(np.searchsorted(sorted_values, wanted), 1, max(len(sorted_values) - 1, 1))
    before = after - 1
    closer = np.abs(wanted - sorted_values[before]) <= np.abs(sorted_values[after] - wanted)
    return np.where(closer, before, after).astype(np.int64)


def _coarse_line(seen: NDArray[np.float64], told: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope and start of the line by which most licks of both fall together, within a frame or two."""
    # First the start, roughly: the second in which most differences of any two licks lie.
    low, high = told[0] - seen[-1], told[-1] - seen[0]
    edges = np.arange(low - 1, high + 2, 0.25)
    counts = np.zeros(len(edges) - 1)
    for part in np.array_split(seen, max(1, len(seen) // 500)):
        counts += np.histogram(told[:, None] - part[None, :], edges)[0]
    rough = edges[np.argmax(np.convolve(counts, np.ones(8), "same"))]
    # Then both at once, among the pairs that are near it.
    first = np.searchsorted(told, seen + rough - 2.5)
    last = np.searchsorted(told, seen + rough + 2.5)
    which = np.repeat(np.arange(len(seen)), last - first)
    partner = np.concatenate([np.arange(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True)])
    middle = seen.mean()
    fine = np.arange(rough - 4, rough + 4, 0.01)
    best = (-1.0, 1.0, rough)
    length = max(float(np.ptp(seen)), 1.0)
    for slope in np.arange(1 - MAX_DRIFT, 1 + MAX_DRIFT, 0.01 / length):
        differences = told[partner.astype(np.int64)] - (seen + (slope - 1) * (seen - middle))[which]
        together = np.convolve(np.histogram(differences, fine)[0], np.ones(3), "same")
        n = int(np.argmax(together))
        if together[n] > best[0]:
            best = (float(together[n]), float(slope), float(fine[n] + 0.005))
    _, slope, offset = best
    return slope, offset + (1 - slope) * middle
