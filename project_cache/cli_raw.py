"""The command line's part on raw recordings: their table, and building them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project_cache.raw_projects import RawProjectCache

__all__ = ["add_commands", "raw_demo_lines"]

COLUMNS = [
    "session_type", "is_ephys", "is_task", "trial_count", "unit_count", "issues", "build_state", "build_detail",
]  # fmt: skip
FAILED = 1


def add_commands(commands: Any, json_and_quiet: argparse.ArgumentParser) -> None:
    """Add ``raw`` and ``build`` to the commands of a parser."""
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "root", nargs="*", help="folders or S3 prefixes of raw recordings (default: $PROJECT_CACHE_RAW)"
    )
    place.add_argument("--registry", metavar="YAML", help="the registry of the project's sessions")
    place.add_argument(
        "--cache-dir", metavar="FOLDER", help="where built files go (default: the cache folder)"
    )
    shared = [json_and_quiet, place]
    raw = commands.add_parser(
        "raw", parents=shared, help="list raw recordings, and what has been built of them"
    )
    raw.add_argument("--csv", action="store_true", help="write CSV to standard output")
    raw.set_defaults(command=_raw)
    build = commands.add_parser("build", parents=shared, help="build the NWB files of raw recordings")
    build.add_argument("--session", action="append", metavar="ID", help="a session (default: all of them)")
    build.add_argument(
        "--raw",
        default="omit",
        choices=["omit", "lfp", "copy"],
        help="the raw traces to copy (default: none)",
    )
    build.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")
    build.set_defaults(command=_build)


def _cache(arguments: argparse.Namespace, **options: Any) -> RawProjectCache:
    from project_cache.cache import ProjectCache

    return ProjectCache.from_raw(
        arguments.root or None,
        registry=arguments.registry,
        cache_dir=arguments.cache_dir,
        progress=False if arguments.quiet else None,
        **options,
    )


def _raw(arguments: argparse.Namespace) -> int:
    table = _cache(arguments).get_session_table()
    if arguments.json:
        print(json.dumps(json.loads(table.reset_index().to_json(orient="records")), indent=2))
    elif arguments.csv:
        table.to_csv(sys.stdout)
    else:
        from project_cache.display.tables import text_table

        shown = [name for name in COLUMNS if name in table]
        print(text_table(table, shown) if len(table) else "no recordings were found")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    import warnings

    cache = _cache(arguments, raw=arguments.raw)
    wanted = arguments.session or cache.session_ids()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = cache.fetch(wanted, workers=arguments.workers)
    for warning in said:
        print(f"project-cache: {warning.message}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({str(key): str(path) for key, path in found.items()}, indent=2))
    else:
        for path in found.values():
            print(path)
    return 0 if len(found) == len(wanted) else FAILED


def raw_demo_lines(figure: Path) -> list[str]:
    """Build the simulated recordings of the demo, draw a figure, and return what there is to say of it."""
    from project_cache.display.figures import write_png
    from project_cache.display.tables import text_table
    from project_cache.display.task_plots import plot_performance
    from project_cache.testing.demo import raw_demo

    cache = raw_demo()
    cache.fetch(workers=1)
    table = cache.get_session_table()
    session = cache.get_session_data(table.index[-1])
    drawn = plot_performance(session.performance[:], title=f"Session {session.id}: responses by block")
    title = "Performance by block"
    path = write_png(drawn, figure.absolute(), title=title, description="Simulated recording.")
    columns = ["session_type", "is_ephys", "is_task", "trial_count", "unit_count", "build_state"]
    return [
        "And two raw recordings as a rig would have written them, simulated, each built into one NWB file:\n",
        text_table(table, columns),
        f"\nSession {session.id}: {len(session.trials[:])} trials, {len(session.units)} units, and "
        f"{len(session.components)} components in all.",
        f"\nThe figure is at {path}",
        f"The recordings are in {cache.project.roots[0]}\n",
        "Next, in Python:",
        "    from project_cache import DynamicRoutingSession, ProjectCache",
        f'    cache = ProjectCache.from_raw("{cache.project.roots[0]}")',
        f'    cache.get_session_data("{session.id}").trials[:]',
    ]
