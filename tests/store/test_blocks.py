"""Blocks on the disk: believed only where they are what was written, and no more of them than there is room for."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project_cache.store import blocks
from project_cache.store.blocks import BlockCache, ObjectBlocks

BLOCK = 4096
SIZE = 40 * BLOCK + 100
DATA = random.Random(3).randbytes(SIZE)


def _block(n: int) -> bytes:
    return DATA[n * BLOCK : (n + 1) * BLOCK]


def _opened(folder: Path, identity: str = "blake3:aa", budget: int = 1 << 30) -> ObjectBlocks:
    found = BlockCache(folder, budget).of(identity, SIZE, BLOCK)
    assert found is not None
    return found


def test_what_was_written_is_there_for_the_next(tmp_path: Path) -> None:
    first = _opened(tmp_path / "b")
    assert first.read(3, BLOCK) is None
    first.write(3, _block(3))
    first.write(40, _block(40))
    second = _opened(tmp_path / "b")
    assert second.read(3, BLOCK) == _block(3)
    assert second.read(40, 100) == _block(40)
    assert second.read(4, BLOCK) is None


def test_versions_do_not_mix(tmp_path: Path) -> None:
    _opened(tmp_path).write(3, _block(3))
    assert _opened(tmp_path, "blake3:bb").read(3, BLOCK) is None
    assert BlockCache(tmp_path).of("blake3:aa", SIZE + BLOCK, BLOCK).read(3, BLOCK) is None  # type: ignore[union-attr]


def test_a_block_that_is_damaged_is_not_there(tmp_path: Path) -> None:
    _opened(tmp_path).write(3, _block(3))
    [path] = tmp_path.glob("*.blocks")
    with path.open("r+b") as file:
        file.seek(3 * BLOCK + 17)
        file.write(b"!")
    assert _opened(tmp_path).read(3, BLOCK) is None


def test_files_that_were_cut_are_made_good(tmp_path: Path) -> None:
    _opened(tmp_path).write(3, _block(3))
    for path in tmp_path.iterdir():
        os.truncate(path, path.stat().st_size // 2 + 1)
    again = _opened(tmp_path)
    assert again.read(3, BLOCK) == _block(3)
    again.write(39, _block(39))
    assert _opened(tmp_path).read(39, BLOCK) == _block(39)


WRITER = """
import sys
from pathlib import Path
from project_cache.store.blocks import BlockCache
cache = BlockCache(Path(sys.argv[1]))
blocks = cache.of("blake3:aa", int(sys.argv[2]), 4096)
print("ready", flush=True)
while True:
    for n in range(40):
        blocks.write(n, bytes([n]) * 4096)
"""


def test_a_writer_that_is_killed_leaves_nothing_wrong(tmp_path: Path) -> None:
    for wait in (0.0, 0.01, 0.03):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(SIZE)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(wait)
            writer.kill()
        found = _opened(tmp_path)
        assert {found.read(n, BLOCK) for n in range(40)} <= {None, *(bytes([n]) * BLOCK for n in range(40))}


ALL = """
import random, sys
from pathlib import Path
from project_cache.store.blocks import BlockCache
blocks = BlockCache(Path(sys.argv[1])).of("blake3:aa", int(sys.argv[2]), 4096)
data = random.Random(3).randbytes(int(sys.argv[2]))
for n in random.sample(range(41), 41):
    blocks.write(n, data[n * 4096 : (n + 1) * 4096])
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ALL, str(tmp_path), str(SIZE)]
    writers = [subprocess.Popen(command) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = _opened(tmp_path)
    assert b"".join(found.read(n, len(_block(n))) or b"" for n in range(41)) == DATA


def test_those_used_least_recently_go(tmp_path: Path) -> None:
    now = time.time()
    for age, identity in ((300, "one"), (200, "two"), (100, "three")):
        found = _opened(tmp_path, identity)
        for n in range(20):
            found.write(n, _block(n))
        os.utime(found._sums, (now - age, now - age))
    assert _opened(tmp_path, "one").read(0, BLOCK) == _block(0)  # now it is the newest
    left = BlockCache(tmp_path, 2 * 20 * BLOCK + 4096).shrink()
    assert left <= 2 * 20 * BLOCK + 4096
    assert _opened(tmp_path, "one").read(0, BLOCK) is not None
    assert _opened(tmp_path, "two").read(0, BLOCK) is None
    assert _opened(tmp_path, "three").read(0, BLOCK) is not None


def test_one_object_alone_does_not_pass_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LOOK_AFTER", 4 * BLOCK)
    found = _opened(tmp_path, budget=16 * BLOCK)
    for n in range(40):
        found.write(n, _block(n))
    assert sum(path.stat().st_blocks * 512 for path in tmp_path.glob("*.blocks")) <= 22 * BLOCK
    assert found.read(0, BLOCK) == _block(0)


def test_blocks_that_another_process_removed_are_gone_and_that_is_all(tmp_path: Path) -> None:
    found = _opened(tmp_path)
    found.write(3, _block(3))
    assert BlockCache(tmp_path, 0).shrink() == 0
    assert list(tmp_path.iterdir()) == []
    assert found.read(3, BLOCK) is None
    found.write(4, _block(4))
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_there_are_none(tmp_path: Path, unprivileged: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert BlockCache(tmp_path).of("blake3:aa", 1 << 60, BLOCK) is None
    assert BlockCache(tmp_path / "file").of("blake3:aa", SIZE, BLOCK) is None
    if unprivileged:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o555)
        code = (
            "import sys; from pathlib import Path; from project_cache.store.blocks import BlockCache;"
            "assert BlockCache(Path(sys.argv[1]) / 'b').of('blake3:aa', 10, 4096) is None"
        )
        subprocess.run([*unprivileged, sys.executable, "-c", code, str(locked)], check=True)


def test_other_peoples_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.blocks").write_bytes(b"x" * 100)
    _opened(tmp_path).write(0, _block(0))
    BlockCache(tmp_path, 0).shrink()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.blocks"]
