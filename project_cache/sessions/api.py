"""What AllenSDK keeps behind ``session.api``, and notebooks reach for: the wheel's raw data, the file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from project_cache.nwb.file import NWBReader
from project_cache.sessions.rig import read_running_speed
from project_cache.sessions.wheel import read_net_rotation, read_raw_running_data

if TYPE_CHECKING:
    import pynwb

    from project_cache.sessions.base import Session

__all__ = ["SessionApi"]


class SessionApi:
    """The file behind a session.

    Parameters
    ----------
    session : Session
        The session.
    reader : NWBReader
        Its file.
    """

    def __init__(self, session: Session, reader: NWBReader) -> None:
        self._session = session
        self._reader = reader

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._reader.path.name}>"

    @property
    def path(self) -> str:
        """Where the file is."""
        return str(self._reader.path)

    @property
    def nwbfile(self) -> pynwb.NWBFile:
        """The file as pynwb sees it; the same as ``session.nwb``."""
        return self._session.nwb

    def get_running_speed(self, include_rotation: bool = False) -> pd.DataFrame:
        """Return the running speed: start_time, end_time (s), velocity (cm/s), and net_rotation (radians) if asked for.

        Parameters
        ----------
        include_rotation : bool
            Whether to add how far the wheel turned in each interval.

        Raises
        ------
        MissingDataError
            The recording has no running speed, or not the rotation that it was made of.
        """
        with self._reader.open() as handle:
            running = read_running_speed(handle)
            return running.assign(net_rotation=read_net_rotation(handle)) if include_rotation else running

    def get_raw_running_data(self) -> pd.DataFrame:
        """Return what was recorded of the wheel: frame_time (s), net_rotation (radians), signal_voltage, supply_voltage (V).

        Raises
        ------
        MissingDataError
            The recording has no such data.
        """
        with self._reader.open() as handle:
            return read_raw_running_data(handle)
