"""What a cache in the cloud answers, as JSON; run by AllenSDK's Python and by ours.

Functions here are sent to the other Python as text: they must not need anything of this repository.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

RECORDED, NOVEL, TRAINED, BEHAVED = 1044385384, 1044594870, 1010001003, 1048009327
TABLES = (
    "get_ecephys_session_table",
    "get_behavior_session_table",
    "get_probe_table",
    "get_channel_table",
    "get_unit_table",
)


def plain(value: Any) -> Any:
    """Return a cell in a form that JSON keeps; every kind of missing value is None."""
    if type(value).__name__ in ("NAType", "NaTType", "NoneType") or value != value:
        return None
    if isinstance(value, float):
        return float(value).hex()
    value = value.item() if hasattr(value, "item") else value
    return (
        value.hex() if isinstance(value, float) else value if isinstance(value, (bool, int)) else str(value)
    )


def table(frame: Any) -> dict[str, Any]:
    """Return all that can be seen of a table."""
    return {
        "index": [str(frame.index.name), str(frame.index.dtype), [plain(each) for each in frame.index]],
        "columns": [str(name) for name in frame.columns],
        "dtypes": [str(dtype) for dtype in frame.dtypes],
        "cells": {str(name): [plain(each) for each in frame[name]] for name in frame.columns},
    }


def tables(cache: Any) -> dict[str, Any]:
    """Return all tables of the version that is loaded."""
    found = {name: table(getattr(cache, name)()) for name in TABLES}
    found["all sessions"] = table(cache.get_ecephys_session_table(filter_abnormalities=False))
    return found


def manifests(cache: Any) -> dict[str, Any]:
    """Return what is said of the versions."""
    names = cache.list_manifest_file_names()
    return {
        "names": sorted(names),
        "downloaded": sorted(cache.list_all_downloaded_manifests()),
        "latest": cache.latest_manifest_file(),
        "latest downloaded": cache.latest_downloaded_manifest_file(),
        "current": cache.current_manifest(),
        "compared": [cache.compare_manifests(one, other) for one in names for other in names],
    }


def digest(values: Any) -> str:
    """Return what tells an array from others."""
    return f"{values.dtype} {hashlib.sha256(values.tobytes()).hexdigest()}"


def recorded(session: Any) -> dict[str, Any]:
    """Return what tells one recording session, and one version of its files, from another."""
    # before the LFP is read: after that, AllenSDK's table has other sampling rates
    probes = table(session.probes)
    lfp = {
        int(probe): session.get_lfp(probe) for probe in session.probes.index[session.probes["has_lfp_data"]]
    }
    return {
        "id": session.metadata["ecephys_session_id"],
        "probes": probes,
        "spikes": {int(unit): len(times) for unit, times in session.spike_times.items()},
        "lfp": {str(probe): [list(each.shape), digest(each.values)] for probe, each in lfp.items()},
    }


def behaved(session: Any) -> dict[str, Any]:
    """Return what tells one behavior session from another."""
    return {
        "id": int(session.behavior_session_id),
        "type": session.metadata["session_type"],
        # AllenSDK puts some of the columns in an order of chance
        "presentations": table(session.stimulus_presentations.sort_index(axis="columns")),
        "licks": len(session.licks),
        "trials": len(session.trials),
    }


def answers(cache: Any, sessions: bool = True) -> dict[str, Any]:
    """Return what a cache answers: of the version that it begins with, and of the oldest after that."""
    found: dict[str, Any] = {"new": tables(cache)}
    if sessions:
        found["recorded"] = recorded(cache.get_ecephys_session(RECORDED))
        found["novel"] = recorded(cache.get_ecephys_session(NOVEL))
        found["trained"] = behaved(cache.get_behavior_session(TRAINED))
        found["behaved"] = behaved(cache.get_behavior_session(BEHAVED))
    cache.load_manifest(cache.list_manifest_file_names()[0])
    found["old"] = tables(cache)
    if sessions:
        found["recorded then"] = recorded(cache.get_ecephys_session(RECORDED))
    cache.load_latest_manifest()
    found["manifests"] = manifests(cache)
    result: dict[str, Any] = json.loads(json.dumps(found))
    return result
