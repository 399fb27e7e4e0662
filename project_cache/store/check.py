"""Telling a whole file from a broken one by its first kilobytes and its size."""

from __future__ import annotations

import struct
from pathlib import Path

from project_cache.errors import CorruptObjectError, UnreadableObjectError
from project_cache.manifest.keys import Key

__all__ = ["check_format", "expects_hdf5", "hdf5_end"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")


def expects_hdf5(key: Key, path: Path) -> bool:
    """Return whether an object is to be HDF5 (the movies are not, for all their ``.h5``: they are NumPy's)."""
    # among the suffixes: a part of an object is called .x.nwb.….part
    return key.kind.endswith("_nwb") or ".nwb" in path.suffixes


def check_format(key: Key, path: Path, size: int) -> None:
    """Raise if a file cannot be what its key says. Reads a few hundred bytes, whatever its size.

    Parameters
    ----------
    key : Key
        The object.
    path : pathlib.Path
        The file.
    size : int
        Its size in bytes.

    Raises
    ------
    CorruptObjectError
        It is empty, a web page, not HDF5 where it should be, or shorter than its HDF5 superblock says.
    UnreadableObjectError
        It is there and cannot be opened: that says nothing against the file.
    """
    if size == 0:
        raise CorruptObjectError(f"{path} is empty.")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            if expects_hdf5(key, path):
                end = hdf5_end(head)
                start = 512
                # The superblock may stand at 0, 512, 1024, 2048, …
                while end is None and start < size and start <= 1 << 20:
                    file.seek(start)
                    end = hdf5_end(file.read(128))
                    start *= 2
                if end is None:
                    raise CorruptObjectError(f"{path} is not an HDF5 file: it begins with {_shown(head)}.")
                if size < end:
                    raise CorruptObjectError(
                        f"{path} has been cut short: it has {size:,} of the {end:,} bytes that its HDF5 header names."
                    )
                return
    except OSError as error:
        if isinstance(error, CorruptObjectError):
            raise
        raise UnreadableObjectError(
            f"{path} is there but cannot be read ({error.strerror or error}). It was not fetched again, as the file "
            f"may well be good: check its permissions, the drive and the file system."
        ) from error
    if head.lstrip().lower().startswith(_HTML):
        raise CorruptObjectError(f"{path} is a web page, not {key.kind}: it begins with {_shown(head)}.")


def hdf5_end(head: bytes) -> int | None:
    """Return the end-of-file address in an HDF5 superblock, or None where there is no superblock.

    Source: HDF5 File Format Specification, section II.A (versions 0 to 3).

    Examples
    --------
    >>> hdf5_end(b"<html>") is None
    True
    """
    if head[:8] != _SIGNATURE or len(head) < 48:
        return None
    version = head[8]
    if version in (0, 1):
        width, at = head[13], 24 if version == 0 else 28
        skipped = 2  # base address, free-space address
    elif version in (2, 3):
        width, at = head[9], 12
        skipped = 2  # base address, superblock extension
    else:
        return None
    if width not in (2, 4, 8):
        return None
    field = head[at + skipped * width : at + (skipped + 1) * width]
    if len(field) < width:
        return None
    return int(struct.unpack({2: "<H", 4: "<I", 8: "<Q"}[width], field)[0])


def _shown(head: bytes) -> str:
    return repr(head[:24])
