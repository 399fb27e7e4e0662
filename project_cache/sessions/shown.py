"""What a session says of itself, from what is in memory already. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from project_cache.display.html import Item, Section, Summary
from project_cache.display.members import called, described, first_line, is_call

if TYPE_CHECKING:
    from project_cache.sessions.base import Session

__all__ = ["session_summary"]

#: what is kept under one name and shown under others, in their order where it is a tuple. Other private names
#: are shown without their underscore, if there is a public one of that name
_SHOWN_AS: dict[str, tuple[str, ...]] = {
    "_read_presentations": ("stimulus_presentations", "stimulus_conditions"),
    "_rig": ("rig_geometry_data", "rig_equipment_name"),
}
#: facts of a session that head what is shown of it, once they have been read
_FACTS = {
    "identifier": "identifier",
    "session_start_time": "began",
    "session_type": "type",
    "session_description": "what",
}
#: and of its animal
_ANIMAL = ("specimen_name", "subject_id", "species", "genotype", "sex", "age")


def session_summary(session: Session) -> Summary:
    """Return what can be said of a session without reading anything: its file, what was read, what can be."""
    known = dict(session._values)
    cls = type(session)
    names = session.list_data_attributes_and_methods()
    held = _held(known, names)
    calls = [name for name in names if is_call(cls, name)]
    to_read = [name for name in names if name not in held and name not in calls]
    facts = [Item("file", str(session.path))]
    if session._reader._closed:
        facts.append(Item("state", "closed: what was read stays, no more can be"))
    facts += [Item(word, described(known[name])) for name, word in _FACTS.items() if known.get(name)]
    animal = known.get("subject") or {}
    if said := [f"{animal[name]}" for name in _ANIMAL if animal.get(name) not in (None, "")]:
        facts.append(Item("animal", ", ".join(said)))
    return Summary(
        cls.__name__,
        session.path.name,
        tuple(facts),
        (
            Section(
                "in memory",
                tuple(
                    Item(name, described(value)) for name, value in sorted(held.items()) if name not in _FACTS
                ),
                open=True,
                brief=False,
            ),
            Section("on request", tuple(Item(name, first_line(cls, name)) for name in to_read)),
            Section("calls", tuple(Item(called(cls, name), first_line(cls, name)) for name in calls)),
        ),
    )


def _held(known: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return what is in memory, by the names that users have for it."""
    held: dict[str, Any] = {}
    for name, value in known.items():
        public = _SHOWN_AS.get(name, (name.removeprefix("_"),))
        parts = value if isinstance(value, tuple) and len(public) > 1 else (value,) * len(public)
        held |= {shown: part for shown, part in zip(public, parts, strict=False) if shown in names}
    return held
