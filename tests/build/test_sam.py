"""Performance by block under the names of the task's own analysis."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from project_cache.build.sam import sam


def test_counts_leave_out_scheduled_rewards(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "raw_behavior_674721_20230710" / "golden"
    trials = pd.read_csv(folder / "trials_nosync.csv")
    found = sam(trials)
    assert found.blockStimRewarded[:2] == ["sound1", "vis1"]
    assert found.hitCount[0] == 15  # where the performance table, autorewards and all, has 20
    assert len(found.hitRate) == trials.block_index.nunique()
    assert all(0 <= rate <= 1 for rate in found.hitRate)


def test_the_numbers_of_a_small_block() -> None:
    trials = pd.DataFrame(
        {
            "block_index": 0,
            "rewarded_modality": "vis",
            "stim_name": ["vis1"] * 4 + ["vis2"] * 2 + ["sound1"] * 2 + ["catch"],
            "is_response": [True, True, True, False, False, False, True, False, False],
            "is_reward_scheduled": [True] + [False] * 8,
        }
    )
    found = sam(trials)
    assert (found.hitCount, found.hitRate) == ([2], [pytest.approx(2 / 3)])
    assert (found.falseAlarmSameModal, found.falseAlarmOtherModalGo) == ([0.0], [0.5])
    assert found.dprimeSameModal[0] > found.dprimeOtherModalGo[0] > 0
    assert found.catchResponseRate == [0.0]
    assert pd.isna(found.falseAlarmOtherModalNogo[0])
