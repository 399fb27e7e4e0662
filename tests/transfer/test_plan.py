"""The decisions: what is asked for, and what answers are worth."""

from __future__ import annotations

import pytest

from project_cache.store.journal import Journal
from project_cache.transfer.plan import Again, Asked, Continue, Fail, Restart, judge, next_request

HELD = Journal(origin="http://h/a", validator='"v1"', size=100)
REST = Asked(60, '"v1"', 100)


@pytest.mark.parametrize(
    ("journal", "position", "start"),
    [
        (HELD, 0, 0),
        (HELD, 60, 60),
        (HELD, 100, 100),
        (HELD, 101, 0),
        (Journal(origin="http://h/a", validator='"v1"'), 60, 60),
        (Journal(origin="http://h/a", validator='W/"v1"', size=100), 60, 0),
        (Journal(origin="http://h/a", validator=None, size=100), 60, 0),
        (Journal(origin="http://other/a", validator='"v1"', size=100), 60, 0),
    ],
)
def test_only_bytes_of_a_known_version_are_gone_on_with(journal: Journal, position: int, start: int) -> None:
    assert next_request(journal, position, "http://h/a").start == start


def test_what_is_whole_is_not_asked_for() -> None:
    assert next_request(HELD, 100, "http://h/a").nothing
    assert not next_request(HELD, 99, "http://h/a").nothing
    assert not Asked().nothing
    assert not Asked(0, None, 0).nothing


@pytest.mark.parametrize(
    ("status", "headers", "asked", "verdict"),
    [
        (200, {"content-length": "9", "etag": '"a"'}, Asked(), Restart(9, '"a"', '"a"')),
        (200, {"content-length": "9", "etag": 'W/"a"'}, REST, Restart(9, None, 'W/"a"')),
        (200, {"last-modified": "then"}, Asked(), Restart(None, None, "then")),
        (200, {"content-length": "9", "transfer-encoding": "chunked"}, Asked(), Restart(None, None, None)),
        (200, {"content-length": "-9"}, Asked(), Restart(None, None, None)),
        (
            200,
            {"content-length": "9", "content-encoding": "gzip"},
            Asked(),
            Restart(None, None, None, "gzip"),
        ),
        (206, {"content-range": "bytes 60-99/100", "etag": '"v1"'}, REST, Continue(100, 100)),
        # rclone
        (200, {"content-range": "bytes 60-99/100", "etag": '"v1"'}, REST, Continue(100, 100)),
        (206, {"content-range": "bytes 60-79/*", "etag": '"v1"'}, REST, Continue(100, 80)),
        (206, {"content-range": "bytes 0-99/100", "etag": '"a"'}, Asked(), Restart(100, '"a"', '"a"')),
    ],
)
def test_answers_that_are_taken(
    status: int, headers: dict[str, str], asked: Asked, verdict: Continue | Restart
) -> None:
    assert judge(status, headers, asked) == verdict


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-range": "bytes 60-99/100"},
        {"content-range": "bytes 60-99/100", "etag": '"v2"'},
        {"content-range": "bytes 60-99/100", "etag": 'W/"v1"'},
        {"content-range": "bytes 61-99/100", "etag": '"v1"'},
        {"content-range": "bytes 60-99/200", "etag": '"v1"'},
        {"content-range": "bytes 60-100/100", "etag": '"v1"'},
        {"content-range": "bytes 60-59/100", "etag": '"v1"'},
        {"content-range": "bytes */100", "etag": '"v1"'},
        {"content-range": "lines 60-99/100", "etag": '"v1"'},
        {"content-range": "bytes 60-99/100", "etag": '"v1"', "content-length": "39"},
        {"content-range": "bytes 60-99/100", "etag": '"v1"', "content-encoding": "gzip"},
        {"content-type": "multipart/byteranges; boundary=x", "etag": '"v1"'},
    ],
)
def test_parts_that_are_not_the_rest_are_not_taken(headers: dict[str, str]) -> None:
    verdict = judge(206, headers, REST)
    assert isinstance(verdict, Again)
    assert verdict.fresh


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_statuses_that_may_pass(status: int) -> None:
    verdict = judge(status, {"retry-after": "5"}, Asked())
    assert verdict == Again(f"the server answered {status}", False, "5", status, "status")


@pytest.mark.parametrize(
    "status", [201, 204, 301, 304, 400, 401, 403, 404, 407, 410, 412, 416, 451, 501, 505]
)
def test_statuses_that_do_not_pass(status: int) -> None:
    assert judge(status, {}, Asked()) == Fail(f"the server answered {status}", status)
