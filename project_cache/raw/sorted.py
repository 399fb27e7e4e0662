"""Spike sorting output, as SpikeInterface leaves it: one interface for the older and the newer layout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError
from project_cache.raw.places import AnyPath, place, read_text
from project_cache.raw.settings import probe_letter

__all__ = ["SortedOutput", "SortedProbe", "channel_numbers", "shank_of", "texts"]

#: what a log of the pipeline's workflow engine begins with
PIPELINE_BANNER = "N E X T F L O W"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class SortedProbe:
    """What was sorted from one probe, or from one shank of it.

    Attributes
    ----------
    letter : str
        The probe.
    shank : int or None
        The shank, where shanks were sorted apart.
    name : str
        What the sorter calls the recording.
    unit_ids : numpy.ndarray of int64
        Cluster ids, in the order of all that is by unit here.
    spike_samples : numpy.ndarray of int64
        When spikes were, in samples since the recording's first.
    spike_units : numpy.ndarray of int64
        Whose they were: numbers of elements of `unit_ids`.
    amplitudes : numpy.ndarray of float
        Of each spike, in µV.
    metrics : pandas.DataFrame
        Quality and template metrics, a row a unit, index `unit_ids`.
    templates_mean, templates_sd : array-like of float, (units, time, channels)
        Waveforms in µV: mapped or compressed, read by slices.
    sparsity : numpy.ndarray of bool, (units, channels)
        On which channels a unit's template was taken.
    channels : numpy.ndarray of int64
        0-based channel of the probe of each column of the above.
    locations : numpy.ndarray of float64, (channels, 2), or None
        Where these channels' contacts are on the probe, in µm.
    unit_locations : numpy.ndarray of float64, (units, 2 or 3), or None
        Where the sorter believes the units to be, in µm.
    default_qc : numpy.ndarray of bool, or None
        The sorter's own verdict.
    decoder_label : numpy.ndarray of str, or None
        ``"sua"``, ``"mua"``, ``"noise"``.
    decoder_probability : numpy.ndarray of float64, or None
        Of `decoder_label`.
    drift_map_paths : tuple of path
        Pictures of spikes' depths over time.
    """

    letter: str
    shank: int | None
    name: str
    unit_ids: NDArray[np.int64]
    spike_samples: NDArray[np.int64]
    spike_units: NDArray[np.int64]
    amplitudes: NDArray[np.floating[Any]]
    metrics: pd.DataFrame
    templates_mean: Any
    templates_sd: Any
    sparsity: NDArray[np.bool_]
    channels: NDArray[np.int64]
    locations: NDArray[np.float64] | None = None
    unit_locations: NDArray[np.float64] | None = None
    default_qc: NDArray[np.bool_] | None = None
    decoder_label: NDArray[Any] | None = None
    decoder_probability: NDArray[np.float64] | None = None
    drift_map_paths: tuple[AnyPath, ...] = field(default=())

    def __post_init__(self) -> None:
        n_units, n_spikes, n_channels = len(self.unit_ids), len(self.spike_samples), len(self.channels)
        for what, found, expected in (
            ("spike amplitudes", self.amplitudes.shape, (n_spikes,)),
            ("units of spikes", self.spike_units.shape, (n_spikes,)),
            ("rows of metrics", (len(self.metrics),), (n_units,)),
            ("templates", tuple(self.templates_mean.shape[::2]), (n_units, n_channels)),
            ("deviations of templates", tuple(self.templates_sd.shape[::2]), (n_units, n_channels)),
            ("sparsity", self.sparsity.shape, (n_units, n_channels)),
        ):
            if found != expected:
                raise CorruptObjectError(
                    f"The sorted output {self.name!r} has {n_units} units, {n_spikes:,} spikes and {n_channels} "
                    f"channels, but {what} of shape {found}: its parts are of different sortings."
                )
        if n_spikes and not (self.spike_units.min() >= 0 and self.spike_units.max() < n_units):
            raise CorruptObjectError(
                f"The sorted output {self.name!r} has spikes of units that it does not have."
            )


class SortedOutput:
    """A folder of sorted output, in either of SpikeInterface's layouts.

    A probe whose output is not complete (sorting failed, or was left out) is not among `probes`; `skipped` says
    why. Nothing is read before it is asked for.

    Parameters
    ----------
    path : str or path
        The folder that has ``postprocessed/``.
    plugin_version : str, optional
        Version of Open Ephys' Neuropix-PXI plugin, which tells whether its channel names count from 0 or from
        1 where they do not tell it themselves.

    Attributes
    ----------
    path : path
        The folder.
    """

    def __init__(self, path: str | AnyPath, plugin_version: str | None = None) -> None:
        self.path = place(path)
        self._plugin_version = plugin_version
        # spikes of a long recording are gigabytes: kept as long as somebody has them
        self._read: WeakValueDictionary[str, SortedProbe] = WeakValueDictionary()

    @cached_property
    def layout(self) -> str:
        """``"analyzer"`` (a SortingAnalyzer in zarr for each recording) or ``"folders"`` (npy, csv and json)."""
        return "analyzer" if any(each.suffix == ".zarr" for each in self._postprocessed) else "folders"

    @cached_property
    def is_pipeline_run(self) -> bool:
        """Whether the log in ``output`` is that of the Nextflow pipeline, rather than of a single capsule."""
        log = self.path / "output"
        return log.is_file() and PIPELINE_BANNER in read_text(log)

    @cached_property
    def _postprocessed(self) -> list[Any]:
        folder = self.path / "postprocessed"
        if not folder.is_dir():
            raise MissingObjectError(f"{folder} is missing: {self.path} is no sorted output.")
        return sorted(
            each
            for each in folder.iterdir()
            if each.is_dir() and probe_letter(each.name) and "sorting" not in each.name
        )

    @cached_property
    def _found(self) -> tuple[dict[str, list[AnyPath]], dict[str, str]]:
        """Return the postprocessed folders of each probe that can be used, and why those of others cannot."""
        from project_cache.raw import sorted_analyzer, sorted_legacy

        check = sorted_analyzer.incomplete if self.layout == "analyzer" else sorted_legacy.incomplete
        found: dict[str, list[AnyPath]] = {}
        skipped: dict[str, str] = {}
        for each in self._postprocessed:
            letter = str(probe_letter(each.name))
            if _is_lfp(each.name):
                continue
            if why := check(self.path, each):
                skipped[letter] = why
            else:
                found.setdefault(letter, []).append(each)
        return found, {letter: why for letter, why in skipped.items() if letter not in found}

    @cached_property
    def _sorted_names(self) -> list[str]:
        names = []
        for folder in ("spikesorted", "curated", "sorting_precurated"):
            if (self.path / folder).is_dir():
                names += [each.name for each in (self.path / folder).iterdir() if probe_letter(each.name)]
        return sorted(name for name in names if not _is_lfp(name))

    @property
    def probes(self) -> tuple[str, ...]:
        """Letters of the probes that have sorted output."""
        return tuple(sorted(self._found[0]))

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Letters of the probes whose output is not complete, and what it lacks."""
        found, skipped = self._found
        skipped = dict(skipped)
        for each in self._sorted_names:
            letter = str(probe_letter(each))
            if letter not in found:
                skipped.setdefault(letter, f"{each} was sorted, but not postprocessed")
        return skipped

    def count_units(self, letter: str) -> int:
        """Return how many units were sorted from a probe, by the sorter's list of them: nothing else is read.

        Raises
        ------
        MissingDataError, CorruptObjectError
            The probe was not sorted; the list is damaged.
        """
        from project_cache.raw import sorted_analyzer, sorted_legacy

        count = sorted_analyzer.count_units if self.layout == "analyzer" else sorted_legacy.count_units
        return sum(count(self.path, each) for each in self._folders(letter))

    def groups(self, letter: str) -> list[SortedProbe]:
        """Return what was sorted from a probe: one element, or one for each shank that was sorted apart.

        Raises
        ------
        MissingDataError
            The probe was not sorted, or its sorting failed.
        CorruptObjectError
            A file is damaged, or parts do not fit each other.
        """
        from project_cache.raw import sorted_analyzer, sorted_legacy

        read = sorted_analyzer.read if self.layout == "analyzer" else sorted_legacy.read
        found = []
        for each in self._folders(letter):
            group = self._read.get(each.name)
            if group is None:
                group = read(
                    self.path, each, letter, shank_of(each.name), self._plugin_version, self._drift_maps(each)
                )
                self._read[each.name] = group
            found.append(group)
        return found

    def _folders(self, letter: str) -> list[AnyPath]:
        if letter not in self._found[0]:
            why = self.skipped.get(letter, "it was not sorted")
            raise MissingDataError(f"Probe {letter} has no units in {self.path}: {why}.")
        return self._found[0][letter]

    def drift_map_paths(self, letter: str) -> tuple[AnyPath, ...]:
        """Return the pictures of a probe's spikes' depths over time, without reading its spikes.

        Raises
        ------
        MissingDataError
            The probe was not sorted, or its sorting failed.
        """
        return tuple(path for each in self._folders(letter) for path in self._drift_maps(each))

    def _drift_maps(self, folder: AnyPath) -> tuple[AnyPath, ...]:
        stem = folder.name.removesuffix(".zarr")
        found: list[Any] = []
        for parent in (self.path / "drift_maps", self.path / "visualization"):
            if not parent.is_dir():
                continue
            for each in parent.iterdir():
                if not each.name.startswith(stem) and probe_letter(each.name) != probe_letter(stem):
                    continue
                if shank_of(each.name) != shank_of(stem):
                    continue
                if each.suffix == ".png":
                    found.append(each)
                elif each.is_dir():
                    found += [inner for inner in each.glob("*.png") if "drift" in inner.name]
        return tuple(sorted(found))


def _is_lfp(name: str) -> bool:
    return "-LFP" in name


def shank_of(name: str) -> int | None:
    """Return the shank that a recording's name gives (``…_group2``), or None."""
    found = re.search(r"_group(\d+)", name)
    return int(found[1]) if found else None


def texts(values: NDArray[Any]) -> NDArray[Any]:
    """Return strings, however they are stored, as an array of ``str`` objects."""
    return np.array(
        [each.decode() if isinstance(each, bytes) else str(each) for each in values], dtype=object
    )


def channel_numbers(
    channel_ids: Sequence[Any], *, counted_from_0: bool = False, plugin_version: str | None = None
) -> NDArray[np.int64]:
    """Return the 0-based channels that channel ids mean.

    Open Ephys counts channels from 1 (``AP1`` … ``AP384``) before version 0.7 of its Neuropix-PXI plugin, and
    from 0 since; sorted output need not have them all.

    Parameters
    ----------
    channel_ids : sequence of str or int
        The ids.
    counted_from_0 : bool
        Whether ids count from 0 where they can.
    plugin_version : str, optional
        Asked where the ids can be either.

    Raises
    ------
    CorruptObjectError
        An id has no number, or two are the same.

    Examples
    --------
    >>> channel_numbers(["AP1", "AP2", "AP3"]).tolist(), channel_numbers(["CH0", "CH1"]).tolist()
    ([0, 1, 2], [0, 1])
    """
    digits = [re.search(r"(\d+)$", str(each)) for each in channel_ids]
    if not all(digits):
        raise CorruptObjectError(f"Channel ids without a number: {list(channel_ids)[:5]}.")
    numbers = np.array([int(each[1]) for each in digits if each], dtype=np.int64)
    if len(np.unique(numbers)) < len(numbers):
        raise CorruptObjectError("Channel ids that are there twice.")
    return numbers - int(_counted_from_1(numbers, str(channel_ids[0]), counted_from_0, plugin_version))


def _counted_from_1(
    numbers: NDArray[np.int64], example: str, counted_from_0: bool, plugin_version: str | None
) -> bool:
    n_channels = 384
    if not len(numbers) or numbers.min() == 0:
        return False
    if numbers.max() == n_channels:
        return True
    if counted_from_0:
        return False
    if np.array_equal(np.sort(numbers), np.arange(1, len(numbers) + 1)):
        return True
    if plugin_version is not None:
        version = [int(part) for part in re.findall(r"\d+", plugin_version)[:2]]
        return version < [0, 7]
    # the plugins that called them AP1 or LFP1 counted from 1
    return bool(re.match(r"(AP|LFP)\d", example))
