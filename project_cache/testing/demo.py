"""A demo of building: two raw recordings as a rig would have written them, and the project that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from project_cache.manifest.folders import cache_dir

if TYPE_CHECKING:
    from project_cache.raw_projects import RawProjectCache

__all__ = ["DEMO_SESSIONS", "raw_demo"]

#: subject, date and seed of the recordings
DEMO_SESSIONS = ((700001, "2024-05-01", 1), (700002, "2024-05-02", 2))


def raw_demo(folder: Path | None = None) -> RawProjectCache:
    """Return a project of simulated raw recordings, which are written if they are not there.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where they are, in ``raw``, with what is built of them beside it. By default ``demo-raw`` in the cache folder.
    """
    from project_cache.cache import ProjectCache
    from project_cache.files import make_folder
    from project_cache.testing.rig import simulate

    folder = folder or cache_dir() / "demo-raw"
    done = folder / "raw" / "written"
    if not done.exists():
        make_folder(folder)
        for subject, date, seed in DEMO_SESSIONS:
            # the same arguments give the same bytes: what an interrupted run left is written over
            simulate(
                folder / "raw", subject=subject, date=date, seed=seed, trials_per_block=40, mapping_repeats=8
            )
        done.touch()
    return ProjectCache.from_raw(folder / "raw", cache_dir=folder)
