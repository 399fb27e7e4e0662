"""The command line: a thin face on the calls of :class:`~project_cache.cache.ProjectCache`.

Exit codes: 0 all is well; 1 something went wrong, said in one sentence; 2 wrong usage; 3 ``verify``, ``repair`` or
``doctor`` found something that is not good (and ``repair`` could not mend it), or ``prune`` could not keep to the budget;
130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from project_cache import cli_keeping, cli_raw
from project_cache._version import __version__
from project_cache.cli_project import FAILED, INTERRUPTED, OK, opened, project_arguments, write_json
from project_cache.errors import ConfigurationError, ProjectCacheError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("project-cache: interrupted; what has arrived is kept for the next time.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # somebody reads the first lines only (| head): nothing to complain about, and nothing more to write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except ProjectCacheError as error:
        print(f"project-cache: {error}", file=sys.stderr)
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="project-cache",
        description="A project of recording sessions in a local folder, filled as sessions are asked for.",
        epilog="Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 verify, repair or doctor found something not good or prune "
        "could not keep to the budget, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"project-cache {__version__}")
    plain = argparse.ArgumentParser(add_help=False)
    plain.add_argument("--json", action="store_true", help="write JSON to standard output")
    plain.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    plain.add_argument("-v", "--verbose", action="store_true", help="say what is done")
    common = project_arguments(plain)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    where = commands.add_parser("where", parents=[common], help="say where the cache is and what is in it")
    where.set_defaults(command=_where)

    table = commands.add_parser("table", parents=[common], help="print a table of the project")
    table.add_argument(
        "table", nargs="?", default="sessions", choices=["sessions", "probes", "channels", "units"]
    )
    table.add_argument(
        "--query", metavar="EXPRESSION", help="rows to keep, such as \"unit_count > 900 and sex == 'F'\""
    )
    table.add_argument("--columns", metavar="NAME,…", help="columns to show")
    table.add_argument(
        "--rows", type=int, default=20, metavar="N", help="rows to print as text (default 20; 0: all)"
    )
    table.add_argument("--csv", action="store_true", help="write CSV to standard output")
    table.set_defaults(command=_table)

    fetch = commands.add_parser("fetch", parents=[common], help="get sessions, tables or single objects")
    fetch.add_argument(
        "what", nargs="+", metavar="WHAT", help="a session id, a key (session_nwb/715093703), or 'tables'"
    )
    fetch.add_argument("--lfp", action="store_true", help="the LFP of each probe of the sessions as well")
    fetch.set_defaults(command=_fetch)

    cli_keeping.add_commands(commands, common, plain)
    cli_raw.add_commands(commands, plain)

    demo = commands.add_parser("demo", parents=[common], help="make a small synthetic project and look at it")
    demo.add_argument(
        "--figure", default="project_cache_demo.png", metavar="PNG", help="where the figure goes"
    )
    demo.set_defaults(command=_demo)
    return parser


def _where(arguments: argparse.Namespace) -> int:
    cache = opened(arguments)
    present = cache.store.present()
    kinds: dict[str, list[int]] = {}
    for key, path in present.items():
        count = kinds.setdefault(key.kind, [0, 0])
        count[0] += 1
        count[1] += path.stat().st_size
    facts: dict[str, Any] = {
        "project": cache.manifest.project,
        "version": cache.manifest.version,
        "folder": str(cache.manifest.folder),
        "manifest": cache.manifest_path,
        "layers": [str(layer.folder) for layer in cache.store.layers],
        "sources": [source.name for source in cache.store.sources],
        "offline": cache.offline,
        "objects": {kind: {"files": n, "bytes": size} for kind, (n, size) in sorted(kinds.items())},
    }
    if arguments.json:
        write_json(facts)
        return OK
    for name in ("project", "version", "folder", "manifest", "layers", "sources", "offline"):
        value = facts[name]
        print(f"{name:<9}", ", ".join(value) or "none" if isinstance(value, list) else value)
    for kind, (n, size) in sorted(kinds.items()):
        print(f"{'':<9} {n} {kind}, {size / 1e6:,.1f} MB")
    if not kinds:
        print(f"{'':<9} nothing has been fetched yet")
    return OK


def _table(arguments: argparse.Namespace) -> int:
    cache = opened(arguments)
    getters = {
        "sessions": cache.get_session_table,
        "probes": cache.get_probes,
        "channels": cache.get_channels,
        "units": cache.get_units,
    }
    frame = getters[arguments.table]()
    try:
        if arguments.query:
            frame = frame.query(arguments.query, engine="python")
        if arguments.columns:
            frame = frame[[c.strip() for c in arguments.columns.split(",")]]
    except Exception as error:
        # whatever a mistyped expression makes pandas raise, it is the expression that is to be mended
        raise ConfigurationError(
            f"{arguments.query or arguments.columns!r} cannot be applied: {error}. The columns are "
            f"{', '.join(frame.columns)}."
        ) from error
    if arguments.json:
        write_json(json.loads(frame.reset_index().to_json(orient="records")))
    elif arguments.csv:
        frame.to_csv(sys.stdout)
    else:
        from project_cache.display.tables import text_table

        print(text_table(frame, max_rows=arguments.rows or None))
    return OK


def _fetch(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    cache = opened(arguments)
    found: dict[Key, Path] = {}
    for what in arguments.what:
        if what == "tables":
            kinds = ("sessions", "probes", "channels", "units")
            tables = [Key(kind) for kind in kinds if cache.tables.has(kind)]
            if not tables:
                raise ConfigurationError(
                    f"The project {cache.manifest.project} has none of the tables {', '.join(kinds)}."
                )
            found |= {key: cache.store.get(key) for key in tables}
        elif "/" not in what and what not in cache.manifest.layout.kinds():
            found |= cache.fetch([int(what) if what.isdecimal() else what], lfp=arguments.lfp)
        else:
            key = Key.parse(what)
            found[key] = cache.store.get(key)
    if arguments.json:
        write_json({str(key): str(path) for key, path in found.items()})
    else:
        for path in found.values():
            print(path)
    return OK


def _demo(arguments: argparse.Namespace) -> int:
    cache = opened(arguments, project="demo")
    sessions = cache.get_session_table()
    chosen = sessions[
        (sessions.session_type == "brain_observatory_1.1") & (sessions.full_genotype == "wt/wt")
    ]
    session_id = int(chosen.sort_values("unit_count").index[-1])
    session = cache.get_session_data(session_id)
    figure = _demo_figure(session, Path(arguments.figure))
    if arguments.json:
        write_json({"folder": str(cache.manifest.folder), "session_id": session_id, "figure": str(figure)})
        return OK
    from project_cache.display.tables import text_table

    print(
        "A demo project, made on this machine. It is synthetic: nothing in it was recorded from an animal.\n"
    )
    print(
        text_table(
            sessions, ["session_type", "full_genotype", "sex", "unit_count", "ecephys_structure_acronyms"]
        )
    )
    print(f"\nSession {session_id}: {session.num_units} units on {session.num_probes} probes,")
    print(f"{session.num_stimulus_presentations:,} presentations of {', '.join(session.stimulus_names)}.")
    print(f"\nThe figure is at {figure}")
    print(f"The project is in {cache.manifest.folder}\n")
    print("Next, in Python:")
    print("    from project_cache import ProjectCache")
    print('    cache = ProjectCache.open("demo")')
    print(f"    session = cache.get_session_data({session_id})")
    print("    session.units, session.spike_times, session.stimulus_presentations")
    print(
        "\nWith the real recordings: EcephysProjectCache.from_warehouse(manifest=…), or a drive you were given:"
    )
    print('    EcephysProjectCache.fixed(manifest="/path/to/the/drive/manifest.json")\n')
    figure = Path(arguments.figure)
    for line in cli_raw.raw_demo_lines(figure.with_name(f"{figure.stem}_task{figure.suffix}")):
        print(line)
    return OK


def _demo_figure(session: Any, path: Path) -> Path:
    """Draw the session's units around its flashes, and return the file."""
    from project_cache.display.figures import flash_responses, write_png

    title = f"Session {session.ecephys_session_id}: responses to flashes, by area"
    figure = flash_responses(
        session.units,
        session.spike_times,
        session.stimulus_presentations,
        title=title,
        footnote="Synthetic data of the project_cache demo. Lines: mean over units and presentations; "
        "bands: ± s.e.m. over presentations.",
    )
    return write_png(
        figure, path.absolute(), title=title, description="Synthetic data of the project_cache demo"
    )


if __name__ == "__main__":
    sys.exit(main())
