"""DynamicRoutingSession: a recording of the Dynamic Routing project, raw or built."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from project_cache.build.components import COMPONENTS, FUNCTIONS, in_place
from project_cache.errors import ComponentUnavailable, ConfigurationError
from project_cache.nwb.file import NWBReader
from project_cache.sessions.attributes import attribute
from project_cache.sessions.dynamic_routing_names import ALIASES, DERIVED, ITEM_ALIASES, RAW_ATTRIBUTES
from project_cache.sessions.dynamic_routing_providers import BuiltComponents, Components, RawComponents

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pynwb
    from numpy.typing import NDArray

    from project_cache.build.plan import BuildPlan
    from project_cache.raw.identity import SessionRecord
    from project_cache.raw.recording import RawRecording

__all__ = ["DynamicRoutingSession"]


class Items(Mapping[str, Any]):
    """NWB objects by name; also by the name that npc_sessions has for them."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = dict(found)

    def __getitem__(self, name: str) -> Any:
        try:
            return self._found[name if name in self._found else ITEM_ALIASES.get(name, name)]
        except KeyError:
            raise ComponentUnavailable(
                f"There is no {name!r} here. There is: {', '.join(self._found) or 'nothing'}."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        lines = [f"  {name}: {type(value).__name__}" for name, value in self._found.items()]
        return "\n".join(["{", *lines, "}"])


class DynamicRoutingSession:
    """One session of the Dynamic Routing project, from its raw folder or from the NWB that was built of it.

    Each component (``trials``, ``units``, ``running_speed`` …) is a pynwb object that is made when it is asked for,
    and alone: nothing is read that it is not made from. What a recording cannot have raises
    :class:`~project_cache.errors.ComponentUnavailable`, which says why; :attr:`components` lists what there is.

    Parameters
    ----------
    session : str or path-like
        An id (``"668755_2023-08-31"``), which is looked up in `root`; or a path to a raw folder, to a file in one,
        or to an NWB file that was built.
    root : path-like or sequence of them, optional
        Folders or S3 prefixes in which raw folders lie. By default those in ``PROJECT_CACHE_RAW`` (separated as in
        ``PATH``), then those of the manifest ``dynamic-routing``.
    registry : path-like, optional
        The project's registry of sessions (YAML). By default the manifest's.
    cache_dir : path-like, optional
        Where :meth:`write_nwb` puts what it builds. By default ``PROJECT_CACHE_DIR``, or the user's cache folder.
    sorted_data_path, annotations_path : path-like, optional
        Where spike-sorted output and CCF annotation lie, when it is neither inside the raw folder nor beside it.
    **given
        What the caller knows better, and options of the build: ``is_opto=False``, ``invalid_times=[{"start_time": 10,
        "stop_time": 20, "reason": "…"}]``, ``probe_letters_to_skip="DE"``, ``lfp_channel_stride=2`` …

    Raises
    ------
    MissingObjectError
        There is no such file or folder, or no root has the session.

    Notes
    -----
    Times are in seconds from the first sample of the sync file; without one, from the first frame of the task.
    """

    def __init__(
        self,
        session: Any,
        *,
        root: Any = None,
        registry: Any = None,
        cache_dir: str | os.PathLike[str] | None = None,
        sorted_data_path: Any = None,
        annotations_path: Any = None,
        **given: Any,
    ) -> None:
        self._values: dict[str, Any] = {}
        self._cache_dir = cache_dir
        if is_built(session):
            if given:
                raise ConfigurationError(
                    f"{session} is built: what it was built with cannot be changed ({', '.join(given)}). Give the raw "
                    f"folder to build it anew."
                )
            self._components: Components = BuiltComponents(
                session if isinstance(session, NWBReader) else Path(session)
            )
            return
        from project_cache.build.plan import BuildPlan
        from project_cache.raw.project import found, information

        self.kwargs = dict(given)
        if looks_like_id(session):
            path, info = found(session, root, registry)
        else:
            path, info = session, information([session], registry)
        plan = BuildPlan(
            path, info=info, sorted_data_path=sorted_data_path, annotations_path=annotations_path, **given
        )
        self._components = RawComponents(plan)

    @classmethod
    def from_plan(cls, plan: BuildPlan, *, cache_dir: str | os.PathLike[str] | None = None) -> Self:
        """Return the session of a build that has been planned already."""
        self = cls.__new__(cls)
        self._values, self._cache_dir, self.kwargs = {}, cache_dir, dict(plan.given)
        self._components = RawComponents(plan)
        return self

    # What it is --------------------------------------------------------------------------------

    @property
    def id(self) -> SessionRecord:
        """The session's id, which equals every other way to write it."""
        return self._components.id

    @property
    def session_id(self) -> str:
        """The session's id, as text."""
        return str(self.id)

    @property
    def info(self) -> Any:
        """What the project's registry says of the session, or None."""
        return self._components.info

    @property
    def is_built(self) -> bool:
        """Whether this reads an NWB file that was built, rather than the raw folder."""
        return isinstance(self._components, BuiltComponents)

    @property
    def path(self) -> Any:
        """The raw folder; of a built session, the NWB file."""
        return self._components.path

    @property
    def raw(self) -> RawRecording:
        """The readers of the raw folder.

        Raises
        ------
        ComponentUnavailable
            This is a built session, and its raw folder is not there.
        """
        return self._components.raw

    @property
    def components(self) -> list[str]:
        """The names of the components that this recording has.

        Of a raw recording each has to be tried: that takes as long as computing them. What would take computing from
        the pixels of videos is not among them unless ``video_features=True`` was given, and can be asked for by name.
        """
        return [c.name for c in COMPONENTS if c.place and self._components.has(c.name)]

    # Components --------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        # only what is not found otherwise comes here
        if name.startswith("_") or "_components" not in self.__dict__:
            raise AttributeError(name)
        known = getattr(type(self), name, None)
        if known is not None:
            # a property whose component is unavailable, which is an AttributeError: raised again, to say why
            return known.__get__(self, type(self))
        if name in FUNCTIONS:
            return self._components[name]
        if name in DERIVED:
            return DERIVED[name](self)
        ours = ALIASES.get(name, name)
        if ours in RAW_ATTRIBUTES:
            return getattr(self.raw, ours)
        raise AttributeError(f"A {type(self).__name__} has no {name!r}.")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *FUNCTIONS, *RAW_ATTRIBUTES, *ALIASES, *DERIVED})

    @property
    def nwb(self) -> pynwb.NWBFile:
        """The whole session as a :class:`pynwb.NWBFile`, with the raw AP and LFP memory-mapped."""
        return self._components.nwb

    @property
    def acquisition(self) -> Items:
        """What was recorded, by name: raw AP and LFP, lick edges, rewards, frame times."""
        return self._place("acquisition")

    @property
    def processing(self) -> dict[str, Items]:
        """What was made of it, by module (``behavior``, ``ecephys``) and name."""
        found = {name: self._place(f"processing/{name}") for name in ("behavior", "ecephys")}
        return {name: items for name, items in found.items() if items}

    @property
    def analysis(self) -> Items:
        """Results, by name: histograms, drift maps, receptive fields, performance."""
        return self._place("analysis", "performance")

    @property
    def intervals(self) -> Items:
        """The tables of trials, one for each stimulus that has them, and the performance by block."""
        return self._place("intervals", "trials")

    @property
    def stimulus_template(self) -> Items:
        """The gratings, sounds and laser waveforms that were used, by name."""
        return self._place("stimulus_template")

    def _place(self, place: str, *more: str) -> Items:
        from project_cache.build.assembly import flattened

        found: dict[str, Any] = {}
        for name in (*in_place(place), *more):
            if self._components.has(name):
                made = self._components[name]
                found |= {each.name: each for each in flattened(made)}
        return Items(found)

    @property
    def intervals_descriptions(self) -> dict[str, str]:
        """What each table of trials is, by name."""
        return {name: table.description for name, table in self.intervals.items()}

    def is_valid_interval(self, start_time: float, stop_time: float) -> bool:
        """Return whether a stretch of time (seconds) overlaps none of the session's invalid times."""
        table = self._components.get("invalid_times")
        if table is None:
            return True
        frame = table.to_dataframe()
        return not bool(((frame["start_time"] < stop_time) & (frame["stop_time"] > start_time)).any())

    # Raw ---------------------------------------------------------------------------------------

    @property
    def stim_data_without_timing_issues(self) -> tuple[Any, ...]:
        """The stimulus files whose times can be trusted, in order."""
        return tuple(self._clock.usable)

    @attribute
    def stim_frame_times(self) -> dict[str, NDArray[np.float64] | Exception]:
        """When each frame of each stimulus file was on the screen (seconds); or why that is not known."""
        found: dict[str, Any] = {}
        for stimulus in self.raw.stimuli:
            issue = self._clock.issues.get(stimulus.stem)
            found[stimulus.stem] = (
                ComponentUnavailable(issue) if issue else self._clock.frames(stimulus).display
            )
        return found

    @attribute
    def ephys_timing_data(self) -> dict[str, Any]:
        """The clock of each ephys stream on sync time: ``rate`` (Hz), ``start``, ``stop`` and ``residual`` (s)."""
        ephys = self.raw.ephys
        if ephys is None:
            raise ComponentUnavailable(f"{self.path} has no recordings of probes, so no clocks of them.")
        return {name: self._clock.stream(name) for name in ephys.streams}

    @property
    def _clock(self) -> Any:
        return self._components["clock"]

    @attribute
    def probe_letters_to_use(self) -> tuple[str, ...]:
        """The letters of the probes that the built session has."""
        groups = self._components.get("electrode_groups") or {}
        return tuple(sorted(name.removeprefix("probe") for name in groups))

    @property
    def probe_letters_to_skip(self) -> str:
        """The letters of the probes that were left out because the caller or the registry said so."""
        return str(getattr(self._components.options, "probe_letters_to_skip", ""))

    def get_obs_intervals(self, probe: str) -> NDArray[np.float64]:
        """Return when a probe was recorded: one row of start and stop (s).

        Parameters
        ----------
        probe : str
            Its letter.
        """
        import numpy

        ephys = self.raw.ephys
        if ephys is None:
            raise ComponentUnavailable(f"{self.path} has no recordings of probes.")
        clock = self._clock.stream(ephys.stream(probe.upper().removeprefix("PROBE"), "AP").name)
        return numpy.array([[clock.start, min(clock.stop, self._clock.stop)]])

    @property
    def surface_recording(self) -> DynamicRoutingSession:
        """The recording of the surface channels that belongs to this session.

        Raises
        ------
        ComponentUnavailable
            There is none.
        """
        path = self.raw.surface_root_path
        if path is None:
            raise ComponentUnavailable(f"{self.path} has no recording of surface channels beside it.")
        from project_cache.build.plan import BuildPlan

        record = self.id.with_idx(1)
        return DynamicRoutingSession.from_plan(BuildPlan(path, session_id=str(record), is_task=False))

    # Writing -----------------------------------------------------------------------------------

    def write_nwb(
        self, path: str | os.PathLike[str] | None = None, *, raw: str = "omit", force: bool = False
    ) -> Path:
        """Build the NWB file, and return where it is.

        Parameters
        ----------
        path : path-like, optional
            Where. By default the cache, where the same recording with the same parameters is built once, whoever
            asks.
        raw : {'omit', 'lfp', 'copy'}
            What is done with the raw AP and LFP: left out (two hours of a probe are 166 GB), the LFP alone copied,
            or both; the file says which.
        force : bool
            Whether a file that is at `path` already may be replaced. (A build in the cache that failed before is
            tried again.)

        Raises
        ------
        BuildError
            A component cannot be made.
        """
        from project_cache.sessions.dynamic_routing_building import built, written

        plan = self._components.plan
        if path is None:
            return built(plan.with_raw(raw), cache_dir=self._cache_dir, retry=force)
        return written(plan.with_raw(raw), Path(path), force=force)

    def __repr__(self) -> str:
        from project_cache.display.html import summary_text
        from project_cache.sessions.dynamic_routing_shown import session_summary

        return summary_text(session_summary(self))

    def _repr_html_(self) -> str:
        from project_cache.display.html import summary_html
        from project_cache.sessions.dynamic_routing_shown import session_summary

        return summary_html(session_summary(self))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files that are open."""
        self._components.close()

    def to_dataframes(
        self, names: Iterable[str] = ("trials", "performance", "units")
    ) -> dict[str, pd.DataFrame]:
        """Return components that are tables as frames, by name; those that the recording lacks are left out."""
        found = {name: self._components.get(name) for name in names}
        return {name: table.to_dataframe() for name, table in found.items() if table is not None}


def is_built(session: Any) -> bool:
    """Return whether what was given is an NWB file."""
    if isinstance(session, NWBReader):
        return True
    return isinstance(session, str | os.PathLike) and str(os.fspath(session)).lower().endswith(".nwb")


def looks_like_id(session: Any) -> bool:
    """Return whether what was given is an id rather than a path: it has no slash, backslash or dot."""
    return isinstance(session, str) and not any(c in session for c in "/\\.") and not Path(session).exists()
