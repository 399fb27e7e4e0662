"""The plots that Visual Coding notebooks make beside a session: spikes, counts of spikes, waveforms.

Names, arguments and defaults are those of AllenSDK's ``allensdk.brain_observatory.ecephys.visualization``.
Each returns its figure, which pyplot knows of, so that ``plt.show()`` and ``plt.gca()`` work on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from project_cache.errors import ConfigurationError, DependencyError

if TYPE_CHECKING:
    import pandas as pd
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["plot_mean_waveforms", "plot_spike_counts", "raster_plot"]

_LABEL = 16
_TITLE = 20


def raster_plot(
    spike_times: pd.DataFrame,
    figsize: tuple[float, float] = (8, 8),
    cmap: Colormap | str = "tab20",
    title: str = "spike raster",
    cycle_colors: bool = False,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Return a figure of when each unit fired, one row for each unit, the smallest id at the bottom.

    Parameters
    ----------
    spike_times : pandas.DataFrame
        As ``presentationwise_spike_times`` gives it: indexed by the time of the spike (s), with ``unit_id``.
    figsize : tuple of float
        Inches; of no use where ``ax`` is given.
    cmap : matplotlib Colormap or str
        Where the colours of the units come from.
    title : str
    cycle_colors : bool
        True takes the colours in their order, False at random (the same ones each time).
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure.

    Raises
    ------
    DependencyError
        matplotlib is not installed.
    """
    axes, figure = figure_axes(ax, figsize)
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    colours = colormaps[cmap] if isinstance(cmap, str) else cmap
    units, row = np.unique(spike_times["unit_id"].to_numpy(), return_inverse=True)
    count = len(units)
    drawn = np.random.default_rng(0).integers(colours.N, size=count)
    which = np.arange(count) % colours.N if cycle_colors else drawn
    times = spike_times.index.to_numpy(dtype=np.float64)
    lines = np.empty((len(times), 2, 2))
    lines[:, :, 0] = times[:, None]
    lines[:, 0, 1] = row / max(count, 1)
    lines[:, 1, 1] = (row + 1) / max(count, 1)
    # one collection for all spikes is drawn in half the time of one for each unit
    axes.add_collection(LineCollection(list(lines), colors=[colours(n) for n in which[row].tolist()]))
    axes.autoscale_view()
    axes.set_xlabel("time (s)", fontsize=_LABEL)
    axes.set_ylabel("unit", fontsize=_LABEL)
    axes.set_title(title, fontsize=_TITLE)
    axes.set_yticks([])
    return figure


def plot_spike_counts(
    data_array: xarray.DataArray | npt.NDArray[Any],
    time_coords: npt.ArrayLike,
    cbar_label: str,
    title: str,
    xlabel: str = "time relative to stimulus onset (s)",
    ylabel: str = "unit",
    xtick_step: int = 20,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Return a figure of one value for each time bin and unit, as colours: a row for each unit, the first on top.

    Parameters
    ----------
    data_array : array (n_bins, n_units)
        Such as the mean of ``presentationwise_spike_counts`` over presentations.
    time_coords : array_like (n_bins,)
        What is written under the bins (s).
    cbar_label, title, xlabel, ylabel : str
    xtick_step : int
        Every how many bins the time is written.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure. The colour bar takes its room from there.

    Raises
    ------
    ConfigurationError
        The array is not of two dimensions, or there is not one time for each of its bins.
    DependencyError
        matplotlib is not installed.
    """
    values = np.asarray(data_array)
    times = np.asarray(time_coords, dtype=np.float64)
    if values.ndim != 2 or len(times) != len(values):
        raise ConfigurationError(
            f"plot_spike_counts draws an array of bins by units, with one time for each bin; this one has the "
            f"shape {values.shape}, and there are {len(times)} times. Take a mean over the presentations first."
        )
    axes, figure = figure_axes(ax, (12, 12))
    image = axes.imshow(values.T, interpolation="none", aspect="auto")
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.ax.set_ylabel(cbar_label, fontsize=_LABEL)
    axes.set_yticks([])
    axes.set_ylabel(ylabel, fontsize=_LABEL)
    ticks = np.arange(0, len(times), xtick_step)
    axes.set_xticks(ticks, [f"{time:1.3f}" for time in times[ticks]], rotation=45)
    axes.set_xlabel(xlabel, fontsize=_LABEL)
    axes.set_title(title, fontsize=_TITLE)
    return figure


def plot_mean_waveforms(
    mean_waveforms: Mapping[Any, xarray.DataArray],
    unit_ids: Sequence[Any] | npt.NDArray[Any] | pd.Index[Any],
    peak_channels: Mapping[Any, Any] | pd.Series[Any],
    *,
    ax: Axes | None = None,
) -> Figure:
    """Return a figure of the mean waveforms of some units, each on its peak channel.

    Parameters
    ----------
    mean_waveforms : mapping
        From unit id to a DataArray of (channel_id, time in s): ``session.mean_waveforms``.
    unit_ids : sequence
        Which units.
    peak_channels : mapping or pandas.Series
        From unit id to channel id: ``session.units["peak_channel_id"]``.
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure.

    Raises
    ------
    DependencyError
        matplotlib is not installed.

    Notes
    -----
    The values are drawn as they are: the published files hold microvolts.
    """
    axes, figure = figure_axes(ax, (10, 10))
    for unit in unit_ids:
        waveform = mean_waveforms[unit].sel(channel_id=peak_channels[unit])
        axes.plot(waveform["time"].to_numpy(), waveform.to_numpy(), label=str(unit))
    if len(unit_ids):
        axes.legend()
    axes.margins(x=0)
    axes.set_ylabel("membrane potential (uV)", fontsize=_LABEL)
    axes.set_xlabel("time (s)", fontsize=_LABEL)
    axes.tick_params(axis="x", rotation=45)
    return figure


def figure_axes(given: Axes | None, size: tuple[float, float]) -> tuple[Axes, Figure]:
    """Return the axes to draw on and their figure: those given, or new ones of pyplot's."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise DependencyError(
            "Figures need matplotlib: pip install 'project-cache[plot]' (or pip install matplotlib)."
        ) from error
    if given is None:
        new, axes = pyplot.subplots(figsize=size)
        return axes, new
    owner: Any = given.figure
    return given, getattr(owner, "figure", owner)  # of a subfigure, the whole
