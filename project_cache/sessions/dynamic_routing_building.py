"""Building a session's NWB: once, in the cache, or at a path of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache.build.assembly import write
from project_cache.build.failures import Failure
from project_cache.build.recipe import Recipe, read_known, unchanged, write_known
from project_cache.build.source import BuildSource, built_project
from project_cache.errors import ConfigurationError
from project_cache.files import atomic_write, hidden, make_folder
from project_cache.manifest import folders
from project_cache.manifest.layout import absolute
from project_cache.store.store import Store

if TYPE_CHECKING:
    import os

    from project_cache.build.plan import BuildPlan

__all__ = ["build_state", "built", "inputs_note", "project_folder", "recipe_in", "written"]


def project_folder(cache_dir: str | os.PathLike[str] | None, name: str = "dynamic-routing") -> Path:
    """Return the folder of the project's built sessions."""
    return (absolute(cache_dir) if cache_dir is not None else folders.cache_dir()) / name


def inputs_note(folder: Path, plan: BuildPlan) -> Path:
    """Return where the digests of a recording's files are noted."""
    return hidden(folder / f"session_{plan.session_id}" / "inputs", "json")


def recipe_in(folder: Path, plan: BuildPlan) -> Recipe:
    """Return a plan's recipe; what was digested before and has not changed since is not read again."""
    noted = inputs_note(folder, plan)
    files = plan.inputs()
    known = read_known(noted)
    recipe = plan.recipe(known, files)
    if {name: known[name][2] for name in known} != dict(recipe.inputs):
        make_folder(noted.parent)
        write_known(noted, files, recipe)
    return recipe


def build_state(folder: Path, plan: BuildPlan) -> dict[str, str]:
    """Return what there is of a session in the cache's folder, as its table says it: ``build_state``, ``build_detail``.

    Nothing is digested: sizes and times decide.
    """
    place = folder / f"session_{plan.session_id}"
    built = [path for path in place.glob(f"session_{plan.session_id}_*.nwb") if not path.name.startswith(".")]
    failures = sorted(place.glob(".*.failed.json")) if place.is_dir() else []
    if not built and not failures:
        return {"build_state": "not built", "build_detail": ""}
    same = unchanged(inputs_note(folder, plan), plan)
    if built and same:
        return {"build_state": "built", "build_detail": str(max(built, key=lambda p: p.stat().st_mtime))}
    if failures and same:
        failure = Failure.read(failures[-1].with_name(failures[-1].name[1 : -len(".failed.json")]))
        return {
            "build_state": "failed",
            "build_detail": failure.error if failure else "the note cannot be read",
        }
    if built:
        return {
            "build_state": "outdated",
            "build_detail": "the raw files have changed since it was built",
        }
    return {
        "build_state": "not built",
        "build_detail": "it could not be built from what was there before",
    }


def built(plan: BuildPlan, *, cache_dir: Any = None, retry: bool = False) -> Path:
    """Return the NWB of a plan in the cache, which is built if it is not there."""
    folder = project_folder(cache_dir)
    source = BuildSource(f"build from {plan.raw.root}")
    store = Store(built_project(folder), (), [source])
    key = source.offer(plan, recipe_in(folder, plan))
    if retry:
        Failure.forget(store.manifest.locate(key))
    return store.get(key)


def written(plan: BuildPlan, path: Path, *, force: bool = False) -> Path:
    """Return the NWB of a plan, built at a path of the user's own."""
    path = absolute(path)
    if path.exists() and not force:
        raise ConfigurationError(f"There is a file at {path} already. Give another path, or force=True.")
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        write(plan.graph(), temporary, plan.recipe(), raw=plan.raw_mode, folder=plan.raw.root.name)
    return path
