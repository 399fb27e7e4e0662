"""Light: which line a laser is on, when it was asked for, when it went off."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.build.clock.lasers import devices, durations, laser_line, onset_frames, switched_off
from project_cache.errors import MissingDataError
from project_cache.raw.stimulus import StimulusFile
from project_cache.raw.sync import SyncFile

NAN = float("nan")


def stimulus(folder: Path, script: str = "DynamicRouting1", **values: Any) -> StimulusFile:
    path = folder / f"{script}_712345_20231114_123602.hdf5"
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            file[name] = value
    return StimulusFile(path)


def sync_file(path: Path, *lines: int, labels: dict[int, str] | None = None) -> SyncFile:
    named = ["" if labels is None else labels.get(k, "") for k in range(32)]
    meta = {"ni_daq": {"counter_output_freq": 1e5}, "line_labels": named, "total_samples": 1000}
    state = sum(1 << line for line in lines)
    with h5py.File(path, "w") as file:
        file["data"] = np.array([(1, 0), (10, state), (20, 0)], np.uint32)
        file["meta"] = np.bytes_(repr(meta))
    return SyncFile(path)


def test_tasks_count_from_the_stimulus_and_optotagging_from_the_start(tmp_path: Path) -> None:
    task = stimulus(
        tmp_path,
        trialEndFrame=[200, 400], trialStimStartFrame=[100, 300, 500], trialOptoOnsetFrame=[-5, NAN, 0],
    )  # fmt: skip
    np.testing.assert_array_equal(onset_frames(task), [95, NAN])
    tagging = stimulus(tmp_path, "OptoTagging", trialOptoOnsetFrame=[65, 128])
    assert onset_frames(tagging).tolist() == [65, 128]


def test_of_several_devices_the_first_that_shone_counts(tmp_path: Path) -> None:
    tagging = stimulus(
        tmp_path, "OptoTagging",
        trialOptoOnsetFrame=np.array([[NAN, 65.0], [NAN, NAN]]), trialOptoDur=np.array([[NAN, 0.2], [NAN, NAN]]),
    )  # fmt: skip
    np.testing.assert_array_equal(onset_frames(tagging), [65, NAN])
    np.testing.assert_array_equal(durations(tagging)[1], [0.2, NAN])


def test_light_is_on_for_its_duration_and_both_ramps(tmp_path: Path) -> None:
    old = stimulus(
        tmp_path,
        "OptoTagging",
        trialOptoOnsetFrame=[1],
        trialOptoDur=[0.01],
        optoOnRamp=0.001,
        optoOffRamp=0.002,
    )
    nominal, active, delays = durations(old)
    assert (nominal[0], active[0], delays[0]) == (0.01, pytest.approx(0.013), 0)
    new = stimulus(
        tmp_path, "OptoTagging",
        trialOptoOnsetFrame=[1], trialOptoDur=[1.0], trialOptoOnRamp=[0.1], trialOptoOffRamp=[NAN], trialOptoDelay=[0.3],
    )  # fmt: skip
    nominal, active, delays = durations(new)
    assert (nominal[0], active[0], delays[0]) == (1.0, pytest.approx(1.1), 0.3)


def test_a_file_without_light_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="used no light"):
        onset_frames(stimulus(tmp_path, trialEndFrame=[1], trialStimStartFrame=[0]))


def test_devices_by_trial_or_for_all(tmp_path: Path) -> None:
    new = stimulus(
        tmp_path, trialEndFrame=[1, 2], trialOptoDevice=["['laser_488']", "['laser_633', 'laser_488']"]
    )
    assert devices(new) == ["laser_488", "laser_633"]
    old = stimulus(tmp_path, "OptoTagging", trialOptoOnsetFrame=[1, 2], optoDev="laser_488")
    assert devices(old) == ["laser_488"] * 2
    assert devices(stimulus(tmp_path, "OptoTagging", trialOptoOnsetFrame=[1])) == [""]


def test_lasers_have_their_lines_where_they_were_recorded(tmp_path: Path) -> None:
    early, late = datetime.date(2024, 4, 18), datetime.date(2024, 4, 19)
    sync = sync_file(tmp_path / "a.h5", 10, 11, labels={10: "face_frame_received"})
    assert laser_line("laser_488", sync, early) == "laser_488"
    assert laser_line("", sync, early) == "laser_488"
    assert laser_line("laser_633", sync, late) == "laser_633"
    # until then line 10 was a camera's
    assert laser_line("laser_633", sync, early) is None
    assert laser_line("led_1", sync, late) is None
    assert laser_line("laser_488", sync_file(tmp_path / "b.h5", 2), late) is None
    assert (
        laser_line("laser_633", sync_file(tmp_path / "c.h5", 7, labels={7: "laser_633"}), early)
        == "laser_633"
    )


def test_light_goes_off_at_the_fall_nearest_to_its_planned_end() -> None:
    falling = np.array([1.1, 1.2, 1.31, 3.4, 8.0])
    onsets = np.array([1.0, NAN, 3.0, 5.0])
    np.testing.assert_array_equal(
        switched_off(falling, onsets, np.array([0.3, NAN, 0.42, 0.2])), [1.31, NAN, 3.4, NAN]
    )
    # a fall after the next trial's onset is not this one's
    np.testing.assert_array_equal(
        switched_off(np.array([8.0]), np.array([5.0, 7.0]), np.array([0.2, 0.9])), [NAN, 8.0]
    )
    assert np.isnan(switched_off(np.empty(0), np.array([5.0]), np.array([0.25]))).all()
