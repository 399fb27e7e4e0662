"""What sessions answer when they are asked, call by call, against AllenSDK 2.16.2 on the same files."""

from __future__ import annotations

import importlib.util
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

from project_cache.sessions.ecephys import EcephysSession

pytestmark = pytest.mark.conformance

HERE = Path(__file__).parent
SESSION = 715093703
OTHER = 5
_spec = importlib.util.spec_from_file_location("getters_answers", HERE / "getters_answers.py")
assert _spec is not None
assert _spec.loader is not None
asked = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(asked)

U = "s.units.index.values"
P = "s.stimulus_presentations.index.values"
DG = "s.get_stimulus_table('drifting_gratings').index.values"
PROBE = "s.probes.index[{}]"
STIMULI = ("gabors", "flashes", "drifting_gratings", "natural_movie_one", "static_gratings", "natural_scenes", "spontaneous", "invalid_presentation")  # fmt: skip
#: calls, in the order in which both are asked
CALLS = {
    # AllenSDK's file is opened, and with that it stops warning for the rest of a call
    "units": "len(s.units)",
    "trains": "sorted(s.spike_times)",
    "counts": f"s.presentationwise_spike_counts(np.linspace(-0.5, 2.0, 26), {DG}, {U})",
    "counts, one of each": f"s.presentationwise_spike_counts(np.array([0, 0.1, 0.2]), 5, int({U}[0]))",
    "counts, as lists": f"s.presentationwise_spike_counts([0.0, 0.05, 0.1], list({P}[100:120]), list({U}[::-2]))",
    "counts, of no presentation": f"s.presentationwise_spike_counts(np.array([0, 0.1, 0.2]), [], {U})",
    "counts, of no unit": f"s.presentationwise_spike_counts(np.array([0, 0.1, 0.2]), {DG}, [])",
    "counts, binarized": f"s.presentationwise_spike_counts(np.linspace(0, 1, 1001), {DG}[:10], {U}, binarize=True)",
    "counts, binarized, long": f"s.presentationwise_spike_counts(np.linspace(0, 1, 11), {DG}[:10], {U}, binarize=True)",
    "counts, as float32": f"s.presentationwise_spike_counts(np.linspace(0, 1, 11), {DG}, {U}, dtype=np.float32)",
    "counts, uneven": f"s.presentationwise_spike_counts(np.array([-1, -0.9, 0, 0, 0.3, 1.7]), {DG}, {U})",
    "counts, overlapping": f"s.presentationwise_spike_counts(np.arange(-1, 1, 0.125), {P}[30:80], {U})",
    "counts, any order": f"s.presentationwise_spike_counts(np.arange(0, 1, 0.125), {DG}[[5, 3, 9, 3]], {U}[[4, 2]])",
    "counts, callback": f"s.presentationwise_spike_counts(np.arange(0, 1, 0.1), {DG}, {U}, time_domain_callback=lambda d: d + 0.01 * np.arange(10))",
    "counts, backwards": f"s.presentationwise_spike_counts(np.array([0.0, 0.2, 0.1]), {DG}, {U})",
    "spike times": f"s.presentationwise_spike_times({DG}, {U}).reset_index().sort_values(['spike_time', 'unit_id', 'stimulus_presentation_id']).set_index('spike_time')",
    "spike times, of a movie": f"s.presentationwise_spike_times(s.get_stimulus_table('natural_movie_one').index.values, {U}[:9]).reset_index().sort_values(['spike_time', 'unit_id']).set_index('spike_time')",
    "spike times, of one": f"s.presentationwise_spike_times({P}[7], {U}[3])",
    "statistics": f"s.conditionwise_spike_statistics({DG}, {U})",
    "statistics, all": "s.conditionwise_spike_statistics()",
    "statistics, of rates": f"s.conditionwise_spike_statistics({DG}, {U}[::-1], use_rates=True)",
    "statistics, of units that fire": f"s.conditionwise_spike_statistics({P}[:3])",
    "statistics, of one presentation": f"s.conditionwise_spike_statistics({P}[5:6], {U})",
    "pauses": "s.inter_presentation_intervals",
    "pauses, of two": "s.get_inter_presentation_intervals_for_stimulus(['gabors', 'spontaneous'])",
    "pauses, of one": "s.get_inter_presentation_intervals_for_stimulus('flashes')",
    "pauses, of none": "s.get_inter_presentation_intervals_for_stimulus('nothing')",
    "epochs": "s.get_stimulus_epochs()",
    "epochs, long": "s.get_stimulus_epochs({'spontaneous': 20.0, 'flashes': 1000.0})",
    "table": "s.get_stimulus_table()",
    "table, of nothing": "s.get_stimulus_table('nothing')",
    "table, of two": "s.get_stimulus_table(['gabors', 'flashes'], include_unused_parameters=True)",
    "table, in detail": "s.get_stimulus_table(include_detailed_parameters=True, include_unused_parameters=True)",
    **{f"table, {name}": f"s.get_stimulus_table({name!r}, include_detailed_parameters=True)" for name in STIMULI},
    "parameters": "s.get_stimulus_parameter_values()",
    "parameters and nulls": "s.get_stimulus_parameter_values(drop_nulls=False)",
    "parameters, of some": "s.get_stimulus_parameter_values([1, 2, 3])",
    **{f"parameters, {name}": f"s.get_parameter_values_for_stimulus({name!r})" for name in (*STIMULI, "nothing")},
    "parameters and nulls, of one": "s.get_parameter_values_for_stimulus('drifting_gratings', drop_nulls=False)",
    "optotagging": "s.optogenetic_stimulation_epochs",
    "pupil": "s.get_pupil_data()",
    "gaze": "s.get_screen_gaze_data()",
    "gaze, filtered": "s.get_screen_gaze_data(include_filtered_data=True)",
    "invalid times": "s.get_invalid_times()",
    **{f"lfp {n}": f"s.get_lfp({PROBE.format(n)})" for n in range(2)},
    "lfp, unmasked": f"s.get_lfp({PROBE.format(0)}, mask_invalid_intervals=False)",
    "lfp, sliced": f"s.get_lfp({PROBE.format(0)}).sel(time=slice(5, 9))[::-3, [5, 1, 2]]",
    "lfp, of no probe": "s.get_lfp(1)",
    **{f"csd {n}": f"s.get_current_source_density({PROBE.format(n)})" for n in range(2)},
    "structures": "s.channel_structure_intervals(s.channels.index.values)",
    "structures, of one probe": "s.channel_structure_intervals(s.channels.index.values[5:25][::-1])",
    "wheel": "s.api.get_raw_running_data()",
    "running": "s.api.get_running_speed()",
    "rotation": "s.api.get_running_speed(include_rotation=True)",
    "detailed": "sorted(s.DETAILED_STIMULUS_PARAMETERS)",
}  # fmt: skip
#: AllenSDK orders the parameters of stimuli anew in each run (by a set)
ANY_ORDER = ("table", "parameters")


@pytest.fixture(scope="module")
def jobs(
    shared: Path, tmp_path_factory: pytest.TempPathFactory, allensdk: Callable[..., str]
) -> dict[str, dict[str, Any]]:
    """Folders with sessions: as it is, without invalid times, freshly written with parts missing."""
    source = shared / "data" / "allen_session"
    if not source.is_dir():
        pytest.skip(f"{source} is missing")
    root = tmp_path_factory.mktemp("getters")
    for name in ("plain", "valid"):
        for file in source.rglob("*"):
            if file.is_file():
                target = root / name / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    _make_valid(root / "valid" / f"session_{SESSION}" / f"session_{SESSION}.nwb")
    tool = shared / "tools" / "make_allen_session.py"
    missing = ("--no-eye", "--no-opto", "--no-lfp-probe", "1")
    allensdk(tool.read_text(), str(root / "fresh"), "--session-id", str(OTHER), *missing)
    # what is missing, AllenSDK would look for in the network
    there = {name: call for name, call in CALLS.items() if name not in ("lfp 1", "csd 1")}
    return {
        name: {"folder": str(root / name), "session_id": session_id, "expressions": calls}
        for name, session_id, calls in (
            ("plain", SESSION, CALLS),
            ("valid", SESSION, CALLS),
            ("fresh", OTHER, there),
        )
    }


def _make_valid(path: Path) -> None:
    """Without invalid times, and with spikes just where presentations begin and end."""
    with h5py.File(path, "r+") as file:
        del file["intervals/invalid_times"]
        times, ends = file["units/spike_times"], file["units/spike_times_index"][:]
        starts = file["intervals/drifting_gratings_presentations/start_time"][:]
        for first, last in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            train = times[first:last]
            at = np.searchsorted(train, starts)
            at = at[at < len(train)]
            train[at] = starts[: len(at)] + 0.5 * (at % 5)
            times[first:last] = np.sort(train)


@pytest.fixture(scope="module")
def told(
    allensdk: Callable[..., str], jobs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of what both answer: AllenSDK's by job, and ours."""
    out = tmp_path_factory.mktemp("told")
    (out / "jobs.json").write_text(json.dumps(jobs))
    allensdk((HERE / "getters_answers.py").read_text(), str(out / "jobs.json"), str(out / "theirs"))
    for name, job in jobs.items():
        asked.answers(_ours(Path(job["folder"]), job["session_id"]), job["expressions"], out / "ours" / name)
    return out


def _ours(folder: Path, session_id: int) -> EcephysSession:
    def channel_table() -> pd.DataFrame:
        probes = pd.read_csv(folder / "probes.csv", index_col="id")
        mine = probes.index[probes["ecephys_session_id"] == session_id]
        channels = pd.read_csv(folder / "channels.csv", index_col="id")
        known = ["ecephys_structure_id", "ecephys_structure_acronym"]
        places = [f"{axis}_ccf_coordinate" for axis in ("anterior_posterior", "dorsal_ventral", "left_right")]
        return channels.loc[channels["ecephys_probe_id"].isin(mine), [*known, *places]]

    return EcephysSession(
        folder / f"session_{session_id}" / f"session_{session_id}.nwb", channel_table=channel_table
    )


def _differs(
    mine: Any, theirs: Any, arrays: tuple[Any, Any], *, ordered: bool, where: str = ""
) -> str | None:
    """Return where two answers differ, and how; None if they do not."""
    if isinstance(theirs, dict) and theirs.get("kind") == "array":
        if mine.get("dtype") != theirs["dtype"] or mine["shape"] != theirs["shape"]:
            return f"{where}: {mine} for {theirs}"
        a, b = arrays[0][mine["at"]], arrays[1][theirs["at"]]
        if a.dtype.kind == "f":
            # the standard deviation of what is all the same is as far from 0 as sums are rounded
            scale = np.abs(b[np.isfinite(b)]).max(initial=0)
            same = np.allclose(a, b, rtol=1e-12, atol=1e-15 * scale, equal_nan=True)
        else:
            same = np.array_equal(a, b)
        return None if same else f"{where}: values differ"
    if isinstance(theirs, dict):
        names = list(theirs)
        if not isinstance(mine, dict) or (list(mine) != names if ordered else sorted(mine) != sorted(names)):
            return f"{where}: {list(mine) if isinstance(mine, dict) else mine} for {names}"
        found = (_differs(mine[n], theirs[n], arrays, ordered=ordered, where=f"{where}/{n}") for n in names)
        return next((each for each in found if each), None)
    if isinstance(theirs, list):
        if not isinstance(mine, list) or len(mine) != len(theirs):
            return f"{where}: {mine} for {theirs}"
        found = (
            _differs(a, b, arrays, ordered=ordered, where=f"{where}[{n}]")
            for n, (a, b) in enumerate(zip(mine, theirs, strict=True))
        )
        return next((each for each in found if each), None)
    if isinstance(theirs, float) and isinstance(mine, float):
        same = (math.isnan(mine) and math.isnan(theirs)) or math.isclose(mine, theirs, rel_tol=1e-12)
    else:
        same = type(mine) is type(theirs) and mine == theirs
    return None if same else f"{where}: {mine!r} for {theirs!r}"


#: where AllenSDK fails, and what comes here instead
ERRORS = {
    "counts, backwards": "ConfigurationError",
    "lfp, of no probe": "UnknownObjectError",
    "optotagging": "MissingDataError",
}
#: where its answer is of another shape when it is empty
EMPTY = ("spike times, of one",)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("job", ["plain", "valid", "fresh"])
def test_answers_alike(told: Path, job: str, call: str) -> None:
    theirs = json.loads((told / "theirs" / job / "answers.json").read_text()).get(call)
    mine = json.loads((told / "ours" / job / "answers.json").read_text()).get(call)
    if theirs is None:
        pytest.skip("not asked: AllenSDK would look for the file in the network")
    if "error" in theirs:
        assert mine.get("error") == ERRORS[call], (theirs, mine)
        return
    assert "value" in mine, mine
    if call in EMPTY and not theirs["value"]["columns"]["unit_id"].get("items", True):
        assert list(mine["value"]["columns"])[:2] == ["stimulus_presentation_id", "unit_id"]
        return
    with (
        np.load(told / "theirs" / job / "arrays.npz") as b,
        np.load(told / "ours" / job / "arrays.npz") as a,
    ):
        ordered = not call.startswith(ANY_ORDER)
        assert _differs(mine["value"], theirs["value"], (a, b), ordered=ordered) is None
    assert mine["warned"] == theirs["warned"]


def test_functions_beside_the_class_answer_alike(allensdk: Callable[..., str]) -> None:
    said = json.loads(
        allensdk(
            f"import json\n{FUNCTIONS}\nprint(json.dumps(answers('allensdk.brain_observatory.ecephys.ecephys_session')))"
        )
    )
    names: dict[str, Any] = {}
    exec(FUNCTIONS, names)
    assert names["answers"]("project_cache.sessions.ecephys") == said


FUNCTIONS = """
import importlib
import numpy as np
import pandas as pd

def answers(module):
    m = importlib.import_module(module)
    rng = np.random.default_rng(3)
    nan = np.nan
    # on a grid, so that many spikes are on edges
    trains = {u: np.sort(rng.integers(0, 400, 300) / 16) for u in (3, 8, 5)}
    domains = [
        np.arange(0, 20, 0.25)[None, :] + np.array([[0.0], [1.0], [4.0], [0.5]]),
        np.sort(rng.integers(0, 300, (7, 30)) / 16, axis=1),
        np.array([[1.0, 1.0, 1.0, 2.0, 2.0], [-5.0, -4.0, 0.0, 90.0, 91.0]]),
        np.array([[1.0, 2.0]]), np.array([[3.0]]),
    ]
    table = pd.DataFrame({"a": ["null"] * 2, "b": [nan] * 2, "c": ["", ""], "d": ["null", 1], "e": [0, 0], "f": [nan, 1.0], "g": [True, False]})
    return {
        "counts": [m.build_spike_histogram(d, trains, [5, 3], **k).tolist() for d in domains for k in ({}, {"binarize": True}, {"dtype": np.int8}, {"dtype": bool}, {"dtype": np.float64, "binarize": True})],
        "domain": m.build_time_window_domain(np.array([0.0, 0.1]), np.array([3.0, 4.0, 9.0]), callback=lambda d: d * 2).tolist(),
        "columns": list(m.removed_unused_stimulus_presentation_columns(table).columns),
        "nan_intervals": [m.nan_intervals(v).tolist() for v in (
            [nan, nan, 4, 4, 4, 5, 5], np.array([1.0, nan, nan, 1.0, 1.0]), np.array(["null", "null", 1.0, 1, nan, nan, None, None, "null", True, 1], dtype=object),
            np.array([3, 3, 3]), ["a", "a", "b"], np.array([1.0]))],
        "array_intervals": [m.array_intervals(v).tolist() for v in (np.array([1, 1, 2, 2, 3]), np.array([1.0, nan, nan, 2.0]))],
        "is_distinct_from": [bool(m.is_distinct_from(a, b)) for a, b in ((1, 1), (1, 1.0), (nan, nan), (None, None), (nan, None), ("a", "b"), ("a", "a"), (np.float64(1), 1.0), (True, 1))],
        "coerce_scalar": [list(m.coerce_scalar(v, "")) for v in (1, "ab", [1], (1, 2), np.array([3]).tolist(), {"x": 1}, 2.5)],
    }
"""
