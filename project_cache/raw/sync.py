"""The sync file: when each of a rig's digital lines went up and down, on the clock that all others are put on.

One HDF5 file a session, written by the Allen Institute's sync program: ``data`` has a row for each change of
any line (a sample counter in the first column, the state of all lines as a bit field in the last), and
``meta`` is the text of a Python dict. Times are seconds from the first sample.
"""

from __future__ import annotations

import ast
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.nwb.arrays import check, offset_of
from project_cache.raw.places import AnyPath, opened_hdf5, place

__all__ = ["RIG_LINES", "SyncFile"]

RIG_LINES = {
    "barcode_ephys": 0,
    "sound_running": 1,
    "vsync_stim": 2,
    "stim_photodiode": 4,
    "stim_running": 5,
    "beh_frame_received": 8,
    "eye_frame_received": 9,
    "face_frame_received": 10,
    "galvo": 9,
    "laser_633": 10,
    "laser_488": 11,
    "reward": 15,
    "stim_running_opto": 17,
    "stim_trial_opto": 18,
    "beh_cam_frame_readout": 21,
    "face_cam_frame_readout": 22,
    "eye_cam_frame_readout": 25,
    "beh_cam_exposing": 27,
    "face_cam_exposing": 28,
    "eye_cam_exposing": 29,
    "lick_sensor": 31,
}
"""The lines of the Dynamic Routing rigs (``sync.yml`` of aind-metadata-mapper), with those that have no label
in the files: the copy of the speaker's signal (since 2023-08-31), the lasers, the galvo, the solenoid."""

_TICKS_32 = 2**32


class SyncFile:
    """The edges of a session's digital lines, read from its sync file.

    Nothing is read before it is asked for: what `meta` says costs no look at the edges.

    Parameters
    ----------
    path : str or path
        The file: ``<date>T<time>.h5`` or ``*.sync``.

    Raises
    ------
    MissingObjectError
        On first use: there is no such file.
    CorruptObjectError
        On first use: it is no HDF5 file, is truncated, or is not one that sync wrote.
    """

    def __init__(self, path: AnyPath | str) -> None:
        self.path = place(path) if isinstance(path, str) else path
        self._edges: dict[tuple[int, bool], npt.NDArray[np.float64]] = {}

    def __repr__(self) -> str:
        return f"SyncFile({str(self.path)!r})"

    def _damaged(self, what: str) -> CorruptObjectError:
        return CorruptObjectError(
            f"{self.path} is not a good sync file: {what}. Copy it again from the rig or its archive, "
            "or read the session without it."
        )

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What sync wrote of itself: ``ni_daq``, ``start_time``, ``line_labels``, ``total_samples``."""
        with opened_hdf5(self.path) as file:
            try:
                text = file["meta"][()]
            except (KeyError, OSError, RuntimeError) as error:
                raise self._damaged(f"its meta cannot be read ({error})") from error
        if isinstance(text, np.ndarray) and text.size == 1:
            text = text.reshape(-1)[0]
        try:
            found = ast.literal_eval(text.decode() if isinstance(text, bytes) else str(text))
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise self._damaged(f"its meta is not the text of a Python dict ({error})") from error
        if not isinstance(found, dict):
            raise self._damaged("its meta is not a dict")
        return found

    @cached_property
    def sample_rate(self) -> float:
        """The rate of the sample counter, Hz (100 kHz on the rigs)."""
        device = self.meta.get("ni_daq")
        device = device if isinstance(device, dict) else {}
        for name in ("sample_freq", "counter_output_freq", "sample_rate"):
            rate = device.get(name)
            if isinstance(rate, (int, float)) and rate > 0:
                return float(rate)
        raise self._damaged("its meta names no sampling rate")

    @cached_property
    def start_time(self) -> datetime:
        """The time of day of the first sample, without a time zone, as the rig's computer had it."""
        return self._moment("start_time")

    def _moment(self, name: str) -> datetime:
        try:
            return datetime.fromisoformat(str(self.meta[name])).replace(tzinfo=None)
        except (KeyError, ValueError) as error:
            raise self._damaged(f"its meta has no {name}") from error

    @cached_property
    def total_samples(self) -> int:
        """The number of samples of the recording."""
        total = self.meta.get("total_samples")
        if not isinstance(total, int) or total <= 0:
            ticks, _ = self._rows
            return int(ticks[-1]) + 1 if len(ticks) else 0
        # the number is a 32-bit counter's too: the two times of day say how often it went round
        try:
            lasted = (self._moment("stop_time") - self.start_time).total_seconds() * self.sample_rate
        except CorruptObjectError:
            return total
        return total + max(0, round((lasted - total) / _TICKS_32)) * _TICKS_32

    @property
    def total_seconds(self) -> float:
        """How long the recording lasted, s."""
        return self.total_samples / self.sample_rate

    @property
    def stop_time(self) -> datetime:
        """The time of day of the last sample: `start_time` and the number of samples since."""
        return self.start_time + timedelta(seconds=self.total_seconds)

    @cached_property
    def line_labels(self) -> tuple[str, ...]:
        """The names of the lines, by number; empty for those without."""
        labels = self.meta.get("line_labels", ())
        return tuple(str(label) for label in labels) if isinstance(labels, (list, tuple)) else ()

    def line(self, line: int | str) -> int:
        """Return the number of a line.

        Parameters
        ----------
        line : int or str
            A number, or a label: one of the file's `line_labels`, or else one of `RIG_LINES`.

        Raises
        ------
        MissingDataError
            Neither the file nor the rigs have such a line.
        """
        if isinstance(line, str):
            if line and line in self.line_labels:
                return self.line_labels.index(line)
            if line in RIG_LINES:
                return RIG_LINES[line]
        elif 0 <= line < 32:
            return int(line)
        known = sorted({*filter(None, self.line_labels), *RIG_LINES})
        raise MissingDataError(f"{self.path} has no line {line!r}. It has 0 to 31, and: {', '.join(known)}.")

    def has(self, line: int | str) -> bool:
        """Return whether a line has any edge; a line that is not known has none."""
        try:
            number = self.line(line)
        except MissingDataError:
            return False
        return bool((self._changed >> np.uint32(number) & np.uint32(1)).any())

    def rising(self, line: int | str) -> npt.NDArray[np.float64]:
        """Return when a line went up, seconds from the first sample, ascending.

        Raises
        ------
        MissingDataError
            There is no such line. (One that never changed gives an empty array.)
        """
        return self._times(line, rising=True)

    def falling(self, line: int | str) -> npt.NDArray[np.float64]:
        """Return when a line went down; see `rising`."""
        return self._times(line, rising=False)

    def high_at(self, line: int | str, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return whether a line was up at `times` (s); before the first edge of all, as at that edge."""
        number = np.uint32(self.line(line))
        ticks, states = self._rows
        asked = np.asarray(times, np.float64)
        if not len(states):
            return np.zeros(asked.shape, np.bool_)
        # half a sample of grace: a time that came from an edge is that edge
        rows = np.searchsorted(ticks, asked * self.sample_rate + 0.5, "right") - 1
        return np.asarray(states[np.maximum(rows, 0)] >> number & np.uint32(1), np.bool_)

    def _times(self, line: int | str, *, rising: bool) -> npt.NDArray[np.float64]:
        key = (self.line(line), rising)
        if key not in self._edges:
            ticks, states = self._rows
            mask = np.uint32(1 << key[0])
            changed = self._changed & (states[1:] if rising else ~states[1:]) & mask
            times = ticks[1:][changed != 0] / self.sample_rate
            times.setflags(write=False)
            self._edges[key] = times
        return self._edges[key]

    @cached_property
    def _changed(self) -> npt.NDArray[np.uint32]:
        _, states = self._rows
        return np.bitwise_xor(states[1:], states[:-1])

    @cached_property
    def _rows(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        """The counter, unwrapped, and the state of all lines, at each change of any."""
        with opened_hdf5(self.path) as file:
            try:
                found = file["data"]
                if not isinstance(found, h5py.Dataset) or found.ndim != 2 or found.shape[1] < 2:
                    raise self._damaged("its data have not a counter and a state in each row")
                if found.dtype.kind not in "iu":
                    raise self._damaged(f"its data are {found.dtype}, not integers")
                data = _in_place(self.path, found)
                data = found[:] if data is None else data
            except (KeyError, OSError, RuntimeError) as error:
                if isinstance(error, CorruptObjectError):
                    raise
                raise self._damaged(f"its data cannot be read ({error})") from error
        ticks = data[:, 0].astype(np.int64)
        # a 32-bit counter at 100 kHz goes round after 11.9 hours
        ticks[1:] += np.cumsum(np.diff(ticks) < -(_TICKS_32 // 2)) * _TICKS_32
        return ticks, np.ascontiguousarray(data[:, -1]).astype(np.uint32)


def _in_place(path: AnyPath, dataset: h5py.Dataset) -> npt.NDArray[Any] | None:
    """Return a data set from where it lies in the file as it is, or None: other threads wait for HDF5, not for this."""
    check(dataset)
    offset = offset_of(dataset)
    if not isinstance(path, Path) or offset is None:
        return None
    found = np.fromfile(path, dataset.dtype, dataset.size, offset=offset)
    return found.reshape(dataset.shape) if found.size == dataset.size else None
