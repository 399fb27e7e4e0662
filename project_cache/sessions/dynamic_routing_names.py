"""The names of a Dynamic Routing session that lead to its raw files, and those that npc_sessions has for things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from project_cache.raw.openephys import OpenEphys
    from project_cache.sessions.dynamic_routing import DynamicRoutingSession

__all__ = ["ALIASES", "DERIVED", "ITEM_ALIASES", "RAW_ATTRIBUTES"]

#: what only the raw folder can say: the names of RawRecording that a session has too
RAW_ATTRIBUTES = (
    "annotation_paths", "cameras", "compressed_path", "data_description", "ephys", "experiment_log_path", "insertions",
    "insertions_path", "manipulators", "newscale_log_path", "procedures", "raw_data_paths", "record_nodes",
    "recording_dirs", "root", "settings_xml_paths", "sorted", "sorted_path", "stim_paths", "stimuli",
    "stimulus_errors", "surface_root_path", "sync", "sync_path", "sync_paths", "task", "task_path", "video_info_paths",
    "video_paths",
)  # fmt: skip
#: the names that these things have in npc_sessions, to ours
ALIASES: Mapping[str, str] = {
    "root_path": "root",
    "exp_path": "root",
    "exp_log_path": "experiment_log_path",
    "sync_data": "sync",
    "get_sync_paths": "sync_paths",
    "stim_path_root": "root",
    "stim_data": "stimuli",
    "task_data": "task",
    "mvr": "cameras",
    "video_data": "cameras",
    "ephys_record_node_dirs": "record_nodes",
    "ephys_recording_dirs": "recording_dirs",
    "ephys_settings_xml_paths": "settings_xml_paths",
    "probe_insertions": "insertions",
    "probe_insertion_info": "insertions",
    "sorted_data": "sorted",
    "sorted_data_paths": "sorted_path",
}
#: names inside acquisition and the like: npc_sessions' to ours
ITEM_ALIASES: Mapping[str, str] = {
    "frametimes_side_camera": "frame_times_side_camera",
    "frametimes_front_camera": "frame_times_front_camera",
    "frametimes_eye_camera": "frame_times_eye_camera",
    "frametimes_zoomed_side_camera": "frame_times_zoomed_side_camera",
    "DynamicRouting1": "trials",
    "dynamic_routing": "trials",
}


def _ephys(session: DynamicRoutingSession) -> OpenEphys:
    found = session.raw.ephys
    if found is None:
        raise ComponentUnavailable(f"{session.path} has no recordings of probes.")
    return found


def _in_recordings(session: DynamicRoutingSession, name: str) -> tuple[Any, ...]:
    paths = (folder / name for folder in session.raw.recording_dirs)
    return tuple(path for path in paths if path.exists())


def _oebin(session: DynamicRoutingSession) -> dict[str, Any]:
    """Return the structure files of all record nodes, their lists joined."""
    from project_cache.raw.places import read_json

    joined: dict[str, Any] = {}
    for path in _in_recordings(session, "structure.oebin"):
        for name, value in read_json(path).items():
            joined[name] = [*joined.get(name, []), *value] if isinstance(value, list) else value
    return joined


def _skipped(session: DynamicRoutingSession) -> dict[str, str]:
    return dict(session.raw.sorted.skipped) if session.raw.sorted is not None else {}


def _surface_letters(session: DynamicRoutingSession) -> tuple[str, ...]:
    if session.raw.surface_root_path is None:
        return ()
    return tuple(sorted(_ephys(session.surface_recording).probes))


def _drift_paths(session: DynamicRoutingSession) -> tuple[Any, ...]:
    found = session.raw.sorted
    if found is None:
        return ()
    groups = [group for letter in found.probes for group in found.groups(letter)]
    return tuple(path for group in groups for path in group.drift_map_paths)


def _sorted_channels(session: DynamicRoutingSession) -> dict[str, Any]:
    found = session.raw.sorted
    if found is None:
        raise ComponentUnavailable(f"{session.path} has no spike-sorted output.")
    return {letter: [list(group.channels) for group in found.groups(letter)] for letter in found.probes}


def _inserted(session: DynamicRoutingSession) -> tuple[str, ...]:
    insertions = session.raw.insertions
    return tuple(insertions.letters) if insertions is not None else ()


#: what follows from the raw files in a step or two
DERIVED: Mapping[str, Callable[[DynamicRoutingSession], Any]] = {
    "electrode_channel_idx_offset": lambda s: 384 if s.is_surface_channels else 0,
    "ephys_experiment_dirs": lambda s: tuple(dict.fromkeys(p.parent for p in s.raw.recording_dirs)),
    "ephys_nominal_start_time": lambda s: _ephys(s).start_time,
    "ephys_settings_xml_data": lambda s: _ephys(s).settings,
    "ephys_settings_xml_path": lambda s: next(iter(s.raw.settings_xml_paths), None),
    "ephys_structure_oebin_data": _oebin,
    "ephys_structure_oebin_paths": lambda s: _in_recordings(s, "structure.oebin"),
    "ephys_sync_messages_data": lambda s: {
        str(p): p.read_text("utf-8", errors="replace") for p in _in_recordings(s, "sync_messages.txt")
    },
    "ephys_sync_messages_path": lambda s: next(iter(_in_recordings(s, "sync_messages.txt")), None),
    "drift_map_paths": _drift_paths,
    "identifier": lambda s: s.nwb.identifier,
    "implant": lambda s: getattr(s.raw.insertions, "shield", None),
    "probe_letters_annotated": lambda s: tuple(sorted(s.raw.annotation)),
    "probe_letters_skipped_by_sorting": _skipped,
    "probe_letters_with_sorted_data": lambda s: (
        tuple(s.raw.sorted.probes) if s.raw.sorted is not None else ()
    ),
    "probe_letters_with_surface_channel_recording": _surface_letters,
    "probes_inserted": _inserted,
    "sorted_channel_indices": _sorted_channels,
    "stim_names": lambda s: [stimulus.script for stimulus in s.raw.stimuli],
    "task_stim_name": lambda s: s.raw.task.script if s.raw.task is not None else None,
    "video_info_data": lambda s: {camera.label: camera.info for camera in s.raw.cameras},
}
