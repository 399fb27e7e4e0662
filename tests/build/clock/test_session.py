"""The session's clock: with sync, without it, with files whose frames fit nothing; and a whole recording."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, filtfilt, resample_poly

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.errors import MissingDataError
from project_cache.raw.recording import RawRecording

Floats = npt.NDArray[np.float64]
START = datetime.datetime(2023, 11, 14, 12, 0, 0)
TASK, SPONTANEOUS = "DynamicRouting1_712345_20231114_120005", "Spontaneous_712345_20231114_120105"


def write_sync(folder: Path, edges: dict[int, tuple[Floats, Floats]], total: float) -> None:
    """A sync file with these rising and falling edges (s) of these lines, all down at first."""
    ticks = np.concatenate([np.round(t * 1e5) for pair in edges.values() for t in pair]).astype(np.int64)
    flips = np.concatenate(
        [np.full(len(t), 1 << line, np.uint32) for line, pair in edges.items() for t in pair]
    )
    order = np.argsort(ticks, kind="stable")
    states = np.bitwise_xor.accumulate(flips[order])
    last = np.append(np.diff(ticks[order]) > 0, True)
    rows = np.column_stack([ticks[order][last].astype(np.uint32), states[last]])
    meta = {
        "ni_daq": {"counter_output_freq": 1e5},
        "start_time": str(START),
        "total_samples": round(total * 1e5),
        "line_labels": ["barcode_ephys", "", "vsync_stim", "", "stim_photodiode", "stim_running", *[""] * 26],
    }
    with h5py.File(folder / "20231114T120000.h5", "w") as file:
        file["data"] = np.vstack([[0, 0], rows]).astype(np.uint32)
        file["meta"] = np.bytes_(repr(meta))


def write_stimulus(folder: Path, stem: str, intervals: Floats, **values: Any) -> None:
    with h5py.File(folder / f"{stem}.hdf5", "w") as file:
        file["frameIntervals"] = intervals
        file["startTime"] = "_".join(stem.split("_")[-2:])
        file["subjectName"] = "712345"
        for name, value in values.items():
            file[name] = value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "DRpilot_712345_20231114"
    path.mkdir()
    return path


def screen(start: float, n: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Flips, and when their frames are at the photodiode."""
    rng = np.random.default_rng(seed)
    top = start + np.cumsum(1 + (rng.random(n) < 0.005)) / 59.95
    return top - 0.0195 + rng.normal(0, 1e-4, n), top


def write_session(folder: Path, *, n: int = 3000, diode: bool = True, seed: int = 0) -> dict[str, Floats]:
    """A task and a spontaneous block; returns the true times."""
    flips, tops = zip(screen(10, n, seed), screen(80 + n / 50, 1200, seed + 1), strict=True)
    task = {
        "trialEndFrame": [400, 900, 1400, 1900],
        "trialStimStartFrame": [200, 600, 1100, 1700],
        "trialOptoOnsetFrame": [np.nan, 10.0, 0.0, 20.0],
        "trialOptoDur": [np.nan, 0.5, 0.5, 0.5],
        "optoDevName": "laser_488",
    }
    spontaneous = f"Spontaneous_712345_20231114_{START + datetime.timedelta(seconds=75 + n / 50):%H%M%S}"
    write_stimulus(folder, TASK, np.diff(flips[0]), **task)
    write_stimulus(folder, spontaneous, np.diff(flips[1]))
    sound = flips[0][[200, 1700]] + [0.03, 0.05]
    # the last trial's light was not seen by the line
    light = flips[0][[610, 1100]] + [0.001, 0.002]
    sine = light[:, None] + np.arange(20) * 0.025
    vsyncs = np.concatenate(flips)
    edges = {
        2: (vsyncs - 0.004, vsyncs),
        5: (np.array([f[0] - 0.5 for f in flips]), np.array([f[-1] + 0.01 for f in flips])),
        1: (sound, sound + 0.503),
        11: (sine.ravel(), (sine + 0.0125).ravel()),
    }
    if diode:
        # black at first, and after the last frame, which is white
        falling = [np.append(t[2::2] + 0.0025, t[-1] + 0.02) for t in tops]
        edges[4] = (np.concatenate([t[1::2] for t in tops]), np.concatenate(falling))
    write_sync(folder, edges, total=float(vsyncs[-1]) + 20)
    return {
        "flip": flips[0], "display": tops[0] + 0.008, "sound": sound, "light": light,
        "spontaneous": tops[1] + 0.008,
    }  # fmt: skip


def clock_of(folder: Path, **options: Any) -> SessionClock:
    return SessionClock(RawRecording(folder), Options(**options))


def test_with_sync_everything_is_on_its_clock(folder: Path) -> None:
    truth = write_session(folder)
    clock = clock_of(folder)
    assert clock.has_sync
    assert clock.start_time.isoformat() == "2023-11-14T12:00:00-08:00"
    assert clock.issues == {}
    assert [s.script for s in clock.usable] == ["DynamicRouting1", "Spontaneous"]
    task, spontaneous = clock.usable
    frames = clock.frames(task)
    assert frames.method == "photodiode"
    np.testing.assert_allclose(frames.flip, truth["flip"], atol=1e-5)
    np.testing.assert_allclose(frames.display, truth["display"], atol=1e-3)
    np.testing.assert_allclose(clock.frames(spontaneous).display, truth["spontaneous"], atol=1e-3)
    assert clock.frames(task) is frames


def test_without_a_photodiode_the_lag_is_constant_or_there_is_none(folder: Path) -> None:
    truth = write_session(folder, diode=False)
    clock = clock_of(folder)
    frames = clock.frames(clock.usable[0])
    assert frames.method == "constant lag"
    np.testing.assert_allclose(frames.display, truth["flip"] + 0.02755, atol=1e-5)
    clock = clock_of(folder, constant_lag=False)
    frames = clock.frames(clock.usable[0])
    assert frames.method == "none"
    assert np.isnan(frames.display).all()


def test_a_file_that_fits_no_block_is_an_issue_and_no_more(folder: Path) -> None:
    truth = write_session(folder)
    write_stimulus(folder, TASK.replace("DynamicRouting1", "RFMapping"), np.full(1999, 1 / 60))
    write_stimulus(folder, TASK.replace("DynamicRouting1", "OptoTagging"), np.empty(0))
    clock = clock_of(folder)
    assert set(clock.issues) == {TASK.replace("DynamicRouting1", s) for s in ("RFMapping", "OptoTagging")}
    assert [s.script for s in clock.usable] == ["DynamicRouting1", "Spontaneous"]
    np.testing.assert_allclose(clock.frames(clock.usable[0]).display, truth["display"], atol=1e-3)
    (bad,) = (s for s in RawRecording(folder).stimuli if s.script == "RFMapping")
    with pytest.raises(MissingDataError, match="has 2000 frames"):
        clock.frames(bad)


def test_sounds_are_on_the_speakers_line(folder: Path) -> None:
    truth = write_session(folder)
    clock = clock_of(folder)
    on, off = clock.sounds(clock.usable[0], [200, np.nan, 1700, 1100], [0.5, np.nan, 0.25, 0.5])
    late = truth["sound"] - truth["flip"][[200, 1700]]
    np.testing.assert_allclose(
        on, [truth["sound"][0], np.nan, truth["sound"][1], truth["flip"][1100] + late.mean()], atol=2e-5
    )
    np.testing.assert_allclose(off - on, [0.5, np.nan, 0.25, 0.5])
    assert clock.sound_methods == {TASK: "sync line"}


def test_sounds_that_no_line_has_are_at_their_flips(folder: Path) -> None:
    truth = write_session(folder)
    clock = clock_of(folder)
    on, off = clock.sounds(clock.usable[0], [300, 400], [0.5, 0.5])
    np.testing.assert_allclose(on, truth["flip"][[300, 400]], atol=1e-5)
    np.testing.assert_allclose(off, on + 0.5)
    assert clock.sound_methods == {TASK: "flips"}


def test_light_is_on_the_lasers_line(folder: Path) -> None:
    truth = write_session(folder)
    clock = clock_of(folder)
    on, off = clock.opto(clock.usable[0])
    np.testing.assert_allclose(on[:3], [np.nan, *truth["light"]], atol=1e-5)
    # the last of the sine's cycles ends half a cycle before the planned end
    np.testing.assert_allclose(off[:3], [np.nan, *truth["light"] + 0.4875], atol=2e-5)
    assert on[3] == pytest.approx(truth["flip"][1720] + 0.0015, abs=1e-5)
    assert off[3] == pytest.approx(on[3] + 0.5, abs=1e-9)


def write_analog(
    folder: Path, started: float, sound: Floats, onsets: Floats
) -> dict[int, tuple[Floats, Floats]]:
    """An NI-DAQ that copied a sound, and its barcodes; returns those on the sync line."""
    rate, seconds = 30_000.6, 130
    recording = folder / "Record Node 102" / "experiment1" / "recording1"
    name = "NI-DAQmx-105.PXI-6133"
    for kind in ("continuous", "events"):
        (recording / kind / name).mkdir(parents=True)
    channels = [{"channel_name": f"AI{k}", "bit_volts": 0.001, "units": "V"} for k in range(8)]
    stream = {"folder_name": f"{name}/", "sample_rate": 30000, "num_channels": 8, "channels": channels}
    events = {"folder_name": f"{name}/TTL/", "sample_rate": 30000, "stream_name": "PXI-6133"}
    (recording / "structure.oebin").write_text(
        json.dumps({"GUI version": "0.6.6", "continuous": [stream], "events": [events]})
    )
    data = np.zeros((int(seconds * rate), 8), np.int16)
    clock = started + np.arange(len(data)) / rate
    smooth = resample_poly(sound, 8, 1)
    for onset in onsets:
        data[:, 1] += (
            1000 * np.interp(clock - onset, np.arange(len(smooth)) / 384_000, smooth, 0, 0)
        ).astype(np.int16)
    data.tofile(recording / "continuous" / name / "continuous.dat")
    np.save(recording / "continuous" / name / "sample_numbers.npy", np.arange(5000, 5000 + len(data)))
    rises, falls = [], []
    for i, begin in enumerate(np.arange(started + 5, started + seconds - 5, 30.5)):
        bits = [int(bit) for bit in f"{977 + i:032b}"]
        levels = [1, 0, *bits, 0]
        edges = begin + np.cumsum([0, 0.02, 0.02, *[0.015] * 33])
        change = np.diff([0, *levels])
        rises.append(edges[:-1][change > 0])
        falls.append(edges[:-1][change < 0])
    up, down = np.concatenate(rises), np.concatenate(falls)
    ttl = recording / "events" / name / "TTL"
    ttl.mkdir()
    samples = np.round((np.concatenate([up, down]) - started) * rate).astype(np.int64) + 5000
    states = np.concatenate([np.ones(len(up)), -np.ones(len(down))]).astype(np.int16)
    order = np.argsort(samples)
    np.save(ttl / "sample_numbers.npy", samples[order])
    np.save(ttl / "states.npy", states[order])
    return {0: (up, down)}


def test_sounds_of_early_sessions_are_found_in_what_the_nidaq_recorded(folder: Path) -> None:
    flips, _ = screen(10, 3000)
    noise = np.random.default_rng(3).uniform(-1, 1, 24_000)
    sound = filtfilt(*butter(4, [2000, 9000], "bandpass", fs=48_000), noise)
    frames = [200, 600, 1100, 1700, 2500]
    onsets = flips[frames[:4]] + [0.031, 0.022, 0.041, 0.035]
    write_stimulus(
        folder, TASK, np.diff(flips),
        trialEndFrame=[f + 150 for f in frames], trialStimStartFrame=frames, soundSampleRate=48_000,
        trialSoundArray=np.tile(sound, (5, 1)),
    )  # fmt: skip
    edges = {2: (flips - 0.004, flips), **write_analog(folder, 3.25, sound, onsets)}
    write_sync(folder, edges, total=150)
    clock = clock_of(folder)
    (task,) = clock.usable
    # a trial in between had no sound; the last one's was not recorded
    on, off = clock.sounds(task, [200, np.nan, 600, 1100, 1700, 2500], np.full(6, 0.5))
    np.testing.assert_allclose(on[:-1], np.insert(onsets, 1, np.nan), atol=1e-4)
    assert on[-1] == pytest.approx(flips[2500] + 0.033, abs=1e-4)
    np.testing.assert_allclose(off - on, [0.5, np.nan, 0.5, 0.5, 0.5, 0.5])
    assert clock.sound_methods == {TASK: "recorded sound"}


def test_without_sync_the_tasks_frames_are_the_clock(folder: Path) -> None:
    intervals = np.full(2000, 1 / 60)
    write_stimulus(
        folder, TASK, intervals,
        trialEndFrame=[400], trialStimStartFrame=[200], trialOptoOnsetFrame=[3.0], trialOptoDur=[0.5],
    )  # fmt: skip
    write_stimulus(folder, SPONTANEOUS, intervals)
    clock = clock_of(folder)
    assert not clock.has_sync
    assert clock.start_time.isoformat() == "2023-11-14T12:00:05-08:00"
    assert clock.stop == pytest.approx(2000 / 60)
    assert [s.stem for s in clock.usable] == [TASK]
    frames = clock.frames(clock.usable[0])
    assert frames.method == "no sync"
    assert frames.flip[0] == 1 / 60
    assert clock.sounds(clock.usable[0], [200], [0.5])[0][0] == frames.flip[200]
    on, off = clock.opto(clock.usable[0])
    assert (on[0], off[0]) == (frames.flip[203], frames.flip[203] + 0.5)


def test_a_recording_of_nothing_still_has_a_day(folder: Path) -> None:
    (folder / "notes.txt").touch()
    clock = clock_of(folder)
    assert (clock.usable, clock.issues, clock.stop) == ((), {}, 0.0)
    assert clock.start_time.isoformat() == "2023-11-14T00:00:00-08:00"
    for ask in (lambda: clock.stream("ProbeA-AP"), lambda: clock.camera("eye")):
        with pytest.raises(MissingDataError, match="712345_2023-11-14 has no"):
            ask()


def test_two_hours_take_less_than_two_seconds(folder: Path) -> None:
    truth = write_session(folder, n=430_000)
    raw = RawRecording(folder)
    assert raw.task is not None
    started = time.process_time()
    clock = SessionClock(raw, Options())
    found = [clock.frames(stimulus).display for stimulus in clock.usable]
    assert time.process_time() - started < 2
    np.testing.assert_allclose(found[0], truth["display"], atol=1e-3)


def test_a_whole_recording(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "raw_session"
    truth = np.load(folder / "truth" / "times.npz")
    clock = clock_of(next(folder.glob("DRpilot*")))
    assert clock.issues == {}
    assert clock.stop == 1421.018
    assert len(clock.usable) == 5
    for stimulus in clock.usable:
        frames = clock.frames(stimulus)
        assert frames.method == "photodiode"
        np.testing.assert_allclose(frames.flip, truth[f"vsync/{stimulus.stem}"], atol=1e-5, rtol=0)
        np.testing.assert_allclose(frames.display, truth[f"display/{stimulus.stem}"], atol=1e-3, rtol=0)
    task = next(s for s in clock.usable if s.script == "DynamicRouting1")
    asked = np.where(np.isfinite(truth["task_sound_on"]), task.trial("trialStimStartFrame"), np.nan)
    on, off = clock.sounds(task, asked, task.trial("trialSoundDur"))
    np.testing.assert_allclose(on, truth["task_sound_on"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(off - on, np.where(np.isfinite(asked), 0.5, np.nan))
    on, off = clock.opto(next(s for s in clock.usable if s.script == "OptoTagging"))
    np.testing.assert_allclose(on, truth["opto_on"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(off, truth["opto_off"], atol=1e-5, rtol=0)
    for label in ("Eye", "Face", "Behavior"):
        np.testing.assert_allclose(clock.camera(label.lower()), truth[f"camera/{label}"], atol=1e-5, rtol=0)


def test_frames_of_a_real_file(shared: Path) -> None:
    clock = clock_of(shared / "data" / "dynamic_routing" / "raw_behavior_674721_20230710")
    assert clock.start_time.isoformat() == "2023-07-10T08:43:22-07:00"
    assert len(clock.frames(clock.usable[0])) == 217_001
