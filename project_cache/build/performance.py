"""How the subject did in each block of the task, counted from its trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project_cache.build.nwb_tables import time_intervals
from project_cache.errors import ComponentUnavailable

if TYPE_CHECKING:
    from pynwb.epoch import TimeIntervals

__all__ = ["by_block", "dprime", "performance", "performance_table"]

DESCRIPTIONS = {
    "start_time": "start of the block's first trial (s)",
    "stop_time": "end of the block's last trial (s)",
    "block_index": "number of the block, from 0",
    "is_first_block_aud": "the session began with a block in which auditory targets were rewarded",
    "rewarded_modality": "modality whose target is rewarded in the block: `vis` or `aud`",
    "cross_modality_dprime": "d' of responses to the rewarded target against responses to the target of the other "
    "modality; go trials with a scheduled reward are counted",
    "signed_cross_modality_dprime": "`cross_modality_dprime`, negative in blocks with auditory rewards",
    "vis_dprime": "d' of hits on visual targets against false alarms on visual nontargets; where visual targets are "
    "not rewarded no trial can be a hit, and the number says little (see `vis_response_dprime`)",
    "aud_dprime": "d' of hits on auditory targets against false alarms on auditory nontargets; where auditory targets "
    "are not rewarded no trial can be a hit, and the number says little (see `aud_response_dprime`)",
    "n_trials": "number of trials",
    "n_responses": "number of trials with a response",
    "n_hits": "number of hits, with those on trials with a scheduled reward",
    "n_contingent_rewards": "number of rewards that were earned",
    "hit_rate": "hits over go trials, with those with a scheduled reward",
    "false_alarm_rate": "false alarms over nogo trials",
    "catch_response_rate": "responses over catch trials",
    "vis_target_response_rate": "responses to visual targets; instruction trials do not count",
    "vis_nontarget_response_rate": "responses to visual nontargets; instruction trials do not count",
    "aud_target_response_rate": "responses to auditory targets; instruction trials do not count",
    "aud_nontarget_response_rate": "responses to auditory nontargets; instruction trials do not count",
    "vis_response_dprime": "d' of responses to visual targets against responses to visual nontargets, whether or not "
    "they are rewarded in the block",
    "aud_response_dprime": "d' of responses to auditory targets against responses to auditory nontargets, whether or "
    "not they are rewarded in the block",
}


def dprime(hits: int, n_signal: int, false_alarms: int, n_noise: int) -> float:
    """Return d', the difference of the z-scores of hit and false-alarm rate; NaN where one has no trials.

    A rate of 0 is taken for half a trial, one of 1 for all but half a trial.

    Examples
    --------
    >>> round(dprime(9, 10, 1, 10), 3)
    2.563
    """
    from scipy.stats import norm

    if not n_signal or not n_noise:
        return float("nan")
    hit_rate = np.clip(hits / n_signal, 0.5 / n_signal, 1 - 0.5 / n_signal)
    false_alarm_rate = np.clip(false_alarms / n_noise, 0.5 / n_noise, 1 - 0.5 / n_noise)
    return float(norm.ppf(hit_rate) - norm.ppf(false_alarm_rate))


def by_block(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the performance in each block.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table. Older tables lack columns: what would need them is left out.

    Returns
    -------
    pandas.DataFrame
        One row a block, the columns of `DESCRIPTIONS`. A rate without trials is NaN.
    """
    # light at several places makes several rows of a trial
    trials = trials.drop_duplicates("start_time") if "is_opto" in trials else trials
    first = str(trials["rewarded_modality"].iloc[0])
    blocks = np.unique(trials["block_index"].to_numpy(np.int64)).tolist()
    rows = [_block(index, trials[trials["block_index"] == index], first) for index in blocks]
    return pd.DataFrame(rows)


def _block(index: int, block: pd.DataFrame, first_modality: str) -> Mapping[str, Any]:
    flags = {str(name): block[name].to_numpy(dtype=bool) for name in block if str(name).startswith("is_")}
    response, go, nogo = flags["is_response"], flags["is_go"], flags["is_nogo"]
    hit, false_alarm = flags["is_hit"], flags["is_false_alarm"]
    modality = str(block["rewarded_modality"].iloc[0])
    other = {"vis": "aud", "aud": "vis"}.get(modality)
    row: dict[str, Any] = {
        "block_index": index,
        "is_first_block_aud": first_modality == "aud",
        "rewarded_modality": modality,
    }
    cross = float("nan")
    if other is not None:
        unrewarded = flags[f"is_{other}_target"]
        cross = dprime(_n(hit), _n(go), _n(false_alarm & unrewarded), _n(unrewarded))
    row["cross_modality_dprime"] = cross
    row["signed_cross_modality_dprime"] = -cross if modality == "aud" else cross
    for name in ("vis", "aud"):
        target, nontarget = flags[f"is_{name}_target"], flags[f"is_{name}_nontarget"]
        row[f"{name}_dprime"] = dprime(
            _n(hit & target), _n(target), _n(false_alarm & nontarget), _n(nontarget)
        )
    row |= {
        "n_trials": len(block),
        "n_responses": _n(response),
        "n_hits": _n(hit),
        "n_contingent_rewards": _n(flags["is_contingent_reward"]),
        "hit_rate": _rate(hit, go),
        "false_alarm_rate": _rate(false_alarm, nogo),
        "catch_response_rate": _rate(response & flags["is_catch"], flags["is_catch"]),
    }
    if "is_instruction" in flags:
        free, instruction = flags["is_reward_scheduled"], flags["is_instruction"]
        for name in ("vis_target", "vis_nontarget", "aud_target", "aud_nontarget"):
            kind = flags[f"is_{name}"]
            row[f"{name}_response_rate"] = _rate(response & ~free & kind, kind & ~instruction)
    row |= {"start_time": float(block["start_time"].min()), "stop_time": float(block["stop_time"].max())}
    for name in ("vis", "aud"):
        target, nontarget = flags[f"is_{name}_target"], flags[f"is_{name}_nontarget"]
        row[f"{name}_response_dprime"] = dprime(
            _n(response & target), _n(target), _n(response & nontarget), _n(nontarget)
        )
    return row


def _n(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    return int(flags.sum())


def _rate(flags: np.ndarray[Any, np.dtype[np.bool_]], of: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """How many of the trials `of` are flagged; more may be flagged than are counted."""
    return _n(flags) / _n(of) if of.any() else float("nan")


def performance_table(trials_table: pd.DataFrame) -> pd.DataFrame:
    """Return the performance in each block of the task."""
    needed = {"block_index", "rewarded_modality", "is_response", "is_go", "is_contingent_reward", "is_catch"}
    missing = sorted(needed - set(trials_table))
    if missing:
        raise ComponentUnavailable(f"Performance cannot be counted: the trials lack {', '.join(missing)}.")
    return by_block(trials_table)


def performance(performance_table: pd.DataFrame) -> TimeIntervals:
    """Return the performance in each block of the task as TimeIntervals."""
    return time_intervals(
        "performance",
        "behavioral performance in each block of the task, counted from the valid rows of its trials",
        performance_table,
        DESCRIPTIONS,
    )
