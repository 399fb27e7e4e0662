"""Keeping identical files once: another name for a file, by whatever the file system has for that."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["WAYS", "hard_link", "kept_once", "reflink", "relative_link"]

#: ``ioctl_ficlone(2)`` on Linux; the same number on all its machines but MIPS, PowerPC and SPARC, which then copy
_FICLONE = 0x40049409

#: makes the second path another name, or another copy-on-write file, of the first; or raises OSError
Way = Callable[[Path, Path], None]


def hard_link(there: Path, new: Path) -> None:
    """Make ``new`` a second name of the file ``there``."""
    os.link(there, new)


def reflink(there: Path, new: Path) -> None:
    """Make ``new`` a file of its own that shares the blocks of ``there`` (Btrfs, XFS, bcachefs, …)."""
    if sys.platform != "linux":
        raise OSError("only Linux is asked for reflinks")
    import fcntl

    try:
        with there.open("rb") as source, new.open("xb") as target:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        new.unlink(missing_ok=True)
        raise


def relative_link(there: Path, new: Path) -> None:
    """Make ``new`` a symbolic link that still leads to ``there`` when both have been moved together."""
    # a link to nothing is made without complaint
    there.stat()
    new.symlink_to(os.path.relpath(there, new.parent))


#: what is tried, in this order
WAYS: tuple[Way, ...] = (hard_link, reflink, relative_link)


def kept_once(there: Path, new: Path, ways: Sequence[Way] = WAYS) -> None:
    """Make ``new`` the same file as ``there``; a copy, where the file system has no way to keep it once.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    OSError
        Not even a copy could be made.
    """
    for way in ways:
        try:
            way(there, new)
        except FileNotFoundError:
            raise
        except (OSError, NotImplementedError):
            continue
        return
    shutil.copyfile(there, new)
