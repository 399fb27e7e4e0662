"""One raw recording: which of its files is what, and the readers for each of them."""

from __future__ import annotations

import contextlib
import datetime
import re
import warnings
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from project_cache.errors import (
    ConfigurationError,
    MissingDataError,
    MissingObjectError,
    ProjectCacheError,
)
from project_cache.raw import layouts
from project_cache.raw.derived import annotation_files, find_annotations, find_sorted
from project_cache.raw.identity import SessionRecord
from project_cache.raw.layouts import members_of
from project_cache.raw.names import extract_camera_name, extract_datetime
from project_cache.raw.places import AnyPath, place

if TYPE_CHECKING:
    from project_cache.raw.cameras import Camera
    from project_cache.raw.insertions import Insertions
    from project_cache.raw.openephys import OpenEphys
    from project_cache.raw.sorted import SortedOutput
    from project_cache.raw.stimulus import StimulusFile
    from project_cache.raw.sync import SyncFile

__all__ = ["RawRecording"]

_T = TypeVar("_T")
#: names of files tell whole seconds; what began in the sync's first second may seem to have begun before it
_SECOND = datetime.timedelta(seconds=1)


class RawRecording:
    """The files of one session as the rig left them, on this machine, in S3 or on a web server.

    Files are found by listing; nothing is opened before it is asked for, and what was read is kept. A file that
    a recording does not have is None (or an empty tuple); one that is there and damaged raises an error that
    names it, when it is asked for.

    Parameters
    ----------
    path : str or Path or RemotePath
        The session's folder, or any file in it.
    sorted_data_path : str or Path or RemotePath, optional
        The folder of sorted output. Default: as `project_cache.raw.derived.find_sorted` finds it.
    annotations_path : str or Path or RemotePath, optional
        The folder of CCF annotations. Default: ``annotations/`` in the session's folder, else beside it.
    excluded_stim_file_names : iterable of str
        Stimulus files, by their names or parts of them, that are to be left out.
    session_id : str, optional
        The session, where the names of folder and files do not tell it.
    experiment_day : int, optional
        Which day of recordings with this subject it was, where insertions.json does not tell it.

    Attributes
    ----------
    stimuli_left_out : dict of str to str
        Why a stimulus file that is there is not among `stim_paths`, by its stem; filled by `stim_paths`.
    table_descriptions : dict of str to dict
        Of a session that is known by its tables only: each table's columns, described.

    Raises
    ------
    MissingObjectError
        There is no such folder. (It is a FileNotFoundError.)
    """

    def __init__(
        self,
        path: str | AnyPath,
        *,
        sorted_data_path: str | AnyPath | None = None,
        annotations_path: str | AnyPath | None = None,
        excluded_stim_file_names: Iterable[str] = (),
        session_id: str | None = None,
        experiment_day: int | None = None,
    ) -> None:
        given = place(path)
        if isinstance(given, Path):
            given = given.absolute()
        if not given.exists():
            raise MissingObjectError(
                f"There is no {given}: a session's raw folder, or a file in it, is needed."
            )
        self.root: AnyPath = layouts.session_root(given)
        self._sorted_data_path = _given(sorted_data_path)
        self._annotations_path = _given(annotations_path)
        self._excluded = (
            (excluded_stim_file_names,)
            if isinstance(excluded_stim_file_names, str)
            else tuple(excluded_stim_file_names)
        )
        self._session_id = session_id
        self._experiment_day = experiment_day
        self.stimuli_left_out: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    # ---- what there is

    @cached_property
    def _members(self) -> list[AnyPath]:
        return members_of(self.root)

    @cached_property
    def layout(self) -> str:
        """``"local"``, ``"aind"`` (one subfolder for each modality) or ``"tables"`` (no raw files)."""
        return layouts.layout_of(self._members)

    @cached_property
    def raw_data_paths(self) -> tuple[AnyPath, ...]:
        """All raw files, and the folders that stand for recordings."""
        return tuple(layouts.raw_paths(self.layout, self._members))

    @cached_property
    def id(self) -> SessionRecord:
        """The session, by the name of its folder, else of its stimulus files.

        Raises
        ------
        ConfigurationError
            Neither tells.
        """
        for name in (self._session_id, self.root.name):
            if name is not None:
                try:
                    session = SessionRecord(name)
                except ValueError:
                    if name == self._session_id:
                        raise
                else:
                    return session.with_idx(1) if name.endswith(layouts.surface_name("")) else session
        # the task's file before those of other stimuli
        files = sorted(self._files(".hdf5"), key=lambda path: (not layouts.is_task(path), path.name))
        for path in files:
            try:
                return SessionRecord(path.stem)
            except ValueError:
                continue
        raise ConfigurationError(
            f"{self.root} does not tell which session it is: neither its name nor that of a stimulus file in it "
            f"has a subject and a date. Name the folder such as DRpilot_668755_20230831, or give session_id=."
        )

    def _files(self, *suffixes: str) -> list[AnyPath]:
        return [path for path in self.raw_data_paths if path.suffix in suffixes and not path.is_dir()]

    def _one(self, what: str, found: list[AnyPath]) -> AnyPath | None:
        """Return the only, or else the largest, of the files found."""
        if len(found) > 1:
            found = sorted(found, key=lambda path: path.stat().st_size, reverse=True)
            warnings.warn(
                f"{self.root} has {len(found)} {what} files; the largest, {found[0].name}, is used, not "
                f"{', '.join(path.name for path in found[1:])}.",
                stacklevel=4,
            )
        return found[0] if found else None

    @cached_property
    def sync_paths(self) -> tuple[AnyPath, ...]:
        """All sync files of the session's day."""
        return tuple(p for p in self._files(".h5", ".sync") if layouts.is_sync(p, self.id.date))

    @cached_property
    def sync_path(self) -> AnyPath | None:
        """The sync file; of several the largest, with a warning."""
        return self._one("sync", list(self.sync_paths))

    @cached_property
    def _stim_candidates(self) -> list[AnyPath]:
        """The stimulus files of this session by their names, in the order in which they began."""
        candidates = []
        for path in self._files(".hdf5"):
            if not layouts.is_stimulus(path, self.id.subject, self.id.date):
                self.stimuli_left_out[path.stem] = f"its name is not one of session {self.id}"
            elif any(name in path.name for name in self._excluded):
                self.stimuli_left_out[path.stem] = "it was to be left out"
            else:
                candidates.append(path)
        return sorted(candidates, key=lambda path: (layouts.time_of(path), path.name))

    @cached_property
    def stim_paths(self) -> tuple[AnyPath, ...]:
        """The stimulus files that belong to this recording, in the order in which they began.

        With sync: those that ran while it did, by the time in their name and the length of their frames; without:
        the task only. Of several task files the largest.
        """
        paths = self._stim_candidates
        if self.sync is None:
            for path in paths:
                if not layouts.is_task(path):
                    self.stimuli_left_out[path.stem] = "without sync only the task has a clock"
            paths = [path for path in paths if layouts.is_task(path)]
        else:
            paths = [path for path in paths if self._ran_with_sync(path)]
        tasks = [path for path in paths if layouts.is_task(path)]
        task = self._one("task", tasks)
        for path in tasks:
            if path != task:
                self.stimuli_left_out[path.stem] = "another task file is larger"
        return tuple(path for path in paths if path not in tasks or path == task)

    def _ran_with_sync(self, path: AnyPath) -> bool:
        sync, begun = self.sync, extract_datetime(path.stem)
        if sync is None or begun is None:
            return True
        start = datetime.datetime.fromisoformat(begun)
        if start + _SECOND < sync.start_time:
            self.stimuli_left_out[path.stem] = "it began before the sync recording"
            return False
        stimulus = self._tried[0].get(path.stem)
        length = 0.0
        if stimulus is not None:
            try:
                length = stimulus.duration
            except MissingDataError:
                length = 0.0
        if start + datetime.timedelta(seconds=length) > sync.stop_time:
            self.stimuli_left_out[path.stem] = "it ended after the sync recording"
            return False
        return True

    @cached_property
    def task_path(self) -> AnyPath | None:
        """The task's stimulus file (DynamicRouting1)."""
        return next((path for path in self.stim_paths if layouts.is_task(path)), None)

    @cached_property
    def _videos(self) -> list[tuple[AnyPath, AnyPath | None]]:
        """One video for each camera, and the report beside it."""
        files = self._files(".mp4", ".avi", ".json")
        reports = {(path.parent, path.stem): path for path in files if path.suffix == ".json"}
        of_camera: dict[str, list[AnyPath]] = {}
        for path in files:
            if layouts.is_video(path):
                of_camera.setdefault(extract_camera_name(path.stem) or "", []).append(path)
        videos = [self._one(f"{camera} video", paths) for camera, paths in of_camera.items()]
        return [(path, reports.get((path.parent, path.stem))) for path in videos if path is not None]

    @cached_property
    def video_paths(self) -> tuple[AnyPath, ...]:
        """The cameras' videos, one for each camera."""
        return tuple(video for video, _ in self._videos)

    @cached_property
    def video_info_paths(self) -> tuple[AnyPath, ...]:
        """The cameras' reports, of those videos that have one."""
        return tuple(report for _, report in self._videos if report is not None)

    @cached_property
    def record_nodes(self) -> tuple[AnyPath, ...]:
        """The folders of Open Ephys' Record Nodes; clipped copies of a cloud folder before any others."""
        nodes = [path for path in self.raw_data_paths if layouts.is_record_node(path) and path.is_dir()]
        clipped = [path for path in nodes if path.parts[-3:-1] == ("ecephys", "ecephys_clipped")]
        return tuple(clipped or nodes)

    @property
    def recording_dirs(self) -> tuple[AnyPath, ...]:
        """The folders ``experiment*/recording*`` of all Record Nodes."""
        return () if self.ephys is None else self.ephys.recording_dirs

    @cached_property
    def compressed_path(self) -> AnyPath | None:
        """The folder ``ecephys_compressed``, with a zarr store for each stream."""
        folders = [*self._members, *self.raw_data_paths]
        return next((path for path in folders if path.name == "ecephys_compressed" and path.is_dir()), None)

    @cached_property
    def settings_xml_paths(self) -> tuple[AnyPath, ...]:
        """The first settings*.xml of each Record Node."""
        found = (members_of(node, "settings*.xml")[:1] for node in self.record_nodes)
        return tuple(path for paths in found for path in paths)

    @cached_property
    def newscale_log_path(self) -> AnyPath | None:
        """The log of the probes' manipulators."""
        logs = [path for path in self._files(".csv") if layouts.is_manipulator_log(path)]
        motors = [path for path in logs if "motor" in path.stem.lower()]
        return self._one("manipulator log", motors or logs)

    @cached_property
    def insertions_path(self) -> AnyPath | None:
        """The record of which probe went into which hole of the shield."""
        return self._one("insertion", [path for path in self._files(".json") if layouts.is_insertions(path)])

    @cached_property
    def experiment_log_path(self) -> AnyPath | None:
        """The rig's debug.log."""
        return next((path for path in self._files(".log") if path.name == "debug.log"), None)

    @cached_property
    def sorted_path(self) -> AnyPath | None:
        """The folder of sorted output."""
        return self._sorted_data_path or find_sorted(self.root, self.id)

    @cached_property
    def annotation_paths(self) -> dict[str, AnyPath]:
        """The files with the channels' positions in the brain, by probe letter.

        A probe with files of several days, where the session's day is not known, is left out, with a warning.
        """
        folder = self._annotations_path or find_annotations(self.root)
        if folder is None:
            return {}
        found = annotation_files(folder, self.id)
        if any(len(paths) > 1 for paths in found.values()):
            day = self._experiment_day
            if day is None and self.insertions is not None:
                day = self.insertions.experiment_day
            found = annotation_files(folder, self.id, day)
        several = {letter: paths for letter, paths in found.items() if len(paths) > 1}
        for letter, paths in several.items():
            warnings.warn(
                f"Probe {letter} of {self.id} has {len(paths)} annotations ({', '.join(p.name for p in paths)}), "
                f"and nothing tells which is this session's; none is used. Give experiment_day=.",
                stacklevel=2,
            )
        return {letter: paths[0] for letter, paths in found.items() if letter not in several}

    @cached_property
    def surface_root_path(self) -> AnyPath | None:
        """The folder of the surface-channel recording that was made after this one."""
        if self.layout == "aind":
            return self._later_asset()
        folder = self.root.with_name(layouts.surface_name(self.root.name))
        return folder if folder.is_dir() else None

    def _later_asset(self) -> AnyPath | None:
        """Return the next asset of the same subject, day and platform."""
        day = re.match(r"(.+?_[0-9]{6,7}_[0-9-]{10})_[0-9-]{8}$", self.root.name)
        if day is None:
            return None
        name = re.compile(re.escape(day[1]) + r"_[0-9-]{8}")
        later = sorted(
            path.name
            for path in members_of(self.root.parent, f"{day[1]}_*")
            if name.fullmatch(path.name) and path.name > self.root.name
        )
        return self.root.with_name(later[0]) if later else None

    # ---- flags, from names alone

    @cached_property
    def is_sync(self) -> bool:
        """Whether there is a sync file."""
        return bool(self.sync_paths)

    @cached_property
    def is_ephys(self) -> bool:
        """Whether probes were recorded."""
        return bool(self.record_nodes) or self.compressed_path is not None

    @cached_property
    def is_task(self) -> bool:
        """Whether there is a file of the task."""
        return any(layouts.is_task(path) for path in self._stim_candidates)

    @cached_property
    def is_video(self) -> bool:
        """Whether cameras recorded."""
        return bool(self.video_paths)

    @cached_property
    def is_sorted(self) -> bool:
        """Whether there is sorted output."""
        return self.sorted_path is not None

    @cached_property
    def is_annotated(self) -> bool:
        """Whether there are positions of the channels in the brain."""
        return bool(self.annotation_paths)

    # ---- readers

    @cached_property
    def sync(self) -> SyncFile | None:
        """The sync file's lines."""
        from project_cache.raw.sync import SyncFile

        return None if self.sync_path is None else SyncFile(self.sync_path)

    @cached_property
    def _tried(self) -> tuple[dict[str, StimulusFile], dict[str, Exception]]:
        """The session's stimulus files that open, whether they ran with sync or not, and the others' errors."""
        from project_cache.raw.stimulus import StimulusFile

        opened: dict[str, StimulusFile] = {}
        errors: dict[str, Exception] = {}
        for path in self._stim_candidates:
            stimulus = StimulusFile(path)
            try:
                _ = stimulus.names
            except ProjectCacheError as error:
                errors[path.stem] = error
            else:
                opened[path.stem] = stimulus
        return opened, errors

    @property
    def stimulus_errors(self) -> dict[str, Exception]:
        """Why a stimulus file cannot be opened, by its stem."""
        return self._tried[1]

    @cached_property
    def stimuli(self) -> tuple[StimulusFile, ...]:
        """The stimulus files of `stim_paths` that open."""
        return tuple(self._tried[0][path.stem] for path in self.stim_paths if path.stem in self._tried[0])

    @cached_property
    def task(self) -> StimulusFile | None:
        """The task's stimulus file, if it opens."""
        return next((s for s in self.stimuli if s.path == self.task_path), None)

    @cached_property
    def cameras(self) -> tuple[Camera, ...]:
        """The cameras that left both a video and a report."""
        from project_cache.raw.cameras import Camera

        return tuple(Camera(video, report) for video, report in self._videos if report is not None)

    @cached_property
    def ephys(self) -> OpenEphys | None:
        """What Open Ephys recorded of the probes."""
        from project_cache.raw.openephys import OpenEphys

        if not self.is_ephys:
            return None
        return OpenEphys(self.record_nodes, self.compressed_path)

    @cached_property
    def sorted(self) -> SortedOutput | None:
        """The sorted units."""
        from project_cache.raw.sorted import SortedOutput

        if self.sorted_path is None:
            return None
        version = None
        if self.ephys is not None:
            # without it only the channels of some old outputs cannot be told from those of others
            with contextlib.suppress(ProjectCacheError):
                version = self.ephys.settings.plugin_version
        return SortedOutput(self.sorted_path, version)

    @cached_property
    def insertions(self) -> Insertions | None:
        """Which probe went into which hole of the shield."""
        from project_cache.raw.insertions import read_insertions

        return _if(read_insertions, self.insertions_path)

    @cached_property
    def annotation(self) -> dict[str, pd.DataFrame]:
        """The positions of the channels in the brain, by probe letter: see `raw.annotation.read_annotation`."""
        from project_cache.raw.annotation import read_annotation

        return {letter: read_annotation(path, letter) for letter, path in self.annotation_paths.items()}

    @cached_property
    def manipulators(self) -> pd.DataFrame | None:
        """The log of the probes' manipulators: see `raw.manipulator.read_manipulator_log`."""
        from project_cache.raw.manipulator import read_manipulator_log

        return _if(read_manipulator_log, self.newscale_log_path)

    @cached_property
    def experimenter(self) -> str | None:
        """Who ran the session, by the rig's log."""
        from project_cache.raw.subject import read_experimenter

        return _if(read_experimenter, self.experiment_log_path)

    def _described(self, name: str) -> dict[str, Any] | None:
        from project_cache.raw.subject import read_description

        found = [path for path in self._members if path.name == name]
        return read_description(found[0]) if found else None

    @cached_property
    def subject(self) -> dict[str, Any] | None:
        """What subject.json says."""
        return self._described("subject.json")

    @cached_property
    def procedures(self) -> dict[str, Any] | None:
        """What procedures.json says."""
        return self._described("procedures.json")

    @cached_property
    def data_description(self) -> dict[str, Any] | None:
        """What data_description.json says."""
        return self._described("data_description.json")

    @cached_property
    def session_description(self) -> dict[str, Any] | None:
        """What session.json says."""
        return self._described("session.json")

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of a session that is known by them only, with today's names of tables and columns."""
        from project_cache.raw.trial_tables import read_tables

        return read_tables(self.root) if self.layout == "tables" else {}

    @cached_property
    def table_descriptions(self) -> dict[str, dict[str, str]]:
        """What the columns of `tables` are, by table and column."""
        from project_cache.raw.trial_tables import read_table_descriptions

        return read_table_descriptions(self.root) if self.layout == "tables" else {}


def _given(path: str | AnyPath | None) -> AnyPath | None:
    if path is None:
        return None
    folder = place(path)
    if not folder.is_dir():
        raise MissingObjectError(f"There is no folder {folder}.")
    return folder


def _if(read: Callable[[AnyPath], _T], path: AnyPath | None) -> _T | None:
    return None if path is None else read(path)
