"""ProjectCache: its folders, offline, its sessions and their files, and how it travels between processes."""

from __future__ import annotations

import json
import multiprocessing
import operator
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from project_cache import ProjectCache
from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    MissingObjectError,
    OfflineError,
    ServerError,
    UnknownObjectError,
)
from project_cache.testing.faults import html_page, status, truncated
from project_cache.testing.warehouse import LoopbackWarehouse

SESSION = 715093703

#: the recording has such intervals, and the session says so once
pytestmark = pytest.mark.filterwarnings("ignore:Parts of this session are marked as invalid")


def visible(folder: Path) -> list[str]:
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    )


# As AllenSDK has it ----------------------------------------------------------------------------


def test_no_part_of_it_hides_another() -> None:
    parts = ProjectCache.__mro__[1:-1]
    names = [name for part in parts for name in vars(part) if not name.startswith("__")]
    assert sorted(names) == sorted({*names} - {*vars(ProjectCache)})


def test_constants_are_allensdks() -> None:
    assert ProjectCache.MANIFEST_VERSION == "0.3.0"
    assert (ProjectCache.SESSION_NWB_KEY, ProjectCache.NATURAL_MOVIE_DIR_KEY) == ("session_nwb", "movie_dir")


def test_paths_are_asked_for_as_in_allensdk(drive: Path) -> None:
    cache = ProjectCache.fixed(drive / "manifest.json")
    nwb = str(drive / "session_7" / "session_7.nwb")
    assert cache.get_cache_path(None, cache.SESSION_NWB_KEY, 7, 7) == nwb
    assert cache.get_cache_path(None, cache.SESSION_NWB_KEY, 7) == nwb
    assert cache.get_cache_path(None, cache.PROBE_LFP_NWB_KEY, 7, 8) == str(
        drive / "session_7" / "probe_8_lfp.nwb"
    )
    assert cache.get_cache_path("x.nwb", cache.SESSION_NWB_KEY) == "x.nwb"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cache": False}, "cache=False"),
        ({"stream_writer": print}, "stream_writer="),
        ({"fetch_api": object()}, "not object"),
        ({"fetch_tries": 0}, "fetch_tries"),
        ({"layers": ["/nowhere/at/all"]}, "drive is mounted"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ProjectCache(**arguments)


def test_the_repr_says_what_and_where_and_reads_nothing(drive: Path, tmp_path: Path) -> None:
    cache = ProjectCache.from_warehouse(
        manifest=tmp_path / "mine" / "manifest.json", layers=[drive], offline=False
    )
    said = repr(cache)
    assert said.startswith("<ProjectCache mine>")
    assert str(tmp_path / "mine") in said
    assert str(drive) in said
    assert "offline" in repr(ProjectCache.fixed(drive / "manifest.json"))
    cache.get_session_table()
    html = cache._repr_html_()
    assert "sessions" in html
    assert "<script" not in html
    shutil.rmtree(drive)
    assert repr(cache).startswith("<ProjectCache mine>")


# A drive, and no network -----------------------------------------------------------------------


def test_a_preloaded_drive_is_all_it_takes(drive: Path, no_network: None) -> None:
    before = visible(drive)
    for cache in (
        ProjectCache.fixed(drive / "manifest.json"),
        ProjectCache.from_warehouse(manifest=drive / "manifest.json", offline=True),
        ProjectCache.open(drive),
        ProjectCache.open(drive / "manifest.json", offline=True),
    ):
        sessions = cache.get_session_table()
        assert list(sessions.index) == [SESSION]
        session = cache.get_session_data(sessions.index[0])
        unit = session.units.index[0]
        assert len(session.spike_times[unit]) > 0
    assert visible(drive) == before


def test_offline_is_said_by_the_environment_as_well(
    drive: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setenv("PROJECT_CACHE_OFFLINE", "1")
    cache = ProjectCache.from_warehouse(manifest=drive / "manifest.json")
    assert cache.offline
    (drive / f"session_{SESSION}" / f"session_{SESSION}.nwb").unlink()
    with pytest.raises(OfflineError, match=f"project-cache fetch session_nwb/{SESSION} --manifest {drive}"):
        cache.get_session_data(SESSION)


def test_a_drive_with_sessions_and_no_tables_opens_them(drive: Path, no_network: None) -> None:
    for name in ("sessions", "probes", "channels", "units"):
        (drive / f"{name}.csv").unlink()
    cache = ProjectCache.fixed(drive / "manifest.json")
    session = cache.get_session_data(SESSION)
    with pytest.warns(UserWarning, match="those of the session's file alone: channels is not in the cache"):
        units = session.units
    assert {"structure_acronym", "probe_description"} <= set(units.columns)
    with pytest.raises(OfflineError, match=r"sessions is not in the cache .*fetch sessions"):
        cache.get_session_table()


def test_an_unknown_session_is_told_before_anything_is_asked(drive: Path, no_network: None) -> None:
    with pytest.raises(UnknownObjectError, match="has no session 7; get_session_table"):
        ProjectCache.fixed(drive / "manifest.json").get_session_data(7)
    with pytest.raises(UnknownObjectError, match="not a session id"):
        ProjectCache.fixed(drive / "manifest.json").get_session_data(1.5)  # type: ignore[arg-type]


def test_a_layer_serves_what_it_has_and_the_own_folder_the_rest(
    drive: Path, tmp_path: Path, no_network: None
) -> None:
    own = tmp_path / "own" / "manifest.json"
    cache = ProjectCache(fetch_api=[], manifest=own, layers=[drive])
    assert cache.get_session_data(SESSION).path.is_relative_to(drive)
    assert list(cache.get_session_table().index) == [SESSION]
    assert visible(own.parent) == ["manifest.json"]


def test_layers_are_named_by_the_environment(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_CACHE_LAYERS", os.pathsep.join([str(drive)]))
    cache = ProjectCache(fetch_api=[], manifest=tmp_path / "own" / "manifest.json")
    assert [layer.folder for layer in cache.store.layers] == [drive]


# The warehouse ---------------------------------------------------------------------------------


def test_a_session_comes_from_the_warehouse_once(drive: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "manifest.json"
    with LoopbackWarehouse(drive) as warehouse:
        cache = ProjectCache.from_warehouse("http", warehouse.host, manifest=own)
        sessions = cache.get_session_table()
        session = cache.get_session_data(sessions.index[0])
        assert (
            session.path.read_bytes()
            == (drive / f"session_{SESSION}" / f"session_{SESSION}.nwb").read_bytes()
        )
        asked = len(warehouse.server.log)
        again = ProjectCache.from_warehouse("http", warehouse.host, manifest=own)
        again.get_session_table()
        again.get_session_data(SESSION)
        assert len(warehouse.server.log) == asked
    assert ProjectCache.fixed(own).get_session_data(SESSION).num_units == session.num_units
    assert all(v.ok for v in cache.verify())


def test_lfp_is_fetched_on_request(drive: Path, tmp_path: Path) -> None:
    with LoopbackWarehouse(drive) as warehouse:
        cache = ProjectCache.from_warehouse(
            "http", warehouse.host, manifest=tmp_path / "own" / "manifest.json"
        )
        found = cache.fetch([SESSION], lfp=True)
    assert sorted(path.name for path in found.values()) == [
        "probe_811458797_lfp.nwb",
        "probe_811458807_lfp.nwb",
        f"session_{SESSION}.nwb",
    ]


@pytest.mark.parametrize("fault", ["html", "503", "truncated", "500"])
def test_a_fault_of_the_server_is_healed_or_told_and_never_stored(
    drive: Path, tmp_path: Path, fault: str
) -> None:
    faults = {
        "html": html_page(),
        "503": status(503, retry_after=0),
        "truncated": truncated(2_000_000),
        "500": status(500),
    }
    with LoopbackWarehouse(drive) as warehouse:
        cache = ProjectCache.from_warehouse(
            "http", warehouse.host, manifest=tmp_path / "own" / "manifest.json"
        )
        cache.get_session_table()
        link = warehouse.link(f"session_{SESSION}/session_{SESSION}.nwb")
        warehouse.server.misbehave(link, faults[fault], first=1)
        path = cache.get_session_data(SESSION).path
    assert path.read_bytes() == (drive / f"session_{SESSION}" / f"session_{SESSION}.nwb").read_bytes()


def test_a_server_that_has_it_no_more_says_so(drive: Path, tmp_path: Path) -> None:
    with LoopbackWarehouse(drive) as warehouse:
        cache = ProjectCache.from_warehouse(
            "http", warehouse.host, manifest=tmp_path / "own" / "manifest.json"
        )
        cache.get_session_table()
        warehouse.server.misbehave(warehouse.link(f"session_{SESSION}/session_{SESSION}.nwb"), status(403))
        with pytest.raises((ServerError, MissingObjectError), match="403"):
            cache.get_session_data(SESSION)
    assert not [name for name in visible(tmp_path / "own") if name.endswith(".nwb")]


def test_eight_processes_and_one_download(drive: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "manifest.json"
    code = (
        "import sys; from project_cache import EcephysProjectCache as C\n"
        "c = C.from_warehouse('http', sys.argv[1], manifest=sys.argv[2])\n"
        f"s = c.get_session_data({SESSION}); print(s.num_units)"
    )
    with LoopbackWarehouse(drive) as warehouse:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", code, warehouse.host, str(own)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(8)
        ]
        said = [process.communicate(timeout=120) for process in started]
        assert [p.returncode for p in started] == [0] * 8, said
        assert len({out for out, _ in said}) == 1
        downloads = [e for e in warehouse.server.log if "well_known_file_download" in e.path]
        assert len(downloads) == 1


def test_a_cut_file_of_another_tool_is_fetched_anew(drive: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(drive, own)
    nwb = own / f"session_{SESSION}" / f"session_{SESSION}.nwb"
    good = nwb.read_bytes()
    nwb.write_bytes(good[:1_000_000])
    with pytest.raises(CorruptObjectError, match="cut short"):
        ProjectCache.fixed(own / "manifest.json").get_session_data(SESSION)
    with LoopbackWarehouse(drive) as warehouse:
        ProjectCache.from_warehouse("http", warehouse.host, manifest=own / "manifest.json").get_session_data(
            SESSION
        )
    assert nwb.read_bytes() == good


# What belongs to a session ----------------------------------------------------------------------


def test_lfp_is_had_through_the_store_when_it_is_asked_for(drive: Path, tmp_path: Path) -> None:
    with LoopbackWarehouse(drive) as warehouse:
        cache = ProjectCache.from_warehouse(
            "http", warehouse.host, manifest=tmp_path / "own" / "manifest.json"
        )
        session = cache.get_session_data(SESSION)
        probe = session.probes.index[0]
        assert not list((tmp_path / "own").rglob("probe_*_lfp.nwb"))
        lfp = session.get_lfp(probe)
        assert [p.name for p in (tmp_path / "own").rglob("probe_*_lfp.nwb")] == [f"probe_{probe}_lfp.nwb"]
    assert lfp.dims == ("time", "channel")


def test_metrics_follow_on_the_right_where_they_are_at_hand(drive: Path, no_network: None) -> None:
    with_metrics = ProjectCache.fixed(drive / "manifest.json").get_session_data(SESSION).units
    (drive / f"session_{SESSION}" / f"session_{SESSION}_analysis_metrics.csv").unlink()
    without = ProjectCache.fixed(drive / "manifest.json").get_session_data(SESSION).units
    more = list(with_metrics.columns)[len(without.columns) :]
    assert list(with_metrics.columns)[: len(without.columns)] == list(without.columns)
    assert "g_dsi_dg" in more


def test_templates_are_read_from_what_allensdk_calls_h5_and_tiff(tmp_path: Path) -> None:
    import numpy as np
    import tifffile

    movie = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    scene = np.arange(12, dtype=np.float32).reshape(3, 4)
    (tmp_path / "natural_movie_templates").mkdir()
    (tmp_path / "natural_scene_templates").mkdir()
    with (tmp_path / "natural_movie_templates" / "natural_movie_1.h5").open("wb") as file:
        np.save(file, movie)
    tifffile.imwrite(tmp_path / "natural_scene_templates" / "natural_scene_7.tiff", scene)
    (tmp_path / "natural_movie_templates" / "natural_movie_3.h5").write_bytes(b"\x80\x04N.")
    cache = ProjectCache(fetch_api=[], manifest=tmp_path / "manifest.json")
    np.testing.assert_array_equal(cache.get_natural_movie_template(1), movie)
    np.testing.assert_array_equal(cache.get_natural_scene_template(7), scene)
    with pytest.raises(CorruptObjectError, match="not a movie template"):
        cache.get_natural_movie_template(3)


# Between processes -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_caches_and_sessions_go_to_other_processes(drive: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    cache = ProjectCache.fixed(drive / "manifest.json")
    session = cache.get_session_data(SESSION)
    count = session.num_units
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(operator.attrgetter("num_units"), [session] * 3) == [count] * 3
        opened = pool.map(operator.methodcaller("get_session_data", SESSION), [cache] * 3)
    assert [each.num_units for each in opened] == [count] * 3


def test_a_pickle_names_the_session_and_carries_no_data(drive: Path) -> None:
    cache = ProjectCache.fixed(drive / "manifest.json")
    session = cache.get_session_data(SESSION, amplitude_cutoff_maximum=None)
    count = session.num_units
    data = pickle.dumps(session)
    assert len(data) < 20_000
    assert pickle.loads(data).num_units == count
    assert pickle.loads(pickle.dumps(cache)).get_session_table().equals(cache.get_session_table())


def test_the_tables_of_a_project_may_be_parquet(drive: Path, no_network: None) -> None:
    import pandas as pd

    expected = ProjectCache.fixed(drive / "manifest.json")
    sessions, units = expected.get_session_table(), expected.get_units()
    places = {}
    for name in ("sessions", "probes", "channels", "units"):
        pd.read_csv(drive / f"{name}.csv").to_parquet(drive / f"{name}.parquet")
        (drive / f"{name}.csv").unlink()
        places[name] = f"{name}.parquet"
    (drive / "project.json").write_text(
        json.dumps({"format": "project_cache/1", "project": "p", "version": "1", "tables": places})
    )
    cache = ProjectCache.open(drive / "project.json", offline=True)
    pd.testing.assert_frame_equal(cache.get_session_table(), sessions)
    pd.testing.assert_frame_equal(cache.get_units(), units)
    (drive / "units.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptObjectError, match=r"units\.parquet"):
        ProjectCache.open(drive / "project.json", offline=True).get_units()
