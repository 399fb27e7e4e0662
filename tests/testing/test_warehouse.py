"""The loopback warehouse: its envelopes, as the real one's."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from project_cache.testing.warehouse import Lie, LoopbackWarehouse

PAGE = ",rma::options[start_row$eq{}][num_rows$eq{}][order$eq'id']"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "units.csv").write_text("id,ecephys_channel_id,snr\n3,1,\n1,1,0.5\n2,1,7\n")
    data = tmp_path / "session_5"
    data.mkdir()
    (data / "session_5.nwb").write_bytes(b"\x89HDF")
    (data / "probe_8_lfp.nwb").write_bytes(b"\x89HDF8")
    (data / "session_6.nwb").write_bytes(b"not where it belongs")
    return tmp_path


def query(warehouse: LoopbackWarehouse, criteria: str, start: int = 0, count: int = 5000) -> dict[str, Any]:
    url = f"http://{warehouse.host}/api/v2/data/query.json?criteria={criteria}{PAGE.format(start, count)}"
    return json.loads(urllib.request.urlopen(url).read())  # type: ignore[no-any-return]


def test_pages_of_rows_in_the_order_of_their_ids(folder: Path) -> None:
    with LoopbackWarehouse(folder) as warehouse:
        answer = query(warehouse, "model::EcephysUnit", 1, 5)
        assert answer["msg"] == [
            {"id": 2, "ecephys_channel_id": 1, "snr": 7},
            {"id": 3, "ecephys_channel_id": 1, "snr": None},
        ]
        assert (answer["success"], answer["start_row"], answer["num_rows"], answer["total_rows"]) == (
            True,
            1,
            2,
            3,
        )
        warehouse.as_text = True
        assert query(warehouse, "model::EcephysUnit")["msg"][0] == {
            "id": "1",
            "ecephys_channel_id": "1",
            "snr": "0.5",
        }
        assert query(warehouse, "model::Unknown")["total_rows"] == 0


def test_files_are_found_by_owner_and_downloaded_by_link(folder: Path) -> None:
    criteria = (
        "model::WellKnownFile,rma::criteria,well_known_file_type[name$eq'{}'][attachable_type$eq'{}']"
        "[attachable_id$eq{}]"
    )
    with LoopbackWarehouse(folder) as warehouse:
        (row,) = query(warehouse, criteria.format("EcephysLfpNwb", "EcephysProbe", 8))["msg"]
        # AllenSDK asks with two slashes
        url = f"http://{warehouse.host}/{row['download_link']}"
        assert urllib.request.urlopen(url).read() == b"\x89HDF8"
        assert warehouse.server.log[-1].path == warehouse.link("session_5/probe_8_lfp.nwb")
        assert query(warehouse, criteria.format("EcephysNwb", "EcephysSession", 6))["msg"] == []
        with pytest.raises(KeyError):
            warehouse.link("session_6/session_6.nwb")


def test_lies(folder: Path) -> None:
    with LoopbackWarehouse(folder) as warehouse:
        warehouse.lies["EcephysUnit"] = Lie(total_rows=(9, None), num_rows=0, same_page=True)
        first, second = (query(warehouse, "model::EcephysUnit", start, 1) for start in (0, 1))
        assert (first["total_rows"], first["num_rows"]) == (9, 0)
        assert "total_rows" not in second
        assert first["msg"] == second["msg"]
        warehouse.lies["EcephysUnit"] = Lie(failure="no")
        answer = query(warehouse, "model::EcephysUnit")
        assert (answer["success"], answer["msg"]) == (False, "no")
