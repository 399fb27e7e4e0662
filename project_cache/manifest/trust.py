"""What a path that came from somewhere else may be called.

A manifest on the user's own disk is the user's: it may point wherever it likes. One that came from a
server is not, and neither are ids that are put into paths.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from project_cache.errors import ManifestError

__all__ = ["inside", "safe_name", "safe_relative"]

_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in [*range(10), "¹", "²", "³"]
}
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')


def safe_name(name: str) -> str:
    """Return ``name`` if it can be one step of a path on every system, and means the same on each.

    Hidden names are refused as well: receipts, journals and parts are called so.

    Raises
    ------
    ManifestError
        It is empty, ``..``, hidden, reserved on Windows, or has a character that some system reads otherwise.

    Examples
    --------
    >>> safe_name("session_715093703.nwb")
    'session_715093703.nwb'
    >>> safe_name("NUL.csv")
    Traceback (most recent call last):
    project_cache.errors.ManifestError: 'NUL.csv' is not a file name that can be trusted: it is reserved on Windows.
    """
    why = ""
    if not name:
        why = "it is empty"
    elif name.startswith("."):
        why = "it begins with a dot"
    elif name[-1] in ". ":
        why = "it ends with a dot or a space"
    elif _FORBIDDEN.search(name) or "/" in name:
        why = "it has characters that are not allowed"
    elif name.split(".")[0].rstrip(" ").lower() in _RESERVED:
        why = "it is reserved on Windows"
    elif len(name.encode("utf-8", "surrogatepass")) > 240:
        why = "it is too long"
    if why:
        raise ManifestError(f"{name!r} is not a file name that can be trusted: {why}.")
    return name


def safe_relative(path: str) -> PurePosixPath:
    """Return ``path`` if it is relative, stays below its folder, and is spelled in one way only.

    Examples
    --------
    >>> safe_relative("session_1/session_1.nwb")
    PurePosixPath('session_1/session_1.nwb')
    >>> safe_relative("../../etc/passwd")
    Traceback (most recent call last):
    project_cache.errors.ManifestError: '../../etc/passwd' is not a path that can be trusted: '..' begins with a dot.
    """
    if path.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:", path):
        raise ManifestError(f"{path!r} is not a path that can be trusted: it is absolute.")
    for step in path.split("/"):
        try:
            safe_name(step)
        except ManifestError as error:
            reason = str(error).removeprefix(f"{step!r} is not a file name that can be trusted: ")
            text = reason.replace("it ", f"{step!r} ", 1)
            raise ManifestError(f"{path!r} is not a path that can be trusted: {text}") from error
    return PurePosixPath(path)


def inside(path: Path, folder: Path) -> Path:
    """Return ``path`` if, with all links followed, it lies in ``folder``.

    Raises
    ------
    ManifestError
        A link on the way leads out of the folder.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ManifestError(
            f"{path} leads out of the cache folder {folder} through a link, and the manifest that names it "
            f"came from a server. Remove the link."
        )
    return path
