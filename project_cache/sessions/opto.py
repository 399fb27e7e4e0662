"""Optotagging: when light was shone on the cortex, and in which pattern."""

from __future__ import annotations

import h5py
import pandas as pd

from project_cache.errors import MissingDataError
from project_cache.nwb.links import find_group
from project_cache.nwb.table import read_table

__all__ = ["read_optotagging"]


def read_optotagging(handle: h5py.File) -> pd.DataFrame:
    """Return the stimulations by ``id``: start_time, condition, level (V), stop_time, stimulus_name, duration (s).

    Raises
    ------
    MissingDataError
        There were none: the mouse is a wild type.
    """
    group = find_group(handle, "processing/optotagging/optogenetic_stimulation")
    if group is None:
        raise MissingDataError(
            f"{handle.filename} has no optotagging: only mice whose genotype makes cells respond to light have."
        )
    table = read_table(group, skip=("tags", "timeseries"))
    # older files
    return table.rename(columns={"name": "stimulus_name"})
