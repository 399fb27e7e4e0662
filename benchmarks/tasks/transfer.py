"""Fetch one object, and say how long that took.

usage: transfer.py (ours | boto3) URL TARGET ALGORITHM [PROGRESS]

``URL`` is http://… or s3://…; of ours, TARGET is where a part is claimed and filled (so a second run goes on where a
killed one stopped). With PROGRESS, the bytes that are there are printed as they arrive.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from common import Laps

who, url, target, algorithm = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]
chatty = len(sys.argv) > 5
laps = Laps()


def told(done: int, total: int | None) -> None:
    """Print how much is there."""
    if chatty:
        print(done, flush=True)


if who == "boto3":
    import boto3

    bucket, _, key = url.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    client.head_object(Bucket=bucket, Key=key)
    laps.lap("transfer", lambda: client.download_file(bucket, key, str(target)))
    laps.done(size=target.stat().st_size)
else:
    from project_cache.store.part import Part
    from project_cache.transfer.download import download
    from project_cache.transfer.s3 import S3Transport
    from project_cache.transfer.transport import WebTransport

    transport = S3Transport() if url.startswith("s3:") else WebTransport()
    # a connection that stands and libraries that are there, as boto3 has them too
    headers = {"Range": "bytes=0-0"} if url.startswith("s3:") else {}
    if headers:
        transport.get(url, headers).close()
    began = time.perf_counter()
    part = Part.claim(target, algorithm=algorithm)
    with transport:
        download(url, part, transport=transport, progress=told)
    laps.steps["transfer"] = time.perf_counter() - began
    part.close()
    laps.done(size=part.position, digest=part.digest)
    part.path.rename(target)
    part.forget()
