"""The graph of components: what each needs, worked out once, when it is asked for."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from project_cache.errors import ComponentUnavailable, MissingDataError, UnknownObjectError

__all__ = ["Graph"]


@functools.cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


class Graph:
    """Components by name, each computed when it is first asked for, from what its parameters name.

    A component is a function. Its parameters are the names of inputs that the graph was given (``raw``,
    ``clock``, ``options``), or of other components. A parameter with a default is something that it can do
    without. Nothing is imported or computed that was not asked for.

    Parameters
    ----------
    functions : mapping
        The component's name, to ``"module:function"`` or to the function.
    inputs : mapping
        What is there from the start, by name. A value may be a callable without arguments, marked by the name
        being in `late`; it is called when it is first needed.
    late : tuple of str
        Names of inputs that are callables.

    Examples
    --------
    >>> def licks(raw): return raw["licks"]
    >>> def rate(licks): return len(licks) / 10
    >>> graph = Graph({"licks": licks, "rate": rate}, {"raw": {"licks": [1.0, 2.5]}})
    >>> graph["rate"]
    0.2
    >>> graph.needs("rate")
    ['licks', 'raw']
    """

    def __init__(
        self,
        functions: Mapping[str, str | Callable[..., Any]],
        inputs: Mapping[str, Any],
        late: tuple[str, ...] = (),
    ) -> None:
        self._functions = dict(functions)
        self._inputs = dict(inputs)
        self._late = set(late)
        self._done: dict[str, Any] = {}
        self._unavailable: dict[str, str] = {}
        self._under_way: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def __getitem__(self, name: str) -> Any:
        if name in self._done:
            return self._done[name]
        if name in self._unavailable:
            raise ComponentUnavailable(self._unavailable[name])
        if name in self._inputs:
            return self._input(name)
        function = self.function(name)
        if name in self._under_way:
            raise RuntimeError(
                f"Components need one another in a ring: {' → '.join([*self._under_way, name])}"
            )
        self._under_way.append(name)
        try:
            self._done[name] = function(**self._needed(function))
        except MissingDataError as error:
            self._unavailable[name] = str(error)
            raise
        finally:
            self._under_way.pop()
        return self._done[name]

    def _needed(self, function: Callable[..., Any]) -> dict[str, Any]:
        return {
            name: self[name] if parameter.default is parameter.empty else self.get(name, parameter.default)
            for name, parameter in _parameters(function).items()
        }

    def _input(self, name: str) -> Any:
        if name in self._late:
            self._inputs[name] = self._inputs[name]()
            self._late.discard(name)
        return self._inputs[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a component, or `default` where the recording cannot have it."""
        try:
            return self[name]
        except MissingDataError:
            return default

    def function(self, name: str) -> Callable[..., Any]:
        """Return the function that makes a component.

        Raises
        ------
        UnknownObjectError
            There is no component of that name.
        """
        try:
            found = self._functions[name]
        except KeyError:
            raise UnknownObjectError(
                f"There is no component {name!r}. There are: {', '.join(sorted(self._functions))}."
            ) from None
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self._functions[name] = getattr(importlib.import_module(module), attribute)
        return found

    def again(self, name: str) -> Any:
        """Return a component made anew: an object that is not in any file yet."""
        return self.function(name)(**self._needed(self.function(name)))

    def needs(self, name: str) -> list[str]:
        """Return the names of all that a component is made from, in alphabetical order."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for need in _parameters(self.function(waiting.pop())):
                if need not in found:
                    found.add(need)
                    if need in self._functions:
                        waiting.append(need)
        return sorted(found)

    def known(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return what has been computed, by name to its type; and what turned out unavailable, to why."""
        return {name: type(made).__name__ for name, made in self._done.items()}, dict(self._unavailable)

    def set(self, name: str, value: Any) -> None:
        """Give a component its value: what a caller says wins over what would be computed."""
        self._done[name] = value
