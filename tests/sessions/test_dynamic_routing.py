"""Dynamic Routing sessions, from simulated raw folders and from what is built of them."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile

from project_cache import DynamicRoutingSession
from project_cache.errors import (
    BuildError,
    ComponentUnavailable,
    ConfigurationError,
    MissingObjectError,
    UnknownObjectError,
)
from project_cache.sessions.dynamic_routing_names import ALIASES, DERIVED
from project_cache.testing.rig import SimulatedSession, simulate


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSession:
    """A whole simulated recording."""
    return simulate(tmp_path_factory.mktemp("raw"), seed=3)


@pytest.fixture(scope="module")
def behavior_only(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSession:
    """A recording of the task alone, without sync."""
    folder = tmp_path_factory.mktemp("behavior")
    return simulate(
        folder,
        seed=4,
        sync=False,
        ephys=False,
        video=False,
        sorted=False,
        annotated=False,
        stimuli=("DynamicRouting1",),
    )


@pytest.fixture(scope="module")
def built(recorded: SimulatedSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The NWB file that is built of the whole recording."""
    return DynamicRoutingSession(recorded.path).write_nwb(tmp_path_factory.mktemp("built") / "session.nwb")


def test_flags_and_paths_are_there_at_once(recorded: SimulatedSession) -> None:
    session = DynamicRoutingSession(recorded.path)
    assert (session.is_ephys, session.is_sync, session.is_video, session.is_sorted, session.is_task) == (
        True,
    ) * 5
    assert session.id == "712345_2024-05-02"
    assert str(session.id) == session.session_id == "712345_2024-05-02"
    assert "DynamicRouting1_712345_20240502" in {"_".join(p.stem.split("_")[:3]) for p in session.stim_paths}
    assert session.root_path == recorded.path
    assert session.task_data.script == "DynamicRouting1"
    assert "trials" in dir(session)
    assert not session.is_built
    with pytest.raises(AttributeError, match="no 'trails'"):
        _ = session.trails


def test_the_names_of_npc_sessions_lead_to_the_same_things(recorded: SimulatedSession) -> None:
    session = DynamicRoutingSession(recorded.path)
    for name in (*ALIASES, *DERIVED):
        getattr(session, name)
    assert session.stim_names.count("DynamicRouting1") == 1
    assert session.task_stim_name == "DynamicRouting1"
    assert session.probes_inserted == session.probe_letters_with_sorted_data == ("A", "B")
    assert len(session.ephys_structure_oebin_data["continuous"]) == 5
    assert {clock.n_barcodes > 3 for clock in session.ephys_timing_data.values()} == {True}
    start, stop = session.get_obs_intervals("A")[0]
    assert start == pytest.approx(session.units["obs_intervals"][0][0][0])
    assert stop > start
    assert len(session.sam.hitCount) == len(session.performance)
    assert session.probe_letters_to_use == ("A", "B")
    assert set(session.stim_frame_times) == {path.stem for path in session.stim_paths}
    with pytest.raises(ComponentUnavailable, match="surface"):
        _ = session.surface_recording


def test_the_surface_recording_goes_with_its_session(tmp_path: Path) -> None:
    recorded = simulate(tmp_path, seed=6, surface=True, video=False, stimuli=("DynamicRouting1",))
    surface = DynamicRoutingSession(recorded.path).surface_recording
    assert surface.id == "712345_2024-05-02_1"
    assert (surface.is_sync, surface.is_task, surface.is_ephys) == (False, False, True)
    assert min(surface.electrodes["channel"][:]) == 384


def test_components_are_pynwb_objects(recorded: SimulatedSession) -> None:
    session = DynamicRoutingSession(recorded.path)
    assert session.subject.subject_id == "712345"
    trials = session.trials[:]
    assert isinstance(trials, pd.DataFrame)
    assert len(trials) == len(recorded.truth.trials)
    assert session.trials is session.trials
    assert {"trials", "units", "rewards", "running_speed", "lfp"} <= set(session.components)
    assert "luminance_test_trials" not in session.components
    with pytest.raises(ComponentUnavailable, match="LuminanceTest"):
        _ = session.luminance_test_trials
    with pytest.raises(AttributeError):
        _ = session.luminance_test_trials


def test_places_hold_the_objects_by_either_name(recorded: SimulatedSession) -> None:
    session = DynamicRoutingSession(recorded.path)
    assert {"AP", "LFP_raw", "rewards", "lick_sensor_rising_edges", "frame_times_eye_camera"} <= set(
        session.acquisition
    )
    assert session.acquisition["frametimes_eye_camera"] is session.acquisition["frame_times_eye_camera"]
    assert session.intervals["DynamicRouting1"] is session.trials
    assert {"licks", "running_speed"} <= set(session.processing["behavior"])
    assert "LFP" in session.processing["ecephys"]
    assert "performance" in session.analysis
    assert (
        "by block" in session.intervals_descriptions["performance"]
        or session.intervals_descriptions["performance"]
    )
    with pytest.raises(ComponentUnavailable, match="There is: "):
        session.acquisition["nothing"]


def test_a_recording_of_behavior_alone_says_what_it_cannot_have(behavior_only: SimulatedSession) -> None:
    session = DynamicRoutingSession(behavior_only.path)
    assert (session.is_task, session.is_sync, session.is_ephys, session.is_video) == (
        True,
        False,
        False,
        False,
    )
    assert len(session.trials[:])
    assert len(session.performance[:])
    assert np.isfinite(session.running_speed.data[:]).all()
    for name in ("units", "raw_ap", "lick_sensor_rising_edges", "ephys_timing_data"):
        with pytest.raises(ComponentUnavailable):
            getattr(session, name)
    assert session.nwb.trials is session.trials
    assert not session.nwb.acquisition.get("AP")


def test_what_the_caller_says_wins(behavior_only: SimulatedSession) -> None:
    session = DynamicRoutingSession(behavior_only.path, is_production=False, experiment_description="mine")
    assert "dev" in session.keywords
    assert session.nwb.experiment_description == "mine"
    with pytest.raises(ConfigurationError, match="'is_nice'"):
        DynamicRoutingSession(behavior_only.path, is_nice=True)


def test_invalid_times_remove_trials(behavior_only: SimulatedSession) -> None:
    every = DynamicRoutingSession(behavior_only.path).trials[:]
    gap = {
        "start_time": float(every.start_time[3]) + 0.1,
        "stop_time": float(every.start_time[3]) + 0.2,
        "reason": "noise",
    }
    session = DynamicRoutingSession(behavior_only.path, invalid_times=[gap])
    assert len(session.trials[:]) == len(every) - 1
    assert list(session.invalid_times[:].reason) == ["noise"]
    assert not session.is_valid_interval(gap["start_time"] - 1, gap["stop_time"])
    assert session.is_valid_interval(gap["stop_time"], gap["stop_time"] + 1)


def test_the_built_session_says_the_same_as_the_raw_one(recorded: SimulatedSession, built: Path) -> None:
    raw, session = DynamicRoutingSession(recorded.path), DynamicRoutingSession(built)
    assert session.is_built
    assert session.components == [name for name in raw.components if name not in ("raw_ap", "raw_lfp")]
    assert session.id == raw.id
    for name in (
        "keywords",
        "session_type",
        "rig",
        "is_ephys",
        "is_good_behavior",
        "issues",
        "session_start_time",
    ):
        assert getattr(session, name) == getattr(raw, name), name
    for name in ("trials", "performance", "epochs", "vis_rf_mapping_trials", "optotagging_trials"):
        pd.testing.assert_frame_equal(
            getattr(session, name)[:].reset_index(drop=True).map(_plain),
            getattr(raw, name)[:].reset_index(drop=True).map(_plain),
            check_dtype=False,
        )
    assert list(session.units["unit_id"][:]) == list(raw.units["unit_id"][:])
    for n in range(3):
        np.testing.assert_array_equal(session.units["spike_times"][n], raw.units["spike_times"][n])
    assert set(session.frame_times) == set(raw.frame_times)
    assert set(session.processing["behavior"]) == set(raw.processing["behavior"])
    with pytest.raises(ComponentUnavailable, match="LuminanceTest"):
        _ = session.luminance_test_trials
    assert "AP" not in session.acquisition
    with pytest.raises(ComponentUnavailable, match="left out when the file was built"):
        _ = session.raw_ap
    assert "not in this file" in session.nwb.data_collection
    session.close()


def test_what_is_built_is_valid(built: Path, behavior_only: SimulatedSession, tmp_path: Path) -> None:
    other = DynamicRoutingSession(behavior_only.path).write_nwb(tmp_path / "behavior.nwb")
    for path in (built, other):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert pynwb.validate(path=str(path)) == []
            found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
        assert [message.message for message in found] == []


def test_the_whole_session_has_its_raw_traces_on_the_disk(recorded: SimulatedSession) -> None:
    nwb = DynamicRoutingSession(recorded.path).nwb
    ap = nwb.acquisition["AP"].electrical_series["probeA"]
    assert ap.data.shape[1] == 384
    assert not isinstance(ap.data, np.ndarray) or isinstance(ap.data, np.memmap)
    assert len(nwb.acquisition["LFP_raw"].electrical_series) == 2
    assert nwb.processing["ecephys"]["LFP"].electrical_series["probeA"].rate == pytest.approx(1250, abs=0.1)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, np.ndarray | list) else value


def test_the_same_recording_gives_the_same_bytes(
    recorded: SimulatedSession, built: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / recorded.path.name
    shutil.copytree(recorded.path, copy)
    again = DynamicRoutingSession(copy).write_nwb(tmp_path / "again.nwb")
    assert again.read_bytes() == built.read_bytes()
    with h5py.File(again) as file:
        assert str(tmp_path).encode() not in file["scratch/recipe"][()]
        assert b'"numpy"' in file["scratch/recipe"][()]
    with pytest.raises(ConfigurationError, match=r"force=True"):
        DynamicRoutingSession(copy).write_nwb(again)


def test_raw_data_can_be_copied_into_the_file(recorded: SimulatedSession, tmp_path: Path) -> None:
    session = DynamicRoutingSession(recorded.path)
    ap = session.raw_ap.electrical_series["probeA"]
    copied = DynamicRoutingSession(session.write_nwb(tmp_path / "copy.nwb", raw="copy"))
    there = copied.raw_ap.electrical_series["probeA"]
    np.testing.assert_array_equal(there.data[:], np.asarray(ap.data[:]))
    assert (there.rate, there.starting_time) == (ap.rate, ap.starting_time)
    assert "are in this file" in copied.nwb.data_collection
    copied.close()


def test_a_session_is_built_once_and_a_failure_is_remembered(
    behavior_only: SimulatedSession, tmp_path: Path
) -> None:
    folder = tmp_path / behavior_only.path.name
    shutil.copytree(behavior_only.path, folder)
    session = DynamicRoutingSession(folder, cache_dir=tmp_path / "cache")
    path = session.write_nwb()
    before = path.stat()
    assert session.write_nwb() == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    # another parameter, another object
    other = DynamicRoutingSession(folder, cache_dir=tmp_path / "cache", lfp_channel_stride=2).write_nwb()
    assert other != path
    assert path.exists()


def test_a_failed_build_is_remembered_until_an_input_changes(
    behavior_only: SimulatedSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / behavior_only.path.name
    shutil.copytree(behavior_only.path, folder)
    session = DynamicRoutingSession(folder, cache_dir=tmp_path / "cache")
    monkeypatch.setattr("project_cache.build.running_speed.running_speed", _broken)
    with pytest.raises(BuildError, match=r"cannot be built.*the encoder came off"):
        session.write_nwb()
    monkeypatch.undo()
    monkeypatch.setenv("PROJECT_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match=r"the encoder came off.*nothing has changed since"):
        DynamicRoutingSession(folder).write_nwb()
    assert not list((tmp_path / "cache").rglob("*.nwb"))
    assert DynamicRoutingSession(folder).write_nwb(force=True).is_file()


def _broken(raw: object) -> None:
    raise ZeroDivisionError("the encoder came off")


def test_wrong_paths_and_ids_are_said(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match="nowhere"):
        DynamicRoutingSession(tmp_path / "nowhere")
    with pytest.raises(UnknownObjectError, match="668755_2023-08-31"):
        DynamicRoutingSession("hello world", root=tmp_path)
    with pytest.raises(MissingObjectError, match="none of the roots"):
        DynamicRoutingSession("668755_2023-08-31", root=tmp_path)
    with pytest.raises(MissingObjectError):
        DynamicRoutingSession(tmp_path / "none.nwb")


def test_an_id_is_looked_up_in_the_roots(
    behavior_only: SimulatedSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = behavior_only.path.parent
    assert DynamicRoutingSession("712345_2024-05-02", root=[tmp_path, root]).path == behavior_only.path
    monkeypatch.setenv("PROJECT_CACHE_RAW", f"{tmp_path}:{root}")
    assert DynamicRoutingSession("DRpilot_712345_20240502").path == behavior_only.path


def test_it_shows_itself_without_reading(recorded: SimulatedSession) -> None:
    session = DynamicRoutingSession(recorded.path)
    assert "trials" in repr(session)
    assert "in memory" not in repr(session)
    _ = session.trials
    assert "in memory" in repr(session)
    assert "<table" not in session._repr_html_()
    assert "712345_2024-05-02" in session._repr_html_()
