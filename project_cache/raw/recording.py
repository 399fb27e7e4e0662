"""One raw recording: its files, and the readers for each of them."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from project_cache.errors import CorruptObjectError, MissingDataError, ProjectCacheError
from project_cache.raw import layouts
from project_cache.raw.derived import annotation_files, find_annotations
from project_cache.raw.names import extract_datetime
from project_cache.raw.places import AnyPath
from project_cache.raw.recording_files import RecordingFiles

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


class RawRecording(RecordingFiles):
    """The files of one session as the rig left them, on this machine, in S3 or on a web server, and what they say.

    Nothing is opened before it is asked for, and what was read is kept. A file that a recording does not have is
    None (or an empty tuple); one that is there and damaged raises an error that names it, when it is asked for.

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

    Raises
    ------
    MissingObjectError
        There is no such folder. (It is a FileNotFoundError.)
    """

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
            # without its frames it may have ended at once; damaged, it is not one of those that open
            try:
                length = stimulus.duration
            except MissingDataError:
                pass
            except CorruptObjectError as error:
                opened, errors = self._tried
                errors[path.stem] = error
                del opened[path.stem]
        if start + datetime.timedelta(seconds=length) > sync.stop_time:
            self.stimuli_left_out[path.stem] = "it ended after the sync recording"
            return False
        return True

    @cached_property
    def task_path(self) -> AnyPath | None:
        """The task's stimulus file (DynamicRouting1)."""
        return next((path for path in self.stim_paths if layouts.is_task(path)), None)

    @property
    def recording_dirs(self) -> tuple[AnyPath, ...]:
        """The folders ``experiment*/recording*`` of all Record Nodes."""
        return () if self.ephys is None else self.ephys.recording_dirs

    @cached_property
    def annotation_paths(self) -> dict[str, AnyPath]:
        """The files with the channels' positions in the brain, by probe letter.

        A probe with files of several days, where the session's day is not known, is left out, with a warning.
        """
        folder = self._annotations_path or find_annotations(self.root, self._listings)
        if folder is None:
            return {}
        found = annotation_files(folder, self.id, listings=self._listings)
        if any(len(paths) > 1 for paths in found.values()):
            day = self._experiment_day
            if day is None and self.insertions is not None:
                day = self.insertions.experiment_day
            found = annotation_files(folder, self.id, day, listings=self._listings)
        several = {letter: paths for letter, paths in found.items() if len(paths) > 1}
        for letter, paths in several.items():
            warnings.warn(
                f"Probe {letter} of {self.id} has {len(paths)} annotations ({', '.join(p.name for p in paths)}), "
                f"and nothing tells which is this session's; none is used. Give experiment_day=.",
                stacklevel=2,
            )
        return {letter: paths[0] for letter, paths in found.items() if letter not in several}

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
    def table_paths(self) -> dict[str, AnyPath]:
        """The files of `tables`, by today's names."""
        from project_cache.raw.trial_tables import table_paths

        return table_paths(self.root) if self.layout == "tables" else {}

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of a session that is known by them only, with today's names of tables and columns."""
        from project_cache.raw.trial_tables import read_table

        return {name: read_table(path) for name, path in self.table_paths.items()}

    @cached_property
    def table_descriptions(self) -> dict[str, dict[str, str]]:
        """What the columns of `tables` are, by table and column."""
        from project_cache.raw.trial_tables import read_table_descriptions

        return read_table_descriptions(self.root) if self.layout == "tables" else {}


def _if(read: Callable[[AnyPath], _T], path: AnyPath | None) -> _T | None:
    return None if path is None else read(path)
