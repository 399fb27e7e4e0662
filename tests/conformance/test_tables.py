"""Every table call on real and on odd folders: values, order, index, columns and types are AllenSDK's."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project_cache.errors import ProjectCacheError
from project_cache.manifest.keys import Key
from project_cache.tables.tables import Tables

pytestmark = pytest.mark.conformance

OURS = {
    "get_session_table": "sessions",
    "get_probes": "probes",
    "get_channels": "channels",
    "get_units": "units",
    "get_unit_analysis_metrics_for_session": "session_metrics",
    "get_unit_analysis_metrics_by_session_type": "type_metrics",
    "get_all_session_types": "session_types",
    "get_all_full_genotypes": "full_genotypes",
    "get_structure_acronyms": "structure_acronyms",
    "get_all_ages": "ages",
    "get_all_sexes": "sexes",
}
NO_LIMITS: dict[str, Any] = {
    "amplitude_cutoff_maximum": None,
    "presence_ratio_minimum": None,
    "isi_violations_maximum": None,
}
CALLS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("get_session_table", [], {}),
    ("get_session_table", [], {"suppress": []}),
    ("get_session_table", [], {"suppress": ["genotype", "full_genotype", "unit_count", "no such column"]}),
    ("get_probes", [], {}),
    ("get_probes", [], {"suppress": []}),
    ("get_probes", [], {"suppress": ["name", "phase"]}),
    ("get_channels", [], {}),
    ("get_channels", [], {"suppress": []}),
    ("get_units", [], {}),
    ("get_units", [], {"suppress": []}),
    ("get_units", [], {"suppress": ["snr", "name"]}),
    ("get_units", [], {"filter_by_validity": False}),
    ("get_units", [], {"filter_by_validity": False, **NO_LIMITS}),
    ("get_units", [], {"amplitude_cutoff_maximum": 0, "presence_ratio_minimum": 0.5}),
    ("get_units", [], {"isi_violations_maximum": 0.05, "filter_out_of_brain_units": False}),
    *((name, [], {}) for name in OURS if name.startswith("get_all") or name == "get_structure_acronyms"),
    ("get_structure_acronyms", [], {"suppress": ["name"]}),
    ("get_unit_analysis_metrics_for_session", [715093703], {}),
    ("get_unit_analysis_metrics_for_session", [715093703], {"annotate": False}),
    ("get_unit_analysis_metrics_for_session", [715093703], {"filter_by_validity": False, **NO_LIMITS}),
    ("get_unit_analysis_metrics_by_session_type", ["functional_connectivity"], {}),
    ("get_unit_analysis_metrics_by_session_type", ["functional_connectivity"], {"annotate": False}),
    ("get_unit_analysis_metrics_by_session_type", ["brain_observatory_1.1"], {}),
    ("get_unit_analysis_metrics_by_session_type", ["no such type"], {}),
]
FOLDERS = ["visual_areas", "allen_session", "mixed", "own_index", "lone", "none_pass"]

#: AllenSDK asks a server that is not there for what is not in the folder
THEIRS = """
import sys, warnings
warnings.filterwarnings("ignore")
from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

for folder in sys.argv[3:]:
    cache = EcephysProjectCache.from_warehouse(
        manifest=folder + "/manifest.json", scheme="http", host="127.0.0.1:9", fetch_tries=1)
    ask(lambda name: getattr(cache, name), json.loads(sys.argv[1]), sys.argv[2] + "/" + Path(folder).name)
"""


def folder_of(root: Path, **tables: list[list[Any]]) -> None:
    """Write tables (a header and rows each) to a folder, as text that nothing has rounded."""
    root.mkdir()
    for name, rows in tables.items():
        path = root / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def digits(rng: np.random.Generator, count: int) -> list[str]:
    """Numbers as people write them: up to 19 digits, small ones with exponents, some absent."""
    numbers = rng.random(count) * 10.0 ** rng.integers(-7, 2, count)
    return [
        "" if n % 13 == 5 else f"{x:.19f}" if n % 7 == 0 else repr(float(x)) for n, x in enumerate(numbers)
    ]


def synthetic(base: Path) -> None:
    """Write the folders whose tables are not as the real ones happen to be."""
    rng = np.random.default_rng(5)
    sessions = [
        ["id", "published_at", "session_type", "age_in_days", "sex", "genotype", "has_nwb", "note"],
        [715093703, "2019-10-03T00:00:00Z", "brain_observatory_1.1", 118.0, "M", "wt/wt", True, "None"],
        [3, "2019-10-03T00:00:00Z", "functional_connectivity", "", "NA", "wt/wt", False, "NA"],
        [2, "", "functional_connectivity", 90, "F", "Vip", True, "null"],
    ]
    probes = [
        ["id", "ecephys_session_id", "lfp_sampling_rate", "lfp_temporal_subsampling_factor", "name", "phase"]
        + ["sampling_rate", "has_lfp_data", "air_channel_index"],
        # sessions in turns; one that is not in the table; probe 13 has no channels
        [12, 3, 2499.99728487454, 2.0, "probeB", "3a", 29999.9674184945, True, 380],
        [10, 715093703, 2500.0, 2.0, "probeA", "3a", 29999.99999999999997, True, ""],
        [11, 3, "", 2.0, "probeA", "PXI", 30000, False, 2],
        [13, 715093703, 2500.0, 3.0, "probeC", "3a", 3e4, True, 1],
        [14, 99, 2500.0, 2.0, "lost", "3a", 3e4, True, 1],
    ]
    channels = [
        [
            "id",
            "ecephys_probe_id",
            "local_index",
            "probe_vertical_position",
            "anterior_posterior_ccf_coordinate",
        ]
        + ["dorsal_ventral_ccf_coordinate", "left_right_ccf_coordinate", "ecephys_structure_id"]
        + ["ecephys_structure_acronym"],
    ]
    for n in range(40):
        for probe in (11, 10, 14, 12, 77):
            area = int(rng.integers(0, 4))
            where = ["", "", "", "", ""] if area == 0 else [7000 + n, 0.5, -1000, 380 + area, f"A{area}"]
            channels.append([100 * probe + n, probe, n, 20 * n, *where])
    units = [
        ["id", "ecephys_channel_id", "l_ratio", "snr", "duration", "amplitude_cutoff", "presence_ratio"]
        + ["isi_violations", "quality", "epoch_name_quality_metrics"],
    ]
    count = 600
    parents = rng.choice([row[0] for row in channels[1:]] + [5], count)
    for n, numbers in enumerate(zip(*(digits(rng, count) for _ in range(3)), strict=True)):
        good = [repr(0.12 * rng.random()), repr(0.9 + 0.1 * rng.random()), repr(0.6 * rng.random())]
        if n % 17 == 3:
            good[n % 3] = ""
        verdict = "good" if n % 4 else "noise"
        units.append([5000 - n, parents[n], *numbers, *good, verdict, "complete_session"])
    metrics: list[list[Any]] = [
        ["ecephys_unit_id", "snr", "area_rf", "on_screen_rf", "p_value_rf", "pref_images_multi_ns", "flag"],
    ]
    areas = digits(rng, 400)
    for n in range(400):
        choices = (["True", "False", ""][n % 3], repr(float(rng.random())), f'"[{n}, {n + 1}]"', n % 2 == 0)
        metrics.append([5020 - n, n, areas[n], *choices])
    tables = {"sessions": sessions, "probes": probes, "channels": channels, "units": units}
    of_types = {
        "session_715093703__session_715093703_analysis_metrics": metrics,
        "functional_connectivity_analysis_metrics": metrics,
        "brain_observatory_1.1_analysis_metrics": metrics[:1] + metrics[:0:-1],
    }
    folder_of(base / "mixed", **tables, **of_types)

    # Columns that two tables have; lists that are text; no word on LFP; a file saved with a nameless index.
    own = [[*row, n, 380 if n % 3 else ""] for n, row in enumerate(units)]
    own[0][-2:] = ["local_index", "ecephys_structure_id"]
    lists = [
        [*row, text] for row, text in zip(sessions, ["", "\"['A1', 'A2']\"", "[]", '"[None]"'], strict=True)
    ]
    lists[0][-1] = "structure_acronyms"
    plain = [["", *row[:-2]] if n == 0 else [n, *row[:-2]] for n, row in enumerate(probes)]
    folder_of(base / "own_index", sessions=lists, probes=plain, channels=channels, units=own, **of_types)

    # One of each; and none that passes.
    one = {name: [rows[0], next(r for r in rows if r[0] in (715093703, 10, 1001))] for name, rows in tables.items() if name != "units"}  # fmt: skip
    unit = [5000, 1001, 1, 2, 3, 0.01, 1, 0.5, "good", "x"]
    folder_of(base / "lone", **one, units=[units[0], unit], **of_types)
    folder_of(base / "none_pass", **one, units=[units[0], [*unit[:5], 0.4, *unit[6:]]], **of_types)


@pytest.fixture(scope="module")
def folders(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("folders")
    synthetic(base)
    for name, source in (("visual_areas", "visual_coding/visual_areas"), ("allen_session", "allen_session")):
        for path in (shared / "data" / source).rglob("*.*"):
            if path.suffix in (".csv", ".json"):
                target = base / name / path.relative_to(shared / "data" / source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    return base


def tables_in(root: Path, *, keep: bool = True) -> Tables:
    def path_of(key: Key) -> Path:
        if not key.args:
            return root / f"{key}.csv"
        name = f"{key.args[0]}_analysis_metrics.csv"
        return root / (f"session_{key.args[0]}/session_{name}" if key.kind.startswith("session") else name)

    return Tables(path_of, lambda key, path: keep)


@pytest.fixture(scope="module")
def theirs(folders: Path, allensdk: Callable[..., str], ask_text: str) -> Path:
    out = folders / "theirs"
    out.mkdir()
    allensdk(ask_text + THEIRS, json.dumps(CALLS), str(out), *(str(folders / name) for name in FOLDERS))
    return out


@pytest.fixture(scope="module")
def ours(folders: Path, ask: Callable[..., None]) -> Path:
    """Our answers; the second time from the parsed copies that the first time left."""
    out = folders / "ours"
    out.mkdir()
    for name in FOLDERS:
        for turn in ("first", "again"):
            tables = tables_in(folders / name)
            ask(lambda call, t=tables: getattr(t, OURS[call]), CALLS, str(out / f"{name}.{turn}.x"))
    return out


@functools.lru_cache(maxsize=4)
def answers(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was written to a path: answers, and the numbers in them."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), dict(arrays)


@pytest.mark.parametrize("turn", ["first", "again"])
@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda n: f"{n}-{CALLS[n][0]}")
@pytest.mark.parametrize("folder", FOLDERS)
def test_answers_are_allensdks(folder: str, number: int, turn: str, theirs: Path, ours: Path) -> None:
    title = f"{number} {CALLS[number][0]}"
    expected, a = answers(theirs / f"{folder}.json")
    found, b = answers(ours / f"{folder}.{turn}.json")
    if "error" in expected[title]:
        assert "error" in found[title], f"AllenSDK: {expected[title]}"
        return
    assert found[title] == expected[title]
    names = [name for name in a if name.startswith(f"{title}|")]
    assert names == [name for name in b if name.startswith(f"{title}|")]
    for name in names:
        label = ["index", *expected[title]["columns"]][int(name.split("|")[1])]
        assert a[name].dtype == b[name].dtype, label
        if a[name].dtype.kind == "f":
            # AllenSDK's pandas looks at 17 digits, leading zeros among them, and does not round the last ones rightly
            np.testing.assert_allclose(
                b[name], a[name], rtol=1e-14, atol=1e-16, equal_nan=True, err_msg=label
            )
        else:
            np.testing.assert_array_equal(b[name], a[name], err_msg=label)


@pytest.mark.parametrize("folder", FOLDERS)
def test_where_allensdk_fails_we_say_why(folder: str, theirs: Path, folders: Path) -> None:
    tables = tables_in(folders / folder)
    expected, _ = answers(theirs / f"{folder}.json")
    for number, (name, args, kwargs) in enumerate(CALLS):
        if expected[f"{number} {name}"].get("error") == "ValueError":
            with pytest.raises(ProjectCacheError) as caught:
                getattr(tables, OURS[name])(*args, **kwargs)
            assert isinstance(caught.value, ValueError)


WORKFLOW = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

sessions = EcephysProjectCache.from_warehouse(manifest=sys.argv[1] + "/manifest.json").get_session_table()
"""
STEPS = """
areas = []
for _, row in sessions.iterrows():
    areas += [area for area in row.ecephys_structure_acronyms if area not in areas]
chosen = sessions[(sessions.unit_count > 300) & (sessions.session_type == "brain_observatory_1.1")
                  & (sessions.full_genotype == "wt/wt")].index
answers = dict(
    shape=list(sessions.shape), mean=sessions.unit_count.mean().hex(),
    most=int(sessions.unit_count.max()), least=int(sessions.unit_count.min()),
    genotypes={k: int(v) for k, v in sessions.full_genotype.value_counts().items()},
    types={k: int(v) for k, v in sessions.session_type.value_counts().items()},
    areas=areas, visp=sum("VISp" in row.ecephys_structure_acronyms for _, row in sessions.iterrows()),
    chosen=chosen.tolist(), first=list(sessions.ecephys_structure_acronyms[chosen[0]]))
"""


def test_the_notebooks_workflow(folders: Path, allensdk: Callable[..., str]) -> None:
    folder = folders / "visual_areas"
    said = allensdk(WORKFLOW + STEPS + "\nprint(json.dumps(answers))", str(folder))
    names: dict[str, Any] = {"sessions": tables_in(folder).sessions()}
    exec(STEPS, names)
    assert names["answers"] == json.loads(said.strip().splitlines()[-1])
    assert names["answers"]["shape"] == [58, 10]
    assert len(names["answers"]["chosen"]) > 0
