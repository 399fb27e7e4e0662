"""The raster and the rates: what is on the axes, and that nothing global is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project_cache.display.figures import binned_rates, flash_responses, raster_and_psth, write_png
from project_cache.errors import ConfigurationError, DependencyError


def spikes(units: int = 12, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    starts = np.arange(1.0, 21.0)
    return [
        np.sort(np.concatenate([rng.uniform(0, 22, 60), *(s + rng.uniform(0.05, 0.1, 3) for s in starts)]))
        for _ in range(units)
    ]


def test_axes_say_what_they_show() -> None:
    conditions = ["white", "dark"] * 10
    figure = raster_and_psth(
        spikes(),
        np.arange(1.0, 21.0),
        groups=["VISp"] * 8 + ["CA1"] * 4,
        conditions=conditions,
        condition_colours={"dark": "#DDDDDD", "white": "#FFF4CC"},
        duration=0.25,
        max_units=6,
        title="A title",
        footnote="A note",
    )
    raster, first, second = figure.axes
    assert raster.get_xlabel() == "time in the session (s)"
    assert raster.get_ylabel() == "6 of 12 units"
    assert [t.get_text() for t in raster.get_yticklabels()] == ["VISp", "CA1"]
    assert [a.get_title("left") for a in (first, second)] == ["dark (n = 10)", "white (n = 10)"]
    assert {a.get_ylabel() for a in (first, second)} == {"spikes/s per unit"}
    assert second.get_xlabel() == "time from onset (s)"
    assert [t.get_text() for t in first.get_legend().get_texts()] == ["VISp", "CA1"]
    assert figure.get_suptitle() == "A title"
    line = first.get_lines()[0]
    assert line.get_xdata()[line.get_ydata().argmax()] == pytest.approx(0.075, abs=0.03)


def test_a_mapping_and_no_labels_will_do() -> None:
    figure = raster_and_psth(dict(enumerate(spikes(3))), [5.0])
    assert figure.axes[0].get_ylabel() == "3 units"
    assert figure.axes[1].get_title("left") == "all presentations (n = 1)"


def test_text_does_not_overlap() -> None:
    figure = raster_and_psth(
        spikes(), np.arange(1.0, 21.0), groups=["VISp"] * 8 + ["CA1"] * 4, conditions=["white", "dark"] * 10
    )
    figure.canvas.draw()
    boxes = []
    for axes in figure.axes:
        low, high = sorted(axes.get_ylim())
        # ticks beyond the limits have labels that are not drawn
        ticks = [t for t in axes.get_yticklabels() if low <= t.get_position()[1] <= high]
        texts = [axes.xaxis.label, axes.yaxis.label, *ticks, *axes.texts, axes.title]
        boxes += [t.get_window_extent() for t in texts if t.get_text()]
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])


def test_pyplot_is_left_alone() -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from project_cache.display.figures import raster_and_psth\n"
        "raster_and_psth([[1.0, 2.0]], [1.0])\n"
        "assert 'matplotlib.pyplot' not in sys.modules and matplotlib.rcParams.copy() == before"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_png_says_what_it_is_and_is_the_same_again(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        figure = raster_and_psth(spikes(4), [1.0, 2.0, 3.0])
        written = write_png(figure, tmp_path / name, title="Flashes", description="synthetic")
        assert written == tmp_path / name
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert b"Title\x00Flashes" in data
    assert b"Software\x00project_cache" in data
    assert data == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("trains", "onsets", "labels"),
    [
        ([], [1.0], {}),
        ([[1.0]], [], {}),
        ([[1.0]], [1.0], {"groups": ["a", "b"]}),
        ([[1.0]], [1.0], {"conditions": []}),
    ],
)
def test_labels_must_match(
    trains: list[list[float]], onsets: list[float], labels: dict[str, list[str]]
) -> None:
    with pytest.raises(ConfigurationError):
        raster_and_psth(trains, onsets, **labels)  # type: ignore[arg-type]


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyError, match=r"pip install 'project-cache\[plot\]'"):
        raster_and_psth([[1.0]], [1.0])


def test_rates_are_spikes_per_second() -> None:
    train = np.array([0.95, 1.0, 1.02, 1.5])
    rates = binned_rates([train], np.array([1.0]), np.array([-0.1, 0.0, 0.1]))
    np.testing.assert_allclose(rates, [[[10.0, 20.0]]])


def test_flashes_by_area_along_the_pathway() -> None:
    trains = dict(zip(range(100, 124), spikes(24), strict=True))
    areas = ["CA1"] * 6 + ["VISp"] * 6 + ["LGd"] * 6 + ["VISl"] * 2 + ["DG"] * 4
    units = pd.DataFrame({"ecephys_structure_acronym": areas}, index=list(trains))
    start = np.arange(1.0, 21.0)
    shown = pd.DataFrame(
        {
            "stimulus_name": ["flashes"] * 19 + ["gabors"],
            "start_time": start,
            "stop_time": start + 0.25,
            "color": [1.0, -1.0] * 9 + [1.0, "null"],
        }
    )
    figure = flash_responses(units, trains, shown)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["LGd", "VISp", "CA1"]
    assert [a.get_title("left") for a in figure.axes[1:]] == ["white flash (n = 10)", "dark flash (n = 9)"]
    figure = flash_responses(units, trains, shown, max_areas=2)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["LGd", "CA1"]
    with pytest.raises(ConfigurationError, match="no flashes"):
        flash_responses(units, trains, shown.iloc[19:])
