"""Sessions of the behaviour projects, attribute by attribute, against AllenSDK 2.16.2 on the same files."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.sessions.behavior import BehaviorSession
from project_cache.sessions.behavior_ecephys import BehaviorEcephysSession, ProbeWithLFPMeta
from project_cache.sessions.ecephys import EcephysSession

pytestmark = pytest.mark.conformance

FULL, NOVEL, PASSIVE = 1044385384, 1044594870, 1047969464
LFP_RATE = 1249.9987
#: name of the job: the class, the file's name, options
JOBS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "full": ("ecephys", f"ecephys_session_{FULL}.nwb", {}),
    "novel": ("ecephys", f"ecephys_session_{NOVEL}.nwb", {"probe_meta": ["probeA"]}),
    "all with LFP": (
        "ecephys",
        f"ecephys_session_{FULL}.nwb",
        {
            "probe_meta": ["probeA", "probeB", "probeF"],
            "eye_tracking_z_threshold": 1.5,
            "eye_tracking_dilation_frames": 0,
        },
    ),
    "passive": ("ecephys", f"ecephys_session_{PASSIVE}.nwb", {}),
    "early": ("ecephys", "early.nwb", {}),
    "gratings": ("behavior", "behavior_session_1010001001.nwb", {}),
    "images": ("behavior", "behavior_session_1010001003.nwb", {}),
    "images, as they are": (
        "behavior",
        "behavior_session_1010003002.nwb",
        {"add_is_change_to_stimulus_presentations_table": False},
    ),
    "long": ("behavior", "long.nwb", {}),
    "early training": ("behavior", "early_training.nwb", {}),
}
ECEPHYS = [name for name, job in JOBS.items() if job[0] == "ecephys"]
FRAMES = (
    "licks",
    "rewards",
    "running_speed",
    "raw_running_speed",
    "eye_tracking",
    "stimulus_presentations",
    "trials",
)
DICTS = ("eye_tracking_rig_geometry", "task_parameters", "metadata")
#: of ``get_units`` and ``get_channels``
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "units": ("get_units", {}),
    "valid units": ("get_units", {"filter_by_validity": True}),
    "units in the brain": ("get_units", {"filter_out_of_brain_units": True, "amplitude_cutoff_maximum": 0.1}),
    "good units": (
        "get_units",
        {
            "filter_by_validity": True,
            "filter_out_of_brain_units": True,
            "amplitude_cutoff_maximum": 0.1,
            "presence_ratio_minimum": 0.95,
            "isi_violations_maximum": 0.5,
        },
    ),
    "no bounds": ("get_units", {"presence_ratio_minimum": 0, "isi_violations_maximum": 0.0}),
    "channels": ("get_channels", {}),
    "all channels": ("get_channels", {"filter_by_validity": False}),
}
ARRAYS = ("spike_times", "spike_amplitudes", "mean_waveforms")

WRITE = """
import runpy, sys
tool, out = sys.argv[1:]
sys.argv = [tool, out]
runpy.run_path(tool, run_name="__main__")
"""

DUMP = """
import datetime, json, sys, uuid, warnings
from pathlib import Path
warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
from allensdk.brain_observatory.behavior.behavior_session import BehaviorSession
from allensdk.brain_observatory.ecephys._probe import ProbeWithLFPMeta
from allensdk.brain_observatory.ecephys.behavior_ecephys_session import BehaviorEcephysSession

root, out = Path(sys.argv[1]), Path(sys.argv[2])
jobs, frames, dicts, calls, rate = json.loads(sys.argv[3])

def plain(v):
    if v is pd.NA:
        return None
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (uuid.UUID, datetime.datetime)):
        return str(v)
    if isinstance(v, (list, tuple, np.ndarray)):
        return [plain(x) for x in v]
    if type(v).__name__ == "Coordinates":
        return list(v)
    return v.item() if isinstance(v, np.generic) else v

def table(df, where):
    arrays, objects = {}, {}
    for n, values in enumerate([df.index.to_series(), *(df[c] for c in df.columns)]):
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iufb":
            arrays[str(n)] = values.to_numpy()
        else:
            objects[str(n)] = plain(values.tolist())
    np.savez(where.with_suffix(".npz"), **arrays)
    where.with_suffix(".json").write_text(json.dumps(dict(
        columns=list(df.columns), dtypes=[str(df.index.dtype), *(str(t) for t in df.dtypes)], objects=objects,
        index_name=df.index.name)))

for name, (kind, file, options) in jobs.items():
    here = out / name
    here.mkdir(parents=True)
    facts, arrays = {}, {}
    if "probe_meta" in options:
        sid = file.split("_")[-1].split(".")[0]
        options["probe_meta"] = {each: ProbeWithLFPMeta(
            lfp_csd_filepath=root / f"{sid}_probe_{each}_lfp.nwb", lfp_sampling_rate=rate) for each in options["probe_meta"]}
    cls = BehaviorEcephysSession if kind == "ecephys" else BehaviorSession
    s = cls.from_nwb_path(str(root / file), **options)
    for each in frames:
        table(getattr(s, each), here / each)
    table(s.get_rolling_performance_df(), here / "rolling")
    for each in dicts:
        facts[each] = plain(getattr(s, each))
    facts["behavior_session_id"] = int(s.behavior_session_id)
    facts["names"] = s.list_data_attributes_and_methods()
    facts["metrics"] = plain(s.get_performance_metrics())
    facts["metrics of the eager"] = plain(s.get_performance_metrics(engaged_trial_reward_rate_threshold=4.0))
    arrays["reward_rate"] = s.get_reward_rate()
    arrays["stimulus_timestamps"] = s.stimulus_timestamps
    t = s.stimulus_templates
    facts["templates"] = [list(t.columns), t.index.name, t.index.tolist(), str(t.index.dtype), t.name]
    for image in t.index:
        for column in t.columns:
            arrays[f"{column}/{image}"] = t.at[image, column]
    if kind == "ecephys":
        for each, (call, arguments) in calls.items():
            table(getattr(s, call)(**arguments), here / each)
        table(s.probes, here / "probes")
        table(s.optotagging_table, here / "optotagging_table")
        for each in ("spike_times", "spike_amplitudes", "mean_waveforms"):
            found = getattr(s, each)
            arrays[f"{each}/ids"] = np.array(list(found), dtype=np.int64)
            for k, v in found.items():
                arrays[f"{each}/{k}"] = v
        for probe in s.probes.index:
            for each, v in (("lfp", s.get_lfp(probe)), ("csd", s.get_current_source_density(probe))):
                facts[f"{each}/{probe}"] = None if v is None else [v.name, list(v.dims), list(v.coords)]
                if v is not None:
                    arrays[f"{each}/{probe}"] = v.values
                    for c in v.coords:
                        arrays[f"{each}/{probe}/{c}"] = v.coords[c].values
    np.savez(here / "arrays.npz", **arrays)
    (here / "facts.json").write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def folder(shared: Path, allensdk: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what AllenSDK has written, and of what was changed in it to be as other releases are."""
    root = tmp_path_factory.mktemp("behavior")
    allensdk(WRITE, str(shared / "tools" / "make_allen_vbn.py"), str(root / "made"))
    for path in (root / "made" / "bucket").rglob("*.nwb"):
        name = f"{path.parent.name}_{path.name}" if path.name.startswith("probe_") else path.name
        shutil.move(path, root / name)
    shutil.copyfile(root / f"ecephys_session_{FULL}.nwb", root / "early.nwb")
    _make_early(root / "early.nwb")
    shutil.copyfile(root / "behavior_session_1010001003.nwb", root / "early_training.nwb")
    _drop_columns(root / "early_training.nwb", ("active", "trials_id", "is_sham_change", "is_change"))
    shutil.copyfile(root / "behavior_session_1010001003.nwb", root / "long.nwb")
    _make_long(root / "long.nwb")
    return root


def _drop_columns(path: Path, names: tuple[str, ...]) -> None:
    with h5py.File(path, "r+") as file:
        for table in file["intervals"].values():
            if table.name.endswith("_presentations"):
                kept = [name for name in table.attrs["colnames"] if name not in names]
                table.attrs["colnames"] = np.array(kept, dtype=h5py.string_dtype())
                for name in names:
                    if name in table:
                        del table[name]


def _make_early(path: Path) -> None:
    """Change a session file so that it has what early releases, and bad days, have."""
    _drop_columns(path, ("active", "trials_id", "is_sham_change"))
    with h5py.File(path, "r+") as file:
        electrodes = file["general/extracellular_ephys/electrodes"]
        electrodes.move("probe_channel_number", "local_index")
        names = [
            "local_index" if each == "probe_channel_number" else each for each in electrodes.attrs["colnames"]
        ]
        electrodes.attrs["colnames"] = np.array(names, dtype=h5py.string_dtype())
        units = file["units"]
        units["amplitude_cutoff"][3] = np.nan
        units["presence_ratio"][8] = np.nan
        # on a channel that there is not
        units["peak_channel_id"][20] = 1
        for name in ("speed", "speed_unfiltered"):
            file[f"processing/running/{name}/data"][:] *= -1
        tracking = file["acquisition/EyeTracking"]
        tracking["pupil_tracking/area_raw"][:50] = np.nan
        tracking["eye_tracking/area_raw"][-1] = 1e6
        file["general/subject/age"][()] = "null"
        del file["processing/licking"]


def _make_long(path: Path) -> None:
    """Change a session file so that it has more trials than rates look back on."""
    rng = np.random.default_rng(3)
    count = 400
    with h5py.File(path, "r+") as file:
        trials = file["intervals/trials"]
        kind = rng.choice(
            ["hit", "miss", "false_alarm", "correct_reject", "aborted"], count, p=[0.3, 0.15, 0.1, 0.2, 0.25]
        )
        start = 10 + np.cumsum(rng.uniform(1, 9, count))
        change = np.where(kind == "aborted", np.nan, start + 0.5)
        latency = rng.uniform(0.1, 0.9, count)
        licked = np.isin(kind, ["hit", "false_alarm"])
        licks = [
            [c - 0.2, c + late] if yes else [] for c, late, yes in zip(change, latency, licked, strict=True)
        ]
        columns = {
            "id": np.arange(count),
            "start_time": start,
            "stop_time": start + 0.9,
            "change_time": change,
            "go": np.isin(kind, ["hit", "miss"]),
            "catch": np.isin(kind, ["false_alarm", "correct_reject"]),
            "auto_rewarded": np.zeros(count, dtype=bool),
            "reward_volume": np.where(kind == "hit", 0.007, 0.0),
            "lick_times": np.concatenate(licks),
            "lick_times_index": np.cumsum([len(each) for each in licks]).astype(np.uint16),
            **{each: kind == each for each in ("hit", "miss", "false_alarm", "correct_reject", "aborted")},
        }
        for name in list(trials):
            dataset = trials[name]
            attributes = dict(dataset.attrs)
            if name in columns:
                values = columns[name]
            elif dataset.dtype == object:
                values = np.array(["im012_r"] * count, dtype=object)
            else:
                values = np.resize(dataset[()], count)
            dtype = dataset.dtype
            if name == "lick_times_index":
                dtype = np.dtype(np.uint16)
            del trials[name]
            new = trials.create_dataset(name, data=values, dtype=dtype)
            for key, value in attributes.items():
                new.attrs[key] = value
        trials["lick_times_index"].attrs["target"] = trials["lick_times"].ref
        omitted = file["intervals/Natural_Images_Lum_Matched_set_ophys_G_2019_presentations/omitted"]
        omitted[:] = 0
        omitted[5:60:7] = 1
        omitted[10] = np.nan


@pytest.fixture(scope="module")
def answers(allensdk: Callable[..., str], folder: Path) -> Path:
    """The folder of what AllenSDK answers, by job."""
    out = folder / "answers"
    allensdk(DUMP, str(folder), str(out), json.dumps([JOBS, FRAMES, DICTS, CALLS, LFP_RATE]))
    return out


@pytest.fixture(scope="module")
def sessions(folder: Path, shared: Path) -> dict[str, BehaviorSession]:
    # both kinds of session in one process, where AllenSDK's namespaces clash
    visual_coding = EcephysSession.from_nwb_path(
        next((shared / "data" / "allen_session").glob("session_*/session_*.nwb"))
    )
    assert len(visual_coding.units)
    made = {}
    for name, (kind, file, options) in JOBS.items():
        options = dict(options)
        if "probe_meta" in options:
            sid = file.split("_")[-1].split(".")[0]
            options["probe_meta"] = {
                each: ProbeWithLFPMeta(folder / f"{sid}_probe_{each}_lfp.nwb", LFP_RATE)
                for each in options["probe_meta"]
            }
        cls = BehaviorEcephysSession if kind == "ecephys" else BehaviorSession
        made[name] = cls.from_nwb_path(folder / file, **options)
    return made


def _plain(value: Any) -> Any:
    if value is pd.NA:
        return None
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, dict):
        return list(mine) == list(theirs) and all(_same(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_same, mine, theirs))
    if type(mine) is not type(theirs):
        return False
    if isinstance(mine, float):
        return (math.isnan(mine) and math.isnan(theirs)) or math.isclose(mine, theirs, rel_tol=1e-12)
    return bool(mine == theirs)


def _compare(mine: pd.DataFrame, where: Path, *, ordered: bool = True) -> None:
    told = json.loads(where.with_suffix(".json").read_text())
    columns = list(mine.columns)
    assert mine.index.name == told["index_name"]
    assert (columns if ordered else sorted(columns)) == (
        told["columns"] if ordered else sorted(told["columns"])
    )
    with np.load(where.with_suffix(".npz")) as arrays:
        series = [mine.index.to_series(), *(mine[name] for name in told["columns"])]
        for n, (values, dtype) in enumerate(zip(series, told["dtypes"], strict=True)):
            assert str(values.dtype) == dtype, values.name
            if str(n) not in arrays:
                theirs = told["objects"][str(n)]
                wrong = [
                    pair for pair in zip(_plain(values.tolist()), theirs, strict=True) if not _same(*pair)
                ]
                assert not wrong, (values.name, wrong[:3])
            elif arrays[str(n)].dtype.kind == "f":
                _close(values.to_numpy(), arrays[str(n)], str(values.name))
            else:
                np.testing.assert_array_equal(values.to_numpy(), arrays[str(n)], err_msg=str(values.name))


def _close(mine: Any, theirs: Any, what: str) -> None:
    assert mine.dtype == theirs.dtype, what
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=0, err_msg=what)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("name", FRAMES)
def test_frame(answers: Path, sessions: dict[str, BehaviorSession], job: str, name: str) -> None:
    # AllenSDK orders the parameters of stimuli anew in each run (by a set)
    _compare(getattr(sessions[job], name), answers / job / name, ordered=name != "stimulus_presentations")


@pytest.mark.parametrize("job", JOBS)
def test_presentations_begin_alike(answers: Path, sessions: dict[str, BehaviorSession], job: str) -> None:
    told = json.loads((answers / job / "stimulus_presentations.json").read_text())["columns"]
    alike = told.index("trials_id") + 1
    assert sessions[job].stimulus_presentations.columns[:alike].tolist() == told[:alike]


@pytest.mark.parametrize("job", JOBS)
def test_facts(answers: Path, sessions: dict[str, BehaviorSession], job: str) -> None:
    told = json.loads((answers / job / "facts.json").read_text())
    session = sessions[job]
    for name in DICTS:
        mine = _plain(getattr(session, name))
        assert _same(mine, told[name]), (name, mine, told[name])
    assert session.behavior_session_id == told["behavior_session_id"]
    # a class of AllenSDK's own, and its inside
    assert set(told["names"]) - {"behavior_data_class", "get_probes_obj"} <= set(
        session.list_data_attributes_and_methods()
    )


@pytest.mark.parametrize("job", JOBS)
def test_performance(answers: Path, sessions: dict[str, BehaviorSession], job: str) -> None:
    told = json.loads((answers / job / "facts.json").read_text())
    session = sessions[job]
    _compare(session.get_rolling_performance_df(), answers / job / "rolling")
    with np.load(answers / job / "arrays.npz") as arrays:
        _close(session.get_reward_rate(), arrays["reward_rate"], "reward_rate")
    assert _same(session.get_performance_metrics(), told["metrics"])
    assert _same(session.get_performance_metrics(4.0), told["metrics of the eager"])


@pytest.mark.parametrize("job", JOBS)
def test_stimuli(answers: Path, sessions: dict[str, BehaviorSession], job: str) -> None:
    told = json.loads((answers / job / "facts.json").read_text())["templates"]
    images = sessions[job].stimulus_templates
    assert images is not None
    mine = [
        list(images.columns),
        images.index.name,
        images.index.tolist(),
        str(images.index.dtype),
        images.name,
    ]
    assert mine == told
    with np.load(answers / job / "arrays.npz") as arrays:
        np.testing.assert_array_equal(sessions[job].stimulus_timestamps, arrays["stimulus_timestamps"])
        for image in images.index:
            for column in images.columns:
                array = images.loc[image, column]
                assert array.dtype == arrays[f"{column}/{image}"].dtype
                np.testing.assert_array_equal(array, arrays[f"{column}/{image}"])


@pytest.mark.parametrize("job", ECEPHYS)
@pytest.mark.parametrize("name", [*CALLS, "probes", "optotagging_table"])
def test_recording(answers: Path, sessions: dict[str, Any], job: str, name: str) -> None:
    call, arguments = CALLS.get(name, (name, None))
    mine = getattr(sessions[job], call)
    _compare(mine if arguments is None else mine(**arguments), answers / job / name)


@pytest.mark.parametrize("job", ECEPHYS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(answers: Path, sessions: dict[str, Any], job: str, name: str) -> None:
    mine = getattr(sessions[job], name)
    with np.load(answers / job / "arrays.npz") as theirs:
        assert list(mine) == theirs[f"{name}/ids"].tolist()
        for unit, value in mine.items():
            assert type(value) is np.ndarray
            assert value.dtype == theirs[f"{name}/{unit}"].dtype
            np.testing.assert_array_equal(value, theirs[f"{name}/{unit}"])


@pytest.mark.parametrize("job", ECEPHYS)
@pytest.mark.parametrize(("name", "call"), [("lfp", "get_lfp"), ("csd", "get_current_source_density")])
def test_lfp(answers: Path, sessions: dict[str, Any], job: str, name: str, call: str) -> None:
    told = json.loads((answers / job / "facts.json").read_text())
    with np.load(answers / job / "arrays.npz") as theirs:
        for probe in sessions[job].probes.index.tolist():
            mine, label = getattr(sessions[job], call)(probe), f"{name}/{probe}"
            if told[label] is None:
                assert mine is None
                continue
            assert [mine.name, list(mine.dims), list(mine.coords)] == told[label]
            assert mine.dtype == theirs[label].dtype
            np.testing.assert_array_equal(mine.to_numpy(), theirs[label])
            for coord in mine.coords:
                assert mine.coords[coord].dtype == theirs[f"{label}/{coord}"].dtype
                np.testing.assert_array_equal(mine.coords[coord].to_numpy(), theirs[f"{label}/{coord}"])
