"""Members of classes and their values, in a few words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["called", "described", "first_line", "is_call"]

_LONGEST = 120


def described(value: Any) -> str:
    """Return how much a value is, in a few words, or a short value itself.

    Examples
    --------
    >>> described(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
    '2 rows × 2 columns'
    >>> described({7: [0.1], 8: [0.2]}), described(["x", "y"]), described(None)
    ('2 entries', '2 items', 'none in this recording')
    >>> described(np.zeros((3, 4))), described("brain_observatory_1.1"), described(2.5)
    ('array of 3 × 4', 'brain_observatory_1.1', '2.5')
    """
    if value is None:
        return "none in this recording"
    if isinstance(value, pd.DataFrame):
        return f"{len(value):,} rows × {value.shape[1]:,} columns"
    if isinstance(value, Mapping):
        return f"{len(value):,} entries"
    if isinstance(value, (list, tuple, pd.Series, pd.Index)):
        return f"{len(value):,} items"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array of {' × '.join(f'{n:,}' for n in value.shape)}"
    shape = getattr(value, "sizes", None)  # xarray's
    if isinstance(shape, Mapping):
        return " × ".join(f"{n:,} {name}" for name, n in shape.items())
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def is_call(cls: type, name: str) -> bool:
    """Return whether a public member of a class is called, rather than read."""
    return inspect.isroutine(inspect.getattr_static(cls, name))


def called(cls: type, name: str) -> str:
    """Return a call as it is written: its name and what it takes.

    Examples
    --------
    >>> called(dict, "setdefault")
    'setdefault(key, default)'
    """
    found = inspect.signature(getattr(cls, name)).parameters.values()
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return f"{name}({', '.join(stars.get(p.kind, '') + p.name for p in found if p.name != 'self')})"


def first_line(cls: type, name: str) -> str:
    """Return the first line of what a member's documentation says, without its markup.

    Examples
    --------
    >>> class Rig:
    ...     @property
    ...     def name(self):
    ...         '''The name of the :class:`Rig`; ``None`` for none.'''
    >>> first_line(Rig, "name")
    'The name of the Rig; None for none.'
    """
    text = (getattr(inspect.getattr_static(cls, name), "__doc__", None) or "").strip()
    return re.sub(r":\w+:(?=`)|`", "", text.split("\n", 1)[0])
