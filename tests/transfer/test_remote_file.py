"""Remote bytes, read as a file."""

from __future__ import annotations

import os
import random

from project_cache.transfer.remote_file import RemoteFile

DATA = random.Random(6).randbytes(1000)


def test_it_can_be_read_as_a_file() -> None:
    file = RemoteFile(lambda start, stop: DATA[start:stop], len(DATA))
    assert file.read(10) == DATA[:10]
    file.seek(-4, os.SEEK_END)
    assert file.tell() == len(DATA) - 4
    assert file.read() == DATA[-4:]
    assert file.read() == b""
    assert file.readable()
    assert file.seekable()


def test_nothing_is_asked_for_beyond_the_end() -> None:
    asked = []

    def read_at(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return DATA[start:stop]

    file = RemoteFile(read_at, len(DATA), "a.nwb")
    file.seek(len(DATA) - 3)
    buffer = bytearray(10)
    assert file.readinto(buffer) == 3
    assert buffer[:3] == DATA[-3:]
    assert asked == [(len(DATA) - 3, len(DATA))]
    assert repr(file) == "a.nwb"
