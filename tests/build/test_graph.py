"""The graph of components."""

from __future__ import annotations

import pytest

from project_cache.build.components import COMPONENTS, FUNCTIONS
from project_cache.build.graph import Graph
from project_cache.errors import ComponentUnavailable, UnknownObjectError


def licks(raw: dict[str, list[float]]) -> list[float]:
    if "licks" not in raw:
        raise ComponentUnavailable("no licks were recorded")
    raw["asked"] += 1.0  # type: ignore[operator]
    return raw["licks"]


def rate(licks: list[float]) -> float:
    return len(licks) / 10


def summary(licks: list[float] | None = None, rate: float | None = None) -> str:
    return f"{licks} {rate}"


FEW = {"licks": licks, "rate": rate, "summary": summary}


def test_a_component_is_made_once_and_only_when_it_is_asked_for() -> None:
    raw = {"licks": [1.0, 2.0], "asked": 0.0}
    graph = Graph(FEW, {"raw": raw})
    assert raw["asked"] == 0
    assert (graph["rate"], graph["rate"], graph["licks"]) == (0.2, 0.2, [1.0, 2.0])
    assert raw["asked"] == 1
    assert graph.needs("rate") == ["licks", "raw"]


def test_what_is_unavailable_says_why_and_can_be_done_without() -> None:
    graph = Graph(FEW, {"raw": {}})
    with pytest.raises(ComponentUnavailable, match="no licks were recorded"):
        graph["rate"]
    assert graph.get("rate", 7) == 7
    assert graph["summary"] == "None None"
    assert graph.known() == ({"summary": "str"}, dict.fromkeys(("licks", "rate"), "no licks were recorded"))


def test_what_the_caller_says_wins() -> None:
    graph = Graph(FEW, {"raw": {}})
    graph.set("licks", [1.0] * 5)
    assert graph["rate"] == 0.5


def test_late_inputs_are_made_when_they_are_needed() -> None:
    made = []
    graph = Graph({"rate": rate}, {"licks": lambda: made.append(1) or [1.0]}, late=("licks",))
    assert not made
    assert graph["rate"] == 0.1
    assert graph.again("rate") == 0.1
    assert made == [1]


def test_a_ring_and_an_unknown_name_are_said() -> None:
    def one(other: int) -> int:
        return other

    def other(one: int) -> int:
        return one

    with pytest.raises(RuntimeError, match="one → other → one"):
        Graph({"one": one, "other": other}, {})["one"]
    with pytest.raises(UnknownObjectError, match="There are: licks, rate, summary"):
        Graph(FEW, {})["lick"]


def test_every_component_of_the_list_can_be_imported_and_its_needs_are_there() -> None:
    graph = Graph(FUNCTIONS, {})
    inputs = {"raw", "clock", "options", "info"}
    for component in COMPONENTS:
        assert set(graph.needs(component.name)) <= {*FUNCTIONS, *inputs}, component.name
