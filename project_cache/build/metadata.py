"""What an NWB file says of the session as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.registry import SessionInfo

__all__ = [
    "epoch_tags", "experiment_description", "experimenter", "institution", "lab", "metadata", "notes",
    "session_description", "session_start_time", "source_script", "source_script_file_name", "task_version",
]  # fmt: skip

#: where the scripts of the task are published
TASK_REPOSITORY = "https://github.com/samgale/DynamicRoutingTask"


def session_start_time(clock: SessionClock) -> datetime:
    """Return when the session's clock was 0, with its time zone."""
    return clock.start_time


def institution() -> str:
    """Return where it was recorded."""
    return "Allen Institute for Neural Dynamics"


def lab(rig: str) -> str:
    """Return the rig."""
    return rig or "unknown rig"


def experimenter(raw: RawRecording) -> str | None:
    """Return who recorded it, or None where the log does not say."""
    return raw.experimenter


def task_version(raw: RawRecording) -> str | None:
    """Return the version of the task, such as ``"stage 5 ori AMN moving"``, or None."""
    said = raw.task.get("taskVersion") if raw.task is not None else None
    return said if isinstance(said, str) and said else None


def source_script(raw: RawRecording) -> str:
    """Return where the script lies that ran the task: its address, or its repository."""
    said = raw.task.get("githubTaskScript") if raw.task is not None else None
    return said.replace("Task//", "Task/") if isinstance(said, str) and said else TASK_REPOSITORY


def source_script_file_name(raw: RawRecording) -> str:
    """Return the name of the script that ran the task."""
    script = raw.task.script if raw.task is not None else "DynamicRouting1"
    return f"{script}.py"


def epoch_tags(epochs: Any = None) -> list[str]:
    """Return the tags of all epochs, each once, in alphabetical order."""
    if epochs is None or "tags" not in epochs.colnames:
        return []
    return sorted({str(tag) for row in range(len(epochs)) for tag in epochs["tags"][row]})


def session_description(
    is_task: bool, is_ephys: bool, is_video: bool, is_sorted: bool, is_opto: bool, rig: str
) -> str:
    """Return what was recorded, in a sentence."""
    recorded = ["extracellular electrophysiology (Neuropixels)"] if is_ephys else []
    if is_video:
        recorded.append("video of the mouse")
    what = (
        "A head-fixed mouse doing a visual-auditory task switching task" if is_task else "A head-fixed mouse"
    )
    if is_opto:
        what += " with optogenetic inhibition in some trials"
    sentence = f"{what}, with licking and running"
    sentence += f", {' and '.join(recorded)}" if recorded else ""
    if is_ephys:
        sentence += ", spike-sorted" if is_sorted else ", not spike-sorted"
    return f"{sentence}; rig {rig}." if rig else f"{sentence}."


def experiment_description() -> str:
    """Return what the experiment is about."""
    return (
        "Visual-auditory task switching (Dynamic Routing): in blocks, the mouse is rewarded for licking to one of two "
        "gratings or to one of two sounds, and ignores the target of the other modality."
    )


def notes(issues: list[str], raw: RawRecording, info: SessionInfo | None = None) -> str:
    """Return notes on the session, and what is wrong with it, in one line."""
    said = getattr(info, "notes", None)
    own = [str(said)] if isinstance(said, str) and said else [str(n) for n in said or ()]
    return "; ".join([*own, *issues])


def metadata(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    session_description: str,
    experiment_description: str,
    session_start_time: datetime,
    institution: str,
    lab: str,
    source_script: str,
    source_script_file_name: str,
    keywords: list[str],
    notes: str,
    experimenter: str | None = None,
    task_version: str | None = None,
) -> dict[str, Any]:
    """Return the arguments of the NWB file that are not objects."""
    given = {
        "session_id": str(raw.id),
        "session_description": session_description,
        "experiment_description": experiment_description,
        "session_start_time": session_start_time,
        "experimenter": [experimenter] if experimenter else None,
        "institution": institution,
        "lab": lab,
        "source_script": source_script,
        "source_script_file_name": source_script_file_name,
        "stimulus_notes": task_version,
        "keywords": keywords or None,
        "notes": notes or None,
    }
    return {name: value for name, value in given.items() if value is not None}
