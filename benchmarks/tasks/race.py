"""Ask for a session that is not there.

usage: race.py (ours | allensdk) SCHEME HOST CACHE_FOLDER SESSION_ID
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from common import Laps

warnings.filterwarnings("ignore")
who, scheme, host, folder, session_id = (
    sys.argv[1],
    sys.argv[2],
    sys.argv[3],
    Path(sys.argv[4]),
    int(sys.argv[5]),
)
laps = Laps()
if who == "ours":
    from project_cache import EcephysProjectCache
else:
    from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

cache = EcephysProjectCache.from_warehouse(scheme=scheme, host=host, manifest=str(folder / "manifest.json"))
session = laps.lap("get_session_data", lambda: cache.get_session_data(session_id))
laps.done(session=int(session.ecephys_session_id))
