"""The cloud cache against AllenSDK 2.16.2's, on one bucket of a real S3 server, and on one another's folders."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache.cloud_folder import OutdatedManifestWarning
from project_cache.errors import DependencyError
from project_cache.testing.object_stores import SeaweedServer
from project_cache.visual_behavior import VisualBehaviorNeuropixelsProjectCache

pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore::UserWarning")]

PROJECT = "visual-behavior-neuropixels"
BUCKET = "visual-behavior-neuropixels-data"
NAME = PROJECT + "_project_manifest_v{}.json"
ANSWERS = Path(__file__).with_name("cloud_answers.py")

WRITE = """
import runpy, sys
tool, out = sys.argv[1:]
sys.argv = [tool, out]
runpy.run_path(tool, run_name="__main__")
"""
THEIRS = """
import json, sys, warnings
from pathlib import Path
warnings.filterwarnings("ignore")
from allensdk.brain_observatory.behavior.behavior_project_cache import VisualBehaviorNeuropixelsProjectCache as Cache

Path(sys.argv[1]).write_text(json.dumps(ask(Cache, *json.loads(sys.argv[2]))))
"""


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("conformance_cloud_answers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ours = load(ANSWERS)


@pytest.fixture(scope="module")
def ask(allensdk: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what AllenSDK answers to a function of a cache's class, given as text."""

    def answered(function: str, *args: object) -> Any:
        file = tmp_path_factory.mktemp("answers") / "answers.json"
        allensdk(ANSWERS.read_text("utf-8") + function + THEIRS, str(file), json.dumps(args))
        return json.loads(file.read_text())

    return answered


@pytest.fixture(scope="module")
def made(shared: Path, allensdk: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What AllenSDK's own classes have written: a bucket, and what was in it before."""
    root = tmp_path_factory.mktemp("cloud") / "made"
    allensdk(WRITE, str(shared / "tools" / "make_allen_vbn.py"), str(root))
    return root


@pytest.fixture(scope="module")
def server(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A real S3 server with both versions, which anyone may read; this process asks it, and nobody else."""
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("weed"), public=(BUCKET,))
    except DependencyError as reason:
        pytest.skip(str(reason))
    with server, pytest.MonkeyPatch.context() as patch:
        server.make_bucket(BUCKET, versions=True)
        upload(made, server)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint_url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield server


def upload(made: Path, server: SeaweedServer) -> None:
    client = server.client()
    ids = []
    for root in (made / "superseded" / "v0.4.0", made / "bucket"):
        found = {}
        for path in sorted(root.rglob("*.*")):
            if path.is_file() and path.parent.name != "manifests":
                key = path.relative_to(root).as_posix()
                found[key] = client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())["VersionId"]
        ids.append(found)
    for path in (made / "bucket" / PROJECT / "manifests").iterdir():
        data = json.loads(path.read_text())
        for entry in [*data["metadata_files"].values(), *data["data_files"].values()]:
            key = entry["url"].partition(".amazonaws.com/")[2]
            before = ids[0] if data["manifest_version"] == "0.4.0" else {}
            entry["version_id"] = before.get(key) or ids[1][key]
        client.put_object(
            Bucket=BUCKET, Key=f"{PROJECT}/manifests/{path.name}", Body=json.dumps(data).encode()
        )
    client.close()


FILL = """
def ask(Cache, folder):
    return answers(Cache.from_s3_cache(folder))
"""


@pytest.fixture(scope="module")
def theirs(server: SeaweedServer, ask: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """AllenSDK's answers, and the folder that it filled."""
    folder = tmp_path_factory.mktemp("theirs")
    return ask(FILL, str(folder)), folder


@pytest.fixture(scope="module")
def mine(server: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("mine")
    return ours.answers(VisualBehaviorNeuropixelsProjectCache.from_s3_cache(folder)), folder


@pytest.mark.parametrize("version", ["new", "old"])
@pytest.mark.parametrize("name", [*ours.TABLES, "all sessions"])
def test_tables(theirs: Any, mine: Any, version: str, name: str) -> None:
    a, b = theirs[0][version][name], mine[0][version][name]
    for what in ("index", "columns", "dtypes"):
        assert b[what] == a[what]
    for column in a["columns"]:
        assert_cells(b["cells"][column], a["cells"][column], column)


def assert_cells(found: list[Any], expected: list[Any], column: str) -> None:
    """Compare; the last digit of a number is what AllenSDK's pandas does not always round rightly."""
    if found != expected:
        both = [[float.fromhex(each) if each else np.nan for each in cells] for cells in (found, expected)]
        np.testing.assert_allclose(*both, rtol=1e-14, atol=1e-16, err_msg=column)


@pytest.mark.parametrize("name", ["recorded", "novel", "trained", "behaved", "recorded then"])
def test_sessions(theirs: Any, mine: Any, name: str) -> None:
    assert mine[0][name] == theirs[0][name]


def test_manifests(theirs: Any, mine: Any) -> None:
    assert mine[0]["manifests"] == theirs[0]["manifests"]
    assert "probe_probeB_lfp.nwb changed" in "".join(mine[0]["manifests"]["compared"])


def test_files_are_at_the_same_places_with_the_same_bytes(theirs: Any, mine: Any) -> None:
    found = []
    for _, folder in (theirs, mine):
        paths = [path for path in folder.rglob("*") if path.is_file() and path.name[0] not in "._"]
        found.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})
    assert found[0] == found[1]
    links = [path for path in theirs[1].rglob("*") if path.is_symlink()]
    assert links
    assert all((mine[1] / path.relative_to(theirs[1])).stat().st_nlink > 1 for path in links)


LOCAL = """
def ask(Cache, folder):
    return answers(Cache.from_local_cache(folder))
"""


def test_allensdk_goes_on_with_our_folder(
    mine: Any, theirs: Any, ask: Callable[..., Any], tmp_path: Path
) -> None:
    shutil.copytree(mine[1], tmp_path / "moved")
    assert ask(LOCAL, str(tmp_path / "moved")) == theirs[0]


def test_we_go_on_with_theirs(theirs: Any, mine: Any, tmp_path: Path) -> None:
    assert ours.answers(VisualBehaviorNeuropixelsProjectCache.from_local_cache(theirs[1])) == mine[0]


def test_we_go_on_with_theirs_when_it_was_moved(theirs: Any, mine: Any, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(theirs[1], folder, symlinks=True)
    for path in [path for path in folder.rglob("*") if path.is_symlink()]:
        target = str(path.readlink()).replace(str(theirs[1]), str(tmp_path / "gone"))
        path.unlink()
        path.symlink_to(target)
        assert not path.exists()
    assert ours.answers(VisualBehaviorNeuropixelsProjectCache.from_local_cache(folder)) == mine[0]
    assert not any(path.is_symlink() for path in folder.rglob("*.nwb"))


LISTED = """
def ask(Cache, folder):
    Cache.from_s3_cache(folder).construct_local_manifest()
"""


def test_the_list_of_files_is_allensdks(mine: Any, ask: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(mine[1], folder, ignore=shutil.ignore_patterns(".*"))
    VisualBehaviorNeuropixelsProjectCache.from_local_cache(folder).construct_local_manifest()
    found = json.loads((folder / "_downloaded_data.json").read_text())
    (folder / "_downloaded_data.json").unlink()
    ask(LISTED, str(folder))
    assert found == json.loads((folder / "_downloaded_data.json").read_text())


STATIC = """
def ask(Cache, folder, sessions=True):
    cache = Cache.from_local_cache(folder, use_static_cache=True)
    found = {"tables": tables(cache), "names": cache.list_manifest_file_names(), "current": cache.current_manifest()}
    if sessions:
        found |= {"recorded": recorded(cache.get_ecephys_session(RECORDED)),
                  "behaved": behaved(cache.get_behavior_session(BEHAVED))}
    return found
"""


def test_a_static_folder(made: Path, ask: Callable[..., Any]) -> None:
    exec(STATIC, names := dict(vars(ours)))
    before = sorted((made / "bucket").rglob("*"))
    found = names["ask"](VisualBehaviorNeuropixelsProjectCache, str(made / "bucket"))
    assert sorted((made / "bucket").rglob("*")) == before
    expected = ask(STATIC, str(made / "bucket"))
    assert {**json.loads(json.dumps(found)), "tables": None} == {**expected, "tables": None}
    assert found["tables"].keys() == expected["tables"].keys()


def test_odd_tables(made: Path, ask: Callable[..., Any], tmp_path: Path) -> None:
    """Columns in another order, columns nobody knows, whole numbers that are missing."""
    root = tmp_path / PROJECT
    shutil.copytree(made / "bucket" / PROJECT, root, ignore=shutil.ignore_patterns("*.nwb"))
    data_file = root / "manifests" / NAME.format("0.5.0")
    data = json.loads(data_file.read_text())
    for path in (root / "project_metadata").iterdir():
        odd(path)
        from project_cache.files import digest_of

        data["metadata_files"][path.stem]["file_hash"] = digest_of(path, "blake2b").partition(":")[2]
    data_file.write_text(json.dumps(data))
    exec(STATIC, names := dict(vars(ours)))
    found = json.loads(json.dumps(names["ask"](VisualBehaviorNeuropixelsProjectCache, str(tmp_path), False)))
    expected = ask(STATIC, str(tmp_path), False)
    for name, table in expected["tables"].items():
        for what in ("index", "columns", "dtypes"):
            assert found["tables"][name][what] == table[what], name
        for column, cells in table["cells"].items():
            assert_cells(found["tables"][name]["cells"][column], cells, f"{name} {column}")


def odd(path: Path) -> None:
    table = pd.read_csv(path)
    for column in table.columns[1:]:
        if table[column].dtype.kind in "if" and column != "file_id":
            table[column] = table[column].astype(float)
            table.loc[table.index[-1], column] = np.nan
    if path.stem == "ecephys_sessions":
        table["abnormal_histology"] = [None, "A", None, "B", None, None]
        table["abnormal_activity"] = [None, None, "C", "D", None, None]
    table = table[table.columns[::-1]]
    table.assign(nothing=np.nan, none="None", yes=True, count=1.0, words="['a', 'b']").to_csv(
        path, index=False
    )


COMPARED = """
def ask(Cache, folder, pairs):
    cache = Cache.from_local_cache(folder)
    return [cache.compare_manifests(*pair) for pair in pairs]
"""


def test_odd_differences(mine: Any, ask: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(mine[1], folder)
    base = json.loads((folder / NAME.format("0.5.0")).read_text())

    def put(version: str, change: Callable[[Any], None]) -> None:
        data = copy.deepcopy(base)
        data["manifest_version"] = version
        change(data)
        (folder / NAME.format(version)).write_text(json.dumps(data))

    def renamed(data: Any) -> None:
        files = data["data_files"]
        files["1"]["url"] = files["1"]["url"].replace("ecephys_session_", "moved_")
        files["3"] |= {"url": files["3"]["url"].replace("probeB", "newB"), "file_hash": "0" * 128}
        files["5"]["url"], files["6"]["url"] = files["6"]["url"], files["5"]["url"]
        files["77"] = files.pop("7")
        units = data["metadata_files"].pop("units")
        new = {**units, "url": units["url"].replace("units", "extra"), "file_hash": "1" * 128}
        data["metadata_files"]["extra"] = new

    put("0.6.0", renamed)
    put("0.10.0", lambda data: None)
    put("1.0.0", lambda data: data["data_files"].clear())
    versions = ["0.4.0", "0.5.0", "0.6.0", "0.10.0", "1.0.0"]
    pairs = [[NAME.format(a), NAME.format(b)] for a in versions for b in versions]
    cache = VisualBehaviorNeuropixelsProjectCache.from_local_cache(folder)
    assert cache.list_manifest_file_names() == [NAME.format(version) for version in versions]
    assert [cache.compare_manifests(*pair) for pair in pairs] == ask(COMPARED, str(folder), pairs)


WARNED = """
def ask(Cache, folders):
    import warnings
    found = []
    for folder, way in folders:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cache = getattr(Cache, way)(folder)
        found.append([cache.current_manifest(), any("Manifest" in each.category.__name__ for each in caught)])
    return found
"""


def test_the_version_that_a_cache_begins_with(theirs: Any, ask: Callable[..., Any], tmp_path: Path) -> None:
    """The same version, and where AllenSDK warns of another, so is it here: when the bucket is asked, at the latest."""
    cases = []
    for number, (last, kept) in enumerate(
        [
            ("0.4.0", "both"),
            ("0.5.0", "both"),
            (None, "both"),
            ("0.4.0", "0.4.0"),
            (None, "0.4.0"),
            ("9", "0.4.0"),
        ]
    ):
        for way in ("from_s3_cache", "from_local_cache"):
            for who in ("theirs", "ours"):
                folder = tmp_path / f"{number} {way} {who}"
                shutil.copytree(theirs[1], folder)
                if kept != "both":
                    (folder / NAME.format("0.5.0")).unlink()
                (folder / "_manifest_last_used.txt").write_text(NAME.format(last))
                if last is None:
                    (folder / "_manifest_last_used.txt").unlink()
                cases.append((folder, way, who))
    expected = ask(WARNED, [[str(folder), way] for folder, way, who in cases if who == "theirs"])
    found = []
    for folder, way, who in cases:
        if who == "ours":
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                cache = getattr(VisualBehaviorNeuropixelsProjectCache, way)(folder)
                if way == "from_s3_cache":
                    (folder / cache.manifest.folder / f"{PROJECT}-0.4.0/project_metadata/probes.csv").unlink()
                    cache.get_probe_table()
            warned = any(issubclass(each.category, OutdatedManifestWarning) for each in caught)
            found.append([cache.current_manifest(), warned])
    assert found == expected
