"""Tables as text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["text_table"]


def text_table(
    table: pd.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    max_rows: int | None = None,
    headings: Mapping[str, str] | None = None,
    max_width: int = 40,
) -> str:
    """Return a table as lines of text: the index first, numbers to the right, words to the left.

    Parameters
    ----------
    table : pandas.DataFrame
    columns : sequence of str, optional
        Which, and in what order. All by default.
    max_rows : int, optional
        How many rows at most; a last line says how many more there are.
    headings : mapping, optional
        Other words for columns (and for the index, by its name).
    max_width : int
        Longer cells end in an ellipsis. Lists show their members, and leave out those that are missing.

    Examples
    --------
    >>> import pandas as pd
    >>> units = pd.DataFrame({"area": ["VISp", "LGd"], "rate": [4.25, 11.0]}, index=pd.Index([7, 12], name="id"))
    >>> print(text_table(units, headings={"rate": "spikes/s"}))
    id  area  spikes/s
    --  ----  --------
     7  VISp      4.25
    12  LGd         11
    >>> print(text_table(units, ["area"], max_rows=1))
    id  area
    --  ----
     7  VISp
    … and 1 more
    """
    headings = headings or {}
    names = [str(table.index.name or ""), *(columns if columns is not None else table.columns)]
    shown = table if max_rows is None else table.iloc[:max_rows]
    cells: list[list[str]] = []
    right: list[bool] = []
    for position, name in enumerate(names):
        values = shown.index if position == 0 else shown[name]
        cells.append([_cell(v, max_width) for v in values])
        right.append(values.dtype.kind in "iuf")
    titles = [str(headings.get(n, n)) for n in names]
    widths = [max([len(t), *map(len, c)]) for t, c in zip(titles, cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = [
            text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    lines = [line(titles), line(["-" * w for w in widths]), *(line(row) for row in zip(*cells, strict=True))]
    if len(shown) < len(table):
        lines.append(f"… and {len(table) - len(shown):,} more")
    return "\n".join(lines)


def _cell(value: Any, width: int) -> str:
    if value is None or (isinstance(value, float) and value != value):
        text = ""
    elif isinstance(value, float):
        text = f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    elif isinstance(value, str):
        text = value
    elif hasattr(value, "__iter__"):
        text = ", ".join(filter(None, (_cell(v, width) for v in value)))
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
