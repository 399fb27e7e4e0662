"""A project of raw recordings: its table, its sessions, its components, built once whoever asks."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import operator
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest

from project_cache import DynamicRoutingSession, ProjectCache, get_sessions
from project_cache.errors import BuildError, UnknownObjectError
from project_cache.testing.rig import simulate

BEHAVIOR = {
    "sync": False,
    "ephys": False,
    "video": False,
    "sorted": False,
    "annotated": False,
    "stimuli": ("DynamicRouting1",),
}
FIRST, SECOND, THIRD = "700001_2024-05-01", "700002_2024-05-02", "700003_2024-05-03"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings: one whole, one of behavior alone, one whose sync file is cut short."""
    root = tmp_path_factory.mktemp("root")
    simulate(root, seed=1, subject=700001, date="2024-05-01")
    simulate(root, seed=2, subject=700002, date="2024-05-02", **BEHAVIOR)
    broken = simulate(root, seed=3, subject=700003, date="2024-05-03", **{**BEHAVIOR, "sync": True})
    sync = next(broken.path.glob("*.h5"))
    sync.write_bytes(sync.read_bytes()[:2000])
    return root


@pytest.fixture
def cache(raw: Path, tmp_path: Path) -> ProjectCache:
    """The project, with an empty folder for what is built."""
    return ProjectCache.from_raw(raw, cache_dir=tmp_path / "cache", progress=False)


def test_the_table_has_every_session_and_what_is_wrong_with_it(cache: ProjectCache) -> None:
    table = cache.get_session_table()
    assert list(table.index) == [THIRD, SECOND, FIRST]
    assert list(table.is_ephys) == [False, False, True]
    assert table.loc[FIRST, "unit_count"] == 40
    assert table.loc[SECOND, "trial_count"] > 10
    assert set(table.build_state) == {"not built"}
    assert "20240503T" in table.loc[THIRD, "issues"]
    assert "issues" not in cache.get_session_table(suppress=["issues"])


def test_a_session_is_built_when_it_is_asked_for_and_then_read(cache: ProjectCache) -> None:
    session = cache.get_session_data(SECOND)
    assert session.is_built
    made = session.path.stat().st_mtime_ns
    trials = session.trials[:]
    assert len(trials) == cache.get_session_table().loc[SECOND, "trial_count"]
    assert cache.get_session_data("DRpilot_700002_20240502").path.stat().st_mtime_ns == made
    assert cache.get_session_table().loc[SECOND, "build_state"] == "built"
    assert [v.state for v in cache.verify()] == ["good"]


def test_what_only_the_raw_folder_can_say(raw: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(raw / "DRpilot_700002_20240502", root / "DRpilot_700002_20240502")
    cache = ProjectCache.from_raw(root, cache_dir=tmp_path / "cache", progress=False)
    assert [p.stem[:15] for p in cache.get_session_data(SECOND).stim_paths] == ["DynamicRouting1"]
    shutil.rmtree(root / "DRpilot_700002_20240502")
    gone = ProjectCache.from_raw(root, cache_dir=tmp_path / "cache", progress=False)
    session = gone.get_session_data(SECOND)
    assert len(session.trials[:])
    with pytest.raises(AttributeError, match="which is not here"):
        _ = session.stim_paths


def test_a_changed_input_is_a_new_object(raw: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(raw / "DRpilot_700002_20240502", root / "DRpilot_700002_20240502")
    cache = ProjectCache.from_raw(root, cache_dir=tmp_path / "cache", progress=False)
    first = cache.get_session_data(SECOND).path
    (root / "DRpilot_700002_20240502" / "subject.json").write_text('{"subject_id": "700002", "sex": "Male"}')
    assert cache.get_session_table().loc[SECOND, "build_state"] == "outdated"
    second = cache.get_session_data(SECOND).path
    assert second != first
    assert first.exists()


def test_a_session_that_cannot_be_built_does_not_stop_the_others(cache: ProjectCache) -> None:
    with pytest.raises(BuildError, match="20240503T"):
        cache.get_session_data(THIRD)
    with pytest.warns(UserWarning, match=f"{THIRD} was not built"):
        built = cache.fetch()
    assert {str(key.args[0]) for key in built} == {FIRST, SECOND}
    states = cache.get_session_table().build_state
    assert (states[FIRST], states[SECOND], states[THIRD]) == ("built", "built", "failed")
    detail = cache.get_session_table().loc[THIRD, "build_detail"]
    assert "20240503T" in detail


def test_processes_that_race_build_once(raw: Path, tmp_path: Path) -> None:
    cache = ProjectCache.from_raw(raw, cache_dir=tmp_path / "cache", progress=False)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        call = operator.methodcaller("build", SECOND)
        paths = {future.result() for future in [pool.submit(call, cache) for _ in range(4)]}
    assert len(paths) == 1
    assert len(list((tmp_path / "cache").rglob("*.nwb"))) == 1


def test_components_of_the_whole_project_are_one_frame(cache: ProjectCache, raw: Path) -> None:
    with pytest.warns(UserWarning, match=THIRD):
        trials = cache.get_all("trials")
    assert set(trials.session_id) == {FIRST, SECOND}
    assert {"subject_id", "date", "session_idx", "start_time", "is_response"} <= set(trials)
    assert trials.subject_id.dtype == "int64"
    units = cache.get_all("units", [FIRST])
    assert len(units) == 40
    assert not {"spike_times", "waveform_mean"} & set(units)
    spikes = cache.get_all("spike_times", [FIRST])
    assert len(spikes.spike_times[0]) == units.set_index("unit_id").loc[spikes.unit_id[0], "num_spikes"]
    assert list(cache.get_all("running_speed", [SECOND]).columns[:2]) == ["timestamps", "data"]
    assert cache.get_all("units", [SECOND]).empty
    with pytest.raises(UnknownObjectError, match="there are"):
        cache.get_all("cells")
    # what was kept is read the next time, also where nothing can be computed any more
    assert len(list(cache.manifest.folder.glob("components/trials/*.parquet"))) == 2
    pd.testing.assert_frame_equal(cache.get_all("units", [FIRST]), units)


def test_get_sessions_gives_one_some_or_all(raw: Path) -> None:
    one = get_sessions(SECOND, root=raw)
    assert isinstance(one, DynamicRoutingSession)
    assert one.id == SECOND
    assert [str(s.id) for s in get_sessions([FIRST, SECOND], root=raw)] == [FIRST, SECOND]
    assert [str(s.id) for s in get_sessions(root=raw)] == [THIRD, SECOND, FIRST]
    assert [str(s.id) for s in get_sessions(root=raw, is_task=True)] == [SECOND, FIRST]
    assert [str(s.id) for s in get_sessions(root=raw, is_ephys=True)] == [FIRST]
    trials = {s.id: s.trials[:] for s in get_sessions(root=raw, is_task=True)}
    assert [len(t) > 0 for t in trials.values()] == [True, True]


def test_sessions_with_issues_are_left_out_with_a_warning(raw: Path, tmp_path: Path) -> None:
    registry = tmp_path / "tracked.yaml"
    registry.write_text(
        "ephys:\n  DynamicRouting:\n"
        "    - /data/DRpilot_700001_20240501:\n        day: 1\n        issues: [https://example.org/1]\n"
        "behavior:\n  DynamicRouting:\n    - /data/DRpilot_700002_20240502\n    - /data/DRpilot_700009_20240509\n"
    )
    with pytest.warns(UserWarning, match=f"{FIRST} is left out"):
        found = [str(s.id) for s in get_sessions(root=raw, registry=registry)]
    assert found == [THIRD, SECOND]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [str(s.id) for s in get_sessions([FIRST], root=raw, registry=registry)] == [FIRST]
    table = ProjectCache.from_raw(raw, registry=registry).get_session_table()
    assert "example.org/1" in table.loc[FIRST, "issues"]
    assert table.loc[FIRST, "experiment_day"] == 1
    assert table.loc["700009_2024-05-09", "build_state"] == "impossible"


def test_a_manifest_can_say_where_recordings_are(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_CACHE_RAW", str(raw))
    assert len(ProjectCache.open("dynamic-routing").session_ids()) == 3
    monkeypatch.delenv("PROJECT_CACHE_RAW")
    assert ProjectCache.open("dynamic-routing").session_ids() == []
    manifest = tmp_path / "mine.json"
    manifest.write_text(
        json.dumps(
            {
                "format": "project_cache/1",
                "project": "mine",
                "version": "1",
                "session_class": "DynamicRoutingSession",
                "raw": {"roots": [str(raw)]},
            }
        )
    )
    assert len(ProjectCache.open(manifest).session_ids()) == 3


def test_unknown_sessions_are_said(cache: ProjectCache) -> None:
    with pytest.raises(UnknownObjectError, match="no session 111111_2024-01-01"):
        cache.get_session_data("111111_2024-01-01")
    with pytest.raises(UnknownObjectError, match="is not a session id"):
        cache.get_session_data("hello")
    assert "dynamic-routing" in repr(cache)


def test_real_tables_of_thirty_sessions_are_a_project(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "trial_tables"
    cache = ProjectCache.from_raw(folder, cache_dir=tmp_path, progress=False)
    table = cache.get_session_table()
    assert len(table) == 30
    assert (table.issues == "").all()
    assert (table.trial_count > 100).all()
    for session_id in table.index[[0, 29]]:
        assert_reads(cache, session_id, table.loc[session_id, "trial_count"])
    assert len(cache.get_all("performance", table.index[:2]))


@pytest.mark.slow
def test_all_thirty_are_built(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "trial_tables"
    cache = ProjectCache.from_raw(folder, cache_dir=tmp_path, progress=False)
    assert len(cache.fetch()) == 30
    table = cache.get_session_table()
    assert (table.build_state == "built").all()
    mapped = [assert_reads(cache, i, table.loc[i, "trial_count"]) for i in table.index]
    assert sum(mapped) == 11


def assert_reads(cache: ProjectCache, session_id: str, count: int) -> bool:
    """Assert that a session's trials are there; return whether it has mapping tables."""
    with cache.get_session_data(session_id) as session:
        trials = session.trials[:]
        assert len(trials) == count
        assert {"trial_index", "rewarded_modality", "is_block_switch", "repeat_index"} <= set(trials)
        return "vis_rf_mapping_trials" in session.components
