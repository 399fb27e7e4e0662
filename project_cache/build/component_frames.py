"""Components as frames, for the caches of components: one parquet file for each session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from project_cache.errors import ComponentUnavailable, UnknownObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from project_cache.raw.identity import SessionRecord

__all__ = ["COMPONENT_FRAMES", "component_frame", "identified", "named_frame"]

#: columns of units that stay out of the project-wide table: they are large, and have components of their own
LARGE_UNIT_COLUMNS = (
    "spike_times",
    "spike_amplitudes",
    "waveform_mean",
    "waveform_sd",
    "electrodes",
    "obs_intervals",
)


def _table(made: Any) -> pd.DataFrame:
    frame = made.to_dataframe().reset_index(names="id") if not isinstance(made, pd.DataFrame) else made
    return frame[[c for c in frame.columns if not _holds_objects(frame[c])]]


def _holds_objects(column: pd.Series[Any]) -> bool:
    """Return whether a column's values are NWB objects or frames rather than data."""
    first = column.iloc[0] if len(column) else None
    return isinstance(first, pd.DataFrame | pd.Series) or type(first).__module__.startswith(("pynwb", "hdmf"))


def _units(made: Any) -> pd.DataFrame:
    frame = _table(made)
    frame = frame[[c for c in frame.columns if c not in LARGE_UNIT_COLUMNS]]
    return frame.sort_values("location", kind="stable") if "location" in frame else frame


def _spike_column(name: str) -> Callable[[Any], pd.DataFrame]:
    def frame(made: Any) -> pd.DataFrame:
        if name not in made.colnames:
            raise ComponentUnavailable(f"The units have no {name}.")
        ids = made["unit_id"][:] if "unit_id" in made.colnames else made.id[:]
        return pd.DataFrame(
            {"unit_id": list(ids), name: [np.asarray(made[name][n]) for n in range(len(made))]}
        )

    return frame


def _series(made: Any) -> pd.DataFrame:
    data = np.asarray(made.data[:])
    if made.timestamps is not None:
        times = np.asarray(made.timestamps[:])
    else:
        times = made.starting_time + np.arange(len(data)) / made.rate
    return pd.DataFrame({"timestamps": times, "data": data})


def _events(made: Any) -> pd.DataFrame:
    return pd.DataFrame({"timestamps": np.asarray(made.timestamps[:])})


def _subject(made: Any) -> pd.DataFrame:
    names = ("age", "sex", "genotype", "strain", "species", "date_of_birth")
    return pd.DataFrame(
        [{name: None if getattr(made, name) is None else str(getattr(made, name)) for name in names}]
    )


def _groups(made: Mapping[str, Any]) -> pd.DataFrame:
    rows = [
        {"name": g.name, "description": g.description, "location": getattr(g, "location", None)}
        for g in made.values()
    ]
    return pd.DataFrame(rows)


#: what can be had of the whole project as one frame: its name, the component it is made of, and how
COMPONENT_FRAMES: Mapping[str, tuple[str, Callable[[Any], pd.DataFrame]]] = {
    "trials": ("trials", _table),
    "performance": ("performance", _table),
    "epochs": ("epochs", _table),
    "invalid_times": ("invalid_times", _table),
    "vis_rf_mapping_trials": ("vis_rf_mapping_trials", _table),
    "aud_rf_mapping_trials": ("aud_rf_mapping_trials", _table),
    "optotagging_trials": ("optotagging_trials", _table),
    "response_metrics": ("response_metrics", _table),
    "subject": ("subject", _subject),
    "devices": ("devices", _groups),
    "electrode_groups": ("electrode_groups", _groups),
    "electrodes": ("electrodes", _table),
    "units": ("units", _units),
    "spike_times": ("units", _spike_column("spike_times")),
    "spike_amplitudes": ("units", _spike_column("spike_amplitudes")),
    "licks": ("licks", _events),
    "rewards": ("rewards", _events),
    "running_speed": ("running_speed", _series),
}
#: the names that npc_sessions has for some of them
_OTHER_NAMES = {
    "vis_rf_mapping": "vis_rf_mapping_trials",
    "aud_rf_mapping": "aud_rf_mapping_trials",
    "optotagging": "optotagging_trials",
}


def named_frame(name: str) -> str:
    """Return the name of a component frame; npc_sessions' names are known too.

    Raises
    ------
    UnknownObjectError
        There is none of that name.
    """
    name = _OTHER_NAMES.get(name, name)
    if name not in COMPONENT_FRAMES:
        raise UnknownObjectError(
            f"There is no project-wide table of {name!r}; there are {', '.join(sorted(COMPONENT_FRAMES))}."
        )
    return name


def component_frame(name: str, component: Callable[[str], Any]) -> pd.DataFrame:
    """Return a component of one session as a frame.

    Parameters
    ----------
    name : str
        One of :data:`COMPONENT_FRAMES`.
    component : callable
        Gives a session's component by name.

    Raises
    ------
    ComponentUnavailable
        The session does not have it.
    """
    of, frame = COMPONENT_FRAMES[name]
    return frame(component(of))


def identified(frame: pd.DataFrame, session: SessionRecord) -> pd.DataFrame:
    """Return a frame whose rows say of which session they are."""
    columns: dict[str, Any] = {
        "session_id": str(session),
        "subject_id": int(session.subject),
        "date": str(session.date),
        "session_idx": int(session.idx),
    }
    return frame.reset_index(drop=True).assign(**columns)
