"""A lab's own project, from its NWB files or its raw recordings to those who open it elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project_cache.cache import ProjectCache
from project_cache.cli import main
from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    DependencyError,
    MissingObjectError,
    NotNWBError,
    UnknownObjectError,
)
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.sessions.base import Session
from project_cache.sessions.dynamic_routing import DynamicRoutingSession
from project_cache.testing.object_stores import NginxServer, SeaweedServer
from project_cache.testing.rig import simulate
from project_cache.testing.server import ObjectServer


def write_nwb(
    path: Path, *, number: int = 1, units: int = 2, trials: int = 3, sex: str = "F", large: bool = False
) -> Path:
    """Write a small NWB file as a lab would, with pynwb."""
    import pynwb

    start = datetime(2024, 5, number, 12, 30, tzinfo=UTC)
    file = pynwb.NWBFile(
        session_description="mouse on a wheel",
        identifier=f"identifier-{number}",
        session_id=f"day/{number}",
        session_start_time=start,
    )
    file.subject = pynwb.file.Subject(
        subject_id=f"m{number}", species="Mus musculus", sex=sex, age=f"P{80 + number}D", genotype="wt/wt"
    )
    rng = np.random.default_rng(number)
    for _ in range(units):
        file.add_unit(spike_times=np.sort(rng.uniform(0, 100, 50)))
    for n in range(trials):
        file.add_trial(start_time=float(n), stop_time=n + 0.5)
    if large:
        file.add_acquisition(
            pynwb.TimeSeries(name="noise", data=rng.normal(size=500_000), unit="V", rate=1000.0)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder of a lab's files, at several depths."""
    folder = tmp_path / "wheel"
    write_nwb(folder / "m1" / "m1_day1.nwb", number=1, large=True)
    write_nwb(folder / "m2" / "m2_day2.nwb", number=2, units=0, sex="M")
    write_nwb(folder / "303.nwb", number=3, trials=0)
    return folder


def served(folder: Path) -> dict[str, bytes | Path]:
    return {f"/{p.relative_to(folder).as_posix()}": p for p in folder.rglob("*") if p.is_file()}


# From files ------------------------------------------------------------------------------------


def test_a_folder_of_files_is_a_project(lab: Path) -> None:
    before = {path: path.read_bytes() for path in lab.rglob("*.nwb")}
    cache = ProjectCache.from_files(lab, description="Mice on a wheel.")
    table = cache.get_session_table()
    assert table.index.tolist() == ["303", "m1_day1", "m2_day2"]
    row = table.loc["m1_day1"]
    assert list(row.loc[["subject_id", "sex", "genotype", "species", "age", "session_id"]]) == [
        "m1", "F", "wt/wt", "Mus musculus", "P81D", "day/1",
    ]  # fmt: skip
    assert row.age_in_days == 81
    assert row.session_start_time == "2024-05-01T12:30:00+00:00"
    assert row.session_description == "mouse on a wheel"
    assert (row.file, row["size"]) == ("m1/m1_day1.nwb", (lab / "m1/m1_day1.nwb").stat().st_size)
    assert table.unit_count.tolist() == [2, 2, 0]
    assert table.trial_count.tolist() == [0, 3, 3]
    assert cache.get_all_sexes() == ["F", "M"]
    assert cache.get_all_full_genotypes() == ["wt/wt"]
    assert len(cache.get_session_data("m1_day1").trials) == 3
    assert cache.get_session_data(303).path == lab / "303.nwb"
    assert cache.get_session_data(table.index[0]).identifier == "identifier-3"
    # nothing was copied, and the folder opens as a project from now on
    assert {path: path.read_bytes() for path in lab.rglob("*.nwb")} == before
    again = ProjectCache.open(lab)
    assert (again.manifest.project, again.manifest.description) == ("wheel", "Mice on a wheel.")
    pd.testing.assert_frame_equal(again.get_session_table(), table)


def test_what_it_has_not_is_said(lab: Path) -> None:
    cache = ProjectCache.from_files(lab)
    with pytest.raises(UnknownObjectError, match="no table of units; it has sessions"):
        cache.get_units()
    with pytest.raises(UnknownObjectError, match="has no session 9"):
        cache.get_session_data(9)
    assert cache.fetch(["m1_day1"], lfp=True) == {Key("session_nwb", ("m1_day1",)): lab / "m1/m1_day1.nwb"}


def test_rows_that_are_there_stay_and_what_is_new_is_added(lab: Path) -> None:
    ProjectCache.from_files(lab)
    table = pd.read_csv(lab / "sessions.csv").drop(columns=["file", "identifier"])
    table["training"] = ["naive", "expert", "expert"]
    table.loc[0, "sex"] = "M"
    table.to_csv(lab / "sessions.csv", index=False)
    write_nwb(lab / "m4.nwb", number=4)
    found = ProjectCache.from_files(lab).get_session_table()
    assert found.training.fillna("").to_dict() == {
        "303": "naive",
        "m1_day1": "expert",
        "m2_day2": "expert",
        "m4": "",
    }
    assert found.sex.tolist() == ["M", "F", "M", "F"]
    assert "file" not in found.columns
    # some files only: the others stay
    write_nwb(lab / "m5.nwb", number=5)
    assert len(ProjectCache.from_files([lab / "m5.nwb", lab / "m4.nwb"]).get_session_table()) == 5
    (lab / "m4.nwb").unlink()
    with pytest.warns(UserWarning, match="files of m4 have gone"):
        assert "m4" not in ProjectCache.from_files(lab).get_session_table().index
    assert all(v.ok for v in ProjectCache.open(lab).verify())
    ProjectCache.from_files(lab)
    assert all(v.ok for v in ProjectCache.open(lab).verify())


def test_ids_from_the_files_or_from_the_caller(lab: Path, tmp_path: Path) -> None:
    for ids, wanted in (
        ("session_id", ["day_1", "day_2", "day_3"]),
        ("identifier", ["identifier-1", "identifier-2", "identifier-3"]),
    ):
        cache = ProjectCache.from_files(lab, ids=ids, cache_dir=tmp_path / ids)
        assert cache.get_session_table().index.tolist() == wanted
    named = {"first": lab / "m1/m1_day1.nwb", 7: lab / "303.nwb"}
    cache = ProjectCache.from_files(named)
    assert set(cache.manifest.entry(Key("session_nwb", (7,))).path or "") == set("303.nwb")
    assert cache.get_session_data(7).identifier == "identifier-3"
    assert cache.get_session_data("first").identifier == "identifier-1"
    with pytest.raises(ConfigurationError, match="ids='path'"):
        ProjectCache.from_files(lab, ids="path")
    with pytest.raises(ConfigurationError, match="session_class='Sesion'"):
        ProjectCache.from_files(lab, session_class="Sesion")


def test_two_files_are_not_one_session(lab: Path) -> None:
    shutil.copy(lab / "m1/m1_day1.nwb", lab / "m2/m1_day1.nwb")
    with pytest.raises(
        ConfigurationError, match=r"m1/m1_day1.nwb and m2/m1_day1.nwb would both be session m1_day1"
    ):
        ProjectCache.from_files(lab)
    assert not (lab / "manifest.json").exists()


def test_a_file_that_is_none_is_left_out_of_a_folder_and_refused_by_name(lab: Path) -> None:
    (lab / "notes.nwb").write_text("not NWB at all")
    data = (lab / "303.nwb").read_bytes()
    (lab / "cut.nwb").write_bytes(data[: len(data) // 2])
    with pytest.warns(UserWarning, match="is left out") as said:
        cache = ProjectCache.from_files(lab)
    assert len(said) == 2
    assert len(cache.get_session_table()) == 3
    with pytest.raises(NotNWBError):
        ProjectCache.from_files([lab / "notes.nwb"])
    with pytest.raises(CorruptObjectError):
        ProjectCache.from_files([lab / "cut.nwb"])
    with pytest.raises(ConfigurationError, match="There is no file"):
        ProjectCache.from_files([lab / "nowhere.nwb"])
    (lab / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no NWB files"):
        ProjectCache.from_files(lab / "empty")


def test_a_manifest_of_something_else_is_left_alone(lab: Path, tmp_path: Path) -> None:
    ProjectCache.from_files(lab).publish(lab / "published")
    # what is published in the folder is another project, and is not gathered again
    assert len(ProjectCache.from_files(lab).get_session_table()) == 3
    text = (lab / "published" / "manifest.json").read_text()
    with pytest.raises(ConfigurationError, match="is left alone"):
        ProjectCache.from_files(lab / "published")
    assert (lab / "published" / "manifest.json").read_text() == text
    ProjectCache.from_files(lab, cache_dir=tmp_path / "one")
    with pytest.raises(ConfigurationError, match="is of the files in"):
        ProjectCache.from_files(lab / "m1", cache_dir=tmp_path / "one")


def test_files_that_nothing_can_be_written_beside(lab: Path, tmp_path: Path) -> None:
    cache = ProjectCache.from_files(lab, cache_dir=tmp_path / "about")
    assert sorted(p.name for p in lab.iterdir()) == ["303.nwb", "m1", "m2"]
    assert cache.get_session_data("m1_day1").path == lab / "m1/m1_day1.nwb"
    assert cache.publish(tmp_path / "pub").objects == 7
    # its folder opens by itself as well: files are then copied when they are asked for
    again = ProjectCache.open(tmp_path / "about")
    assert again.get_session_data("m1_day1").path == tmp_path / "about/m1/m1_day1.nwb"


def test_a_folder_that_is_read_only_is_said(lab: Path, tmp_path: Path, unprivileged: list[str]) -> None:
    lab.chmod(0o555)
    code = "import sys; from project_cache.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [*unprivileged, sys.executable, "-c", code, "gather", str(lab)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Give cache_dir=" in done.stderr) == (1, True), done.stderr
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "x")], capture_output=True, text=True, check=False
    )
    assert "3 sessions" in done.stdout, done.stderr


def test_a_class_of_sessions_and_tables_of_ones_own(lab: Path, tmp_path: Path) -> None:
    (lab / "units.csv").write_text("id,session_id,snr\n1,m1_day1,2.0\n2,m1_day1,3.0\n")
    cache = ProjectCache.from_files(lab, session_class="Session", project="wheels")
    assert cache.get_session_table().unit_count.to_dict() == {"303": 0, "m1_day1": 2, "m2_day2": 0}
    cache.publish(tmp_path / "pub")
    theirs = ProjectCache.open(tmp_path / "pub")
    assert theirs.manifest.project == "wheels"
    assert theirs.get_units().snr.tolist() == [2.0, 3.0]
    assert theirs.get_session_table().unit_count.sum() == 2


def test_real_files_of_many_versions(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for path in sorted((shared / "data" / "nwb_corpus").glob("*.nwb")):
        shutil.copyfile(path, folder / path.name)
    cache = ProjectCache.from_files(folder)
    table = cache.get_session_table()
    assert len(table) == len(list(folder.glob("*.nwb"))) > 10
    assert table.unit_count["A8604-211122"] == len(cache.get_session_data("A8604-211122").units)
    assert table.session_start_time.notna().all()
    cache.publish(tmp_path / "pub")
    pd.testing.assert_frame_equal(ProjectCache.open(tmp_path / "pub").get_session_table(), table)


# Elsewhere -------------------------------------------------------------------------------------


def check_elsewhere(theirs: ProjectCache, own: ProjectCache, lock: Path) -> None:
    """What a reader does: the table, a session, a session where it is, and a lock."""
    pd.testing.assert_frame_equal(theirs.get_session_table(), own.get_session_table())
    assert type(theirs.get_session_data(303)) is Session
    pd.testing.assert_frame_equal(
        theirs.get_session_data("m2_day2").trials, own.get_session_data("m2_day2").trials
    )
    streamed = theirs.get_session_data("m1_day1", stream=True)
    mine = own.get_session_data("m1_day1")
    np.testing.assert_array_equal(streamed.spike_times[1], mine.spike_times[1])
    pd.testing.assert_frame_equal(streamed.trials, mine.trials)
    assert theirs.store.find(Key("session_nwb", ("m1_day1",))) is None
    again = ProjectCache.open(theirs.freeze(lock))
    np.testing.assert_array_equal(again.get_session_data("m1_day1").spike_times[0], mine.spike_times[0])
    assert theirs.store.find(Key("session_nwb", ("m1_day1",))) is None


def test_a_published_folder_is_opened_from_a_web_server(lab: Path, tmp_path: Path) -> None:
    own = ProjectCache.from_files(lab)
    done = own.publish(tmp_path / "pub")
    assert done.objects == 7  # a table, three files, and what is needed to stream each
    with ObjectServer(served(tmp_path / "pub")) as server:
        theirs = ProjectCache.open(server.url("/manifest.json"))
        check_elsewhere(theirs, own, tmp_path / "analysis.lock.json")
    with ObjectServer(served(tmp_path / "pub")) as server:
        theirs = ProjectCache.open(server.url("/"), layers=[])
        streamed = theirs.get_session_data("m1_day1", stream=True)
        assert len(streamed.spike_times[0]) == 50
        assert server.sent < (lab / "m1/m1_day1.nwb").stat().st_size / 10


def test_nginx_needs_to_know_nothing_of_it(lab: Path, tmp_path: Path) -> None:
    try:
        NginxServer(tmp_path / "nginx", tmp_path / "www")
    except DependencyError as error:
        pytest.skip(str(error))
    own = ProjectCache.from_files(lab)
    own.publish(tmp_path / "www" / "wheel")
    with NginxServer(tmp_path / "nginx", tmp_path / "www") as server:
        theirs = ProjectCache.open(server.url("/wheel/manifest.json"))
        check_elsewhere(theirs, own, tmp_path / "analysis.lock.json")


@pytest.mark.slow
def test_a_bucket(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        server = SeaweedServer(tmp_path / "weed")
    except DependencyError as error:
        pytest.skip(str(error))
    own = ProjectCache.from_files(lab)
    with server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.make_bucket("public")
        own.publish("s3://public/wheel")
        # whoever reads has no credentials, knows the address, and may read
        for name in server.environment:
            if "KEY" in name or "TOKEN" in name:
                monkeypatch.delenv(name)
        theirs = ProjectCache.open("s3://public/wheel")
        check_elsewhere(theirs, own, tmp_path / "analysis.lock.json")


def test_the_next_version_has_what_is_new(lab: Path, tmp_path: Path) -> None:
    ProjectCache.from_files(lab).publish(tmp_path / "pub")
    write_nwb(lab / "m4.nwb", number=4)
    done = ProjectCache.from_files(lab).publish(tmp_path / "pub")
    assert (done.version.version, done.objects, done.uploaded) == ("2", 9, 3)
    assert len(ProjectCache.open(tmp_path / "pub").get_session_table()) == 4
    assert len(ProjectCache.open(tmp_path / "pub" / "manifest-1.json").get_session_table()) == 3


# Without a table -------------------------------------------------------------------------------


def test_without_a_table_the_manifest_lists_sessions(lab: Path, tmp_path: Path) -> None:
    ProjectCache.from_files(lab).publish(tmp_path / "pub", tables=[])
    with ObjectServer(served(tmp_path / "pub")) as server:
        theirs = ProjectCache.open(server.url("/"))
        table = theirs.get_session_table()
        assert table.index.tolist() == [303, "m1_day1", "m2_day2"]
        assert table.session_class.tolist() == ["Session"] * 3
        assert table["size"]["m1_day1"] == (lab / "m1/m1_day1.nwb").stat().st_size
        assert theirs.get_session_table(suppress=["size"]).columns.tolist() == ["session_class"]
        assert theirs.get_session_data("m2_day2").identifier == "identifier-2"
        with pytest.raises(UnknownObjectError, match="names 3 objects of that kind"):
            theirs.get_session_data("m9")
        with pytest.raises(UnknownObjectError, match="no tables at all"):
            theirs.get_probes()


def test_a_folder_with_a_layout_only_lists_what_is_there(lab: Path) -> None:
    about = {
        "format": "project_cache/1",
        "project": "p",
        "version": "1",
        "layout": {"session_nwb": "m{0}/m1_day1.nwb"},
    }
    (lab / "manifest.json").write_text(json.dumps({**about, "session_class": "Session"}))
    cache = ProjectCache.open(lab)
    assert cache.get_session_table().index.tolist() == [1]
    assert cache.get_session_data(1).identifier == "identifier-1"


def test_ecephys_sessions_of_a_project_without_channels(tmp_path: Path) -> None:
    demo = ProjectCache.open("demo")
    session_id = 900003
    own = demo.get_session_data(session_id)
    demo.publish(tmp_path / "pub", tables=["sessions"], sessions=[session_id])
    theirs = ProjectCache.open(tmp_path / "pub")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = theirs.get_session_data(session_id)
        assert session.units.index.tolist() == own.units.index.tolist()
    assert "unit_count" not in theirs.get_session_table().columns


# From raw recordings ---------------------------------------------------------------------------

BEHAVIOR = {
    "ephys": False,
    "video": False,
    "sorted": False,
    "annotated": False,
    "stimuli": ("DynamicRouting1",),
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two raw recordings of behavior."""
    root = tmp_path_factory.mktemp("raw")
    for subject, date, seed in ((700001, "2024-05-01", 1), (700002, "2024-05-02", 2)):
        simulate(root, subject=subject, date=date, seed=seed, trials_per_block=8, **BEHAVIOR)  # type: ignore[arg-type]
    return root


def test_a_project_of_raw_recordings_is_published_built(raw: Path, tmp_path: Path) -> None:
    own = ProjectCache.from_raw(raw, cache_dir=tmp_path / "built")
    first, second = "700001_2024-05-01", "700002_2024-05-02"
    done = own.publish(tmp_path / "pub", sessions=["DRpilot_700001_20240501"], project="task")
    assert (done.objects, done.version.version) == (3, "1")
    own.get_session_data(second)
    assert own.publish(tmp_path / "pub", project="task").version.version == "2"
    assert not own.publish(tmp_path / "pub", project="task").new
    found = Manifest.read(tmp_path / "pub/manifest.json")
    assert found.session_class == "DynamicRoutingSession"
    with ObjectServer(served(tmp_path / "pub")) as server:
        theirs = ProjectCache.open(server.url("/manifest.json"))
        assert type(theirs) is ProjectCache
        table, before = theirs.get_session_table(), own.get_session_table()
        assert table.index.tolist() == [second, first]
        flags = [
            "subject_id",
            "date",
            "session_type",
            "is_task",
            "is_ephys",
            "is_sync",
            "is_hab",
            "trial_count",
            "rig",
        ]
        assert table[flags].to_numpy().tolist() == before[flags].to_numpy().tolist()
        assert not {"build_state", "build_detail"} & set(table.columns)
        session = theirs.get_session_data(first)
        assert isinstance(session, DynamicRoutingSession)
        pd.testing.assert_frame_equal(session.trials[:], own.get_session_data(first).trials[:])
        assert len(session.trials[:]) == table.trial_count[first]
        streamed = theirs.get_session_data(second, stream=True)
        assert len(streamed.trials[:]) == table.trial_count[second]
        assert theirs.store.find(Key("session_nwb", (second,))) is None
        lock = theirs.freeze(tmp_path / "analysis.lock.json")
    assert len(ProjectCache.open(lock, offline=True).get_session_data(first).trials[:]) == 48
    old = ProjectCache.open(tmp_path / "pub" / "manifest-1.json")
    assert old.get_session_table().index.tolist() == [first]


def test_nothing_of_the_machine_is_published(raw: Path, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    shutil.copytree(raw, root)
    own = ProjectCache.from_raw(root, cache_dir=tmp_path / "built")
    own.publish(tmp_path / "pub", sessions=["700001_2024-05-01"])
    assert [p for p in (tmp_path / "pub").rglob("*") if p.is_file() and bytes(root) in p.read_bytes()] == []
    # the same recording elsewhere gives the same file
    there = ProjectCache.from_raw(raw, cache_dir=tmp_path / "there").build("700001_2024-05-01")
    assert there.read_bytes() == own.build("700001_2024-05-01").read_bytes()
    sync = next(root.glob("*700001*/*.h5"))
    sync.write_bytes(sync.read_bytes()[:3000])
    with pytest.warns(UserWarning, match="published as it was built, and the raw files have changed"):
        own.publish(tmp_path / "pub")
    table = ProjectCache.open(tmp_path / "pub").get_session_table()
    assert table.issues.notna().all()
    assert str(tmp_path) not in (tmp_path / "built/dynamic-routing/sessions.csv").read_text()
    # without the recordings what was built can be published still
    shutil.rmtree(root)
    root.mkdir()
    own = ProjectCache.from_raw(root, cache_dir=tmp_path / "built")
    assert own.publish(tmp_path / "late").objects == 3
    assert ProjectCache.open(tmp_path / "late").get_session_table().index.tolist() == ["700001_2024-05-01"]
    with pytest.raises((MissingObjectError, UnknownObjectError)):
        own.publish(tmp_path / "late", sessions=["700009_2024-05-01"])


# The command line ------------------------------------------------------------------------------


def test_the_command_line(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gather", str(lab), "--project", "wheel"]) == 0
    assert capsys.readouterr().out.strip() == f"{lab / 'manifest.json'}: 3 sessions"
    assert main(["publish", "-m", str(lab), str(tmp_path / "pub"), "-q"]) == 0
    assert "Version 1 is published" in capsys.readouterr().out
    with ObjectServer(served(tmp_path / "pub")) as server:
        where = ["-m", server.url("/manifest.json"), "-q"]
        assert main(["table", *where, "--columns", "subject_id,unit_count", "--csv"]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == ["303,m3,2", "m1_day1,m1,2", "m2_day2,m2,0"]
        assert main(["fetch", *where, "tables", "m1_day1", "303"]) == 0
        assert [Path(line).suffix for line in capsys.readouterr().out.split()] == [".parquet", ".nwb", ".nwb"]
        assert main(["fetch", *where, "m9"]) == 1
        assert "has no session m9" in capsys.readouterr().err
        assert main(["table", *where, "units"]) == 1
        assert "no table of units" in capsys.readouterr().err
    assert (
        main(["gather", str(lab / "m1" / "m1_day1.nwb"), "--json", "--cache-dir", str(tmp_path / "x")]) == 0
    )
    assert json.loads(capsys.readouterr().out)["sessions"] == ["m1_day1"]
