"""Tables and series, of every kind of column that writers make."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.nwb.file import NWBReader
from project_cache.nwb.series import series_data, series_times
from project_cache.nwb.table import read_table

TEXT = h5py.string_dtype()


def _index(group: h5py.Group, name: str, ends: object) -> None:
    group[name] = np.array(ends, dtype=np.uint8)
    group[name].attrs["neurodata_type"] = "VectorIndex"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        series = file.create_group("series")
        series["data"] = np.arange(4.0)
        series["starting_time"] = 2.0
        series["starting_time"].attrs["rate"] = 10.0
        file["other/data"] = np.arange(2.0)
        file["other/timestamps"] = h5py.SoftLink("/stamps")
        file["stamps"] = np.array([1, 2], dtype=np.float32)
        file["silent/data"] = [1.0]
        table = file.create_group("table")
        names = [
            "text",
            "fixed",
            "number",
            "flag",
            "link",
            "point",
            "ragged",
            "words",
            "nested",
            "wide",
            "image_index",
            "record",
        ]
        table.attrs["colnames"] = np.array([*names, "absent"], dtype=TEXT)
        table["id"] = np.array([4, 2], dtype=np.int32)
        table.create_dataset("text", data=["µm", ""], dtype=TEXT)
        table["fixed"] = np.array([b"ab", b"c"])
        table["number"] = np.array([1, 2], dtype=">u2")
        table["flag"] = np.array([True, False])
        table["link"] = np.array([series.ref, h5py.Reference()], dtype=h5py.ref_dtype)
        table["point"] = np.arange(4.0).reshape(2, 2)
        table["ragged"] = np.arange(5)
        _index(table, "ragged_index", [3, 5])
        table.create_dataset("words", data=["a", "b", "c"], dtype=TEXT)
        _index(table, "words_index", [0, 3])
        table["nested"] = np.arange(6)
        _index(table, "nested_index", [1, 3, 6])
        _index(table, "nested_index_index", [2, 3])
        table["wide"] = np.array([2**40, 1])
        # a column of its own, although there is no "image"
        table["image_index"] = [7, 8]
        kind = np.dtype([("idx_start", "<i4"), ("count", "<i4"), ("timeseries", h5py.ref_dtype)])
        table.create_dataset("record", data=np.array([(0, 2, series.ref), (2, 2, series.ref)], dtype=kind))
    return path


def test_every_kind_of_column(path: Path) -> None:
    with NWBReader(path).open() as handle:
        table = read_table(handle["table"], skip=("wide",))
    assert table.index.tolist() == [4, 2]
    assert table.index.name == "id"
    found = {name: table[name].tolist() for name in table}
    assert found["text"] == ["µm", ""]
    assert found["fixed"] == ["ab", "c"]
    assert found["number"] == [1, 2]
    assert found["flag"] == [True, False]
    assert found["link"] == ["/series", None]
    assert [each.tolist() for each in found["point"]] == [[0, 1], [2, 3]]
    assert [each.tolist() for each in found["ragged"]] == [[0, 1, 2], [3, 4]]
    assert found["words"] == [[], ["a", "b", "c"]]
    assert [[cell.tolist() for cell in each] for each in found["nested"]] == [[[0], [1, 2]], [[3, 4, 5]]]
    assert found["image_index"] == [7, 8]
    assert found["record"] == [(0, 2, "/series"), (2, 2, "/series")]
    assert "wide" not in found
    assert "absent" not in found
    # never pandas' own text type, which differs between its versions
    assert table.dtypes["text"] == table.dtypes["fixed"] == np.dtype(object)
    assert table["number"].dtype.isnative


def test_tables_that_are_none(path: Path) -> None:
    with NWBReader(path).open() as handle, pytest.raises(MissingDataError, match="not a table"):
        read_table(handle["series"])
    with h5py.File(path, "r+") as file:
        del file["table/number"]
        file["table/number"] = [1, 2, 3]
    with NWBReader(path).open() as handle, pytest.raises(CorruptObjectError, match="number"):
        read_table(handle["table"])
    with h5py.File(path, "r+") as file:
        del file["table/id"], file["table/number"]
    with NWBReader(path).open() as handle:
        assert read_table(handle["table"]).index.equals(pd.Index([0, 1]))


def test_times_are_stored_linked_or_follow_from_a_rate(path: Path) -> None:
    with NWBReader(path).open() as handle:
        np.testing.assert_allclose(series_times(handle["series"]), [2.0, 2.1, 2.2, 2.3])
        assert series_data(handle["series"]).tolist() == [0, 1, 2, 3]
        assert series_times(handle["other"]).dtype == np.float64
        assert series_times(handle["other"]).tolist() == [1, 2]
        with pytest.raises(MissingDataError, match="/silent"):
            series_times(handle["silent"])
