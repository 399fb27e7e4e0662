"""Folders on web servers that list them."""

from __future__ import annotations

import functools
import html.parser
import json
from urllib.parse import quote, unquote, urljoin, urlsplit

from project_cache.errors import ContentError, MissingObjectError, UnreadableObjectError
from project_cache.raw.stores import Entry, RemoteStat, RemoteStore
from project_cache.transfer.address import redacted
from project_cache.transfer.retry import Clock, Policy
from project_cache.transfer.transport import Answer, WebTransport

__all__ = ["WebServer", "web_server"]

#: a listing is text for people or programs: more than this is something else
_LONGEST_LISTING = 256 << 20


class WebServer(RemoteStore):
    """Folders on web servers that list them: JSON as nginx writes it, or a page of links."""

    def __init__(self, policy: Policy | None = None, clock: Clock | None = None) -> None:
        super().__init__(WebTransport(policy), policy, clock)

    def url(self, anchor: str, key: str) -> str:
        """Return the address that a file is asked for at."""
        return f"{anchor}/{quote(key)}"

    def shown(self, anchor: str, key: str) -> str:
        """Return what messages call a file or folder."""
        return redacted(self.url(anchor, key))

    def entries(self, anchor: str, key: str, prefix: str = "") -> list[Entry]:
        """Return the members of a folder whose names begin with ``prefix``, by name."""
        folder = f"{key}/" if key else ""
        url = self.url(anchor, folder)

        def take(answer: Answer) -> list[Entry]:
            self._check(answer, redacted(url))
            body = bytearray()
            for block in answer.blocks():
                body += block
                if len(body) > _LONGEST_LISTING:
                    raise ContentError(
                        f"{redacted(url)} is no listing of a folder: it has more than {_LONGEST_LISTING:,} bytes."
                    )
            return _listed(bytes(body), answer.headers.get("content-type", ""), url)

        found = self._get(anchor, folder, {"Accept": "application/json, text/html;q=0.9"}, take)
        return sorted((each for each in found if each.name.startswith(prefix)), key=lambda entry: entry.name)

    def is_folder(self, anchor: str, key: str) -> bool:
        """Return whether the server lists this folder."""
        try:
            self.entries(anchor, key)
        except (MissingObjectError, ContentError, UnreadableObjectError):
            return False
        return True


def _listed(body: bytes, content_type: str, url: str) -> list[Entry]:
    if "json" in content_type:
        try:
            return [
                Entry(_checked(str(each["name"])), each["type"] == "directory", _stat(each.get("size")))
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


def _stat(size: object) -> RemoteStat | None:
    return RemoteStat(size) if isinstance(size, int) and size >= 0 else None


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
