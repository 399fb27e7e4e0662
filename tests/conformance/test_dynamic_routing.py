"""Whole Dynamic Routing sessions against the truth of a simulated recording, and the tables made of a real file.

Both were made by other hands than this package's; only what a user sees of a session is compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache import DynamicRoutingSession
from project_cache.errors import ComponentUnavailable

FOLDER = "DRpilot_712345_20231114"
TASK = "DynamicRouting1_712345_20231114_123602"
REAL = "DynamicRouting1_674721_20230710_084322"

# s
SYNC_TICK = 10e-6
DISPLAY = 1e-3
EXACT = 1e-9
#: what happens on the screen; all else of a trial is known to a tick of sync's clock
ON_SCREEN = ("stim_start_time", "stim_stop_time", "timeout_stop_time", "post_response_")


@pytest.fixture(scope="module")
def simulated(shared: Path) -> Path:
    return shared / "data/dynamic_routing/raw_session"


@pytest.fixture(scope="module")
def truth(simulated: Path) -> dict[str, Any]:
    """The arrays of times.npz by name, and session.json and ephys.json as ``session`` and ``ephys``."""
    with np.load(simulated / "truth/times.npz") as times:
        found: dict[str, Any] = dict(times)
    for name in ("session", "ephys"):
        found[name] = json.loads((simulated / f"truth/{name}.json").read_text("utf-8"))
    return found


def opened(simulated: Path, **given: Any) -> DynamicRoutingSession:
    return DynamicRoutingSession(
        simulated / FOLDER,
        sorted_data_path=simulated / "sorted",
        annotations_path=simulated / "annotations/tissuecyte/712345",
        **given,
    )


@pytest.fixture(scope="module")
def session(simulated: Path) -> DynamicRoutingSession:
    return opened(simulated)


@pytest.fixture(scope="module")
def with_invalid_times(simulated: Path, truth: dict[str, Any]) -> DynamicRoutingSession:
    return opened(simulated, invalid_times=truth["session"]["invalid_times"])


def task_alone(path: Path, folder: Path) -> DynamicRoutingSession:
    """The session of a folder that holds a copy of the task's file only."""
    copied = folder / ("DRpilot_" + "_".join(path.stem.split("_")[1:3]))
    copied.mkdir()
    (copied / path.name).write_bytes(path.read_bytes())
    return DynamicRoutingSession(copied)


@pytest.fixture(scope="module")
def nosync(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> DynamicRoutingSession:
    return task_alone(simulated / FOLDER / f"{TASK}.hdf5", tmp_path_factory.mktemp("nosync"))


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> DynamicRoutingSession:
    source = shared / "data/dynamic_routing/raw_behavior_674721_20230710"
    return task_alone(source / f"{REAL}.hdf5", tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "data/dynamic_routing/raw_behavior_674721_20230710/golden"


def assert_table(
    made: pd.DataFrame,
    wanted: pd.DataFrame,
    within: float,
    on_screen: float | None = None,
    left_out: str = "",
) -> None:
    """Numbers as close as wanted, NaN where NaN; labels, counts and truth values exactly."""
    assert len(made) == len(wanted)
    for name in wanted.columns.difference([left_out]):
        column, expected = made[name], wanted[name]
        if pd.api.types.is_float_dtype(expected) or expected.isna().all():
            atol = on_screen if on_screen is not None and name.startswith(ON_SCREEN) else within
            np.testing.assert_allclose(
                column.to_numpy(np.float64), expected.to_numpy(np.float64), rtol=0, atol=atol, err_msg=name
            )
        elif pd.api.types.is_bool_dtype(expected) or pd.api.types.is_integer_dtype(expected):
            assert column.dtype.kind == expected.dtype.kind, name
            assert column.tolist() == expected.tolist(), name
        else:
            assert [nothing_is_empty(value) for value in column] == [
                nothing_is_empty(value) for value in expected
            ], name


def nothing_is_empty(value: Any) -> Any:
    return "" if isinstance(value, float) and np.isnan(value) else value


# trials ---------------------------------------------------------------------------------------


def test_trials(session: DynamicRoutingSession, simulated: Path, truth: dict[str, Any]) -> None:
    wanted = pd.read_csv(simulated / "truth/trials_sync.csv")
    made = session.trials.to_dataframe()
    assert_table(made, wanted, SYNC_TICK, on_screen=DISPLAY)
    heard = np.isfinite(truth["task_sound_on"])
    np.testing.assert_array_equal(made["is_aud_stim"], heard)
    np.testing.assert_allclose(
        made["stim_start_time"][heard], truth["task_sound_on"][heard], rtol=0, atol=SYNC_TICK
    )


def test_trials_without_sync(nosync: DynamicRoutingSession, simulated: Path) -> None:
    wanted = pd.read_csv(simulated / "truth/trials_nosync.csv")
    made = nosync.trials.to_dataframe()
    assert [name for name in made if name != "is_task_control_correct"] == list(wanted)
    assert_table(made, wanted, EXACT)


def test_trials_in_invalid_times_are_dropped(
    with_invalid_times: DynamicRoutingSession, simulated: Path, truth: dict[str, Any]
) -> None:
    every = pd.read_csv(simulated / "truth/trials_sync.csv")
    wanted = every.drop(index=truth["session"]["trials_dropped_by_invalid_times"])
    assert_table(with_invalid_times.trials.to_dataframe(), wanted, SYNC_TICK, on_screen=DISPLAY)


@pytest.mark.parametrize("build", ["nosync", "session", "with_invalid_times"])
def test_performance(build: str, simulated: Path, request: pytest.FixtureRequest) -> None:
    file = {"nosync": "nosync", "session": "sync", "with_invalid_times": "sync_invalid_dropped"}[build]
    wanted = pd.read_csv(simulated / f"truth/performance_{file}.csv")
    made = request.getfixturevalue(build).performance.to_dataframe()
    times = ["start_time", "stop_time"]
    assert_table(made[times], wanted[times], EXACT if build == "nosync" else SYNC_TICK)
    assert_table(made, wanted.drop(columns=times), EXACT)


@pytest.mark.parametrize("kind", ["vis", "aud"])
def test_mapping(kind: str, session: DynamicRoutingSession, simulated: Path) -> None:
    wanted = pd.read_csv(simulated / f"truth/{kind}_rf_mapping_trials.csv")
    made = getattr(session, f"{kind}_rf_mapping_trials").to_dataframe()
    assert_table(made, wanted, SYNC_TICK, on_screen=SYNC_TICK if kind == "aud" else DISPLAY)


def test_optotagging(session: DynamicRoutingSession, simulated: Path, truth: dict[str, Any]) -> None:
    wanted = pd.read_csv(simulated / "truth/optotagging_trials.csv")
    made = session.optotagging_trials.to_dataframe()
    assert_table(made, wanted, SYNC_TICK)
    np.testing.assert_allclose(made["stim_start_time"], truth["opto_on"], rtol=0, atol=SYNC_TICK)
    np.testing.assert_allclose(made["stim_stop_time"], truth["opto_off"], rtol=0, atol=SYNC_TICK)


def test_epochs(with_invalid_times: DynamicRoutingSession, simulated: Path) -> None:
    wanted = pd.read_csv(simulated / "truth/epochs.csv")
    made = with_invalid_times.epochs.to_dataframe()
    for name in ("tags", "interval_names"):
        made[name] = [";".join(values) for values in made[name]]
    assert_table(made, wanted, DISPLAY)


# what the subject did -------------------------------------------------------------------------


def test_licks(session: DynamicRoutingSession, nosync: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    for component, edges in (
        ("licks", "lick_on"),
        ("lick_sensor_rising_edges", "lick_on"),
        ("lick_sensor_falling_edges", "lick_off"),
    ):
        made = getattr(session, component).timestamps[:]
        np.testing.assert_allclose(made, truth[edges], rtol=0, atol=SYNC_TICK, err_msg=component)
    details = session.licks_details.to_dataframe()
    np.testing.assert_allclose(
        details["duration"], truth["lick_off"] - truth["lick_on"], rtol=0, atol=2 * SYNC_TICK
    )
    assert (~details["is_likely_lick"]).sum() == truth["session"]["n_long_lick_not_likely"]
    np.testing.assert_allclose(nosync.licks.timestamps[:], truth["nosync_licks"], rtol=0, atol=EXACT)


def test_rewards(
    session: DynamicRoutingSession, nosync: DynamicRoutingSession, truth: dict[str, Any]
) -> None:
    assert not truth["session"]["rewards_from_solenoid"]
    made = session.rewards.timestamps[:]
    np.testing.assert_allclose(made, truth["reward_script_times"], rtol=0, atol=SYNC_TICK)
    assert not session.rewards_details.to_dataframe()["is_solenoid_time"].any()
    # the file lists those given by hand twice; they are deliveries like the others, and listed once
    frames = truth["reward_frames"]
    by_hand = session.rewards_details.to_dataframe()["is_manual"]
    assert by_hand.tolist() == np.isin(frames, truth["manual_reward_frames"]).tolist()
    alone = nosync.rewards.timestamps[:]
    assert len(alone) == len(truth["nosync_rewards"]) - len(truth["manual_reward_frames"])
    np.testing.assert_allclose(alone, np.unique(truth["nosync_rewards"]), rtol=0, atol=EXACT)


def test_quiescent_interval_violations(
    session: DynamicRoutingSession, nosync: DynamicRoutingSession, truth: dict[str, Any]
) -> None:
    made = session.quiescent_interval_violations.timestamps[:]
    np.testing.assert_allclose(made, truth["quiescent_violation_times"], rtol=0, atol=SYNC_TICK)
    alone = nosync.quiescent_interval_violations.timestamps[:]
    np.testing.assert_allclose(alone, truth["nosync_quiescent_violations"], rtol=0, atol=EXACT)


def test_running(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    times, speed = session.running_speed.timestamps[:], session.running_speed.data[:]
    assert (np.diff(times) > 0).all()
    # within a stimulus: between two, the wheel was not read
    inside = np.zeros(len(times), np.bool_)
    for stem in [name for name in truth if name.startswith("vsync/")]:
        inside |= (times >= truth[stem][0]) & (times <= truth[stem][-1])
    wanted = np.interp(times, truth["running_t"], truth["running_speed_cm_s"])
    difference = (speed - wanted)[inside]
    assert np.sqrt(np.mean(difference**2)) < 1  # cm/s


# clocks ---------------------------------------------------------------------------------------


def test_frames(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    found = session.stim_frame_times
    assert list(found) == [Path(file["file"]).stem for file in truth["session"]["stim_files"]]
    for stem, times in found.items():
        away = np.abs(times - truth[f"display/{stem}"])
        late = away > DISPLAY
        # a dropped frame may be placed one refresh off, but never two frames in a row
        assert late.mean() < 1e-3, stem
        assert away.max() < 0.018, stem
        assert not (late[1:] & late[:-1]).any(), stem


@pytest.mark.parametrize("view", ["side", "front", "eye"])
def test_camera_frames(view: str, session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    label = {"side": "Behavior", "front": "Face", "eye": "Eye"}[view]
    made = session.acquisition[f"frame_times_{view}_camera"].timestamps[:]
    assert len(made) == truth["session"]["cameras"][label]["frames_in_file"]
    # NaN where there is none: the first frame, and those without an exposure
    np.testing.assert_allclose(made, truth[f"camera/{label}"], rtol=0, atol=SYNC_TICK)


def test_streams(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    made = session.ephys_timing_data
    assert set(made) == set(truth["ephys"]["devices"])
    for name, clock in made.items():
        device = truth["ephys"]["devices"][name]
        assert abs(clock.rate - device["true_rate"]) < 0.003, name
        assert abs(clock.start - device["true_start"]) < (5e-4 if "LFP" in name else 1e-4), name
        assert clock.n_samples == device["n_samples_on_disk"], name


# probes ---------------------------------------------------------------------------------------


def test_units(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    table = session.units.to_dataframe()
    for letter, units in truth["ephys"]["units"].items():
        its = table[table["electrode_group_name"] == f"probe{letter}"].set_index("cluster_id")
        assert sorted(its.index) == sorted(unit["cluster_id"] for unit in units)
        device = truth["ephys"]["devices"][f"Neuropix-PXI-100.Probe{letter}-AP"]
        samples, owners = truth[f"spikes/{letter}/sample"], truth[f"spikes/{letter}/unit_index"]
        for unit in units:
            made = its.loc[unit["cluster_id"]]
            times = device["true_start"] + samples[owners == unit["unit_index"]] / device["true_rate"]
            np.testing.assert_allclose(made["spike_times"], times, rtol=0, atol=1e-4)
            assert made["num_spikes"] == unit["num_spikes"] == len(made["spike_amplitudes"])
            assert made["peak_channel"] == unit["peak_channel"]
            assert made["amplitude"] == pytest.approx(unit["amplitude_ptp"], rel=1e-5)
            assert made["sorter_default_qc"] == unit["sorter_default_qc"]
            assert made["decoder_label"] == unit["decoder_label"]
            assert made["decoder_probability"] == pytest.approx(unit["decoder_probability"])
            assert made["isi_violations_ratio"] == pytest.approx(unit["isi_violations_ratio"])
            assert made["sorter_amplitude_cutoff"] == pytest.approx(unit["amplitude_cutoff"])
            assert made["presence_ratio"] == pytest.approx(unit["presence_ratio"])
            placed = truth["ephys"]["ccf"][letter][unit["peak_channel"]]
            assert made[["ccf_ap", "ccf_dv", "ccf_ml"]].tolist() == [placed[axis] for axis in "xyz"]
            assert (made["location"], made["structure"]) == (placed["location"], placed["structure"])
    # a unit whose activity drifts with the session is told from one of the same block
    kinds = {u["cluster_id"]: u["kind"] for u in truth["ephys"]["units"]["A"]}
    drifts = table[table["electrode_group_name"] == "probeA"]["activity_drift"].to_numpy(np.float64)
    drifting = np.array([kinds[c] == "drift" for c in table["cluster_id"][: len(drifts)]])
    assert np.nanmin(drifts[drifting]) > np.nanmedian(drifts[~drifting])


def test_channels_in_the_brain(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    table = session.electrodes.to_dataframe()
    for letter, channels in truth["ephys"]["ccf"].items():
        its = table[table["group_name"] == f"probe{letter}"].reset_index(drop=True)
        wanted = pd.DataFrame(channels)
        assert_table(its, wanted, 0.0)


def test_probes_and_manipulators(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    for letter, probe in truth["ephys"]["probes"].items():
        device = session.electrode_groups[f"probe{letter}"].device
        assert device.name == str(probe["serial"])
        assert probe["type"] in (device.description or "")
    moved = session.manipulator_positions.to_dataframe().set_index("electrode_group_name")
    for name, wanted in truth["session"]["manipulators"].items():
        assert moved.loc[name, "device_name"] == wanted["device_name"]
        assert moved.loc[name, ["x", "y", "z"]].tolist() == [wanted[axis] for axis in "xyz"]
        assert abs(moved.loc[name, "last_movement_time"] - wanted["last_movement_time"]) < 1  # s


def test_who_and_when(session: DynamicRoutingSession, truth: dict[str, Any]) -> None:
    wanted = truth["session"]
    assert session.id == wanted["session_id"]
    assert session.rig.replace(".", "") == wanted["rig"]
    assert session.session_start_time.replace(tzinfo=None).isoformat() == wanted["sync_start"]
    assert wanted["experimenter"] in session.experimenter
    for name, value in wanted["subject_truth"].items():
        assert getattr(session.subject, name) == value, name


# a real file ----------------------------------------------------------------------------------


def test_trials_of_a_real_session(real: DynamicRoutingSession, golden: Path) -> None:
    wanted = pd.read_csv(golden / "trials_nosync.csv")
    made = real.trials.to_dataframe()
    assert made.shape == wanted.shape == (465, 49)
    assert list(made) == list(wanted)
    assert_table(made, wanted, EXACT, left_out="is_task_control_correct")
    # npc_sessions has the opposite of what its description says
    assert made["is_task_control_correct"].tolist() == (~wanted["is_task_control_correct"]).tolist()


def test_performance_of_a_real_session(real: DynamicRoutingSession, golden: Path) -> None:
    wanted = pd.read_csv(golden / "performance_nosync.csv")
    assert_table(real.performance.to_dataframe(), wanted, EXACT)


def test_running_of_a_real_session(real: DynamicRoutingSession, golden: Path) -> None:
    wanted = pd.read_csv(golden / "running_every_1000th_nosync.csv")
    times, speed = real.running_speed.timestamps[:], real.running_speed.data[:]
    assert len(times) == len(speed) == 217_000
    rows = wanted["sample"] if "sample" in wanted else np.arange(0, 217_000, 1000)
    np.testing.assert_allclose(times[rows], wanted.iloc[:, -2], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(speed[rows], wanted.iloc[:, -1], rtol=1e-6, atol=1e-6)


def test_columns_are_described(real: DynamicRoutingSession, golden: Path) -> None:
    described = json.loads((golden / "trials_column_descriptions.json").read_text("utf-8"))
    assert set(described) <= {*real.trials.colnames, "is_opto"}
    assert all(column.description for column in real.trials.columns)


def test_without_sync_it_is_said_what_there_cannot_be(real: DynamicRoutingSession) -> None:
    assert (real.is_task, real.is_sync, real.is_ephys) == (True, False, False)
    for name in ("units", "lick_sensor_rising_edges", "vis_rf_mapping_trials", "optotagging_trials"):
        with pytest.raises(ComponentUnavailable):
            getattr(real, name)


# what is read ---------------------------------------------------------------------------------

READS = """
import sys
from pathlib import Path
from project_cache import DynamicRoutingSession

def read():
    return int(Path("/proc/self/io").read_text().split()[1])

# what Python and its libraries are read for does not count
DynamicRoutingSession(sys.argv[2]).trials
before = read()
session = DynamicRoutingSession(sys.argv[1])
print(len(session.trials), read() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads")
def test_trials_are_made_without_reading_the_recordings_of_probes(
    simulated: Path, tmp_path: Path, nosync: DynamicRoutingSession
) -> None:
    folder = tmp_path / FOLDER
    total = 0
    for source in (simulated / FOLDER).rglob("*"):
        target = folder / source.relative_to(simulated / FOLDER)
        if source.is_dir():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.name == "continuous.dat":
            with target.open("wb") as file:
                try:
                    file.truncate(100 * 10**9)  # a hole: nothing is on the disk
                except OSError:
                    pytest.skip("this file system does not hold files of 100 GB with holes")
            total += target.stat().st_size
        else:
            target.symlink_to(source)
    assert total >= 100e9
    asked = [sys.executable, "-c", READS, str(folder), str(nosync.path)]
    printed = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout
    n_trials, n_read = map(int, printed.split())
    assert n_trials == 160
    assert n_read < 1e-3 * total
    # nor more than the files of sync and the task
    assert n_read < 50e6
