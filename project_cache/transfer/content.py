"""What bytes look like: web pages in place of files, and compression that nobody asked for."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Literal

__all__ = ["Corrupt", "Expect", "complaint", "decoded"]

#: what an object should look like: HDF5, arrays and images; tables and other text; JSON; or nobody knows
Expect = Literal["binary", "table", "json", "any"]
#: how many bytes it takes to tell
HEAD = 512
_BLOCK = 1 << 20
_TITLE = re.compile(rb"<(?:title|code)>\s*([^<]{1,80})", re.IGNORECASE)


def complaint(head: bytes, expect: Expect) -> str | None:
    """Return what an object is instead of what was expected, by its first bytes; None if it may be right.

    Examples
    --------
    >>> complaint(b"<!DOCTYPE html><title>Sign in</title>", "binary")
    "a web page ('Sign in')"
    >>> complaint(b'{"error": "gone"}', "binary")
    'a JSON message'
    >>> complaint(bytes([137]) + b"HDF", "binary") is None
    True
    """
    if expect == "any":
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return "nothing at all"
    if text.startswith(b"<"):
        title = _TITLE.search(head)
        name = f" ({' '.join(title[1].decode('ascii', 'replace').split())!r})" if title else ""
        return f"a web page{name}"
    is_json = text[:1] in (b"{", b"[")
    if expect == "json":
        return None if is_json else "something that is not JSON"
    if is_json and _is_text(head):
        return "a JSON message"
    if expect == "binary" and _is_text(head):
        return "plain text"
    return None


def _is_text(head: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n\f" for byte in head)


class Corrupt(ValueError):
    """Compressed bytes that make no sense, or end too early."""


def decoded(blocks: Iterator[bytes | memoryview], encoding: str) -> Iterator[bytes | memoryview]:
    """Yield the bytes that a proxy compressed on the way, never more than 1 MiB at once.

    Raises
    ------
    Corrupt
        They are not what ``encoding`` (gzip or deflate) says, or end too early.
    """
    wrapper = 16 + zlib.MAX_WBITS if "gzip" in encoding else zlib.MAX_WBITS
    machine = zlib.decompressobj(wrapper)
    begun = False
    try:
        for block in blocks:
            rest = block
            while rest:
                if machine.eof:  # gzip files may be several in a row
                    machine = zlib.decompressobj(wrapper)
                begun = True
                data = machine.decompress(rest, _BLOCK)
                if data:
                    yield data
                rest = machine.unused_data if machine.eof else machine.unconsumed_tail
        while begun and not machine.eof:
            # zlib may hold back what did not fit into the last block
            data = machine.decompress(machine.unconsumed_tail, _BLOCK)
            if not data:
                break
            yield data
    except zlib.error:
        raise Corrupt(f"the bytes are not {encoding}") from None
    if begun and not machine.eof:
        raise Corrupt("the compressed bytes ended too early")
