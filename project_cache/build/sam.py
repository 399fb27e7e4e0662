"""Performance by block under the names that the task's own analysis has for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from project_cache.build.performance import dprime

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BlockMetrics", "sam"]


@dataclass(frozen=True, slots=True)
class BlockMetrics:
    """Numbers of each block, in order. Trials with a scheduled autoreward count nowhere.

    Attributes
    ----------
    blockStimRewarded : list of str
        The target that was rewarded: ``vis1`` or ``sound1``.
    hitCount : list of int
        Responses to it.
    hitRate : list of float
        … per trial.
    falseAlarmSameModal, falseAlarmOtherModalGo, falseAlarmOtherModalNogo : list of float
        Responses per trial to the non-target of the rewarded modality, and to the target and the non-target of the
        other.
    dprimeSameModal, dprimeOtherModalGo, dprimeOtherModalNogo : list of float
        d′ of hits against each of these.
    catchResponseRate : list of float
        Responses per trial without a stimulus.
    """

    blockStimRewarded: list[str]  # noqa: N815 - the names of the task's own analysis
    hitCount: list[int]  # noqa: N815
    hitRate: list[float]  # noqa: N815
    falseAlarmSameModal: list[float]  # noqa: N815
    falseAlarmOtherModalGo: list[float]  # noqa: N815
    falseAlarmOtherModalNogo: list[float]  # noqa: N815
    dprimeSameModal: list[float]  # noqa: N815
    dprimeOtherModalGo: list[float]  # noqa: N815
    dprimeOtherModalNogo: list[float]  # noqa: N815
    catchResponseRate: list[float]  # noqa: N815


def sam(trials_table: pd.DataFrame) -> BlockMetrics:
    """Return the performance by block of a table of trials."""
    table = trials_table
    if "is_reward_scheduled" in table:
        table = table[~table["is_reward_scheduled"].astype(bool)]
    rows: list[dict[str, object]] = []
    for block in sorted(trials_table["block_index"].unique()):
        rewarded = str(trials_table.loc[trials_table["block_index"] == block, "rewarded_modality"].iloc[0])
        trials = table[table["block_index"] == block]
        names = trials["stim_name"].astype(str)
        same, other = ("vis", "sound") if rewarded == "vis" else ("sound", "vis")
        counts = {
            name: _responses(trials[names == stimulus])
            for name, stimulus in (
                ("hit", f"{same}1"),
                ("SameModal", f"{same}2"),
                ("OtherModalGo", f"{other}1"),
                ("OtherModalNogo", f"{other}2"),
                ("catch", "catch"),
            )
        }
        hits, shown = counts["hit"]
        row: dict[str, object] = {
            "blockStimRewarded": f"{same}1",
            "hitCount": hits,
            "hitRate": _rate(hits, shown),
            "catchResponseRate": _rate(*counts["catch"]),
        }
        for name in ("SameModal", "OtherModalGo", "OtherModalNogo"):
            alarms, of = counts[name]
            row[f"falseAlarm{name}"] = _rate(alarms, of)
            row[f"dprime{name}"] = dprime(hits, shown, alarms, of)
        rows.append(row)
    return BlockMetrics(**{name: [row[name] for row in rows] for name in BlockMetrics.__dataclass_fields__})  # type: ignore[arg-type]


def _responses(trials: pd.DataFrame) -> tuple[int, int]:
    return int(trials["is_response"].sum()), len(trials)


def _rate(responses: int, trials: int) -> float:
    return responses / trials if trials else float(np.nan)
