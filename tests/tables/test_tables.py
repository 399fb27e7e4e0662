"""Tables on small folders that are made here; that they are AllenSDK's is asserted in tests/conformance."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache.errors import ConfigurationError, CorruptObjectError, ProjectCacheError, StoreError
from project_cache.manifest.keys import Key
from project_cache.tables.tables import Tables

SESSIONS = """id,session_type,age_in_days,sex,genotype,has_nwb,note
3,functional_connectivity,118.0,M,wt/wt,True,None
1,brain_observatory_1.1,,NA,Vip,False,null
"""
PROBES = """id,ecephys_session_id,lfp_sampling_rate,lfp_temporal_subsampling_factor,name,phase,sampling_rate,has_lfp_data
30,3,2500.0,2.0,probeA,3a,30000.0,True
10,1,2500.0,2.0,probeA,3a,30000.0,True
31,3,2500.0,2.0,probeB,3a,30000.0,False
99,77,2500.0,2.0,lost,3a,30000.0,True
"""
CHANNELS = """id,ecephys_probe_id,local_index,anterior_posterior_ccf_coordinate,dorsal_ventral_ccf_coordinate,left_right_ccf_coordinate,ecephys_structure_id,ecephys_structure_acronym
300,30,0,7000,1,2,385,VISp
310,31,5,7001,1,2,,
100,10,0,7002,1,2,382,CA1
301,30,1,7003,1,2,382,CA1
"""
UNITS = """id,ecephys_channel_id,amplitude_cutoff,presence_ratio,isi_violations,quality,snr
5,301,0.01,0.99,0.1,good,0.13404169724716475
4,300,0.1,0.95,0.5,good,2
3,310,0.01,1.0,0.1,good,3
2,100,,1.0,0.1,good,4
1,100,0.01,1.0,0.1,noise,5
0,100,0.3,1.0,0.1,good,6
"""
METRICS = """ecephys_unit_id,area_rf,on_screen_rf,pref_images_multi_ns
3,100.0,True,"[1, 2]"
5,,,"[]"
77,1.5,False,
"""


def project(root: Path, **tables: str) -> Path:
    """Write a project's tables to a folder."""
    root.mkdir(exist_ok=True)
    own = {"sessions": SESSIONS, "probes": PROBES, "channels": CHANNELS, "units": UNITS, "metrics": METRICS}
    for name, text in {**own, **tables}.items():
        (root / f"{name}.csv").write_text(text)
    return root


def tables(root: Path, may_keep: Callable[[Key, Path], bool] = lambda key, path: True) -> Tables:
    return Tables(lambda key: root / (f"{key}.csv" if not key.args else "metrics.csv"), may_keep)


def hidden_in(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name.startswith("."))


def test_counts_and_structures(tmp_path: Path) -> None:
    found = tables(project(tmp_path)).sessions()
    assert found.index.tolist() == [3, 1]
    # Of session 1 no unit passes: one is not measured, one is noise, one has its amplitude cut off.
    assert found.unit_count.tolist() == [3, 0]
    assert found.channel_count.tolist() == [3, 1]
    assert found.probe_count.tolist() == [2, 1]
    assert [list(map(str, cell)) for cell in found.ecephys_structure_acronyms] == [
        ["VISp", "CA1", "nan"],
        ["CA1"],
    ]
    assert "has_nwb" not in found.columns
    assert "full_genotype" in found.columns


def test_text_is_object_and_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    sessions, units = known.sessions(), known.units()
    assert (
        sessions.dtypes[["session_type", "sex", "full_genotype", "note"]].tolist() == [np.dtype(object)] * 4
    )
    assert sessions.note[3] == "None"
    assert isinstance(sessions.note[1], float)
    assert isinstance(sessions.sex[1], float)
    # pandas 3.1 rounds the last bits of 17 digits as it should; pandas 1.5, and so AllenSDK, did not
    assert units.snr[5] == pytest.approx(float.fromhex("0x1.1284740fd0b3ep-3"), rel=1e-15)


def test_what_is_done_to_a_table_is_not_done_to_the_next(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    first = known.sessions()
    first.loc[3, "unit_count"] = -1
    first.ecephys_structure_acronyms[3][0] = "elsewhere"
    del first["sex"]
    again = known.sessions()
    assert again.unit_count[3] == 3
    assert again.ecephys_structure_acronyms[3][0] == "VISp"
    assert "sex" in again.columns
    probes = known.probes()
    probes.ecephys_structure_acronyms[30][0] = "elsewhere"
    assert known.probes().ecephys_structure_acronyms[30][0] == "VISp"
    units = known.units()
    units["snr"] = 0.0
    assert known.units().snr[4] == 2.0


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    assert known.sessions().unit_count[1] == 0
    path = tmp_path / "units.csv"
    path.write_text(UNITS.replace("1,100,0.01,1.0,0.1,noise,5", "1,100,0.01,1.0,0.1,good,5"))
    os.utime(path, ns=(1, 10**18))
    assert known.sessions().unit_count[1] == 1
    assert tables(tmp_path).sessions().unit_count[1] == 1


@pytest.mark.parametrize("suppress", [["snr"], ("snr",), "snr", {"snr"}, pd.Index(["snr", "no such"])])
def test_columns_that_are_left_out(tmp_path: Path, suppress: Any) -> None:
    known = tables(project(tmp_path))
    assert "snr" not in known.units(suppress=suppress).columns
    assert "lfp_temporal_subsampling_factor" in known.units(suppress=suppress).columns
    assert "sex" not in known.sessions(suppress=["sex"]).columns


# Filters ---------------------------------------------------------------------------------------


def test_limits_are_inclusive_and_none_is_no_limit(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    assert set(known.units().index) == {3, 4, 5}
    assert 0 in known.units(amplitude_cutoff_maximum=None).index
    assert 1 in known.units(filter_by_validity=False).index
    assert "quality" in known.units(filter_by_validity=False).columns
    assert len(known.units(amplitude_cutoff_maximum=0)) == 0


def test_right_answers_by_keyword(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    assert 2 not in known.units(amplitude_cutoff_maximum=None).index
    assert 2 in known.units(amplitude_cutoff_maximum=None, keep_unmeasured=True).index
    assert 2 not in known.units(keep_unmeasured=True).index
    assert 3 in known.units().index
    assert 3 not in known.units(only_in_brain=True).index
    assert "name" in known.units().columns
    named = {"probe_name", "probe_phase", "probe_sampling_rate", "probe_lfp_sampling_rate"}
    assert named <= set(known.units(probe_names=True).columns)


def test_units_that_say_themselves_that_they_are_outside(tmp_path: Path) -> None:
    lines = UNITS.splitlines()
    outside = [f"{lines[0]},ecephys_structure_id", f"{lines[1]},385", *(f"{line}," for line in lines[2:])]
    known = tables(project(tmp_path, units="\n".join(outside) + "\n"))
    assert known.units().index.tolist() == [5]
    assert set(known.units(filter_out_of_brain_units=False).index) == {3, 4, 5}
    assert known.sessions().unit_count[3] == 1


@pytest.mark.parametrize(
    "options", [{"amplitude_cutof_maximum": 0.1}, {"presence_ratio": 0.9}, {"amplitude_cutoff_minimum": 1}]
)
def test_a_filter_that_is_spelt_wrong_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    known = tables(project(tmp_path))
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        known.units(**options)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        known.type_metrics("functional_connectivity", **options)


# Metrics ---------------------------------------------------------------------------------------


def test_metrics(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    own = known.session_metrics(3, annotate=False)
    assert own.index.tolist() == [3, 5, 77]
    assert own.index.name == "ecephys_unit_id"
    assert own.pref_images_multi_ns[3] == "[1, 2]"
    lists = known.session_metrics(3, annotate=False, parse_lists=True)
    assert lists.pref_images_multi_ns[3] == [1, 2]
    assert isinstance(lists.pref_images_multi_ns[77], float)
    beside = known.session_metrics(3)
    assert sorted(beside.index) == [3, 5]
    assert beside.index.name == "ecephys_unit_id"
    assert beside.columns[-3:].tolist() == ["area_rf", "on_screen_rf", "pref_images_multi_ns"]
    assert known.type_metrics("functional_connectivity", annotate=False).equals(own)


def test_a_type_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="functional_connectivity, brain_observatory_1.1") as caught:
        tables(project(tmp_path)).type_metrics("brain_observatory")
    assert isinstance(caught.value, ProjectCacheError)


def test_lists(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    assert known.session_types() == ["functional_connectivity", "brain_observatory_1.1"]
    assert known.full_genotypes() == ["wt/wt", "Vip"]
    assert list(map(str, known.ages())) == ["118.0", "nan"]
    assert list(map(str, known.sexes())) == ["M", "nan"]
    assert list(map(str, known.structure_acronyms())) == ["VISp", "CA1", "nan"]
    with pytest.raises(ConfigurationError):
        known.sexes(suppress=["sex"])


def test_what_the_cache_asks(tmp_path: Path) -> None:
    known = tables(project(tmp_path))
    assert set(known.session_ids()) == {1, 3}
    assert known.lfp_probes(3) == [30]
    places = known.session_channels()
    assert places.columns[:2].tolist() == ["ecephys_structure_id", "ecephys_structure_acronym"]
    assert places.ecephys_structure_acronym[300] == "VISp"


# Files that are not what they should be -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("<!DOCTYPE html>\n<html><body>Sorry, come back later</body></html>\n", "web page"),
        (UNITS[:-12], "cut off"),
        (UNITS.replace(",noise", ",noise,1,2,3"), "damaged"),
        (UNITS.replace("id,eceph", "unit,eceph"), "no column 'id'"),
        (UNITS.replace("presence_ratio", "presence"), "presence_ratio"),
        (UNITS.replace("ecephys_channel_id", "channel"), "ecephys_channel_id"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, what: str) -> None:
    known = tables(project(tmp_path, units=text))
    for call in (known.sessions, known.units):
        with pytest.raises(CorruptObjectError, match=what) as caught:
            call()
        assert str(tmp_path / "units.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "column"), [("probes", "ecephys_session_id"), ("channels", "ecephys_probe_id")]
)
def test_a_table_without_its_parents_is_named(tmp_path: Path, name: str, column: str) -> None:
    own = {"probes": PROBES, "channels": CHANNELS}[name]
    known = tables(project(tmp_path, **{name: own.replace(column, "parent")}))
    for call in (known.sessions, known.probes, known.channels, known.units):
        with pytest.raises(CorruptObjectError, match=column) as caught:
            call()
        assert f"{name}.csv" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "probes.csv").unlink()
    with pytest.raises(StoreError, match=r"probes\.csv"):
        tables(tmp_path).sessions()


def test_tables_with_no_rows(tmp_path: Path) -> None:
    known = tables(project(tmp_path, units=UNITS.splitlines()[0] + "\n"))
    assert known.sessions().unit_count.tolist() == [0, 0]
    assert len(known.units()) == 0


# Parsed copies ---------------------------------------------------------------------------------


def large(root: Path) -> Path:
    """Write a project whose units' file is large enough for a copy."""
    rng = np.random.default_rng(0)
    rows = [
        f"{n},{300 + n % 2},0.01,0.99,0.1,{'good' if n % 3 else 'noise'},{float(rng.random())!r}"
        for n in range(24_000)
    ]
    return project(root, units="\n".join([UNITS.splitlines()[0], *rows]) + "\n")


@pytest.fixture
def arrow() -> None:
    pytest.importorskip("pyarrow", exc_type=ImportError, reason="no copies without a pyarrow that works")


def moved(source: Path, target: Path) -> Path:
    """Return a copy of a folder, times included: as new to this process."""
    return shutil.copytree(source, target, copy_function=shutil.copy2)


@pytest.mark.usefixtures("arrow")
def test_a_copy_gives_the_same(tmp_path: Path) -> None:
    root = large(tmp_path / "a")
    first = tables(root).units(suppress=[])
    assert [path.name for path in hidden_in(root)] == [".units.csv.parquet", ".units.csv.parquet.json"]
    again = tables(moved(root, tmp_path / "b")).units(suppress=[])
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    assert again.dtypes.equals(first.dtypes)


@pytest.mark.usefixtures("arrow")
def test_a_damaged_copy_is_as_good_as_none(tmp_path: Path) -> None:
    root = large(tmp_path / "a")
    first = tables(root).units()
    data = hidden_in(root)[0].read_bytes()
    broken = [b"", b"PAR1", b"\0" * len(data), data[: len(data) // 2], data[:-1], data + b"\0"]
    for position in np.linspace(0, len(data) - 1, 25).astype(int):
        broken.append(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
    note = b'{"format": "project_cache table 1"}'
    for number, (name, each) in enumerate(
        [(0, data) for data in broken] + [(1, b""), (1, b"[]"), (1, b"{"), (1, note)]
    ):
        other = moved(root, tmp_path / str(number))
        hidden_in(other)[name].write_bytes(each)
        pd.testing.assert_frame_equal(tables(other).units(), first, check_exact=True)
        shutil.rmtree(other)


@pytest.mark.usefixtures("arrow")
def test_a_copy_of_another_state_is_not_used(tmp_path: Path) -> None:
    root = large(tmp_path / "a")
    tables(root).units()
    path = root / "units.csv"
    path.write_text(path.read_text().replace("noise", "other"))
    assert len(tables(root).units()) == 16_000
    assert "other" in set(tables(root).units(filter_by_validity=False).quality)


def test_nothing_is_written_where_it_may_not(tmp_path: Path) -> None:
    root = large(tmp_path / "a")
    assert len(tables(root, lambda key, path: False).units()) == 16_000
    assert hidden_in(root) == []


def test_small_files_have_no_copy(tmp_path: Path) -> None:
    tables(project(tmp_path)).sessions()
    assert hidden_in(tmp_path) == []


def test_threads_that_ask_at_once_all_get_the_table(tmp_path: Path) -> None:
    known = tables(large(tmp_path / "a"))
    lengths: list[int] = []
    asking = [threading.Thread(target=lambda: lengths.append(len(known.units()))) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert lengths == [16_000] * 4
