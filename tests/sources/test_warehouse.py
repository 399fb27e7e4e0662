"""The warehouse source against a warehouse on this machine: the same files, whatever goes wrong."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from project_cache.errors import (
    ConfigurationError,
    ContentError,
    MissingObjectError,
    ServerError,
    TransferError,
    UnknownObjectError,
    WarehouseError,
)
from project_cache.manifest.keys import Key
from project_cache.sources.base import Source
from project_cache.sources.warehouse import WarehouseSource
from project_cache.store.part import Part
from project_cache.testing import faults
from project_cache.testing.server import ObjectServer
from project_cache.testing.warehouse import Lie, LoopbackWarehouse
from project_cache.transfer.retry import Clock

OBJECTS = {
    Key("sessions"): "sessions.csv",
    Key("probes"): "probes.csv",
    Key("channels"): "channels.csv",
    Key("units"): "units.csv",
    Key("session_nwb", (715,)): "session_715/session_715.nwb",
    Key("probe_lfp_nwb", (715, 81)): "session_715/probe_81_lfp.nwb",
    Key("session_analysis_metrics", (715,)): "session_715/session_715_analysis_metrics.csv",
    Key(
        "typewise_analysis_metrics", ("brain_observatory_1.1",)
    ): "session_715/session_715_analysis_metrics.csv",
    Key("natural_movie", (1,)): "natural_movie_templates/natural_movie_1.h5",
    Key("natural_scene", (12,)): "natural_scene_templates/natural_scene_12.tiff",
}
NWB = Key("session_nwb", (715,))


@pytest.fixture
def warehouse(folder: Path) -> Iterator[LoopbackWarehouse]:
    with LoopbackWarehouse(folder) as warehouse:
        yield warehouse


@pytest.fixture
def source(warehouse: LoopbackWarehouse, clock: Clock) -> WarehouseSource:
    return WarehouseSource("http", warehouse.host, tries=3, clock=clock)


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    with Part(tmp_path / "object") as part:
        yield part


def filled(source: Source, key: Key, part: Part) -> bytes:
    said = source.fill(key, part)
    part.close()
    data = part.path.read_bytes()
    assert said.size in (None, len(data))
    assert said.origin == part.journal.origin
    return data


@pytest.mark.parametrize("key", OBJECTS, ids=str)
@pytest.mark.parametrize("as_text", [False, True])
def test_every_object_arrives_as_it_is(
    key: Key, as_text: bool, source: WarehouseSource, warehouse: LoopbackWarehouse, folder: Path, part: Part
) -> None:
    warehouse.as_text = as_text
    assert source.has(key)
    assert filled(source, key, part) == (folder / OBJECTS[key]).read_bytes()


def test_metrics_that_were_put_right_are_left_alone(
    source: WarehouseSource, warehouse: LoopbackWarehouse, folder: Path, part: Part
) -> None:
    warehouse.swapped = False
    key = Key("session_analysis_metrics", (715,))
    assert filled(source, key, part) == (folder / OBJECTS[key]).read_bytes()


def test_it_is_a_source_and_travels_to_other_processes() -> None:
    source = pickle.loads(pickle.dumps(WarehouseSource("https", "h:1", timeout=7)))
    assert isinstance(source, Source)
    assert source.remote
    assert source.name == "warehouse https://h:1"
    assert source.policy.patience_s == 7.0
    assert not source.has(Key("behavior_session", (1,)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"scheme": "ftp"},
        {"host": "h/path"},
        {"host": "me:pw@h"},
        {"host": ""},
        {"tries": 0},
        {"timeout": 0},
        {"page_size": 0},
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WarehouseSource(**arguments)  # type: ignore[arg-type]
    assert "pw" not in str(caught.value)


LIES = {
    "num_rows 0": Lie(num_rows=0),
    "num_rows too many": Lie(num_rows=9999),
    "total shrinks": Lie(total_rows=(12, 7, 3)),
    "total grows": Lie(total_rows=(12, 20, 30, 40)),
    "total absent": Lie(total_rows=(None,)),
    "total 0": Lie(total_rows=(0,)),
    "total negative": Lie(total_rows=(-1,)),
    "total too small": Lie(total_rows=(7,)),
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("page_size", [1, 5, 6, 12, 5000])
def test_lies_about_rows_cost_none(
    name: str, page_size: int, warehouse: LoopbackWarehouse, clock: Clock, folder: Path, part: Part
) -> None:
    warehouse.lies["EcephysUnit"] = LIES[name]
    source = WarehouseSource("http", warehouse.host, page_size=page_size, clock=clock)
    assert filled(source, Key("units"), part) == (folder / "units.csv").read_bytes()
    assert len(warehouse.server.log) <= 12 / page_size + 2


def test_a_server_with_smaller_pages_gives_all_rows(folder: Path, part: Part) -> None:
    with LoopbackWarehouse(folder, page_size=5) as warehouse:
        source = WarehouseSource("http", warehouse.host)
        assert filled(source, Key("units"), part) == (folder / "units.csv").read_bytes()
        assert len(warehouse.server.log) == 3


@pytest.mark.parametrize("lie", [Lie(total_rows=(17,)), Lie(total_rows=(17,), same_page=True)])
def test_rows_that_were_promised_and_do_not_come_are_an_error(
    lie: Lie, source: WarehouseSource, warehouse: LoopbackWarehouse, part: Part
) -> None:
    warehouse.lies["EcephysUnit"] = lie
    with pytest.raises(WarehouseError, match="said that there are 17 rows and gave 12"):
        source.fill(Key("units"), part)
    assert not part.path.exists()
    assert len(warehouse.server.log) == 2


def test_a_query_that_failed_is_told_in_the_warehouses_words(
    source: WarehouseSource, warehouse: LoopbackWarehouse, part: Part
) -> None:
    warehouse.lies["EcephysProbe"] = Lie(failure="PG::UndefinedColumn")
    with pytest.raises(WarehouseError, match="PG::UndefinedColumn"):
        source.fill(Key("probes"), part)
    assert len(warehouse.server.log) == 1


@pytest.mark.parametrize(
    "key",
    [
        Key("session_nwb", (999,)),
        Key("probe_lfp_nwb", (715, 82)),
        Key("session_analysis_metrics", (999,)),
        Key("typewise_analysis_metrics", ("functional_connectivity",)),
        Key("natural_movie", (3,)),
        Key("behavior_session", (1,)),
    ],
    ids=str,
)
def test_what_the_warehouse_does_not_have(key: Key, source: WarehouseSource, part: Part) -> None:
    with pytest.raises(MissingObjectError, match=str(key)):
        source.fill(key, part)


@pytest.mark.parametrize(
    "key",
    [
        Key("session_nwb"),
        Key("session_nwb", ("one",)),
        Key("probe_lfp_nwb", (715,)),
        Key("typewise_analysis_metrics"),
        Key("typewise_analysis_metrics", ("x'],rma::options[num_rows$eq1]",)),
    ],
    ids=str,
)
def test_keys_that_name_nothing_are_not_asked_for(
    key: Key, source: WarehouseSource, warehouse: LoopbackWarehouse, part: Part
) -> None:
    with pytest.raises(UnknownObjectError):
        source.fill(key, part)
    assert warehouse.server.log == []


def test_a_file_that_is_listed_and_not_there(
    source: WarehouseSource, warehouse: LoopbackWarehouse, part: Part
) -> None:
    warehouse.server.misbehave(lambda path: "well_known_file_download" in path, faults.status(404))
    with pytest.raises(MissingObjectError, match="its file is not there"):
        source.fill(NWB, part)


def test_two_files_where_one_was_meant(folder: Path, part: Part) -> None:
    (folder / "natural_scene_templates" / "natural_scene_012.tiff").write_bytes(b"II*\0")
    with LoopbackWarehouse(folder) as warehouse, pytest.raises(WarehouseError, match="2 files"):
        WarehouseSource("http", warehouse.host).fill(Key("natural_scene", (12,)), part)


@pytest.mark.parametrize("link", ["http://elsewhere/x", "relative", None, "/\\elsewhere/x"])
def test_links_that_leave_the_warehouse_are_not_followed(link: str | None, part: Part, clock: Clock) -> None:
    row = {"id": 1, "download_link": link}
    with ObjectServer() as server:
        answer = faults.Fault(body=repr_json({"success": True, "total_rows": 1, "msg": [row]}))
        server.misbehave(lambda path: True, answer)
        with pytest.raises(WarehouseError, match="no link below its own address"):
            WarehouseSource("http", server.address, clock=clock).fill(NWB, part)


def test_a_link_with_two_slashes_stays_with_the_warehouse(part: Part, clock: Clock) -> None:
    row = {"id": 1, "download_link": "//elsewhere.example/x"}
    with ObjectServer() as server:
        server.misbehave(
            lambda path: "query" in path,
            faults.Fault(body=repr_json({"success": True, "total_rows": 1, "msg": [row]})),
        )
        with pytest.raises(MissingObjectError):
            WarehouseSource("http", server.address, clock=clock).fill(NWB, part)
        assert server.log[-1].path == "/elsewhere.example/x"


def repr_json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


def test_queries_are_retried_as_files_are(
    source: WarehouseSource, warehouse: LoopbackWarehouse, folder: Path, part: Part
) -> None:
    server = warehouse.server
    server.misbehave(lambda path: "query" in path, faults.status(503, retry_after=1), nth=1)
    server.misbehave(lambda path: "query" in path, faults.truncated(20), nth=2)
    server.misbehave(lambda path: "download" in path, faults.truncated(1500), nth=1)
    assert filled(source, NWB, part) == (folder / OBJECTS[NWB]).read_bytes()
    assert [each.status for each in server.log] == [503, 200, 200, 200, 206]


def test_an_answer_cut_without_anyone_knowing_is_asked_for_again(
    source: WarehouseSource, warehouse: LoopbackWarehouse, folder: Path, part: Part
) -> None:
    warehouse.server.misbehave(lambda path: True, faults.Fault(no_length=True, cut_at=300), first=1)
    assert filled(source, Key("units"), part) == (folder / "units.csv").read_bytes()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.html_page(), ContentError),
        (faults.Fault(body=b'["rows"]'), ContentError),
        (faults.Fault(body=b"{"), ContentError),
        (faults.Fault(body=b'{"success": true, "msg": "?"}'), WarehouseError),
        (faults.Fault(body=b'{"success": true, "msg": [{"name": "no id"}]}'), WarehouseError),
        (faults.Fault(body=b'{"success": true, "msg": [{"id": 1}]}'), WarehouseError),
        (faults.status(500), ServerError),
        (faults.reset(), TransferError),
    ],
)
def test_a_warehouse_that_talks_nonsense_is_an_error(
    fault: faults.Fault,
    kind: type[Exception],
    source: WarehouseSource,
    warehouse: LoopbackWarehouse,
    part: Part,
) -> None:
    warehouse.server.misbehave(lambda path: True, fault)
    with pytest.raises(kind):
        source.fill(Key("sessions"), part)
    assert not part.path.exists()
