"""The columns of the trials table: what each trial of the task was, and when each part of it happened.

A trial is placed by the frame at which its stimulus starts. Three times belong to a frame: the *flip* at which the
script handed it to the graphics card, the *input* reading before it (licks, wheel), and its *display* at the
screen's centre. Definitions are those of the Dynamic Routing project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from project_cache.build.clock import FrameTimes
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["DESCRIPTIONS", "assigned_rewards", "first_inside", "trial_labels", "trial_times"]

Times = npt.NDArray[np.float64]

DESCRIPTIONS = {
    "start_time": "start of the trial (s): that of its last quiescent interval, which no lick interrupted",
    "stop_time": "end of the trial (s), after its post-response window",
    "quiescent_start_time": "start of the interval before the stimulus in which the subject must not lick; a lick "
    "starts the wait anew, and only the last, undisturbed one is given (s)",
    "quiescent_stop_time": "end of the quiescent interval (s); the stimulus follows after the latency of its device",
    "stim_start_time": "onset of the stimulus (s): of a grating at the centre of the screen, or of a sound; on "
    "catch trials, when a grating would have appeared",
    "stim_stop_time": "offset of the stimulus (s)",
    "response_window_start_time": "start of the window in which a lick counts as a response (s)",
    "response_window_stop_time": "end of the window in which a lick counts as a response (s)",
    "task_control_response_time": "when the task script registered its response (s), NaN if it registered none; "
    "until 2023-10-16 a fault let it count licks before the window, with consequences for the trial's outcome",
    "response_time": "first lick of the lick sensor within the response window (s), NaN if there is none; without "
    "a recorded lick sensor the same as `task_control_response_time`",
    "reward_time": "delivery of water (s), earned or not; NaN on trials without",
    "timeout_start_time": "start of the timeout after a response to a stimulus that is not rewarded (s)",
    "timeout_stop_time": "end of the timeout (s)",
    "post_response_window_start_time": "start of the wait after the response window or the timeout (s)",
    "post_response_window_stop_time": "end of that wait (s)",
    "stim_name": "the stimulus that was presented, by its name in the task",
    "grating_phase": "phase of the grating at its onset (cycles), 0 or 0.5 at random; NaN unless one was shown",
    "block_index": "number of the block, from 0",
    "rewarded_modality": "modality whose target is rewarded in the block: `vis` or `aud`",
    "trial_index": "number of the trial in its stimulus file, from 0",
    "trial_index_in_block": "number of the trial in its block, from 0",
    "repeat_index": "how many times the trial has been repeated so far; 0 if it is no repetition",
    "is_response": "the task script registered a lick in the response window",
    "is_correct": "a hit, a correct rejection, or a catch trial without response",
    "is_incorrect": "a miss, a false alarm, or a catch trial with a response",
    "is_hit": "a response in a go trial",
    "is_false_alarm": "a response in a nogo trial; catch trials are not counted",
    "is_correct_reject": "no response in a nogo trial; catch trials are not counted",
    "is_miss": "no response in a go trial",
    "is_go": "the rewarded target was presented; includes trials with a scheduled reward",
    "is_nogo": "a stimulus that is not rewarded in this block was presented; catch trials are not counted",
    "is_rewarded": "water was given, earned or not",
    "is_noncontingent_reward": "water was given whatever the subject did",
    "is_contingent_reward": "water was given for a correct response",
    "is_reward_scheduled": "water was to be given whatever the subject did; a response may have earned it before",
    "is_instruction": "one of the first trials of a block, whose stimulus was chosen to tell of the change of context",
    "is_aud_stim": "a sound was presented",
    "is_vis_stim": "a grating was presented",
    "is_catch": "no stimulus was presented",
    "is_target": "a stimulus was presented that is rewarded in some block",
    "is_aud_target": "a sound was presented that is rewarded in some block",
    "is_vis_target": "a grating was presented that is rewarded in some block",
    "is_nontarget": "a stimulus was presented that is rewarded in no block",
    "is_aud_nontarget": "a sound was presented that is rewarded in no block",
    "is_vis_nontarget": "a grating was presented that is rewarded in no block",
    "is_vis_rewarded": "visual targets are rewarded in this block",
    "is_aud_rewarded": "auditory targets are rewarded in this block",
    "is_block_switch": "first trial of a block other than the first",
    "is_repeat": "the trial repeats the one before, after a response to a stimulus that is not rewarded",
    "is_opto": "optogenetic stimulation was applied in the trial",
    "is_task_control_correct": "the task script and the lick sensor agree on whether there was a response in the "
    "window; where they do not, columns such as `is_hit` say what the script acted on",
}


def trial_labels(task: StimulusFile) -> pd.DataFrame:
    """Return what each completed trial was: the stimulus, its block, the response and the reward.

    Parameters
    ----------
    task : StimulusFile
        A DynamicRouting1 file.

    Returns
    -------
    pandas.DataFrame
        One row a trial, columns of `DESCRIPTIONS` from ``stim_name`` on, but ``is_opto`` and
        ``is_task_control_correct``.
    """
    n = task.n_trials
    name = np.array([str(stim) for stim in task.trial("trialStim")], dtype=object)
    rewarded = [str(stim) for stim in task["blockStimRewarded"]]
    block = np.asarray(task.trial("trialBlock")).astype(np.int64) - 1
    target_name = np.array([rewarded[b] if 0 <= b < len(rewarded) else "" for b in block], dtype=object)
    response = _flags(task, "trialResponse")
    reward = _flags(task, "trialRewarded")
    scheduled = _flags(task, "trialAutoRewardScheduled")
    free = _unearned(task, scheduled)

    vis = np.array(["vis" in stim for stim in name], np.bool_)
    aud = np.array(["sound" in stim for stim in name], np.bool_)
    both = np.array(["+" in stim for stim in name], np.bool_)
    catch = name == "catch"
    go = (name == target_name) & ~catch
    nogo = ~go & ~catch & ~both
    target = np.isin(name, rewarded) & ~catch
    nontarget = ~target & ~catch & ~both
    vis_block = np.array(["vis" in stim for stim in target_name], np.bool_)
    aud_block = np.array(["sound" in stim for stim in target_name], np.bool_)

    index = np.arange(n, dtype=np.int64)
    first = np.r_[True, np.diff(block) != 0][:n]
    in_block = index - np.maximum.accumulate(np.where(first, index, 0)) if n else index
    repeat = _flags(task, "trialRepeat") if "trialRepeat" in task else np.zeros(n, np.bool_)
    last_fresh = np.maximum.accumulate(np.where(repeat, -1, index)) if n else index
    instructions = sum(
        _number(task, key) for key in ("newBlockGoTrials", "newBlockNogoTrials", "newBlockCatchTrials")
    )
    return pd.DataFrame(
        {
            "stim_name": name.tolist(),
            "grating_phase": _phases(task, vis),
            "block_index": block,
            "rewarded_modality": ["vis" if v else "aud" if a else "" for v, a in zip(vis_block, aud_block, strict=True)],
            "trial_index": index,
            "trial_index_in_block": in_block.astype(np.float64),
            "repeat_index": (index - last_fresh).astype(np.float64),
            "is_response": response,
            "is_correct": (response & go) | (~response & nogo) | (~response & catch),
            "is_incorrect": (~response & go) | (response & nogo) | (response & catch),
            "is_hit": response & go,
            "is_false_alarm": response & nogo,
            "is_correct_reject": ~response & nogo,
            "is_miss": ~response & go,
            "is_go": go,
            "is_nogo": nogo,
            "is_rewarded": reward,
            "is_noncontingent_reward": free,
            "is_contingent_reward": reward & ~free,
            "is_reward_scheduled": scheduled,
            "is_instruction": in_block < instructions,
            "is_aud_stim": aud,
            "is_vis_stim": vis,
            "is_catch": catch,
            "is_target": target,
            "is_aud_target": target & aud,
            "is_vis_target": target & vis,
            "is_nontarget": nontarget,
            "is_aud_nontarget": nontarget & aud,
            "is_vis_nontarget": nontarget & vis,
            "is_vis_rewarded": vis_block,
            "is_aud_rewarded": aud_block,
            "is_block_switch": first & (block != 0),
            "is_repeat": repeat,
        }
    )  # fmt: skip


def trial_times(
    task: StimulusFile,
    labels: pd.DataFrame,
    frames: FrameTimes,
    sounds: tuple[Times, Times],
    *,
    licks: Times | None,
    rewards: Times,
) -> pd.DataFrame:
    """Return when each part of each trial happened, in seconds.

    Parameters
    ----------
    task : StimulusFile
        A DynamicRouting1 file.
    labels : pandas.DataFrame
        What `trial_labels` says of it.
    frames : FrameTimes
        The times of its frames.
    sounds : tuple of array
        On- and offset of each trial's sound, NaN where none was played, shape (n_trials,) each.
    licks : array or None
        The lick sensor's rising edges (s); None where they were not recorded.
    rewards : array
        Deliveries of water (s), in order; those asked for by hand are no trial's own.

    Returns
    -------
    pandas.DataFrame
        One row a trial, the columns of `DESCRIPTIONS` up to ``post_response_window_stop_time``. A time is NaN
        where there is none.
    """
    stim = np.asarray(task.trial("trialStimStartFrame"), np.float64)
    window = np.asarray(task["responseWindow"], np.float64)
    shown = np.asarray(
        task.trial("trialVisStimFrames") if "trialVisStimFrames" in task else np.full(len(stim), 30.0),
        np.float64,
    )
    only_sound = (labels["is_aud_stim"] & ~labels["is_vis_stim"]).to_numpy()
    again = labels["is_repeat"].to_numpy()
    # a repetition follows the timeout of the trial that it repeats
    timeout = np.where(np.r_[again[1:], False][: len(stim)], stim + window[1] + 1, np.nan)
    timeout_stop = timeout + _number(task, "incorrectTimeoutFrames")
    after = np.where(np.isfinite(timeout), timeout_stop, stim + window[1])

    start = frames.at("flip", stim - _number(task, "quiescentFrames"))
    stop = frames.at("flip", np.asarray(task.trial("trialEndFrame"), np.float64))
    opens, closes = frames.at("input", stim + window[0]), frames.at("flip", stim + window[1])
    scripted = frames.at("input", np.asarray(task.trial("trialResponseFrame"), np.float64))
    return pd.DataFrame(
        {
            "start_time": start,
            "stop_time": stop,
            "quiescent_start_time": start,
            "quiescent_stop_time": frames.at("input", stim - 1),
            "stim_start_time": np.where(only_sound, sounds[0], frames.at("display", stim)),
            "stim_stop_time": np.where(only_sound, sounds[1], frames.at("display", stim + shown)),
            "response_window_start_time": opens,
            "response_window_stop_time": closes,
            "task_control_response_time": scripted,
            "response_time": scripted if licks is None else first_inside(licks, opens, closes),
            "reward_time": assigned_rewards(rewards, start, stop, labels["is_rewarded"].to_numpy()),
            "timeout_start_time": frames.at("input", timeout),
            "timeout_stop_time": frames.at("display", timeout_stop),
            "post_response_window_start_time": frames.at("display", after),
            "post_response_window_stop_time": frames.at(
                "display", after + _number(task, "postResponseWindowFrames")
            ),
        }
    )


def first_inside(times: npt.ArrayLike, start: Times, stop: Times) -> Times:
    """Return the first of the sorted times within each stretch, ends included; NaN where there is none.

    Examples
    --------
    >>> first_inside([1.0, 2.0, 2.5], np.array([1.5, 3.0]), np.array([2.9, 4.0])).tolist()
    [2.0, nan]
    """
    padded = np.append(np.asarray(times, np.float64), np.nan)
    found = padded[np.searchsorted(padded[:-1], start)]
    return np.where(found <= stop, found, np.nan)


def assigned_rewards(rewards: Times, start: Times, stop: Times, is_rewarded: npt.NDArray[np.bool_]) -> Times:
    """Return the delivery that belongs to each trial (s), NaN where there is none.

    Where the deliveries are one for each rewarded trial, by the trial that had begun last, they are those
    trials'. Where they are not (one came after the last trial), a rewarded trial has the first within it.
    """
    found = np.full(len(start), np.nan)
    trials = np.searchsorted(start, rewards, side="right") - 1
    if np.array_equal(trials, np.flatnonzero(is_rewarded)):
        found[trials] = rewards
        return found
    return np.where(is_rewarded, first_inside(rewards, start, stop), np.nan)


def _flags(task: StimulusFile, name: str) -> npt.NDArray[np.bool_]:
    return np.asarray(task.trial(name)).astype(np.bool_)


def _number(task: StimulusFile, name: str) -> float:
    """A parameter's value; 0 where the file lacks it or the script had None."""
    value: Any = task.get(name, 0)
    return float(np.nan_to_num(float(value)))


def _unearned(task: StimulusFile, scheduled: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which trials had water that was not earned."""
    if "trialAutoRewardScheduled" in task.names:
        return _flags(task, "trialAutoRewarded")
    # files before 2022-09 kept only what was scheduled: it was given if water came at the scheduled frame
    frames = np.asarray(task.trial("trialStimStartFrame"), np.float64) + _number(task, "autoRewardOnsetFrame")
    return scheduled & np.isin(frames, np.asarray(task.get("rewardFrames", []), np.float64))


def _phases(task: StimulusFile, vis: npt.NDArray[np.bool_]) -> Times:
    if "trialGratingPhase" not in task:
        return np.full(len(vis), np.nan)
    phases = np.asarray(task.trial("trialGratingPhase"), np.float64)
    # psychopy's phase is (x, y); both are the same
    return np.where(vis, phases[:, 0] if phases.ndim == 2 else phases, np.nan)
