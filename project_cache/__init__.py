"""A cached, project-wide store of recording sessions.

The public names are imported when they are first used, so that ``import project_cache`` costs nothing.

>>> import project_cache
>>> project_cache.ProjectCache is project_cache.EcephysProjectCache
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from project_cache._version import __version__

if TYPE_CHECKING:
    from project_cache.cache import EcephysProjectCache, ProjectCache
    from project_cache.errors import ProjectCacheError
    from project_cache.manifest.keys import Key
    from project_cache.manifest.model import Manifest
    from project_cache.raw_sessions import get_sessions
    from project_cache.sessions.base import Session
    from project_cache.sessions.behavior import BehaviorSession
    from project_cache.sessions.behavior_ecephys import BehaviorEcephysSession
    from project_cache.sessions.dynamic_routing import DynamicRoutingSession
    from project_cache.sessions.ecephys import EcephysSession
    from project_cache.visual_behavior import VisualBehaviorNeuropixelsProjectCache

_HOME = {
    "ProjectCache": "project_cache.cache",
    "EcephysProjectCache": "project_cache.cache",
    "ProjectCacheError": "project_cache.errors",
    "Key": "project_cache.manifest.keys",
    "Manifest": "project_cache.manifest.model",
    "Session": "project_cache.sessions.base",
    "BehaviorSession": "project_cache.sessions.behavior",
    "BehaviorEcephysSession": "project_cache.sessions.behavior_ecephys",
    "DynamicRoutingSession": "project_cache.sessions.dynamic_routing",
    "EcephysSession": "project_cache.sessions.ecephys",
    "VisualBehaviorNeuropixelsProjectCache": "project_cache.visual_behavior",
    "get_sessions": "project_cache.raw_sessions",
}

__all__ = [
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


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
