"""Stimulus files: values as scripts of all ages saved them, read one by one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError
from project_cache.raw.stimulus import StimulusFile

NAME = "DynamicRouting1_674721_20230710_084322.hdf5"


def stimulus(folder: Path, name: str = NAME, **values: Any) -> StimulusFile:
    """A file as scripts save theirs: dicts as groups, lists of lists as text, ragged rows as such."""
    with h5py.File(folder / name, "w") as file:
        _save(file, {"startTime": "20230710_084322", "subjectName": "674721"} | values)
    return StimulusFile(folder / name)


def _save(group: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value is None:
            group[name] = np.nan
        elif isinstance(value, dict):
            _save(group.create_group(name), value)
        elif isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            data = group.create_dataset(name, (len(value),), h5py.vlen_dtype(np.float64))
            for i, row in enumerate(value):
                data[i] = row
        elif isinstance(value, list) and value and isinstance(value[0], list):
            group[name] = [repr(row) for row in value]
        else:
            group[name] = value


def test_values_are_what_the_script_had(tmp_path: Path) -> None:
    stim = stimulus(
        tmp_path,
        blockStim=[["vis1", "vis2"], ["sound1", "catch"]], trialStim=["vis1", "sound1"], soundType="AM noise",
        gratingOri={"vis1": [0], "vis2": [90]}, maxFrames=None, customSampling=False, wheelRadius=4.69,
        trialOptoDevice="['laser_488']", galvoVoltage=[], trialSoundArray=[np.arange(3.0), np.arange(2.0)],
        taskVersion="stage 5", rigName="NP3",
    )  # fmt: skip
    assert stim["blockStim"] == [["vis1", "vis2"], ["sound1", "catch"]]
    assert stim["trialStim"] == ["vis1", "sound1"]
    assert stim["soundType"] == "AM noise"
    assert {name: row.tolist() for name, row in stim["gratingOri"].items()} == {"vis1": [0], "vis2": [90]}
    assert np.isnan(stim["maxFrames"])
    assert stim["customSampling"] is False
    assert stim["wheelRadius"] == 4.69
    assert stim["trialOptoDevice"] == ["laser_488"]
    assert stim["galvoVoltage"].shape == (0,)
    assert [row.tolist() for row in stim["trialSoundArray"]] == [[0.0, 1.0, 2.0], [0.0, 1.0]]
    assert (stim.task_version, stim.rig) == ("stage 5", "NP3")


def test_text_that_only_looks_like_a_list_stays_text(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, a="[__import__('os')]", b=["[1, 2", "[x]"])
    assert stim["a"] == "[__import__('os')]"
    assert stim["b"] == ["[1, 2", "[x]"]


def test_absent_values_say_which_file(tmp_path: Path) -> None:
    stim = stimulus(tmp_path)
    assert "trialStim" not in stim
    assert stim.get("trialStim") is None
    assert (stim.task_version, stim.rig) == (None, None)
    with pytest.raises(MissingDataError, match=f"{NAME} has no 'trialStim'"):
        stim["trialStim"]


def test_old_names_are_found_by_the_new_ones(tmp_path: Path) -> None:
    stim = stimulus(
        tmp_path,
        quiescentMoveFrames=[7], trialAutoRewarded=[True], gratingOri_vis1=0, gratingOri_vis2=90,
        bregmaXY=np.array([[1.0, 2.0]]), lickFrames=[3, 4],
    )  # fmt: skip
    assert stim["quiescentViolationFrames"].tolist() == [7]
    assert stim["trialAutoRewardScheduled"].tolist() == [True]
    assert stim["gratingOri"] == {"vis1": 0, "vis2": 90}
    assert stim["optoBregma"].tolist() == [[1.0, 2.0]]
    assert stim["lickDetectorFrames"].tolist() == [3, 4]
    assert "gratingPhase" not in stim


def test_trials_that_were_cut_off_are_left_out(tmp_path: Path) -> None:
    stim = stimulus(
        tmp_path, trialEndFrame=[5, 9], trialStim=["vis1", "vis2", "vis1"], trialBlock=[1], lastFrame=9
    )
    assert stim.n_trials == 2
    assert stim.trial("trialStim") == ["vis1", "vis2"]
    for name in ("trialBlock", "lastFrame"):
        with pytest.raises(MissingDataError, match=f"'{name}' .*2 trials"):
            stim.trial(name)


@pytest.mark.parametrize(
    ("values", "n_trials"),
    [
        ({"stimStartFrame": [0, 31, 62]}, 3),
        ({"trialOptoOnsetFrame": [65, 128]}, 2),
        ({"trialEndFrame": [], "trialOptoOnsetFrame": [1.0]}, 0),
        ({"trialLevel": [0.0, 1.0], "trialStartFrame": [0, 60, 120]}, 2),
        ({}, 0),
    ],
)
def test_numbers_of_trials_of_all_scripts(tmp_path: Path, values: dict[str, Any], n_trials: int) -> None:
    assert stimulus(tmp_path, **values).n_trials == n_trials


def test_frames_are_one_more_than_their_intervals(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, frameIntervals=[0.25, 0.25, 0.5])
    assert (stim.n_frames, stim.duration) == (4, 1.0)


def test_a_script_that_showed_nothing_has_no_frames(tmp_path: Path) -> None:
    assert stimulus(tmp_path, frameIntervals=[]).n_frames == 0
    other = stimulus(tmp_path, "Spontaneous_674721_20230710_084322.hdf5")
    assert (other.n_frames, other.duration) == (0, 0.0)


def test_who_and_when_by_the_file_or_else_by_its_name(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, startTime="20230710_084321", subjectName="366122")
    assert (stim.subject, stim.start_time) == (366122, datetime(2023, 7, 10, 8, 43, 21))
    named = stimulus(tmp_path, "RFMapping_674721_20230710_090000.hdf5", startTime=None, subjectName=None)
    assert (named.script, named.stem) == ("RFMapping", "RFMapping_674721_20230710_090000")
    assert (named.subject, named.start_time) == (674721, datetime(2023, 7, 10, 9, 0))
    neither = stimulus(tmp_path, "test.hdf5", startTime=None, subjectName=None)
    for ask in ("subject", "start_time"):
        with pytest.raises(CorruptObjectError, match=r"test\.hdf5"):
            getattr(neither, ask)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, trialStim=["vis1"], rotaryEncoderCount=np.arange(100_000))
    raw = bytearray(stim.path.read_bytes())
    stim["trialStim"]
    # what was read is kept, the rest is only there when asked for
    stim.path.unlink()
    assert stim["trialStim"] == ["vis1"]
    with pytest.raises(MissingObjectError):
        stim["rotaryEncoderCount"]
    Path(str(stim.path)).write_bytes(raw)
    assert len(stim["rotaryEncoderCount"]) == 100_000


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    for ask in (lambda s: s.n_trials, lambda s: s["trialStim"], lambda s: "trialStim" in s):
        with pytest.raises(CorruptObjectError, match=NAME):
            ask(StimulusFile(path))


def test_a_real_file(shared: Path) -> None:
    stim = StimulusFile(shared / "data" / "dynamic_routing" / "raw_behavior_674721_20230710" / NAME)
    assert (stim.n_trials, stim.n_frames, stim.subject, stim.rig) == (465, 217_001, 674721, "BEH.E")
    assert stim.start_time == datetime(2023, 7, 10, 8, 43, 22)
    assert stim["blockStim"] == [["vis1", "vis2", "sound1", "sound2"]] * 6
    assert stim["blockStimRewarded"] == ["sound1", "vis1"] * 3
    assert len(stim.trial("trialStim")) == 465
    for name in stim.names:
        stim[name]
