"""Sessions that are known by their tables only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project_cache.errors import CorruptObjectError
from project_cache.raw.recording import RawRecording
from project_cache.raw.roots import recordings_by_session
from project_cache.raw.trial_tables import count_rows, read_table, read_table_descriptions, read_tables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "DRpilot_649943_20230216"
    (root / "intervals").mkdir(parents=True)
    for name in ("session", "subject", "paths"):
        (root / f"{name}.json").write_text(json.dumps({"session_id": root.name}))
    (root / "intervals" / "task_trials.csv").write_text(
        "start_time,stop_time,stim_name,stim_index,context_name,index,repeat_number,is_response,is_context_switch\n"
        "1065.1010191617916,1070.5,sound1,1,sound,0.0,0.0,True,False\n"
        "1071.8,1075.5,,2,vis,,,,True\n"
    )
    (root / "intervals" / "task_trials.json").write_text(
        json.dumps({"column_names_to_descriptions": {"index": "trial number", "stim_name": "the stimulus"}})
    )
    (root / "intervals" / "aud_mapping_trials.csv").write_text("start_time,index,is_AM_noise,freq\n")
    return root


def test_tables_get_todays_names(folder: Path) -> None:
    recording = RawRecording(folder)
    assert (recording.layout, recording.id) == ("tables", "649943_2023-02-16")
    assert list(recording.tables) == ["aud_rf_mapping_trials", "trials"]
    trials = recording.tables["trials"]
    assert list(trials.columns) == [
        "start_time", "stop_time", "stim_name", "stim_index", "rewarded_modality", "trial_index", "repeat_index",
        "is_response", "is_block_switch",
    ]  # fmt: skip
    assert trials["start_time"].iloc[0] == 1065.1010191617916
    assert trials["rewarded_modality"].tolist() == ["aud", "vis"]
    assert trials["stim_name"].tolist() == ["sound1", ""]
    assert trials["is_response"].tolist() == [True, False]
    assert [trials[name].dtype for name in ("stim_index", "trial_index", "is_response")] == [int, float, bool]
    assert np.isnan(trials["trial_index"].iloc[1])
    assert recording.table_descriptions["trials"] == {
        "trial_index": "trial number",
        "stim_name": "the stimulus",
    }
    assert recording.session_description == {"session_id": folder.name}
    assert (recording.is_task, recording.is_sync, recording.stim_paths) == (False, False, ())


def test_rows_are_counted_without_being_read(folder: Path) -> None:
    paths = RawRecording(folder).table_paths
    assert {name: count_rows(path) for name, path in paths.items()} == {
        "aud_rf_mapping_trials": 0,
        "trials": 2,
    }
    trials = paths["trials"]
    for text in ('start_time,a\r\n1,"x\ny"\r\n\r\n2\r\n', "a,start_time\n1,2\n3,4"):
        trials.write_bytes(text.encode())
        assert count_rows(trials) == len(pd.read_csv(trials)) == 2
    for text in ("", "stop_time\n1\n", "start_time,index,trial_index\n1,2,3\n", "start_time\n1,2,3\n"):
        trials.write_text(text)
        with pytest.raises(CorruptObjectError, match="task_trials"):
            count_rows(trials)


def test_an_empty_table_has_its_columns(folder: Path) -> None:
    table = read_tables(folder)["aud_rf_mapping_trials"]
    assert list(table.columns) == ["start_time", "trial_index", "is_AM_noise", "freq"]
    assert table["is_AM_noise"].dtype == bool
    assert table["start_time"].dtype == float


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "start_time,is_go\n1,maybe\n",
        "start_time\nsoon\n",
        "start_time,index,trial_index\n1,2,3\n",
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task_trials.csv"
    path.write_text(text)
    with pytest.raises(CorruptObjectError, match=r"task_trials\.csv"):
        read_table(path)


def test_descriptions_that_are_damaged_are_named(folder: Path) -> None:
    (folder / "intervals" / "task_trials.json").write_text("{}")
    with pytest.raises(CorruptObjectError, match=r"task_trials\.json"):
        read_table_descriptions(folder)


def test_all_real_sessions(shared: Path) -> None:
    recordings = [
        RawRecording(path)
        for path in recordings_by_session(shared / "data" / "dynamic_routing" / "trial_tables").values()
    ]
    assert len(recordings) == 30
    assert sum("vis_rf_mapping_trials" in recording.tables for recording in recordings) == 11
    assert sum("aud_rf_mapping_trials" in recording.tables for recording in recordings) == 11
    kinds: dict[tuple[str, str], set[str]] = {}
    for recording in recordings:
        for name, table in recording.tables.items():
            original = (
                recording.root / "intervals" / f"{name.replace('_rf', '').replace('trials', 'trials')}.csv"
            )
            if name == "trials":
                original = recording.root / "intervals" / "task_trials.csv"
            assert isinstance(original, Path)
            with original.open() as lines:
                assert len(table) == sum(1 for _ in lines) - 1
            assert table["start_time"].is_monotonic_increasing
            described = recording.table_descriptions[name]
            assert set(table.columns) <= set(described)
            for column in table:
                kinds.setdefault((name, str(column)), set()).add(str(table[column].dtype))
        assert set(recording.tables["trials"]["rewarded_modality"]) <= {"vis", "aud"}
    # one kind for each column, over all sessions
    assert all(len(each) == 1 for each in kinds.values())
    assert {kind for (_, column), each in kinds.items() if column.startswith("is_") for kind in each} == {
        "bool"
    }
    together = pd.concat([recording.tables["trials"] for recording in recordings])
    assert len(together) == sum(len(recording.tables["trials"]) for recording in recordings)
