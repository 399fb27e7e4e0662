"""What was shown, played and shone in made-up and simulated sessions."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.build.clock.waveforms import sound_waveform
from project_cache.build.stimulus_templates import Grating, draw_grating, stimulus_templates
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

SINE = Grating(0.0, 10.0, 0.1, 0.0, 0.0, square=False, edge=None)


def test_a_grating_is_a_cosine_across_with_grey_around() -> None:
    (frame,) = draw_grating(SINE, 30, 60.0, pixels_per_degree=10)
    assert frame.shape == (100, 100)
    # one cycle in ten degrees: white in the middle, black at the sides, the same from top to bottom
    assert frame[50, 50] == 255
    assert frame[50, 1] < 2
    assert frame[30, 50] == frame[70, 50]
    assert frame[0, 0] in (127, 128)


def test_orientations_are_clockwise_from_vertical() -> None:
    (upright,) = draw_grating(SINE, 1, 60.0)
    (tilted,) = draw_grating(Grating(45.0, 10.0, 0.3, 0.0, 0.0, square=False, edge=None), 1, 60.0)
    (flat,) = draw_grating(Grating(90.0, 10.0, 0.1, 0.0, 0.0, square=False, edge=None), 1, 60.0)
    np.testing.assert_array_equal(flat, upright.T)
    # its bars go from the lower left to the upper right
    side = len(tilted)
    assert tilted[side // 2 - 8, side // 2 + 8] > 200
    assert tilted[side // 2 - 5, side // 2 - 5] < 60


def test_phases_are_cycles_and_a_square_wave_has_two_levels() -> None:
    (frame,) = draw_grating(Grating(0.0, 10.0, 0.1, 0.0, 0.0, square=True, edge=None), 1, 60.0)
    (opposite,) = draw_grating(Grating(0.0, 10.0, 0.1, 0.0, 0.5, square=True, edge=None), 1, 60.0)
    middle = len(frame) // 2
    assert set(frame[middle]) == {0, 255}
    assert (frame[middle].astype(int) + opposite[middle] == 255).all()


def test_a_drifting_grating_moves_to_the_right_by_its_temporal_frequency() -> None:
    frames = draw_grating(Grating(0.0, 10.0, 0.1, 2.0, 0.0, square=False, edge=None), 30, 60.0, 6)
    assert len(frames) == 30
    # 2 cycles/s of 10 degrees at 6 pixels a degree: 2 pixels a frame
    np.testing.assert_allclose(frames[5][30, 20:40].astype(int), frames[4][30, 18:38].astype(int), atol=1)
    # the script moves it before it draws it: at the end it is where it began
    np.testing.assert_allclose(frames[29].astype(int), draw_grating(SINE, 1, 60.0, 6)[0].astype(int), atol=1)


def test_the_edge_falls_off_as_a_cosine() -> None:
    (frame,) = draw_grating(Grating(90.0, 20.0, 0.001, 0.0, 0.0, square=False, edge=0.5), 1, 60.0, 10)
    row = frame[100, 100:].astype(int)
    assert (row[:49] == 255).all()
    assert (np.diff(row[50:]) <= 0).all()
    assert row[75] == pytest.approx(191, abs=4)
    assert row[-1] == pytest.approx(128, abs=1)


def write_task(folder: Path, **values: Any) -> None:
    folder.mkdir()
    with h5py.File(folder / "DynamicRouting1_712345_20231114_123602.hdf5", "w") as file:
        content = {
            "frameIntervals": np.full(9, 1 / 60), "frameRate": 60, "trialEndFrame": [3, 6, 9],
            "startTime": "20231114_123602", **values,
        }  # fmt: skip
        for name, value in content.items():
            file[name] = value


def test_a_sound_has_a_column_for_each_noise_and_one_for_a_tone(tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_712345_20231114"
    write_task(
        folder, trialStim=["sound1", "sound1", "sound2"], trialSoundType=["noise", "noise", "tone"],
        trialSoundDur=[0.01] * 3, trialSoundFreq=[[4000, 8000], [4000, 8000], [6000, np.nan]], trialSoundSeed=[1, 2, 3],
        trialSoundAM=[np.nan] * 3, trialSoundVolume=[0.1] * 3, soundSampleRate=48000, soundHanningDur=0.001,
    )  # fmt: skip
    raw = RawRecording(folder)
    made = stimulus_templates(raw)
    assert sorted(made) == ["sound1", "sound2"]
    assert made["sound1"].data.shape == (480, 2)
    assert made["sound2"].data.shape == (480,)
    assert made["sound1"].rate == 48000
    np.testing.assert_allclose(made["sound1"].data[:, 1], sound_waveform(raw.stimuli[0], 1)[0], atol=1e-7)
    assert "0; 1" in made["sound1"].comments


def test_a_session_that_says_nothing_has_no_templates(tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_712345_20231114"
    write_task(folder)
    with pytest.raises(ComponentUnavailable, match="shown, played or shone"):
        stimulus_templates(RawRecording(folder))


def test_the_real_file_has_its_gratings_and_sounds(shared: Path) -> None:
    made = stimulus_templates(RawRecording(shared / "data/dynamic_routing/raw_behavior_674721_20230710"))
    assert sorted(made) == [
        "sound1", "sound2", "vis1_phase_0_deg", "vis1_phase_180_deg", "vis2_phase_0_deg", "vis2_phase_180_deg",
    ]  # fmt: skip
    vis1 = made["vis1_phase_0_deg"]
    assert len(vis1.order_of_images.data) == 30
    assert "50 degrees, 0.04 cycles/degree, 2 cycles/s" in vis1.description
    # 50 degrees at 4 pixels each
    assert vis1.order_of_images.data[0].data.shape == (200, 200)


def test_a_whole_session_is_written_and_valid(shared: Path, tmp_path: Path) -> None:
    import pynwb
    from nwbinspector import Importance, inspect_nwbfile

    raw = RawRecording(shared / "data/dynamic_routing/raw_session/DRpilot_712345_20231114")
    made = stimulus_templates(raw)
    assert {f"grating_{angle}_deg" for angle in range(0, 360, 45)} < set(made)
    assert {"tone_5000_Hz", "AM_noise_12_Hz", "full_field_flashes", "sound1", "opto_12_ms_1250_mV"} < set(
        made
    )
    flashes = {image.name: image.data[0, 0] for image in made["full_field_flashes"].images.values()}
    assert flashes == {"contrast_minus_1": 0, "contrast_0": 128, "contrast_1": 255}
    rf = next(stimulus for stimulus in raw.stimuli if stimulus.script == "RFMapping")
    played = int(np.flatnonzero(rf.trial("trialToneFreq") == 5000)[0])
    np.testing.assert_allclose(made["tone_5000_Hz"].data, rf["trialSoundArray"][played], rtol=1e-6)
    pulse = made["opto_202_ms_1250_mV"]
    assert pulse.data.max() == 1.25
    # 0.2 s and two ramps of 1 ms at 2 kHz
    assert (len(pulse.data), pulse.rate, pulse.data[-1]) == (405, 2000.0, 0.0)
    nwb = pynwb.NWBFile(
        "templates", "1", datetime.datetime(2023, 11, 14, tzinfo=datetime.UTC), session_id="1"
    )
    nwb.subject = pynwb.file.Subject(subject_id="712345", species="Mus musculus", sex="M", age="P90D")
    for each in made.values():
        nwb.add_stimulus_template(each)
    path = tmp_path / "templates.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(path, "r") as io:
        read = io.read().stimulus_template["grating_45_deg"]
        first = read.order_of_images[0]
        np.testing.assert_array_equal(first.data[:], made["grating_45_deg"].order_of_images.data[0].data)
    found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
    assert [message.message for message in found] == []
