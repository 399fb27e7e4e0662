"""Waveforms made anew: their lengths, loudness and shapes, by what scripts saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.signal import periodogram

from project_cache.build.clock.waveforms import opto_waveform, sound_waveform
from project_cache.errors import MissingDataError
from project_cache.raw.stimulus import StimulusFile

NAN = float("nan")


def stimulus(folder: Path, **values: Any) -> StimulusFile:
    path = folder / "DynamicRouting1_712345_20231114_123602.hdf5"
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            if isinstance(value, dict):
                for key, each in value.items():
                    file[f"{name}/{key}"] = each
            else:
                file[name] = value
    return StimulusFile(path)


SOUNDS: dict[str, Any] = {
    "trialSoundType": ["tone", "noise", "AM noise", "linear sweep", "log sweep", ""],
    "trialSoundFreq": [[6000, NAN], [4000, 8000], [2000, 20000], [6000, 10000], [3.0, 2.5], [NAN, NAN]],
    "trialSoundAM": [NAN, NAN, 12, NAN, NAN, NAN],
    "trialSoundDur": [0.5, 0.5, 0.5, 0.5, 0.5, 0.0],
    "trialSoundVolume": [0.1, 0.2, 0.3, 0.1, 0.1, 0.0],
    "trialSoundSeed": [1, 2, 3, 4, 5, 6],
    "trialSoundArray": [],
    "soundSampleRate": 48000,
    "soundHanningDur": 0.005,
}


def test_sounds_last_and_are_as_loud_as_the_trial_says(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, **SOUNDS)
    for trial, volume in enumerate([0.1, 0.2, 0.3, 0.1, 0.1]):
        waveform, rate = sound_waveform(stim, trial)
        assert (len(waveform), rate) == (24_000, 48_000.0)
        assert np.abs(waveform).max() == pytest.approx(volume)
        assert abs(waveform[0]) < 1e-3


@pytest.mark.parametrize(
    ("trial", "lowest", "highest"),
    [(0, 5990, 6010), (1, 3900, 8200), (2, 1900, 20100), (3, 5900, 10100), (4, 5500, 8200)],
)
def test_sounds_are_in_their_bands(tmp_path: Path, trial: int, lowest: float, highest: float) -> None:
    waveform, rate = sound_waveform(stimulus(tmp_path, **SOUNDS), trial)
    frequencies, power = periodogram(waveform, rate)
    inside = (frequencies >= lowest) & (frequencies <= highest)
    assert power[inside].sum() / power.sum() > 0.98


def test_noise_is_that_of_its_seed(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, **SOUNDS)
    first, _ = sound_waveform(stim, 1)
    np.testing.assert_array_equal(sound_waveform(stim, 1)[0], first)
    assert not np.array_equal(sound_waveform(stim, 2)[0], first)


def test_modulated_noise_is_silent_between(tmp_path: Path) -> None:
    waveform, rate = sound_waveform(stimulus(tmp_path, **SOUNDS), 2)
    silent = int(rate / 12)
    assert np.abs(waveform[silent - 20 : silent + 20]).max() < 1e-3
    assert np.abs(waveform[silent // 2 - 200 : silent // 2 + 200]).max() > 0.1


def test_saved_samples_win(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, **(SOUNDS | {"trialSoundArray": np.full((6, 10), 0.5)}))
    assert sound_waveform(stim, 1)[0].tolist() == [0.5] * 10


def test_trials_without_sound_say_so(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, **SOUNDS)
    with pytest.raises(MissingDataError, match="Trial 5 of .* has no sound"):
        sound_waveform(stim, 5)
    unseeded = stimulus(tmp_path, **{k: v for k, v in SOUNDS.items() if k != "trialSoundSeed"})
    with pytest.raises(MissingDataError, match="sound of trial 1 .* cannot be made anew"):
        sound_waveform(unseeded, 1)


def test_light_pulses_are_as_long_as_upstream_has_them(tmp_path: Path) -> None:
    stim = stimulus(
        tmp_path,
        trialOptoDur=[0.2, 0.01, NAN], trialOptoVoltage=[1.25, 2.0, NAN], optoOnRamp=0.001, optoOffRamp=0.001,
        optoSampleRate=2000, trialOptoOnsetFrame=[1, 2, NAN],
    )  # fmt: skip
    waveform, rate = opto_waveform(stim, 0)
    assert len(waveform) / rate == 0.2025
    assert (waveform[0], waveform[200], waveform[-1], waveform.max()) == (0.0, 1.25, 0.0, 1.25)
    assert len(opto_waveform(stim, 1)[0]) == 25
    with pytest.raises(MissingDataError, match="Trial 2 of .* has no light"):
        opto_waveform(stim, 2)


def test_sines_delays_and_offsets(tmp_path: Path) -> None:
    stim = stimulus(
        tmp_path,
        trialOptoDur=[1.0], trialOptoVoltage=[2.0], trialOptoSinFreq=[40.0], trialOptoDelay=[0.1],
        trialOptoOnRamp=[0.0], trialOptoOffRamp=[0.1], optoSampleRate=2000,
        trialOptoDevice=["['laser_488']"], optoOffsetVoltage={"laser_488": 0.5, "laser_633": 0.1},
    )  # fmt: skip
    waveform, rate = opto_waveform(stim, 0)
    assert len(waveform) == 200 + 2200 + 1
    assert not waveform[:200].any()
    shining = waveform[200:2000]
    assert (shining.min(), shining.max()) == (pytest.approx(0.5), pytest.approx(2.0))
    assert len(np.flatnonzero(np.diff(shining) > 0)) == pytest.approx(len(shining) / 2, abs=50)
    assert np.argmax(shining) / rate == pytest.approx(0.0125)


def test_of_several_devices_each_has_its_own(tmp_path: Path) -> None:
    stim = stimulus(tmp_path, trialOptoDur=np.array([[0.1, 0.2]]), trialOptoVoltage=np.array([[1.0, 3.0]]))
    assert [opto_waveform(stim, 0, device)[0].max() for device in (0, 1)] == [1.0, 3.0]
    assert [len(opto_waveform(stim, 0, device)[0]) for device in (0, 1)] == [201, 401]
