"""Which units pass: the bounds of their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from project_cache.errors import ConfigurationError
from project_cache.tables.csvfile import Array, TableFile

__all__ = ["UNIT_FILTERS", "bounds_of", "kept_units", "with_metrics"]

#: The default bounds of units, themselves included. Source: AllenSDK 2.16.2.
UNIT_FILTERS = {
    "amplitude_cutoff_maximum": 0.1,
    "presence_ratio_minimum": 0.95,
    "isi_violations_maximum": 0.5,
}


def bounds_of(given: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the bounds that were given, or else the default ones.

    Raises
    ------
    ConfigurationError
        There is no filter of that name.
    """
    unknown = set(given) - {*UNIT_FILTERS, "filter_out_of_brain_units"}
    if unknown:
        raise ConfigurationError(
            f"There is no unit filter {', '.join(sorted(unknown))}; there are {', '.join(UNIT_FILTERS)} and "
            f"filter_out_of_brain_units."
        )
    return {name: given.get(name, default) for name, default in UNIT_FILTERS.items()}


def with_metrics(
    units: TableFile, bounds: Mapping[str, float | None], given: Mapping[str, Any]
) -> tuple[TableFile, dict[str, float | None]]:
    """Return units, and the bounds of those metrics that they have.

    Raises
    ------
    ConfigurationError
        A bound was given for a metric that they do not have.
    """
    known = {name: bound for name, bound in bounds.items() if name.rpartition("_")[0] in units.names}
    lost = [name for name in bounds if name not in known and given.get(name) is not None]
    if lost:
        raise ConfigurationError(
            f"{', '.join(lost)}: the units of this project have no {lost[0].rpartition('_')[0]} ({units.path})."
        )
    return units, known


def kept_units(
    units: TableFile,
    bounds: Mapping[str, Any],
    by_validity: bool = True,
    keep_unmeasured: bool = False,
    in_brain: bool = True,
) -> Array:
    """Return which units pass.

    Parameters
    ----------
    units : TableFile
        The units.
    bounds : mapping of str to float or None
        As :func:`bounds_of` has them.
    by_validity : bool
        Whether those of another quality than "good" are left out.
    keep_unmeasured : bool
        Whether those whose metric is not known stay where that bound is None.
    in_brain : bool
        Whether those in no structure are left out.
    """
    metrics = [name.rpartition("_")[0] for name in bounds]
    units.load([units.id_name, *metrics])
    keep = np.ones(len(units.values(units.id_name)), dtype=bool)
    for name, bound in bounds.items():
        column = units.values(name.rpartition("_")[0])
        if bound is None and keep_unmeasured:
            continue
        # NaN compares false with any bound, also with none
        keep &= (
            column <= (np.inf if bound is None else bound)
            if name.endswith("maximum")
            else column >= (-np.inf if bound is None else bound)
        )
    if by_validity and "quality" in units.names:
        keep &= units.values("quality") == "good"
    if in_brain and "ecephys_structure_id" in units.names:
        keep &= ~np.isnan(units.values("ecephys_structure_id").astype(float))
    return keep
