"""AllenSDK's cloud manifests: what they say, what they may not say, and what is different between two."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from project_cache.errors import ManifestError
from project_cache.manifest.cloud import (
    Change,
    CloudManifest,
    Release,
    changes,
    comparison,
    in_order,
    is_manifest_name,
    newest,
)
from project_cache.manifest.keys import Key

LAYOUT = {
    "session_nwb": "sessions/{0}/session_{0}.nwb",
    "probe_lfp_nwb": "sessions/{0}/probe_{1}_lfp.nwb",
    "units": "tables/units.csv",
}


def entry(place: str, hash_: str = "0", version_id: str | None = "v1") -> dict[str, Any]:
    url = f"https://lab.s3.us-west-2.amazonaws.com/project/{place}"
    return {"url": url, "version_id": version_id, "file_hash": hash_ * 128}


def manifest(version: str = "0.1.0", **files: dict[str, Any]) -> dict[str, Any]:
    return {
        "project_name": "project",
        "manifest_version": version,
        "metadata_file_id_column_name": "file_id",
        "data_pipeline": [{"name": "AllenSDK", "version": "2.16.2"}],
        "metadata_files": {"units": entry("tables/units.csv", "e")},
        "data_files": {name.strip("_"): each for name, each in files.items()},
    }


def parsed(data: dict[str, Any]) -> CloudManifest:
    return CloudManifest.parse(json.dumps(data), "the bucket")


def test_a_manifest_says_where_files_are_and_what_they_are() -> None:
    found = parsed(manifest(_7=entry("sessions/1/session_1%20a.nwb", "a"), _8=entry("x.csv", "b", "")))
    assert (found.project, found.version, found.folder) == ("project", "0.1.0", "project-0.1.0")
    file = found.files["7"]
    assert (file.place, file.key) == ("sessions/1/session_1 a.nwb", "project/sessions/1/session_1 a.nwb")
    assert (file.digest, file.version_id) == ("blake2b:" + "a" * 128, "v1")
    assert found.files["8"].version_id is None
    assert [each.name for each in found] == ["units", "7", "8"]


@pytest.mark.parametrize(
    "place",
    [
        "../../etc/passwd",
        "%2e%2e/x",
        "..%2fx",
        "a/../../x",
        "a//x",
        "",
        "C:/x",
        "a\\..\\x",
        "a%5C..%5Cx",
        "NUL.csv",
        ".hidden",
        "a/con",
        "x ",
        "x.",
        "a:stream",
    ],
)
def test_no_file_leaves_the_project(place: str) -> None:
    with pytest.raises(ManifestError, match="the bucket is not used"):
        parsed(manifest(_1=entry(place)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data.pop("data_files"), "data_files"),
        (lambda data: data.update(data_files=[]), "otherwise"),
        (lambda data: data.update(project_name="../x"), "not used"),
        (lambda data: data.update(project_name=3), "otherwise"),
        (lambda data: data.update(manifest_version="../x"), "its version is"),
        (lambda data: data["metadata_files"]["units"].pop("url"), "url"),
        (lambda data: data["metadata_files"]["units"].update(file_hash="ab"), "hash of tables/units.csv"),
        (lambda data: data["metadata_files"]["units"].update(version_id=3), "version_id of tables/units.csv"),
        (lambda data: data["data_files"].update({"../1": entry("a.csv")}), "not used"),
        (lambda data: data["data_files"].update({"1": entry("TABLES/units.csv")}), "cannot both be stored"),
        (lambda data: data["data_files"].update({"1": entry("tables/units.csv")}), "cannot both be stored"),
        (
            lambda data: data["data_files"].update({"1": entry("\u00e9"), "2": entry("e\u0301", "1")}),
            "cannot both be stored",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(change: Any, why: str) -> None:
    data = manifest()
    change(data)
    with pytest.raises(ManifestError, match=why) as caught:
        parsed(data)
    assert "the bucket" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "<html>", '{"project_name": 1}', "[" * 100_000, b"\xff\xfe"]
)
def test_what_is_no_manifest_is_refused(text: str | bytes) -> None:
    with pytest.raises(ManifestError, match="the bucket"):
        CloudManifest.parse(text, "the bucket")


def test_versions_are_in_the_order_of_their_numbers() -> None:
    names = [
        f"p_manifest_v{v}.json" for v in ("0.10.0", "0.9.0", "1.0.0-rc.10", "1.0.0-rc.2", "1.0.0", "0.9.0-a")
    ]
    assert [
        name.removeprefix("p_manifest_v")[:-5] for name in in_order([*names, "other.json", "p_v1.0.json"])
    ] == [
        "0.9.0-a",
        "0.9.0",
        "0.10.0",
        "1.0.0-rc.2",
        "1.0.0-rc.10",
        "1.0.0",
    ]
    assert newest(names) == "p_manifest_v1.0.0.json"
    assert newest(["other.json"]) is None
    assert not is_manifest_name("../p_manifest_v1.0.0.json")


def test_differences() -> None:
    old = manifest(_1=entry("a", "a"), _2=entry("b", "b"), _3=entry("c", "c"), _4=entry("d", "d"))
    new = manifest("0.2.0", _1=entry("a", "a"), _2=entry("b", "1"), _9=entry("z", "c"), _5=entry("e", "2"))
    new["metadata_files"]["units"]["file_hash"] = "f" * 128
    assert changes(parsed(old), parsed(new)) == [
        Change("tables/units.csv", "changed"),
        Change("b", "changed"),
        Change("c", "renamed", "z"),
        Change("d", "deleted"),
        Change("e", "created"),
    ]
    said = comparison(parsed(old), parsed(new), "one", "other")
    assert said.startswith("Changes going from\none\nto\nother\n\ntables/units.csv changed\n")
    assert "\nc renamed z\n" in said
    assert comparison(parsed(old), parsed(old), "one", "other") == "The two manifests are equivalent"


def test_a_copy_is_no_renaming() -> None:
    old = manifest(_1=entry("a", "a"))
    new = copy.deepcopy(old)
    new["data_files"]["2"] = entry("b", "a")
    assert changes(parsed(old), parsed(new)) == [Change("b", "created")]
    assert changes(parsed(new), parsed(old)) == [Change("b", "deleted")]


def test_files_get_keys_that_tell_what_they_are(tmp_path: Path) -> None:
    cloud = parsed(
        manifest(
            _7=entry("sessions/12/session_12.nwb", "a"),
            _8=entry("sessions/12/probe_A_lfp.nwb", "b", None),
            _9=entry("sessions/12/session_13.nwb", "c"),
        )
    )
    release = Release(cloud, tmp_path, LAYOUT, below="project-0.1.0", session_class="BehaviorSession")
    assert release.keys == {
        "7": Key("session_nwb", (12,)),
        "8": Key("probe_lfp_nwb", (12, "A")),
        "9": Key("file", (9,)),
    }
    found = release.manifest
    assert found.folder == tmp_path
    assert (
        found.locate(release.keys["8"]) == tmp_path / "project-0.1.0" / "sessions" / "12" / "probe_A_lfp.nwb"
    )
    assert found.locate(Key("units")) == tmp_path / "project-0.1.0" / "tables" / "units.csv"
    assert found.entry(release.keys["7"]).digest == "blake2b:" + "a" * 128
    assert found.version_of(release.keys["7"]) == "v1"
    assert found.version_of(release.keys["8"]) is None
    assert release.place(release.keys["7"]) == "project/sessions/12/session_12.nwb"
    assert found.session_class == "BehaviorSession"


def test_it_can_be_written_as_a_manifest_of_this_package(tmp_path: Path) -> None:
    cloud = parsed(manifest(_7=entry("sessions/12/session_12.nwb", "a")))
    made = Release(cloud, tmp_path, LAYOUT, below="project-0.1.0").manifest
    for parquet in (False, True):
        read = type(made).read(made.write(tmp_path / "manifest.json", parquet=parquet))
        assert list(read.objects) == list(made.objects)
        assert read.locate(Key("session_nwb", (12,))) == made.locate(Key("session_nwb", (12,)))
