"""Measure sessions that are read where they lie, on a server 30 ms away: side by side with remfile, fsspec and pynwb.

usage: python -m benchmarks.streaming [--data FOLDER] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py

from benchmarks.data import ROOT, SESSION_ID, bench_session
from project_cache.files import digest_of
from project_cache.manifest.keys import Key
from project_cache.nwb.skeleton import skeleton_of
from project_cache.nwb.streamed import skeleton_key
from project_cache.testing.object_stores import LatentLine, NginxServer

TASKS = Path(__file__).resolve().parent / "tasks"
LATENCY_S = 0.03
#: a row of the table of units that any filter lets pass
ROW = 700
KEY = Key("session_nwb", (SESSION_ID,))


def run(*args: str) -> dict[str, Any]:
    """Run the task in a fresh process, and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(TASKS / "streaming.py"), *args],
        capture_output=True,
        text=True,
        cwd=TASKS,
        check=False,
    )
    if done.returncode:
        sys.exit(f"streaming {' '.join(args)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def project(folder: Path, url: str, objects: list[dict[str, Any]], kind: str) -> Path:
    """Return a new cache folder of the project."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    manifest = {
        "format": "project_cache/1",
        "project": "bench",
        "version": "1",
        "session_class": kind,
        "sources": [{"name": "server", "kind": "http", "url": url}],
        "objects": objects,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def measured(session: Path, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Return what each way took, run by run; every run of ours but those "again" begins with an empty cache."""
    path = session / f"session_{SESSION_ID}" / f"session_{SESSION_ID}.nwb"
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        served = scratch / "served"
        served.mkdir()
        (served / path.parent.name).symlink_to(path.parent)
        skeleton = served / "session.skeleton"
        made = skeleton_of(path)
        with h5py.File(path) as handle:
            unit = str(handle["units/id"][ROW])
        skeleton.write_bytes(made.to_bytes())
        listed: list[dict[str, Any]] = [
            {"key": str(KEY), "size": made.size, "digest": made.digest},
            {
                "key": str(skeleton_key(KEY)),
                "path": skeleton.name,
                "size": skeleton.stat().st_size,
                "digest": digest_of(skeleton),
            },
        ]
        with NginxServer(scratch / "nginx", served) as server, LatentLine(server.port, LATENCY_S) as line:
            url = f"http://127.0.0.1:{line.port}"
            file = f"{url}/{path.parent.name}/{path.name}"
            for _ in range(repeats):
                for name, objects in (("with the skeleton", listed), ("without", [])):
                    for kind in ("EcephysSession", "Session"):
                        cache = str(project(scratch / "cache", url, objects, kind))
                        ours = f"{kind}, {name}"
                        found.setdefault(ours, []).append(run("ours", cache, str(ROW), str(SESSION_ID), unit))
                        again = run("ours", cache, str(ROW), str(SESSION_ID), unit)
                        found.setdefault(f"{ours}, again", []).append(again)
                    cache = str(project(scratch / "cache", url, objects, "Session"))
                    as_pynwb = run("ours", cache, str(ROW), str(SESSION_ID), "pynwb")
                    found.setdefault(f"session.nwb, {name}", []).append(as_pynwb)
                for peer in ("remfile+h5py", "remfile+pynwb", "fsspec+pynwb"):
                    found.setdefault(peer, []).append(run(peer, file, str(ROW)))
    assert len({(each["spikes"], each["first"]) for runs in found.values() for each in runs}) == 1
    return found


def rows(found: dict[str, list[dict[str, Any]]]) -> list[tuple[str, str, str, str]]:
    """Return the table: the way, its requests, of these for the spikes, and the seconds in all."""
    lines = []
    for name, runs in found.items():
        seconds = statistics.median(each["all"] for each in runs)
        best = min(each["all"] for each in runs)
        spikes = {str(each["for_spikes"]) for each in runs if "for_spikes" in each}
        lines.append(
            (
                name,
                "/".join(sorted({str(each["requests"]) for each in runs})),
                "/".join(sorted(spikes)) or "–",
                f"{seconds:.2f} s (best {best:.2f} s)",
            )
        )
    return lines


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("PROJECT_CACHE_BENCH") or ROOT / "benchmarks" / "results"),
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    found = measured(bench_session(sys.executable, arguments.data), arguments.repeats)
    print(
        "| open + one unit's spikes, 30 ms away | requests | … for the spikes | seconds |\n|---|--:|--:|--:|"
    )
    for row in rows(found):
        print("| " + " | ".join(row) + " |")
    (arguments.data / "streaming.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
