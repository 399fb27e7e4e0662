"""The ways in which a server can go wrong, each as a value."""

from __future__ import annotations

import dataclasses

__all__ = [
    "Fault",
    "changed",
    "compressed",
    "html_page",
    "ignored_range",
    "lying_length",
    "redirect",
    "reset",
    "slow",
    "stalled",
    "status",
    "truncated",
    "wrong_range",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What is different about an answer. Fields may be combined; those left alone change nothing.

    Attributes
    ----------
    status : int
        Answer this status, with ``body``, and nothing of the object.
    body, content_type : bytes, str
        Answer this in place of the object (with status 200 if no other is given).
    headers : tuple of (str, str)
        Put these over the answer's own; an empty value removes one.
    cut_at, reset_at, stall_at : int
        After so many bytes of the body end the connection in an orderly way; with a TCP reset; send nothing for
        ``stall_s`` seconds (or until the server stops), and then end.
    bytes_per_second : float
        Send no faster.
    length_off : int
        Add this to Content-Length.
    no_length : bool
        Send no Content-Length: the body ends with the connection.
    whole : bool
        Ignore Range and send everything, with 200.
    ignore_if_range : bool
        Send the part although the validator in If-Range is another: what most S3 servers do.
    range_off : int
        Send another part than was asked for, so many bytes further on, and say so in Content-Range.
    gzip : bool
        Compress, whatever Accept-Encoding says.
    replace : bytes
        The object is other bytes (and has another ETag) from this request on.
    etag : str
        Use this ETag; empty: none.
    """

    status: int = 0
    body: bytes | None = None
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cut_at: int | None = None
    reset_at: int | None = None
    stall_at: int | None = None
    stall_s: float = 3600.0
    bytes_per_second: float | None = None
    length_off: int = 0
    no_length: bool = False
    whole: bool = False
    ignore_if_range: bool = False
    range_off: int = 0
    gzip: bool = False
    replace: bytes | None = None
    etag: str | None = None


def truncated(after: int) -> Fault:
    """Return: the connection ends after so many bytes."""
    return Fault(cut_at=after)


def reset(after: int = 0) -> Fault:
    """Return: the connection is reset after so many bytes."""
    return Fault(reset_at=after)


def stalled(after: int = 0, seconds: float = 3600.0) -> Fault:
    """Return: nothing more comes after so many bytes, but the connection stays."""
    return Fault(stall_at=after, stall_s=seconds)


def slow(bytes_per_second: float) -> Fault:
    """Return: the body comes slowly."""
    return Fault(bytes_per_second=bytes_per_second)


def status(code: int, *, retry_after: str | int | None = None, body: bytes = b"") -> Fault:
    """Return: a status in place of the object, with Retry-After (seconds or an HTTP date) if given."""
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    return Fault(status=code, body=body, content_type="text/plain", headers=headers)


def html_page(title: str = "Sign in to the network") -> Fault:
    """Return: a web page with status 200, as hotels and universities answer for any address."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{title}</body></html>\n"
    return Fault(body=page.encode(), content_type="text/html")


def changed(data: bytes) -> Fault:
    """Return: from this request on the object is other bytes, with another ETag."""
    return Fault(replace=data)


def lying_length(off: int) -> Fault:
    """Return: Content-Length says so many bytes more (or, negative, fewer) than there are."""
    return Fault(length_off=off)


def ignored_range() -> Fault:
    """Return: all bytes with status 200, though a part was asked for."""
    return Fault(whole=True)


def wrong_range(off: int = 1) -> Fault:
    """Return: another part than was asked for, and Content-Range says so."""
    return Fault(range_off=off)


def compressed() -> Fault:
    """Return: the body compressed with gzip, though it was not to be."""
    return Fault(gzip=True)


def redirect(location: str, code: int = 302) -> Fault:
    """Return: go there."""
    return Fault(status=code, body=b"", headers=(("Location", location),))
