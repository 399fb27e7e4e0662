"""The command line's part on keeping and publishing: what is checked, mended, removed, published, frozen."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from project_cache.cli_project import NOT_GOOD, OK, opened, write_json

__all__ = ["add_commands"]


def add_commands(commands: Any, common: argparse.ArgumentParser, plain: argparse.ArgumentParser) -> None:
    """Add what keeps a cache in order, and what publishes it, to the commands of a parser."""
    _add_housekeeping(commands, common)
    _add_publishing(commands, common, plain)


def _add_housekeeping(commands: Any, common: argparse.ArgumentParser) -> None:
    verify = commands.add_parser(
        "verify", parents=[common], help="read all files again and compare their digests"
    )
    verify.add_argument("what", nargs="*", metavar="KEY", help="objects (default: all that are there)")
    verify.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each core)")
    verify.set_defaults(command=_verify)

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


def _add_publishing(commands: Any, common: argparse.ArgumentParser, plain: argparse.ArgumentParser) -> None:
    gather = commands.add_parser(
        "gather", parents=[plain], help="make a project of NWB files that are there: a manifest, and a table"
    )
    gather.add_argument("files", nargs="+", metavar="FILE", help="a folder, or NWB files")
    gather.add_argument(
        "--project", metavar="NAME", help="what the project is called (default: as the folder)"
    )
    gather.add_argument("--description", metavar="TEXT", help="what its manifest says of it")
    gather.add_argument(
        "--ids",
        default="name",
        choices=["name", "session_id", "identifier"],
        help="where session ids are from",
    )
    gather.add_argument("--session-class", metavar="CLASS", help="what opens the sessions")
    gather.add_argument(
        "--cache-dir", metavar="FOLDER", help="where the manifest goes (default: beside the files)"
    )
    gather.set_defaults(command=_gather)

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


def _verify(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    cache = opened(arguments)
    verdicts = cache.verify([Key.parse(k) for k in arguments.what] or None, workers=arguments.workers)
    if arguments.json:
        write_json(
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

    cache = opened(arguments)
    found = cache.repair([Key.parse(k) for k in arguments.what] or None, workers=arguments.workers)
    if arguments.json:
        write_json({str(key): what for key, what in found.items()})
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

    cache = opened(arguments)
    plan = cache.prune(
        arguments.budget,
        keep=[Key.parse(what) if "/" in what else what for what in arguments.keep],
        dry_run=arguments.dry_run,
        unobtainable=arguments.unobtainable,
    )
    if arguments.json:
        write_json(
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
    cache = opened(arguments)
    (cache.pin if arguments.pinned else cache.unpin)(*arguments.what)
    return OK


def _du(arguments: argparse.Namespace) -> int:
    table = opened(arguments).du()
    if arguments.json:
        write_json(json.loads(table.reset_index().to_json(orient="records", date_format="iso")))
        return OK
    from project_cache.display.tables import text_table

    if len(table):
        print(text_table(table, max_rows=arguments.rows or None))
    print(f"{table.bytes.sum() / 1e9:,.3f} GB in {len(table)} objects")
    return OK


def _doctor(arguments: argparse.Namespace) -> int:
    findings = opened(arguments).doctor()
    if arguments.json:
        write_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(finding)
    return OK if all(finding.ok for finding in findings) else NOT_GOOD


def _gather(arguments: argparse.Namespace) -> int:
    from project_cache.cache import ProjectCache

    cache = ProjectCache.from_files(
        arguments.files[0] if len(arguments.files) == 1 else arguments.files,
        project=arguments.project,
        description=arguments.description,
        ids=arguments.ids,
        session_class=arguments.session_class,
        cache_dir=arguments.cache_dir,
    )
    sessions = [key.args[0] for key in cache.store.present(["session_nwb"])]
    if arguments.json:
        write_json({"manifest": cache.manifest_path, "sessions": sessions})
    else:
        print(f"{cache.manifest_path}: {len(sessions)} sessions")
    return OK


def _publish(arguments: argparse.Namespace) -> int:
    from project_cache.manifest.keys import Key

    sessions = _listed(arguments.sessions)
    done = opened(arguments).publish(
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
        write_json(dataclasses.asdict(done))
    else:
        print(done)
    return OK


def _listed(said: str | None) -> list[str] | None:
    return None if said is None else [each.strip() for each in said.split(",") if each.strip()]


def _freeze(arguments: argparse.Namespace) -> int:
    cache = opened(arguments)
    keys = list(cache.store.present())
    if arguments.what:
        keys = cache.named_objects(arguments.what)
    lock = cache.freeze(arguments.lock, keys)
    if arguments.json:
        write_json({"lock": str(lock), "objects": [str(key) for key in keys]})
    else:
        print(lock)
    return OK


def _versions(arguments: argparse.Namespace) -> int:
    from project_cache.publishing.publication import versions

    found = versions(arguments.destination, endpoint_url=arguments.endpoint_url)
    if arguments.json:
        write_json([dataclasses.asdict(version) for version in found])
    else:
        for version in found:
            print(f"{version.version}  {version.manifest}  {version.published}")
    return OK
