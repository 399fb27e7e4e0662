"""The simulator: the folders it writes have the rig's formats, and what it says of them is true."""

from __future__ import annotations

import ast
import hashlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.testing.rig import SimulatedSession, simulate, simulate_project

SMALL: dict[str, Any] = {
    "blocks": 2,
    "trials_per_block": 8,
    "mapping_repeats": 1,
    "units_per_probe": 5,
    "ephys_seconds": 0.05,
    "lfp_seconds": 0.2,
    "nidaq_seconds": 0.05,
}
LINES = {
    "barcode": 0,
    "sound": 1,
    "vsync": 2,
    "diode": 4,
    "running": 5,
    "laser": 11,
    "reward": 15,
    "lick": 31,
}
CAMERA_LINES = {"beh_cam_exposing": 27, "face_cam_exposing": 28, "eye_cam_exposing": 29}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSession:
    return simulate(tmp_path_factory.mktemp("raw"), opto=True, **SMALL)


def edges(session: SimulatedSession, line: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a sync line's rising and falling edges (s), read as the format says."""
    path = next(session.path.rglob("*T*.h5"))
    with h5py.File(path) as file:
        data = file["data"][:]
    ticks = data[:, 0].astype(np.int64)
    ticks += 2**32 * np.cumsum(np.diff(ticks, prepend=ticks[0]) < 0)
    change = np.diff(((data[:, 1] >> line) & 1).astype(int), prepend=(data[0, 1] >> line) & 1)
    return ticks[change == 1] / 1e5, ticks[change == -1] / 1e5


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_session_has_the_files_of_a_rig(session: SimulatedSession) -> None:
    names = {p.name for p in session.path.iterdir()}
    assert {"Record Node 102", "subject.json", "insertions.json", "motor-locs.csv", "debug.log"} <= names
    assert "20240502T123331.h5" in names
    assert [f"{stem}.hdf5" in names for stem in session.truth.stimuli] == [True] * 5
    assert len([n for n in names if n.endswith(".mp4")]) == 3
    assert session.sorted_path == session.path / "sorted"


@pytest.mark.parametrize("layout", ["local", "aind"])
def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, layout: Any) -> None:
    options = {**SMALL, "layout": layout, "sorted_layout": "legacy" if layout == "local" else "analyzer"}
    first = digests(simulate(tmp_path / "a", **options).path)
    assert first == digests(simulate(tmp_path / "b", **options).path)


def test_another_seed_is_another_session(session: SimulatedSession, tmp_path: Path) -> None:
    other = simulate(tmp_path, seed=1, opto=True, ephys=False, video=False, **SMALL).truth
    assert not np.array_equal(other.lick_on, session.truth.lick_on)
    assert not np.array_equal(other.trials["stim_name"], session.truth.trials["stim_name"])


def test_sync_lines_carry_what_is_true(session: SimulatedSession) -> None:
    truth = session.truth
    _, falls = edges(session, LINES["vsync"])
    assert np.allclose(falls, np.concatenate([truth.vsync[s] for s in truth.stimuli]), atol=1e-9)
    rises, falls = edges(session, LINES["lick"])
    assert np.allclose(rises, truth.lick_on, atol=1e-9)
    assert np.allclose(falls, truth.lick_off, atol=1e-9)
    assert np.allclose(edges(session, LINES["reward"])[0], truth.solenoid_on, atol=1e-9)
    sounds = np.concatenate(list(truth.sound_on.values()))
    assert np.allclose(edges(session, LINES["sound"])[0], sounds[np.isfinite(sounds)], atol=1e-9)
    on, off = edges(session, LINES["laser"])
    lasers = np.concatenate(list(truth.opto_on.values()))
    assert np.allclose(on, lasers[np.isfinite(lasers)], atol=1e-9)
    assert (off > on).all()
    assert len(edges(session, LINES["running"])[0]) == len(truth.stimuli)
    for camera in truth.cameras.values():
        assert np.allclose(edges(session, CAMERA_LINES[camera.line])[0], camera.times[1:], atol=1e-9)


def test_sync_meta_is_a_dict_that_is_not_to_be_evaluated(session: SimulatedSession) -> None:
    with h5py.File(next(session.path.glob("*T*.h5"))) as file:
        assert file["data"].dtype == np.uint32
        meta = ast.literal_eval(file["meta"][()].decode())
    assert meta["ni_daq"]["counter_output_freq"] == 100_000.0
    assert meta["total_samples"] == round(session.truth.sync_seconds * 1e5)
    assert len(meta["line_labels"]) == 32
    assert meta["line_labels"][2] == "vsync_stim"
    assert meta["start_time"] == "2024-05-02 12:33:31.324839"


@pytest.mark.parametrize("every", [1, 3])
def test_light_rises_when_frames_are_shown(tmp_path: Path, every: Any) -> None:
    made = simulate(tmp_path, flip_every=every, ephys=False, video=False, **SMALL)
    on, off = edges(made, LINES["diode"])
    flips = np.sort(np.concatenate([on, off]))
    for stem in made.truth.stimuli:
        display = made.truth.display[stem]
        inside = on[(on > display[0] - 0.02) & (on < display[-1] + 0.02)]
        # rising edges stand exactly 8 ms before the light reaches the centre of the screen
        assert np.allclose(inside + 0.008, display[:: 2 * every], atol=1e-9)
        n = len(flips[(flips > display[0] - 0.02) & (flips < display[-1] + 0.02)])
        assert n == len(display[::every])
        assert (np.diff(display) > 0.016).all()
        lag = display - made.truth.vsync[stem]
        assert 0.0265 < lag.min() < lag.max() < 0.0286


def test_stimulus_files_have_the_datasets_of_real_ones(tmp_path: Path, shared: Path) -> None:
    session = simulate(tmp_path, ephys=False, video=False, **SMALL)
    tree = shared / "data/dynamic_routing/raw_behavior_674721_20230710/TREE.txt"
    rows = [line.split(" ", 1) for line in tree.read_text("utf-8").splitlines()]
    real = {name: what if what == "group" else what.split("'")[1] for name, what in rows}
    with h5py.File(session.path / f"{session.truth.task}.hdf5") as file:
        found: dict[str, str] = {}
        file.visititems(lambda name, item: found.update({name: str(getattr(item, "dtype", "group"))}))
        assert set(real) <= set(found)
        # those that a rig with a sync board and a laser has otherwise than the box of the real file
        other = {n for n in real if found[n] != real[n]}
        assert {n for n in other if "SignalLine" not in n and "opto" not in n} == {"syncNidaqDevice"}
        assert session.truth.task is not None
        assert file["startTime"][()].decode() == session.truth.task.split("_", 2)[2]
        n = len(file["trialEndFrame"])
        assert n == len(session.truth.trials) == 16
        assert len(file["trialStim"]) == len(file["trialStartFrame"]) == n + 1
        assert len(file["frameIntervals"]) == len(session.truth.vsync[session.truth.task]) - 1


def test_the_script_saw_the_licks_that_were(session: SimulatedSession) -> None:
    truth = session.truth
    with h5py.File(session.path / f"{truth.task}.hdf5") as file:
        frames, licks = file["lickFrames"][:], file["lickDetectorFrames"][:]
        response = file["trialResponseFrame"][:-1]
    assert set(frames) <= set(licks)
    # each response is the first frame that read the line high in the window
    window = truth.trials["stim_frame"].to_numpy() + 6
    for start, at in zip(window, response, strict=True):
        inside = licks[(licks >= start) & (licks < start + 54)]
        assert (len(inside) == 0) if np.isnan(at) else inside[0] == at


def test_trials_follow_the_rules_of_the_task(session: SimulatedSession) -> None:
    trials = session.truth.trials
    go = trials["is_go"]
    assert (trials["is_rewarded"] == (go & (trials["is_response"] | trials["is_reward_scheduled"]))).all()
    assert (trials["stop_time"] > trials["stim_stop_time"]).all()
    assert (trials["start_time"].to_numpy()[1:] > trials["stop_time"].to_numpy()[:-1]).all()
    assert trials["is_opto"].any()
    assert (trials["opto_start_time"].notna() == trials["is_opto"]).all()
    assert trials["rewarded_modality"].unique().tolist() == ["aud", "vis"]
    late = trials["reward_time"] - trials["task_control_response_time"]
    assert late[trials["is_response"] & trials["is_rewarded"]].between(0.01, 0.02).all()
    assert (
        (trials["solenoid_time"] - trials["reward_time"])[trials["is_rewarded"]].between(0.0007, 0.0021).all()
    )


def test_streams_lie_on_clocks_of_their_own(session: SimulatedSession) -> None:
    truth = session.truth
    recording = session.path / "Record Node 102" / "experiment1" / "recording1"
    oebin = json.loads((recording / "structure.oebin").read_text("utf-8"))
    assert [s["folder_name"].rstrip("/") for s in oebin["continuous"]] == list(truth.streams)
    sync_edges = np.sort(np.concatenate(edges(session, LINES["barcode"])))
    for name, stream in truth.streams.items():
        folder = recording / "continuous" / name
        samples = np.load(folder / "sample_numbers.npy")
        assert samples[0] == stream.clock.first_sample
        assert len(samples) == stream.n_written
        size = (folder / "continuous.dat").stat().st_size
        assert size == 2 * stream.n_written * len(stream.channels)
        events = recording / "events" / name / "TTL"
        assert np.load(events / "states.npy").dtype == np.int16
        at = stream.clock.times(np.load(events / "sample_numbers.npy") - stream.clock.first_sample)
        inside = sync_edges[(sync_edges >= at[0] - 1e-3) & (sync_edges <= at[-1] + 1e-3)]
        assert np.abs(at - inside).max() < 0.6 / stream.nominal_rate
        assert abs(stream.clock.rate / stream.nominal_rate - 1) < 1e-5
        assert stream.clock.rate != stream.nominal_rate


def test_barcodes_say_what_they_should(session: SimulatedSession) -> None:
    truth = session.truth
    rises, falls = edges(session, LINES["barcode"])
    for time, value in zip(truth.barcode_times, truth.barcode_values, strict=True):
        # 20 ms high and 20 ms low, then 32 bars of 15 ms, least significant bit first
        middles = time + 0.04 + 0.015 * np.arange(32) + 0.0075
        high = np.searchsorted(rises, middles) > np.searchsorted(falls, middles)
        assert int((high * 2 ** np.arange(32)).sum()) == value
    assert (np.diff(truth.barcode_times) > 29).all()


def test_settings_name_the_probes(session: SimulatedSession) -> None:
    root = ET.parse(session.path / "Record Node 102" / "settings.xml").getroot()
    probes = root.findall(".//NP_PROBE")
    assert [(p.get("slot"), p.get("port")) for p in probes] == [("2", "1"), ("2", "2")]
    rows = probes[0].find("ELECTRODE_YPOS")
    assert rows is not None
    assert rows.get("CH383") == "3820"


def test_sorted_spikes_are_the_populations(session: SimulatedSession) -> None:
    assert session.sorted_path is not None
    name = "experiment1_Record Node 102#Neuropix-PXI-100.ProbeA-AP_recording1"
    spikes = np.load(session.sorted_path / "sorting_precurated" / name / "spikes.npy")
    truth = session.truth.populations["A"]
    assert (spikes["sample_index"] == truth.samples).all()
    assert (np.diff(spikes["sample_index"]) >= 0).all()
    post = session.sorted_path / "postprocessed" / name
    metrics = pd.read_csv(post / "quality_metrics" / "metrics.csv", index_col=0)
    assert metrics.index.tolist() == truth.units["cluster_id"].tolist()
    assert metrics["num_spikes"].tolist() == np.bincount(truth.unit_index, minlength=5).tolist()
    mean = np.load(post / "templates_average.npy")
    assert np.ptp(mean, axis=1).argmax(axis=1).tolist() == truth.units["peak_channel"].tolist()
    assert np.allclose(np.ptp(mean, axis=1).max(axis=1), truth.units["amplitude"], rtol=1e-5)


def test_the_raw_band_holds_the_spikes(tmp_path: Path) -> None:
    made = simulate(tmp_path, **{**SMALL, "ephys_seconds": 1.0, "probes": "A", "units_per_probe": 8})
    truth = made.truth.populations["A"]
    stream = made.truth.streams["Neuropix-PXI-100.ProbeA-AP"]
    path = next(made.path.rglob("*ProbeA-AP/continuous.dat"))
    data = np.fromfile(path, np.int16).reshape(-1, 384)
    inside = (truth.samples > 50) & (truth.samples < stream.n_written - 50)
    peak = truth.units["peak_channel"].to_numpy()[truth.unit_index]
    trough = data[truth.samples[inside], peak[inside]] * stream.bit_volts
    expected = truth.units["amplitude"].to_numpy()[truth.unit_index][inside]
    assert inside.sum() > 20
    assert np.median(trough / expected) < -0.5


def test_units_answer_to_what_they_are_tuned_to(tmp_path: Path) -> None:
    made = simulate(tmp_path, **{**SMALL, "units_per_probe": 20, "mapping_repeats": 4, "probes": "A"})
    truth = made.truth.populations["A"]
    mapped = next(v for k, v in made.truth.mapping.items() if k.startswith("RFMapping"))
    gratings = mapped[mapped["kind"] == "grating"]
    for row, unit in truth.units.iterrows():
        times = truth.times[truth.unit_index == row]
        starts = gratings["stim_start_time"].to_numpy()
        counts = np.searchsorted(times, starts + 0.25) - np.searchsorted(times, starts)
        by_place = gratings.assign(spikes=counts).groupby(["grating_x", "grating_y"])["spikes"].mean()
        best_x, best_y = by_place.idxmax()  # type: ignore[misc]
        if unit["kind"] in ("visual", "both") and not unit["drifts"]:
            assert np.hypot(best_x - unit["field_x"], best_y - unit["field_y"]) < 500
            assert by_place.max() > by_place.median() + 2
        elif unit["kind"] == "silent":
            assert by_place.max() < 7
    drifting = truth.units.index[truth.units["drifts"]]
    for row in drifting:
        times = truth.times[truth.unit_index == row]
        middle = times.min() + np.ptp(times) / 2
        assert (times > middle).sum() < 0.6 * (times <= middle).sum()


def test_videos_have_as_many_frames_as_the_reports_say(session: SimulatedSession) -> None:
    for path in session.path.glob("*.mp4"):
        report = json.loads(path.with_suffix(".json").read_text("utf-8"))["RecordingReport"]
        camera = session.truth.cameras[report["CameraLabel"].lower()]
        assert report["FramesRecorded"] + 1 == camera.frames_in_file == len(camera.times)
        assert np.isnan(camera.times[0])
        assert path.stat().st_size < 2e6


def test_the_eye_of_the_video_is_where_it_is_said_to_be(session: SimulatedSession) -> None:
    av = pytest.importorskip("av")
    path = next(session.path.glob("Eye_*.mp4"))
    pupil = session.truth.cameras["eye"].pupil
    assert pupil is not None
    with av.open(str(path)) as video:
        assert video.streams.video[0].frames == len(pupil)
        for n, frame in enumerate(video.decode(video=0)):
            picture = frame.to_ndarray(format="gray")
            if n == 0:
                assert picture.min() == 255
                continue
            dark = np.argwhere(picture < 85)
            assert np.allclose(dark.mean(axis=0)[::-1], pupil.loc[n, ["x", "y"]].astype(float), atol=0.3)
            assert abs(np.sqrt(len(dark) / np.pi) - pupil.loc[n, "radius"]) < 0.5
            if n == 130:
                break


def test_without_sync_only_the_task_can_be_timed(tmp_path: Path) -> None:
    made = simulate(tmp_path, sync=False, **SMALL)
    assert not list(made.path.glob("*.h5"))
    assert made.truth.usable == [made.truth.task]


def test_what_is_left_out_is_not_written(tmp_path: Path) -> None:
    made = simulate(tmp_path, ephys=False, video=False, annotated=False, **SMALL)
    assert made.sorted_path is made.annotations_path is made.surface_path is None
    assert {p.suffix for p in made.path.iterdir()} == {".hdf5", ".h5", ".json", ".log"}
    assert made.truth.streams == made.truth.populations == made.truth.cameras == {}
    assert len(edges(made, 29)[0]) == 0


def test_all_stimuli_can_be_shown(tmp_path: Path) -> None:
    made = simulate(
        tmp_path,
        ephys=False,
        video=False,
        stimuli=("LuminanceTest", "SpontaneousRewards", "DynamicRouting1"),
        **SMALL,
    )
    assert [s.split("_")[0] for s in made.truth.stimuli] == [
        "LuminanceTest",
        "SpontaneousRewards",
        "DynamicRouting1",
    ]
    with h5py.File(made.path / f"{made.truth.stimuli[0]}.hdf5") as file:
        assert len(file["trialLevel"]) == 10
    with h5py.File(made.path / f"{made.truth.stimuli[1]}.hdf5") as file:
        assert len(file["rewardFrames"]) > 0


def test_the_cloud_layout_has_whole_compressed_streams(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    made = simulate(tmp_path, layout="aind", sorted_layout="analyzer", surface=True, **SMALL)
    assert made.path.name == "ecephys_712345_2024-05-02_12-33-31"
    assert list((made.path / "behavior").glob("*.h5"))
    assert len(list((made.path / "behavior_videos").glob("*.mp4"))) == 3
    name = "Neuropix-PXI-100.ProbeB-AP"
    group = zarr.open_group(
        made.path / "ecephys_compressed" / f"experiment1_Record Node 102#{name}.zarr", mode="r"
    )
    stream = made.truth.streams[name]
    assert group["traces_seg0"].shape == (stream.n_samples, 384)
    assert group["traces_seg0"][: stream.n_written].any()
    assert not group["traces_seg0"][-1000:].any()
    analyzers = list((made.path / "sorted" / "postprocessed").glob("*.zarr"))
    assert len(analyzers) == 2
    units = zarr.open_group(analyzers[0], mode="r")
    assert units.attrs["spikeinterface_info"]["object"] == "SortingAnalyzer"
    assert units["extensions/templates/average"].shape == (5, 40, 384)
    assert made.surface_path is not None
    assert made.surface_path.name.startswith("ecephys_712345_2024-05-02_")


def test_probes_of_both_halves_have_two_record_nodes(tmp_path: Path) -> None:
    made = simulate(tmp_path, probes="ABD", **SMALL)
    nodes = sorted(p.name for p in made.path.rglob("Record Node *") if p.is_dir())
    assert nodes == ["Record Node 102", "Record Node 103"]
    settings = [p.read_text("utf-8") for p in sorted(made.path.rglob("settings.xml"))]
    assert settings[0] == settings[1]


def test_unknown_wishes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such faults: rain"):
        simulate(tmp_path, faults=("rain",))
    with pytest.raises(ValueError, match="no such stimulus: Movie"):
        simulate(tmp_path, stimuli=("Movie",))
    with pytest.raises(ValueError, match="not different letters"):
        simulate(tmp_path, probes="AA")


def test_a_project_has_a_registry(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    made = simulate_project(tmp_path, n=3, video=False, **SMALL)
    assert [s.truth.session_id for s in made] == [
        "712345_2024-05-02",
        "712345_2024-05-03",
        "712346_2024-05-09",
    ]
    tracked = yaml.safe_load((tmp_path / "tracked_sessions.yaml").read_text("utf-8"))
    entries = tracked["ephys"]["DynamicRouting"]
    assert entries == [{s.path.name: {"day": day}} for s, day in zip(made, (1, 2, 1), strict=True)]
    assert not np.array_equal(made[0].truth.lick_on, made[1].truth.lick_on)
