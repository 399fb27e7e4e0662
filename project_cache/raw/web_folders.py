"""Folders on web servers that list them."""

from __future__ import annotations

import functools
import html.parser
import json
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from project_cache.errors import (
    ContentError,
    MissingObjectError,
    ServerError,
    TransferError,
    UnreadableObjectError,
)
from project_cache.raw.stores import Entry
from project_cache.transfer.address import redacted
from project_cache.transfer.retry import Budget, Clock, Policy
from project_cache.transfer.transport import Answer, Dropped, WebTransport

__all__ = ["WebServer", "web_server"]

_T = TypeVar("_T")

#: a listing is text for people or programs: more than this is something else
_LONGEST_LISTING = 256 << 20


class WebServer:
    """Folders on web servers that list them: JSON as nginx writes it, or a page of links."""

    def __init__(self, policy: Policy | None = None, clock: Clock | None = None) -> None:
        self._policy = policy or Policy()
        self._clock = clock or Clock()
        self._transport = WebTransport(self._policy)

    def _url(self, anchor: str, key: str) -> str:
        return f"{anchor}/{quote(key)}"

    def _get(self, url: str, headers: dict[str, str], take: Callable[[Answer], _T]) -> _T:
        """Return what ``take`` makes of the answer, asked for again while the line or the server fails."""
        budget = Budget(self._policy, self._clock)
        while True:
            retry_after = None
            try:
                answer = self._transport.get(url, {"Accept-Encoding": "identity", **headers})
                try:
                    if answer.status not in (408, 429) and answer.status < 500:
                        return take(answer)
                    reason = f"the server answered {answer.status}"
                    retry_after = answer.headers.get("retry-after")
                finally:
                    answer.close()
            except Dropped as dropped:
                reason = str(dropped)
            if not budget.failed():
                raise TransferError(f"{redacted(url)} could not be read: {reason}.")
            budget.wait(retry_after)

    def entries(self, anchor: str, key: str, prefix: str = "") -> list[Entry]:
        """Return the members of a folder whose names begin with ``prefix``.

        Raises
        ------
        MissingObjectError
            There is no such folder.
        ContentError
            The server does not list it.
        """
        url = self._url(anchor, f"{key}/" if key else "")

        def take(answer: Answer) -> list[Entry]:
            _check(answer, url)
            body = b"".join(answer.blocks())
            if len(body) > _LONGEST_LISTING:
                raise ContentError(f"{redacted(url)} is no listing of a folder: it has {len(body):,} bytes.")
            return _listed(body, answer.headers.get("content-type", ""), url)

        found = self._get(url, {"Accept": "application/json, text/html;q=0.9"}, take)
        return sorted((each for each in found if each.name.startswith(prefix)), key=lambda entry: entry.name)

    def is_folder(self, anchor: str, key: str) -> bool:
        """Return whether the server lists this folder."""
        try:
            self.entries(anchor, key)
        except (MissingObjectError, ContentError, UnreadableObjectError):
            return False
        return True

    def size(self, anchor: str, key: str) -> int | None:
        """Return the size of a file in bytes, or None where there is none."""
        url = self._url(anchor, key)

        def take(answer: Answer) -> int | None:
            if answer.status == 404:
                return None
            total = answer.headers.get("content-range", "").rpartition("/")[2]
            if answer.status == 416:
                return int(total) if total.isdigit() else 0
            _check(answer, url)
            if answer.status != 206:
                total = answer.headers.get("content-length", "")
            if not total.isdigit():
                raise ContentError(f"The server does not say how large {redacted(url)} is.")
            return int(total)

        return self._get(url, {"Range": "bytes=0-0"}, take)

    def read(self, anchor: str, key: str, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` up to ``stop``, or to the file's end."""
        url = self._url(anchor, key)
        if stop <= start:
            return b""

        def take(answer: Answer) -> bytes:
            if answer.status == 416:
                return b""
            _check(answer, url)
            ranged = answer.status == 206
            if ranged and not answer.headers.get("content-range", f"bytes {start}-").startswith(
                f"bytes {start}-"
            ):
                raise ContentError(f"The server sent another part of {redacted(url)} than was asked for.")
            # a server that knows no ranges sends all of it: what lies before is let pass
            left = 0 if ranged else start
            out = bytearray()
            for block in answer.blocks():
                out += block[left:]
                left = max(0, left - len(block))
                if len(out) >= stop - start:
                    break
            return bytes(out[: stop - start])

        return self._get(url, {"Range": f"bytes={start}-{stop - 1}"}, take)


def _check(answer: Answer, url: str) -> None:
    if answer.status in (200, 206):
        return
    if answer.status in (404, 410):
        raise MissingObjectError(f"There is no {redacted(url)}.")
    if answer.status in (401, 403):
        raise UnreadableObjectError(f"{redacted(url)} may not be read: the server answered {answer.status}.")
    raise ServerError(f"{redacted(url)} cannot be read: the server answered {answer.status}.", answer.status)


def _listed(body: bytes, content_type: str, url: str) -> list[Entry]:
    if "json" in content_type:
        try:
            return [
                Entry(_checked(str(each["name"])), each["type"] == "directory", _whole(each.get("size")))
                for each in json.loads(body)
                if each["name"] not in ("", ".", "..")
            ]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ContentError(f"{redacted(url)} is JSON, but no listing of a folder ({error}).") from error
    if "html" not in content_type:
        raise ContentError(
            f"{redacted(url)} is no listing of a folder. Turn the server's listings on (nginx: autoindex on)."
        )
    page = _Links()
    page.feed(body.decode("utf-8", "replace"))
    found = {}
    for href in page.hrefs:
        try:
            target = urlsplit(urljoin(url, href))
        except ValueError:
            continue
        here = urlsplit(url)
        if (target.scheme, target.netloc) != (here.scheme, here.netloc) or target.query:
            continue
        # only what lies right in this folder: not its parent, not the ways to sort it
        if not (target.path.startswith(here.path) and len(target.path) > len(here.path)):
            continue
        name = unquote(target.path[len(here.path) :])
        is_dir = name.endswith("/")
        name = name.removesuffix("/")
        if name and "/" not in name and name not in (".", ".."):
            found[name] = Entry(name, is_dir)
    return list(found.values())


def _checked(name: str) -> str:
    if "/" in name:
        raise ValueError(f"a name with a slash: {name!r}")
    return name


def _whole(size: object) -> int | None:
    return size if isinstance(size, int) and size >= 0 else None


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]


@functools.lru_cache(maxsize=1)
def web_server() -> WebServer:
    """Return the client for web servers."""
    return WebServer()
