"""The plots that notebooks import: what is on the axes, where they are drawn, and what they refuse."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import xarray

from project_cache import visualization
from project_cache.display.plots import plot_mean_waveforms, plot_spike_counts, raster_plot
from project_cache.errors import ConfigurationError, DependencyError

SPIKES = pd.DataFrame(
    {"stimulus_presentation_id": 3, "unit_id": [7, 5, 5, 9, 7]},
    index=pd.Index([1.0, 1.5, 2.0, 2.5, 3.0], name="spike_time"),
)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    yield
    pyplot.close("all")


def test_names_and_arguments_are_those_that_notebooks_use() -> None:
    assert visualization.raster_plot is raster_plot
    found = {f.__name__: inspect.signature(f).parameters for f in (plot_mean_waveforms, plot_spike_counts)}
    assert list(found["plot_mean_waveforms"])[:3] == ["mean_waveforms", "unit_ids", "peak_channels"]
    counts = found["plot_spike_counts"]
    assert list(counts)[:7] == [
        "data_array", "time_coords", "cbar_label", "title", "xlabel", "ylabel", "xtick_step",
    ]  # fmt: skip
    assert counts["xlabel"].default == "time relative to stimulus onset (s)"
    assert (counts["ylabel"].default, counts["xtick_step"].default) == ("unit", 20)
    raster = inspect.signature(raster_plot).parameters
    assert list(raster)[:5] == ["spike_times", "figsize", "cmap", "title", "cycle_colors"]
    assert raster["figsize"].default == (8, 8)
    assert raster["title"].default == "spike raster"
    assert raster["cycle_colors"].default is False


def test_a_raster_has_a_row_for_each_unit() -> None:
    from matplotlib import pyplot

    figure = raster_plot(SPIKES, title="some spikes")
    (axes,) = figure.axes
    assert pyplot.gcf() is figure
    assert tuple(figure.get_size_inches()) == (8, 8)
    (lines,) = axes.collections
    segments = np.array(lines.get_segments())
    np.testing.assert_array_equal(segments[:, 0, 0], SPIKES.index)
    np.testing.assert_array_equal(segments[:, 1, 0], SPIKES.index)
    np.testing.assert_allclose(segments[:, 0, 1], [1 / 3, 0, 0, 2 / 3, 1 / 3])
    np.testing.assert_allclose(segments[:, 1, 1], [2 / 3, 1 / 3, 1 / 3, 1, 2 / 3])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("time (s)", "unit", "some spikes")
    assert list(axes.get_yticks()) == []
    np.testing.assert_allclose(axes.get_xlim(), (0.9, 3.1))
    np.testing.assert_allclose(axes.get_ylim(), (-0.05, 1.05))


def test_colours_of_a_raster() -> None:
    from matplotlib import colormaps

    def colours(**options: object) -> list[tuple[float, ...]]:
        (axes,) = raster_plot(SPIKES, **options).figure.axes  # type: ignore[arg-type]
        return [tuple(c) for c in axes.collections[0].get_colors()]

    cycled = colours(cycle_colors=True)
    tab = colormaps["tab20"]
    assert cycled == [tab(n) for n in (1, 0, 0, 2, 1)]
    state = np.random.get_state()[1]  # noqa: NPY002 - that it is left alone is the point
    drawn = colours()
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert drawn == colours()
    assert drawn[0] == drawn[4]
    assert colours(cmap=colormaps["Set1"], cycle_colors=True)[1] == colormaps["Set1"](0)


def test_a_raster_of_nothing_is_empty() -> None:
    figure = raster_plot(SPIKES.iloc[:0])
    assert len(figure.axes[0].collections[0].get_segments()) == 0
    figure.canvas.draw()


def test_spike_counts_are_a_picture_with_times_under_it() -> None:
    values = np.arange(12.0).reshape(4, 3)
    array = xarray.DataArray(values, dims=("time_relative_to_stimulus_onset", "unit_id"))
    figure = plot_spike_counts(array, [-0.1, 0.0, 0.1, 0.2], "mean", "counts", xtick_step=2)
    axes, bar = figure.axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), values.T)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["-0.100", "0.100"]
    assert (axes.get_title(), axes.get_ylabel(), bar.get_ylabel()) == ("counts", "unit", "mean")
    assert axes.get_xlabel() == "time relative to stimulus onset (s)"
    assert tuple(figure.get_size_inches()) == (12, 12)
    figure.canvas.draw()
    for wrong, times in ((values[0], [0.1]), (values, [0.1]), (values[None], [0.1])):
        with pytest.raises(ConfigurationError, match="bins by units"):
            plot_spike_counts(wrong, times, "mean", "counts")


def test_waveforms_of_the_peak_channels() -> None:
    waveforms = {
        unit: xarray.DataArray(
            np.full((2, 3), float(unit)) + np.arange(2)[:, None],
            coords={"channel_id": [11, 12], "time": np.arange(3) / 30000},
            dims=("channel_id", "time"),
        )
        for unit in (1, 2)
    }
    figure = plot_mean_waveforms(waveforms, [1, 2], pd.Series({1: 11, 2: 12}))
    (axes,) = figure.axes
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[1.0] * 3, [3.0] * 3]
    np.testing.assert_allclose(axes.get_lines()[0].get_xdata(), np.arange(3) / 30000)
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["1", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "membrane potential (uV)")
    assert plot_mean_waveforms(waveforms, [], {}).axes[0].get_lines()[:] == []


def test_they_draw_where_they_are_told() -> None:
    from matplotlib.figure import Figure

    outer = Figure()
    left, right = outer.subfigures(1, 2)
    axes = left.subplots()
    assert raster_plot(SPIKES, ax=axes) is outer
    assert len(axes.collections) == 1
    assert plot_spike_counts(np.zeros((2, 2)), [0, 1], "n", "t", ax=right.subplots()) is outer


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyError, match=r"pip install 'project-cache\[plot\]'"):
        raster_plot(SPIKES)


def test_importing_them_imports_nothing_heavy() -> None:
    code = (
        "import sys; from project_cache.visualization import raster_plot\n"
        "assert not {'matplotlib', 'xarray', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
