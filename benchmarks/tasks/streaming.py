"""Open a session where it lies and read one unit's spike times, by one of several ways."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from common import Laps

who, where, number = sys.argv[1:4]
laps = Laps()
requests_made = 0
warnings.simplefilter("ignore")


def counted(owner: Any, name: str) -> None:
    """Count the calls of a method."""
    original = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        global requests_made
        requests_made += 1
        return original(*args, **kwargs)

    setattr(owner, name, call)


def by_h5py(file: Any) -> Any:
    """Return the spike times of a row of the table of units."""
    import h5py

    handle = h5py.File(file, "r")
    ends = handle["units/spike_times_index"][:]
    row = int(number)
    return handle["units/spike_times"][int(ends[row - 1]) : int(ends[row])]


def by_pynwb(file: Any) -> Any:
    """Return the spike times of a row of the table of units."""
    import pynwb

    nwb = pynwb.NWBHDF5IO(file=h5py.File(file, "r"), mode="r", load_namespaces=True).read()
    return nwb.units["spike_times"][int(number)]


if who == "ours":
    import pandas  # noqa: F401
    import requests

    import project_cache.nwb.streamed  # noqa: F401
    import project_cache.sessions.ecephys  # noqa: F401
    from project_cache import ProjectCache

    counted(requests.adapters.HTTPAdapter, "send")
    cache = ProjectCache.open(where, progress=False)
    session = laps.lap("open", lambda: cache.get_session_data(int(sys.argv[4]), stream=True))
    if sys.argv[5] == "pynwb":
        import ndx_events  # noqa: F401
        import pynwb  # noqa: F401

        spikes = laps.lap("spikes", lambda: session.nwb.units["spike_times"][int(number)])
    else:
        trains = laps.lap("units", lambda: session.spike_times)
        looked = requests_made
        spikes = laps.lap("spikes", lambda: trains[int(sys.argv[5])])
        laps.facts["for_spikes"] = requests_made - looked
else:
    import h5py

    peer, way = who.split("+")
    if peer == "remfile":
        import remfile
        import requests

        counted(requests.adapters.HTTPAdapter, "send")
        file = laps.lap("open", lambda: remfile.File(where))
    else:
        import aiohttp
        import fsspec

        counted(aiohttp.ClientSession, "_request")
        file = laps.lap("open", lambda: fsspec.filesystem("http").open(where))
    if way == "pynwb":
        import pynwb  # noqa: F401
    spikes = laps.lap("spikes", lambda: (by_pynwb if way == "pynwb" else by_h5py)(file))
    if peer == "fsspec":
        file.close()
laps.done(
    requests=requests_made,
    spikes=len(spikes),
    first=float(spikes[0]),
    all=sum(seconds for seconds in laps.steps.values()),
)
