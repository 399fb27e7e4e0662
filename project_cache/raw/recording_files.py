"""The files of a recording: which of those in its folder is what, told by names and sizes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from project_cache.errors import ConfigurationError, MissingObjectError
from project_cache.raw import layouts
from project_cache.raw.derived import find_sorted
from project_cache.raw.identity import SessionRecord
from project_cache.raw.layouts import members_of
from project_cache.raw.listings import Listings
from project_cache.raw.names import extract_aind_session_id, extract_camera_name
from project_cache.raw.places import AnyPath, place

__all__ = ["RecordingFiles"]


class RecordingFiles:
    """The files of one session, found by listing its folder: nothing is opened.

    The parameters are those of :class:`project_cache.raw.recording.RawRecording`, which reads them.

    Attributes
    ----------
    root : Path or RemotePath
        The session's folder.
    stimuli_left_out : dict of str to str
        Why a stimulus file that is there is not among `stim_paths`, by its stem; filled by `stim_paths`.
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
        listings: Listings | None = None,
    ) -> None:
        given = place(path)
        if isinstance(given, Path):
            given = given.absolute()
        self._listings = Listings() if listings is None else listings
        is_dir = self._listings.is_dir(given)
        if not is_dir and not given.exists():
            raise MissingObjectError(
                f"There is no {given}: a session's raw folder, or a file in it, is needed."
            )
        self.root: AnyPath = layouts.session_root(given, is_dir=is_dir)
        # of a folder with the task files of many days, the one that was named tells which is meant
        self._file_name = None if is_dir else given.name
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

    @cached_property
    def _members(self) -> list[AnyPath]:
        return self._listings.members(self.root)

    @cached_property
    def layout(self) -> str:
        """``"local"``, ``"aind"`` (one subfolder for each modality) or ``"tables"`` (no raw files)."""
        return layouts.layout_of(self._members)

    @cached_property
    def raw_data_paths(self) -> tuple[AnyPath, ...]:
        """All raw files, and the folders that stand for recordings."""
        return tuple(layouts.raw_paths(self.layout, self._members, self._listings))

    @cached_property
    def id(self) -> SessionRecord:
        """The session, by the name of its folder, else of the file that was given, else of its stimulus files.

        Raises
        ------
        ConfigurationError
            Neither tells.
        """
        for name in (self._session_id, self.root.name, self._file_name):
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
        is_dir = self._listings.is_dir
        return [path for path in self.raw_data_paths if path.suffix in suffixes and not is_dir(path)]

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
        is_dir = self._listings.is_dir
        nodes = [path for path in self.raw_data_paths if layouts.is_record_node(path) and is_dir(path)]
        clipped = [path for path in nodes if path.parts[-3:-1] == ("ecephys", "ecephys_clipped")]
        return tuple(clipped or nodes)

    @cached_property
    def compressed_path(self) -> AnyPath | None:
        """The folder ``ecephys_compressed``, with a zarr store for each stream."""
        folders = [*self._members, *self.raw_data_paths]
        is_dir = self._listings.is_dir
        return next((path for path in folders if path.name == "ecephys_compressed" and is_dir(path)), None)

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
        return self._sorted_data_path or find_sorted(self.root, self.id, self._listings)

    @cached_property
    def surface_root_path(self) -> AnyPath | None:
        """The folder of the surface-channel recording that was made after this one."""
        if self.layout == "aind":
            return self._later_asset()
        folder = self.root.with_name(layouts.surface_name(self.root.name))
        return folder if folder.is_dir() else None

    def _later_asset(self) -> AnyPath | None:
        """Return the next asset of the same subject and day, if both are of probes."""
        day = re.match(r"(ecephys_[0-9]{6,7}_[0-9-]{10}_)[0-9-]{8}$", self.root.name)
        if day is None:
            return None
        later = [
            path.name
            for path in members_of(self.root.parent, f"{day[1]}*")
            if extract_aind_session_id(path.name) == path.name > self.root.name
        ]
        return self.root.with_name(later[0]) if later else None


def _given(path: str | AnyPath | None) -> AnyPath | None:
    if path is None:
        return None
    folder = place(path)
    if not folder.is_dir():
        raise MissingObjectError(f"There is no folder {folder}.")
    return folder
