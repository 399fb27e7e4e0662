"""The electrodes table: every channel of every probe, and its place in the brain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache.build.electrodes import electrode_region
from project_cache.errors import CorruptObjectError


def test_every_channel_has_a_row_with_its_place(small: Callable[..., Any]) -> None:
    table, groups = small().electrodes()
    frame = table.to_dataframe()
    assert len(frame) == 768
    assert frame["channel"].tolist() == [*range(384), *range(384)]
    first = frame.iloc[0]
    assert (first["location"], first["structure"], first["x"]) == ("VISp5", "VISp", 8000.0)
    assert (first["rel_x"], first["rel_y"], first["imp"], first["reference"]) == (27.0, 0.0, 150e3, "tip")
    assert first["group"] is groups["probeA"]
    assert frame["group_name"].value_counts().to_dict() == {"probeA": 384, "probeB": 384}
    # outside of the brain there are no coordinates
    assert frame["location"][350] == "out of brain"
    assert np.isnan(frame["x"][350])


def test_a_probe_that_was_not_annotated_stands_beside_one_that_was(small: Callable[..., Any]) -> None:
    made = small()
    placed = made.raw.annotation.pop("B")
    made.raw.annotation = {"A": placed}
    assert len(made.electrodes()[0]) == 384
    none = small(annotated=False).electrodes()[0]
    assert len(none) == 768
    assert set(none["location"].data[:]) == {"unannotated"}
    assert "x" not in none.colnames


def test_surface_channels_are_the_384_above(small: Callable[..., Any]) -> None:
    made = small()
    for letter, probe in made.raw.ephys.probes.items():
        made.raw.ephys.probes[letter] = type(probe)(
            **{name: getattr(probe, name) for name in probe.__slots__ if name != "bank"}, bank=probe.bank + 1
        )
    table, _ = made.electrodes(is_surface_channels=True)
    assert table["channel"].data[:3].tolist() == [384, 385, 386]
    # the annotation is of the main recording's channels
    assert "x" not in table.colnames


def test_an_annotation_with_a_channel_twice_is_refused(small: Callable[..., Any]) -> None:
    made = small()
    made.raw.annotation["A"] = pd.concat([made.raw.annotation["A"]] * 2)
    with pytest.raises(CorruptObjectError, match="probe A has a channel twice"):
        made.electrodes()


def test_a_region_is_a_probes_rows(small: Callable[..., Any]) -> None:
    table, _ = small().electrodes()
    assert electrode_region(table, "B").data[:].tolist() == list(range(384, 768))
    assert electrode_region(table, "B", [0, 4]).data[:].tolist() == [384, 388]


def test_a_file_with_it_is_valid(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    import pynwb

    path = tmp_path / "one.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb_file(small()))
    assert faults(path) == []
