"""Where the channels were in the brain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.annotation import read_annotation, structure_of


def test_tissuecyte(tmp_path: Path) -> None:
    path = tmp_path / "Probe_A1_channels_668755_warped_processed_new_sorting.csv"
    path.write_text(
        "channel,AP,DV,ML,region,region_stripped,raw_structure\n"
        "1,315,157,121,VISp2/3,VISp,visp\n0,315,158,121,ECT5,ECT5,\n2,-1,-1,-1,,,x\n"
    )
    table = read_annotation(path)
    assert list(table.columns) == ["channel", "x", "y", "z", "structure", "location", "raw_structure"]
    assert table["channel"].tolist() == [0, 1, 2]
    assert table["location"].tolist() == ["ECT5", "VISp2/3", "out of brain"]
    assert table["structure"].tolist() == ["ECT", "VISp", "out of brain"]
    np.testing.assert_array_equal(
        table[["x", "y", "z"]], [[7875, 3950, 3025], [7875, 3925, 3025], [np.nan] * 3]
    )


def test_a_table_in_micrometres(tmp_path: Path) -> None:
    path = tmp_path / "probeB.csv"
    path.write_text("channel,structure,x,y,z\n0,CA1,7875.5,3925,3025\n")
    table = read_annotation(path)
    assert table.to_dict("records") == [
        {"channel": 0, "x": 7875.5, "y": 3925.0, "z": 3025.0, "structure": "CA1", "location": "CA1"}
    ]


def records(**more: object) -> list[dict[str, object]]:
    return [
        {
            "channel_number": n,
            "device_name": f"Probe{letter}_0",
            "ccf_ap": 7000,
            "ccf_dv": 100 * n,
            "ccf_ml": 3000,
        }
        | more
        for letter in "AB"
        for n in range(2)
    ]


def test_records_with_acronyms(tmp_path: Path) -> None:
    path = tmp_path / "ccf_channel_results.json"
    path.write_text(json.dumps(records(acronym="SSp-bfd2/3")))
    table = read_annotation(path, "B")
    assert table["y"].tolist() == [0.0, 100.0]
    assert table["location"].tolist() == ["SSp-bfd2/3"] * 2
    assert table["structure"].tolist() == ["SSp"] * 2
    path.write_text(json.dumps({f"channel_{n}": each for n, each in enumerate(records(acronym=None))}))
    assert read_annotation(path, "A")["structure"].tolist() == ["out of brain"] * 2


def test_ids_without_acronyms_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ccf_channel_results.json"
    path.write_text(json.dumps(records(brain_region_id=382)))
    with pytest.raises(MissingDataError, match="brain_region_id.*acronyms"):
        read_annotation(path, "A")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "channel,AP,DV,ML\n0,1,2,3\n",
        "channel,region\n0,CA1\n",
        "channel,AP,DV,ML,region\n0,1,2,3,CA1\n0,1,2,3,CA1\n",
        "channel,AP,DV,ML,region\n0,1,2,here,CA1\n",
        "channel,AP,DV,ML,region\n,1,2,3,CA1\n",
        "channel,AP,DV,ML,region\n",
    ],
)
def test_what_is_no_annotation_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "probeA.csv"
    path.write_text(text)
    with pytest.raises(CorruptObjectError, match=r"probeA\.csv"):
        read_annotation(path)
    (tmp_path / "probeA.json").write_text('["a"]')
    with pytest.raises(CorruptObjectError, match=r"probeA\.json"):
        read_annotation(tmp_path / "probeA.json")


@pytest.mark.parametrize(
    ("location", "structure"),
    [
        ("VISp1", "VISp"), ("VISp4", "VISp"), ("ACAd6b", "ACAd"), ("CA1", "CA1"), ("CA3", "CA3"), ("DG-mo", "DG"),
        ("SSp-ll6a", "SSp"), ("ECT1", "ECT"), ("TEa5", "TEa"), ("root", "root"), ("MB", "MB"), ("PIR2", "PIR"),
    ],
)  # fmt: skip
def test_structures(location: str, structure: str) -> None:
    assert structure_of(location) == structure
