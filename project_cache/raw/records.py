"""Records: numbers and texts in one form each, which never change."""

from __future__ import annotations

import datetime
from typing import NoReturn, Self

__all__ = ["Record", "TextRecord"]


class Record:
    """What the records have in common: they never change."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only: make another record instead.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only.")


class TextRecord(Record, str):
    """A record whose value is a text, compared by it."""

    __slots__ = ()

    def __new__(cls, value: object) -> Self:
        """Return the record that a text (or what prints as one) holds."""
        return str.__new__(cls, cls._parsed(str(value)))

    @classmethod
    def _parsed(cls, text: str) -> str:
        """Return the value in a text, in its one form."""
        raise NotImplementedError

    @property
    def id(self) -> str:
        """The text."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str | datetime.date | datetime.time):
            return NotImplemented
        return self.id == str(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.id,)
