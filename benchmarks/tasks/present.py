"""Ask for 1,000 objects that are all there.

usage: present.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import Laps

from project_cache.manifest.keys import Key
from project_cache.manifest.model import Manifest
from project_cache.store.store import Store

folder = Path(sys.argv[1])
laps = Laps()
keys = [Key("session_nwb", (n,)) for n in range(1000)]
store = Store(Manifest.visual_coding(folder / "manifest.json"))
paths = laps.lap("first", lambda: [store.get(key) for key in keys])
laps.lap("again", lambda: [store.get(key) for key in keys])
laps.done(objects=len(paths))
