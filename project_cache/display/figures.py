"""Figures from plain arrays. Nothing here reads a file, and pyplot's global state is left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from project_cache.errors import ConfigurationError, DependencyError
from project_cache.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["binned_rates", "flash_responses", "raster_and_psth", "write_png"]

Floats = npt.NDArray[np.float64]

#: Okabe and Ito's colours, told apart by (almost) every eye, but for the yellow that white paper swallows
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444")
INK = "#222222"
FAINT = "#8A8A8A"
SHADE = ("#E3E6E9", "#FBEFC8", "#DCE9F5", "#EBE1F2")
#: from the eye inwards; the hippocampus, which sees nothing, stands last for comparison
PATHWAY = ("LGd", "VISp", "VISl", "VISrl", "VISal", "VISpm", "VISam", "LP", "CA1")
FLASHES = {"white flash": "#FBEFC8", "dark flash": "#DADDE1"}
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
}


def raster_and_psth(
    spike_times: Mapping[Any, npt.ArrayLike] | Sequence[npt.ArrayLike],
    onsets: npt.ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    condition_colours: Mapping[str, str] | None = None,
    duration: float | None = None,
    window: tuple[float, float] = (-0.1, 0.5),
    bin_size: float = 0.01,
    raster_onsets: int = 3,
    max_units: int = 45,
    title: str = "",
    footnote: str = "",
) -> Figure:
    """Return a figure: the spikes around a few presentations, and the mean rates around all of them.

    Parameters
    ----------
    spike_times : mapping or sequence of array_like
        For each unit its spike times (s), ascending. The keys of a mapping are not shown.
    onsets : array_like
        When the presentations began (s).
    groups : sequence of str, optional
        For each unit the group it is coloured by, such as its brain area. Groups are drawn from the top
        down in the order of their first units.
    conditions : sequence of str, optional
        For each onset its condition; each has a panel of rates of its own, in order of appearance.
    condition_colours : mapping of str to str, optional
        Pale colours for the time that something is shown. The panels follow the order of its keys.
    duration : float, optional
        How long a presentation lasts (s); that time is shaded.
    window : tuple of float
        Around each onset (s), for the rates.
    bin_size : float
        Of the rates (s).
    raster_onsets : int
        How many presentations the raster covers.
    max_units : int
        How many units the raster shows at most, evenly thinned within the groups. The rates are of all.
    title, footnote : str

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas of its own: works without a display and leaves pyplot alone. Bands are the standard
        error of the mean over presentations.

    Raises
    ------
    ConfigurationError
        There are no units or no onsets, or labels do not match them in number.
    DependencyError
        matplotlib is not installed.
    """
    trains = [np.asarray(t, dtype=float) for t in _values(spike_times)]
    starts = np.sort(np.asarray(onsets, dtype=float))
    order = np.argsort(np.asarray(onsets, dtype=float), kind="stable")
    of_unit = list(groups) if groups is not None else ["all units"] * len(trains)
    labels = list(conditions) if conditions is not None else ["all presentations"] * len(starts)
    if not trains or not len(starts):
        raise ConfigurationError("A raster needs at least one unit and one onset.")
    if len(of_unit) != len(trains) or len(labels) != len(starts):
        raise ConfigurationError(
            f"There are {len(trains)} units with {len(of_unit)} groups, and {len(starts)} onsets with "
            f"{len(labels)} conditions: give one for each."
        )
    of_onset = [labels[i] for i in order]
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise DependencyError(
            "Figures need matplotlib: pip install 'project-cache[plot]' (or pip install matplotlib)."
        ) from error

    names = list(dict.fromkeys(of_unit))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    given = {k: c for k, c in (condition_colours or {}).items() if k in of_onset}
    others = [kind for kind in dict.fromkeys(of_onset) if kind not in given]
    shades = given | {kind: SHADE[i % len(SHADE)] for i, kind in enumerate(others)}
    kinds = list(shades)
    with rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05, wspace=0.03, hspace=0.03)
        figure = Figure(figsize=(11.0, 5.8), dpi=150, facecolor="white", layout=layout)
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(len(kinds), 2, width_ratios=[1.5, 1.0])
        raster = figure.add_subplot(grid[:, 0])
        _draw_raster(
            raster, trains, of_unit, colours, starts, of_onset, shades, raster_onsets, duration, max_units
        )
        edges = np.arange(window[0], window[1] + bin_size / 2, bin_size)
        rates = binned_rates(trains, starts, edges)
        first: Axes | None = None
        for row, kind in enumerate(kinds):
            axes = figure.add_subplot(grid[row, 1], sharex=first, sharey=first)
            first = first or axes
            chosen = np.array([k == kind for k in of_onset])
            _draw_rates(axes, rates[:, chosen], edges, of_unit, colours, duration, shades[kind])
            axes.set_title(f"{kind} (n = {chosen.sum()})", loc="left", fontsize=10, pad=4)
            axes.tick_params(labelbottom=row == len(kinds) - 1)
        if first is not None:
            first.set_ylim(bottom=0.0)
            if len(names) > 1:
                first.legend(
                    frameon=False, fontsize=9, loc="upper right", handlelength=1.2, labelspacing=0.25, ncols=1
                )
        axes.set_xlabel("time from onset (s)")
        if title:
            figure.suptitle(title, x=0.012, ha="left", fontsize=12.5, fontweight="bold")
        if footnote:
            figure.supxlabel(footnote, x=0.012, ha="left", fontsize=8.5, color=FAINT)
    return figure


def flash_responses(
    units: pd.DataFrame,
    spike_times: Mapping[Any, npt.ArrayLike],
    presentations: pd.DataFrame,
    *,
    max_areas: int = 5,
    title: str = "",
    footnote: str = "",
) -> Figure:
    """Return the figure of :func:`raster_and_psth` for a session's flashes, by brain area.

    Parameters
    ----------
    units : pandas.DataFrame
        By unit id, with ``ecephys_structure_acronym`` (or ``structure_acronym``).
    spike_times : mapping
        From unit id to spike times (s). Only those of the units shown are asked for.
    presentations : pandas.DataFrame
        With ``stimulus_name``, ``start_time``, ``stop_time`` and ``color``: 1 for white, -1 for black.
    max_areas : int
        How many areas at most, of those along the visual pathway that have five units or more.
    title, footnote : str

    Raises
    ------
    ConfigurationError
        There were no flashes, or no area of the visual pathway was recorded.
    """
    column = next((c for c in ("ecephys_structure_acronym", "structure_acronym") if c in units), None)
    flashes = presentations[presentations["stimulus_name"] == "flashes"]
    areas: dict[str, list[Any]] = {}
    if column is not None:
        for area in PATHWAY:
            members = units.index[(units[column] == area).to_numpy()].tolist()
            if len(members) >= 5:
                areas[area] = members
    if not len(flashes) or not areas:
        raise ConfigurationError(
            "This session has no flashes, or no five units in an area of the visual pathway: "
            "raster_and_psth() draws any units around any times."
        )
    last = list(areas)[-1]
    kept = [*list(areas)[: max_areas - 1], last] if len(areas) > max_areas else list(areas)
    chosen = [(area, unit) for area in kept for unit in areas[area]]
    white, dark = FLASHES
    start = flashes["start_time"].to_numpy(float)
    return raster_and_psth(
        [spike_times[unit] for _, unit in chosen],
        start,
        groups=[area for area, _ in chosen],
        conditions=[white if float(c) > 0 else dark for c in flashes["color"]],
        condition_colours=FLASHES,
        duration=float(np.median(flashes["stop_time"].to_numpy(float) - start)),
        title=title,
        footnote=footnote,
    )


def _values(spike_times: Mapping[Any, npt.ArrayLike] | Sequence[npt.ArrayLike]) -> list[npt.ArrayLike]:
    return list(spike_times.values() if isinstance(spike_times, Mapping) else spike_times)


def binned_rates(trains: Sequence[Floats], onsets: Floats, edges: Floats) -> Floats:
    """Return firing rates (spikes/s) of units by presentations by bins.

    Parameters
    ----------
    trains : sequence of array
        For each unit its spike times (s), ascending.
    onsets : array (n_onsets,)
        Seconds.
    edges : array (n_bins + 1,)
        Of the bins, from the onset (s). A spike on an edge belongs to the bin that begins there.

    Examples
    --------
    >>> binned_rates([np.array([1.0, 1.05, 2.15])], np.array([1.0, 2.0]), np.array([0.0, 0.1, 0.2]))
    array([[[20.,  0.],
            [ 0., 10.]]])
    """
    at = np.asarray(onsets)[:, None] + np.asarray(edges)[None, :]
    counts = np.stack([np.diff(np.searchsorted(train, at), axis=1) for train in trains])
    return np.asarray(np.round(counts / np.diff(edges), 9))


def _draw_raster(
    axes: Axes,
    trains: list[Floats],
    of_unit: list[str],
    colours: dict[str, str],
    starts: Floats,
    of_onset: list[str],
    shades: dict[str, str],
    count: int,
    duration: float | None,
    max_units: int,
) -> None:
    seen = starts[:count]
    spacing = float(np.diff(seen).min()) if len(seen) > 1 else 1.0
    left, right = seen[0] - 0.3 * spacing, seen[-1] + 0.8 * spacing
    for start, kind in zip(seen, of_onset, strict=False):
        axes.axvspan(start, start + (duration or 0.004 * (right - left)), color=shades[kind], lw=0, zorder=0)
        axes.annotate(
            kind,
            (start, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            fontsize=9,
            color=FAINT,
        )
    row, drawn, ticks = 0.0, 0, []
    for name, colour in colours.items():
        members = [i for i, group in enumerate(of_unit) if group == name]
        share = max(1, round(max_units * len(members) / len(trains)))
        shown = [members[i] for i in np.unique(np.linspace(0, len(members) - 1, share).astype(int))]
        spikes = [trains[i][slice(*np.searchsorted(trains[i], (left, right)))] for i in shown]
        axes.eventplot(
            spikes,
            lineoffsets=[row + n for n in range(len(shown))],
            linelengths=0.86,
            linewidths=0.9,
            colors=colour,
        )
        ticks.append((row + (len(shown) - 1) / 2, name, colour))
        row += len(shown) + 1.2
        drawn += len(shown)
    axes.set_ylim(row - 1.2, -1.0)
    axes.set_xlim(left, right)
    axes.set_yticks([t for t, _, _ in ticks], [n for _, n, _ in ticks])
    for label, (_, _, colour) in zip(axes.get_yticklabels(), ticks, strict=True):
        label.set_color(colour)
        label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("time in the session (s)")
    whole = len(trains)
    axes.set_ylabel(f"{drawn} of {whole} units" if drawn < whole else f"{whole} units")


def _draw_rates(
    axes: Axes,
    rates: Floats,
    edges: Floats,
    of_unit: list[str],
    colours: dict[str, str],
    duration: float | None,
    shade: str,
) -> None:
    if duration is not None:
        axes.axvspan(0.0, duration, color=shade, lw=0, zorder=0)
    else:
        axes.axvline(0.0, color=FAINT, lw=0.8, ls=":")
    centres = (edges[:-1] + edges[1:]) / 2
    for name, colour in colours.items():
        members = np.array([group == name for group in of_unit])
        each = rates[members].mean(axis=0)
        mean = each.mean(axis=0)
        axes.plot(centres, mean, color=colour, lw=1.6, label=name)
        if len(each) > 1:
            error = each.std(axis=0, ddof=1) / np.sqrt(len(each))
            axes.fill_between(centres, mean - error, mean + error, color=colour, alpha=0.2, lw=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylabel("spikes/s per unit")


def write_png(figure: Figure, path: str | Path, *, title: str = "", description: str = "") -> Path:
    """Return ``path``, where the figure now is as a PNG that says what it shows and what made it.

    Nothing that depends on the moment is written: the same figure gives the same file.
    """
    path = Path(path)
    said = {"Title": title, "Description": description, "Software": "project_cache"}
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={k: v for k, v in said.items() if v})
    return path
