"""An import statement, in a fresh process.

usage: importing.py STATEMENT
"""

from __future__ import annotations

import sys
import warnings

from common import Laps

warnings.filterwarnings("ignore")
laps = Laps()
laps.lap("import", lambda: exec(sys.argv[1], {}))
heavy = {"pynwb", "xarray", "matplotlib", "boto3", "dask", "allensdk"} & set(sys.modules)
laps.done(heavy=sorted(heavy))
