"""Measure how objects come here: side by side with curl, boto3 and s5cmd, from servers on this machine.

usage: python -m benchmarks.transfers [--folder FOLDER] [--repeats N] [--mb N] [--only nginx slow s3 killed present]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from project_cache.files import digest_of
from project_cache.testing.object_stores import LatentLine, NginxServer, SeaweedServer

TASKS = Path(__file__).resolve().parent / "tasks"
GROUPS = ("nginx", "slow", "s3", "killed", "present")
ALGORITHMS = ("blake3", "sha256")
RATE = 10_000_000
LATENCY_S = 0.03

Row = tuple[str, str, str, str]


def object_of(folder: Path, mb: int) -> Path:
    """Return a file of so many million bytes that do not compress."""
    path = folder / "object.bin"
    with path.open("wb") as file:
        for _ in range(mb):
            file.write(os.urandom(1_000_000))
    return path


def ours(url: str, target: Path, algorithm: str, good: str, env: dict[str, str] | None = None) -> float:
    """Return the seconds in which this package fetches an object, digest included."""
    found = _task("transfer", "ours", url, str(target), algorithm, env=env)
    assert found["digest"] == good, f"{found['digest']}, not {good}"
    target.unlink()
    return float(found["steps"]["transfer"])


def command(*words: str, target: Path, env: dict[str, str] | None = None) -> float:
    """Return the seconds that a program takes to fetch an object."""
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **(env or {})})
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def _task(name: str, *args: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(TASKS / f"{name}.py"), *args],
        capture_output=True,
        text=True,
        cwd=TASKS,
        env={**os.environ, **(env or {})},
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} {' '.join(args)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def in_turn(contenders: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each contender: one run of each, again and again, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for n in range(repeats + 1):
        for name, run in contenders.items():
            took = run()
            if n:
                seconds[name].append(took)
    return seconds


def rows(what: str, seconds: dict[str, list[float]], peers: dict[str, float], size: int) -> Iterator[Row]:
    """Yield a line for each of ours and each peer: rates, their ratio, and what it must be."""
    rate = {name: size / statistics.median(values) / 1e6 for name, values in seconds.items()}
    for name in seconds:
        if name not in peers:
            for peer, must in peers.items():
                yield (
                    f"{what}, {name}",
                    f"{peer} {rate[peer]:,.0f} MB/s",
                    f"{rate[name]:,.0f} MB/s",
                    f"{rate[name] / rate[peer]:.2f} × (must be {must} ×)",
                )


def nginx(folder: Path, file: Path, repeats: int) -> list[Row]:
    """Measure one file over plain HTTP, as fast as it goes."""
    good = {algorithm: digest_of(file, algorithm) for algorithm in ALGORITHMS}
    with NginxServer(folder / "nginx", file.parent) as server:
        url, target = server.url(f"/{file.name}"), folder / "got.bin"
        contenders: dict[str, Callable[[], float]] = {
            "curl": lambda: command("curl", "-sf", "-o", str(target), url, target=target)
        }
        for algorithm in ALGORITHMS:
            contenders[algorithm] = lambda a=algorithm: ours(url, target, a, good[a])  # type: ignore[misc]
        seconds = in_turn(contenders, repeats)
    return list(rows("nginx", seconds, {"curl": 0.9}, file.stat().st_size))


@contextlib.contextmanager
def long_line(folder: Path, file: Path) -> Iterator[tuple[str, LatentLine]]:
    """Yield the address of a file at the end of a long line, and the line."""
    with (
        NginxServer(folder / "slow", file.parent, bytes_per_second=RATE) as server,
        LatentLine(server.port, LATENCY_S) as line,
    ):
        yield f"http://127.0.0.1:{line.port}/{file.name}", line


def slow(folder: Path, file: Path, repeats: int) -> list[Row]:
    """Measure a line of 10 MB/s for each connection, 30 ms long."""
    good, size = digest_of(file), file.stat().st_size
    with long_line(folder, file) as (url, _):
        seconds = [ours(url, folder / "got.bin", "blake3", good) for _ in range(repeats)]
    rate = size / statistics.median(seconds) / 1e6
    return [("10 MB/s a connection, 30 ms", "one stream 10 MB/s", f"{rate:,.0f} MB/s", "must be 70 MB/s")]


def s3(folder: Path, file: Path, repeats: int) -> list[Row]:
    """Measure one object of an S3 server."""
    good = {algorithm: digest_of(file, algorithm) for algorithm in ALGORITHMS}
    with SeaweedServer(folder / "weed") as server:
        server.make_bucket("public")
        server.client().upload_file(str(file), "public", file.name)
        url, target, env = f"s3://public/{file.name}", folder / "got.bin", server.environment
        s5cmd = shutil.which("s5cmd") or str(Path(sys.executable).parent / "s5cmd")

        def by_boto3() -> float:
            found = _task("transfer", "boto3", url, str(target), "", env=env)
            target.unlink()
            return float(found["steps"]["transfer"])

        s5env = {**env, "S3_ENDPOINT_URL": server.endpoint_url}
        contenders: dict[str, Callable[[], float]] = {
            "boto3": by_boto3,
            "s5cmd": lambda: command(s5cmd, "cp", url, str(target), target=target, env=s5env),
        }
        for algorithm in ALGORITHMS:
            contenders[algorithm] = lambda a=algorithm: ours(url, target, a, good[a], env)  # type: ignore[misc]
        seconds = in_turn(contenders, repeats)
    return list(rows("S3", seconds, {"boto3": 0.9, "s5cmd": 0.75}, file.stat().st_size))


def killed(folder: Path, file: Path, repeats: int) -> list[Row]:
    """Measure what the second run moves after the first was killed at 60 %."""
    good, size = digest_of(file), file.stat().st_size
    shares = []
    for _ in range(repeats):
        with long_line(folder, file) as (url, line):
            target = folder / "got.bin"
            words = [sys.executable, str(TASKS / "transfer.py"), "ours", url, str(target), "blake3", "chatty"]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=TASKS) as process:
                assert process.stdout is not None
                for told in process.stdout:
                    if int(told) >= 0.6 * size:
                        break
                process.send_signal(signal.SIGKILL)
            time.sleep(0.2)
            before = line.carried
            ours(url, target, "blake3", good)
            shares.append((line.carried - before) / size)
    share = statistics.median(shares)
    return [("killed at 60 %, run again", "from 0: 100 %", f"{share:.0%} of the bytes", "must be ≤ 50 %")]


def present(folder: Path, file: Path, repeats: int) -> list[Row]:
    """Measure how long it takes to find that 1,000 objects are there."""
    cache = folder / "cache"
    from project_cache.manifest.keys import Key
    from project_cache.manifest.model import Manifest
    from project_cache.store.receipts import Receipt

    manifest = Manifest.visual_coding(cache / "manifest.json")
    for n in range(1000):
        key = Key("session_nwb", (n,))
        path = manifest.locate(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
        Receipt.of(path, key, digest_of(path)).write(path)
    runs = [_task("present", str(cache)) for _ in range(repeats)]
    first, again = (statistics.median(run["steps"][name] for run in runs) for name in ("first", "again"))
    return [
        ("1,000 objects that are there, new process", "–", f"{first * 1e3:,.0f} ms", "must be < 50 ms"),
        ("… the same process again", "–", f"{again * 1e3:,.0f} ms", ""),
    ]


def measured(folder: Path, only: set[str], repeats: int, mb: int) -> list[Row]:
    """Return the lines of the table."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        place = Path(temporary)
        (place / "root").mkdir()
        file = object_of(place / "root", mb)
        for name, group in (
            ("nginx", nginx),
            ("slow", slow),
            ("s3", s3),
            ("killed", killed),
            ("present", present),
        ):
            if name in only:
                for row in group(place, file, repeats):
                    print("  " + " | ".join(row), flush=True)
                    found.append(row)
    return found


def markdown(found: list[Row]) -> str:
    """Return the table."""
    lines = ["| | peer | project_cache, digest included | |", "|---|--:|--:|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in found])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfers", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=GROUPS)
    arguments = parser.parse_args()
    print("\n" + markdown(measured(arguments.folder, set(arguments.only), arguments.repeats, arguments.mb)))


if __name__ == "__main__":
    main()
