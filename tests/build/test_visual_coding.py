"""Files in the Visual Coding layout: valid NWB, readable by pynwb alone, and like the published ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest

from project_cache.build.demo_activity import field_potential, recording
from project_cache.build.demo_project import SESSIONS
from project_cache.build.visual_coding import write_lfp, write_session
from project_cache.errors import StoreError

SID, PROBE = 900002, 9000022


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    made = recording(SESSIONS[SID])
    paths = {name: folder / f"{name}.nwb" for name in ("session", "lfp")}
    write_session(made, paths["session"])
    write_lfp(made, PROBE, field_potential(SESSIONS[SID], PROBE), paths["lfp"])
    return paths


@pytest.mark.parametrize("name", ["session", "lfp"])
def test_valid_by_its_own_specification(files: dict[str, Path], name: str) -> None:
    assert pynwb.validate(path=str(files[name])) == []


def test_pynwb_reads_it_and_learns_nothing(files: dict[str, Path]) -> None:
    assert "ndx-aibs-ecephys" not in pynwb.get_type_map().namespace_catalog.namespaces
    with pynwb.NWBHDF5IO(str(files["session"]), "r") as io:
        nwb = io.read()
        assert type(nwb.subject).__name__ == "EcephysSpecimen"
        assert nwb.subject.specimen_name == "Sst-IRES-Cre-demo-900002"
        assert nwb.stimulus_notes == "brain_observatory_1.1"
        assert nwb.devices["probeC"].probe_id == PROBE
        assert nwb.electrode_groups["probeC"].has_lfp_data
        units = nwb.units.to_dataframe()
        assert len(units) == 98
        assert units.waveform_mean.iloc[0].shape == (77, 82)
        shown = nwb.intervals["drifting_gratings_presentations"].to_dataframe()
        assert len(shown) == 84
        assert shown.orientation.isna().sum() == 4
        (reference,) = shown.timeseries.iloc[3]
        assert reference.data[0] == shown.start_time.iloc[3]
        assert (
            nwb.processing["eye_tracking_rig_metadata"]["eye_tracking_rig_metadata"].equipment == "demo rig"
        )
    with pynwb.NWBHDF5IO(str(files["lfp"]), "r") as io:
        nwb = io.read()
        series = nwb.acquisition[f"probe_{PROBE}_lfp"].electrical_series[f"probe_{PROBE}_lfp_data"]
        assert series.data.shape[1] == len(nwb.electrodes)
        assert nwb.processing["current_source_density"]["ecephys_csd"].time_series.unit == "V/m^2"


def contents(path: Path) -> dict[str, str]:
    """Return what the tables and series of a file are, by their paths; parameters of stimuli are left out."""
    found: dict[str, str] = {}
    with h5py.File(path) as file:

        def visit(name: str, node: h5py.HLObject) -> None:
            if not name.startswith(("specifications", "intervals")):
                kind = str(node.attrs.get("neurodata_type", ""))
                if isinstance(node, h5py.Dataset):
                    kind += f" {node.dtype.kind} {node.ndim}"
                found[name] = kind

        file.visititems(visit)
        found["intervals"] = ""
    return found


def test_laid_out_as_the_published_files(files: dict[str, Path], shared: Path) -> None:
    folder = shared / "data" / "allen_session" / "session_715093703"
    rename = {"probeC": "probeA", "probeD": "probeB"}
    for ours, theirs in (("session", "session_715093703.nwb"), ("lfp", "probe_811458797_lfp.nwb")):
        mine = {}
        for name, kind in contents(files[ours]).items():
            for old, new in rename.items():
                name = name.replace(old, new)
            mine[name.replace(str(PROBE), "811458797")] = kind
        real = contents(folder / theirs)
        # the float type of the rig's geometry is the specification's here
        assert set(real) - set(mine) == set()
        assert {n: (mine[n], k) for n, k in real.items() if mine[n] != k} == {}


def test_presentations_have_the_columns_of_the_published_ones(files: dict[str, Path], shared: Path) -> None:
    theirs = shared / "data" / "allen_session" / "session_715093703" / "session_715093703.nwb"
    with h5py.File(files["session"]) as ours, h5py.File(theirs) as real:
        for name in ours["intervals"]:
            columns = set(ours[f"intervals/{name}"])
            missing = set(real[f"intervals/{name}"]) - columns
            assert missing <= {"opacity", "mask"}, name
            assert columns - set(real[f"intervals/{name}"]) == set(), name
            kinds = {c: ours[f"intervals/{name}/{c}"].dtype.kind for c in columns}
            assert kinds == {c: real[f"intervals/{name}/{c}"].dtype.kind for c in columns}


def test_ragged_columns_end_where_their_index_says(files: dict[str, Path]) -> None:
    with h5py.File(files["session"]) as file:
        for name in ("spike_times", "spike_amplitudes", "waveform_mean"):
            ends = file[f"units/{name}_index"][:].astype(np.int64)
            assert (np.diff(ends) > 0).all()
            assert ends[-1] == len(file[f"units/{name}"])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises((StoreError, FileNotFoundError)):
        write_session(recording(SESSIONS[900001]), tmp_path / "none" / "x.nwb")
