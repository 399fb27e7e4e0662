"""Drift maps: the sorting pipeline's pictures, or our own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project_cache.build.drift_maps import drift_maps, spike_map
from project_cache.build.units import units


def test_a_map_has_the_tip_below_and_time_to_the_right() -> None:
    drawn = spike_map([np.array([100.0, 101.0, 111.0]), np.array([104.0])], [45.0, 0.0])
    assert drawn.tolist() == [
        pytest.approx([0.4, 0.0, 0.2]),
        [0.0, 0.0, 0.0],
        pytest.approx([0.2, 0.0, 0.0]),
    ]
    assert spike_map([], []).shape == (1, 1)


def test_without_pictures_we_draw_our_own(
    small: Callable[..., Any],
    nwb_file: Callable[..., Any],
    faults: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    import pynwb

    made = small()
    tables = made.electrodes()
    table = units(made.raw, made.clock, made.options, *tables)
    found = drift_maps(made.raw, table, tables[0])
    assert list(found.images) == ["probeA", "probeB"]
    image = found["probeA"].data
    # channel 130 is at 1,300 µm
    assert image.shape == (66, 12)
    assert image.sum() * 5.0 == pytest.approx(1830)
    path = tmp_path / "one.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb_file(made, tables, units=table, analysis=[found]))
    assert faults(path) == []


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "GrayscaleImage"), ("RGB", "RGBImage"), ("RGBA", "RGBAImage"), ("P", "RGBAImage")],
)
def test_the_pipelines_pictures_are_taken(
    small: Callable[..., Any], tmp_path: Path, mode: str, kind: str
) -> None:
    pillow = pytest.importorskip("PIL.Image")
    made = small(letters="A")
    path = tmp_path / "Neuropix-PXI-100.ProbeA-AP_drift.png"
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    pillow.fromarray(pixels).convert(mode).save(path)
    table, places = with_pictures(made, path)
    (image,) = drift_maps(made.raw, table, places).images.values()
    assert (image.name, type(image).__name__) == ("probeA", kind)
    assert image.data.shape[:2] == (20, 30)
    assert path.name in image.description


def test_a_picture_that_cannot_be_read_is_drawn_anew(
    small: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("PIL.Image")
    made = small(letters="A")
    path = tmp_path / "ProbeA_drift.png"
    path.write_bytes(b"\x89PNG no more")
    (image,) = drift_maps(made.raw, *with_pictures(made, path)).images.values()
    assert image.data.shape == (66, 12)
    assert "ProbeA_drift.png is no picture" in caplog.text


def with_pictures(made: Any, *paths: Path) -> tuple[Any, Any]:
    (old,) = made.raw.sorted.of["A"]
    made.raw.sorted.of["A"] = [dataclasses.replace(old, drift_map_paths=paths)]
    tables = made.electrodes()
    return units(made.raw, made.clock, made.options, *tables), tables[0]
