"""Measure, side by side, and print the table of the README.

usage: python -m benchmarks [--data FOLDER] [--json FILE] [--repeats N] [--only NAME …]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import transfers
from benchmarks.data import ROOT, SESSION_ID, bench_session, copy_of, large_project, shared

TASKS = Path(__file__).resolve().parent / "tasks"
GROUPS = (
    "import",
    "first",
    "all",
    "every",
    "responses",
    "tables",
    "race",
    "cloud",
    "transfer",
    "streaming",
    "building",
)


def run(python: str, task: str, *args: str) -> dict[str, Any]:
    """Run a task in a fresh process, and return what it printed, with the seconds that the whole process took."""
    began = time.perf_counter()
    done = subprocess.run(
        [python, str(TASKS / f"{task}.py"), *args], capture_output=True, text=True, cwd=TASKS, check=False
    )
    if done.returncode:
        sys.exit(f"{task} {' '.join(args)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "process": time.perf_counter() - began}


def median(runs: list[dict[str, Any]], *path: str) -> float:
    """Return the median over runs of a number inside them."""
    values = []
    for found in runs:
        value: Any = found
        for step in path:
            value = value[step]
        values.append(value)
    return float(statistics.median(values))


class Report:
    """Rows of the table, and all that they are made of."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str, str]] = []
        self.raw: dict[str, Any] = {}

    def row(self, name: str, theirs: float, ours: float, *, limit: str = "", unit: str = "s") -> None:
        """Add a line: AllenSDK's number, ours, and how many times."""
        self.rows.append(
            (
                name,
                _shown(theirs, unit),
                _shown(ours, unit),
                f"{theirs / ours:,.1f} ×" if ours else "–",
                limit,
            )
        )
        print("  " + " | ".join(self.rows[-1]), flush=True)

    def markdown(self) -> str:
        """Return the table."""
        lines = ["| | AllenSDK 2.16.2 | project_cache | ratio | |", "|---|--:|--:|--:|---|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows])


def _shown(value: float, unit: str) -> str:
    if unit == "MB":
        return f"{value:,.0f} MB"
    if unit == "n":
        return f"{value:,.0f}"
    if value < 0.1:
        return f"{value * 1e3:,.1f} ms"
    return f"{value:,.2f} s"


def imports(report: Report, peer: str, repeats: int) -> None:
    """Measure import statements."""
    statements = {
        "import project_cache": "import project_cache",
        "from project_cache import ProjectCache": "from project_cache import ProjectCache",
        "import numpy, pandas": "import numpy, pandas",
    }
    ours = {
        name: [run(sys.executable, "importing", s) for _ in range(2 * repeats + 1)]
        for name, s in statements.items()
    }
    theirs = [
        run(
            peer,
            "importing",
            "from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache",
        )
        for _ in range(repeats)
    ]
    report.raw["import"] = {"ours": ours, "allensdk": theirs}
    base = median(ours["import numpy, pandas"], "steps", "import")
    for name in ("import project_cache", "from project_cache import ProjectCache"):
        assert not any(r["heavy"] for r in ours[name]), f"{name} imports {ours[name][0]['heavy']}"
        report.row(
            f"`{name}`",
            median(theirs, "steps", "import"),
            median(ours[name], "steps", "import"),
            limit=f"numpy and pandas alone: {_shown(base, 's')}",
        )


def first(report: Report, peer: str, cache: Path, repeats: int) -> None:
    """Measure a cold process up to one unit's spike times."""
    args = ("first", str(cache), str(SESSION_ID))
    ours = [run(sys.executable, "session", "ours", *args) for _ in range(2 * repeats + 1)]
    theirs = [run(peer, "session", "allensdk", *args) for _ in range(repeats)]
    assert {r["spikes"] for r in ours} == {r["spikes"] for r in theirs}
    report.raw["first"] = {"ours": ours, "allensdk": theirs}
    report.row(
        "new process to one unit's spike times (1.2 GB session)",
        median(theirs, "process"),
        median(ours, "process"),
    )
    report.row("… its peak memory", median(theirs, "peak_mb"), median(ours, "peak_mb"), unit="MB")


ATTRIBUTES = ("units", "spike_times", "mean_waveforms", "stimulus_presentations", "running_speed")


def attributes(report: Report, peer: str, cache: Path, repeats: int) -> None:
    """Measure every attribute once."""
    args = ("all", str(cache), str(SESSION_ID))
    ours = [run(sys.executable, "session", "ours", *args) for _ in range(2 * repeats + 1)]
    raw = [run(sys.executable, "session", "h5py", *args) for _ in range(2 * repeats + 1)]
    theirs = [run(peer, "session", "allensdk", *args) for _ in range(repeats)]
    for fact in ("units", "spikes", "waves"):
        a, b = ours[0][fact], theirs[0][fact]
        assert abs(a - b) <= 1e-6 * abs(b), f"{fact}: {a} here, {b} in AllenSDK"
    report.raw["all"] = {"ours": ours, "allensdk": theirs, "h5py": raw}
    for name in ATTRIBUTES:
        limit = median(raw, "steps", name)
        report.row(
            f"`session.{name}`",
            median(theirs, "steps", name),
            median(ours, "steps", name),
            limit=f"h5py alone: {_shown(limit, 's')}",
        )
    sums = [
        statistics.median(sum(r["steps"][n] for n in ATTRIBUTES) for r in runs)
        for runs in (theirs, ours, raw)
    ]
    report.row(
        "all five", sums[0], sums[1], limit=f"h5py alone: {_shown(sums[2], 's')} (without the channels)"
    )
    report.row(
        "… peak memory",
        median(theirs, "peak_mb"),
        median(ours, "peak_mb"),
        unit="MB",
        limit="of ours, the mapped file is the most",
    )
    report.row(
        "… of it the process's own", median(theirs, "anonymous_mb"), median(ours, "anonymous_mb"), unit="MB"
    )


def properties(report: Report, peer: str, cache: Path, repeats: int) -> None:
    """Measure every property of the session, once, with all bytes touched and kept."""
    args = ("every", str(cache), str(SESSION_ID))
    ours = [run(sys.executable, "session", "ours", *args) for _ in range(2 * repeats + 1)]
    raw = [run(sys.executable, "session", "h5py", *args) for _ in range(2 * repeats + 1)]
    theirs = [run(peer, "session", "allensdk", *args) for _ in range(repeats)]
    report.raw["every"] = {"ours": ours, "allensdk": theirs, "h5py": raw}
    a, b, c = (
        statistics.median(
            sum(seconds for name, seconds in r["steps"].items() if name != "open") for r in runs
        )
        for runs in (theirs, ours, raw)
    )
    report.row("every property of a session, once", a, b, limit=f"h5py alone: {_shown(c, 's')}")
    given = median(ours, "given_mb")
    report.row(
        "… memory above the imports", median(theirs, "added_mb"), median(ours, "added_mb"), unit="MB",
        limit=f"what was asked for has {given:,.0f} MB",
    )  # fmt: skip


def responses(report: Report, peer: str, cache: Path, repeats: int) -> None:
    """Measure what analyses ask for: 600 presentations, 200 bins, about 1,000 units."""
    args = (str(cache), str(SESSION_ID))
    ours = [run(sys.executable, "responses", "ours", *args) for _ in range(2 * repeats + 1)]
    theirs = [run(peer, "responses", "allensdk", *args) for _ in range(repeats)]
    report.raw["responses"] = {"ours": ours, "allensdk": theirs}
    for name in (
        "open",
        *(n for n in ours[0]["steps"] if n.startswith(("presentationwise", "conditionwise", "get_lfp"))),
    ):
        shown = "get_session_data" if name == "open" else name
        report.row(f"`{shown}`", median(theirs, "steps", name), median(ours, "steps", name))


def tables(report: Report, peer: str, folder: Path, repeats: int) -> None:
    """Measure the tables of a real and of a large project."""
    large = large_project(folder / "large")
    small = copy_of(shared() / "data" / "visual_coding" / "visual_areas", folder / "visual_areas")
    for name, source, times in (
        ("58 sessions, 36,430 units", small, repeats),
        ("2,000 sessions, 100,000 units", large, 1),
    ):
        theirs = [run(peer, "tables", "allensdk", str(source)) for _ in range(times)]
        new = run(sys.executable, "tables", "ours", str(source))
        ours = [run(sys.executable, "tables", "ours", str(source)) for _ in range(2 * repeats + 1)]
        assert {(r["sessions"], r["units"]) for r in ours} == {(r["sessions"], r["units"]) for r in theirs}
        report.raw[f"tables of {source.name}"] = {"ours": ours, "ours, first ever": new, "allensdk": theirs}
        for step in ("get_session_table", "get_session_table again", "get_units"):
            limit = f"first ever: {_shown(new['steps'][step], 's')}" if "again" not in step else ""
            report.row(
                f"`{step}` ({name})", median(theirs, "steps", step), median(ours, "steps", step), limit=limit
            )


def race(report: Report, peer: str, folder: Path) -> None:
    """Count the downloads when eight processes ask for one absent session."""
    from project_cache.testing.faults import slow
    from project_cache.testing.warehouse import LoopbackWarehouse

    source = copy_of(shared() / "data" / "allen_session", folder / "served")
    counts = {}
    for who, python in (("allensdk", peer), ("ours", sys.executable)):
        with LoopbackWarehouse(source) as warehouse, tempfile.TemporaryDirectory(dir=folder) as target:
            # a line on which the 11 MB take three seconds, so that the eight overlap as they do in life
            warehouse.server.misbehave(lambda path: "well_known_file_download" in path, slow(4e6))
            seed = Path(target)
            for name in ("manifest.json", "sessions.csv", "probes.csv", "channels.csv", "units.csv"):
                (seed / name).write_bytes((source / name).read_bytes())
            command = [python, str(TASKS / "race.py"), who, "http", warehouse.host, target, str(SESSION_ID)]
            started = [
                subprocess.Popen(command, cwd=TASKS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for _ in range(8)
            ]
            good = sum(p.wait(600) == 0 for p in started)
            for process in started:
                process.communicate()
            counts[who] = (
                sum("well_known_file_download" in request.path for request in warehouse.server.log),
                good,
            )
    report.raw["race"] = counts
    report.row(
        "8 processes ask for one absent session: downloads", counts["allensdk"][0], counts["ours"][0], unit="n",
        limit=f"good sessions: {counts['allensdk'][1]} and {counts['ours'][1]}",
    )  # fmt: skip


def cloud(report: Report, peer: str, folder: Path, repeats: int) -> None:
    """Measure how a cache of Visual Behavior Neuropixels' size is constructed, from its folder and with its bucket."""
    from benchmarks.cloud_data import MANIFEST, large_cloud
    from project_cache.testing.object_stores import SeaweedServer
    from project_cache.visual_behavior import VisualBehaviorNeuropixelsProjectCache as Cache

    source = large_cloud(folder / "large_cloud")
    with (
        tempfile.TemporaryDirectory(dir=folder) as place,
        SeaweedServer(Path(place) / "weed", public=(Cache.BUCKET_NAME,)) as server,
    ):
        server.make_bucket(Cache.BUCKET_NAME)
        key = f"{Cache.PROJECT_NAME}/manifests/{MANIFEST}"
        server.client().put_object(Bucket=Cache.BUCKET_NAME, Key=key, Body=(source / MANIFEST).read_bytes())
        os.environ["AWS_ENDPOINT_URL_S3"] = server.endpoint_url
        try:
            for way in ("from_local_cache", "from_s3_cache"):
                theirs = [run(peer, "cloud", "allensdk", way, str(source)) for _ in range(repeats)]
                new = run(sys.executable, "cloud", "ours", way, str(source))
                ours = [
                    run(sys.executable, "cloud", "ours", way, str(source)) for _ in range(2 * repeats + 1)
                ]
                assert {(r["sessions"], r["units"]) for r in ours} == {
                    (r["sessions"], r["units"]) for r in theirs
                }
                report.raw[f"cloud {way}"] = {"ours": ours, "ours, first ever": new, "allensdk": theirs}
                report.row(
                    f"`VisualBehaviorNeuropixelsProjectCache.{way}` (319,013 units)",
                    median(theirs, "steps", "construct"),
                    median(ours, "steps", "construct"),
                    limit="tables are read when they are asked for",
                )
                total = [
                    statistics.median(sum(r["steps"].values()) for r in runs)
                    for runs in (theirs, ours, [new])
                ]
                report.row(
                    "… and its sessions and units",
                    total[0],
                    total[1],
                    limit=f"first ever: {_shown(total[2], 's')}",
                )
        finally:
            del os.environ["AWS_ENDPOINT_URL_S3"]


def streaming(report: Report, cache: Path, repeats: int) -> None:
    """Measure sessions that are read where they lie; AllenSDK cannot, so that others stand in its place."""
    from benchmarks.streaming import measured

    found = measured(cache, 2 * repeats + 1)
    report.raw["streaming"] = found
    for ours, theirs in (
        ("Session, with the skeleton", "remfile+h5py"),
        ("Session, without", "remfile+h5py"),
        ("EcephysSession, with the skeleton", "remfile+h5py"),
        ("EcephysSession, without", "remfile+h5py"),
        ("session.nwb, with the skeleton", "fsspec+pynwb"),
        ("session.nwb, without", "fsspec+pynwb"),
    ):
        report.row(
            f"one unit's spikes, 30 ms away: {ours} ({theirs} in AllenSDK's column)",
            median(found[theirs], "all"),
            median(found[ours], "all"),
            limit=f"requests: {median(found[theirs], 'requests'):.0f} and {median(found[ours], 'requests'):.0f}",
        )


def building(report: Report, folder: Path, repeats: int) -> None:
    """Measure builds from a raw folder against the disk, the codec, and one core; the limit is in AllenSDK's column."""
    raw = folder / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    made = [run(sys.executable, "build", "simulate", str(raw), "140")["path"]]
    os.sync()
    target, n, cores = str(folder / "built.nwb"), 2 * repeats + 1, os.cpu_count() or 1
    plain, disk, packed, codec = [], [], [], []
    for _ in range(n):
        plain.append(run(sys.executable, "build", "write", made[0], target, "none", "copy"))
        disk.append(run(sys.executable, "build", "disk", str(folder), str(plain[-1]["size"])))
    for _ in range(repeats):
        packed.append(run(sys.executable, "build", "write", made[0], target, "gzip", "copy"))
        codec.append(run(sys.executable, "build", "codec", made[0]))
    report.row(
        "build with the raw traces, uncompressed (the disk's write and fsync)",
        median(disk, "steps", "write"),
        median(plain, "steps", "write_nwb"),
        limit=f"{plain[0]['size'] / 1e6 / median(plain, 'steps', 'write_nwb'):,.0f} MB/s; must: 0.7 ×",
    )
    rate = codec[0]["size"] / median(codec, "steps", "deflate")
    report.row(
        f"build with the raw traces, gzip (zlib on {cores} cores)",
        packed[0]["traces"] / rate / cores,
        median(packed, "steps", "write_nwb"),
        limit=f"{packed[0]['traces'] / 1e6 / median(packed, 'steps', 'write_nwb'):,.0f} MB/s; must: 0.8 ×",
    )
    one = run(sys.executable, "build", "trials", made[0])
    shutil.rmtree(raw)
    sessions = folder / "raws"
    shutil.rmtree(sessions, ignore_errors=True)
    run(sys.executable, "build", "project", str(sessions), "2")
    fetched = {
        workers: [
            run(sys.executable, "build", "fetch", str(sessions), str(folder / "fetched"), str(workers))
            for _ in range(repeats)
        ]
        for workers in (1, 2)
    }
    report.row(
        "two sessions built: one process, two processes",
        median(fetched[1], "steps", "fetch"),
        median(fetched[2], "steps", "fetch"),
    )
    report.raw["building"] = {
        "plain": plain,
        "disk": disk,
        "gzip": packed,
        "codec": codec,
        "fetch": fetched,
        "one": one,
    }


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("PROJECT_CACHE_BENCH") or ROOT / "benchmarks" / "results"),
    )
    parser.add_argument("--json", type=Path, default=None, help="default: benchmark.json in the data folder")
    parser.add_argument("--repeats", type=int, default=2, help="runs of AllenSDK; ours are 2 N + 1")
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=GROUPS)
    arguments = parser.parse_args()
    if not shared().is_dir():
        sys.exit(f"The tools and data to measure on are not at {shared()}; set PROJECT_CACHE_SHARED.")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "conformance" / "peer.py")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    peer = done.stdout.strip().splitlines()[-1]
    folder: Path = arguments.data
    folder.mkdir(parents=True, exist_ok=True)
    report, only, n = Report(), set(arguments.only), arguments.repeats
    if "import" in only:
        imports(report, peer, n)
    if only & {"first", "all", "every", "responses", "streaming"}:
        cache = bench_session(peer, folder)
        # once each before anything counts: the page cache and compiled Python are then warm for both
        run(sys.executable, "session", "h5py", "all", str(cache), str(SESSION_ID))
        run(sys.executable, "session", "ours", "first", str(cache), str(SESSION_ID))
        if "first" in only:
            first(report, peer, cache, n)
        if "all" in only:
            attributes(report, peer, cache, n)
        if "every" in only:
            properties(report, peer, cache, n)
        if "responses" in only:
            responses(report, peer, cache, n)
        if "streaming" in only:
            streaming(report, cache, n)
    if "tables" in only:
        tables(report, peer, folder, n)
    if "race" in only:
        race(report, peer, folder)
    if "cloud" in only:
        cloud(report, peer, folder, n)
    if "building" in only:
        building(report, folder, n)
    moved = transfers.measured(folder, set(transfers.GROUPS), 2 * n + 1, 1000) if "transfer" in only else []
    report.raw["transfer"] = moved
    machine = {"python": platform.python_version(), "platform": platform.platform(), "cores": os.cpu_count()}
    target = arguments.json or folder / "benchmark.json"
    target.write_text(json.dumps({"machine": machine, "rows": report.rows, "raw": report.raw}, indent=1))
    print(
        f"\n{report.markdown()}\n\n{transfers.markdown(moved)}\n\n{machine['platform']}, {machine['cores']} cores, Python {machine['python']}. All runs: {target}"
    )


if __name__ == "__main__":
    main()
