"""Insertions: which probe went into which hole of the shield, and where the holes are."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from project_cache.errors import CorruptObjectError
from project_cache.raw.names import extract_probe_letter
from project_cache.raw.places import AnyPath, translated
from project_cache.raw.subject import read_description

__all__ = ["Insertions", "read_insertions", "read_shield_holes"]


@dataclass(frozen=True, slots=True)
class Insertions:
    """Which probe was inserted where.

    Attributes
    ----------
    shield : str, optional
        The shield (implant) by its number, ``"2002"``.
    holes : mapping of str to str or None
        The hole, by probe letter; None for a probe that was not inserted.
    notes : mapping of str to str
        What was noted of a probe, by its letter.
    drawing_id : str, optional
        The shield's drawing.
    session : str, optional
        The session, as the file has it.
    experiment_day : int, optional
        Which day of recordings with this subject it was, from 1.
    """

    shield: str | None
    holes: Mapping[str, str | None]
    notes: Mapping[str, str] = field(default_factory=dict)
    drawing_id: str | None = None
    session: str | None = None
    experiment_day: int | None = None

    @property
    def letters(self) -> str:
        """The letters of the probes that were inserted, ``"ABDF"``."""
        return "".join(letter for letter, hole in self.holes.items() if hole is not None)

    def location(self, letter: str) -> str | None:
        """Return shield and hole of a probe, ``"2002 A1"``, or None where it was not inserted."""
        hole = self.holes.get(letter)
        if hole is None:
            return None
        return f"{self.shield} {hole}" if self.shield else hole


def read_insertions(path: AnyPath) -> Insertions:
    """Return what insertions.json, or the older probe_insertions.json, says.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such file; it is not such a record.
    """
    record = read_description(path)
    try:
        return _older(record["probe_insertions"]) if "probe_insertions" in record else _newer(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptObjectError(
            f"{path} is no record of insertions: it should have 'shield' and 'probes', or 'probe_insertions' "
            f"({type(error).__name__}: {error})."
        ) from error


def _newer(record: Mapping[str, Any]) -> Insertions:
    shield = record.get("shield") or {}
    day = record.get("experiment_day")
    return Insertions(
        shield=_text(shield.get("name")),
        holes={str(letter): _text(hole) for letter, hole in sorted(record["probes"].items())},
        notes=_noted(record.get("notes") or {}),
        drawing_id=_text(shield.get("drawing_id")),
        session=_text(record.get("session")),
        experiment_day=None if day is None else int(day),
    )


def _older(record: Mapping[str, Any]) -> Insertions:
    """Return what the older form says: the shield stands among the probes, as ``implant``."""
    probes = {}
    for name, probe in record.items():
        letter = extract_probe_letter(name)
        if letter is not None:
            probes[letter] = probe or {}
    return Insertions(
        shield=_text(record.get("implant") or record.get("shield")),
        holes={letter: _text(probe.get("hole")) for letter, probe in sorted(probes.items())},
        notes=_noted({letter: probe.get("notes") for letter, probe in sorted(probes.items())}),
    )


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | int):
        raise TypeError(f"{value!r} where a text should be")
    return str(value)


def _noted(notes: Mapping[str, object]) -> dict[str, str]:
    return {letter: str(note) for letter, note in notes.items() if note not in (None, "")}


def read_shield_holes(path: AnyPath) -> pd.DataFrame:
    """Return where a shield's holes are, by the hole's name.

    Returns
    -------
    pandas.DataFrame
        ``AP``, ``ML`` and ``Z`` in mm from bregma (Z is NaN where the file does not have it), and ``target``, what
        the hole is meant for, empty where it is not said.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        There is no such file; it is no table of holes.
    """
    with translated(path):
        table = pd.read_csv(
            io.BytesIO(path.read_bytes()), encoding="utf-8-sig", dtype={"Hole": str, "Target": str}
        )
        missing = [name for name in ("Hole", "AP", "ML") if name not in table]
        if missing:
            raise ValueError(f"no column {' and '.join(missing)}")
        holes = table.reindex(columns=["AP", "ML", "Z"]).astype(float)
    holes["target"] = table["Target"].fillna("") if "Target" in table else ""
    holes.index = pd.Index(table["Hole"], name="hole")
    return holes
