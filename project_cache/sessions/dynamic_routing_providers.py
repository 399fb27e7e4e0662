"""The two ways to a session's components: computed from the raw folder, or read from the NWB that was built."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache.build.assembly import assemble, from_pixels
from project_cache.build.components import COMPONENTS, FUNCTIONS
from project_cache.errors import ComponentUnavailable, MissingDataError, UnknownObjectError
from project_cache.sessions.base import Session
from project_cache.store.receipts import Receipt

if TYPE_CHECKING:
    import pynwb

    from project_cache.build.plan import BuildPlan
    from project_cache.nwb.file import NWBReader
    from project_cache.raw.identity import SessionRecord
    from project_cache.raw.recording import RawRecording

__all__ = ["BuiltComponents", "Components", "RawComponents"]

_PLACES = {component.name: component.place for component in COMPONENTS}
#: frames that components are made from, by the object that a built file has instead
_FRAMES = {"trials_table": "trials", "performance_table": "performance"}


class Components(ABC):
    """A session's components, by name."""

    @abstractmethod
    def __getitem__(self, name: str) -> Any:
        """Return a component; :class:`ComponentUnavailable` says why there is none."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a component, or `default` where there is none."""
        try:
            return self[name]
        except MissingDataError:
            return default

    def has(self, name: str) -> bool:
        """Return whether there is such a component."""
        return self.get(name) is not None

    @abstractmethod
    def known(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is in memory, by name to what it is; and what is known not to be, to why. Reads nothing."""

    @property
    @abstractmethod
    def id(self) -> SessionRecord:
        """The session's id."""

    @property
    @abstractmethod
    def path(self) -> Any:
        """The raw folder, or the NWB file."""

    @property
    @abstractmethod
    def nwb(self) -> pynwb.NWBFile:
        """The whole session."""

    @property
    @abstractmethod
    def plan(self) -> BuildPlan:
        """How it is built."""

    @property
    def raw(self) -> RawRecording:
        """The readers of the raw folder."""
        return self.plan.raw

    @property
    def options(self) -> Any:
        """The options of the build."""
        return self.plan.options

    @property
    def info(self) -> Any:
        """What the registry says."""
        return None

    def close(self) -> None:
        """Let go of what is open: nothing, here."""
        return


class RawComponents(Components):
    """Components that are computed from a raw folder when they are asked for."""

    def __init__(self, plan: BuildPlan) -> None:
        self._plan = plan
        self._graph = plan.graph()
        self._nwb: pynwb.NWBFile | None = None

    def __getitem__(self, name: str) -> Any:
        return self._graph[name]

    def has(self, name: str) -> bool:
        """Return whether a build would have such a component; those from pixels it has where they are wanted."""
        return name not in from_pixels(self._graph) and self.get(name) is not None

    def known(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is in memory, by name to what it is; and what is known not to be, to why."""
        return self._graph.known()

    @property
    def id(self) -> SessionRecord:
        """The session's id."""
        return self._plan.raw.id

    @property
    def path(self) -> Any:
        """The raw folder."""
        return self._plan.raw.root

    @property
    def plan(self) -> BuildPlan:
        """How it is built."""
        return self._plan

    @property
    def info(self) -> Any:
        """What the registry says."""
        return self._plan.info

    @property
    def nwb(self) -> pynwb.NWBFile:
        """The whole session, in memory; raw AP and LFP stay on the disk."""
        if self._nwb is None:
            self._nwb = assemble(
                self._graph,
                identifier=self._plan.identifier,
                data_collection=f"Read from {self._plan.raw.root.name}." if self._graph["is_ephys"] else None,
            )
        return self._nwb


class BuiltComponents(Components):
    """Components that are read from an NWB file that was built."""

    def __init__(self, path: Path | NWBReader) -> None:
        self._file = Session(path)
        self._about: dict[str, Any] | None = None
        self._plan: BuildPlan | None = None

    @property
    def _said(self) -> dict[str, Any]:
        if self._about is None:
            text = self._file._text("scratch/session")
            if text is None:
                raise MissingDataError(
                    f"{self._file.path} was not built by this package: it does not say what its components are. Open it "
                    f"with Session({str(self._file.path)!r})."
                )
            self._about = dict(json.loads(text))
        return self._about

    def __getitem__(self, name: str) -> Any:
        if name == "session_start_time":
            return self._file.session_start_time
        if name in self._said["attributes"]:
            return self._said["attributes"][name]
        if name in _FRAMES:
            return self[_FRAMES[name]].to_dataframe()
        if name == "sam":
            from project_cache.build.sam import sam

            return sam(self["trials_table"])
        if name not in FUNCTIONS:
            raise UnknownObjectError(f"There is no component {name!r} in {self._file.path}.")
        place = _PLACES[name]
        said = self._said["components"].get(name)
        if not place or not isinstance(said, dict):
            why = said or "it is an intermediate result, which only the raw folder gives"
            raise ComponentUnavailable(f"{self._file.path} has no {name}: {why}")
        found = {each: _taken(self.nwb, place, each) for each in said["names"]}
        return found if said["several"] else next(iter(found.values()))

    def has(self, name: str) -> bool:
        """Return whether there is such a component, without reading it."""
        return isinstance(self._said["components"].get(name), dict)

    def known(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is in memory, by name to what it is; and what is known not to be, to why."""
        said = self._about["components"] if self._about else {}
        return {}, {name: why for name, why in said.items() if isinstance(why, str)}

    @property
    def id(self) -> SessionRecord:
        """The session's id."""
        from project_cache.raw.identity import SessionRecord

        return SessionRecord(self._file.session_id or self._file.path.stem)

    @property
    def path(self) -> Path:
        """The NWB file."""
        return self._file.path

    @property
    def nwb(self) -> pynwb.NWBFile:
        """The file, as pynwb reads it."""
        return self._file.nwb

    @property
    def plan(self) -> BuildPlan:
        """How it is built, if its raw folder is there."""
        if self._plan is None:
            from project_cache.build.plan import BuildPlan

            receipt = Receipt.read(self.path)
            folder = receipt.origin.removeprefix("build:") if receipt else ""
            if not folder or ("://" not in folder and not Path(folder).exists()):
                raise ComponentUnavailable(
                    f"{self.path} was built from {folder or 'a raw folder that is not known'}, which is not here: only "
                    f"the raw folder can answer this."
                )
            self._plan = BuildPlan(folder)
        return self._plan

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _taken(file: pynwb.NWBFile, place: str, name: str) -> Any:
    """Return an object of a file."""
    simple = {
        "subject": "subject", "electrodes": "electrodes", "units": "units", "epochs": "epochs", "trials": "trials",
        "invalid_times": "invalid_times",
    }  # fmt: skip
    if place in simple:
        return getattr(file, simple[place])
    if place.startswith("processing/"):
        return file.processing[place.removeprefix("processing/")][name]
    return getattr(file, place)[name]
