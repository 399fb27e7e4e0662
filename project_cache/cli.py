"""The command line: a thin face on the calls of :class:`~project_cache.cache.ProjectCache`.

Exit codes: 0 all is well; 1 something went wrong, said in one sentence; 2 wrong usage; 3 ``verify``, ``repair`` or
``doctor`` found something that is not good (and ``repair`` could not mend it), or ``prune`` could not keep to the budget;
130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project_cache import cli_raw
from project_cache._version import __version__
from project_cache.errors import ConfigurationError, ProjectCacheError

if TYPE_CHECKING:
    from project_cache.cache import ProjectCache

__all__ = ["main"]

OK, FAILED, USAGE, NOT_GOOD, INTERRUPTED = 0, 1, 2, 3, 130

_PROJECT_HELP = (
    "a manifest file, a cache folder, or the name of a project that ships with the package "
    "(default: $PROJECT_CACHE_MANIFEST, or visual-coding-neuropixels)"
)


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
    common = argparse.ArgumentParser(add_help=False, parents=[plain])
    common.add_argument("-m", "--manifest", metavar="PROJECT", help=_PROJECT_HELP)
    common.add_argument(
        "--layer", action="append", metavar="FOLDER", help="a folder that is asked first and never written to"
    )
    common.add_argument("--offline", action="store_true", default=None, help="never touch the network")
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

    verify = commands.add_parser(
        "verify", parents=[common], help="read all files again and compare their digests"
    )
    verify.add_argument("what", nargs="*", metavar="KEY", help="objects (default: all that are there)")
    verify.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each core)")
    verify.set_defaults(command=_verify)

    _add_housekeeping(commands, common)
    _add_publishing(commands, common)

    cli_raw.add_commands(commands, plain)

    demo = commands.add_parser("demo", parents=[common], help="make a small synthetic project and look at it")
    demo.add_argument(
        "--figure", default="project_cache_demo.png", metavar="PNG", help="where the figure goes"
    )
    demo.set_defaults(command=_demo)
    return parser


def _add_housekeeping(commands: Any, common: argparse.ArgumentParser) -> None:
    repair = commands.add_parser(
        "repair", parents=[common], help="verify files, and fetch what is damaged of them again"
    )
    repair.add_argument("what", nargs="*", metavar="KEY", help="objects (default: all that are there)")
    repair.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each core)")
    repair.set_defaults(command=_repair)

    prune = commands.add_parser(
        "prune", parents=[common], help="remove what was used least recently, to keep to a number of bytes"
    )
    prune.add_argument("budget", metavar="BYTES", help="what may stay: '500 GB', '2 GiB', a number of bytes")
    prune.add_argument(
        "--keep", action="append", default=[], metavar="WHAT", help="a session id or a key that stays"
    )
    prune.add_argument("-n", "--dry-run", action="store_true", help="say what would go, and remove nothing")
    prune.add_argument(
        "--unobtainable", action="store_true", help="also what no source could give back: it is gone for good"
    )
    prune.set_defaults(command=_prune)

    for name, does in (("pin", "keep objects from being pruned"), ("unpin", "let objects be pruned again")):
        pin = commands.add_parser(name, parents=[common], help=does)
        pin.add_argument(
            "what", nargs="+", metavar="WHAT", help="a session id, or a key (session_nwb/715093703)"
        )
        pin.set_defaults(command=_pin, pinned=name == "pin")

    du = commands.add_parser("du", parents=[common], help="say what takes how much room, the largest first")
    du.add_argument("--rows", type=int, default=20, metavar="N", help="rows to print (default 20; 0: all)")
    du.set_defaults(command=_du)

    doctor = commands.add_parser(
        "doctor", parents=[common], help="try out what the file system of the cache can do"
    )
    doctor.set_defaults(command=_doctor)


def _add_publishing(commands: Any, common: argparse.ArgumentParser) -> None:
    publish = commands.add_parser(
        "publish", parents=[common], help="publish the project for others to open, as a new version"
    )
    publish.add_argument("destination", metavar="DESTINATION", help="s3://bucket/prefix, or a folder")
    publish.add_argument(
        "--as", dest="label", metavar="VERSION", help="what the version is called (default: counted)"
    )
    publish.add_argument("--tables", metavar="KIND,…", help="tables to publish (default: all that are here)")
    publish.add_argument("--sessions", metavar="ID,…", help="sessions to publish (default: all that is here)")
    publish.add_argument("--project", metavar="NAME", help="what the project is called there")
    publish.add_argument("--description", metavar="TEXT", help="what its manifest says of it")
    publish.add_argument("--endpoint-url", metavar="URL", help="an S3 server other than Amazon's")
    publish.set_defaults(command=_publish)

    freeze = commands.add_parser(
        "freeze", parents=[common], help="write a lock: objects, with their digests and where they can be had"
    )
    freeze.add_argument("lock", metavar="FILE", help="the lock, such as analysis.lock.json")
    freeze.add_argument(
        "what", nargs="*", metavar="WHAT", help="session ids and keys (default: all that is here)"
    )
    freeze.set_defaults(command=_freeze)

    versions = commands.add_parser(
        "versions", parents=[common], help="list the versions of a published project"
    )
    versions.add_argument("destination", metavar="DESTINATION", help="s3://bucket/prefix, or a folder")
    versions.add_argument("--endpoint-url", metavar="URL", help="an S3 server other than Amazon's")
    versions.set_defaults(command=_versions)


def _cache(arguments: argparse.Namespace, project: str | None = None) -> ProjectCache:
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


def _write_json(data: Any) -> None:
    print(json.dumps(data, indent=2, default=str))


def _where(arguments: argparse.Namespace) -> int:
    cache = _cache(arguments)
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
        _write_json(facts)
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
    cache = _cache(arguments)
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
        _write_json(json.loads(frame.reset_index().to_json(orient="records")))
    elif arguments.csv:
        frame.to_csv(sys.stdout)
    else:
        from project_cache.display.tables import text_table

        print(text_table(frame, max_rows=arguments.rows or None))
    return OK


def _fetch(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    cache = _cache(arguments)
    found: dict[Key, Path] = {}
    for what in arguments.what:
        if what == "tables":
            found |= {
                key: cache.store.get(key) for key in map(Key, ("sessions", "probes", "channels", "units"))
            }
        elif what.isdecimal():
            found |= cache.fetch([int(what)], lfp=arguments.lfp)
        else:
            key = Key.parse(what)
            found[key] = cache.store.get(key)
    if arguments.json:
        _write_json({str(key): str(path) for key, path in found.items()})
    else:
        for path in found.values():
            print(path)
    return OK


def _verify(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    cache = _cache(arguments)
    verdicts = cache.verify([Key.parse(k) for k in arguments.what] or None, workers=arguments.workers)
    if arguments.json:
        _write_json(
            [{"key": str(v.key), "path": str(v.path), "state": v.state, "detail": v.detail} for v in verdicts]
        )
    else:
        for v in verdicts:
            if not v.ok:
                print(f"{v.state:<10} {v.key}  {v.path}: {v.detail}")
        good = sum(v.ok for v in verdicts)
        print(
            f"{good} of {len(verdicts)} objects are good"
            + ("." if good == len(verdicts) else "; fetch the others again.")
        )
    return OK if all(v.ok for v in verdicts) else NOT_GOOD


def _repair(arguments: argparse.Namespace) -> int:
    from project_cache.housekeeping import REPAIRED
    from project_cache.manifest.keys import Key

    cache = _cache(arguments)
    found = cache.repair([Key.parse(k) for k in arguments.what] or None, workers=arguments.workers)
    if arguments.json:
        _write_json({str(key): what for key, what in found.items()})
    else:
        for key, what in found.items():
            print(f"{key}  {what}")
        print(
            "All objects are good."
            if not found
            else f"{sum(w == REPAIRED for w in found.values())} of {len(found)} repaired."
        )
    return OK if all(what == REPAIRED for what in found.values()) else NOT_GOOD


def _prune(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    cache = _cache(arguments)
    plan = cache.prune(
        arguments.budget,
        keep=[Key.parse(what) if "/" in what else what for what in arguments.keep],
        dry_run=arguments.dry_run,
        unobtainable=arguments.unobtainable,
    )
    if arguments.json:
        _write_json(
            {
                "removed": [{"key": str(h.key), "bytes": h.size} for h in plan.remove],
                "kept": [{"key": str(h.key), "bytes": h.size, "why": why} for h, why in plan.keep],
                "before": plan.before, "after": plan.after, "budget": plan.budget, "dry_run": arguments.dry_run,
            }
        )  # fmt: skip
    else:
        print(plan)
    return OK if plan.reached else NOT_GOOD


def _pin(arguments: argparse.Namespace) -> int:
    cache = _cache(arguments)
    (cache.pin if arguments.pinned else cache.unpin)(*arguments.what)
    return OK


def _du(arguments: argparse.Namespace) -> int:
    table = _cache(arguments).du()
    if arguments.json:
        _write_json(json.loads(table.reset_index().to_json(orient="records", date_format="iso")))
        return OK
    from project_cache.display.tables import text_table

    if len(table):
        print(text_table(table, max_rows=arguments.rows or None))
    print(f"{table.bytes.sum() / 1e9:,.3f} GB in {len(table)} objects")
    return OK


def _doctor(arguments: argparse.Namespace) -> int:
    findings = _cache(arguments).doctor()
    if arguments.json:
        _write_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(finding)
    return OK if all(finding.ok for finding in findings) else NOT_GOOD


def _publish(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    sessions = _listed(arguments.sessions)
    done = _cache(arguments).publish(
        arguments.destination,
        arguments.label,
        tables=_listed(arguments.tables),
        # ids as keys have them: numbers, mostly
        sessions=None if sessions is None else [Key.parse(f"session/{each}").args[0] for each in sessions],
        project=arguments.project,
        description=arguments.description,
        endpoint_url=arguments.endpoint_url,
    )
    if arguments.json:
        _write_json(dataclasses.asdict(done))
    else:
        print(done)
    return OK


def _listed(said: str | None) -> list[str] | None:
    return None if said is None else [each.strip() for each in said.split(",") if each.strip()]


def _freeze(arguments: argparse.Namespace) -> int:
    cache = _cache(arguments)
    keys = list(cache.store.present())
    if arguments.what:
        keys = cache.named_objects(arguments.what)
    lock = cache.freeze(arguments.lock, keys)
    if arguments.json:
        _write_json({"lock": str(lock), "objects": [str(key) for key in keys]})
    else:
        print(lock)
    return OK


def _versions(arguments: argparse.Namespace) -> int:
    from project_cache.publishing.publication import versions

    found = versions(arguments.destination, endpoint_url=arguments.endpoint_url)
    if arguments.json:
        _write_json([dataclasses.asdict(version) for version in found])
    else:
        for version in found:
            print(f"{version.version}  {version.manifest}  {version.published}")
    return OK


def _demo(arguments: argparse.Namespace) -> int:
    cache = _cache(arguments, project="demo")
    sessions = cache.get_session_table()
    chosen = sessions[
        (sessions.session_type == "brain_observatory_1.1") & (sessions.full_genotype == "wt/wt")
    ]
    session_id = int(chosen.sort_values("unit_count").index[-1])
    session = cache.get_session_data(session_id)
    figure = _demo_figure(session, Path(arguments.figure))
    if arguments.json:
        _write_json({"folder": str(cache.manifest.folder), "session_id": session_id, "figure": str(figure)})
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
