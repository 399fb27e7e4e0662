"""Building sessions from raw folders: what is measured, one process for each run.

usage: build.py simulate FOLDER SECONDS
       build.py project FOLDER SESSIONS
       build.py disk FOLDER BYTES
       build.py write RAW_FOLDER TARGET (none | gzip) (omit | lfp | copy)
       build.py codec RAW_FOLDER
       build.py trials RAW_FOLDER
       build.py fetch RAW_ROOT CACHE_FOLDER WORKERS
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import warnings
import zlib
from pathlib import Path

from common import Laps

warnings.filterwarnings("ignore")
what, place = sys.argv[1], Path(sys.argv[2])
laps = Laps()


def bytes_read() -> int:
    """Return how many bytes this process has read from files."""
    text = Path("/proc/self/io").read_text()
    return int(dict(line.split(": ") for line in text.splitlines())["rchar"])


if what == "simulate":
    from project_cache.testing.rig import simulate

    seconds = float(sys.argv[3])
    made = simulate(
        place, probes="AB", blocks=1, trials_per_block=max(int(seconds / 6), 6), stimuli=("DynamicRouting1",), video=False,
        ephys_seconds=seconds, lfp_seconds=seconds,
    )  # fmt: skip
    laps.done(path=str(made.path))
elif what == "project":
    from project_cache.testing.rig import simulate

    for number in range(int(sys.argv[3])):
        simulate(
            place, subject=712345 + number, blocks=6, trials_per_block=60, units_per_probe=200, video=False,
            ephys_seconds=0.5, lfp_seconds=120.0,
        )  # fmt: skip
    laps.done()
elif what == "disk":
    # the limit: as many bytes, from memory, one after another, and on the disk when it ends
    left, block = int(sys.argv[3]), memoryview(os.urandom(8 << 20))
    target = place / "disk.bin"
    began = time.perf_counter()
    with target.open("wb", buffering=0) as file:
        while left:
            left -= file.write(block[: min(left, len(block))])
        os.fsync(file.fileno())
    laps.steps["write"] = time.perf_counter() - began
    target.unlink()
    laps.done()
elif what == "write":
    from project_cache import DynamicRoutingSession

    compression = None if sys.argv[4] == "none" else sys.argv[4]
    session = DynamicRoutingSession(place, compression=compression)
    path = Path(sys.argv[3])
    laps.lap("write_nwb", lambda: session.write_nwb(path, raw=sys.argv[5], force=True))
    size = path.stat().st_size
    traces = [stream.data.nbytes for stream in session.ephys.streams.values() if stream.probe]
    path.unlink()
    laps.done(size=size, traces=sum(traces))
elif what == "codec":
    import numpy as np

    from project_cache import DynamicRoutingSession

    ap = next(s for s in DynamicRoutingSession(place).ephys.streams.values() if s.band == "AP")
    parts = [np.ascontiguousarray(ap.data[n * 16384 : (n + 1) * 16384, :64]) for n in range(8)]
    chunks = [part.view(np.uint8).reshape(-1, 2).T.tobytes() for part in parts]
    laps.lap("deflate", lambda: [zlib.compress(chunk, 1) for chunk in chunks])
    laps.done(size=sum(map(len, chunks)))
elif what == "trials":
    import pynwb  # noqa: F401 - the libraries' own files are not the recording's

    from project_cache import DynamicRoutingSession

    session, before = DynamicRoutingSession(place), bytes_read()
    table = laps.lap("trials", lambda: session.trials[:])
    read = bytes_read() - before
    folder = sum(each.stat().st_size for each in place.rglob("*") if each.is_file())
    laps.done(trials=len(table), read=read, folder=folder)
elif what == "fetch" and __name__ == "__main__":  # its processes import this file
    from project_cache import ProjectCache

    shutil.rmtree(sys.argv[3], ignore_errors=True)
    cache = ProjectCache.from_raw(place, cache_dir=sys.argv[3])
    ids = list(cache.get_session_table().index)
    laps.lap("fetch", lambda: cache.fetch(ids, workers=int(sys.argv[4])))
    laps.done(sessions=len(ids))
