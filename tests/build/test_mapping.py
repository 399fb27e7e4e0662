"""Receptive-field mapping and the luminance test."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.mapping import (
    appended,
    aud_rf_mapping_table,
    aud_rf_mapping_trials,
    luminance_test_trials,
    vis_rf_mapping_table,
    vis_rf_mapping_trials,
)
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording
from project_cache.raw.stimulus import StimulusFile

SESSION = "data/dynamic_routing/raw_session"
FOLDER = "DRpilot_712345_20231114"


def parts(folder: Path) -> tuple[RawRecording, SessionClock, Options]:
    raw, options = RawRecording(folder), Options()
    return raw, SessionClock(raw, options), options


@pytest.mark.parametrize("kind", ["vis", "aud"])
def test_mapping_trials_of_a_simulated_session(shared: Path, kind: str) -> None:
    wanted = pd.read_csv(shared / SESSION / "truth" / f"{kind}_rf_mapping_trials.csv")
    make = vis_rf_mapping_table if kind == "vis" else aud_rf_mapping_table
    made = make(*parts(shared / SESSION / FOLDER))
    assert list(made) == list(wanted)
    for name in wanted:
        if name.endswith("_time"):
            on_screen = kind == "vis" and name.startswith("stim")
            np.testing.assert_allclose(made[name], wanted[name], rtol=0, atol=1e-3 if on_screen else 1e-5)
        else:
            assert made[name].dtype == wanted[name].dtype
            np.testing.assert_array_equal(made[name], wanted[name])


def test_mapping_trials_as_intervals(shared: Path) -> None:
    session = parts(shared / SESSION / FOLDER)
    assert len(vis_rf_mapping_trials(*session)) == 88
    assert aud_rf_mapping_trials(*session)["freq"].description.endswith("(Hz)")
    with pytest.raises(ComponentUnavailable, match="has no LuminanceTest file"):
        luminance_test_trials(*session)


def test_a_session_without_sync_cannot_place_them(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    for path in (shared / SESSION / FOLDER).glob("*.hdf5"):
        (folder / path.name).symlink_to(path)
    with pytest.raises(ComponentUnavailable, match="RFMapping"):
        vis_rf_mapping_trials(*parts(folder))


def test_several_files_are_appended_with_their_names(tmp_path: Path) -> None:
    files = []
    for name in ("RFMapping_712345_20231114_123411", "RFMapping_712345_20231114_133411"):
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file["stimStartFrame"] = [0, 30]
        files.append(StimulusFile(tmp_path / f"{name}.hdf5"))

    def rows_of(stimulus: StimulusFile) -> pd.DataFrame:
        return pd.DataFrame({"trial_index": np.arange(stimulus.n_trials), "freq": np.nan})

    assert list(appended(files[:1], rows_of)) == ["trial_index"]
    rows = appended(files, rows_of)
    assert rows["trial_index"].tolist() == [0, 1, 0, 1]
    assert rows["stimulus_file"].tolist() == [files[0].stem] * 2 + [files[1].stem] * 2
