"""The source that builds: it fills a part with the NWB that a raw recording makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from project_cache.build.assembly import write
from project_cache.build.failures import Failure
from project_cache.build.plan import KIND, BuildPlan
from project_cache.errors import (
    BuildError,
    DiskFullError,
    LockTimeoutError,
    MissingObjectError,
    ReadOnlyCacheError,
    TransferError,
    UnreadableObjectError,
)
from project_cache.manifest.keys import Key
from project_cache.manifest.layout import TemplateLayout
from project_cache.manifest.model import Manifest
from project_cache.sources.base import Filled, Progress, silent
from project_cache.store.part import Part

if TYPE_CHECKING:
    from project_cache.build.recipe import Recipe

__all__ = ["LAYOUT", "BuildSource", "built_project"]

#: what is the disk's or the network's fault, and may be gone the next time
PASSING = (
    TransferError,
    DiskFullError,
    LockTimeoutError,
    MissingObjectError,
    ReadOnlyCacheError,
    UnreadableObjectError,
)
#: where built things lie below the project's folder; {1} is the digest of the recipe. The table is what is published.
LAYOUT = {
    KIND: "session_{0}/session_{0}_{1}.nwb",
    "sessions": "sessions.csv",
    "component": "components/{0}/{1}_{2}.parquet",
}


class BuildSource:
    """A source of sessions that are built from raw recordings.

    What can be built is offered first (:meth:`offer`): a recipe names its object. The store takes care that it is
    made once, under a lock, and published whole.

    Attributes
    ----------
    name : str
    remote : bool
        Whether the raw files are on another machine.
    """

    def __init__(self, name: str = "build from raw", *, remote: bool = False) -> None:
        self.name = name
        self.remote = remote
        self._offered: dict[Key, tuple[BuildPlan, Recipe]] = {}

    def offer(self, plan: BuildPlan, recipe: Recipe) -> Key:
        """Take on a build, and return the key of what it makes."""
        key = plan.key(recipe)
        self._offered[key] = (plan, recipe)
        return key

    def has(self, key: Key) -> bool:
        """Return whether the build has been offered."""
        return key in self._offered

    def fill(self, key: Key, part: Part, progress: Progress = silent) -> Filled:
        """Build the NWB in the part.

        Raises
        ------
        BuildError
            It cannot be built; or could not the last time, and nothing has changed since.
        """
        if key not in self._offered:
            raise MissingObjectError(f"{key} is not something that {self.name} was told how to build.")
        plan, recipe = self._offered[key]
        before = Failure.read(part.final)
        if before is not None:
            raise BuildError(
                f"{before.error} (The build failed on {before.when} and nothing has changed since; the log is in "
                f"{Failure.path_for(part.final)}. Delete that file to have it tried again.)"
            )
        progress(0, None)
        folder = plan.raw.root.name
        try:
            write(plan.graph(), part.path, recipe, raw=plan.raw_mode, folder=folder)
        except PASSING:
            raise
        except Exception as error:
            Failure.of(error).write(part.final)
            if isinstance(error, BuildError):
                raise
            raise BuildError(f"Session {plan.session_id} cannot be built: {error}") from error
        origin = f"build:{plan.raw.root}"
        part.written(origin=origin, validator=f"recipe:{recipe.digest}")
        progress(part.position, part.position)
        return Filled(
            origin=origin, size=part.position, validator=f"recipe:{recipe.digest}", recipe=recipe.json()
        )


def built_project(folder: Path, name: str = "dynamic-routing") -> Manifest:
    """Return the manifest of a project of built sessions that lie in a folder."""
    return Manifest(
        project=name,
        version="1",
        layout=TemplateLayout(folder, LAYOUT),
        session_class="DynamicRoutingSession",
    )
