"""Recordings of Open Ephys (binary format, 0.6 or newer): streams of samples, their TTL events, the probes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project_cache.errors import (
    CorruptObjectError,
    MissingDataError,
    MissingObjectError,
    ProjectCacheError,
)
from project_cache.raw.compressed import ZarrGroup
from project_cache.raw.places import AnyPath, RemotePath, place, read_json, read_npy, read_text, translated
from project_cache.raw.settings import ProbeInfo, Settings, probe_letter, read_settings

__all__ = ["OpenEphys", "RemoteFrames", "Stream", "read_sync_messages"]

#: a stream that is sampled more slowly than this, in Hz, is an LFP stream, whatever its name
SLOWEST_AP = 5000.0


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
            first = _first(path)
            if first is not None:
                return first
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


def _first(path: AnyPath) -> int | None:
    """Return the first number of an .npy file, of which no more is read: it has one for each of 200 million samples."""
    with translated(path), path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = header(file)
        if len(shape) != 1 or dtype.kind not in "iu":
            raise ValueError(f"it holds {dtype} of shape {shape}, no sample numbers")
        content = file.read(dtype.itemsize)
    return int(np.frombuffer(content, dtype)[0]) if shape[0] and len(content) == dtype.itemsize else None


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


class OpenEphys:
    """What Open Ephys recorded in a session, which may be spread over several Record Nodes.

    Nothing is read before it is asked for.

    Parameters
    ----------
    record_nodes : iterable of path
        The ``Record Node N`` folders.
    compressed : str or path, optional
        The folder with the compressed streams; by default ``ecephys_compressed`` beside the ``ecephys_clipped``
        folder that the Record Nodes lie in.

    Attributes
    ----------
    record_nodes : tuple of path
        The ``Record Node N`` folders.
    """

    def __init__(
        self, record_nodes: Iterable[str | AnyPath], compressed: str | AnyPath | None = None
    ) -> None:
        self.record_nodes = tuple(place(each) for each in record_nodes)
        self._compressed = None if compressed is None else place(compressed)

    @cached_property
    def recording_dirs(self) -> tuple[AnyPath, ...]:
        """The ``experimentN/recordingM`` folders of all Record Nodes."""
        return tuple(
            recording
            for node in self.record_nodes
            for experiment in _folders(node, "experiment")
            for recording in _folders(experiment, "recording")
        )

    @cached_property
    def _settings_and_errors(self) -> tuple[list[Settings], list[ProjectCacheError]]:
        read, failed = [], []
        for node in self.record_nodes:
            files: list[Any] = sorted(node.glob("settings*.xml"))
            try:
                if not files:
                    raise MissingObjectError(f"{node} has no settings.xml.")
                read.append(read_settings(files[0]))
            except ProjectCacheError as error:
                failed.append(error)
        return read, failed

    @property
    def settings(self) -> Settings:
        """The first Record Node's settings that can be read (those of the others agree, or `probes` says so)."""
        read, failed = self._settings_and_errors
        if not read:
            raise (
                failed[0]
                if failed
                else MissingDataError("There is no Record Node: nothing tells the probes.")
            )
        return read[0]

    @property
    def start_time(self) -> datetime | None:
        """When the settings were saved, at the start of the recording: local time, whole seconds."""
        return self.settings.start_time

    @property
    def version(self) -> str:
        """The version of Open Ephys."""
        return self.settings.version

    @property
    def rig(self) -> str | None:
        """The rig that the computer belongs to (``"NP3"``), if it is one that is known."""
        return self.settings.rig

    @cached_property
    def probes(self) -> dict[str, ProbeInfo]:
        """The probes by letter, of all Record Nodes.

        Raises
        ------
        MissingDataError
            Neither a name nor a port tells which letter a probe has.
        CorruptObjectError
            Two Record Nodes say that different probes have the same letter.
        """
        _ = self.settings
        found: dict[str, ProbeInfo] = {}
        for settings in self._settings_and_errors[0]:
            for probe in settings.probes:
                if probe.letter is None:
                    raise MissingDataError(
                        f"{settings.path}: probe {probe.serial_number} ({probe.name!r}, slot {probe.slot}, port "
                        f"{probe.port}) has no letter: neither its name nor its port tells it."
                    )
                other = found.setdefault(probe.letter, probe)
                if other.serial_number != probe.serial_number:
                    raise CorruptObjectError(
                        f"{settings.path} says that probe {probe.letter} is {probe.serial_number}, another Record "
                        f"Node's settings that it is {other.serial_number}: they are of different recordings."
                    )
        return dict(sorted(found.items()))

    @cached_property
    def _streams_and_errors(self) -> tuple[dict[str, Stream], dict[str, ProjectCacheError]]:
        streams: dict[str, Stream] = {}
        errors: dict[str, ProjectCacheError] = {}
        by_name = self._letters_by_name()
        for recording in self.recording_dirs:
            oebin = recording / "structure.oebin"
            try:
                found = list(self._recorded(recording, by_name))
            except ProjectCacheError as error:
                errors[str(oebin)] = error
                continue
            for stream in found:
                # Several recordings of a day: the longest is the session, as with other files of the rig.
                other = streams.get(stream.name)
                if other is None or _length(stream) > _length(other):
                    streams[stream.name] = stream
        return dict(sorted(streams.items())), errors

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams by the name of their folder, of all Record Nodes; of several recordings, the longest.

        Raises
        ------
        MissingObjectError, CorruptObjectError
            There is none, for this reason.
        """
        streams, errors = self._streams_and_errors
        if not streams and errors:
            raise next(iter(errors.values()))
        return streams

    @property
    def errors(self) -> dict[str, ProjectCacheError]:
        """The ``structure.oebin`` files that could not be used, and why."""
        return self._streams_and_errors[1]

    def stream(self, probe: str, band: str = "AP") -> Stream:
        """Return a probe's stream.

        Raises
        ------
        MissingDataError
            It was not recorded.
        """
        for each in self.streams.values():
            if each.probe == probe and each.band == band:
                return each
        raise MissingDataError(
            f"No {band} stream of probe {probe} was recorded: there are {list(self.streams)}."
        )

    def _letters_by_name(self) -> dict[str, str]:
        return {
            probe.name: probe.letter
            for settings in self._settings_and_errors[0]
            for probe in settings.probes
            if probe.letter
        }

    def _recorded(self, recording: AnyPath, letters: Mapping[str, str]) -> Iterator[Stream]:
        oebin = recording / "structure.oebin"
        content = read_json(oebin)
        described = content.get("continuous") if isinstance(content, dict) else None
        if not isinstance(described, list) or not all(isinstance(each, dict) for each in described):
            raise CorruptObjectError(f"{oebin} lists no continuous streams. Copy it again.")
        squeezed = self._compressed_streams(recording)
        segment = int(re.sub(r"\D", "", recording.name) or 1) - 1
        for each in described:
            name = str(each.get("folder_name", "")).strip("/")
            base = re.sub(r"-(AP|LFP)$", "", name.rpartition(".")[2])
            stream = Stream(each, recording, squeezed.get(name), segment, letters.get(base))
            if stream.compressed is not None or (stream.path / "continuous.dat").is_file():
                yield stream

    def _compressed_streams(self, recording: AnyPath) -> dict[str, AnyPath]:
        """Return the zarr folders of a recording's Record Node and experiment, by stream."""
        experiment, node = recording.parent, recording.parent.parent
        folder = self._compressed
        if folder is None:
            folder = node.parent.parent / "ecephys_compressed"
            if node.parent.name != "ecephys_clipped":
                return {}
        if not folder.is_dir():
            return {}
        found = {}
        for each in folder.glob("*.zarr"):
            owner, hash_mark, stream = each.name.removesuffix(".zarr").partition("#")
            if hash_mark and owner == f"{experiment.name}_{node.name}":
                found[stream] = each
        return found


def _folders(path: AnyPath, prefix: str) -> list[Any]:
    """Return the folders ``prefix1``, ``prefix2``, … below ``path``, in the order of their numbers."""
    found = [
        (int(match[1]), each)
        for each in path.glob(f"{prefix}*")
        if (match := re.fullmatch(rf"{prefix}(\d{{1,6}})", each.name)) and each.is_dir()
    ]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _length(stream: Stream) -> int:
    try:
        return stream.n_samples
    except ProjectCacheError:
        return -1
