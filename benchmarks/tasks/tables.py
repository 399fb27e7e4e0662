"""Tables of a project: cold, and again in the same process.

usage: tables.py (ours | allensdk) CACHE_FOLDER
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from common import Laps

warnings.filterwarnings("ignore")
who, folder = sys.argv[1], Path(sys.argv[2])
laps = Laps()
# Libraries are imported on first use here, and at once by AllenSDK: imports are measured elsewhere.
import pandas  # noqa: E402, F401

if who == "ours":
    from project_cache import EcephysProjectCache
else:
    from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

cache = EcephysProjectCache.from_warehouse(manifest=str(folder / "manifest.json"))
sessions = laps.lap("get_session_table", cache.get_session_table)
laps.lap("get_session_table again", cache.get_session_table)
laps.lap("get_probes", cache.get_probes)
laps.lap("get_channels", cache.get_channels)
units = laps.lap("get_units", cache.get_units)
laps.lap("get_units again", cache.get_units)
laps.done(sessions=len(sessions), units=len(units))
