"""The decisions of a transfer, as pure functions: what to ask for next, and what an answer is worth."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from project_cache.store.journal import Journal

__all__ = [
    "Again",
    "Asked",
    "Continue",
    "Fail",
    "Restart",
    "judge",
    "next_request",
    "passing",
    "resumable",
    "strong_etag",
]

#: statuses after which another try may go better
_TRANSIENT = {408, 421, 425, 429, 500, 502, 503, 504}
_NEVER_BETTER = {501, 505, 511}
_ENCODINGS = {"gzip", "x-gzip", "deflate"}
_RANGE = re.compile(r"\s*bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\s*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: the object from ``start`` on, if it is still the one with ``validator``.

    Attributes
    ----------
    start : int
        The first byte.
    validator : str or None
        The ETag of the version that is meant.
    size : int or None
        The object's size, where it is known.
    stop : int or None
        The byte after the last; None: all there are.
    condition : {"If-Range", "If-Match"}
        What binds a part to the version: web servers know If-Range, and send everything if it is another one by
        now; S3 servers ignore that and know If-Match, and refuse.
    """

    start: int = 0
    validator: str | None = None
    size: int | None = None
    stop: int | None = None
    condition: str = "If-Range"

    @property
    def nothing(self) -> bool:
        """Whether all bytes are here already."""
        return 0 < self.start == self.size

    @property
    def ranged(self) -> bool:
        """Whether a part of the object is asked for."""
        return self.validator is not None and (self.start > 0 or self.stop is not None)

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers. No compression: lengths and ranges must be those of the object."""
        headers = {"Accept-Encoding": "identity"}
        if self.ranged and self.validator:
            last = "" if self.stop is None else str(self.stop - 1)
            headers["Range"] = f"bytes={self.start}-{last}"
            headers[self.condition] = self.validator
        return headers


@dataclasses.dataclass(frozen=True, slots=True)
class Continue:
    """The body goes on where the part ends; the object ends at ``size``, this body at ``until``."""

    size: int | None
    until: int


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """The body is the whole object; what the part holds is of no use.

    ``validator`` is what it can be resumed by (a strong ETag), ``given`` what the server said of its version.
    """

    size: int | None
    validator: str | None
    given: str | None
    encoding: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Again:
    """Nothing to be had from this answer; another may be better.

    ``fresh``: ask for the whole object, at once. ``status`` and ``kind`` say what error it is if none is better.
    """

    reason: str
    fresh: bool = False
    retry_after: str | None = None
    status: int = 0
    kind: str = "dropped"


@dataclasses.dataclass(frozen=True, slots=True)
class Fail:
    """No use in asking again."""

    reason: str
    status: int = 0


def strong_etag(value: str | None) -> str | None:
    """Return an ETag that vouches for every byte, or None: a weak one vouches for the meaning only.

    Examples
    --------
    >>> strong_etag('"abc"'), strong_etag('W/"abc"'), strong_etag("abc")
    ('"abc"', None, None)
    """
    if value and len(value) > 2 and value[0] == value[-1] == '"' and value.isprintable():
        return value
    return None


def resumable(journal: Journal, origin: str) -> bool:
    """Return whether what a part holds can be gone on with: it is from there, and of a version with a name."""
    return journal.origin == origin and strong_etag(journal.validator) is not None


def next_request(journal: Journal, position: int, origin: str, condition: str = "If-Range") -> Asked:
    """Return what to ask for, given what a part holds.

    Examples
    --------
    >>> held = Journal(origin="http://h/a", validator='"v1"', size=100)
    >>> next_request(held, 60, "http://h/a").headers["Range"]
    'bytes=60-'
    >>> next_request(held, 60, "http://h/other").start
    0
    """
    if position > 0 and resumable(journal, origin) and (journal.size is None or position <= journal.size):
        return Asked(position, journal.validator, journal.size, condition=condition)
    return Asked(condition=condition)


def judge(status: int, headers: Mapping[str, str], asked: Asked) -> Continue | Restart | Again | Fail:
    """Return what to do with an answer, from its status and headers (names in lower case)."""
    # rclone's server sends parts with status 200, and Content-Range
    if status == 206 or (status == 200 and "content-range" in headers):
        return _judge_part(headers, asked)
    if status == 200:
        return _judge_whole(headers)
    if status == 412 and asked.ranged:
        return Again("the object changed on the server during the transfer", fresh=True, kind="content")
    if status == 416 and asked.ranged:
        promised = "" if asked.size is None else f"promised {asked.size} bytes, and "
        reason = f"the server {promised}has nothing from byte {asked.start} on"
        return Again(reason, fresh=True, kind="content")
    if passing(status):
        reason = f"the server answered {status}"
        return Again(reason, retry_after=headers.get("retry-after"), status=status, kind="status")
    return Fail(f"the server answered {status}", status)


def passing(status: int) -> bool:
    """Return whether another try may go better than one that was answered with this status.

    Examples
    --------
    >>> passing(503), passing(404), passing(501)
    (True, False, False)
    """
    return status in _TRANSIENT or (status >= 500 and status not in _NEVER_BETTER)


def _judge_whole(headers: Mapping[str, str]) -> Restart | Fail:
    encoding = _encoding(headers)
    etag = headers.get("etag")
    given = etag or headers.get("last-modified")
    if encoding is None:
        # with chunks, the length is not the server's last word (RFC 9112, 6.3)
        size = None if "transfer-encoding" in headers else _length(headers)
        return Restart(size, strong_etag(etag), given)
    if encoding not in _ENCODINGS:
        return Fail(f"the bytes came encoded as {encoding!r}, which was not asked for")
    # length and ETag are those of the encoded bytes: no use to know where the object ends, or to resume it
    return Restart(None, None, given, encoding)


def _judge_part(headers: Mapping[str, str], asked: Asked) -> Continue | Restart | Again:
    found = _RANGE.fullmatch(headers.get("content-range", ""))
    if found is None or _encoding(headers) is not None:
        return Again("the server sent a part without saying which", fresh=True, kind="content")
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if not asked.ranged:
        if first == 0 and total == last + 1:
            etag = headers.get("etag")
            return Restart(total, strong_etag(etag), etag or headers.get("last-modified"))
        return Again("the server sent a part where all was asked for", kind="content")
    etag = headers.get("etag")
    if etag != asked.validator:
        # Many S3 servers know nothing of If-Range: they send the part, of whatever is there now.
        return Again("the object changed on the server during the transfer", fresh=True, kind="content")
    length = _length(headers)
    fits = first == asked.start and first <= last and (total is None or last < total)
    fits = fits and (asked.stop is None or last < asked.stop)
    if not fits or (length is not None and length != last - first + 1):
        return Again("the server sent another part than was asked for", fresh=True, kind="content")
    if asked.size is not None and total not in (None, asked.size):
        return Again("the object's size changed during the transfer", fresh=True, kind="content")
    return Continue(total if total is not None else asked.size, last + 1)


def _encoding(headers: Mapping[str, str]) -> str | None:
    value = headers.get("content-encoding", "").strip().lower()
    return None if value in ("", "identity") else value


def _length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("content-length", "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
