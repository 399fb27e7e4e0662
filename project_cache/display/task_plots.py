"""Plots of sessions with a task: performance by block, receptive fields, drift of a probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from project_cache.display.figures import INK
from project_cache.display.plots import figure_axes
from project_cache.errors import ConfigurationError, DependencyError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_drift_map", "plot_performance", "plot_receptive_fields"]

#: of the two modalities, as elsewhere in this package: blue and vermilion
_MODALITIES = {"vis": ("#0072B2", "gratings"), "aud": ("#D55E00", "sounds")}


def plot_performance(performance: pd.DataFrame, *, title: str = "", ax: Axes | None = None) -> Figure:
    """Return a figure of how often the mouse responded to each target, block by block.

    Parameters
    ----------
    performance : pandas.DataFrame
        ``session.performance[:]``: with ``block_index``, ``rewarded_modality``, ``vis_target_response_rate`` and
        ``aud_target_response_rate``.
    title : str
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure.

    Raises
    ------
    DependencyError
        matplotlib is not installed.
    """
    axes, figure = figure_axes(ax, (8, 3.6))
    blocks = performance["block_index"].to_numpy()
    rewarded = performance["rewarded_modality"].astype(str)
    for block, modality in zip(blocks, rewarded, strict=True):
        colour = _MODALITIES.get(modality, (INK, modality))[0]
        axes.axvspan(block - 0.5, block + 0.5, color=colour, alpha=0.12, linewidth=0)
    for modality, (colour, word) in _MODALITIES.items():
        rate = performance[f"{modality}_target_response_rate"].to_numpy(dtype=float)
        axes.plot(blocks, rate, "o-", color=colour, label=f"target among the {word}")
    axes.set_xlim(blocks.min() - 0.5, blocks.max() + 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(blocks)
    axes.set_xticklabels(
        [f"{n}\n{_MODALITIES.get(m, ('', m))[1]}" for n, m in zip(blocks, rewarded, strict=True)]
    )
    axes.set_xlabel("block, and what is rewarded in it")
    axes.set_ylabel("responses per trial")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    if title:
        axes.set_title(title)
    figure.tight_layout()
    return figure


def plot_receptive_fields(
    maps: pd.DataFrame, units: Sequence[Any] | None = None, *, columns: int = 6, title: str = ""
) -> Figure:
    """Return a figure of the receptive fields of units: mean rate by where a small grating was.

    Parameters
    ----------
    maps : pandas.DataFrame
        ``session.vis_rf_maps[:]``: with ``unit_id``, ``rf_map`` (y, x; 1/s), ``grid_x`` and ``grid_y`` (pixels from
        the centre of the screen) and ``rf_p_value``.
    units : sequence of str, optional
        Ids of the units to draw; by default those with the smallest p value, twelve at most.
    columns : int
        How many panels stand beside one another.
    title : str

    Raises
    ------
    ConfigurationError
        There is no such unit.
    DependencyError
        matplotlib is not installed.
    """
    pyplot = _pyplot()
    if units is None:
        chosen = maps.sort_values("rf_p_value", kind="stable").head(12)
    else:
        known = maps.set_index("unit_id", drop=False)
        absent = [unit for unit in units if unit not in known.index]
        if absent:
            raise ConfigurationError(f"There is no receptive field of {absent[0]!r}.")
        chosen = known.loc[list(units)]
    rows = -(-len(chosen) // columns)
    figure: Figure
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(1.7 * columns, 1.7 * rows + 0.5), squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(chosen) :]:
        panel.set_axis_off()
    for panel, unit, rate in zip(panels.flat, chosen["unit_id"], chosen["rf_map"], strict=False):
        values = np.asarray(rate, dtype=float)
        panel.imshow(values, origin="lower", cmap="viridis", vmin=0)
        panel.set_title(f"{str(unit).rpartition('_')[2]}: {np.nanmax(values):.0f}/s", fontsize=8)
        panel.set_xticks([])
        panel.set_yticks([])
    panels[-1, 0].set_xlabel("left to right", fontsize=8)
    panels[-1, 0].set_ylabel("bottom to top", fontsize=8)
    if title:
        figure.suptitle(title)
    return figure


def plot_drift_map(image: npt.ArrayLike, *, title: str = "", ax: Axes | None = None) -> Figure:
    """Return a figure of a probe's drift map: spikes by depth and time.

    Parameters
    ----------
    image : array_like
        An image of ``session.drift_maps``: grey, or with colours (the last axis).
    title : str
    ax : matplotlib Axes, optional
        Where to draw. By default a new figure.

    Raises
    ------
    DependencyError
        matplotlib is not installed.
    """
    axes, figure = figure_axes(ax, (8, 4))
    axes.imshow(np.asarray(image), cmap="gray", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("time in the session →")
    axes.set_ylabel("tip ← depth → surface")
    if title:
        axes.set_title(title)
    figure.tight_layout()
    return figure


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise DependencyError(
            "Figures need matplotlib: pip install 'project-cache[plot]' (or pip install matplotlib)."
        ) from error
    return pyplot
