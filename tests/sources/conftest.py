"""What the tests of sources share: a small warehouse folder, and no proxies."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

from project_cache.transfer.retry import Clock

SESSION = 715


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock(sleep=lambda _: None, draw=lambda: 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache folder as a warehouse has it: one session, one probe, twelve units, some files."""
    folder = tmp_path / "warehouse"
    data = folder / f"session_{SESSION}"
    data.mkdir(parents=True)
    (folder / "sessions.csv").write_text(
        "id,date_of_acquisition,specimen_id,session_type,age_in_days,sex,genotype,has_nwb\n"
        f"{SESSION},2019-01-19T00:54:18Z,1,brain_observatory_1.1,118.0,M,wt/wt,True\n"
    )
    (folder / "probes.csv").write_text(
        f"id,ecephys_session_id,has_lfp_data,name\n81,{SESSION},True,probeA\n82,{SESSION},False,probeB\n"
    )
    (folder / "channels.csv").write_text(
        "id,ecephys_probe_id,local_index,ecephys_structure_id,ecephys_structure_acronym\n"
        "810,81,0,385.0,VISp\n811,81,1,,\n"
    )
    units = [f"{n},{810 + n % 2},{n / 8},good" for n in range(12)]
    (folder / "units.csv").write_text("\n".join(["id,ecephys_channel_id,snr,quality", *units]) + "\n")
    metrics = [f"{n},{n * 45},{n / 4},{n % 2 == 0},{n / 100}" for n in range(12)]
    (data / f"session_{SESSION}_analysis_metrics.csv").write_text(
        "\n".join(["ecephys_unit_id,pref_ori_dg,g_osi_dg,on_screen_rf,p_value_rf", *metrics]) + "\n"
    )
    for name in (f"session_{SESSION}.nwb", "probe_81_lfp.nwb"):
        with h5py.File(data / name, "w") as file:
            file["identifier"] = json.dumps(name)
    for name in (
        "natural_movie_templates/natural_movie_1.h5",
        "natural_scene_templates/natural_scene_12.tiff",
    ):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"\x93NUMPY" + name.encode())
    return folder
