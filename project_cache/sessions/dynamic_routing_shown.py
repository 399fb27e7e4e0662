"""What a Dynamic Routing session says of itself, from what is in memory already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project_cache.build.components import COMPONENTS
from project_cache.display.html import Item, Section, Summary

if TYPE_CHECKING:
    from project_cache.sessions.dynamic_routing import DynamicRoutingSession

__all__ = ["session_summary"]


def session_summary(session: DynamicRoutingSession) -> Summary:
    """Return what can be said of a session without reading anything: where it is, what was made, what can be."""
    made, why_not = session._components.known()
    names = [component.name for component in COMPONENTS if component.place]
    facts = [
        Item("session", str(session.path)),
        Item("state", "built: read from its NWB" if session.is_built else "raw: computed when asked for"),
    ]
    return Summary(
        type(session).__name__,
        str(session.id),
        tuple(facts),
        (
            Section("in memory", tuple(Item(name, made[name]) for name in names if name in made), open=True),
            Section(
                "components", tuple(Item(name) for name in names if name not in made and name not in why_not)
            ),
            Section("unavailable", tuple(Item(name, why) for name, why in why_not.items() if name in names)),
        ),
    )
