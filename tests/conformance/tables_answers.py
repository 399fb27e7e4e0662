"""What a cache answers about its tables, as JSON and plain arrays; run by AllenSDK's Python and by ours.

Functions here are sent to the other Python as text: they must not need anything of this repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a cell, or a list of cells, with its type told in a way that JSON keeps."""
    if isinstance(value, (bool, np.bool_)):
        return {"bool": bool(value)}
    if isinstance(value, (int, np.integer)):
        return {"int": int(value)}
    if isinstance(value, (float, np.floating)):
        return {"float": float(value).hex()}
    if isinstance(value, np.ndarray):
        return {"array": [plain(each) for each in value], "dtype": str(value.dtype)}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [plain(each) for each in value]}
    return value


def told(answer: Any, arrays: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what an answer looks like; numbers go to ``arrays`` under names that begin with ``name``."""
    if not hasattr(answer, "columns"):
        return {"value": plain(answer)}
    seen: dict[str, Any] = {"index": str(answer.index.name), "columns": [str(c) for c in answer.columns]}
    for position, label in enumerate(["index", *seen["columns"]]):
        values = answer.index if position == 0 else answer.iloc[:, position - 1]
        key = f"{name}|{position}"
        seen[f"{position} {label}"] = [str(values.dtype), len(values)]
        if values.dtype == object:
            seen[f"{position} {label}"].append([plain(each) for each in values])
        else:
            arrays[key] = np.asarray(values)
    return seen


def ask(call: Any, calls: list[Any], out: str) -> None:
    """Ask for every ``(name, args, kwargs)`` of ``calls`` by ``call(name)``, and write the answers to ``out``."""
    answers, arrays = {}, {}
    for number, (name, args, kwargs) in enumerate(calls):
        title = f"{number} {name}"
        try:
            answers[title] = told(call(name)(*args, **kwargs), arrays, title)
        except Exception as error:
            answers[title] = {"error": type(error).__name__, "text": str(error)[:200]}
    Path(out).with_suffix(".json").write_text(json.dumps(answers), encoding="utf-8")
    np.savez(Path(out).with_suffix(".npz"), **arrays)
