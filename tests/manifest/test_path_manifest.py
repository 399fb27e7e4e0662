"""AllenSDK's path manifests: its own rules, followed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project_cache.errors import ManifestError, UnknownObjectError
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest

NWB = Key("session_nwb", (7,))


def write(path: Path, *entries: dict[str, str], version: str = "0.3.0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"manifest": [{"type": "manifest_version", "value": version}, *entries]}))
    return path


def entry(key: str, kind: str, spec: str, parent: str | None = None) -> dict[str, str]:
    return {"key": key, "type": kind, "spec": spec, **({"parent_key": parent} if parent else {})}


def test_a_new_folder_is_laid_out_as_allensdk_lays_it_out(tmp_path: Path) -> None:
    manifest = Manifest.visual_coding(tmp_path / "manifest.json")
    manifest.write_path_manifest(tmp_path / "manifest.json")
    found = Manifest.read(tmp_path / "manifest.json")
    assert found.version == "0.3.0"
    for key, place in {
        NWB: "session_7/session_7.nwb",
        Key("session_analysis_metrics", (7,)): "session_7/session_7_analysis_metrics.csv",
        Key("probe_lfp_nwb", (7, 8)): "session_7/probe_8_lfp.nwb",
        Key(
            "typewise_analysis_metrics", ("brain_observatory_1.1",)
        ): "brain_observatory_1.1_analysis_metrics.csv",
        Key("natural_movie", (1,)): "natural_movie_templates/natural_movie_1.h5",
        Key("natural_scene", (3,)): "natural_scene_templates/natural_scene_3.tiff",
        Key("units"): "units.csv",
    }.items():
        assert found.locate(key) == tmp_path / place


def test_the_manifest_written_is_the_one_that_allensdk_writes(shared: Path, tmp_path: Path) -> None:
    theirs = json.loads((shared / "data/visual_coding/real/manifest.json").read_text())
    Manifest.visual_coding(tmp_path / "m.json").write_path_manifest(tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text()) == theirs


@pytest.mark.parametrize("version", ["0.2.1", "0.3.0"])
def test_both_versions_are_read(tmp_path: Path, version: str) -> None:
    path = write(
        tmp_path / "m.json",
        entry("BASEDIR", "dir", "."),
        entry("units", "file", "u.csv", "BASEDIR"),
        version=version,
    )
    assert Manifest.read(path).version == version
    with pytest.raises(ManifestError, match="version='9'"):
        Manifest.read(path, version="9")


def test_folders_may_lie_anywhere_on_the_users_own_disk(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    path = write(
        tmp_path / "home" / "m.json",
        entry("BASEDIR", "dir", str(drive)),
        entry("lfp", "dir", "../elsewhere/lfp"),
        entry("session_data", "dir", "session_%d", "BASEDIR"),
        entry("session_nwb", "file", "session_%d.nwb", "session_data"),
        entry("probe_lfp_nwb", "file", "s%d/p%d.nwb", "lfp"),
        entry("note", "file", "/abs/note.txt"),
        entry("here", "file", "here.txt"),
        entry("rooted", "dir", "/sub", "BASEDIR"),
    )
    found = Manifest.read(path)
    assert found.locate(NWB) == drive / "session_7/session_7.nwb"
    assert found.locate(Key("probe_lfp_nwb", (7, 8))) == tmp_path / "elsewhere/lfp/s7/p8.nwb"
    assert found.locate(Key("note")) == Path("/abs/note.txt")
    assert found.locate(Key("here")) == Path.cwd() / "here.txt"
    assert found.locate(Key("rooted")) == drive / "sub"
    assert list(found.scan("session_nwb")) == []
    (drive / "session_7").mkdir(parents=True)
    (drive / "session_7" / "session_7.nwb").touch()
    (drive / "session_7" / "session_8.nwb").touch()
    assert list(found.scan("session_nwb")) == [(NWB, drive / "session_7/session_7.nwb")]


def test_a_linked_drive_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    path = write(
        tmp_path / "link" / "m.json", entry("BASEDIR", "dir", "."), entry("units", "file", "u.csv", "BASEDIR")
    )
    assert Manifest.read(path).locate(Key("units")) == tmp_path / "link" / "u.csv"


@pytest.mark.parametrize("folder", ["100%", "%d", "50%s off", "%%"])
def test_a_literal_percent_in_the_folder_does_no_harm(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "manifest.json"
    Manifest.visual_coding(path).write_path_manifest(path)
    assert Manifest.read(path).locate(NWB) == tmp_path / folder / "session_7" / "session_7.nwb"


def test_a_relocated_session_may_drop_its_folder(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.json",
        entry("flat", "dir", "flat"),
        entry("session_nwb", "file", "%09d.nwb", "flat"),
        entry("probe_lfp_nwb", "file", "lfp_%d.nwb", "flat"),
    )
    assert Manifest.read(path).locate(NWB) == tmp_path / "flat/000000007.nwb"
    assert Manifest.read(path).locate(Key("probe_lfp_nwb", (7, 8))) == tmp_path / "flat/lfp_8.nwb"


def test_unknown_entries_are_left_out_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "m.json", entry("x", "socket", "y"), entry("units", "file", "/u.csv"))
    assert Manifest.read(path).layout.kinds() == ["units"]
    assert "unknown type 'socket'" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ('{"manifest": [{"type": "man', "not whole JSON"),
        ("[" * 100_000, "not whole JSON"),
        ("[]", "not one of this package's"),
        ("{}", "not one of this package's"),
        ('{"manifest": []}', "version none"),
        ('{"manifest": [{"type": "manifest_version", "value": "0.4.0"}]}', "version 0.4.0"),
        ('{"manifest": [7]}', "has no type"),
        ('{"manifest": [{"type": "file", "key": "a"}]}', "no key or no spec"),
        ('{"manifest": [{"type": "dir", "key": "a", "spec": ""}]}', "no key or no spec"),
        (
            '{"manifest": [{"type": "file", "key": "a", "spec": "b", "parent_key": "c"}]}',
            "Parents come first",
        ),
        ('{"format": "project_cache/2", "project": "x", "version": "1"}', "Update the package"),
        ('{"format": "project_cache/1", "project": "x"}', "'version' is a required property"),
        ('{"format": "project_cache/1", "project": "../x", "version": "1"}', "at project"),
    ],
)
def test_a_broken_manifest_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ManifestError, match=says) as error:
        Manifest.read(path)
    assert str(path) in str(error.value)


def test_a_missing_manifest_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="There is no manifest at"):
        Manifest.read(tmp_path / "nowhere.json")
    with pytest.raises(ManifestError, match="is a folder"):
        Manifest.read(tmp_path)
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ManifestError, match="cannot be read"):
        Manifest.read(tmp_path / "latin.json")


@pytest.mark.parametrize("bad", ["../../etc/passwd", "a/b", "", "..", "C:\\x", "nul"])
def test_an_id_cannot_lead_out_of_the_folder(tmp_path: Path, bad: str) -> None:
    with pytest.raises(UnknownObjectError, match="cannot be the id"):
        Manifest.visual_coding(tmp_path / "m.json").locate(Key("typewise_analysis_metrics", (bad,)))


def test_a_key_of_another_shape_is_an_error(tmp_path: Path) -> None:
    manifest = Manifest.visual_coding(tmp_path / "m.json")
    with pytest.raises(ManifestError, match="does not fit"):
        manifest.locate(Key("session_nwb", ("seven",)))
    with pytest.raises(ManifestError, match="does not fit"):
        manifest.locate(Key("probe_lfp_nwb", (7,)))
    with pytest.raises(UnknownObjectError, match="no entry 'cheese'"):
        manifest.locate(Key("cheese"))


def test_reading_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", entry("units", "file", "/u.csv"))
    before = sorted(tmp_path.iterdir())
    Manifest.read(path)
    assert sorted(tmp_path.iterdir()) == before
