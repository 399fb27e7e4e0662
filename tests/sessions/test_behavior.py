"""Sessions of the behaviour projects, in files that h5py alone has written."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.errors import MissingDataError, UnknownObjectError, UnreadableObjectError
from project_cache.nwb.file import NWBReader
from project_cache.sessions.behavior import BehaviorSession
from project_cache.sessions.behavior_ecephys import BehaviorEcephysSession, ProbeWithLFPMeta

TEXT = h5py.string_dtype()
IMAGES = ["im000", "im000", "omitted", "im111", "im111", "im000"]
FRAMES = 40


def write_table(file: h5py.File, path: str, columns: dict[str, Any], kind: str = "TimeIntervals") -> None:
    """Write a table; a column that is a tuple is ragged: (flat values, ends)."""
    group = file.require_group(path)
    group.attrs.update({"neurodata_type": kind, "namespace": "core"})
    group.attrs["colnames"] = np.array([name for name in columns if name != "id"], dtype=TEXT)
    for name, values in columns.items():
        values, ends = values if isinstance(values, tuple) else (values, None)
        values = np.asarray(values)
        if values.dtype.kind == "U":
            values = values.astype(object)
        node = group.create_dataset(name, data=values, dtype=TEXT if values.dtype == object else values.dtype)
        if ends is not None:
            index = group.create_dataset(f"{name}_index", data=np.asarray(ends, dtype=np.uint8))
            index.attrs.update({"neurodata_type": "VectorIndex", "target": node.ref})
    if "id" not in columns:
        group["id"] = np.arange(len(group[next(iter(columns))]))


def write_series(file: h5py.File, path: str, data: Any, times: Any) -> None:
    group = file.create_group(path)
    group.attrs["neurodata_type"] = "TimeSeries"
    group["data"], group["timestamps"] = data, times


def write_session(path: Path) -> Path:
    """Write six flashes, three trials and a block of spontaneous activity; two probes."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.5.0", "neurodata_type": "NWBFile", "namespace": "core"})
        for name, text in (
            ("identifier", "77"),
            ("session_start_time", "2020-08-19T14:23:08.212000+00:00"),
            ("general/subject/subject_id", "544836"),
            ("general/subject/age", "P108D"),
            ("general/subject/sex", "F"),
            ("general/subject/genotype", "Vip-IRES-Cre/wt;Ai32/wt"),
        ):
            file.create_dataset(name, data=text, dtype=TEXT)
        file["general/subject"].attrs["driver_line"] = np.array(["Vip-IRES-Cre", "Aaa"], dtype=TEXT)
        file["general/subject"].attrs["reporter_line"] = "None"
        file.create_group("general/metadata").attrs.update(
            {
                "behavior_session_id": 7,
                "behavior_session_uuid": "00000000-0000-0000-0000-000000000007",
                "equipment_name": "NP.1",
                "stimulus_frame_rate": 60.0,
                "session_type": "EPHYS_1_images_G_5uL_reward",
                "project_code": "NeuropixelVisualBehavior",
            }
        )
        file.create_group("general/task_parameters").attrs.update(
            {
                "response_window_sec": np.array(["0.15", "0.75"], dtype=TEXT),
                "session_type": "EPHYS_1_images_G_5uL_reward",
                "n_stimulus_frames": 300,
                "reward_volume": 0.005,
            }
        )
        write_table(
            file,
            "intervals/Images_presentations",
            {
                "start_time": np.arange(6) * 1.0,
                "stop_time": np.arange(6) + 0.25,
                "stimulus_name": ["Images"] * 6,
                "stimulus_block": np.zeros(6, dtype=np.int64),
                "image_name": IMAGES,
                "image_set": ["G"] * 6,
                "start_frame": np.arange(6) * 60,
                "omitted": np.array([0.0, 0, 1, 0, 0, 0]),
                "is_change": np.array([1.0, 0, 0, 0, 0, 0]),
                "contrast": np.full(6, 1.0),
            },
        )
        write_table(
            file,
            "intervals/spontaneous_presentations",
            {
                "start_time": [6.0],
                "stop_time": [9.0],
                "stimulus_name": ["spontaneous"],
                "stimulus_block": [1],
            },
        )
        write_table(
            file,
            "intervals/trials",
            {
                "start_time": [0.5, 2.5, 4.5],
                "stop_time": [2.5, 4.5, 5.5],
                "stimulus_change": [False, True, False],
                "change_time": [np.nan, 3.0, 5.0],
                "change_frame": [np.nan, 180.0, 300.0],
                "lick_times": ([1.0, 3.4], [1, 2, 2]),
                "lick_events": ([0, 0], [1, 2, 2]),
                "reward_volume": [0.0, 0.005, 0.0],
                **{
                    name: np.array(truth, dtype=bool)
                    for name, truth in {
                        "go": [0, 1, 0], "catch": [0, 0, 1], "hit": [0, 1, 0], "miss": [0, 0, 0], "false_alarm": [0, 0, 0],
                        "correct_reject": [0, 0, 1], "aborted": [1, 0, 0], "auto_rewarded": [0, 0, 0],
                    }.items()
                },
            },
        )  # fmt: skip
        write_series(file, "processing/licking/licks", [60, 204], [1.0, 3.4])
        write_series(file, "processing/rewards/volume", [0.005], [3.4])
        write_series(file, "processing/rewards/autorewarded", [False], [3.4])
        write_series(file, "processing/stimulus/timestamps", np.arange(300) / 60, np.arange(300) / 60)
        write_series(file, "processing/running/speed", [-2.0, -4.0], [0.0, 1.0])
        write_series(file, "processing/running/speed_unfiltered", [2.0, np.nan], [0.0, 1.0])
        _write_eye(file)
        for name in ("Images", "natural_movie_one"):
            images = file.create_group(f"stimulus/templates/{name}")
            images.create_dataset("control_description", data=["im000", "im111"], dtype=TEXT)
            images["data"] = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
            images["unwarped"] = np.full((2, 2, 3), np.nan)
        _write_probes(file)
    return path


def _write_eye(file: h5py.File) -> None:
    tracking = file.create_group("acquisition/EyeTracking")
    for name in ("eye_tracking", "pupil_tracking", "corneal_reflection_tracking"):
        write_series(tracking, name, np.arange(2 * FRAMES).reshape(FRAMES, 2) * 1.0, np.arange(FRAMES) / 30)
        area = np.tile([9.0, 11.0], FRAMES // 2)
        if name == "pupil_tracking":
            area[20] = np.nan
        for column in ("area", "width", "height", "angle"):
            tracking[name][column] = np.full(FRAMES, 5.0)
        tracking[name]["area_raw"] = area
    write_series(tracking, "likely_blink", np.zeros(FRAMES, dtype=bool), np.arange(FRAMES) / 30)
    rig = file.create_group("processing/eye_tracking_rig_metadata/eye_tracking_rig_metadata")
    rig.attrs["equipment"] = "NP.1"
    for name in (
        "monitor_position",
        "monitor_rotation",
        "camera_position",
        "camera_rotation",
        "led_position",
    ):
        rig[name] = np.array([1.0, 2.0, 3.0])


def _write_probes(file: h5py.File) -> None:
    for n, name in ((1, "probeA"), (2, "probeB")):
        device = file.create_group(f"general/devices/{name}")
        device.attrs.update({"probe_id": n, "sampling_rate": 30000.0})
        group = file.create_group(f"general/extracellular_ephys/{name}")
        group.attrs.update(
            {"probe_id": n, "lfp_sampling_rate": 1250.0, "has_lfp_data": True, "location": "…"}
        )
        group["device"] = h5py.SoftLink(f"/general/devices/{name}")
    write_table(
        file,
        "general/extracellular_ephys/electrodes",
        {
            # the probes' channels one after the other, but the second's first
            "id": [21, 22, 11, 12],
            "location": ["CA1", "None", "VISp2/3-x", "VISp"],
            "filtering": ["AP"] * 4,
            "probe_vertical_position": [20, 40, 20, 40],
            "probe_horizontal_position": [43, 11, 43, 11],
            "probe_id": [2, 2, 1, 1],
            "probe_channel_number": [0, 1, 0, 1],
            "valid_data": np.array([1, 1, 0, 1], dtype=bool),
            "x": [1.0] * 4,
            "y": [1.0] * 4,
            "z": [1.0] * 4,
        },
        "DynamicTable",
    )
    write_table(
        file,
        "units",
        {
            "id": [200, 100, 101, 300],
            "peak_channel_id": [22, 11, 12, 99],
            "quality": ["good", "good", "noise", "good"],
            "amplitude_cutoff": [0.01, np.nan, 0.2, 0.0],
            "presence_ratio": [0.9] * 4,
            "isi_violations": [0.1] * 4,
            "firing_rate": [1.0] * 4,
            "local_index": [0, 0, 1, 2],
            "cluster_id": [0, 0, 1, 2],
            "waveform_halfwidth": [0.1] * 4,
            "spike_times": (np.arange(10) / 10, [3, 5, 5, 10]),
            "spike_amplitudes": (np.arange(10) / 1e6, [3, 5, 5, 10]),
            "waveform_mean": (np.zeros((8, 5), dtype=np.float32), [2, 4, 6, 8]),
        },
        "Units",
    )
    write_table(
        file,
        "processing/optotagging/optogenetic_stimulation",
        {"start_time": [1.0], "stop_time": [2.0], "name": ["pulse"], "tags": (["x"], [1])},
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write_session(tmp_path / "session.nwb")


@pytest.fixture
def without(written: Path) -> Callable[..., BehaviorEcephysSession]:
    """Open the session without some of its parts."""

    def remove(*paths: str) -> BehaviorEcephysSession:
        with h5py.File(written, "r+") as file:
            for path in paths:
                del file[path]
        return BehaviorEcephysSession.from_nwb_path(written)

    return remove


def test_a_behavior_session_works_out_its_changes(written: Path) -> None:
    table = BehaviorSession.from_nwb_path(written).stimulus_presentations
    assert table.index.name == "stimulus_presentations_id"
    assert table["is_change"].tolist()[:6] == [False, False, False, True, False, True]
    assert table["flashes_since_change"].tolist()[:6] == [0, 1, 1, 0, 1, 0]
    assert table["is_change"].dtype == bool


def test_an_ecephys_session_knows_its_changes(written: Path) -> None:
    table = BehaviorEcephysSession.from_nwb_path(written).stimulus_presentations
    assert table["is_change"].dtype == "boolean"
    assert table["is_change"].tolist() == [True, *[False] * 5, pd.NA]
    assert "flashes_since_change" not in table
    asked = BehaviorSession.from_nwb_path(written, add_is_change_to_stimulus_presentations_table=False)
    assert asked.stimulus_presentations["is_change"].dtype == "boolean"


def test_presentations_are_put_into_their_trials(written: Path) -> None:
    table = BehaviorEcephysSession.from_nwb_path(written).stimulus_presentations
    assert table["trials_id"].tolist() == [-99, 0, 0, 1, 1, 2, -99]
    assert table["active"].tolist() == [True] * 6 + [False]
    assert table["is_sham_change"].tolist() == [False] * 5 + [True, False]
    assert table.columns[:5].tolist() == [
        "stimulus_block",
        "image_name",
        "start_time",
        "end_time",
        "start_frame",
    ]
    assert "image_set" not in table
    assert table["image_name"].dtype == object


def test_presentations_without_trials(without: Callable[..., BehaviorEcephysSession]) -> None:
    session = without("intervals/trials")
    assert "trials_id" not in session.stimulus_presentations
    with pytest.raises(MissingDataError, match="no trials"):
        _ = session.trials


def test_trials(written: Path) -> None:
    trials = BehaviorSession.from_nwb_path(written).trials
    assert trials.index.name == "trials_id"
    assert "lick_events" not in trials
    assert trials["is_change"].tolist() == [False, True, False]
    assert trials["change_frame"].tolist() == [-99, 180, 300]
    assert [each.tolist() for each in trials["lick_times"]] == [[1.0], [3.4], []]


def test_nobody_licked(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        table = file["intervals/trials"]
        del table["lick_times"], table["lick_times_index"]
        table.create_dataset("lick_times", data=[""], dtype=TEXT)
        table["lick_times_index"] = np.zeros(3, dtype=np.uint8)
        table["lick_times_index"].attrs["neurodata_type"] = "VectorIndex"
        table["reward_volume"][:] = 0
    session = BehaviorSession.from_nwb_path(written)
    assert {each.dtype for each in session.trials["lick_times"]} == {np.dtype(float)}
    rolling = session.get_rolling_performance_df()
    np.testing.assert_array_equal(rolling["rolling_dprime"], [np.nan, 0, 0])


def test_performance(written: Path) -> None:
    session = BehaviorSession.from_nwb_path(written)
    metrics = session.get_performance_metrics()
    assert metrics["trial_count"] == 3
    assert metrics["go_trial_count"] == metrics["hit_trial_count"] == metrics["earned_reward_count"] == 1
    assert metrics["total_reward_volume"] == 0.005
    assert np.isnan(metrics["maximum_reward_rate"])
    assert metrics["engaged_trial_count"] == 0
    rolling = session.get_rolling_performance_df()
    assert rolling is session.get_rolling_performance_df()
    np.testing.assert_array_equal(rolling["hit_rate_raw"], [np.nan, 1, 1])
    np.testing.assert_array_equal(rolling["hit_rate"], [np.nan, 0.5, 0.5])
    np.testing.assert_array_equal(rolling["false_alarm_rate"], [np.nan, np.nan, 0.5])
    assert np.isnan(session.get_reward_rate()).all()


def test_a_mouse_that_runs_backwards_is_turned_round(written: Path) -> None:
    session = BehaviorSession.from_nwb_path(written)
    assert session.running_speed["speed"].tolist() == [2.0, 4.0]
    assert session.raw_running_speed["speed"].tolist()[0] == 2.0


def test_eye_tracking_is_blank_in_blinks(written: Path) -> None:
    table = BehaviorSession.from_nwb_path(written).eye_tracking
    blink = np.isin(np.arange(FRAMES), [18, 19, 20, 21, 22])
    np.testing.assert_array_equal(table["likely_blink"], blink)
    for name in ("pupil_area", "eye_area", "cr_area", "pupil_width", "eye_phi"):
        np.testing.assert_array_equal(table[name].isna(), blink)
    for name in ("eye_area_raw", "cr_width", "pupil_center_x"):
        assert table[name].notna().all()
    assert table.index.name == "frame"
    strict = BehaviorSession.from_nwb_path(written, eye_tracking_dilation_frames=0).eye_tracking
    assert np.flatnonzero(strict["likely_blink"]).tolist() == [20]


def test_rig_geometry(written: Path) -> None:
    rig = BehaviorSession.from_nwb_path(written).eye_tracking_rig_geometry
    assert list(rig) == [
        "camera_position_mm",
        "camera_rotation_deg",
        "equipment",
        "led_position",
        "monitor_position_mm",
        "monitor_rotation_deg",
    ]
    assert rig["led_position"] == (1, 2, 3)
    assert rig["equipment"] == "NP.1"


def test_what_is_missing_is_empty(without: Callable[..., BehaviorEcephysSession]) -> None:
    session = without(
        "acquisition",
        "processing/eye_tracking_rig_metadata",
        "processing/licking",
        "processing/rewards",
        "stimulus",
    )
    assert session.eye_tracking.shape == (0, 23)
    assert session.eye_tracking_rig_geometry == {}
    assert session.licks.columns.tolist() == ["timestamps", "frame"]
    assert session.rewards.shape == (0, 3)
    assert session.stimulus_templates is None


def test_what_is_missing_and_cannot_be_empty(without: Callable[..., BehaviorEcephysSession]) -> None:
    session = without("processing/optotagging", "processing/running", "general/task_parameters", "units")
    for name in ("optotagging_table", "running_speed", "task_parameters", "spike_times"):
        with pytest.raises(MissingDataError):
            getattr(session, name)
    with pytest.raises(MissingDataError):
        session.get_units()


def test_metadata(written: Path) -> None:
    session = BehaviorEcephysSession.from_nwb_path(written)
    known = session.metadata
    assert list(known)[:6] == [
        "equipment_name",
        "sex",
        "age_in_days",
        "stimulus_frame_rate",
        "session_type",
        "date_of_acquisition",
    ]
    assert known["age_in_days"] == 108
    assert known["cre_line"] == "Vip-IRES-Cre"
    assert known["driver_line"] == ["Aaa", "Vip-IRES-Cre"]
    assert known["reporter_line"] is None
    assert known["behavior_session_uuid"] == UUID(int=7)
    assert known["date_of_acquisition"].year == 2020
    assert known["ecephys_session_id"] == 77
    assert session.behavior_session_id == 7


def test_metadata_of_other_releases(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        told = file["general/metadata"].attrs
        del told["project_code"], told["behavior_session_uuid"], told["behavior_session_id"]
        told["something_new"] = 3
        told["stimulus_frame_rate"] = "None"
        del file["general/subject/age"], file["general/subject"].attrs["driver_line"]
    session = BehaviorSession.from_nwb_path(written)
    known = session.metadata
    for name in (
        "project_code",
        "age_in_days",
        "driver_line",
        "stimulus_frame_rate",
        "behavior_session_uuid",
    ):
        assert known[name] is None
    assert known["equipment_name"] == "NP.1"
    assert "something_new" not in known
    with pytest.raises(MissingDataError, match="behavior_session_id"):
        _ = session.behavior_session_id


def test_task_parameters(written: Path) -> None:
    parameters = BehaviorSession.from_nwb_path(written).task_parameters
    assert parameters["response_window_sec"] == [0.15, 0.75]
    assert parameters["image_set"] == "images_G"
    assert parameters["n_stimulus_frames"] == 300
    assert parameters["stimulus_name"] is None


def test_templates_are_the_images_and_not_the_movie(written: Path) -> None:
    images = BehaviorSession.from_nwb_path(written).stimulus_templates
    assert images is not None
    assert images.index.tolist() == ["im000", "im111"]
    assert images.columns.tolist() == ["unwarped", "warped"]
    assert images.name == "Images"
    assert images.loc["im111", "warped"].tolist() == [[6, 7, 8], [9, 10, 11]]


def test_channels_and_units_come_probe_by_probe(written: Path) -> None:
    session = BehaviorEcephysSession.from_nwb_path(written)
    assert session.get_channels(filter_by_validity=False).index.tolist() == [11, 12, 21, 22]
    assert session.get_channels().index.tolist() == [12, 21, 22]
    assert "valid_data" not in session.get_channels()
    # 100's amplitude cutoff is not known, 300's channel does not exist
    units = session.get_units()
    assert units.index.tolist() == [101, 200]
    assert units.index.name == "id"
    assert units.columns[:4].tolist() == ["PT_ratio", "amplitude", "amplitude_cutoff", "cluster_id"]
    assert units.columns[-1] == "waveform_halfwidth"
    assert session.get_units(amplitude_cutoff_maximum=0.1).index.tolist() == [200]
    assert session.get_units(filter_out_of_brain_units=True).index.tolist() == [101]
    valid = session.get_units(filter_by_validity=True)
    assert valid.index.tolist() == [200]
    assert "quality" not in valid


def test_arrays_are_of_all_units(written: Path) -> None:
    session = BehaviorEcephysSession.from_nwb_path(written)
    assert list(session.spike_times) == list(session.spike_amplitudes) == [100, 101, 200]
    assert session.spike_times[200].tolist() == [0.0, 0.1, 0.2]
    assert session.mean_waveforms[100].shape == (2, 5)
    with pytest.raises(UnknownObjectError):
        session.spike_times[300]


def test_optotagging(written: Path) -> None:
    table = BehaviorEcephysSession.from_nwb_path(written).optotagging_table
    assert table.columns.tolist() == ["start_time", "stop_time", "stimulus_name"]
    assert table.index.name == "id"


def write_lfp(path: Path) -> Path:
    """Write the LFP of probe 2: ten samples of two channels, and a current source density."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        write_table(file, "general/extracellular_ephys/electrodes", {"id": [21, 22]}, "DynamicTable")
        file["general/extracellular_ephys/electrodes"].attrs["colnames"] = np.array([], dtype=TEXT)
        write_series(
            file,
            "acquisition/probe_2_lfp/probe_2_lfp_data",
            np.arange(20.0).reshape(10, 2),
            np.arange(10) / 1250,
        )
        write_series(
            file,
            "processing/current_source_density/ecephys_csd/current_source_density",
            np.zeros((4, 3)),
            np.arange(4) / 1250,
        )
        density = file["processing/current_source_density/ecephys_csd"]
        for axis in "xy":
            density[f"virtual_electrode_{axis}_positions"] = np.arange(3, dtype=np.uint64)
    return path


def test_lfp_comes_from_the_file_of_the_probe(written: Path) -> None:
    lfp_file = write_lfp(written.with_name("probe_2.nwb"))
    fetched = []

    def fetch() -> Path:
        fetched.append(lfp_file)
        return lfp_file

    session = BehaviorEcephysSession.from_nwb_path(written, {"probeB": ProbeWithLFPMeta(fetch, 1250.0)})
    assert session.probes["has_lfp_data"].tolist() == [False, True]
    assert not fetched
    lfp, density = session.get_lfp(2), session.get_current_source_density(2)
    assert lfp is not None
    assert density is not None
    assert fetched == [lfp_file]
    assert lfp.name == "LFP"
    assert lfp.sel(channel=22).to_numpy().tolist() == list(range(1, 20, 2))
    assert density.shape == (3, 4)
    assert density.coords["vertical_position"].dtype == np.int64
    session.close()
    with pytest.raises(UnreadableObjectError):
        lfp.load()
    with pytest.raises(UnreadableObjectError):
        session.get_lfp(2)


def test_no_lfp(written: Path) -> None:
    session = BehaviorEcephysSession.from_nwb_path(written)
    assert session.get_lfp(1) is None
    assert session.get_current_source_density(1) is None
    for call in (session.get_lfp, session.get_current_source_density):
        with pytest.raises(UnknownObjectError, match="no probe 3"):
            call(3)


def test_probes_have_the_lfp_that_is_at_hand(written: Path) -> None:
    alone = BehaviorEcephysSession.from_nwb_path(written).probes
    assert alone["has_lfp_data"].tolist() == [False, False]
    assert alone["lfp_sampling_rate"].tolist() == [None, None]
    meta = {"probeB": ProbeWithLFPMeta("probe_2.nwb", 1250.0)}
    probes = BehaviorEcephysSession.from_nwb_path(written, probe_meta=meta).probes
    assert probes.columns.tolist() == [
        "name",
        "location",
        "sampling_rate",
        "lfp_sampling_rate",
        "has_lfp_data",
    ]
    assert probes.loc[2].tolist() == ["probeB", "…", 30000.0, 1250.0, True]
    assert probes["lfp_sampling_rate"].dtype == float


def test_a_session_can_be_pickled(written: Path) -> None:
    meta = {"probeB": ProbeWithLFPMeta("probe_2.nwb", 1250.0)}
    session = BehaviorEcephysSession(written, probe_meta=meta, eye_tracking_dilation_frames=0)
    again = pickle.loads(pickle.dumps(session))
    assert again.eye_tracking["likely_blink"].sum() == 1
    assert again.probes["has_lfp_data"].tolist() == [False, True]
    lone = copy.copy(BehaviorSession(written, add_is_change_to_stimulus_presentations_table=False))
    assert lone.stimulus_presentations["is_change"].dtype == "boolean"


def test_opening_reads_nothing(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    was = NWBReader.open

    def count(self: NWBReader) -> Any:
        opened.append(1)
        return was(self)

    monkeypatch.setattr(NWBReader, "open", count)
    session = BehaviorEcephysSession.from_nwb_path(written)
    assert len(opened) == 1  # its version
    assert session.licks is session.licks
    assert len(opened) == 2
