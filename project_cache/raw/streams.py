"""Streams of an Open Ephys recording (binary format, 0.6 or newer): samples, their numbers, TTL events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.compressed import ZarrGroup
from project_cache.raw.places import AnyPath, RemotePath, place, read_npy, read_text, translated
from project_cache.raw.settings import probe_letter

__all__ = ["RemoteFrames", "Stream", "read_sync_messages"]

#: a stream that is sampled more slowly than this, in Hz, is an LFP stream, whatever its name
SLOWEST_AP = 5000.0
#: more breaks than this, and the numbers count no samples
MOST_GAPS = 10_000


class Stream:
    """One stream of samples: a band of a probe, or an analog input device.

    Made by `OpenEphys`; nothing but the description is read before it is asked for.

    Parameters
    ----------
    description : mapping
        The stream's entry in ``structure.oebin``.
    recording : Path or RemotePath
        The ``experimentN/recordingM`` folder.
    compressed : Path or RemotePath, optional
        The zarr folder that holds the samples, where they were compressed.
    segment : int
        Which of the zarr folder's recordings this is.
    probe : str, optional
        The probe's letter, where the name does not tell it.

    Attributes
    ----------
    name : str
        The folder's name (``"Neuropix-PXI-100.ProbeA-AP"``).
    probe : str or None
        The probe's letter.
    nominal_rate : float
        Hz, as the device believes.
    channel_names : tuple of str
        As in ``structure.oebin``.
    bit_volts : numpy.ndarray of float64
        What one count means on each channel, in µV for probes and V for analog inputs.
    path : Path or RemotePath
        The folder with the samples.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        recording: AnyPath,
        compressed: AnyPath | None = None,
        segment: int = 0,
        probe: str | None = None,
    ) -> None:
        oebin = recording / "structure.oebin"
        try:
            self.name = str(description["folder_name"]).strip("/")
            self.nominal_rate = float(description["sample_rate"])
            channels = list(description["channels"])
            self.channel_names = tuple(str(each["channel_name"]) for each in channels)
            self.bit_volts = np.array([float(each["bit_volts"]) for each in channels])
            self.units = tuple(str(each.get("units", "")) for each in channels)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptObjectError(
                f"{oebin} does not describe its streams ({error!r}). Copy it again."
            ) from error
        if not channels or "/" in self.name or self.name in ("", ".", "..") or not self.nominal_rate > 0:
            raise CorruptObjectError(f"{oebin} describes a stream {self.name!r} that cannot be.")
        self.probe = probe_letter(self.name.rpartition(".")[2]) or probe
        self.recording = recording
        self.path = recording / "continuous" / self.name
        self.compressed = compressed
        self._segment = segment

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, {self.n_channels} channels, {self.nominal_rate:g} Hz)"

    @property
    def band(self) -> str | None:
        """``"AP"`` or ``"LFP"`` for a probe's stream, whose name need not say; None for others."""
        if self.probe is None:
            return None
        return "LFP" if self.name.endswith("-LFP") or self.nominal_rate < SLOWEST_AP else "AP"

    @property
    def n_channels(self) -> int:
        """Number of channels in a frame, the continuously sampled sync line among them where it was recorded."""
        return len(self.channel_names)

    @property
    def contact_channels(self) -> NDArray[np.int64]:
        """The columns that record from a contact: all but the sync line of probes that record it (385th)."""
        sync = np.array([name.upper().endswith("SYNC") for name in self.channel_names])
        return np.flatnonzero(~sync)

    @cached_property
    def data(self) -> Any:
        """The samples, int16 counts, ``(n_samples, n_channels)``: mapped or compressed, read by slices.

        A ``continuous.dat`` that was cut short is read up to its last whole frame.

        Raises
        ------
        MissingObjectError
            Neither ``continuous.dat`` nor its compressed form is here.
        """
        if self.compressed is not None:
            array = ZarrGroup(self.compressed).array(f"traces_seg{self._segment}")
            if array.ndim != 2 or array.shape[1] != self.n_channels:
                raise CorruptObjectError(
                    f"{self.compressed} has samples of shape {array.shape}, but structure.oebin says "
                    f"{self.n_channels} channels."
                )
            return array
        dat = self.path / "continuous.dat"
        with translated(dat):
            n_frames = dat.stat().st_size // (2 * self.n_channels)
            shape = (n_frames, self.n_channels)
            if isinstance(dat, RemotePath):
                return RemoteFrames(dat, shape)
            if not n_frames:
                return np.zeros(shape, np.int16)
            return np.memmap(dat, np.dtype("<i2"), "r", shape=shape)

    @property
    def n_samples(self) -> int:
        """Number of samples of each channel that are here."""
        return int(self.data.shape[0])

    @cached_property
    def first_sample(self) -> int:
        """The number of the first sample, on the device's own count; events are numbered by the same count.

        Raises
        ------
        MissingDataError
            Neither ``sample_numbers.npy`` nor ``sync_messages.txt`` tells it.
        """
        path = self.path / "sample_numbers.npy"
        if path.is_file():
            with translated(path), path.open("rb") as file:
                numbers = _Numbers(file)
                if len(numbers):
                    return numbers[0]
        messages = self.recording / "sync_messages.txt"
        if messages.is_file():
            started = read_sync_messages(messages)[1]
            if self.name in started:
                return started[self.name]
        raise MissingDataError(
            f"{path} does not say which sample is the first, and neither does {messages}: this stream cannot be "
            "put on the session's clock."
        )

    @cached_property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Where samples were lost on the way to the disk: the row of `data` that follows, and how many are missing.

        Rows of `data` know nothing of them; events do: they are numbered by what the device counted.

        Raises
        ------
        CorruptObjectError
            ``sample_numbers.npy`` holds no numbers of samples.
        """
        path = self.path / "sample_numbers.npy"
        if not path.is_file():
            return ()
        with translated(path), path.open("rb") as file:
            numbers = _Numbers(file)
            found: list[tuple[int, int]] = []
            spans = [(0, min(len(numbers), self.n_samples) - 1)]
            while spans:
                first, last = spans.pop()
                missing = numbers[last] - numbers[first] - (last - first) if last > first else 0
                if missing < 0 or len(found) > MOST_GAPS:
                    raise CorruptObjectError(f"{path} does not count samples: its numbers go back.")
                if missing and last == first + 1:
                    found.append((last, missing))
                elif missing:
                    middle = (first + last) // 2
                    spans += [(middle, last), (first, middle)]
        return tuple(found)

    @cached_property
    def timestamps(self) -> NDArray[np.float64]:
        """Open Ephys' own time of each sample, in seconds: mapped, read by slices."""
        return read_npy(self.path / "timestamps.npy")

    @property
    def adjusted(self) -> bool:
        """Whether `timestamps` were replaced by times on the session's clock (the flag file beside them says so)."""
        return (self.path / "TIMESTAMPS_ADJUSTED.flag").exists()

    def ttl(self, line: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
        """Return the edges of the device's digital inputs.

        Parameters
        ----------
        line : int, optional
            One line alone (1 is the first, which has the barcodes on probes).

        Returns
        -------
        samples : numpy.ndarray of int64
            When, in samples since `first_sample`, in order.
        states : numpy.ndarray of int8
            1 where the line went up, -1 where it went down.
        lines : numpy.ndarray of int64
            Which line, from 1 on.

        Raises
        ------
        MissingDataError
            No events were recorded.
        CorruptObjectError
            A file of them is damaged.
        """
        folder = self._events()
        samples = read_npy(folder / "sample_numbers.npy", mmap=False)
        states = read_npy(folder / "states.npy", mmap=False)
        if samples.ndim != 1 or samples.shape != states.shape or samples.dtype.kind not in "iu":
            raise CorruptObjectError(
                f"{folder} has {len(np.atleast_1d(samples)):,} sample numbers and "
                f"{len(np.atleast_1d(states)):,} states: one of them was cut short. Copy both again."
            )
        relative = samples.astype(np.int64) - self.first_sample
        wide = states.astype(np.int64)
        # Two threads write events, so that a late one may stand after a later one.
        order = np.argsort(relative, kind="stable")
        relative, wide = relative[order], wide[order]
        lines = np.abs(wide)
        keep = lines > 0 if line is None else lines == line
        return relative[keep], np.sign(wide[keep]).astype(np.int8), lines[keep]

    def _events(self) -> AnyPath:
        folder = self.recording / "events" / self.name
        found = sorted(each for each in folder.glob("TTL*")) if folder.is_dir() else []
        if not found:
            raise MissingDataError(f"{folder} has no TTL events: the stream {self.name} has no barcodes.")
        return found[0]


class RemoteFrames:
    """The frames of a ``continuous.dat`` that is far away: slices of rows are fetched as they are asked for.

    Parameters
    ----------
    path : RemotePath
        The file.
    shape : tuple of int
        Whole frames in it, and channels.
    """

    dtype = np.dtype("<i2")
    ndim = 2

    def __init__(self, path: RemotePath, shape: tuple[int, int]) -> None:
        self.path = path
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.int16]:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(rows, int | np.integer):
            at = int(rows) + (len(self) if rows < 0 else 0)
            if not 0 <= at < len(self):
                raise IndexError(f"frame {rows} of {len(self)}")
            return np.asarray(self._fetched(at, at + 1)[0, columns])
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step > 0:
                return self._fetched(start, max(start, stop))[::step, columns]
        raise TypeError("frames that are far away are read by slices that go forward")

    def _fetched(self, start: int, stop: int) -> NDArray[np.int16]:
        width = self.dtype.itemsize * self.shape[1]
        content = self.path.read_range(start * width, stop * width) if stop > start else b""
        return np.frombuffer(content, self.dtype).reshape(-1, self.shape[1])


class _Numbers:
    """The numbers in an .npy file, each read when it is asked for: there is one for each of 200 million samples.

    A file that was cut short has those that are there.
    """

    def __init__(self, file: IO[bytes]) -> None:
        version = np.lib.format.read_magic(file)
        header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = header(file)
        if len(shape) != 1 or dtype.kind not in "iu":
            raise ValueError(f"it holds {dtype} of shape {shape}, no sample numbers")
        self._file, self._dtype, self._at = file, dtype, file.tell()
        there = (file.seek(0, 2) - self._at) // dtype.itemsize
        self._length = min(int(shape[0]), there)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, n: int) -> int:
        self._file.seek(self._at + n * self._dtype.itemsize)
        return int(np.frombuffer(self._file.read(self._dtype.itemsize), self._dtype)[0])


def read_sync_messages(path: str | AnyPath) -> tuple[datetime | None, dict[str, int]]:
    """Return when a recording began, by its computer (UTC), and the number of the first sample of each stream.

    Parameters
    ----------
    path : str or path
        A ``sync_messages.txt``.
    """
    began: datetime | None = None
    starts: dict[str, int] = {}
    for text in read_text(place(path)).splitlines():
        stream = re.match(r"Start Time for (.+?) \((\d+)\) - (.+?) @ [\d.]+ Hz: (\d+)\s*$", text)
        software = re.match(r"Software Time.*?: ?(\d{10,15})\D*$", text)
        if stream:
            starts[f"{stream[1]}-{stream[2]}.{stream[3]}"] = int(stream[4])
        elif software:
            began = datetime.fromtimestamp(int(software[1]) / 1000, UTC)
    return began, starts
