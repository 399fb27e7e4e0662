"""The warehouse's rows as CSV files, byte for byte those that AllenSDK 2.16.2 writes.

Its rules, which its users' code has come to depend on: a column whose every cell is a Python literal takes the
literals' values; one that has any cell that is not keeps its text. The table that it writes is pandas'.
"""

from __future__ import annotations

import ast
import json
import warnings
from typing import TYPE_CHECKING, Any

from project_cache.errors import WarehouseError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["metrics_csv", "table_csv"]

Row = dict[str, Any]


def table_csv(kind: str, rows: list[Row]) -> bytes:
    """Return ``sessions``, ``probes``, ``channels`` or ``units`` as AllenSDK writes it.

    Examples
    --------
    >>> rows = [{"use_lfp_data": "True", "id": 8, "name": "probeA"}]
    >>> print(table_csv("probes", rows).decode(), end="")
    id,has_lfp_data,name
    8,True,probeA
    """
    import pandas as pd

    table = pd.DataFrame(rows)
    if "id" not in table.columns:
        raise WarehouseError(
            f"The warehouse sent {kind} without ids: it is not the warehouse that was meant."
        )
    for name in table.columns:
        table[name] = _literal_column(table[name])
    table = table.infer_objects().set_index("id")
    if kind == "sessions":
        table = _with_specimen(table)
    if kind == "probes":
        table = table.rename(columns={"use_lfp_data": "has_lfp_data"})
    return _csv(table)


def _literal_column(column: pd.Series) -> pd.Series:
    """Return a column with the values that its texts stand for, if all do."""
    import pandas as pd

    if not all(isinstance(value, str) for value in column):
        return column
    values = []
    for text in column:
        try:
            values.append(_literal(text))
        except ValueError:
            return column
    return pd.Series(values, index=column.index, name=column.name)


def _literal(text: str) -> object:
    """Return the value of a Python literal; ValueError if it is none. Nothing is ever executed."""
    try:
        with warnings.catch_warnings():
            # "1or" and the like: Python's opinion of the text, not the user's business
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("not a literal") from error


def _with_specimen(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return sessions with what their specimens and files say in columns of their own."""
    try:
        donors = [specimen["donor"] for specimen in sessions["specimen"]]
        found = {
            "age_in_days": [donor["age"]["days"] for donor in donors],
            "sex": [donor["sex"] for donor in donors],
            # the warehouse has no genotype for animals without transgenes
            "genotype": [
                "wt" if donor["full_genotype"] is None else donor["full_genotype"] for donor in donors
            ],
            "has_nwb": [
                any(file["well_known_file_type"]["name"] == "EcephysNwb" for file in files)
                for files in sessions["well_known_files"]
            ],
        }
    except (KeyError, TypeError):
        raise WarehouseError(
            "The warehouse sent sessions without specimen, donor, age or files; the table cannot be made."
        ) from None
    table = sessions.drop(columns=["specimen", "fail_eye_tracking", "well_known_files"], errors="ignore")
    table = table.rename(columns={"stimulus_name": "session_type"})
    return table.assign(**found)


def metrics_csv(rows: list[Row]) -> bytes:
    """Return analysis metrics as AllenSDK writes them: one row a unit, the JSON text ``data`` as columns.

    Examples
    --------
    >>> rows = [{"id": 1, "ecephys_unit_id": 5, "data": '{"g_osi_dg": 0.5, "pref_tf_dg": "2"}'}]
    >>> print(metrics_csv(rows).decode(), end="")
    ecephys_unit_id,g_osi_dg,pref_tf_dg
    5,0.5,2
    """
    import pandas as pd

    try:
        expanded = [
            {name: value for name, value in row.items() if name != "data"} | json.loads(row["data"])
            for row in rows
        ]
        table = pd.DataFrame(expanded).set_index("ecephys_unit_id").drop(columns="id")
    except (KeyError, TypeError, ValueError):
        raise WarehouseError("The warehouse sent analysis metrics whose data are not JSON.") from None
    for name in table.columns:
        table[name] = _metric_column(table, name)
    return _csv(_unswapped(table))


def _metric_column(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column with the values of the literals that its cells' texts are, if all are.

    AllenSDK takes them from the table's rows. Where all columns are numbers and one has fractions, a row is all
    fractions to pandas, and whole numbers come out as 2.0; with any other column in it they stay 2.
    """
    import pandas as pd

    column = table[name]
    kinds = {dtype.kind for dtype in table.dtypes}
    if column.dtype.kind in "iu":
        return column.astype("float64") if "f" in kinds and kinds <= set("iuf") else column
    if column.dtype.kind in "fb":
        return column
    values = []
    for value in column:
        try:
            values.append(_literal(str(value)))
        except ValueError:
            return column
    return pd.Series(values, index=column.index, name=name)


def _unswapped(table: pd.DataFrame) -> pd.DataFrame:
    """Return metrics with ``on_screen_rf`` and ``p_value_rf`` each under its own name.

    The warehouse has them the wrong way round. Should it be put right one day, truth values are found where they
    belong, and nothing is done.
    """
    if not {"on_screen_rf", "p_value_rf"} <= set(table.columns) or table.empty:
        return table
    if table["p_value_rf"].dtype.kind == "b" and table["on_screen_rf"].dtype.kind == "f":
        table = table.assign(on_screen_rf=table["p_value_rf"], p_value_rf=table["on_screen_rf"])
    return table


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(lineterminator="\n").encode()
