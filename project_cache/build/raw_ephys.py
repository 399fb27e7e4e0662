"""The raw bands of each probe, as they lie on the disk: mapped, or read in blocks, never copied into memory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from project_cache.build.electrodes import electrode_region, not_in_a_file_yet
from project_cache.build.probes import group_name, probe_letters, probe_stream
from project_cache.errors import ComponentUnavailable, MissingDataError, MissingObjectError

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.ecephys import LFP, ElectricalSeries, FilteredEphys

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.openephys import Stream
    from project_cache.raw.recording import RawRecording

__all__ = ["raw_ap", "raw_lfp", "scaling"]

_log = logging.getLogger("project_cache")

FILTERING = {"AP": "0.3-10 kHz", "LFP": "0.5-500 Hz"}
_SAID = {
    "AP": "Action potential band of {}, as it was recorded.",
    "LFP": "LFP band of {}, as it was recorded.",
}


def scaling(bit_volts: Any) -> tuple[float, Any]:
    """Return the volts of one count, and what each channel's are of that where channels differ (else None).

    Parameters
    ----------
    bit_volts : array-like, shape (channels,)
        µV of one count, as Open Ephys states them for probes.

    Examples
    --------
    >>> conversion, of_channel = scaling([0.195, 0.195])
    >>> round(conversion * 1e6, 6), of_channel
    (0.195, None)
    """
    each = np.asarray(bit_volts, dtype=np.float64)
    first = float(each[0])
    return first * 1e-6, None if (each == first).all() else each / first


def _traces(stream: Stream) -> tuple[Any, Any]:
    """Return the samples of the contacts of a probe, read when sliced, and the numbers of their channels."""
    channels = stream.contact_channels
    if len(channels) == stream.n_channels and isinstance(stream.data, np.memmap):
        return stream.data, channels
    from project_cache.build.lazy_array import lazy

    if not np.array_equal(channels, np.arange(len(channels))):
        raise MissingDataError(f"{stream.path}: the channels of its contacts are not its first ones.")
    return lazy(stream.data, slice(0, len(channels))), channels


def _series(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    electrodes: DynamicTable,
    band: str,
    is_surface_channels: bool,
) -> list[ElectricalSeries]:
    from pynwb.ecephys import ElectricalSeries

    found: list[ElectricalSeries] = []
    why: list[str] = []
    for letter in probe_letters(raw, options, is_surface_channels):
        try:
            stream = probe_stream(raw, letter, band)
            when = clock.stream(stream.name)
            data, channels = _traces(stream)
            if not len(data):
                raise MissingDataError(f"{stream.path} has no samples.")
        except (MissingDataError, MissingObjectError) as error:
            _log.warning("The raw %s of probe %s of %s is left out: %s", band, letter, raw.id, error)
            why.append(str(error))
            continue
        conversion, of_channel = scaling(stream.bit_volts[channels])
        with not_in_a_file_yet():
            series = ElectricalSeries(
                name=group_name(letter),
                description=_SAID[band].format(group_name(letter)),
                comments=f"Stream {stream.name}; its clock: {when.method}.",
                data=data,
                electrodes=electrode_region(electrodes, letter, channels),
                rate=float(when.rate),
                starting_time=float(when.start),
                conversion=conversion,
                channel_conversion=of_channel,
                resolution=conversion,
                filtering=FILTERING[band],
            )
        found.append(series)
    if not found:
        raise ComponentUnavailable(f"{raw.root} has no raw {band} that can be used: {'; '.join(why)}")
    return found


def raw_ap(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    electrodes: DynamicTable,
    is_surface_channels: bool = False,
) -> FilteredEphys:
    """Return the raw AP band: ``AP``, with a series of volts for each probe, named ``probeA`` and so on.

    Raises
    ------
    ComponentUnavailable
        No probe was recorded, or none can be put on the session's clock.
    """
    from pynwb.ecephys import FilteredEphys

    series = _series(raw, clock, options, electrodes, "AP", is_surface_channels)
    with not_in_a_file_yet():
        return FilteredEphys(name="AP", electrical_series=series)


def raw_lfp(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    electrodes: DynamicTable,
    is_surface_channels: bool = False,
) -> LFP:
    """Return the raw LFP band: ``LFP_raw``, with a series of volts for each probe, named ``probeA`` and so on.

    Raises
    ------
    ComponentUnavailable
        No LFP band was recorded, or none can be put on the session's clock.
    """
    from pynwb.ecephys import LFP

    series = _series(raw, clock, options, electrodes, "LFP", is_surface_channels)
    with not_in_a_file_yet():
        return LFP(name="LFP_raw", electrical_series=series)
