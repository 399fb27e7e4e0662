"""Trials of the task, by the tables that were made of the same files elsewhere, and of small files made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.build.trials import trials, trials_table
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

FOLDER = "DRpilot_712345_20231114"
TASK = "DynamicRouting1_712345_20231114_123602.hdf5"
INVALID = ({"start_time": 530.71, "stop_time": 550.26, "reason": "seizure"},)


def table_of(folder: Path, options: Options | None = None) -> pd.DataFrame:
    options = options or Options()
    raw = RawRecording(folder)
    return trials_table(raw, SessionClock(raw, options), options)


def alone(task: Path, tmp_path: Path) -> Path:
    """A session folder that holds the task's file only."""
    folder = tmp_path / ("DRpilot_" + "_".join(task.name.split("_")[1:3]))
    folder.mkdir()
    (folder / task.name).symlink_to(task)
    return folder


def assert_equal(made: pd.DataFrame, wanted: pd.DataFrame, within: float, skip: str = "") -> None:
    for name in wanted:
        if name == skip:
            continue
        if pd.api.types.is_float_dtype(wanted[name].dtype):
            np.testing.assert_allclose(made[name], wanted[name], rtol=0, atol=within, err_msg=name)
        else:
            assert made[name].dtype == wanted[name].dtype, name
            assert made[name].tolist() == wanted[name].tolist(), name


def write_task(tmp_path: Path, **values: Any) -> Path:
    """A session of four trials: sound1, vis1, catch, vis2, in one block with rewarded sounds."""
    stim = np.array([100, 400, 700, 1000])
    saved: dict[str, Any] = {
        "frameIntervals": np.full(1299, 0.016),
        "trialStim": ["sound1", "vis1", "catch", "vis2", "vis1"],
        "trialBlock": [1, 1, 1, 1, 1],
        "blockStimRewarded": ["sound1"],
        "trialStimStartFrame": stim,
        "trialEndFrame": stim + 200,
        "trialResponse": [True, True, False, False],
        "trialResponseFrame": [120.0, 420.0, np.nan, np.nan],
        "trialRewarded": [True, False, False, False],
        "trialAutoRewardScheduled": [True, False, False, False, False],
        "trialAutoRewarded": [False, False, False, False],
        "trialRepeat": [False, False, False, False, False],
        "trialVisStimFrames": [0, 30, 0, 30, 30],
        "trialSoundDur": [0.5, 0, 0, 0, 0],
        "rewardFrames": [120],
        "manualRewardFrames": [720],
        "responseWindow": [6, 60],
        "quiescentFrames": 90,
        "postResponseWindowFrames": 180,
        "incorrectTimeoutFrames": 0,
        "newBlockGoTrials": 1,
        "newBlockNogoTrials": 0,
        "startTime": "20231114_123602",
        "subjectName": "712345",
    } | values
    folder = tmp_path / FOLDER
    folder.mkdir()
    with h5py.File(folder / TASK, "w") as file:
        for name, value in saved.items():
            if isinstance(value, dict):
                for key, column in value.items():
                    file[f"{name}/{key}"] = column
            elif value is not None:
                file[name] = value
    return folder


def test_the_trials_of_a_real_session_without_sync(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/dynamic_routing/raw_behavior_674721_20230710"
    wanted = pd.read_csv(source / "golden/trials_nosync.csv")
    made = table_of(alone(source / "DynamicRouting1_674721_20230710_084322.hdf5", tmp_path))
    assert list(made) == list(wanted)
    assert_equal(made, wanted, 1e-9, skip="is_task_control_correct")
    # upstream has the opposite of what the column says
    assert made["is_task_control_correct"].all()
    assert not wanted["is_task_control_correct"].any()


def test_the_trials_of_a_simulated_session_without_sync(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/dynamic_routing/raw_session"
    wanted = pd.read_csv(source / "truth/trials_nosync.csv")
    made = table_of(alone(source / FOLDER / TASK, tmp_path))
    assert [name for name in made if name != "is_task_control_correct"] == list(wanted)
    assert_equal(made, wanted, 1e-9)


def test_the_trials_of_a_simulated_session_with_sync(shared: Path) -> None:
    source = shared / "data/dynamic_routing/raw_session"
    wanted = pd.read_csv(source / "truth/trials_sync.csv")
    made = table_of(source / FOLDER)
    assert_equal(made, wanted, 1e-3)
    # all but what was on the screen is as precise as sync's clock
    seen = ("stim_start", "stim_stop", "timeout_stop", "post_response")
    for name in wanted:
        if name.endswith("_time") and not name.startswith(seen):
            np.testing.assert_allclose(made[name], wanted[name], rtol=0, atol=1e-5, err_msg=name)
    sounds = wanted["is_aud_stim"]
    np.testing.assert_allclose(
        made["stim_start_time"][sounds], wanted["stim_start_time"][sounds], rtol=0, atol=1e-5
    )


def test_trials_that_overlap_invalid_times_are_left_out(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session" / FOLDER
    left = table_of(folder, Options(invalid_times=INVALID))
    assert sorted(set(range(160)) - set(left["trial_index"])) == [53, 54, 55]
    with pytest.raises(ComponentUnavailable, match="invalid"):
        table_of(folder, Options(invalid_times=({"start_time": 0, "stop_time": -1, "reason": "all"},)))


def test_stored_tables_are_the_trials_of_a_session_without_raw_files(shared: Path) -> None:
    raw = RawRecording(shared / "data/dynamic_routing/trial_tables/DRpilot_626791_20220815")
    clock = SessionClock(raw, Options())
    table = trials_table(raw, clock, Options())
    assert len(table) == 479
    assert {"trial_index", "rewarded_modality", "is_block_switch", "is_vis_rewarded"} <= set(table)
    intervals = trials(raw, table)
    assert "number" in intervals["stim_index"].description


def test_what_each_trial_was(tmp_path: Path) -> None:
    table = table_of(write_task(tmp_path))
    assert table["is_go"].tolist() == [True, False, False, False]
    assert table["is_hit"].tolist() == [True, False, False, False]
    assert table["is_false_alarm"].tolist() == [False, True, False, False]
    assert table["is_correct_reject"].tolist() == [False, False, False, True]
    assert table["is_correct"].tolist() == [True, False, True, True]
    assert table["is_instruction"].tolist() == [True, False, False, False]
    assert table["is_nontarget"].tolist() == [False, True, False, True]
    assert not table["is_opto"].any()
    assert "is_single_opto_location" not in table
    assert "timeout_start_time" not in table
    # water that the experimenter gave by hand is not the trial's
    assert table["reward_time"].notna().tolist() == [True, False, False, False]


def test_repetitions_and_the_timeouts_before_them(tmp_path: Path) -> None:
    again = [False, False, True, True, False]
    names = ["sound1", "vis1", "vis1", "vis1", "vis1"]
    table = table_of(write_task(tmp_path, trialRepeat=again, trialStim=names, incorrectTimeoutFrames=60))
    assert table["repeat_index"].tolist() == [0.0, 0.0, 1.0, 2.0]
    assert table["timeout_start_time"].notna().tolist() == [False, True, True, False]
    first = table.iloc[1]
    assert first["timeout_start_time"] == pytest.approx(first["response_window_stop_time"])
    assert first["timeout_stop_time"] - first["timeout_start_time"] == pytest.approx(61 * 0.016)
    assert first["post_response_window_start_time"] == first["timeout_stop_time"]


def test_an_old_file_says_only_which_rewards_were_scheduled(tmp_path: Path) -> None:
    given = {"trialAutoRewardScheduled": None, "trialAutoRewarded": [True, True, False, False]}
    table = table_of(write_task(tmp_path, **given, autoRewardOnsetFrame=20))
    assert table["is_reward_scheduled"].tolist() == [True, True, False, False]
    assert table["is_noncontingent_reward"].tolist() == [True, False, False, False]
    assert not table["is_contingent_reward"].any()


def test_trials_with_light_say_when_and_where(tmp_path: Path) -> None:
    nan = np.nan
    voltages = np.full((5, 2, 2), nan)
    voltages[1] = [[0.1, 0.2], [0.3, 0.4]]
    voltages[3, 0] = [0.3, 0.4]
    table = table_of(
        write_task(
            tmp_path,
            trialOptoOnsetFrame=[nan, 0.0, nan, 10.0, nan],
            trialOptoDur=[nan, 1.0, nan, 0.5, nan],
            trialOptoVoltage=[nan, 2.0, nan, 1.0, nan],
            trialGalvoVoltage=voltages,
            galvoVoltage=[[0.1, 0.2], [0.3, 0.4]],
            optoBregma=[[-1.0, 2.0], [3.0, -4.0]],
            optoRegions=["left", "right"],
        )
    )
    # two places: two rows that share all else
    assert table["trial_index"].tolist() == [0, 1, 1, 2, 3]
    assert table["opto_label"].tolist() == ["", "left", "right", "", "right"]
    assert table["is_opto"].tolist() == [False, True, True, False, True]
    assert table["is_single_opto_location"].tolist() == [False, False, False, False, True]
    # the onset is counted in frames from the stimulus
    frames = table["opto_start_time"] - table["stim_start_time"]
    np.testing.assert_allclose(frames, [nan, 0, 0, nan, 10 * 0.016])
    on_for = table["opto_stop_time"] - table["opto_start_time"]
    np.testing.assert_allclose(on_for, [nan, 1.0, 1.0, nan, 0.5])
    names = list(table)
    assert names.index("opto_start_time") < names.index("stim_name")
    assert names.index("is_single_opto_location") == names.index("is_opto") + 1


def test_a_file_of_a_task_without_light_has_empty_lists_of_it(tmp_path: Path) -> None:
    table = table_of(write_task(tmp_path, trialOptoOnsetFrame=np.zeros(0), trialOptoLabel=np.zeros(0)))
    assert not table["is_opto"].any()


def test_why_there_are_no_trials(tmp_path: Path) -> None:
    folder = write_task(tmp_path, trialEndFrame=np.zeros(0, int))
    with pytest.raises(ComponentUnavailable, match="No trial was completed"):
        table_of(folder)
    (folder / TASK).write_bytes(b"no HDF5")
    with pytest.raises(ComponentUnavailable, match="cannot be read"):
        table_of(folder)
    (folder / TASK).unlink()
    with pytest.raises(ComponentUnavailable, match="is missing"):
        table_of(folder)
