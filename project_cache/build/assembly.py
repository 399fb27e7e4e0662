"""Putting components together: an NWB file in memory, or on the disk."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from project_cache.build.components import COMPONENTS
from project_cache.build.recipe import NAMESPACE, Recipe
from project_cache.errors import BuildError, MissingDataError, ProjectCacheError
from project_cache.files import translated

if TYPE_CHECKING:
    import pynwb

    from project_cache.build.graph import Graph

__all__ = ["RAW", "Raw", "assemble", "flattened", "from_pixels", "write"]

#: what is done with the raw AP and LFP: left out, the LFP alone copied, or both copied
Raw = Literal["omit", "lfp", "copy"]
RAW: Mapping[str, frozenset[str]] = {
    "omit": frozenset(),
    "lfp": frozenset({"raw_lfp"}),
    "copy": frozenset({"raw_ap", "raw_lfp"}),
}
_SAID = {
    "omit": "The raw AP and LFP are not in this file: they are where they were recorded ({folder}).",
    "lfp": "The raw LFP is in this file; the raw AP is where it was recorded ({folder}).",
    "copy": "The raw AP and LFP are in this file.",
}
#: what is no NWB object and no fact of the session either
_NOT_ATTRIBUTES = {
    "metadata",
    "eye_ellipses",
    "trials_table",
    "performance_table",
    "lick_table",
    "reward_table",
}
_MODULES = {
    "behavior": "Licking, running and what the cameras saw: processed.",
    "ecephys": "Extracellular potentials: processed.",
}


def flattened(made: Any) -> Iterator[Any]:
    """Yield the objects of a component: itself, or each of a tuple or mapping of them."""
    if isinstance(made, Mapping):
        yield from made.values()
    elif isinstance(made, tuple | list):
        for each in made:
            yield from flattened(each)
    else:
        yield made


def assemble(
    graph: Graph,
    *,
    identifier: str,
    leave_out: Iterable[str] = (),
    data_collection: str | None = None,
    recipe: Recipe | None = None,
) -> pynwb.NWBFile:
    """Return an NWB file of all components that the recording has.

    Parameters
    ----------
    graph : Graph
        The components.
    identifier : str
        The file's.
    leave_out : iterable of str
        Components that are not to be in it.
    data_collection : str, optional
        What it says of how the data were collected.
    recipe : Recipe, optional
        Goes into the file's scratch, as JSON.
    """
    import pynwb

    about = dict(graph["metadata"])
    file = pynwb.NWBFile(
        identifier=identifier,
        data_collection=data_collection,
        # of the same inputs comes the same file, byte for byte: the day of the build is in its receipt
        file_create_date=[about["session_start_time"]],
        was_generated_by=[["project_cache", recipe.versions["project_cache"]]] if recipe else None,
        **about,
    )
    skipped = {*leave_out, *from_pixels(graph)}
    contents: dict[str, Any] = {}
    for component in COMPONENTS:
        if not component.place:
            continue
        if component.name in skipped:
            contents[component.name] = "it was left out when the file was built"
            continue
        try:
            made = graph[component.name]
        except MissingDataError as error:
            # not recorded, or not noted by this version of the task: the file says so, and goes without
            contents[component.name] = str(error)
            continue
        objects = list(flattened(made))
        contents[component.name] = {"several": made is not objects[0]} if objects else {"several": True}
        contents[component.name]["names"] = [each.name for each in objects]
        for each in objects:
            _put(file, component.place, each)
    if graph.get("performance") is not None and "performance" not in skipped:
        # the list names it twice; an object lies in one place only, so this is a second one
        file.add_analysis(graph.again("performance"))
    if recipe is not None:
        from pynwb.core import ScratchData

        description = "The recipe of the build: digests of the inputs, parameters and versions, as JSON."
        file.add_scratch(ScratchData(name="recipe", data=recipe.json(), description=description))
        about = _without_places({"attributes": _attributes(graph), "components": contents}, graph["raw"])
        description = "The session's flags, and the objects of each component or why there are none, as JSON."
        text = json.dumps(about, sort_keys=True, indent=1, default=str)
        file.add_scratch(ScratchData(name="session", data=text, description=description))
    return file


def _without_places(said: Any, raw: Any) -> Any:
    """Return what is said without the folders in which this machine has the recording: that is nobody's business."""
    places = [raw.root, *raw.raw_data_paths, *raw.annotation_paths.values()]
    places += [] if raw.sorted_path is None else [raw.sorted_path]
    prefixes = sorted({f"{place.parent}".rstrip("/\\") for place in places}, key=len, reverse=True)

    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {without(name): without(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [without(each) for each in value]
        if isinstance(value, str):
            for prefix in filter(None, prefixes):
                value = value.replace(f"{prefix}/", "").replace(f"{prefix}\\", "")
        return value

    return without(said)


def from_pixels(graph: Graph) -> set[str]:
    """Return the components that would have to be computed from videos, where that is not wanted."""
    from project_cache.build.features import ellipses_path, motion_svd_path

    raw, options = graph["raw"], graph["options"]
    if options.video_features or raw.layout == "tables":
        return set()
    found = set()
    if ellipses_path(raw) is None:
        found |= {"eye_tracking", "pupil", "gaze"}
    if all(motion_svd_path(raw, label) is None for label in ("face", "behavior", "nose")):
        found.add("face_motion")
    return found


def _attributes(graph: Graph) -> dict[str, Any]:
    """Return what is known of the session that is no NWB object: flags, type, day, rig and more."""
    found = {}
    for component in COMPONENTS:
        if not component.place and component.name not in _NOT_ATTRIBUTES:
            value = graph.get(component.name)
            if value is None or isinstance(value, str | bool | int | float | list):
                found[component.name] = value
    return found


def _put(file: pynwb.NWBFile, place: str, made: Any) -> None:
    """Put one object where it belongs."""
    if place == "subject":
        file.subject = made
    elif place == "devices":
        if made.model is not None and made.model.parent is None:
            file.add_device_model(made.model)
        file.add_device(made)
    elif place == "electrode_groups":
        file.add_electrode_group(made)
    elif place == "electrodes":
        file.set_electrode_table(made)
    elif place in ("units", "epochs", "trials", "invalid_times"):
        setattr(file, place, made)
    elif place == "intervals":
        file.add_time_intervals(made)
    elif place == "acquisition":
        file.add_acquisition(made)
    elif place == "analysis":
        file.add_analysis(made)
    elif place == "stimulus_template":
        file.add_stimulus_template(made)
    elif place == "stimulus":
        file.add_stimulus(made)
    elif place == "ogen_sites":
        file.add_ogen_site(made)
    else:
        name = place.removeprefix("processing/")
        if name not in file.processing:
            file.create_processing_module(name, _MODULES[name])
        file.processing[name].add(made)


def write(
    graph: Graph,
    path: Path,
    recipe: Recipe,
    *,
    raw: Raw = "omit",
    folder: str = "",
    leave_out: Iterable[str] = (),
) -> None:
    """Write an NWB file of all components that the recording has.

    The same recipe gives the same file: identifier and object ids derive from it.

    Parameters
    ----------
    graph : Graph
        The components; objects that are in another file already cannot be in this one too.
    path : pathlib.Path
        Where.
    recipe : Recipe
        What went in.
    raw : {'omit', 'lfp', 'copy'}
        What is done with the raw AP and LFP.
    folder : str
        Where the raw files are, for what the file says of them.
    leave_out : iterable of str
        More components that are not to be in it.

    Raises
    ------
    BuildError
        A component cannot be made, though its inputs are there; or pynwb refuses what was made.
    """
    from project_cache.build import streaming

    left = {*leave_out, *(RAW["copy"] - RAW[raw])}
    try:
        file = assemble(
            graph,
            identifier=recipe.identifier,
            leave_out=left,
            data_collection=_SAID[raw].format(folder=folder) if graph["is_ephys"] else None,
            recipe=recipe,
        )
        _give_ids(file, recipe)
        with translated(path), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="hdmf|pynwb")
            streaming.write(file, path, compression=graph["options"].compression)
    except ProjectCacheError:
        raise
    except Exception as error:
        raise BuildError(
            f"Session {recipe.session} cannot be built from {folder}: {type(error).__name__}: {error}"
        ) from error


def _give_ids(file: pynwb.NWBFile, recipe: Recipe) -> None:
    """Give every object of a file an id that derives from the recipe and from where it lies."""
    seen: dict[str, int] = {}
    text = recipe.json()
    for each in file.all_children():
        place, at = [], each
        while at is not None:
            place.append(at.name)
            at = at.parent
        where = "/".join(reversed(place))
        seen[where] = seen.get(where, 0) + 1
        # hdmf gives ids by chance and has no way to say others
        each._AbstractContainer__object_id = str(uuid.uuid5(NAMESPACE, f"{text}{where}#{seen[where]}"))
