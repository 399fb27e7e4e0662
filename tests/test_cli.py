"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project_cache.cache import ProjectCache
from project_cache.cli import main

SESSION = 715093703


@pytest.fixture
def drive(drive: Path) -> str:
    return str(drive)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "project_cache.cli", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    [[]] + [
        [name]
        for name in (
            "where", "table", "fetch", "verify", "demo", "repair", "prune", "pin", "unpin", "du", "doctor", "publish",
            "freeze", "versions",
        )
    ],
)  # fmt: skip
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "project-cache" in capsys.readouterr().out


def test_wrong_usage_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["tabel"])
    assert stop.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_where(drive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["where", "-m", drive, "--offline"]) == 0
    out = capsys.readouterr().out
    assert drive in out
    assert "1 session_nwb, 11.3 MB" in out
    assert main(["where", "-m", drive, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["objects"]["probe_lfp_nwb"]["files"] == 2
    assert facts["offline"] is False


def test_where_before_anything_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["where"]) == 0
    out = capsys.readouterr().out
    assert os.environ["PROJECT_CACHE_DIR"] in out
    assert "nothing has been fetched yet" in out


def test_tables_as_text_json_and_csv(drive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "-m", drive, "--columns", "session_type,sex,unit_count"]) == 0
    assert f"{SESSION}  brain_observatory_1.1  M" in capsys.readouterr().out
    assert main(["table", "units", "-m", drive, "--query", "firing_rate > 5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["firing_rate"] > 5 for row in rows)
    assert main(["table", "probes", "-m", drive, "--csv"]) == 0
    assert capsys.readouterr().out.startswith("id,ecephys_session_id")


def test_a_mistyped_query_names_the_columns(drive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "-m", drive, "--query", "unit_cuont > 3"]) == 1
    err = capsys.readouterr().err
    assert "unit_cuont" in err
    assert "unit_count" in err


def test_fetch_prints_paths_and_nothing_else_when_piped(drive: str) -> None:
    done = run("fetch", str(SESSION), "tables", "-m", drive)
    assert (done.returncode, done.stderr) == (0, "")
    assert [Path(line).name for line in done.stdout.split()] == [
        f"session_{SESSION}.nwb", "sessions.csv", "probes.csv", "channels.csv", "units.csv",
    ]  # fmt: skip
    done = run("fetch", f"session_nwb/{SESSION}", "--json", "-m", drive)
    assert list(json.loads(done.stdout)) == [f"session_nwb/{SESSION}"]


def test_a_failure_is_one_sentence_and_one(drive: str) -> None:
    done = run("fetch", "7", "-m", drive, "--offline")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("project-cache: The project drive has no session 7")
    assert "Traceback" not in done.stderr


def test_verify_tells_what_is_not_good_and_three(drive: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "-m", drive]) == 0
    assert "objects are good." in capsys.readouterr().out
    nwb = Path(drive) / f"session_{SESSION}" / f"session_{SESSION}.nwb"
    data = bytearray(nwb.read_bytes())
    data[5_000_000] ^= 255
    nwb.write_bytes(data)
    assert main(["verify", "-m", drive, "--json"]) == 3
    states = {row["key"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states.pop(f"session_nwb/{SESSION}") == "corrupt"
    assert set(states.values()) == {"good"}
    assert main(["verify", f"session_nwb/{SESSION}", "-m", drive]) == 3
    assert "corrupt" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error(drive: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m project_cache.cli table units -m {drive} --csv | head -1",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("id,")
    assert "Broken" not in done.stderr


def test_the_demo_makes_a_project_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "demo.png"
    assert main(["demo", "--figure", str(figure)]) == 0
    out = capsys.readouterr().out
    assert "synthetic" in out
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert str(figure) in out
    assert main(["demo", "--figure", str(figure), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figure"] == str(figure)


# Keeping house ---------------------------------------------------------------------------------


@pytest.fixture
def copy(drive: str, tmp_path: Path) -> str:
    """A cache that has copied all of the drive, long ago."""
    folder = tmp_path / "copy"
    cache = ProjectCache.from_directory(drive, manifest=folder / "manifest.json", progress=False)
    for key in ProjectCache.fixed(Path(drive) / "manifest.json").store.present():
        cache.store.get(key)
    Path(folder / "manifest.json").unlink()
    about = {
        "format": "project_cache/1", "project": "copy", "version": "1",
        "sources": [{"name": "drive", "kind": "directory", "url": drive}],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(about))
    for path in folder.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    ProjectCache.open(folder).verify()
    for path in folder.rglob(".*.receipt"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return str(folder)


def test_repair_mends_and_says_so(copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repair", "-m", copy]) == 0
    assert "All objects are good." in capsys.readouterr().out
    nwb = Path(copy) / f"session_{SESSION}" / f"session_{SESSION}.nwb"
    good = nwb.read_bytes()
    nwb.write_bytes(good[:5_000_000] + b"xx" + good[5_000_002:])
    assert main(["repair", "-m", copy]) == 0
    assert "1 of 1 repaired." in capsys.readouterr().out
    assert nwb.read_bytes() == good


def test_what_cannot_be_repaired_is_three(copy: str, drive: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"session_{SESSION}/session_{SESSION}.nwb"
    (Path(drive) / name).unlink()
    data = bytearray((Path(copy) / name).read_bytes())
    data[5_000_000] ^= 255
    (Path(copy) / name).write_bytes(data)
    assert main(["repair", f"session_nwb/{SESSION}", "-m", copy, "--json"]) == 3
    assert "has no session_nwb" in json.loads(capsys.readouterr().out)[f"session_nwb/{SESSION}"]


def test_prune_says_what_it_would_do_and_does_it(copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "2 MB", "--dry-run", "-m", copy]) == 0
    assert f"remove  session_nwb/{SESSION}" in capsys.readouterr().out
    nwb = Path(copy) / f"session_{SESSION}" / f"session_{SESSION}.nwb"
    assert nwb.exists()
    assert main(["prune", "2 MB", "-m", copy, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["after"] <= said["budget"] == 2_000_000
    assert f"session_nwb/{SESSION}" in [row["key"] for row in said["removed"]]
    assert not nwb.exists()


def test_a_budget_that_cannot_be_kept_is_three(copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pin", str(SESSION), "-m", copy]) == 0
    assert main(["prune", "1 MB", "-m", copy]) == 3
    assert "The budget cannot be kept: 4 pinned." in capsys.readouterr().out
    assert main(["unpin", str(SESSION), "-m", copy]) == 0
    assert main(["prune", "1 MB", "--keep", str(SESSION), "-m", copy]) == 3
    assert main(["prune", "0", "-m", copy]) == 0


def test_prune_wants_a_size(copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "much", "-m", copy]) == 1
    assert "is no size" in capsys.readouterr().err
    assert main(["pin", "7", "-m", copy]) == 1
    assert "Fetch it first" in capsys.readouterr().err


def test_du_and_doctor(copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["du", "-m", copy, "--rows", "2"]) == 0
    out = capsys.readouterr().out
    assert f"session_nwb/{SESSION}" in out
    assert "0.013 GB in 9 objects" in out
    assert main(["du", "-m", copy, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["key"] == f"session_nwb/{SESSION}"
    assert main(["doctor", "-m", copy]) in (0, 3)
    assert "hard links" in capsys.readouterr().out
    assert main(["doctor", "-m", copy, "--json"]) in (0, 3)
    assert json.loads(capsys.readouterr().out)[0]["name"] == "writing"


# Publishing ------------------------------------------------------------------------------------


def test_publish_versions_and_freeze(drive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pub, lock = str(tmp_path / "pub"), str(tmp_path / "analysis.lock.json")
    assert (
        main(
            [
                "publish",
                pub,
                "-m",
                drive,
                "--as",
                "2026.1",
                "--tables",
                "sessions",
                "--sessions",
                str(SESSION),
            ]
        )
        == 0
    )
    assert "Version 2026.1 is published" in capsys.readouterr().out
    assert main(["publish", pub, "-m", drive, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["version"]["version"], said["new"]) == ("2026.2", True)
    assert main(["versions", pub]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["2026.1", "manifest-1.json"], ["2026.2", "manifest-2.json"],
    ]  # fmt: skip
    assert main(["verify", "-m", pub]) == 0
    assert "12 of 12 objects are good." in capsys.readouterr().out
    assert main(["freeze", lock, f"session_nwb/{SESSION}", "sessions", "-m", pub]) == 0
    assert capsys.readouterr().out == lock + "\n"
    assert main(["where", "-m", lock, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["objects"].keys() == {"session_nwb", "sessions"}
    assert main(["freeze", lock, str(SESSION), "-m", drive, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["objects"]) == 4
    assert main(["publish", drive, "-m", drive]) == 1
    assert "somebody's cache" in capsys.readouterr().err
