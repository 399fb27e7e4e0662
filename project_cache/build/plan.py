"""One recording and how it is to be built: its readers, options, graph of components and recipe."""

from __future__ import annotations

import copy
import dataclasses
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from project_cache.build.assembly import RAW
from project_cache.build.components import FUNCTIONS
from project_cache.build.graph import Graph
from project_cache.build.options import Options
from project_cache.build.recipe import NAMESPACE, Recipe, inputs_of
from project_cache.errors import ConfigurationError
from project_cache.manifest.keys import Key

if TYPE_CHECKING:
    from project_cache.raw.listings import Listings
    from project_cache.raw.places import AnyPath
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.registry import SessionInfo

__all__ = ["KIND", "BuildPlan"]

#: the kind of object that a build makes
KIND = "session_nwb"
_OPTIONS = {field.name for field in dataclasses.fields(Options)} - {"given"}


class BuildPlan:
    """A recording, and what its caller says of it.

    Parameters
    ----------
    path : path-like or RemotePath
        The raw folder.
    info : SessionInfo, optional
        What the project's registry says of the session.
    sorted_data_path, annotations_path : path-like, optional
        Where sorted output and CCF annotation lie, when it is neither inside the folder nor beside it.
    session_id : str, optional
        The session's id, where the folder's name alone does not tell it: the second recording of a day.
    raw : {'omit', 'lfp', 'copy'}
        What a built file does with the raw AP and LFP.
    listings : Listings, optional
        What folders hold, where that is known already: for plans of many sessions at once.
    **given
        Options of the build (see :class:`~project_cache.build.options.Options`), and components and flags that
        are what the caller says, whatever the files say: ``is_opto=False``.

    Raises
    ------
    MissingObjectError
        There is no such folder.
    ConfigurationError
        Something was said that no component is named by.
    """

    def __init__(
        self,
        path: Any,
        *,
        info: SessionInfo | None = None,
        sorted_data_path: Any = None,
        annotations_path: Any = None,
        session_id: str | None = None,
        raw: str = "omit",
        listings: Listings | None = None,
        **given: Any,
    ) -> None:
        if raw not in RAW:
            raise ConfigurationError(f"raw= is {raw!r}; it can be {', '.join(map(repr, RAW))}.")
        said = {**dict(getattr(info, "session_kwargs", None) or {}), **given}
        unknown = [name for name in given if name not in _OPTIONS and name not in FUNCTIONS]
        if unknown:
            raise ConfigurationError(
                f"{unknown[0]!r} is neither an option of a build ({', '.join(sorted(_OPTIONS))}) nor the name of a "
                f"component or flag of a session."
            )
        chosen = {name: value for name, value in said.items() if name in _OPTIONS}
        if "invalid_times" in chosen:
            chosen["invalid_times"] = tuple(dict(each) for each in chosen["invalid_times"] or ())
        if "excluded_stim_file_names" in chosen:
            chosen["excluded_stim_file_names"] = tuple(chosen["excluded_stim_file_names"])
        self.given = {
            name: value for name, value in said.items() if name in FUNCTIONS and name not in _OPTIONS
        }
        self.options = Options(**chosen, given=self.given)
        self.info = info
        self.path = path
        self.raw_mode: Any = raw
        from project_cache.raw.recording import RawRecording

        self.raw: RawRecording = RawRecording(
            path,
            sorted_data_path=sorted_data_path,
            annotations_path=annotations_path,
            excluded_stim_file_names=self.options.excluded_stim_file_names,
            session_id=session_id,
            experiment_day=getattr(info, "experiment_day", None),
            listings=listings,
        )

    def __repr__(self) -> str:
        return f"BuildPlan({str(self.raw.root)!r})"

    @property
    def session_id(self) -> str:
        """The session's id: ``"668755_2023-08-31"``."""
        return str(self.raw.id)

    @property
    def identifier(self) -> str:
        """An identifier for the session while it is only in memory: it derives from its id."""
        return str(uuid.uuid5(NAMESPACE, f"raw:{self.session_id}"))

    def with_raw(self, raw: str) -> BuildPlan:
        """Return the same plan, with another way to treat the raw AP and LFP."""
        if raw not in RAW:
            raise ConfigurationError(f"raw= is {raw!r}; it can be {', '.join(map(repr, RAW))}.")
        other = copy.copy(self)
        other.raw_mode = raw
        return other

    def graph(self) -> Graph:
        """Return the graph of the recording's components, with nothing computed yet."""

        def clock() -> Any:
            from project_cache.build.clock import SessionClock

            return SessionClock(self.raw, self.options)

        inputs = {"raw": self.raw, "options": self.options, "clock": clock, "info": self.info}
        graph = Graph(FUNCTIONS, inputs, late=("clock",))
        for name, value in self.given.items():
            graph.set(name, value)
        return graph

    def inputs(self) -> dict[str, AnyPath]:
        """Return every file that the build may read, by the name it goes by in the recipe."""
        folders: dict[str, Any] = {"raw": self.raw.root, "sorted": self.raw.sorted_path}
        found = inputs_of(folders)
        root = str(self.raw.root)
        for letter, path in self.raw.annotation_paths.items():
            if not str(path).startswith(root):
                found[f"annotations/{letter}"] = path
        return found

    def recipe(
        self,
        known: Mapping[str, tuple[int, int, str]] | None = None,
        files: Mapping[str, AnyPath] | None = None,
    ) -> Recipe:
        """Return the recipe of the recording as its files are now.

        Parameters
        ----------
        known : mapping, optional
            Digests from before, as in :meth:`Recipe.of`.
        files : mapping, optional
            What :meth:`inputs` returned, if that has been asked already.
        """
        parameters: dict[str, Any] = dataclasses.asdict(self.options)
        parameters |= {"raw": self.raw_mode}
        if self.info is not None:
            parameters["info"] = {
                name: getattr(self.info, name, None)
                for name in ("project", "experiment_day", "notes", "issues")
            }
        return Recipe.of(self.session_id, files if files is not None else self.inputs(), parameters, known)

    def key(self, recipe: Recipe) -> Key:
        """Return the key of what a recipe makes: another recipe is another object."""
        return Key(KIND, (self.session_id, recipe.digest))
