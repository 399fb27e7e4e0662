"""Keeping house, as a user calls it: on real files, with others at work in the same folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.cache import ProjectCache
from project_cache.errors import ConfigurationError, MissingObjectError
from project_cache.manifest.keys import Key
from project_cache.nwb.streamed import streamed
from project_cache.store.receipts import Receipt
from project_cache.testing.server import ObjectServer

SIZE = 3_000_000


def key(n: int) -> Key:
    return Key("session_nwb", (n,))


def nwb(path: Path, seed: int, size: int = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.2.5"
        file["x"] = np.random.default_rng(seed).integers(0, 256, size, np.uint8)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A drive with four sessions."""
    folder = tmp_path / "origin"
    for n in (1, 2, 3, 4):
        nwb(folder / f"session_{n}" / f"session_{n}.nwb", n)
    about = {
        "format": "project_cache/1", "project": "lab", "version": "1", "session_class": "Session",
        "layout": {"session_nwb": "session_{0}/session_{0}.nwb"},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def cache(origin: Path, tmp_path: Path, settled: Callable[..., Path]) -> ProjectCache:
    """A cache that has fetched all of it, long ago: the first session first."""
    about = json.loads((origin / "manifest.json").read_text())
    about["sources"] = [{"name": "drive", "kind": "directory", "url": str(origin)}]
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(about))
    made = ProjectCache.open(folder)
    for n in (1, 2, 3, 4):
        long_ago(made.store.get(key(n)), 100_000 - n)
    return ProjectCache.open(settled(folder, kept=True))


def long_ago(path: Path, seconds: float) -> None:
    """Make it look as if an object had been used last so many seconds ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    receipt = Receipt.read(path)
    assert receipt is not None
    Receipt.of(path, receipt.key, receipt.digest, receipt.validator, receipt.origin).write(path)
    os.utime(Receipt.path_for(path), (then, then))


def damage(path: Path, at: int = SIZE // 2) -> None:
    """Flip a byte in silence: size and time stay."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def here(cache: ProjectCache) -> list[int | str]:
    return sorted(k.args[0] for k in cache.store.present())


# Pruning ---------------------------------------------------------------------------------------


def test_a_dry_run_says_what_the_real_one_does(cache: ProjectCache) -> None:
    plan = cache.prune("7 MB", dry_run=True)
    assert here(cache) == [1, 2, 3, 4]
    done = cache.prune("7 MB")
    assert here(cache) == [3, 4]
    assert [h.key for h in done.remove] == [h.key for h in plan.remove] == [key(1), key(2)]
    assert done.reached
    assert "2 go" in str(done)


def test_what_was_pruned_is_fetched_again(cache: ProjectCache, origin: Path) -> None:
    path = cache.store.get(key(2))
    long_ago(path, 50_000)
    cache.prune(0)
    assert here(cache) == []
    assert cache.store.get(key(2)).read_bytes() == (origin / "session_2/session_2.nwb").read_bytes()


def test_pins_and_kept_ones_stay(cache: ProjectCache) -> None:
    cache.pin(1)
    cache.pin("session_nwb/2")
    assert [h.key for h in cache.prune(0, keep=[3], dry_run=True).remove] == [key(4)]
    cache.unpin(key(1), "2")
    cache.prune(0, keep=[np.int64(3)])
    assert here(cache) == [3]
    with pytest.raises(MissingObjectError, match="Fetch it first"):
        cache.pin(99)


def test_what_no_source_could_give_back_stays(origin: Path) -> None:
    for n in (1, 2, 3, 4):
        then = time.time() - 10_000
        os.utime(origin / f"session_{n}/session_{n}.nwb", (then, then))
    drive = ProjectCache.open(origin)
    plan = drive.prune(0)
    assert (plan.remove, plan.reached) == ((), False)
    assert {why for _, why in plan.keep} == {"cannot be had again"}
    drive.prune(0, unobtainable=True)
    assert here(drive) == []


def test_what_was_asked_for_just_now_stays(cache: ProjectCache) -> None:
    cache.store.get(key(1))
    cache.prune(0)
    assert here(cache) == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which files are open")
def test_what_another_process_reads_stays(cache: ProjectCache) -> None:
    script = "import sys, h5py; f = h5py.File(sys.argv[1]); print('open', flush=True); sys.stdin.readline()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(cache.manifest.locate(key(1)))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    plan = cache.prune(0)
    assert [(h.key, why) for h, why in plan.keep] == [(key(1), "in use")]
    assert here(cache) == [1]
    process.communicate("\n")
    cache.prune(0)
    assert here(cache) == []


def test_no_size_is_an_error_before_anything_goes(cache: ProjectCache) -> None:
    with pytest.raises(ConfigurationError, match="is no size"):
        cache.prune("a lot")
    assert here(cache) == [1, 2, 3, 4]


def test_du_lists_the_largest_first(cache: ProjectCache) -> None:
    nwb(cache.manifest.locate(key(5)), 5, 4_000_000)
    cache.pin(5)
    table = cache.du()
    assert list(table.columns) == ["kind", "bytes", "used", "pinned", "again"]
    assert table.index[0] == "session_nwb/5"
    assert table.pinned.tolist() == [True, False, False, False, False]
    assert table.bytes.iloc[0] == cache.manifest.locate(key(5)).stat().st_size
    assert str(table.used.dtype).startswith("datetime64")
    assert table.again.all()


def test_du_of_nothing_is_an_empty_table(tmp_path: Path) -> None:
    assert ProjectCache(manifest=tmp_path / "manifest.json", offline=False).du().empty


def test_the_doctor_looks_at_the_cache_folder(cache: ProjectCache) -> None:
    before = sorted(cache.manifest.folder.iterdir())
    assert all(f.consequence for f in cache.doctor())
    assert sorted(cache.manifest.folder.iterdir()) == before


# Repairing -------------------------------------------------------------------------------------


def test_what_is_good_is_left_alone(cache: ProjectCache) -> None:
    before = {n: cache.manifest.locate(key(n)).stat().st_mtime_ns for n in (1, 2, 3, 4)}
    assert cache.repair() == {}
    assert {n: cache.manifest.locate(key(n)).stat().st_mtime_ns for n in (1, 2, 3, 4)} == before


def test_a_damaged_file_is_fetched_again(cache: ProjectCache, origin: Path) -> None:
    damage(cache.manifest.locate(key(2)))
    assert cache.repair() == {key(2): "repaired"}
    assert cache.manifest.locate(key(2)).read_bytes() == (origin / "session_2/session_2.nwb").read_bytes()
    assert all(v.ok for v in cache.verify())


def test_a_damaged_file_that_cannot_be_had_again_stays_as_it_is(cache: ProjectCache, origin: Path) -> None:
    path = cache.manifest.locate(key(2))
    damage(path)
    bad = path.read_bytes()
    (origin / "session_2/session_2.nwb").unlink()
    [(found, why)] = cache.repair().items()
    assert found == key(2)
    assert "has no session_nwb/2" in why
    assert path.read_bytes() == bad


def test_what_is_missing_is_fetched_if_it_is_named(cache: ProjectCache) -> None:
    cache.manifest.locate(key(1)).unlink()
    assert cache.repair() == {}
    assert here(cache) == [2, 3, 4]
    assert cache.repair([key(1)]) == {key(1): "repaired"}
    assert here(cache) == [1, 2, 3, 4]


def test_a_layer_is_never_written_to(cache: ProjectCache, origin: Path) -> None:
    drive = origin / "session_1/session_1.nwb"
    layered = ProjectCache.open(cache.manifest.folder, layers=[origin])
    layered.verify([key(1)])
    Receipt.of(drive, key(1), "blake3:" + "0" * 64).write(drive)
    [(found, why)] = layered.repair([key(1)]).items()
    assert found == key(1)
    assert "is in a layer" in why


@pytest.fixture
def published(origin: Path, tmp_path: Path) -> Iterator[tuple[ProjectCache, ObjectServer]]:
    """A cache of a project that was published on a web server."""
    ProjectCache.open(origin).publish(tmp_path / "pub")
    bodies = {
        f"/pub/{p.relative_to(tmp_path / 'pub').as_posix()}": p.read_bytes()
        for p in (tmp_path / "pub").rglob("*")
        if p.is_file()
    }
    with ObjectServer(bodies) as server:
        about = json.loads((tmp_path / "pub/manifest.json").read_text())
        about["sources"] = [{"name": "web", "kind": "http", "url": server.url("/pub")}]
        (tmp_path / "web").mkdir()
        (tmp_path / "web/manifest.json").write_text(json.dumps(about))
        yield ProjectCache.open(tmp_path / "web"), server


def test_only_the_bad_blocks_of_a_published_file_are_fetched(
    published: tuple[ProjectCache, ObjectServer], origin: Path
) -> None:
    cache, server = published
    path = cache.store.get(key(1))
    good = (origin / "session_1/session_1.nwb").read_bytes()
    assert path.read_bytes() == good
    damage(path, 1_000_000)
    damage(path, 2_500_000)
    asked = len(server.log)
    assert cache.repair() == {key(1): "repaired"}
    assert path.read_bytes() == good
    assert all(v.ok for v in cache.verify([key(1)]))
    sent = [r for r in server.log[asked:] if r.path.endswith(".nwb")]
    assert 0 < sum(r.sent for r in sent) <= 2 * 128 * 1024


def test_a_file_that_is_bad_all_over_is_fetched_whole(
    published: tuple[ProjectCache, ObjectServer], origin: Path
) -> None:
    cache, _ = published
    path = cache.store.get(key(1))
    status = path.stat()
    good = (origin / "session_1/session_1.nwb").read_bytes()
    path.write_bytes(good[:4096] + bytes(len(good) - 4096))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cache.repair() == {key(1): "repaired"}
    assert path.read_bytes() == good


def test_a_file_that_was_cut_short_is_mended(
    published: tuple[ProjectCache, ObjectServer], origin: Path
) -> None:
    cache, server = published
    path = cache.store.get(key(1))
    good = (origin / "session_1/session_1.nwb").read_bytes()
    path.write_bytes(good[: SIZE // 2 + 300_000])
    asked = len(server.log)
    assert cache.repair() == {key(1): "repaired"}
    assert path.read_bytes() == good
    assert sum(r.sent for r in server.log[asked:] if r.path.endswith(".nwb")) < SIZE * 0.5


def test_versions_in_one_folder_are_kept_and_pruned_together(origin: Path, tmp_path: Path) -> None:
    ProjectCache.open(origin).publish(tmp_path / "pub")
    nwb(origin / "session_1/session_1.nwb", 11)
    ProjectCache.open(origin).publish(tmp_path / "pub")
    mine = tmp_path / "mine"
    mine.mkdir()
    for n in (1, 2):
        about = json.loads((tmp_path / f"pub/manifest-{n}.json").read_text())
        about["sources"] = [{"name": "pub", "kind": "directory", "url": str(tmp_path / "pub")}]
        (mine / f"manifest-{n}.json").write_text(json.dumps(about))
    one, two = (ProjectCache.open(mine / f"manifest-{n}.json") for n in (1, 2))
    old, new = one.store.get(key(1)), two.store.get(key(1))
    assert old != new
    assert two.store.get(key(2)) == one.store.get(key(2))  # once for both
    for path in (old, new, two.store.get(key(2))):
        long_ago(path, 10_000)
    assert len(two.du()) == 3
    two.prune(0)
    assert not old.exists()
    assert not new.exists()


def test_blocks_of_what_was_streamed_get_what_is_left_of_the_budget(
    published: tuple[ProjectCache, ObjectServer],
) -> None:
    cache, _ = published
    reader = streamed(cache.store, key(1))
    with reader.open() as file:
        assert file["x"][:].size == SIZE
    reader.close()
    table = cache.du()
    assert table.kind.tolist() == [".blocks"]
    assert table.bytes.iloc[0] > SIZE * 0.9
    cache.prune("10 MB")
    assert len(cache.du()) == 1
    cache.prune(0, dry_run=True)
    assert len(cache.du()) == 1
    cache.prune(0)
    assert cache.du().empty
