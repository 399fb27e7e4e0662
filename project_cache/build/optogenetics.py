"""Optogenetic stimulation: the light sources, the places that they shone at, and with what power when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.build.clock.waveforms import opto_waveform
from project_cache.errors import ComponentUnavailable, MissingDataError

if TYPE_CHECKING:
    from pynwb.device import Device
    from pynwb.epoch import TimeIntervals
    from pynwb.ogen import OptogeneticSeries, OptogeneticStimulusSite

    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile

__all__ = ["light_sources", "optogenetic_series", "optogenetic_sites"]

#: what each table of trials calls what is needed here
_TASK = {
    "opto_start_time": "start_time",
    "opto_label": "label",
    "opto_location_bregma_x": "x",
    "opto_location_bregma_y": "y",
    "opto_power": "power",
    "opto_wavelength": "wavelength",
    "trial_index": "trial_index",
}
_TAGGING = {
    "stim_start_time": "start_time",
    "location": "label",
    "bregma_x": "x",
    "bregma_y": "y",
    "power": "power",
    "wavelength": "wavelength",
    "trial_index": "trial_index",
    "stimulus_file": "stimulus_file",
}
#: LEDs of the rigs; all other light sources are lasers
_LED = 470.0


@dataclass(frozen=True, slots=True)
class _Site:
    """A place that a light source shone at, and the rows of when it did."""

    name: str
    source: str
    wavelength: float
    location: str
    pulses: pd.DataFrame


def light_sources(
    optotagging_trials: TimeIntervals | None = None, trials: TimeIntervals | None = None
) -> dict[str, Device]:
    """Return the lasers and LEDs that were used, by name (``"laser_488"``).

    Parameters
    ----------
    optotagging_trials, trials : pynwb.epoch.TimeIntervals, optional
        The trials with light.

    Raises
    ------
    ComponentUnavailable
        No light was used.
    """
    from pynwb.device import Device

    wavelengths = {site.source: site.wavelength for site in _sites(optotagging_trials, trials)}
    return {
        source: Device(
            name=source,
            description=("LED" if source.startswith("led") else "laser")
            + " for optogenetic stimulation"
            + (f", {wavelength:g} nm" if np.isfinite(wavelength) else ""),
        )
        for source, wavelength in sorted(wavelengths.items())
    }


def optogenetic_sites(
    light_sources: dict[str, Device],
    optotagging_trials: TimeIntervals | None = None,
    trials: TimeIntervals | None = None,
) -> dict[str, OptogeneticStimulusSite]:
    """Return the places that light was aimed at, by name (``"laser_488_probeA"``).

    Parameters
    ----------
    light_sources : dict of str to pynwb.device.Device
        As of :func:`light_sources`.
    optotagging_trials, trials : pynwb.epoch.TimeIntervals, optional
        The trials with light.

    Raises
    ------
    ComponentUnavailable
        No light was used.
    """
    from pynwb.ogen import OptogeneticStimulusSite

    return {
        site.name: OptogeneticStimulusSite(
            name=site.name,
            device=light_sources[site.source],
            description=f"Light from {site.source} on the surface of the brain, at {site.location}.",
            excitation_lambda=float(site.wavelength),
            location=site.location,
        )
        for site in _sites(optotagging_trials, trials)
    }


def optogenetic_series(
    raw: RawRecording,
    optogenetic_sites: dict[str, OptogeneticStimulusSite],
    optotagging_trials: TimeIntervals | None = None,
    trials: TimeIntervals | None = None,
) -> dict[str, OptogeneticSeries]:
    """Return the power of the light at each site over time (W), by the site's name.

    Only pulses have samples, at the rate of the waveform that drove the source; each begins and ends with a
    sample of 0.

    Parameters
    ----------
    raw : RawRecording
        The recording, with the stimulus files that the waveforms are made from.
    optogenetic_sites : dict of str to pynwb.ogen.OptogeneticStimulusSite
        As of :func:`optogenetic_sites`.
    optotagging_trials, trials : pynwb.epoch.TimeIntervals, optional
        The trials with light.

    Raises
    ------
    ComponentUnavailable
        No light was used, or the power of none is known, for want of a calibration.

    Notes
    -----
    A trial's power (mW, by the laser's calibration) is that of the highest voltage; in between power is taken
    to be in proportion to the voltage.
    """
    from pynwb.ogen import OptogeneticSeries

    made = {}
    for site in _sites(optotagging_trials, trials):
        times, power = _power(raw, site.pulses)
        if len(times):
            made[site.name] = OptogeneticSeries(
                name=site.name,
                site=optogenetic_sites[site.name],
                data=power,
                timestamps=times,
                description=f"Power of the light at {site.location}, by the source's calibration and the waveform that "
                "drove it. There are samples in pulses only; between them there was no light.",
            )
    if not made:
        raise ComponentUnavailable(
            f"The power of the light in {raw.id} is not known: its stimulus files have no calibration."
        )
    return made


def _power(raw: RawRecording, pulses: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the times (s) and power (W) of all samples in some pulses."""
    times: list[NDArray[np.float64]] = []
    power: list[NDArray[np.float64]] = []
    last = -np.inf
    pulses = pulses.sort_values("start_time", kind="stable")
    columns = (
        pulses[name].tolist() for name in ("start_time", "power", "stimulus_file", "trial_index", "device")
    )
    for onset, strongest, file, trial, device in zip(*columns, strict=True):
        stimulus = _stimulus(raw, str(file))
        if stimulus is None or not np.isfinite(strongest):
            continue
        try:
            waveform, rate = opto_waveform(stimulus, int(trial), int(device))
        except MissingDataError:
            continue
        shining = np.flatnonzero(waveform > 0)
        if not len(shining):
            continue
        # the light's onset is known: what the waveform has before it (a delay) is left out
        samples = np.concatenate([[0.0], waveform[shining[0] :]])
        at = onset + np.arange(-1, len(samples) - 1) / rate
        free = at > last
        times.append(at[free])
        power.append(np.clip(samples[free] / waveform.max(), 0, None) * strongest * 1e-3)
        last = at[-1]
    if not times:
        return np.empty(0), np.empty(0)
    return np.concatenate(times), np.concatenate(power)


def _stimulus(raw: RawRecording, name: str) -> StimulusFile | None:
    """Return the stimulus file of this name; of a script's name alone, its only one."""
    for stimulus in raw.stimuli:
        if name in (stimulus.stem, stimulus.path.name, stimulus.script):
            return stimulus
    return None


def _sites(optotagging_trials: TimeIntervals | None, trials: TimeIntervals | None) -> list[_Site]:
    """Return the sites of all trials with light, in alphabetical order."""
    tables = [
        _pulses(optotagging_trials, _TAGGING, "OptoTagging"),
        _pulses(trials, _TASK, "DynamicRouting1"),
    ]
    pulses = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    if not len(pulses):
        raise ComponentUnavailable("There was no optogenetic stimulation.")
    found = sorted(_grouped(pulses), key=lambda site: site.name)
    return [
        site if not number else _renamed(site, number + 1)
        for name in dict.fromkeys(site.name for site in found)
        for number, site in enumerate(each for each in found if each.name == name)
    ]


def _renamed(site: _Site, number: int) -> _Site:
    return _Site(f"{site.name}_{number}", site.source, site.wavelength, site.location, site.pulses)


def _pulses(table: TimeIntervals | None, names: dict[str, str], script: str) -> pd.DataFrame:
    """Return when and where a table's trials had light, one row for each pulse and place."""
    empty = pd.DataFrame(columns=[*dict.fromkeys(names.values()), "stimulus_file", "device"])
    if table is None or next(iter(names)) not in table.colnames:
        return empty
    frame = table.to_dataframe()
    found = pd.DataFrame({new: frame[old] for old, new in names.items() if old in frame})
    for name in ("x", "y", "power", "wavelength"):
        if name not in found:
            found[name] = np.nan
    if "label" not in found:
        found["label"] = ""
    if "stimulus_file" not in found:
        found["stimulus_file"] = script
    # a trial with several places has as many rows, in the order of its devices
    found["device"] = found.groupby(["stimulus_file", "trial_index"]).cumcount()
    return found[np.isfinite(found["start_time"].astype(float))]


def _grouped(pulses: pd.DataFrame) -> Iterator[_Site]:
    of: Any = pulses.groupby(["wavelength", "label", "x", "y"], dropna=False)
    for (wavelength, label, x, y), rows in of:
        source = "light_source"
        if np.isfinite(wavelength):
            source = f"led_{wavelength:.0f}" if wavelength == _LED else f"laser_{wavelength:.0f}"
        where = [str(label)] if label else []
        if np.isfinite(x) and np.isfinite(y):
            where.append(f"{x:g} mm to the right and {y:g} mm to the front of bregma")
        name = "_".join([source, *([str(label)] if label else [])])
        for character in " /:.":
            name = name.replace(character, "_")
        yield _Site(name, source, float(wavelength), ", ".join(where) or "unknown", rows)
