"""What kind of session it was: flags, type and keywords, from what was recorded and how the mouse did.

Each function here is a component: its parameters name what it is made from. The rules are those by which the
Dynamic Routing project sorts its sessions; a caller who knows better says so (``is_opto=False``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.registry import SessionInfo

__all__ = [
    "behavior_day", "experiment_day", "is_annotated", "is_bad_behavior", "is_context_naive", "is_engaged", "is_ephys",
    "is_first_block_aud", "is_first_block_vis", "is_good_behavior", "is_hab", "is_injection_control",
    "is_injection_perturbation", "is_late_autorewards", "is_lfp", "is_naive", "is_opto", "is_opto_control",
    "is_production", "is_sorted", "is_stage_5_passed", "is_surface_channels", "is_sync", "is_task", "is_templeton",
    "is_training", "is_video", "is_waveforms", "is_wildtype", "issues", "keywords", "project", "rig", "session_type",
]  # fmt: skip

#: the subjects of the Templeton pilot, whose task had no blocks of the other context
TEMPLETON_SUBJECTS = frozenset(
    {620263, 620264, 628801, 636397, 644547, 646318, 649944, 662983, 668759, 670181, 670180, 670248}
)
#: what counts as having done the task in a block
REWARDS_IN_A_BLOCK = 10
#: the autoreward onset, in frames after the stimulus, of sessions with "late" autorewards
LATE_AUTOREWARD_FRAMES = 60


def is_sync(raw: RawRecording) -> bool:
    """Return whether there is a sync file."""
    return bool(raw.is_sync)


def is_ephys(raw: RawRecording) -> bool:
    """Return whether there are recordings of probes."""
    return bool(raw.is_ephys)


def is_video(raw: RawRecording) -> bool:
    """Return whether there are videos."""
    return bool(raw.is_video)


def is_sorted(raw: RawRecording) -> bool:
    """Return whether there is spike-sorted output."""
    return bool(raw.is_sorted)


def is_annotated(raw: RawRecording) -> bool:
    """Return whether channels have been placed in the CCF."""
    return bool(raw.is_annotated)


def is_task(raw: RawRecording, clock: SessionClock) -> bool:
    """Return whether there is a task file, with times that can be trusted."""
    if raw.layout == "tables":
        return "trials" in raw.table_paths
    return raw.task is not None and raw.task.stem not in clock.issues


def is_lfp(raw: RawRecording) -> bool:
    """Return whether an LFP can be made: some probe's LFP band was recorded."""
    return raw.ephys is not None and any(stream.band == "LFP" for stream in raw.ephys.streams.values())


def is_waveforms(options: Options, raw: RawRecording) -> bool:
    """Return whether units come with their mean waveforms."""
    return bool(raw.is_sorted) and options.waveforms


def is_surface_channels(raw: RawRecording) -> bool:
    """Return whether this is a recording of the surface channels, which belongs to another session."""
    return bool(raw.id.idx) or "surface_channels" in str(raw.root.name)


def rig(raw: RawRecording) -> str:
    """Return the rig's name as it was recorded, or an empty string."""
    from project_cache.raw.identity import RigRecord

    said = raw.task.get("rigName") if raw.task is not None else None
    if not isinstance(said, str) and raw.ephys is not None:
        said = raw.ephys.rig
    if not isinstance(said, str) or not said:
        return ""
    try:
        return str(RigRecord(said))
    except ValueError:
        return said


def project(raw: RawRecording, info: SessionInfo | None = None, is_templeton: bool = False) -> str:
    """Return the name of the project that the session is of."""
    if info is not None:
        return str(info.project)
    return "TempletonPilotSession" if is_templeton else "DynamicRouting"


def is_templeton(raw: RawRecording, info: SessionInfo | None = None) -> bool:
    """Return whether the session is of the Templeton pilot."""
    if info is not None:
        return "templeton" in str(info.project).lower()
    return int(raw.id.subject) in TEMPLETON_SUBJECTS


def is_context_naive(is_templeton: bool) -> bool:
    """Return whether the mouse never learned two contexts: the same as :func:`is_templeton`."""
    return is_templeton


def experiment_day(info: SessionInfo | None = None, raw: RawRecording | None = None) -> int | None:
    """Return the day of recording, from 1, or None where nobody says."""
    if info is not None and info.experiment_day is not None:
        return int(info.experiment_day)
    day = getattr(raw.insertions, "experiment_day", None) if raw is not None else None
    return None if day is None else int(day)


def behavior_day(info: SessionInfo | None = None) -> int | None:
    """Return the day of training, from 1, or None where nobody says."""
    day = getattr(info, "behavior_day", None)
    return None if day is None else int(day)


def is_naive(behavior_day: int | None = None) -> bool:
    """Return whether it was the mouse's first day with the task."""
    return behavior_day == 1


def is_production() -> bool:
    """Return whether the session is part of the data set rather than of its development; True unless said."""
    return True


def is_injection_perturbation() -> bool:
    """Return whether something was injected (muscimol); False unless said."""
    return False


def is_injection_control() -> bool:
    """Return whether it was the control of an injection; False unless said."""
    return False


def is_stage_5_passed(info: SessionInfo | None = None) -> bool:
    """Return whether the mouse had passed the last stage of training, as far as the registry says."""
    return bool(getattr(info, "is_stage_5_passed", False))


def is_wildtype(subject: Any = None) -> bool:
    """Return whether the genotype is wt/wt; True where nothing is known of it."""
    genotype = getattr(subject, "genotype", None)
    return genotype is None or "wt/wt" in genotype


def _has_opto(raw: RawRecording) -> bool:
    if raw.task is None:
        return False
    onset = raw.task.get("trialOptoOnsetFrame")
    try:
        return onset is not None and bool(np.isfinite(np.asarray(onset, dtype=float)).any())
    except (TypeError, ValueError):
        return True  # ragged: several devices a trial


def is_opto(raw: RawRecording, is_wildtype: bool) -> bool:
    """Return whether the task had laser trials in an animal that the light acts on."""
    return _has_opto(raw) and not is_wildtype


def is_opto_control(raw: RawRecording, is_wildtype: bool) -> bool:
    """Return whether the task had laser trials in a wild-type animal."""
    return _has_opto(raw) and is_wildtype


def _is_ephys_rig(rig: str) -> bool:
    return "NP" in rig or "OG" in rig


def is_training(is_task: bool, is_ephys: bool, rig: str) -> bool:
    """Return whether it was a session in a training box."""
    return is_task and not is_ephys and bool(rig) and not _is_ephys_rig(rig)


def is_hab(is_task: bool, is_ephys: bool, rig: str, is_opto: bool, is_opto_control: bool) -> bool:
    """Return whether the mouse was getting used to the recording rig: a task there without probes or laser."""
    return is_task and not is_ephys and "NP" in rig and not (is_opto or is_opto_control)


def is_late_autorewards(raw: RawRecording) -> bool:
    """Return whether autorewards came a second after the stimulus."""
    frame = raw.task.get("autoRewardOnsetFrame") if raw.task is not None else None
    return frame is not None and bool(np.all(np.asarray(frame, dtype=float) == LATE_AUTOREWARD_FRAMES))


def _first_rewarded(trials_table: pd.DataFrame | None) -> str:
    if trials_table is None or "rewarded_modality" not in trials_table or not len(trials_table):
        return ""
    return str(trials_table["rewarded_modality"].iloc[0])


def is_first_block_aud(trials_table: pd.DataFrame | None = None) -> bool:
    """Return whether sounds were rewarded in the first block."""
    return _first_rewarded(trials_table) == "aud"


def is_first_block_vis(trials_table: pd.DataFrame | None = None) -> bool:
    """Return whether gratings were rewarded in the first block."""
    return _first_rewarded(trials_table) == "vis"


def is_engaged(performance_table: pd.DataFrame | None = None) -> bool:
    """Return whether the mouse earned ten rewards in each of four blocks or more."""
    if performance_table is None:
        return False
    return int((performance_table["n_contingent_rewards"] >= REWARDS_IN_A_BLOCK).sum()) >= 4


def is_good_behavior(performance_table: pd.DataFrame | None = None, is_templeton: bool = False) -> bool:
    """Return whether the mouse told the contexts apart: cross-modality d′ ≥ 1 in two blocks of each at least.

    Only blocks of ten trials and ten rewards count. In the Templeton pilot four blocks of any kind will do.
    """
    if performance_table is None:
        return False
    table = performance_table
    passed = table[
        (table["cross_modality_dprime"] >= 1)
        & (table["n_trials"] >= 10)
        & (table["n_contingent_rewards"] >= REWARDS_IN_A_BLOCK)
    ]
    if is_templeton:
        return len(passed) >= 4
    counts = passed["rewarded_modality"].value_counts()
    return bool(counts.get("vis", 0) >= 2 and counts.get("aud", 0) >= 2)


def is_bad_behavior(is_engaged: bool, is_good_behavior: bool) -> bool:
    """Return whether the mouse worked, and did not tell the contexts apart."""
    return is_engaged and not is_good_behavior


def session_type(
    is_templeton: bool,
    is_injection_perturbation: bool,
    is_injection_control: bool,
    is_opto: bool,
    is_opto_control: bool,
    is_hab: bool,
    is_training: bool,
    is_surface_channels: bool,
) -> str:
    """Return what the session was for, in a word or two."""
    kinds = {
        "surface channels": is_surface_channels,
        "templeton": is_templeton,
        "muscimol": is_injection_perturbation,
        "muscimol control": is_injection_control,
        "opto": is_opto,
        "opto control": is_opto_control,
        "hab": is_hab,
        "training": is_training,
    }
    return next((kind for kind, it_is in kinds.items() if it_is), "brainwide survey")


def issues(raw: RawRecording, clock: SessionClock, info: SessionInfo | None = None) -> list[str]:
    """Return what is wrong with the recording: what its registry says, and files that could not be used."""
    known = [str(issue) for issue in getattr(info, "issues", ())]
    if raw.layout == "tables":
        return known
    unread = [f"{stem}: {error}" for stem, error in raw.stimulus_errors.items()]
    return [*known, *unread, *(f"{stem}: {why}" for stem, why in clock.issues.items())]


def keywords(
    is_task: bool,
    is_sync: bool,
    is_video: bool,
    is_ephys: bool,
    is_sorted: bool,
    is_annotated: bool,
    is_training: bool,
    is_hab: bool,
    is_production: bool,
    is_templeton: bool,
    is_stage_5_passed: bool,
    is_first_block_aud: bool,
    is_late_autorewards: bool,
    is_engaged: bool,
    is_good_behavior: bool,
    session_type: str,
    issues: list[str],
    epoch_tags: list[str] | None = None,
    experiment_day: int | None = None,
) -> list[str]:
    """Return the session's keywords, as the NWB file has them."""
    there = {
        "issues": bool(issues),
        "task": is_task,
        "sync": is_sync,
        "video": is_video,
        "ephys": is_ephys,
        "units": is_sorted,
        "ccf": is_annotated,
        "training": is_training,
        "hab": is_hab,
        "dynamic_routing": not is_templeton,
        "prod" if is_production else "dev": True,
        "context_naive": is_templeton,
        "stage_5_passed": is_stage_5_passed,
    }
    if is_task:
        there["first_block_aud" if is_first_block_aud else "first_block_vis"] = True
        there["late_autorewards" if is_late_autorewards else "early_autorewards"] = True
        if is_engaged:
            there["good_behavior" if is_good_behavior else "bad_behavior"] = True
    found = [word for word, it_is in there.items() if it_is]
    found += list(epoch_tags or ())
    if experiment_day is not None:
        found.append(f"day_{experiment_day}")
    return list(dict.fromkeys([*found, session_type.replace(" ", "_")]))
