"""The Allen Institute's query protocol, RMA: what to ask, and reading answers page by page.

A query is a URL; the answer is JSON, ``{"success", "start_row", "num_rows", "total_rows", "msg": [rows]}``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

from project_cache.errors import ContentError, UnknownObjectError, WarehouseError
from project_cache.manifest.keys import Key

__all__ = ["PRODUCT_ID", "Pages", "file_query", "page_url", "parse_page", "rows_of", "table_query"]

Row = dict[str, Any]

#: the product whose stimulus templates there are
PRODUCT_ID = 714914585
#: more rows than this no table has: a server that goes on for ever is one that is broken
MOST_ROWS = 20_000_000

_CHANNEL_COLUMNS = ",".join(
    [
        "ecephys_channels.id",
        "ecephys_probe_id",
        "local_index",
        "probe_horizontal_position",
        "probe_vertical_position",
        "anterior_posterior_ccf_coordinate",
        "dorsal_ventral_ccf_coordinate",
        "left_right_ccf_coordinate",
        "structures.id as ecephys_structure_id",
        "structures.acronym as ecephys_structure_acronym",
    ]
)
_TABLES = {
    "sessions": "EcephysSession,rma::include,specimen(donor(age)),well_known_files(well_known_file_type)",
    "probes": "EcephysProbe",
    "channels": f"EcephysChannel,rma::include,structure,rma::options[tabular$eq'{_CHANNEL_COLUMNS}']",
    "units": "EcephysUnit",
}
_METRICS = (
    "EcephysUnitMetricBundle,rma::criteria,ecephys_unit(ecephys_channel(ecephys_probe(ecephys_session[{}])))"
)
_FILE = "WellKnownFile,rma::criteria,well_known_file_type[name$eq'{}'][attachable_type$eq'{}'][attachable_id$eq{}]"
#: what may stand between quotes in a query without changing it
_PLAIN = re.compile(r"[\w.\- ]+", re.ASCII)


def table_query(key: Key) -> str:
    """Return the query for the rows of a table.

    Examples
    --------
    >>> table_query(Key("probes"))
    'criteria=model::EcephysProbe'
    """
    if key.kind in _TABLES:
        return f"criteria=model::{_TABLES[key.kind]}"
    if key.kind == "session_analysis_metrics":
        return "criteria=model::" + _METRICS.format(f"id$in{identity(key, 0)}")
    name = str(key.args[0]) if key.args else ""
    if key.kind != "typewise_analysis_metrics" or not _PLAIN.fullmatch(name):
        raise UnknownObjectError(f"The warehouse has no table {key}.")
    return "criteria=model::" + _METRICS.format(f"stimulus_name$in'{name}'")


def file_query(key: Key) -> str:
    """Return the query for the well-known files among which an object is.

    Examples
    --------
    >>> file_query(Key("session_nwb", (7,))).rpartition("'")[2]
    '][attachable_id$eq7]'
    """
    if key.kind == "session_nwb":
        described = _FILE.format("EcephysNwb", "EcephysSession", identity(key, 0))
    elif key.kind == "probe_lfp_nwb":
        described = _FILE.format("EcephysLfpNwb", "EcephysProbe", identity(key, 1))
    elif key.kind in ("natural_movie", "natural_scene"):
        described = _FILE.format("Stimulus", "Product", PRODUCT_ID)
    else:
        raise UnknownObjectError(f"The warehouse has no file {key}.")
    return f"criteria=model::{described}"


def identity(key: Key, index: int) -> int:
    """Return one of a key's ids.

    Raises
    ------
    UnknownObjectError
        It has none there, or one that is no number.
    """
    try:
        return int(key.args[index])
    except (IndexError, ValueError):
        raise UnknownObjectError(
            f"{key} does not name an object of the warehouse: an id is missing."
        ) from None


def page_url(base: str, query: str, start: int, count: int) -> str:
    """Return the address of the page of a query that begins at row ``start``."""
    options = f",rma::options[start_row$eq{start}][num_rows$eq{count}][order$eq'id']"
    return f"{base}/api/v2/data/query.json?{query}{options}"


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and how many the server says there are in all."""

    rows: list[Row]
    total: int | None


def parse_page(data: bytes, where: str) -> Page:
    """Return the page that an answer holds.

    Raises
    ------
    WarehouseError
        The warehouse says that the query failed; its own words are in the text.
    ContentError
        The answer is not one of the warehouse's.
    """
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise ContentError(
            f"{where} answered a query with something that is not JSON. Try again later."
        ) from None
    if not isinstance(answer, dict) or "success" not in answer:
        raise ContentError(f"{where} answered a query with JSON that is not a warehouse's answer.")
    rows = answer.get("msg")
    if answer["success"] is not True:
        raise WarehouseError(f"{where} could not answer a query. It says: {str(rows)[:500]}")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WarehouseError(f"{where} answered a query with something else than rows: {str(rows)[:200]}")
    total = answer.get("total_rows")
    return Page(rows, total if isinstance(total, int) and total >= 0 else None)


class Pages:
    """The rows of a query so far, and whether there may be more: a pure account of what pages said.

    A server's ``total_rows`` is a hint and no more. Rows are counted, not believed; a row that came before (by its
    id) is not counted again. It ends with a page that is not full and reaches the largest total that was
    named, or with a page that brings nothing new; a result that is smaller than every total that the
    server named is an error, not a table with rows missing.
    """

    def __init__(self, count: int, where: str) -> None:
        self.rows: list[Row] = []
        self.done = False
        self._count = count
        self._where = where
        self._asked = 0
        self._ids: set[object] = set()
        self._totals: list[int] = []

    @property
    def start(self) -> int:
        """The row at which the next page begins."""
        return self._asked

    def add(self, page: Page) -> None:
        """Take a page.

        Raises
        ------
        WarehouseError
            The server stopped before it gave as many rows as it said there were.
        """
        if page.total is not None:
            self._totals.append(page.total)
        new = [row for row in page.rows if self._is_new(row)]
        self.rows += new
        self._asked += len(page.rows)
        if len(self.rows) > MOST_ROWS:
            raise WarehouseError(f"{self._where} sends rows without end; the query was given up.")
        reached = bool(self._totals) and self._asked >= max(self._totals)
        if new and not (reached and len(page.rows) < self._count):
            return
        if self._totals and len(self.rows) < min(self._totals):
            raise WarehouseError(
                f"{self._where} said that there are {min(self._totals)} rows and gave {len(self.rows)}. "
                f"Nothing was stored; try again later."
            )
        self.done = True

    def _is_new(self, row: Row) -> bool:
        mark = row.get("id")
        if not isinstance(mark, (int, str)):
            mark = json.dumps(row, sort_keys=True)
        if mark in self._ids:
            return False
        self._ids.add(mark)
        return True


def rows_of(ask: Callable[[int, int], Page], count: int, where: str) -> list[Row]:
    """Return all rows of a query; ``ask(start, count)`` fetches a page of it."""
    pages = Pages(count, where)
    while not pages.done:
        pages.add(ask(pages.start, count))
    return pages.rows
