"""The package's own dialect: what it adds, and what it refuses from a server."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from project_cache.errors import ManifestError
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest, SourceEntry
from project_cache.manifest.objects import ObjectEntry, Objects
from project_cache.manifest.schema import shipped, shipped_manifest

DIGEST = "sha256:" + "0" * 64
NWB = Key("session_nwb", (7,))


def text(**more: Any) -> str:
    return json.dumps({"format": "project_cache/1", "project": "p", "version": "1", **more})


@pytest.mark.parametrize("parquet", [False, True])
def test_all_that_is_known_of_an_object_is_written_and_read(tmp_path: Path, parquet: bool) -> None:
    entry = ObjectEntry(NWB, "deep/er/x.nwb", 123, DIGEST, '"etag"', ("aws", "local"), "Session")
    first = Manifest.parse(
        text(sources=[{"kind": "http", "name": "aws", "url": "https://x"}]), folder=tmp_path, origin="o"
    )
    import dataclasses

    path = dataclasses.replace(first, objects=Objects([entry]), description="d").write(
        tmp_path / "m.json", parquet=parquet
    )
    found = Manifest.read(path)
    assert found.entry(NWB) == entry
    assert found.sources == (SourceEntry("aws", "http", "https://x"),)
    assert found.sources_of(NWB) == ("aws", "local")
    assert found.sources_of(Key("units")) == ("aws",)
    assert found.description == "d"
    assert found.locate(NWB) == tmp_path / "deep/er/x.nwb"
    assert found.entry(Key("units")) == ObjectEntry(Key("units"))
    assert (tmp_path / "m.objects.parquet").exists() == parquet


def test_a_hundred_thousand_objects_lie_beside_the_json(tmp_path: Path) -> None:
    import dataclasses

    objects = Objects(ObjectEntry(Key("session_nwb", (n,)), size=n, digest=DIGEST) for n in range(100_000))
    manifest = dataclasses.replace(Manifest.parse(text(), folder=tmp_path, origin="o"), objects=objects)
    path = manifest.write(tmp_path / "m.json", parquet=True)
    assert path.stat().st_size < 2_000
    assert (tmp_path / "m.objects.parquet").stat().st_size < 2_000_000
    found = Manifest.read(path)
    assert found.entry(Key("session_nwb", (99_999,))).size == 99_999
    assert len(found.objects) == 100_000


def test_a_changed_object_list_is_noticed(tmp_path: Path) -> None:
    import dataclasses

    manifest = dataclasses.replace(
        Manifest.parse(text(), folder=tmp_path, origin="o"), objects=Objects([ObjectEntry(NWB, size=1)])
    )
    path = manifest.write(tmp_path / "m.json", parquet=True)
    listed = tmp_path / "m.objects.parquet"
    listed.write_bytes(listed.read_bytes() + b"x")
    with pytest.raises(ManifestError, match="digest differs"):
        Manifest.read(path).entry(NWB)
    listed.unlink()
    with pytest.raises(ManifestError, match="is missing"):
        Manifest.read(path).entry(NWB)


@pytest.mark.parametrize(
    "more",
    [
        {"layout": {"session_nwb": "../{0}.nwb"}},
        {"layout": {"session_nwb": "/data/{0}.nwb"}},
        {"layout": {"session_nwb": "C:\\{0}.nwb"}},
        {"layout": {"session_nwb": "\\\\server\\share\\{0}"}},
        {"layout": {"session_nwb": "{a.__class__}"}},
        {"tables": {"units": "../units.csv"}},
        {"tables": {"units": ".units.csv.parquet"}},
        {"objects": [{"key": "session_nwb/7", "path": "../../.bashrc"}]},
        {"objects": [{"key": "session_nwb/7", "path": "aux/x.nwb"}]},
        {"objects": [{"key": "session_nwb/7", "digest": "md5:00"}]},
        {"objects": [{"key": "session_nwb/7", "size": -1}]},
        {
            "objects": [
                {"key": "session_nwb/7", "path": "a/x.nwb"},
                {"key": "session_nwb/8", "path": "A/X.nwb"},
            ]
        },
        {"objects": [{"key": "units", "path": "\u00e9.csv"}, {"key": "probes", "path": "e\u0301.csv"}]},
        {"versions": [{"version": "1", "manifest": "../manifest-1.json", "published": ""}]},
        {"objects": [{"key": "session_nwb/7", "eval": "x"}]},
        {"objects": {"parquet": "../o.parquet"}},
        {"sources": [{"kind": "directory", "url": "/etc"}]},
        {"session_class": "os.system"},
        {"unknown": 1},
    ],
)
def test_nothing_from_a_server_leaves_the_folder(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(text(**more), folder=tmp_path, origin="https://x/manifest.json")


def test_a_servers_path_manifest_is_refused(tmp_path: Path, shared: Path) -> None:
    theirs = (shared / "data/visual_coding/real/manifest.json").read_text()
    with pytest.raises(ManifestError, match="came from a server"):
        Manifest.parse(theirs, folder=tmp_path, origin="https://x")


def test_a_link_in_the_folder_does_not_lead_a_servers_manifest_out(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "session_7").symlink_to(tmp_path)
    manifest = Manifest.parse(text(), folder=tmp_path / "cache", origin="https://x")
    with pytest.raises(ManifestError, match="leads out"):
        manifest.locate(NWB)
    (tmp_path / "m.json").write_text(text())
    own = Manifest.read(tmp_path / "m.json", folder=tmp_path / "cache")
    assert own.locate(NWB) == tmp_path / "cache/session_7/session_7.nwb"


def test_both_dialects_say_the_same_of_the_usual_folder(tmp_path: Path) -> None:
    allen = Manifest.visual_coding(tmp_path / "manifest.json")
    ours = Manifest.read(allen.write(tmp_path / "own.json"))
    back = Manifest.read(ours.write_path_manifest(tmp_path / "manifest.json"))
    for key in (NWB, Key("probe_lfp_nwb", (7, 8)), Key("units"), Key("natural_scene", (1,))):
        assert allen.locate(key) == ours.locate(key) == back.locate(key)


def test_a_layout_that_allensdk_could_not_follow_is_not_written_for_it(tmp_path: Path) -> None:
    manifest = Manifest.parse(text(layout={"session_nwb": "{0}.nwb"}), folder=tmp_path, origin="o")
    with pytest.raises(ManifestError, match="AllenSDK cannot open this layout"):
        manifest.write_path_manifest(tmp_path / "manifest.json")
    other = Manifest.parse(
        text(layout={"session_nwb": "all/{0}/{0}.nwb", "units": "t/u.csv"}), folder=tmp_path, origin="o"
    )
    back = Manifest.read(other.write_path_manifest(tmp_path / "manifest.json"))
    assert back.locate(NWB) == tmp_path / "all/7/7.nwb"
    assert back.locate(Key("units")) == tmp_path / "t/u.csv"


def test_what_ships_is_valid_and_found() -> None:
    assert shipped() == [
        "demo",
        "dynamic-routing",
        "visual-behavior-neuropixels",
        "visual-coding-neuropixels",
    ]
    for name in shipped():
        assert Manifest.read(shipped_manifest(name)).project == name
    real = Manifest.read(shipped_manifest("visual-coding-neuropixels"))
    assert [s.kind for s in real.sources] == ["warehouse", "http"]
    with pytest.raises(ManifestError, match="there are demo, dynamic"):
        shipped_manifest("../secrets")


@pytest.mark.slow
def test_the_manifests_are_in_the_wheel(tmp_path: Path) -> None:
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(tmp_path),
            str(root),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "project_cache/_manifests/schema.json",
        "project_cache/_manifests/demo.json",
        "project_cache/py.typed",
    } <= set(names)
