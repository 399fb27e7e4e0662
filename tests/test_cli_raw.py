"""The command line's part on raw recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project_cache.cli import main
from project_cache.testing.rig import simulate

BEHAVIOR = {"sync": False, "ephys": False, "video": False, "sorted": False, "annotated": False}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of behavior, one of which has a sync file that is cut short."""
    root = tmp_path_factory.mktemp("raw")
    simulate(root, subject=700001, date="2024-05-01", seed=1, stimuli=("DynamicRouting1",), **BEHAVIOR)  # type: ignore[arg-type]
    broken = simulate(
        root,
        subject=700002,
        date="2024-05-02",
        seed=2,
        stimuli=("DynamicRouting1",),
        **{**BEHAVIOR, "sync": True},  # type: ignore[arg-type]
    )
    sync = next(broken.path.glob("*.h5"))
    sync.write_bytes(sync.read_bytes()[:3000])
    return root


def test_recordings_are_listed_and_built(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [str(raw), "--cache-dir", str(tmp_path)]
    assert main(["raw", *where]) == 0
    assert capsys.readouterr().out.count("not built") == 2
    assert main(["build", *where, "--session", "700001_2024-05-01"]) == 0
    built = Path(capsys.readouterr().out.strip())
    assert built.is_file()
    assert main(["build", *where, "--workers", "1", "--json"]) == 1
    out, err = capsys.readouterr()
    assert list(json.loads(out).values()) == [str(built)]
    assert "700002_2024-05-02 was not built" in err
    assert main(["raw", *where, "--json"]) == 0
    rows = {row["session_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["700001_2024-05-01"]["build_state"] == "built"
    assert rows["700002_2024-05-02"]["build_state"] == "failed"
    assert main(["raw", *where, "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("session_id,subject_id,date")


def test_an_empty_root_has_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["raw", str(tmp_path)]) == 0
    assert "no recordings" in capsys.readouterr().out
