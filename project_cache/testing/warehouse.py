"""A warehouse on this machine: a cache folder, served by the Allen Institute's query protocol.

AllenSDK itself can fill a cache from it (``from_warehouse(scheme="http", host=warehouse.host)``), and so can this
package: what they make of the same answers can be compared.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from project_cache.sources.rma import PRODUCT_ID
from project_cache.testing.server import ObjectServer, Served

__all__ = ["Lie", "LoopbackWarehouse"]

Row = dict[str, Any]

_MODEL = re.compile(r"model::(\w+)")
_ROWS = re.compile(r"\[start_row\$eq(\d+)\]\[num_rows\$eq(\d+)\]")
_OWNER = re.compile(r"\[name\$eq'(\w+)'\]\[attachable_type\$eq'(\w+)'\]\[attachable_id\$eq(\d+)\]")
_BY_SESSION = re.compile(r"ecephys_session\[id\$in([\d,]+)\]")
_BY_TYPE = re.compile(r"ecephys_session\[stimulus_name\$in'([^']*)'\]")
_DOWNLOAD = re.compile(r"/+api/v2/well_known_file_download/(\d+)")
#: names of files in a cache folder: kind of file, kind of owner, and the owner's id
_FILES = {
    re.compile(r"session_(\d+)/session_\1\.nwb"): ("EcephysNwb", "EcephysSession"),
    re.compile(r"session_\d+/probe_(\d+)_lfp\.nwb"): ("EcephysLfpNwb", "EcephysProbe"),
    re.compile(r"natural_movie_templates/natural_movie_(\d+)\.h5"): ("Stimulus", "Product"),
    re.compile(r"natural_scene_templates/natural_scene_(\d+)\.tiff"): ("Stimulus", "Product"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Lie:
    """What the warehouse says that is not so, from one page of a query to the next.

    Attributes
    ----------
    total_rows : tuple of int or None
        What it says there are, page after page; the last stays. None: it says nothing.
    num_rows : int
        What it says of every page.
    same_page : bool
        It sends the first page whatever is asked for.
    failure : str
        ``success`` is false, and this is the message.
    """

    total_rows: tuple[int | None, ...] = ()
    num_rows: int | None = None
    same_page: bool = False
    failure: str | None = None


class LoopbackWarehouse:
    """A warehouse that has what a cache folder has; it runs inside its ``with`` block.

    Rows are made from the folder's CSV files (sessions with specimen and donor, channels as the tabular query gives
    them, metrics as bundles of JSON), well-known files from the names of its other files.

    Parameters
    ----------
    folder : pathlib.Path
        In AllenSDK's layout. It is only read.
    as_text : bool
        Send numbers and truth values as text, which the real warehouse does for tabular queries.
    swapped : bool
        Send ``on_screen_rf`` and ``p_value_rf`` under each other's names, which the real one does.
    page_size : int, optional
        Send no more rows at once, whatever is asked for.

    Attributes
    ----------
    server : ObjectServer
        What answers: its log, and its faults (``warehouse.server.misbehave(…)``).
    lies : dict
        A :class:`Lie` for each RMA model that is not to be trusted: ``{"EcephysUnit": Lie(total_rows=(99,))}``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        as_text: bool = False,
        swapped: bool = True,
        page_size: int | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.as_text = as_text
        self.swapped = swapped
        self.page_size = page_size
        self.lies: dict[str, Lie] = {}
        self.server = ObjectServer(self._find)
        self._files = _well_known_files(self.folder)
        self._tables: dict[str, list[Row]] = {}
        self._asked: dict[str, int] = {}

    def __enter__(self) -> LoopbackWarehouse:
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    @property
    def host(self) -> str:
        """Host and port, as ``from_warehouse(host=…)`` takes them."""
        return self.server.address

    def link(self, name: str) -> str:
        """Return the path (as the log has it) at which a file of the folder is downloaded."""
        for file in self._files:
            if file["file"] == name:
                return str(file["download_link"])
        raise KeyError(name)

    def _find(self, path: str) -> Served | None:
        path = unquote(path)
        found = _DOWNLOAD.fullmatch(path)
        if found is not None:
            files = [file for file in self._files if file["id"] == int(found[1])]
            return Served(self.folder / files[0]["file"]) if files else None
        if not path.lstrip("/").startswith("api/v2/data/query.json?"):
            return None
        return Served(json.dumps(self._answer(path)).encode(), "application/json", etag="")

    def _answer(self, query: str) -> Row:
        """Return the envelope for a query."""
        model, page = _MODEL.search(query), _ROWS.search(query)
        if model is None or page is None:
            return {
                "success": False,
                "id": 0,
                "start_row": 0,
                "num_rows": 0,
                "total_rows": 0,
                "msg": "no model",
            }
        lie = self.lies.get(model[1], Lie())
        rows = self._rows(model[1], query)
        start, count = int(page[1]), min(int(page[2]), self.page_size or int(page[2]))
        if lie.same_page:
            start = 0
        msg: list[Row] | str = rows[start : start + count]
        total: int | None = len(rows)
        if lie.total_rows:
            number = self._asked.get(model[1], 0)
            self._asked[model[1]] = number + 1
            total = lie.total_rows[min(number, len(lie.total_rows) - 1)]
        if lie.failure is not None:
            msg = lie.failure
        answer = {
            "success": lie.failure is None,
            "id": 0,
            "start_row": start,
            "num_rows": len(msg) if lie.num_rows is None else lie.num_rows,
            "total_rows": total,
            "msg": msg,
        }
        if total is None:
            del answer["total_rows"]
        return answer

    def _rows(self, model: str, query: str) -> list[Row]:
        if model == "WellKnownFile":
            owner = _OWNER.search(query)
            if owner is None:
                return []
            wanted = (owner[1], owner[2], int(owner[3]))
            return [
                {name: value for name, value in file.items() if name not in ("file", "owner")}
                for file in self._files
                if file["owner"] == wanted
            ]
        if model == "EcephysUnitMetricBundle":
            return self._metrics(query)
        kinds = {
            "EcephysSession": "sessions",
            "EcephysProbe": "probes",
            "EcephysChannel": "channels",
            "EcephysUnit": "units",
        }
        if model not in kinds:
            return []
        rows = [dict(row) for row in self._table(kinds[model])]
        if model == "EcephysSession":
            rows = [_nested(row) for row in rows]
        if model == "EcephysProbe":
            rows = [_renamed(row, "has_lfp_data", "use_lfp_data") for row in rows]
        return [{name: _text(value) for name, value in row.items()} for row in rows] if self.as_text else rows

    def _table(self, kind: str) -> list[Row]:
        if kind not in self._tables:
            self._tables[kind] = sorted(_read(self.folder / f"{kind}.csv"), key=lambda row: int(row["id"]))
        return self._tables[kind]

    def _metrics(self, query: str) -> list[Row]:
        """Return the bundles of the units of some sessions."""
        by_session, by_type = _BY_SESSION.search(query), _BY_TYPE.search(query)
        wanted = {int(each) for each in by_session[1].split(",")} if by_session else set()
        if by_type:
            wanted = {row["id"] for row in self._table("sessions") if row["session_type"] == by_type[1]}
        probes = {row["id"] for row in self._table("probes") if row["ecephys_session_id"] in wanted}
        channels = {row["id"] for row in self._table("channels") if row["ecephys_probe_id"] in probes}
        units = {row["id"] for row in self._table("units") if row["ecephys_channel_id"] in channels}
        found: dict[int, Row] = {}
        for path in sorted(self.folder.glob("**/*_analysis_metrics.csv")):
            for row in _read(path):
                unit = row.pop("ecephys_unit_id")
                if unit in units:
                    found.setdefault(unit, row)
        return [
            {"id": 10_000_000 + n, "ecephys_unit_id": unit, "data": json.dumps(self._swap(found[unit]))}
            for n, unit in enumerate(found)
        ]

    def _swap(self, row: Row) -> Row:
        if not self.swapped or not {"on_screen_rf", "p_value_rf"} <= set(row):
            return row
        return row | {"on_screen_rf": row["p_value_rf"], "p_value_rf": row["on_screen_rf"]}


def _well_known_files(folder: Path) -> list[Row]:
    """Return a row for each file that can be downloaded; ``owner`` and ``file`` are for this server only."""
    files: list[Row] = []
    for path in sorted(folder.glob("*/*")):
        name = path.relative_to(folder).as_posix()
        for pattern, (kind, owner) in _FILES.items():
            found = pattern.fullmatch(name)
            if found is None:
                continue
            number = int(found[1])
            original = f"/external/{path.name}"
            if kind == "Stimulus":
                scene = name.startswith("natural_scene")
                original = f"/external/{number}.tiff" if scene else f"/external/natural_movie_{number}.npy"
            identity = 1_026_000_000 + len(files)
            attached = PRODUCT_ID if owner == "Product" else number
            files.append(
                {
                    "attachable_id": attached,
                    "attachable_type": owner,
                    "download_link": f"/api/v2/well_known_file_download/{identity}",
                    "id": identity,
                    "path": original,
                    "owner": (kind, owner, attached),
                    "file": name,
                }
            )
    return files


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> object:
    """Return the value of a CSV cell, as JSON has it."""
    if text == "":
        return None
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _text(value: object) -> object:
    return str(value) if isinstance(value, (int, float)) else value


def _renamed(row: Row, old: str, new: str) -> Row:
    return {new if name == old else name: value for name, value in row.items()}


def _nested(row: Row) -> Row:
    """Return a session as the warehouse has it: what is the donor's is the donor's."""
    donor = {
        "sex": row.pop("sex"),
        "full_genotype": row.pop("genotype"),
        "age": {"days": row.pop("age_in_days")},
    }
    files = [{"well_known_file_type": {"name": "EcephysNwb"}}] if row.pop("has_nwb") else []
    return _renamed(row, "session_type", "stimulus_name") | {
        "fail_eye_tracking": False,
        "specimen": {"donor": donor},
        "well_known_files": files,
    }
