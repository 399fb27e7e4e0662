"""The folder in which the caches of all projects lie."""

from __future__ import annotations

import os
from pathlib import Path

from project_cache.manifest.layout import absolute

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """Return the folder in which each project has one of its own.

    ``PROJECT_CACHE_DIR``, or else the user's cache folder of the platform (on Linux ``$XDG_CACHE_HOME`` or
    ``~/.cache``, then ``project_cache``). Nothing is made.
    """
    given = os.environ.get("PROJECT_CACHE_DIR")
    if given:
        return absolute(given)
    import platformdirs

    return platformdirs.user_cache_path("project_cache", appauthor=False)
