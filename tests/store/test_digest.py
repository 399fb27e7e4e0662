"""The digest of bytes as they come."""

from __future__ import annotations

import hashlib
import threading

import blake3
import pytest

from project_cache.store.digest import MARK_BYTES, RunningDigest

GOOD = {"sha256": hashlib.sha256, "blake3": blake3.blake3}


@pytest.mark.parametrize("algorithm", GOOD)
@pytest.mark.parametrize("size", [1000, 300_000])
@pytest.mark.parametrize("lasting", [True, False])
def test_it_is_that_of_all_bytes(algorithm: str, size: int, lasting: bool) -> None:
    digest, whole = RunningDigest(algorithm), GOOD[algorithm]()
    for n in range(100):
        block = bytes([n]) * size
        whole.update(block)
        digest.update(block, lasting=lasting)
    assert str(digest) == f"{algorithm}:{whole.hexdigest()}"
    assert digest.copy().hexdigest() == whole.hexdigest()
    digest.close()
    digest.update(b"more")
    whole.update(b"more")
    assert str(digest) == f"{algorithm}:{whole.hexdigest()}"


def test_bytes_that_are_hashed_later_are_held_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    digest, gate = RunningDigest("sha256"), threading.Event()
    add = digest._add
    monkeypatch.setattr(digest, "_add", lambda data: (gate.wait(10), add(data)))
    buffer = bytearray(b"a" * 300_000)
    digest.update(memoryview(buffer), lasting=True)
    with pytest.raises(BufferError):
        buffer.append(0)
    gate.set()
    assert str(digest) == f"sha256:{hashlib.sha256(buffer).hexdigest()}"


@pytest.mark.parametrize("lasting", [True, False])
def test_marks_are_digests_of_all_bytes_before_them(lasting: bool) -> None:
    digest = RunningDigest("blake3")
    block = bytes(range(256)) * (1 << 12)
    for _ in range(20):
        digest.update(block, lasting=lasting)
    marks = digest.marked()
    assert [count for count, _ in marks] == [MARK_BYTES, 2 * MARK_BYTES, 20 << 20]
    for count, found in marks:
        assert found == blake3.blake3(block * (count // len(block))).hexdigest()
    digest.close()


def test_a_digest_that_is_closed_leaves_no_thread() -> None:
    before = threading.active_count()
    digest = RunningDigest("blake3")
    digest.update(bytes(1 << 20), lasting=True)
    digest.close()
    assert threading.active_count() == before
