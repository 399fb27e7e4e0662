"""Attributes that are worked out when they are first asked for, kept, and cannot be set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["attribute"]

T = TypeVar("T")


class attribute(Generic[T]):  # noqa: N801 - it is used as `property` is
    """A property that keeps its value in the instance's ``_values``.

    Two threads that ask at once may both work it out; both get the one that was kept. That needs no
    lock, and so there is none that a forked child could inherit held.

    Examples
    --------
    >>> class Rig:
    ...     def __init__(self):
    ...         self._values = {}
    ...
    ...     @attribute
    ...     def name(self):
    ...         print("looked up")
    ...         return "NP.1"
    >>> rig = Rig()
    >>> rig.name, rig.name
    looked up
    ('NP.1', 'NP.1')
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> attribute[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> attribute[T] | T:
        if instance is None:
            return self
        values: dict[str, T] = instance._values
        try:
            return values[self._name]
        except KeyError:
            pass
        return values.setdefault(self._name, self._work_out(instance))

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(
            f"{type(instance).__name__}.{self._name} is read from the file and cannot be set."
        )
