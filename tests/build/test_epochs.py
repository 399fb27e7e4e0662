"""Epochs: the scripts of a session, and what kind of epoch each made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.epochs import epochs, epochs_table
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

SESSION = "data/dynamic_routing/raw_session"
FOLDER = "DRpilot_712345_20231114"
SEIZURE = ({"start_time": 530.71, "stop_time": 550.26, "reason": "seizure"},)


def table_of(folder: Path, is_wildtype: bool = False, **given: object) -> pd.DataFrame:
    raw, options = RawRecording(folder), Options(**given)  # type: ignore[arg-type]
    return epochs_table(raw, SessionClock(raw, options), options, is_wildtype)


def test_the_epochs_of_a_simulated_session(shared: Path) -> None:
    wanted = pd.read_csv(shared / SESSION / "truth/epochs.csv").fillna("")
    made = table_of(shared / SESSION / FOLDER, invalid_times=SEIZURE)
    np.testing.assert_allclose(made["start_time"], wanted["start_time"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(made["stop_time"], wanted["stop_time"], rtol=0, atol=1e-3)
    assert made["script_name"].tolist() == wanted["script_name"].tolist()
    assert [";".join(tags) for tags in made["tags"]] == wanted["tags"].tolist()
    assert [";".join(names) for names in made["interval_names"]] == wanted["interval_names"].tolist()
    assert made["notes"].tolist() == wanted["notes"].tolist()


def test_light_in_an_animal_without_opsin_is_a_control(shared: Path) -> None:
    made = table_of(shared / SESSION / FOLDER, is_wildtype=True)
    assert made["tags"].tolist()[3] == ["optotagging_control"]


def test_the_epoch_of_a_session_without_sync(shared: Path, tmp_path: Path) -> None:
    task = "DynamicRouting1_712345_20231114_123602.hdf5"
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / task).symlink_to(shared / SESSION / FOLDER / task)
    made = table_of(folder)
    assert made["script_name"].tolist() == ["DynamicRouting1"]
    assert made["start_time"][0] == 0
    assert made["stop_time"][0] == pytest.approx(1155.789335122739, abs=1e-9)
    (folder / task).unlink()
    with pytest.raises(ComponentUnavailable, match="no stimulus file"):
        table_of(folder)


def test_the_epochs_of_stored_tables(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/trial_tables/DRpilot_626791_20220815"
    raw = RawRecording(folder)
    table = epochs(raw, SessionClock(raw, Options()), Options()).to_dataframe()
    assert table["script_name"].tolist() == ["DynamicRouting1", "RFMapping"]
    assert list(table["interval_names"].iloc[1]) == ["vis_rf_mapping_trials", "aud_rf_mapping_trials"]
    assert table["start_time"].iloc[0] == pytest.approx(85.79290459277665)
