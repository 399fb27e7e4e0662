"""Recordings of Open Ephys (binary format, 0.6 or newer), over all Record Nodes: the probes and the streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError, ProjectCacheError
from project_cache.raw.places import AnyPath, place, read_json
from project_cache.raw.settings import ProbeInfo, Settings, read_rig, read_settings
from project_cache.raw.streams import RemoteFrames, Stream, read_sync_messages

__all__ = ["OpenEphys", "RemoteFrames", "Stream", "read_sync_messages"]

_T = TypeVar("_T")


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

    def __repr__(self) -> str:
        return f"OpenEphys({[str(each) for each in self.record_nodes]})"

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
        return self._from_settings(read_settings)

    def _from_settings(self, read_one: Callable[[AnyPath], _T]) -> tuple[list[_T], list[ProjectCacheError]]:
        """Return what is read of each Record Node's settings.xml, and why those of others cannot be read."""
        read, failed = [], []
        for node in self.record_nodes:
            files: list[Any] = sorted(node.glob("settings*.xml"))
            try:
                if not files:
                    raise MissingObjectError(f"{node} has no settings.xml.")
                read.append(read_one(files[0]))
            except ProjectCacheError as error:
                failed.append(error)
        return read, failed

    @property
    def settings(self) -> Settings:
        """The first Record Node's settings that can be read (those of the others agree, or `probes` says so)."""
        return _first(*self._settings_and_errors)

    @property
    def start_time(self) -> datetime | None:
        """When the settings were saved, at the start of the recording: local time, whole seconds."""
        return self.settings.start_time

    @property
    def version(self) -> str:
        """The version of Open Ephys."""
        return self.settings.version

    @cached_property
    def rig(self) -> str | None:
        """The rig that the computer belongs to (``"NP3"``), if it is one that is known."""
        return _first(*self._from_settings(read_rig))

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


def _first(read: list[_T], failed: list[ProjectCacheError]) -> _T:
    if not read:
        raise failed[0] if failed else MissingDataError("There is no Record Node: nothing tells the probes.")
    return read[0]


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
