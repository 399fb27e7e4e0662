"""The images of the change detection task, as they were shown."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError
from project_cache.nwb.arrays import path_of, read
from project_cache.nwb.links import find_group, members, need_dataset
from project_cache.nwb.table import frame

__all__ = ["read_templates"]


def read_templates(handle: h5py.File) -> pd.DataFrame | None:
    """Return the images by ``image_name``, each an array of pixels, or None if the file has none.

    ``warped`` is what was sent to the monitor; ``unwarped`` is what the animal saw of it, NaN where that
    was nothing. The frame's ``name`` is the name of the set of images. Movies are left out.
    """
    names: list[str] = []
    images: dict[str, list[NDArray[Any]]] = {"unwarped": [], "warped": []}
    sets = []
    templates = find_group(handle, "stimulus/templates")
    for name, group in members(templates) if templates is not None else ():
        if "movie" in name.lower() or not isinstance(group, h5py.Group):
            continue
        sets.append(name)
        shown = read(need_dataset(group, "control_description")).tolist()
        for column, stored in (("unwarped", "unwarped"), ("warped", "data")):
            arrays = list(read(need_dataset(group, stored)))
            if len(arrays) != len(shown):
                raise CorruptObjectError(
                    f"{path_of(group)} has {len(shown)} names and {len(arrays)} images. The file is damaged."
                )
            images[column] += arrays
        names += shown
    if not sets:
        return None
    table = frame({column: _cells(arrays) for column, arrays in images.items()})
    table.index = pd.Index(names, dtype=object, name="image_name")
    # where AllenSDK has it: an attribute, which copies of the frame do not have
    object.__setattr__(table, "name", ", ".join(sets))
    return table


def _cells(arrays: list[NDArray[Any]]) -> NDArray[np.object_]:
    """Return an array of arrays."""
    cells = np.empty(len(arrays), dtype=object)
    for n, array in enumerate(arrays):
        cells[n] = array
    return cells
