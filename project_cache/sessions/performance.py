"""How the animal did in a session of the change detection task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.analysis.performance import (
    corrected_rate,
    d_prime,
    response_latency,
    reward_rate,
    rolling_rate,
)
from project_cache.nwb.table import frame
from project_cache.sessions.trials import change_times

__all__ = ["performance_metrics", "rolling_performance", "trial_reward_rate"]


def trial_reward_rate(trials: pd.DataFrame, response_window_start: float) -> NDArray[np.float64]:
    """Return the rewards a minute around each trial, NaN for the first ten.

    Parameters
    ----------
    trials : pandas.DataFrame
        As of :func:`project_cache.sessions.trials.read_trials`.
    response_window_start : float
        Licks up to this long after a change (s) are no answers.
    """
    latency = response_latency(trials["lick_times"].tolist(), change_times(trials), response_window_start)
    return reward_rate(latency, trials["start_time"].to_numpy(dtype=np.float64))


def rolling_performance(trials: pd.DataFrame, response_window_start: float) -> pd.DataFrame:
    """Return the rates and d prime of the last 100 trials up to each that was not aborted, by ``trials_id``.

    Parameters
    ----------
    trials : pandas.DataFrame
        As of :func:`project_cache.sessions.trials.read_trials`.
    response_window_start : float
        Licks up to this long after a change (s) are no answers.
    """
    whole = ~_truth(trials, "aborted")

    def rates(yes: str, no: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        raw, count = rolling_rate(_truth(trials, yes)[whole], _truth(trials, no)[whole])
        return raw, corrected_rate(raw, count)

    hits, corrected_hits = rates("hit", "miss")
    alarms, corrected_alarms = rates("false_alarm", "correct_reject")
    # where nobody licks and nothing is to be had, the animal was only shown the stimuli
    passive = (trials["reward_volume"] == 0).all() and not trials["lick_times"].map(len).any()
    sensitivity = np.zeros(len(hits)) if passive else d_prime(corrected_hits, corrected_alarms)
    columns = {"reward_rate": trial_reward_rate(trials, response_window_start)}
    for name, values in (
        ("hit_rate_raw", hits),
        ("hit_rate", corrected_hits),
        ("false_alarm_rate_raw", alarms),
        ("false_alarm_rate", corrected_alarms),
        ("rolling_dprime", sensitivity),
    ):
        columns[name] = np.full(len(trials), np.nan)
        columns[name][whole] = values
    return frame(columns, trials.index.to_numpy(), "trials_id")


def _truth(trials: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    return trials[name].to_numpy(dtype=bool)


def performance_metrics(
    trials: pd.DataFrame, rewards: pd.DataFrame, rolling: pd.DataFrame, threshold: float
) -> dict[str, Any]:
    """Return counts and means that say in short how the animal did.

    Parameters
    ----------
    trials, rewards : pandas.DataFrame
        As of :mod:`project_cache.sessions.trials`.
    rolling : pandas.DataFrame
        As of :func:`rolling_performance`.
    threshold : float
        The animal is engaged while it gets more rewards a minute than this.
    """
    engaged = rolling["reward_rate"].to_numpy() > threshold
    metrics: dict[str, Any] = {"trial_count": len(trials)}
    for kind in ("go", "catch", "hit", "miss", "false_alarm", "correct_reject"):
        metrics[f"{kind}_trial_count"] = int(_truth(trials, kind).sum())
    metrics["auto_reward_count"] = int(_truth(trials, "auto_rewarded").sum())
    metrics["earned_reward_count"] = metrics["hit_trial_count"]
    metrics["total_reward_count"] = len(rewards)
    metrics["total_reward_volume"] = float(rewards["volume"].sum())
    metrics["maximum_reward_rate"] = float(rolling["reward_rate"].max())
    metrics["engaged_trial_count"] = int(engaged.sum())
    for name in ("hit_rate", "false_alarm_rate"):
        metrics[f"mean_{name}"] = float(rolling[name].mean())
        metrics[f"mean_{name}_uncorrected"] = float(rolling[f"{name}_raw"].mean())
        metrics[f"mean_{name}_engaged"] = float(rolling[name][engaged].mean())
    metrics["mean_dprime"] = float(rolling["rolling_dprime"].mean())
    metrics["mean_dprime_engaged"] = float(rolling["rolling_dprime"][engaged].mean())
    metrics["max_dprime"] = float(rolling["rolling_dprime"].max())
    metrics["max_dprime_engaged"] = float(rolling["rolling_dprime"][engaged].max())
    return metrics
