"""What a project's cache says of itself, from what is in memory already. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from project_cache.display.html import Item, Section, Summary
from project_cache.display.members import called, described, first_line, is_call
from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["project_summary"]


def project_summary(
    cls: type, manifest: Manifest, store: Store, tables: Mapping[str, pd.DataFrame]
) -> Summary:
    """Return what can be said of a project's cache without reading anything.

    Parameters
    ----------
    cls : type
        The class of the cache, whose calls are listed.
    manifest : Manifest
    store : Store
        With the files that it has found since it was made.
    tables : mapping of str to pandas.DataFrame
        Those that are in memory.
    """
    folders = [layer.folder for layer in store.layers]
    sources = ", ".join(source.name for source in store.sources) or "none: what is in the folders is all"
    facts = [Item("folder", str(manifest.folder))]
    if manifest.description:
        facts.insert(0, Item("what", manifest.description))
    facts += [Item("layer", f"{folder}, asked first, never written to") for folder in folders]
    facts.append(Item("sources", sources))
    if store.offline:
        facts.append(Item("network", "offline: never touched"))
    calls = [name for name in dir(cls) if not name.startswith("_") and is_call(cls, name)]
    return Summary(
        cls.__name__,
        manifest.project,
        tuple(facts),
        (
            Section(
                "tables in memory",
                tuple(Item(name, described(table)) for name, table in tables.items()),
                open=True,
                brief=False,
            ),
            Section("files found so far", tuple(_files(store.sizes())), open=True, brief=False),
            Section("kinds of objects", tuple(Item(kind) for kind in manifest.layout.kinds())),
            Section("calls", tuple(Item(called(cls, name), first_line(cls, name)) for name in calls)),
        ),
    )


def _files(found: Mapping[Key, int]) -> list[Item]:
    """Return how many files there are of each kind, and how large they are."""
    sizes: dict[str, list[int]] = {}
    for key, size in found.items():
        sizes.setdefault(key.kind, []).append(size)
    return [
        Item(kind, f"{len(each):,} {'file' if len(each) == 1 else 'files'}, {_bytes(sum(each))}")
        for kind, each in sizes.items()
    ]


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:,.1f} {unit}"
