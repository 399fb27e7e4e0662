"""The LFP of each probe: filtered forward and backward, at half the rate and every fourth channel by default.

The filter is applied by its frequency response, block by block. Blocks overlap by as long as the filter
remembers, so that where they are cut cannot be seen in the result.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from project_cache.build.electrodes import electrode_region, not_in_a_file_yet
from project_cache.build.probes import CHANNELS, group_name, probe_letters, probe_stream
from project_cache.build.raw_ephys import scaling
from project_cache.errors import (
    ComponentUnavailable,
    ConfigurationError,
    MissingDataError,
    MissingObjectError,
)

if TYPE_CHECKING:
    from hdmf.common import DynamicTable
    from pynwb.ecephys import LFP, ElectricalSeries

    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.raw.openephys import Stream
    from project_cache.raw.places import AnyPath
    from project_cache.raw.recording import RawRecording

__all__ = ["LfpFilter", "filtered", "lfp", "precomputed_lfp"]

_log = logging.getLogger("project_cache")

#: Hz: the band, and the orders of the Butterworth filters that bound it
HIGH_PASS, HIGH_PASS_ORDER = 0.5, 2
LOW_PASS, LOW_PASS_ORDER = 500.0, 8
#: what is left of a sample where the overlap of blocks ends
FORGOTTEN = 1e-9
#: s: a recording that is shorter than one cycle of the slowest oscillation has none
SHORTEST = 1 / HIGH_PASS
#: µV of one count of what is written
LSB = 0.195
#: samples of a block that is transformed at once
BLOCK = 1 << 18
#: channels that are transformed together, which bounds the memory
_TOGETHER = 24
_WORKERS = min(os.cpu_count() or 1, 4)

FILTERING = "0.5-500 Hz"


@dataclass(frozen=True, slots=True)
class LfpFilter:
    """A zero-phase band-pass: Butterworth filters applied forward and backward.

    Attributes
    ----------
    rate : float
        Hz, of what is filtered.
    factor : int
        Every how many-th sample is kept.
    low_pass : float
        Hz: the upper bound, below the new Nyquist frequency.
    """

    rate: float
    factor: int
    low_pass: float = LOW_PASS

    def sections(self) -> npt.NDArray[np.float64]:
        """Return the second-order sections of one pass, shape (sections, 6)."""
        from scipy.signal import butter

        high = butter(HIGH_PASS_ORDER, HIGH_PASS, "highpass", fs=self.rate, output="sos")
        low = butter(LOW_PASS_ORDER, self.low_pass, "lowpass", fs=self.rate, output="sos")
        return np.concatenate([high, low])

    def overlap(self) -> int:
        """Return after how many samples the filter has forgotten, a multiple of `factor`."""
        poles = np.concatenate([np.roots(section[3:]) for section in self.sections()])
        # two passes in each direction: a margin over the decay of the slowest pole
        n = 1.2 * np.log(FORGOTTEN) / np.log(np.abs(poles).max())
        return int(np.ceil(n / self.factor)) * self.factor

    def gain(self, n_samples: int) -> npt.NDArray[np.float32]:
        """Return what both passes do to each frequency of a block, shape (n_samples // 2 + 1,)."""
        back = np.exp(-2j * np.pi * np.arange(n_samples // 2 + 1) / n_samples)
        gain = np.ones(len(back))
        for b0, b1, b2, a0, a1, a2 in self.sections():
            gain *= np.abs((b0 + b1 * back + b2 * back**2) / (a0 + a1 * back + a2 * back**2)) ** 2
        return gain.astype(np.float32)

    def describe(self) -> str:
        """Return what the filter is, in words."""
        return (
            f"Butterworth high-pass of order {HIGH_PASS_ORDER} at {HIGH_PASS:g} Hz and low-pass of order "
            f"{LOW_PASS_ORDER} at {self.low_pass:g} Hz, each applied forward and backward (zero phase, 6 dB down at "
            f"either bound), then every {_ordinal(self.factor)} sample"
        )


def _ordinal(number: int) -> str:
    return {1: "", 2: "second", 3: "third", 4: "fourth"}.get(number, f"{number}th")


@lru_cache(maxsize=4)
def _prepared(design: LfpFilter, n_samples: int) -> tuple[int, npt.NDArray[np.float32]]:
    return design.overlap(), design.gain(n_samples)


def filtered(
    data: Any,
    design: LfpFilter,
    start: int,
    stop: int,
    channels: slice | None = None,
    block: int = BLOCK,
) -> npt.NDArray[np.float32]:
    """Return samples of filtered and decimated traces, in the units of the traces.

    Beyond its ends a recording is continued by its own mirror image, turned over (as `scipy.signal.filtfilt`
    does).

    Parameters
    ----------
    data : array-like, shape (samples, channels)
        Read by slices, and no more than is needed: a memory map.
    design : LfpFilter
        What is done.
    start, stop : int
        Which samples of the result, which has ``ceil(samples / factor)`` of them.
    channels : slice, optional
        Which channels.
    block : int
        Samples of `data` that are transformed at once; the result does not depend on it, but for rounding.

    Returns
    -------
    numpy.ndarray of float32, shape (stop - start, channels)
    """
    from scipy import fft

    taken = channels or slice(None)
    factor, total = design.factor, data.shape[0]
    block = -(-block // factor) * factor
    overlap, gain = _prepared(design, block)
    if block <= 2 * overlap:
        raise ConfigurationError(
            f"A block of {block:,} samples is too short: the filter remembers {overlap:,}."
        )
    each = (block - 2 * overlap) // factor
    n_channels = len(range(*taken.indices(data.shape[1])))
    found = np.empty((stop - start, n_channels), dtype=np.float32)
    for at in range(start, stop, each):
        n = min(each, stop - at)
        first = at * factor - overlap
        last = first + block
        # a mirror image at the start or the end needs as much of the recording as it is long
        lower = max(min(first, total - overlap), 0) if first >= 0 else 0
        lower = min(lower, max(total - (last - total) - 1, 0)) if last > total else lower
        upper = min(max(last, overlap - first), total) if first < 0 else min(last, total)
        raw = np.asarray(data[lower:upper, taken])
        for group in range(0, n_channels, _TOGETHER):
            part = raw[:, group : group + _TOGETHER].T.astype(np.float32)
            part = _continued(part, max(-first, 0), max(last - total, 0))
            skip = max(first, 0) - lower
            part = part[:, skip : skip + block]
            # the offset is what a high-pass removes; without it rounding is relative to the signal
            part = part - part.mean(axis=1, keepdims=True)
            spectrum = fft.rfft(part, axis=1, workers=_WORKERS)
            spectrum *= gain
            whole = fft.irfft(spectrum, block, axis=1, workers=_WORKERS)
            found[at - start : at - start + n, group : group + _TOGETHER] = whole[
                :, overlap : overlap + n * factor : factor
            ].T
    return found


def _continued(part: npt.NDArray[np.float32], before: int, after: int) -> npt.NDArray[np.float32]:
    """Return traces, shape (channels, samples), continued at either end by their mirror image, turned over."""
    if not before and not after:
        return part
    if part.shape[1] == 1:
        return np.pad(part, ((0, 0), (before, after)), mode="edge")
    return np.pad(part, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")


def _computed(stream: Stream, options: Options) -> tuple[Any, npt.NDArray[np.int64], LfpFilter]:
    """Return the filtered LFP of a stream as int16 counts, read when sliced; its channels; and the filter."""
    from scipy.fft import next_fast_len

    from project_cache.build.lazy_array import CHUNK_ROWS, LazyArray, let_go

    factor = round(stream.nominal_rate / options.lfp_rate)
    if factor < 1 or abs(factor * options.lfp_rate - stream.nominal_rate) > 1e-6 * stream.nominal_rate:
        raise ConfigurationError(
            f"{stream.name} was recorded at {stream.nominal_rate:g} Hz, of which {options.lfp_rate:g} Hz is no whole "
            f"part: choose lfp_rate among {stream.nominal_rate:g}, {stream.nominal_rate / 2:g} …"
        )
    design = LfpFilter(stream.nominal_rate, factor, min(LOW_PASS, 0.4 * options.lfp_rate))
    contacts = stream.contact_channels
    channels = contacts[:: options.lfp_channel_stride]
    taken = slice(int(contacts[0]), int(contacts[-1]) + 1, options.lfp_channel_stride)
    scale = (stream.bit_volts[channels] / LSB).astype(np.float32)
    limits = np.iinfo(np.int16)
    overlap = design.overlap()
    n_samples = -(-stream.n_samples // factor)
    block = min(BLOCK, next_fast_len(stream.n_samples + 2 * overlap + factor, real=True))
    # always cut at the same places: then a slice is, to the last bit, what the whole has there
    each = (block - 2 * overlap) // factor
    each = max(each // CHUNK_ROWS, 1) * CHUNK_ROWS if each > CHUNK_ROWS else each
    last: dict[int, npt.NDArray[np.int16]] = {}

    def piece(number: int) -> npt.NDArray[np.int16]:
        if number not in last:
            stop = min((number + 1) * each, n_samples)
            values = filtered(stream.data, design, number * each, stop, taken, block)
            let_go(stream.data)
            values *= scale
            last.clear()
            last[number] = np.clip(np.rint(values, out=values), limits.min, limits.max).astype(np.int16)
        return last[number]

    def read(start: int, stop: int) -> npt.NDArray[np.int16]:
        parts = [
            piece(number)[max(start - number * each, 0) : stop - number * each]
            for number in range(start // each, -(-stop // each))
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(channels)), dtype=np.int16)

    return LazyArray((n_samples, len(channels)), np.int16, read, block=each), channels, design


def lfp(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    electrodes: DynamicTable,
    is_surface_channels: bool = False,
) -> LFP:
    """Return the filtered LFP: ``LFP``, with a series of volts for each probe, named ``probeA`` and so on.

    What was computed before, and lies in a folder ``lfp…`` of the recording or its sorted output, is taken. Else
    the raw LFP is filtered, when it is read or written: zero phase, 0.5 to 500 Hz.

    Raises
    ------
    ComponentUnavailable
        No LFP band was recorded, or none can be put on the session's clock.
    ConfigurationError
        The rate that was asked for is no whole part of the recorded one.
    """
    from pynwb.ecephys import LFP

    series, why = [], []
    before = precomputed_lfp(raw)
    for letter in probe_letters(raw, options, is_surface_channels):
        try:
            stream = probe_stream(raw, letter, "LFP")
            clock.stream(stream.name)
            series.append(_series(raw, clock, options, electrodes, stream, before.get(letter)))
        except (MissingDataError, MissingObjectError) as error:
            _log.warning("The LFP of probe %s of %s is left out: %s", letter, raw.id, error)
            why.append(str(error))
    if not series:
        raise ComponentUnavailable(f"{raw.root} has no LFP that can be used: {'; '.join(why)}")
    with not_in_a_file_yet():
        return LFP(name="LFP", electrical_series=series)


def _series(
    raw: RawRecording,
    clock: SessionClock,
    options: Options,
    electrodes: DynamicTable,
    stream: Stream,
    before: AnyPath | None,
) -> ElectricalSeries:
    from pynwb.ecephys import ElectricalSeries

    when = clock.stream(stream.name)
    letter = str(stream.probe)
    if before is None:
        if stream.n_samples < SHORTEST * stream.nominal_rate:
            raise MissingDataError(
                f"{stream.path} has {stream.n_samples / stream.nominal_rate:.3g} s of samples, of which no LFP from "
                f"{HIGH_PASS:g} Hz on can be had."
            )
        data, channels, design = _computed(stream, options)
        rate, conversion, of_channel = when.rate / design.factor, LSB * 1e-6, None
        how = f"Filtered from the raw LFP ({stream.name}, {stream.nominal_rate:g} Hz): {design.describe()}."
        if options.lfp_channel_stride > 1:
            how += f" Every {_ordinal(options.lfp_channel_stride)} channel."
    else:
        data, channels, nominal, bit_volts = _precomputed(before)
        rate = when.rate * nominal / stream.nominal_rate
        conversion, of_channel = scaling(bit_volts)
        how = f"Computed before this file was built, and read from {before.name}."
    with not_in_a_file_yet():
        return ElectricalSeries(
            name=group_name(letter),
            description=f"LFP of {group_name(letter)}. {how}",
            data=data,
            electrodes=electrode_region(electrodes, letter, channels),
            rate=float(rate),
            starting_time=float(when.start),
            conversion=conversion,
            channel_conversion=of_channel,
            resolution=conversion,
            filtering=FILTERING,
        )


def precomputed_lfp(raw: RawRecording) -> dict[str, AnyPath]:
    """Return the zarr folder of each probe's LFP that was computed before, by letter.

    They are looked for in folders whose name begins with ``lfp``, in the recording's and in the sorted output's
    folder.
    """
    from project_cache.raw.names import extract_probe_letter

    found: dict[str, AnyPath] = {}
    for parent in (raw.root, raw.sorted_path):
        if parent is None or not parent.is_dir():
            continue
        folders: list[Any] = sorted(parent.iterdir(), key=str)
        for folder in folders:
            if not folder.name.lower().startswith("lfp") or not folder.is_dir():
                continue
            for each in sorted(folder.iterdir(), key=str):
                letter = extract_probe_letter(each.name)
                if each.suffix == ".zarr" and letter is not None:
                    found.setdefault(letter, each)
    return found


def _precomputed(path: AnyPath) -> tuple[Any, npt.NDArray[np.int64], float, npt.NDArray[np.float64]]:
    """Return the samples of an LFP that was computed before, its channels (from 0), its rate (Hz) and µV a count."""
    from project_cache.build.lazy_array import lazy
    from project_cache.raw.compressed import ZarrGroup

    group = ZarrGroup(path)
    names = [str(name) for name in group.read("channel_ids").tolist()]
    digits = [re.search(r"(\d+)$", name) for name in names]
    numbers = np.array([int(each[1]) if each else -1 for each in digits], dtype=np.int64)
    # LFP1 is the first channel; where one is called 0, or all 384 cannot be meant, counting began there
    if len(numbers) and numbers.min() > 0:
        numbers = numbers - 1
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= CHANNELS:
        raise MissingDataError(f"{path}: its channels ({', '.join(names[:3])} …) are not those of a probe.")
    rate = group.attrs.get("sampling_frequency")
    if not isinstance(rate, int | float) or not rate > 0:
        raise MissingDataError(f"{path} does not say at which rate it was sampled.")
    gains = (
        group.read("properties/gain_to_uV")
        if "properties/gain_to_uV" in group
        else np.full(len(numbers), LSB)
    )
    return lazy(group.array("traces_seg0")), numbers, float(rate), np.asarray(gains, dtype=np.float64)
