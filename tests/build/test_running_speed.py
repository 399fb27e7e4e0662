"""Running speed, by what was made of the same files elsewhere."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.build.running_speed import running_speed, speed
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording
from project_cache.raw.stimulus import StimulusFile

DATA = "data/dynamic_routing"
REAL = f"{DATA}/raw_behavior_674721_20230710"


def test_the_speed_of_a_real_session(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_674721_20230710"
    folder.mkdir()
    name = "DynamicRouting1_674721_20230710_084322.hdf5"
    (folder / name).symlink_to(shared / REAL / name)
    raw = RawRecording(folder)
    made = running_speed(raw, SessionClock(raw, Options()))
    wanted = pd.read_csv(shared / REAL / "golden/running_every_1000th_nosync.csv")
    assert len(made.data) == len(made.timestamps) == 217_000
    assert made.unit == "cm/s"
    assert made.data.mean() == pytest.approx(41.5627, abs=5e-5)
    # kept there in single precision
    np.testing.assert_array_equal(
        made.data[wanted["sample"]].astype(np.float32), wanted["speed"].astype(np.float32)
    )
    np.testing.assert_allclose(made.timestamps[wanted["sample"]], wanted["timestamps"], rtol=0, atol=1e-6)


def test_the_speed_of_a_simulated_session(shared: Path) -> None:
    raw = RawRecording(shared / DATA / "raw_session/DRpilot_712345_20231114")
    made = running_speed(raw, SessionClock(raw, Options()))
    assert (np.diff(made.timestamps) > 0).all()
    with np.load(shared / DATA / "raw_session/truth/times.npz") as truth:
        wanted = np.interp(made.timestamps, truth["running_t"], truth["running_speed_cm_s"])
    assert np.sqrt(np.mean((made.data - wanted) ** 2)) < 1


def write_wheel(path: Path, counts: np.ndarray, **values: object) -> StimulusFile:
    saved = {"rotaryEncoder": "digital", "rotaryEncoderCountsPerRev": 8192, "wheelRadius": 5.0} | values
    with h5py.File(path, "w") as file:
        file["rotaryEncoderCount"] = counts
        for name, value in saved.items():
            file[name] = value
    return StimulusFile(path)


def test_a_steady_turn_is_a_steady_speed(tmp_path: Path) -> None:
    # a turn each second
    counts = np.arange(600) * 8192 / 60
    counts[300] = np.nan
    stimulus = write_wheel(tmp_path / "Spontaneous_712345_20231114_123602.hdf5", counts)
    times, speeds = speed(stimulus, np.arange(600) / 60)
    assert len(times) == 599
    assert times[0] == pytest.approx(1.5 / 60)
    assert np.median(speeds) == pytest.approx(2 * np.pi * 5)
    assert np.isfinite(speeds).all()


def test_a_wheel_that_was_not_read(tmp_path: Path, shared: Path) -> None:
    path = tmp_path / "Spontaneous_712345_20231114_123602.hdf5"
    assert not len(speed(write_wheel(path, np.zeros(0)), np.arange(600) / 60)[0])
    raw = RawRecording(shared / DATA / "trial_tables/DRpilot_626791_20220815")
    with pytest.raises(ComponentUnavailable, match="tables only"):
        running_speed(raw, SessionClock(raw, Options()))
