"""Keeping house: what takes how much room, what may go, and what stays."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from project_cache.errors import ConfigurationError, MissingObjectError
from project_cache.files import hidden, translated
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.receipts import Receipt

__all__ = [
    "Holding", "PrunePlan", "byte_count", "holdings", "is_pinned", "open_files", "pin", "plan_prune", "prune", "unpin",
    "used",
]  # fmt: skip

#: an object that was used so shortly ago is taken to be in use still
IN_USE_S = 600.0
#: how often, at most, the use of an object is noted
NOTED_EVERY_S = 300.0
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def byte_count(said: int | float | str) -> int:
    """Return a number of bytes, also from words such as ``"500 GB"`` (10⁹) and ``"2 GiB"`` (2³⁰).

    Raises
    ------
    ConfigurationError
        It is no size.

    Examples
    --------
    >>> byte_count("500 GB"), byte_count("2 GiB"), byte_count(10)
    (500000000000, 2147483648, 10)
    """
    if isinstance(said, int | float) and not isinstance(said, bool) and said >= 0:
        return int(said)
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(i?)b?\s*", str(said).lower())
    if match is None:
        raise ConfigurationError(f"{said!r} is no size. Write a number of bytes, or '500 GB', or '2 GiB'.")
    power = " kmgt".index(match[2]) if match[2] else 0
    return int(float(match[1]) * (1024**power if match[3] else _UNITS[match[2]]))


@dataclass(frozen=True, slots=True)
class Holding:
    """An object in the cache, as far as keeping it goes.

    Attributes
    ----------
    key : Key
    path : pathlib.Path
    size : int
        Bytes on the disk.
    used : float
        When it was last used, in seconds since 1970.
    pinned : bool
        Whether somebody asked for it to be kept.
    again : bool
        Whether it could be had again.
    """

    key: Key
    path: Path
    size: int
    used: float
    pinned: bool = False
    again: bool = True


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a pruning removes, and what it leaves and why.

    Attributes
    ----------
    remove : tuple of Holding
        In the order in which they go: least recently used first.
    keep : tuple of (Holding, str)
        What stays, and why: ``pinned``, ``in use``, ``cannot be had again``, ``within the budget``.
    before, after, budget : int
        Bytes that the objects take, would take, and were to take.
    """

    remove: tuple[Holding, ...]
    keep: tuple[tuple[Holding, str], ...]
    before: int
    after: int
    budget: int

    @property
    def reached(self) -> bool:
        """Whether the budget is kept."""
        return self.after <= self.budget

    def __str__(self) -> str:
        lines = [
            f"{self.before / 1e9:,.3f} GB in {len(self.remove) + len(self.keep)} objects; the budget is "
            f"{self.budget / 1e9:,.3f} GB; {len(self.remove)} go, {self.after / 1e9:,.3f} GB stay."
        ]
        lines += [f"  remove  {h.key}  {h.size / 1e6:,.1f} MB" for h in self.remove]
        if not self.reached:
            reasons = [why for _, why in self.keep]
            counts = ", ".join(f"{reasons.count(why)} {why}" for why in sorted(set(reasons)))
            lines.append(f"  The budget cannot be kept: {counts}.")
        return "\n".join(lines)


def used(path: Path, now: float | None = None) -> None:
    """Note that an object is being used; the note is the time of its receipt. Where nothing can be written: nothing."""
    receipt = Receipt.path_for(path)
    now = time.time() if now is None else now
    with contextlib.suppress(OSError):
        if now - receipt.stat().st_mtime > NOTED_EVERY_S:
            os.utime(receipt, (now, now))


def _last_used(path: Path, status: os.stat_result) -> float:
    try:
        return max(Receipt.path_for(path).stat().st_mtime, status.st_mtime)
    except OSError:
        return max(status.st_atime, status.st_mtime)


def _pin_of(path: Path) -> Path:
    return hidden(path, "pin")


def is_pinned(path: Path) -> bool:
    """Return whether an object's file is pinned."""
    return _pin_of(path).exists()


def pin(path: Path) -> None:
    """Keep an object's file from being pruned. The pin lies beside it, and moves with the folder.

    Raises
    ------
    MissingObjectError
        The file is not there.
    """
    if not path.exists():
        raise MissingObjectError(f"{path} is not in the cache, so it cannot be pinned. Fetch it first.")
    with translated(path):
        _pin_of(path).touch()


def unpin(path: Path) -> None:
    """Let an object's file be pruned again."""
    with translated(path), contextlib.suppress(FileNotFoundError):
        _pin_of(path).unlink()


def holdings(manifest: Manifest, again: Callable[[Key], bool]) -> list[Holding]:
    """Return all objects that lie in a manifest's folder.

    Parameters
    ----------
    manifest : Manifest
        Of the layer that is written to.
    again : callable
        Whether an object could be had again.
    """
    found = []
    for kind in manifest.layout.kinds():
        for key, path in manifest.scan(kind):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                size = _on_disk(status)
                found.append(Holding(key, path, size, _last_used(path, status), is_pinned(path), again(key)))
    return found


def _on_disk(status: os.stat_result) -> int:
    # several versions may share one file: what goes frees nothing until the last name goes
    return status.st_size // max(1, status.st_nlink)


def plan_prune(
    held: Iterable[Holding],
    budget: int,
    *,
    keep: Collection[Key] = (),
    busy: Collection[Path] = (),
    now: float | None = None,
    unobtainable: bool = False,
) -> PrunePlan:
    """Return what would have to go to keep to a budget. Nothing is touched.

    Parameters
    ----------
    held : iterable of Holding
        What there is.
    budget : int
        Bytes.
    keep : collection of Key
        Objects that stay.
    busy : collection of pathlib.Path
        Files that are open somewhere.
    now : float, optional
        Seconds since 1970.
    unobtainable : bool
        Whether things that could not be had again may go as well.
    """
    now = time.time() if now is None else now
    held = sorted(held, key=lambda h: (h.used, str(h.key)))
    before = after = sum(h.size for h in held)
    keys, open_files = set(keep), set(busy)
    remove, stay = [], []
    for each in held:
        if each.pinned or each.key in keys:
            stay.append((each, "pinned"))
        elif each.path in open_files or now - each.used < IN_USE_S:
            stay.append((each, "in use"))
        elif not each.again and not unobtainable:
            stay.append((each, "cannot be had again"))
        elif after <= budget:
            stay.append((each, "within the budget"))
        else:
            remove.append(each)
            after -= each.size
    return PrunePlan(tuple(remove), tuple(stay), before, after, budget)


def prune(plan: PrunePlan, discard: Callable[[Key], None]) -> int:
    """Carry out a plan, and return how many bytes went. What has been used or pinned since stays."""
    freed = 0
    for each in plan.remove:
        with contextlib.suppress(FileNotFoundError):
            if is_pinned(each.path) or _last_used(each.path, each.path.stat()) > each.used:
                continue
            discard(each.key)
            freed += each.size
    return freed


def open_files(below: Path) -> set[Path]:
    """Return the files below a folder that some process has open, as far as this system tells (Linux does)."""
    found: set[Path] = set()
    proc = Path("/proc")
    if not (proc / "self" / "fd").is_dir():
        return found
    root = os.path.realpath(below)
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        for listing in ("fd", "map_files"):
            with contextlib.suppress(OSError):
                for each in (process / listing).iterdir():
                    with contextlib.suppress(OSError):
                        target = str(each.readlink())
                        if target.startswith(root + os.sep):
                            found.add(below / os.path.relpath(target, root))
    return found
