"""The project that a command is about, what the command answers, and its exit code."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project_cache.cache import ProjectCache

__all__ = ["FAILED", "INTERRUPTED", "NOT_GOOD", "OK", "USAGE", "opened", "project_arguments", "write_json"]

OK, FAILED, USAGE, NOT_GOOD, INTERRUPTED = 0, 1, 2, 3, 130

_PROJECT_HELP = (
    "a manifest file, a cache folder, or the name of a project that ships with the package "
    "(default: $PROJECT_CACHE_MANIFEST, or visual-coding-neuropixels)"
)


def project_arguments(plain: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the options of all commands that open a project, to be a parent of their parsers."""
    common = argparse.ArgumentParser(add_help=False, parents=[plain])
    common.add_argument("-m", "--manifest", metavar="PROJECT", help=_PROJECT_HELP)
    common.add_argument(
        "--layer", action="append", metavar="FOLDER", help="a folder that is asked first and never written to"
    )
    common.add_argument("--offline", action="store_true", default=None, help="never touch the network")
    return common


def opened(arguments: argparse.Namespace, project: str | None = None) -> ProjectCache:
    """Return the cache that the arguments and the environment name."""
    from project_cache.cache import ProjectCache

    named = (
        project
        or arguments.manifest
        or os.environ.get("PROJECT_CACHE_MANIFEST")
        or "visual-coding-neuropixels"
    )
    return ProjectCache.open(
        named,
        layers=arguments.layer,
        offline=arguments.offline,
        progress=False if arguments.quiet else None,
    )


def write_json(data: Any) -> None:
    """Print what was found as JSON."""
    print(json.dumps(data, indent=2, default=str))
