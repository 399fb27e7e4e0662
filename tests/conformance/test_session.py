"""Sessions, attribute by attribute, against AllenSDK 2.16.2 on the same files."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache import EcephysProjectCache
from project_cache.sessions.ecephys import EcephysSession

pytestmark = pytest.mark.conformance

SESSION = 715093703
UNFILTERED = {
    "filter_by_validity": False,
    "filter_out_of_brain_units": False,
    "amplitude_cutoff_maximum": None,
    "presence_ratio_minimum": None,
    "isi_violations_maximum": None,
}
#: name of the job: folder, whether through the cache's tables, options
JOBS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "as it is": ("plain", True, {}),
    "file alone": ("plain", False, {"amplitude_cutoff_maximum": 0.03, "filter_out_of_brain_units": False}),
    "old names": ("old", True, {"presence_ratio_minimum": 0, "isi_violations_maximum": 0.0}),
    "old names, unfiltered": ("old", True, UNFILTERED),
    "old names, file alone": ("old", False, {"filter_by_validity": False, "amplitude_cutoff_maximum": None}),
    "tables that lack channels": ("lacking", True, {}),
}
FRAMES = (
    "units",
    "channels",
    "probes",
    "stimulus_presentations",
    "stimulus_conditions",
    "running_speed",
    "invalid_times",
)
ARRAYS = ("spike_times", "spike_amplitudes", "mean_waveforms")

DUMP = """
import json, sys, warnings
from pathlib import Path
warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache
from allensdk.brain_observatory.ecephys.ecephys_session import EcephysSession

# It opens the file, and goes through all electrodes of all probes, at each access. Once is enough to ask.
from allensdk.brain_observatory.ecephys.probes import Probes
from allensdk.brain_observatory.nwb.nwb_api import NwbApi
opened, built, open_file, build = {}, {}, NwbApi.nwbfile.fget, Probes.from_nwb
NwbApi.nwbfile = property(lambda self: opened.setdefault(self.path, None) or opened.__setitem__(
    self.path, open_file(self)) or opened[self.path])
Probes.from_nwb = staticmethod(lambda nwbfile: built.get(id(nwbfile)) or built.setdefault(
    id(nwbfile), build(nwbfile=nwbfile)))

root, out, jobs, sid = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4])

def plain(v):
    if isinstance(v, (list, tuple, np.ndarray)):
        return [plain(x) for x in v]
    return v.item() if isinstance(v, np.generic) else v

def column(values):
    if values.dtype.kind in "iufb":
        return values, None
    return None, [plain(v) for v in values.tolist()]

def table(df, where):
    arrays, objects = {"index": df.index.to_numpy()}, {}
    for n, name in enumerate(df.columns):
        numbers, listed = column(df[name].to_numpy())
        if numbers is not None:
            arrays[str(n)] = numbers
        else:
            objects[str(n)] = listed
    if arrays["index"].dtype == object:
        objects["index"] = arrays.pop("index").tolist()
    np.savez(where.with_suffix(".npz"), **arrays)
    where.with_suffix(".json").write_text(json.dumps(dict(
        columns=[str(c) for c in df.columns], dtypes=[str(t) for t in df.dtypes], objects=objects,
        index_name=df.index.name)))

for name, (folder, cached, options) in jobs.items():
    here = out / name
    here.mkdir(parents=True)
    if cached:
        cache = EcephysProjectCache.from_warehouse(manifest=str(root / folder / "manifest.json"), fetch_tries=1)
        s = cache.get_session_data(sid, **options)
    else:
        s = EcephysSession.from_nwb_path(str(root / folder / f"session_{sid}" / f"session_{sid}.nwb"), api_kwargs=options)
    for each in ("units", "channels", "probes", "stimulus_presentations", "stimulus_conditions", "running_speed", "invalid_times"):
        table(getattr(s, each), here / each)
    arrays = {}
    for each in ("spike_times", "spike_amplitudes"):
        found = getattr(s, each)
        arrays[each + "/ids"] = np.array(list(found), dtype=np.int64)
        for k, v in found.items():
            arrays[f"{each}/{k}"] = np.asarray(v)
    arrays["mean_waveforms/ids"] = np.array(list(s.mean_waveforms), dtype=np.int64)
    for k, v in s.mean_waveforms.items():
        assert v.dims == ("channel_id", "time") and v.name is None
        arrays[f"mean_waveforms/{k}"] = v.values
        arrays[f"mean_waveforms/{k}/channel_id"] = v.coords["channel_id"].values
        arrays[f"mean_waveforms/{k}/time"] = v.coords["time"].values
    np.savez(here / "arrays.npz", **arrays)
    facts = dict(ecephys_session_id=s.ecephys_session_id, specimen_name=s.specimen_name, sex=s.sex,
                 full_genotype=s.full_genotype, session_type=s.session_type, age_in_days=float(s.age_in_days),
                 rig_equipment_name=s.rig_equipment_name, session_start_time=s.session_start_time.isoformat(),
                 num_units=s.num_units, num_channels=s.num_channels, num_probes=s.num_probes,
                 num_stimulus_presentations=s.num_stimulus_presentations, stimulus_names=s.stimulus_names)
    if s.rig_geometry_data is not None:
        table(s.rig_geometry_data, here / "rig_geometry_data")
    if cached:
        facts["structure_acronyms"] = s.structure_acronyms
        counts = s.structurewise_unit_counts
        facts["structurewise_unit_counts"] = [[k, int(v)] for k, v in counts.items()]
        facts["counts_name"] = [counts.name, counts.index.name]
        facts["metadata_keys"] = list(s.metadata)
    (here / "facts.json").write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def folders(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache folders made from the real one: as it is, with a file like those of 2019, with short tables."""
    source = shared / "data" / "allen_session"
    if not source.is_dir():
        pytest.skip(f"{source} is missing")
    root = tmp_path_factory.mktemp("conformance")
    for name in ("plain", "old", "lacking"):
        for file in source.rglob("*"):
            if file.is_file() and "_lfp" not in file.name:
                target = root / name / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    _make_old(root / "old" / f"session_{SESSION}" / f"session_{SESSION}.nwb")
    channels = pd.read_csv(root / "lacking" / "channels.csv")
    channels[channels["local_index"] % 5 != 1].sample(frac=1, random_state=3).to_csv(
        root / "lacking" / "channels.csv", index=False
    )
    return root


def _replace(group: h5py.Group, name: str, values: Any) -> None:
    kind = group[name].attrs["neurodata_type"]
    del group[name]
    group[name] = values
    group[name].attrs["neurodata_type"] = kind
    group[name].attrs["namespace"] = "hdmf-common"
    group[name].attrs["description"] = "replaced"
    group[name].attrs["object_id"] = "00000000-0000-0000-0000-000000000000"


def _rename(group: h5py.Group, old: str, new: str) -> None:
    group.move(old, new)
    names = [new if name == old else name for name in group.attrs["colnames"]]
    group.attrs["colnames"] = np.array(names, dtype=h5py.string_dtype())


def _make_old(path: Path) -> None:
    """Change a session file so that it has all that early releases, and bad days, have."""
    with h5py.File(path, "r+") as file:
        electrodes = file["general/extracellular_ephys/electrodes"]
        _rename(electrodes, "probe_channel_number", "local_index")
        location = electrodes["location"].asstr()[:].astype(object)
        location[5:12] = "LGd-sh"
        location[20] = ""
        electrodes["location"][:] = location
        electrodes["x"][30:40] = -1000.0
        units = file["units"]
        units["amplitude_cutoff"][3] = np.nan
        units["presence_ratio"][8] = np.nan
        units["snr"][4] = np.nan
        peak = units["peak_channel_id"][:]
        peak[10:14] = peak[9]
        peak[20] = 1
        units["peak_channel_id"][:] = peak
        intervals = file["intervals"]
        for table, name in (
            ("natural_movie_one", "natural_movie_1"),
            ("flashes", "flash_250ms"),
            ("natural_scenes", "Natural Images"),
        ):
            names = intervals[f"{table}_presentations/stimulus_name"]
            names[:] = name
        intervals["spontaneous_presentations/stimulus_name"][:] = ""
        for group in intervals.values():
            for old, new in (
                ("orientation", "Ori"), ("temporal_frequency", "TF"), ("spatial_frequency", "SF"), ("phase", "Phase"),
                ("frame", "Image"), ("x_position", "Pos_x"), ("y_position", "Pos_y"),
            ):  # fmt: skip
                if old in group:
                    _rename(group, old, new)
        _rename(intervals["static_gratings_presentations"], "contrast", "Contrast")
        drifting = intervals["drifting_gratings_presentations"]
        # a whole number in one stimulus, a fraction in another; one that is all ones; strings with N/A
        _replace(drifting, "stimulus_block", np.ones(len(drifting["id"])))
        _replace(drifting, "contrast", np.full(len(drifting["id"]), 1.0))
        mask = intervals["gabors_presentations/mask"]
        mask[::3] = "N/A"
        # out of order
        start = intervals["gabors_presentations/start_time"]
        stop = intervals["gabors_presentations/stop_time"]
        order = np.random.default_rng(1).permutation(len(start))
        start[:], stop[:] = start[:][order], stop[:][order]


@pytest.fixture(scope="module")
def answers(allensdk: Callable[..., None], folders: Path) -> Path:
    """The folder of what AllenSDK answers, by job."""
    out = folders / "answers"
    allensdk(DUMP, str(folders), str(out), json.dumps(JOBS), str(SESSION))
    return out


@pytest.fixture(scope="module")
def sessions(folders: Path) -> dict[str, EcephysSession]:
    return {
        name: _ours(folders / folder, cached, options) for name, (folder, cached, options) in JOBS.items()
    }


def _ours(folder: Path, cached: bool, options: dict[str, Any]) -> EcephysSession:
    path = folder / f"session_{SESSION}" / f"session_{SESSION}.nwb"
    if not cached:
        return EcephysSession.from_nwb_path(path, api_kwargs=options)

    session: EcephysSession = EcephysProjectCache.fixed(folder / "manifest.json").get_session_data(
        SESSION, **options
    )
    return session


def _same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, (list, tuple, np.ndarray)) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_same, mine, theirs))
    if isinstance(mine, np.generic):
        mine = mine.item()
    if type(mine) is not type(theirs):
        return False
    if isinstance(mine, float):
        return (math.isnan(mine) and math.isnan(theirs)) or math.isclose(mine, theirs, rel_tol=1e-12)
    return bool(mine == theirs)


def _compare(mine: pd.DataFrame, where: Path, *, ordered: bool) -> None:
    told = json.loads(where.with_suffix(".json").read_text())
    with np.load(where.with_suffix(".npz")) as arrays:
        columns = [str(name) for name in mine.columns][: len(told["columns"])]
        if ordered:
            assert columns == told["columns"]
        else:
            assert sorted(map(str, mine.columns)) == sorted(told["columns"])
        assert mine.index.name == told["index_name"]
        if "index" in arrays:
            assert mine.index.dtype == arrays["index"].dtype
            np.testing.assert_array_equal(mine.index.to_numpy(), arrays["index"])
        else:
            assert mine.index.tolist() == told["objects"]["index"]
        for n, (name, dtype) in enumerate(zip(told["columns"], told["dtypes"], strict=True)):
            assert str(mine[name].dtype) == dtype, name
            if str(n) in arrays:
                kind = arrays[str(n)].dtype.kind
                compare = np.testing.assert_array_equal if kind != "f" else _close
                compare(mine[name].to_numpy(), arrays[str(n)], err_msg=name)
            else:
                theirs = told["objects"][str(n)]
                wrong = [(a, b) for a, b in zip(mine[name].tolist(), theirs, strict=True) if not _same(a, b)]
                assert not wrong, (name, wrong[:3])


def _close(mine: Any, theirs: Any, err_msg: str) -> None:
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=0, err_msg=err_msg)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("name", FRAMES)
def test_frame(answers: Path, sessions: dict[str, EcephysSession], job: str, name: str) -> None:
    # AllenSDK orders the parameters of stimuli anew in each run (by a set)
    _compare(getattr(sessions[job], name), answers / job / name, ordered="stimulus" not in name)


@pytest.mark.parametrize("job", JOBS)
def test_presentations_begin_alike(answers: Path, sessions: dict[str, EcephysSession], job: str) -> None:
    told = json.loads((answers / job / "stimulus_presentations.json").read_text())["columns"]
    mine = sessions[job].stimulus_presentations.columns.tolist()
    assert mine[:3] == told[:3]
    assert mine[-2:] == told[-2:]


@pytest.mark.filterwarnings("ignore:Parts of this session are marked as invalid")
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(answers: Path, sessions: dict[str, EcephysSession], job: str, name: str) -> None:
    mine = getattr(sessions[job], name)
    with np.load(answers / job / "arrays.npz") as theirs:
        assert list(mine) == theirs[f"{name}/ids"].tolist()
        assert len(mine) == len(theirs[f"{name}/ids"])
        for unit, value in mine.items():
            array = theirs[f"{name}/{unit}"]
            assert value.dtype == array.dtype
            np.testing.assert_array_equal(np.asarray(value), array)
            if name == "mean_waveforms":
                assert value.dims == ("channel_id", "time")
                for label in value.dims:
                    expected = theirs[f"{name}/{unit}/{label}"]
                    assert value.coords[label].dtype == expected.dtype
                    np.testing.assert_array_equal(value.coords[label].to_numpy(), expected)
            else:
                assert type(value) is np.ndarray
                assert value.flags.writeable


@pytest.mark.parametrize("job", JOBS)
def test_facts(answers: Path, sessions: dict[str, EcephysSession], job: str) -> None:
    told = json.loads((answers / job / "facts.json").read_text())
    session = sessions[job]
    keys = told.pop("metadata_keys", None)
    if keys is not None:
        assert list(session.metadata) == keys
        counts = session.structurewise_unit_counts
        assert [counts.name, counts.index.name] == told.pop("counts_name")
        assert [[name, int(count)] for name, count in counts.items()] == told.pop("structurewise_unit_counts")
        assert counts.dtype == np.int64
    for name, value in told.items():
        mine = getattr(session, name)
        assert _same(mine.isoformat() if name == "session_start_time" else mine, value), name
    _compare(session.rig_geometry_data, answers / job / "rig_geometry_data", ordered=True)


def test_warns_once_of_invalid_spikes(folders: Path) -> None:
    session = _ours(folders / "plain", False, {})
    with pytest.warns(UserWarning, match="marked as invalid"):
        first = session.spike_times
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert session.spike_times is first
