"""Rows to CSV: the rules by which AllenSDK gives columns their types."""

from __future__ import annotations

import json

import pytest

from project_cache.errors import WarehouseError
from project_cache.sources.warehouse_tables import metrics_csv, table_csv


def column(*values: object) -> list[str]:
    """How the cells of a column are written."""
    rows = [{"id": n, "x": value} for n, value in enumerate(values)]
    return [line.partition(",")[2] for line in table_csv("units", rows).decode().splitlines()[1:]]


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        (["1", "2"], ["1", "2"]),
        (["1", "2.5"], ["1.0", "2.5"]),
        (["1", None], ["1", ""]),
        (["01", "2"], ["01", "2"]),
        (["1", "x"], ["1", "x"]),
        ([1, None], ["1.0", ""]),
        (["True", "False"], ["True", "False"]),
        (["'a'", "'b'"], ["a", "b"]),
        (["1e-07", "1e22"], ["1e-07", "1e+22"]),
        (["__import__('os').getcwd()", "1"], ["__import__('os').getcwd()", "1"]),
        (["(" * 300, "1"], ["(" * 300, "1"]),
        (["2019-01-19", "1"], ["2019-01-19", "1"]),
        (["1if 1else 2", "1"], ["1if 1else 2", "1"]),
        (['a "b"', "c"], ['"a ""b"""', "c"]),
    ],
)
def test_columns_of_literals_take_their_values(values: list[object], cells: list[str]) -> None:
    assert column(*values) == cells


def test_whole_numbers_in_rows_of_fractions_are_fractions() -> None:
    def lines(**data: object) -> list[str]:
        return metrics_csv([{"id": 1, "ecephys_unit_id": 5, "data": json.dumps(data)}]).decode().splitlines()

    assert lines(i=1, f=0.5) == ["ecephys_unit_id,i,f", "5,1.0,0.5"]
    assert lines(i=1, f=0.5, b=True) == ["ecephys_unit_id,i,f,b", "5,1,0.5,True"]
    assert lines(i=1, j=2) == ["ecephys_unit_id,i,j", "5,1,2"]
    assert lines(ids="[1, 2]", n=None) == ["ecephys_unit_id,ids,n", '5,"[1, 2]",']


@pytest.mark.parametrize("data", ["not json", "[1]", None, "3"])
def test_metrics_that_are_not_are_an_error(data: object) -> None:
    with pytest.raises(WarehouseError):
        metrics_csv([{"id": 1, "ecephys_unit_id": 5, "data": data}])
