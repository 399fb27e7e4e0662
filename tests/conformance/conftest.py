"""AllenSDK 2.16.2, run in an environment of its own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def _loaded(name: str) -> ModuleType:
    """Return the module ``name`` beside this file; test folders are not packages."""
    spec = importlib.util.spec_from_file_location(
        f"conformance_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


peer = _loaded("peer")


@pytest.fixture(scope="session")
def allensdk() -> Callable[..., str]:
    """Run a script's text with arguments by AllenSDK's Python, and return what it prints.

    The test is skipped, with the reason, where AllenSDK's environment is not there and cannot be made.
    """
    try:
        peer.python()
    except peer.NoPeer as reason:
        pytest.skip(f"no AllenSDK to compare with: {reason}")
    answer: Callable[..., str] = peer.answer
    return answer


tables_answers = _loaded("tables_answers")


@pytest.fixture(scope="session")
def ask() -> Callable[..., None]:
    """Write what calls answer to a file, in the form in which AllenSDK's answers are written."""
    asked: Callable[..., None] = tables_answers.ask
    return asked


@pytest.fixture(scope="session")
def ask_text() -> str:
    """The source of ``ask``, for AllenSDK's Python."""
    return Path(tables_answers.__file__ or "").read_text(encoding="utf-8")
