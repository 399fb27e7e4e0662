"""Telling files from web pages, and undoing compression that nobody asked for."""

from __future__ import annotations

import gzip
import io
import zlib

import numpy as np
import pytest

from project_cache.transfer.content import Corrupt, Expect, complaint, decoded


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(100))
    return file.getvalue()[:512]


@pytest.mark.parametrize(
    ("head", "expect"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "binary"),
        (npy(), "binary"),
        (b"II*\0" + bytes(20), "binary"),
        (b"PAR1\x15\x00", "binary"),
        (b"id,name\n1,a\n", "table"),
        (b'{"success": true}', "json"),
        (b"\xef\xbb\xbf [1]", "json"),
        (b"<html>", "any"),
        (b"", "any"),
    ],
)
def test_what_may_be_right_passes(head: bytes, expect: Expect) -> None:
    assert complaint(head, expect) is None


@pytest.mark.parametrize(
    ("head", "expect", "words"),
    [
        (b"\r\n<!doctype html><html><title>  Log\n in </title>", "binary", "a web page ('Log in')"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "table", "a web page ('AccessDenied')"),
        (b"<html>", "json", "a web page"),
        (b'{"message": "Not authorised"}', "binary", "a JSON message"),
        (b'{"message": "Not authorised"}', "table", "a JSON message"),
        (b"upstream connect error\n", "binary", "plain text"),
        (b"  \n", "table", "nothing at all"),
        (b"id,name", "json", "something that is not JSON"),
    ],
)
def test_what_is_not_right_is_named(head: bytes, expect: Expect, words: str) -> None:
    assert complaint(head, expect) == words


DATA = bytes(range(256)) * 20_000


@pytest.mark.parametrize("step", [1000, 100_000])
@pytest.mark.parametrize(
    ("packed", "encoding"), [(gzip.compress(DATA), "gzip"), (zlib.compress(DATA), "deflate")]
)
def test_compression_is_undone(packed: bytes, encoding: str, step: int) -> None:
    blocks = [packed[n : n + step] for n in range(0, len(packed), step)]
    out = list(decoded(iter(blocks), encoding))
    assert b"".join(out) == DATA
    assert max(map(len, out)) <= 1 << 20


def test_several_gzip_members_are_one_file() -> None:
    assert b"".join(decoded(iter([gzip.compress(b"one"), gzip.compress(b"two")]), "gzip")) == b"onetwo"
    assert b"".join(decoded(iter([gzip.compress(b"one") + gzip.compress(b"two")]), "x-gzip")) == b"onetwo"


def test_nothing_is_nothing() -> None:
    assert b"".join(decoded(iter([]), "gzip")) == b""
    assert b"".join(decoded(iter([gzip.compress(b"")]), "gzip")) == b""


@pytest.mark.parametrize("packed", [gzip.compress(DATA)[:-1], gzip.compress(DATA)[:500], b"not gzip at all"])
def test_broken_compression_is_noticed(packed: bytes) -> None:
    with pytest.raises(Corrupt):
        b"".join(decoded(iter([packed]), "gzip"))
