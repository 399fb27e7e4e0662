"""Sessions in the types of other libraries: pynapple's groups of spike trains, intervals and series."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project_cache.display.html import Item, Summary, summary_text
from project_cache.errors import DependencyError, MissingDataError

if TYPE_CHECKING:
    import pynapple

    from project_cache.sessions.base import Session

__all__ = ["PynappleData", "pynapple_data"]

#: pynapple keeps intervals apart by this much (s): those that touch or overlap it would join, and forget what
#: was said of each
_APART = 1e-6
_BOUNDS = ("start_time", "stop_time", "end_time", "duration")
_TIMES = ("start_time", "stop_time", "end_time", "timestamps")


@dataclass(frozen=True, slots=True, repr=False)
class PynappleData:
    """A recording in pynapple's types. What it does not have is None, or an empty mapping.

    Attributes
    ----------
    units : pynapple.TsGroup or None
        The spike times (s) by unit id; the columns of ``session.units`` are its metadata.
    presentations : dict of str to pynapple.IntervalSet
        For each stimulus when it was shown. Its parameters, ``stimulus_condition_id`` and
        ``stimulus_presentation_id`` are the metadata (``size`` is called ``size_``: pynapple has its own). An interval ends 1 µs before the next one begins, where
        the two would touch: pynapple joins those that do.
    epochs : pynapple.IntervalSet or None
        The stretches in which one stimulus was shown, with ``stimulus_name`` and ``stimulus_block``.
    trials : pynapple.IntervalSet or None
        The trials with their columns.
    invalid_times : pynapple.IntervalSet or None
        When anything is not to be trusted.
    running_speed : pynapple.Tsd or None
        The running speed (cm/s), at the middle of the time over which it was measured.
    """

    units: pynapple.TsGroup | None = None
    presentations: dict[str, pynapple.IntervalSet] = field(default_factory=dict)
    epochs: pynapple.IntervalSet | None = None
    trials: pynapple.IntervalSet | None = None
    invalid_times: pynapple.IntervalSet | None = None
    running_speed: pynapple.Tsd | None = None

    def __repr__(self) -> str:
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        shown = held.pop("presentations")
        facts = [Item(name, _counted(value)) for name, value in held.items()]
        facts += [Item(f"presentations[{name!r}]", _counted(value)) for name, value in shown.items()]
        return summary_text(Summary(type(self).__name__, "", tuple(facts)))


def _counted(value: Any) -> str:
    return "none in this recording" if value is None else f"{type(value).__name__} of {len(value):,}"


def pynapple_data(session: Session) -> PynappleData:
    """Return a session's units, intervals and running speed in pynapple's types."""
    nap = _pynapple()
    shown = _frame(session, "stimulus_presentations")
    running = _frame(session, "running_speed")
    trials = _frame(session, "trials")
    invalid = _frame(session, "invalid_times")
    return PynappleData(
        units=_units(nap, session, [t for t in (shown, running, trials) if t is not None]),
        presentations={} if shown is None else _presentations(nap, shown),
        epochs=None if shown is None or not len(shown) else _intervals(nap, _epochs(shown)),
        trials=None if trials is None else _intervals(nap, trials),
        invalid_times=None if invalid is None or not len(invalid) else _union(nap, invalid),
        running_speed=None if running is None or not len(running) else _speed(nap, running),
    )


def _pynapple() -> Any:
    try:
        import pynapple
    except ImportError as error:
        raise DependencyError(
            f"to_pynapple() needs pynapple ({error}): pip install 'project-cache[pynapple]' (or pip install pynapple)."
        ) from error
    return pynapple


def _frame(session: Session, name: str) -> pd.DataFrame | None:
    """Return a frame of the session, or None where the recording or its class has none of that name."""
    if not hasattr(type(session), name):
        return None
    try:
        found = getattr(session, name)
    except MissingDataError:
        return None
    return found if isinstance(found, pd.DataFrame) else None


def _units(nap: Any, session: Session, others: list[pd.DataFrame]) -> Any:
    """Return the units as a TsGroup that lasts as long as they and these other tables do."""
    table = _frame(session, "units")
    if table is None:
        return None
    try:
        trains = {unit: np.asarray(times) for unit, times in session.spike_times.items()}
    except MissingDataError:
        return None
    ends = [t[[0, -1]] for t in trains.values() if len(t)]
    ends += [t[c].to_numpy(dtype=np.float64) for t in others for c in _TIMES if c in t]
    known = np.concatenate([np.empty(0), *ends])
    if not np.isfinite(known).any():
        return None
    whole = nap.IntervalSet(np.nanmin(known), np.nanmax(known))
    table = table.loc[sorted(set(table.index.tolist()) & set(trains))]
    group = nap.TsGroup(
        {unit: nap.Ts(trains[unit], time_support=whole) for unit in table.index}, time_support=whole
    )
    group.set_info(_metadata(table, group))
    return group


def _presentations(nap: Any, shown: pd.DataFrame) -> dict[str, Any]:
    found = {}
    for name, rows in shown.groupby("stimulus_name", sort=False):
        said = rows.drop(columns="stimulus_name")
        # what this stimulus does not have: AllenSDK's frames hold the word for it
        without = [c for c in said if ((said[c] == "null") | said[c].isna()).all()]
        found[str(name)] = _intervals(nap, said.drop(columns=without))
    return found


def _epochs(shown: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of presentations of one block, with their bounds."""
    stops = "stop_time" if "stop_time" in shown else "end_time"
    by = [c for c in ("stimulus_name", "stimulus_block") if c in shown]
    said = shown[by].astype(object)
    changed = (said != said.shift()) & ~(said.isna() & said.shift().isna())
    run = changed.any(axis=1).cumsum()
    bounds = {
        "start_time": ("start_time", "min"),
        "stop_time": (stops, "max"),
        **{c: (c, "first") for c in by},
    }
    return shown.groupby(run.to_numpy()).agg(**bounds)


def _intervals(nap: Any, table: pd.DataFrame) -> Any:
    """Return the rows of a table as intervals, with its other columns and its index as their metadata."""
    stops = "stop_time" if "stop_time" in table else "end_time"
    rows = table.sort_values("start_time", kind="stable")
    start = rows["start_time"].to_numpy(dtype=np.float64)
    # as exact as pynapple keeps times
    start, stop = np.round(start, 9), np.round(rows[stops].to_numpy(dtype=np.float64), 9)
    stop[:-1] = np.minimum(stop[:-1], start[1:] - _APART)
    kept = stop > start  # neither NaN, nor empty, nor begun together with another
    made = nap.IntervalSet(start[kept], stop[kept])
    rows = rows[kept]
    if rows.index.name and rows.index.name not in rows:
        rows = rows.reset_index()
    made.set_info(_metadata(rows.drop(columns=[c for c in _BOUNDS if c in rows]), made))
    return made


def _union(nap: Any, table: pd.DataFrame) -> Any:
    """Return the time that any row of a table covers: rows of several probes may lie over each other."""
    rows = table.sort_values("start_time", kind="stable")
    start, stop = (rows[c].to_numpy(dtype=np.float64) for c in ("start_time", "stop_time"))
    reach = np.maximum.accumulate(stop)
    first = np.r_[True, start[1:] > reach[:-1] + _APART]
    return nap.IntervalSet(start[first], reach[np.r_[first[1:], True]])


def _speed(nap: Any, running: pd.DataFrame) -> Any:
    if "velocity" in running:
        middle = (running["start_time"] + running["end_time"]).to_numpy(dtype=np.float64) / 2
        return nap.Tsd(t=middle, d=running["velocity"].to_numpy())
    return nap.Tsd(t=running["timestamps"].to_numpy(), d=running["speed"].to_numpy())


def _metadata(table: pd.DataFrame, made: Any) -> dict[str, Any]:
    """Return the columns of a table as pynapple takes them; what it has a meaning of its own for gets an underscore."""
    taken = {*made._class_attributes, "rate"}
    said: dict[str, Any] = {}
    for name in table.columns:
        said[f"{name}_" if name in taken else str(name)] = table[name].to_numpy()
    return said
