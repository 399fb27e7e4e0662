"""Performance in each block, by the tables that were made of the same trials elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project_cache.build.performance import by_block, dprime, performance, performance_table
from project_cache.errors import ComponentUnavailable

GOLDEN = "data/dynamic_routing/raw_behavior_674721_20230710/golden"
TRUTH = "data/dynamic_routing/raw_session/truth"
BY_RESPONSE = ["vis_response_dprime", "aud_response_dprime"]


def assert_equal(made: pd.DataFrame, wanted: pd.DataFrame) -> None:
    for name in wanted:
        if pd.api.types.is_float_dtype(wanted[name].dtype):
            np.testing.assert_allclose(made[name], wanted[name], rtol=0, atol=1e-9, err_msg=name)
        else:
            assert made[name].tolist() == wanted[name].tolist(), name


def test_the_blocks_of_a_real_session(shared: Path) -> None:
    wanted = pd.read_csv(shared / GOLDEN / "performance_nosync.csv")
    made = by_block(pd.read_csv(shared / GOLDEN / "trials_nosync.csv"))
    assert list(made) == [*wanted, *BY_RESPONSE]
    assert_equal(made, wanted)


@pytest.mark.parametrize("kind", ["sync", "nosync"])
def test_the_blocks_of_a_simulated_session(shared: Path, kind: str) -> None:
    made = by_block(pd.read_csv(shared / TRUTH / f"trials_{kind}.csv"))
    assert_equal(made, pd.read_csv(shared / TRUTH / f"performance_{kind}.csv"))


def test_the_blocks_without_trials_in_invalid_times(shared: Path) -> None:
    trials = pd.read_csv(shared / TRUTH / "trials_sync.csv").drop(index=[53, 54, 55])
    assert_equal(by_block(trials), pd.read_csv(shared / TRUTH / "performance_sync_invalid_dropped.csv"))


def test_dprime_by_response_tells_targets_from_nontargets_in_either_block(shared: Path) -> None:
    made = by_block(pd.read_csv(shared / GOLDEN / "trials_nosync.csv"))
    # sounds are not rewarded in the second block: no trial can be a hit, yet the mouse licked to some
    assert made["aud_dprime"][1] < -1
    assert made["aud_response_dprime"][1] > 0
    # where all are rewarded the two are the same
    assert made["vis_response_dprime"][1] == pytest.approx(made["vis_dprime"][1])


def test_dprime_of_rates_that_are_none_or_all() -> None:
    assert dprime(10, 10, 0, 10) == pytest.approx(2 * 1.6448536269514722)
    assert np.isnan(dprime(0, 0, 1, 10))
    assert np.isnan(dprime(1, 10, 0, 0))


def test_trials_that_light_made_several_rows_of_count_once(shared: Path) -> None:
    trials = pd.read_csv(shared / GOLDEN / "trials_nosync.csv")
    twice = trials.loc[trials.index.repeat(2)].reset_index(drop=True)
    pd.testing.assert_frame_equal(by_block(twice), by_block(trials))


def test_older_tables_give_what_their_columns_allow(shared: Path) -> None:
    trials = pd.read_csv(shared / GOLDEN / "trials_nosync.csv").drop(columns="is_instruction")
    table = performance(performance_table(trials))
    assert table.colnames[:2] == ("start_time", "stop_time")
    assert "vis_target_response_rate" not in table.colnames
    assert "cross_modality_dprime" in table.colnames
    with pytest.raises(ComponentUnavailable, match="is_response"):
        performance_table(trials.drop(columns="is_response"))
