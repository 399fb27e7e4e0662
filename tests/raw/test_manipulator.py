"""The manipulators' log."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from project_cache.errors import CorruptObjectError
from project_cache.raw.manipulator import read_manipulator_log


def test_positions_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "2023/04/04 10:37:29.150, SN46121, 7530.5, 7505.0, 7492.5, 1.0, 2.0, 3.0\n"
        "2023/04/04 10:37:28.815, SN46122, 7520.0, 7505.0, 7493.0, 7520.0, 7505.0, 7493.0\n"
        "something else\n"
        "a, b, c, d, e, f, g, h, i, j\n"
        "2023/04/04 10:37:30.100, SN461"
    )
    log = read_manipulator_log(path)
    assert log["device_name"].tolist() == ["SN46122", "SN46121"]
    assert log["time"].iloc[1] == pd.Timestamp("2023-04-04 10:37:29.150")
    assert log.loc[1, ["x", "y", "z", "x_virtual", "y_virtual", "z_virtual"]].tolist() == [
        7530.5, 7505.0, 7492.5, 1.0, 2.0, 3.0,
    ]  # fmt: skip
    assert log["z"].dtype == float


def test_a_log_without_positions_is_named(tmp_path: Path) -> None:
    path = tmp_path / "motor-locs.csv"
    for text in ("", "no position\n"):
        path.write_text(text)
        with pytest.raises(CorruptObjectError, match=r"motor-locs\.csv"):
            read_manipulator_log(path)


def test_real_logs(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing"
    log = read_manipulator_log(folder / "open_ephys" / "newscale_main.csv")
    lines = (folder / "open_ephys" / "newscale_main.csv").read_text().splitlines()
    assert len(log) == len(lines)
    assert log["device_name"].str.fullmatch("SN[0-9]+").all()
