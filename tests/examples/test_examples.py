"""The example notebooks run from the first cell to the last, in a kernel of this Python, and say true things."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

#: in a process of its own: Jupyter's libraries warn of their own affairs, which are not this package's
RUN = """
import sys, warnings
warnings.simplefilter("ignore")
import jupytext, nbclient, nbformat
notebook = jupytext.read(sys.argv[1])
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def executed(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the code cells of an example after they have run, in a cache folder of their own."""
    # a kernel of this very Python, whatever kernels the user has installed
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": start, "display_name": "p", "language": "python"})
    )
    environment = os.environ | {
        "JUPYTER_PATH": str(folder),
        "JUPYTER_DATA_DIR": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PROJECT_CACHE_DIR": str(folder / "cache"),
        "PROJECT_CACHE_OFFLINE": "1",
        "PROJECT_CACHE_PROGRESS": "0",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "PYTHONWARNINGS": "default",
    }
    out = folder / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(EXAMPLES / name), str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    notebook = json.loads(out.read_text("utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text(cell: dict[str, Any]) -> str:
    """Return what a cell shows, as text."""
    parts = []
    for output in cell["outputs"]:
        parts.append(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
    return "".join("".join(p) for p in parts)


def answer(cells: list[dict[str, Any]], source: str) -> str:
    """Return what the only cell shows whose source has a given piece."""
    (cell,) = [c for c in cells if source in "".join(c["source"])]
    return text(cell)


@pytest.mark.slow
def test_data_access(tmp_path: Path) -> None:
    cells = executed("data_access.md", tmp_path)
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output
    assert answer(cells, "EcephysProjectCache is ProjectCache") == "True"
    assert answer(cells, 'agg(["mean", "max", "min"])').split()[:6:2] == ["mean", "max", "min"]
    assert re.search(r"brain_observatory_1\.1\s+3\b", answer(cells, "session_type.value_counts()"))
    assert re.search(r"wt/wt\s+3\b", answer(cells, "full_genotype.value_counts()"))
    assert "VISp" in answer(cells, ".explode()")
    assert "4 of 6 sessions" in answer(cells, "has_v1 =")
    assert answer(cells, "session_id = int(") == "900003"
    assert "VISal" in answer(cells, "sessions.ecephys_structure_acronyms[session_id]")
    assert "brain_observatory_1.1" in answer(cells, "session.metadata")
    assert re.search(r"flashes\s+60\b", answer(cells, 'groupby("stimulus_name"'))
    pictures = [c for c in cells if any("image/png" in o.get("data", {}) for o in c["outputs"])]
    assert len(pictures) == 4


@pytest.mark.slow
def test_session(tmp_path: Path) -> None:
    cells = executed("session.md", tmp_path)
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output
    (shown,) = [c for c in cells if "cache.get_session_data" in "".join(c["source"])]
    assert text(shown).startswith("<EcephysSession session_900002.nwb>")
    assert "pc-shown" in "".join(shown["outputs"][-1]["data"]["text/html"])
    assert re.search(r"VISp\s+21\b", answer(cells, "session.structurewise_unit_counts"))
    assert re.search(r"\bflashes\s+85\.75\s+204\.0", answer(cells, "get_stimulus_epochs()"))
    assert "'time_relative_to_stimulus_onset': 99" in answer(cells, "counts.sizes")
    assert "values with dtype=float32" in answer(cells, "session.get_lfp(probe_id)")
    assert re.search(r"^4 of 80 units are tagged", answer(cells, "tagged = "))
    in_memory = " ".join(answer(cells, "print(session)").split("on request")[0].split())
    assert "units (80 rows" in in_memory
    assert "stimulus_presentations (" in in_memory
    pictures = [c for c in cells if any("image/png" in o.get("data", {}) for o in c["outputs"])]
    assert len(pictures) == 9


@pytest.mark.slow
def test_dynamic_routing(tmp_path: Path) -> None:
    cells = executed("dynamic_routing.md", tmp_path)
    for cell in cells:
        for output in cell["outputs"]:
            meant = "raises-exception" in cell["metadata"].get("tags", [])
            assert (output["output_type"] == "error") == meant
            assert output.get("name") != "stderr", output
    (said,) = [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    assert said["ename"] == "ComponentUnavailable"
    (table,) = [c for c in cells if "cache.get_session_table()[[" in "".join(c["source"])]
    assert text(table).count("not built") == 2
    assert re.search(r"700001_2024-05-01\s+built", answer(cells, "cache.get_session_table().build_state"))
    assert text(next(c for c in cells if "cache.get_session_data" in "".join(c["source"]))).startswith(
        "<DynamicRoutingSession 700001_2024-05-01>"
    )
    assert re.search(r"\(True, 'RFMapping_700002_20240502_\d{6}', 180\)", answer(cells, "one.is_ephys"))
    assert answer(cells, "cache.get_all(").count("2024-05-0") == 2
    pictures = [c for c in cells if any("image/png" in o.get("data", {}) for o in c["outputs"])]
    assert len(pictures) == 4


@pytest.mark.slow
def test_publishing(tmp_path: Path) -> None:
    cells = executed("publishing.md", tmp_path)
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output
    assert "mouse1/mouse1_day1.nwb" in answer(cells, 'cache = ProjectCache.from_files(lab, project=')
    assert "Ada" in answer(cells, '[["genotype", "experimenter"]]')
    assert answer(cells, "print(cache.publish(www, description=").startswith("Version 1 is published at")
    assert "manifest-1.json" in answer(cells, "for path in sorted(www.rglob")
    assert "Ada" in answer(cells, "server = ObjectServer(")
    assert "VISp" in answer(cells, "session.structurewise_unit_counts")
    moved, size = map(float, re.findall(r"([\d.]+) MB", answer(cells, "streamed = ")))
    assert moved < size / 2
    assert "('2', 'manifest-2.json')" in answer(cells, "published_versions")
    assert answer(cells, "len(newest.get_session_table())") == "(3, 2)"
    assert "session_nwb/mouse2_day1" in answer(cells, "lock = theirs.freeze")
    assert re.search(r"700001_2024-05-01\s+700001\b", answer(cells, "task = ProjectCache.open"))
    pictures = [c for c in cells if any("image/png" in o.get("data", {}) for o in c["outputs"])]
    assert len(pictures) == 2


def test_examples_are_written_for_the_public_names() -> None:
    for path in EXAMPLES.glob("*.md"):
        source = path.read_text("utf-8")
        assert "allensdk." not in source
        assert "from project_cache import" in source
