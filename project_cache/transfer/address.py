"""URLs: what may be shown of them, and where a redirect may lead."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from project_cache.errors import TransferError

__all__ = ["after_redirect", "redacted", "same_origin"]

#: query parameters that open doors: AWS, Google, Azure, and the usual names
_SECRET = re.compile(
    r"(?:.*(?:signature|credential|token|secret|passw|accesskey|access_key|api-?_?key).*|sig|key|auth|pwd)",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}


def redacted(url: str) -> str:
    """Return ``url`` as messages and journals may show it: no user, password, signature or token.

    Examples
    --------
    >>> redacted("https://me:pw@host:8443/a.nwb?X-Amz-Signature=abc&versionId=7#x")
    'https://host:8443/a.nwb?X-Amz-Signature=***&versionId=7'
    >>> redacted("not a url")
    'not a url'
    """
    try:
        parts = urlsplit(url)
        host = _host(parts)
    except ValueError:
        return "(a malformed URL)"
    query = "&".join(
        f"{name}=***" if equals and _SECRET.fullmatch(name) else name + equals + value
        for name, equals, value in (pair.partition("=") for pair in parts.query.split("&"))
    )
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs have scheme, host and port in common.

    Examples
    --------
    >>> same_origin("http://h/a", "http://H:80/b"), same_origin("http://h/a", "https://h/a")
    (True, False)
    """
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def after_redirect(url: str, location: str) -> str:
    """Return where a redirect leads.

    Raises
    ------
    TransferError
        It leads from https to http, to a scheme that is not the web's, or nowhere.
    """
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        _ = parts.port
    except ValueError:
        raise TransferError(f"{redacted(url)} redirects to something that is not a URL.") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise TransferError(
            f"{redacted(url)} redirects to {redacted(target)}, which is not a web address; it was not followed."
        )
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise TransferError(
            f"{redacted(url)} redirects to {redacted(target)}, without encryption; it was not followed. "
            f"If that is meant, name the http address itself."
        )
    return target
