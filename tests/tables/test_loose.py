"""Projects that have not all four of AllenSDK's tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from project_cache.errors import ConfigurationError, UnknownObjectError
from project_cache.manifest.keys import Key
from project_cache.manifest.objects import ObjectEntry
from project_cache.tables.loose import listed_sessions
from project_cache.tables.tables import Tables

SESSIONS = "id,genotype,session_type,date_of_acquisition\nm1_day1,wt/wt,train,2024-05-01\nm2_day1,Vip,test,2024-05-02\n"


def tables(root: Path, **texts: str) -> Tables:
    """Write some tables to a folder, and return what reads them."""
    for name, text in texts.items():
        (root / f"{name}.csv").write_text(text)
    return Tables(lambda key: root / f"{key.kind}.csv", has=lambda kind: (root / f"{kind}.csv").is_file())


def test_sessions_alone_are_as_they_are_in_their_file(tmp_path: Path) -> None:
    known = tables(tmp_path, sessions=SESSIONS)
    found = known.sessions()
    assert found.index.tolist() == ["m1_day1", "m2_day1"]
    assert found.columns.tolist() == ["genotype", "session_type", "date_of_acquisition"]
    assert known.sessions(suppress=["genotype"]).columns.tolist() == ["session_type", "date_of_acquisition"]
    assert known.full_genotypes() == ["wt/wt", "Vip"]
    assert known.session_types() == ["train", "test"]
    assert known.session_ids() == {"m1_day1", "m2_day1"}
    with pytest.raises(ConfigurationError, match="no age_in_days to list"):
        known.ages()


def test_a_table_that_there_is_not_is_said(tmp_path: Path) -> None:
    known = tables(tmp_path, sessions=SESSIONS)
    for name in ("probes", "channels", "units"):
        with pytest.raises(UnknownObjectError, match=f"no table of {name}; it has sessions"):
            getattr(known, name)()
    with pytest.raises(UnknownObjectError, match="no table of probes"):
        known.lfp_probes(1)
    with pytest.raises(UnknownObjectError, match="no tables at all"):
        tables(tmp_path / "none").sessions()


def test_what_is_done_to_a_table_is_not_done_to_the_next(tmp_path: Path) -> None:
    known = tables(tmp_path, sessions=SESSIONS)
    table = known.sessions()
    table.loc["m1_day1", "genotype"] = "other"
    assert known.sessions().genotype["m1_day1"] == "wt/wt"


@pytest.mark.parametrize("link", ["session_id", "ecephys_session_id"])
def test_units_that_say_whose_they_are_are_counted(tmp_path: Path, link: str) -> None:
    units = f"unit_id,{link},quality,snr\n1,m2_day1,good,3\n2,m2_day1,noise,1\n3,m2_day1,good,2\n4,nobody,good,2\n"
    known = tables(tmp_path, sessions=SESSIONS, units=units)
    assert known.sessions().unit_count.tolist() == [0, 2]
    assert "probe_count" not in known.sessions().columns
    found = known.units()
    assert found.index.tolist() == [1, 3, 4]
    assert found.index.name == "unit_id"
    assert known.units(filter_by_validity=False).index.tolist() == [1, 2, 3, 4]
    assert known.units(suppress="snr").columns.tolist() == [link, "quality"]


def test_bounds_hold_for_the_metrics_that_there_are(tmp_path: Path) -> None:
    known = tables(
        tmp_path, sessions=SESSIONS, units="id,session_id,presence_ratio\n1,m1_day1,0.99\n2,m1_day1,0.5\n"
    )
    assert known.units().index.tolist() == [1]
    assert known.units(presence_ratio_minimum=0.4).index.tolist() == [1, 2]
    assert known.units(presence_ratio_minimum=None, amplitude_cutoff_maximum=None).index.tolist() == [1, 2]
    with pytest.raises(ConfigurationError, match="have no amplitude_cutoff"):
        known.units(amplitude_cutoff_maximum=0.1)
    with pytest.raises(ConfigurationError, match="no unit filter"):
        known.units(presence=0.1)
    with pytest.raises(ConfigurationError, match="in which structure"):
        known.units(only_in_brain=True)


def test_counts_by_way_of_probes_and_channels(tmp_path: Path) -> None:
    known = tables(
        tmp_path,
        sessions=SESSIONS,
        probes="id,session_id\n10,m1_day1\n20,m2_day1\n21,m2_day1\n",
        units="id,probe_id\n1,20\n2,21\n3,10\n4,99\n",
    )
    found = known.sessions()
    assert found.probe_count.tolist() == [1, 2]
    assert found.unit_count.tolist() == [1, 2]
    assert known.probes().columns.tolist() == ["session_id"]


def test_units_that_lead_nowhere_are_not_counted(tmp_path: Path) -> None:
    known = tables(tmp_path, sessions=SESSIONS, units="id,snr\n1,2\n")
    assert "unit_count" not in known.sessions().columns
    assert len(known.units()) == 1


def test_numbers_among_names_are_numbers(tmp_path: Path) -> None:
    known = tables(tmp_path, sessions="session_id,sex\n7,F\nm1,M\n")
    assert known.session_ids() == {7, "m1"}
    assert known.sessions().index.name == "session_id"


def test_sessions_that_a_manifest_names(tmp_path: Path) -> None:
    file = tmp_path / "here.nwb"
    file.write_bytes(b"12345")
    entries = [
        ObjectEntry(Key("session_nwb", (7,)), size=10, session_class="EcephysSession"),
        ObjectEntry(Key("session_nwb", ("m1",))),
        ObjectEntry(Key("sessions"), size=3),
    ]
    found = listed_sessions(entries, {Key("session_nwb", (3,)): file}, "Session")
    assert found.index.tolist() == [3, 7, "m1"]
    assert found.session_class.tolist() == ["Session", "EcephysSession", "Session"]
    assert found["size"].tolist() == [5, 10, pd.NA]
    assert listed_sessions([], {}, "Session").empty
