"""Whose rows are whose, in a project of AllenSDK's four tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from project_cache.tables.csvfile import Array, TableFile
from project_cache.tables.filters import UNIT_FILTERS, kept_units
from project_cache.tables.joins import matched, uniques

__all__ = ["Links"]


class Links:
    """Who belongs to whom, as positions in the files; -1 where somebody on the way is missing."""

    def __init__(self, sessions: TableFile, probes: TableFile, channels: TableFile, units: TableFile) -> None:
        self.channels = channels
        self.session_of_probe = sessions.ids.get_indexer(pd.Index(probes.values("ecephys_session_id")))
        channels.load([channels.id_name, "ecephys_probe_id", "ecephys_structure_acronym"])
        probe = probes.ids.get_indexer(pd.Index(channels.values("ecephys_probe_id")))
        self.session_of_channel = np.append(self.session_of_probe, -1)[probe]
        self.probe_of_channel = np.where(self.session_of_channel >= 0, probe, -1)
        good = kept_units(units, UNIT_FILTERS)
        channel = channels.ids.get_indexer(pd.Index(units.values("ecephys_channel_id")))
        whole = good & (channel >= 0) & (np.append(self.session_of_channel, -1)[channel] >= 0)
        self.channel_of_unit = channel[whole]
        self.session_of_unit = self.session_of_channel[self.channel_of_unit]
        self.probe_of_unit = self.probe_of_channel[self.channel_of_unit]

    def acronyms(self, owners: Array, count: int) -> Array:
        """Return the structures of each owner's channels, in the order of the annotated channels."""
        order, _ = matched(
            self.channels.values("ecephys_probe_id"),
            pd.Index(pd.unique(self.channels.values("ecephys_probe_id"))),
        )
        return uniques(self.channels.values("ecephys_structure_acronym")[order], owners[order], count)
