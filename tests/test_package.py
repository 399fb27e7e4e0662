"""The public face: its names, what importing costs, and the one tree of errors."""

from __future__ import annotations

import builtins
import inspect
import json
import pickle
import subprocess
import sys

import pytest

import project_cache
from project_cache import errors

HEAVY = [
    "pynwb",
    "hdmf",
    "ndx_events",
    "xarray",
    "matplotlib",
    "boto3",
    "dask",
    "pyarrow",
    "requests",
    "jsonschema",
    "scipy",
]


def loaded_after(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_public_names_are_these() -> None:
    assert project_cache.__all__ == [
        "BehaviorEcephysSession",
        "BehaviorSession",
        "DynamicRoutingSession",
        "EcephysProjectCache",
        "EcephysSession",
        "Key",
        "Manifest",
        "ProjectCache",
        "ProjectCacheError",
        "Session",
        "VisualBehaviorNeuropixelsProjectCache",
        "__version__",
        "get_sessions",
    ]
    for name in project_cache.__all__:
        assert getattr(project_cache, name) is not None
    assert set(project_cache.__all__) <= set(dir(project_cache))
    assert project_cache.EcephysProjectCache is project_cache.ProjectCache
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = project_cache.Nonsense  # type: ignore[attr-defined]


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = loaded_after("import project_cache")
    assert not loaded & {*HEAVY, "numpy", "pandas", "h5py"}


def test_importing_the_class_loads_nothing_heavy() -> None:
    assert not loaded_after("from project_cache import ProjectCache") & set(HEAVY)


def test_every_error_is_of_the_tree_and_of_a_builtin_that_callers_catch() -> None:
    ordinary = {v for v in vars(builtins).values() if isinstance(v, type) and issubclass(v, Exception)}
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.ProjectCacheError)
        assert inspect.getdoc(kind)
        if kind is not errors.ProjectCacheError:
            assert set(kind.__mro__) & (ordinary - {Exception})


def test_errors_read_as_sentences_and_travel_between_processes() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)("It is broken.")
        assert str(error) == "It is broken."
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied)) == (type(error), "It is broken.")
    assert pickle.loads(pickle.dumps(errors.ServerError("no", 503))).status == 503
