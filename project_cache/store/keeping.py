"""Keeping house: what takes how much room, what may go, and what stays."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from project_cache.errors import ConfigurationError, MissingObjectError
from project_cache.files import hidden, translated
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.owners import orphans
from project_cache.store.receipts import Receipt

__all__ = [
    "UNFINISHED", "Holding", "PrunePlan", "byte_count", "holdings", "is_pinned", "open_files", "pin", "plan_prune", "prune", "unpin",
    "used",
]  # fmt: skip

#: an object that was used so shortly ago is taken to be in use still
IN_USE_S = 600.0
#: how often, at most, the use of an object is noted
NOTED_EVERY_S = 300.0
#: the kind that parts of objects go by
UNFINISHED = "unfinished"
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
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said < math.inf:
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


def used(path: Path, noted: float | None = None, now: float | None = None) -> None:
    """Note that an object is being used: the note is the time of its receipt. Where nothing can be written: nothing.

    Parameters
    ----------
    path : pathlib.Path
        The object.
    noted : float, optional
        When it was noted last (seconds since 1970), if that is known: it is not noted again for five minutes.
    now : float, optional
        Seconds since 1970.
    """
    now = time.time() if now is None else now
    with contextlib.suppress(OSError):
        if noted is None:
            noted = Receipt.path_for(path).stat().st_mtime
        if now - noted > NOTED_EVERY_S:
            os.utime(Receipt.path_for(path), (now, now))


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
    """Return all objects that lie in a manifest's folder; and what has become nobody's there.

    That is, objects of other versions of the project, which their receipts tell; and parts of objects whose transfer
    was given up, of the kind ``unfinished``.

    Parameters
    ----------
    manifest : Manifest
        Of the layer that is written to.
    again : callable
        Whether an object could be had again.
    """
    found: dict[Path, Holding] = {}

    def add(key: Key, path: Path, *, obtainable: bool) -> None:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if path not in found:
                last = _last_used(path, status)
                found[path] = Holding(key, path, _on_disk(path, status), last, is_pinned(path), obtainable)

    for kind in manifest.layout.kinds():
        for key, path in manifest.scan(kind):
            add(key, path, obtainable=again(key))
    for note in manifest.folder.rglob(".*.receipt"):
        path = note.with_name(note.name[1 : -len(".receipt")])
        receipt = Receipt.read(path)
        if receipt is not None and path not in found:
            key = Key.parse(receipt.key)
            add(key, path, obtainable=again(key))
    for part in manifest.folder.rglob(".*.part"):
        final = part.with_name(part.name[1:].rsplit(".", 2)[0])
        if part in [path for path, _, _ in orphans(final)]:
            add(Key(UNFINISHED, (final.relative_to(manifest.folder).as_posix(),)), part, obtainable=True)
    return list(found.values())


def _on_disk(path: Path, status: os.stat_result) -> int:
    if path.is_symlink():
        return 0  # what it leads to is counted where it is
    # of a file that is being filled only what was written takes room
    written = status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
    # several versions may share one file: what goes frees nothing until the last name goes
    return min(status.st_size, written) // max(1, status.st_nlink)


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
    keys, opened = set(keep), set(busy)
    remove, stay = [], []
    for each in held:
        if each.pinned or each.key in keys:
            stay.append((each, "pinned"))
        elif each.path in opened or now - each.used < IN_USE_S:
            stay.append((each, "in use"))
        elif not each.again and not unobtainable:
            stay.append((each, "cannot be had again"))
        elif after <= budget:
            stay.append((each, "within the budget"))
        else:
            remove.append(each)
            after -= each.size
    return PrunePlan(tuple(remove), tuple(stay), before, after, budget)


def prune(plan: PrunePlan, forget: Callable[[Key], object] = lambda key: None) -> PrunePlan:
    """Carry out a plan, and return what came of it. What has been used or pinned since stays.

    Parameters
    ----------
    plan : PrunePlan
        What goes.
    forget : callable
        Called with the key of each object before it goes.

    Raises
    ------
    ReadOnlyCacheError
        Nothing can be removed there.
    """
    gone, stay, after = [], list(plan.keep), plan.after
    for each in plan.remove:
        try:
            since = is_pinned(each.path) or _last_used(each.path, each.path.stat()) > each.used
            if not since:
                forget(each.key)
                _remove(each.path)
        except FileNotFoundError:
            since = False  # another process was quicker
        except PermissionError:
            if os.name != "nt":
                raise
            since = True  # somebody has it open
        if since:
            stay.append((each, "in use"))
            after += each.size
        else:
            gone.append(each)
    return PrunePlan(tuple(gone), tuple(stay), plan.before, after, plan.budget)


def _remove(path: Path) -> None:
    """Remove an object, or a part of one, with the notes beside it: those first, as they mean nothing without it."""
    notes = [path.with_suffix(".journal")] if path.suffix == ".part" else []
    notes += [hidden(path, note) for note in ("receipt", "parquet.json", "parquet")]
    with translated(path):
        for note in notes:
            note.unlink(missing_ok=True)
        path.unlink()


def open_files(paths: Iterable[Path]) -> set[Path]:
    """Return those files that some process has open or mapped, as far as this system tells (Linux does).

    Whatever name it was opened by: a file is told by its number. Of other users' processes only root learns.
    """
    proc = Path("/proc")
    if not (proc / "self" / "fd").is_dir():
        return set()
    numbers: dict[tuple[int, int], list[Path]] = {}
    names: dict[str, list[Path]] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            numbers.setdefault((status.st_dev, status.st_ino), []).append(path)
            names.setdefault(os.path.realpath(path), []).append(path)
    found: set[Path] = set()
    for process in proc.iterdir():
        if process.name.isdecimal():
            found |= _opened(process / "fd", numbers) | _mapped(process / "maps", names)
    return found


def _opened(listing: Path, numbers: Mapping[tuple[int, int], list[Path]]) -> set[Path]:
    found: set[Path] = set()
    with contextlib.suppress(OSError):
        for each in listing.iterdir():
            with contextlib.suppress(OSError):
                status = each.stat()
                found.update(numbers.get((status.st_dev, status.st_ino), ()))
    return found


def _mapped(listing: Path, names: Mapping[str, list[Path]]) -> set[Path]:
    found: set[Path] = set()
    with contextlib.suppress(OSError):
        for line in listing.read_text("utf-8", "replace").splitlines():
            # address, rights, offset, device, number, and the name with all its blanks
            words = line.split(None, 5)
            if len(words) == 6:
                found.update(names.get(words[5], ()))
    return found
