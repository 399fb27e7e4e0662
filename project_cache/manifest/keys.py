"""Names of objects: what the store, the sources and the manifest call a file by."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Key"]


@dataclass(frozen=True, slots=True)
class Key:
    """The name of one immutable file of a project: its kind and what tells it from others of that kind.

    Parameters
    ----------
    kind : str
        What it is, by the manifest's word: ``session_nwb``, ``probe_lfp_nwb``, ``sessions``, …
    args : tuple of int or str
        Ids, in the order in which the manifest's path template takes them. Tables have none.

    Examples
    --------
    >>> Key("session_nwb", (715093703,))
    Key('session_nwb/715093703')
    >>> Key.parse("probe_lfp_nwb/715093703/810755797").args
    (715093703, 810755797)
    >>> str(Key("units"))
    'units'
    """

    kind: str
    args: tuple[int | str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Key:
        """Return the key that ``str(key)`` wrote."""
        kind, *rest = text.split("/")
        return cls(kind, tuple(int(a) if a.isdecimal() and str(int(a)) == a else a for a in rest))

    def __str__(self) -> str:
        return "/".join([self.kind, *map(str, self.args)])

    def __repr__(self) -> str:
        return f"Key({str(self)!r})"
