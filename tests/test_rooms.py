"""Who may import whom: lower never imports higher, and heavy libraries are imported where they are used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "project_cache"

FLOORS = [
    {"errors", "_version"},
    {"files"},
    {"manifest"},
    {"store", "sources", "transfer", "tables"},
    {"analysis", "nwb", "raw", "display"},
    {"build"},
    {"sessions"},
    {
        "cache",
        "opening",
        "project_tables",
        "project_sessions",
        "projects",
        "publish",
        "publishing",
        "file_projects",
        "raw_projects",
        "raw_sessions",
        "session_rows",
        "housekeeping",
        "cloud_folder",
        "cloud_cache",
        "visual_behavior",
    },
    {"cli", "cli_keeping", "cli_project", "cli_raw", "cluster", "testing", "visualization"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {
    "pynwb", "hdmf", "ndx_events", "xarray", "pyarrow", "boto3", "botocore", "matplotlib", "dask", "requests", "tqdm",
    "jsonschema", "pynapple", "scipy", "tifffile", "zarr", "probeinterface", "yaml", "av",
}  # fmt: skip


#: imported late themselves, as a whole: a class of theirs inherits from the library's
LATE = {"project_cache/sessions/lfp.py", "project_cache/build/lazy_array.py"}


def modules() -> Iterator[tuple[Path, str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            yield path.relative_to(ROOT), room, ast.parse(path.read_text("utf-8"))


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """Return what stands under ``if TYPE_CHECKING``."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def test_lower_never_imports_higher() -> None:
    wrong = []
    for path, room, tree in modules():
        assert room in FLOOR, f"{path}: what floor is {room} on?"
        for node in ast.walk(tree):
            for name in imported(node):
                parts = name.split(".")
                if parts[0] == "project_cache" and len(parts) > 1 and FLOOR[parts[1]] > FLOOR[room]:
                    wrong.append(f"{path}:{node.lineno}: {room} imports {parts[1]}")  # type: ignore[attr-defined]
    assert wrong == []


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    wrong = []
    for path, _, tree in modules():
        if path.as_posix() in LATE:
            continue
        allowed = for_types_only(tree)
        for node in tree.body:
            for inner in [node] if not isinstance(node, ast.FunctionDef | ast.ClassDef) else []:
                for each in ast.walk(inner):
                    if each not in allowed:
                        wrong += [f"{path}: {name}" for name in imported(each) if name.split(".")[0] in HEAVY]
    assert wrong == []


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield public functions and classes, and the public methods of these classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_every_public_name_is_described() -> None:
    bare = [
        f"{path}:{node.lineno} {node.name}"
        for path, _, tree in modules()
        for node in public(tree.body)
        if not ast.get_docstring(node)
        and not any(getattr(d, "attr", "") == "setter" for d in node.decorator_list)
    ]
    assert bare == []
