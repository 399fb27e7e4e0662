"""The cache of a project in the cloud: constructing it, and a table of it.

usage: cloud.py (ours | allensdk) (from_local_cache | from_s3_cache) CACHE_FOLDER
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from common import Laps

warnings.filterwarnings("ignore")
who, way, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
laps = Laps()
# Libraries are imported on first use here, and at once by AllenSDK: imports are measured elsewhere.
import pandas  # noqa: E402, F401

if who == "ours":
    from project_cache.visual_behavior import VisualBehaviorNeuropixelsProjectCache
else:
    from allensdk.brain_observatory.behavior.behavior_project_cache import (
        VisualBehaviorNeuropixelsProjectCache,
    )

cache = laps.lap("construct", lambda: getattr(VisualBehaviorNeuropixelsProjectCache, way)(folder))
sessions = laps.lap("get_ecephys_session_table", cache.get_ecephys_session_table)
units = laps.lap("get_unit_table", cache.get_unit_table)
laps.done(sessions=len(sessions), units=len(units))
