"""The demo project on paper: its sessions, probes, channels and units, and what each unit prefers.

Six sessions of two types are laid out as the Visual Coding project lays its own out, with made-up numbers.
All of it is drawn from seeds that are the sessions' ids, so that a table can be made without the
recordings, and a recording agrees with the tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from project_cache.build.demo_stimuli import session_seconds

__all__ = ["AREAS", "DIRECTIONS", "NO_LFP", "SESSIONS", "Area", "Layout", "direction_curve", "layout"]

SAMPLING_RATE = 30_000.0
LFP_RATE = 1_250.0
#: every fifth site of a Neuropixels 1.0 probe: small files, and all depths
SITES = np.arange(0, 384, 5)
#: the files know them by consecutive numbers, which are the rows of waveforms
NUMBERS = np.arange(len(SITES))
REFERENCE = 38  # the probe's internal reference: never usable
#: probes whose field potential was lost: such probes exist, and code must cope
NO_LFP = frozenset({(900006, "probeB")})
DIRECTIONS = np.arange(0.0, 360.0, 45.0)
TEMPORAL_FREQUENCIES = np.array([1.0, 2.0, 4.0, 8.0, 15.0])


@dataclass(frozen=True, slots=True)
class Area:
    """How the units of a brain structure are made.

    Attributes
    ----------
    structure_id : int
        In the Allen reference atlas.
    latency : float
        Median time from a stimulus to the first response (s).
    visual : float
        How strongly they answer to pictures: 0 not at all, 1 as V1 does.
    oriented : float
        How sharply they are tuned to orientation.
    running : float
        How much running adds to their rate.
    """

    structure_id: int
    latency: float = 0.06
    visual: float = 0.0
    oriented: float = 0.0
    running: float = 0.3


AREAS = {
    "VISp": Area(385, 0.045, 1.0, 1.0, 0.8),
    "VISl": Area(409, 0.052, 0.8, 0.8, 0.7),
    "VISal": Area(402, 0.056, 0.8, 0.8, 0.8),
    "VISrl": Area(417, 0.055, 0.6, 0.7, 0.6),
    "VISam": Area(394, 0.065, 0.6, 0.7, 0.6),
    "VISpm": Area(533, 0.062, 0.6, 0.7, 0.6),
    "LGd": Area(170, 0.033, 0.9, 0.2, 0.4),
    "LP": Area(218, 0.058, 0.5, 0.3, 0.4),
    "CA1": Area(382, running=0.8),
    "CA3": Area(463, running=0.5),
    "DG": Area(726, running=0.6),
    "SUB": Area(502, running=0.4),
    "APN": Area(215, 0.04, 0.3, 0.1, 0.2),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """One session of the demo project.

    Attributes
    ----------
    session_id : int
    session_type, genotype, sex : str
    age : float
        Days.
    probes : tuple of (name, structures from the tip up, number of units)
    """

    session_id: int
    session_type: str
    genotype: str
    sex: str
    age: float
    probes: tuple[tuple[str, tuple[str, ...], int], ...]

    @property
    def start(self) -> datetime:
        """When it is said to have begun."""
        return datetime(2020, 1, 1, 9, tzinfo=UTC) + timedelta(days=7 * (self.session_id % 100))

    @property
    def cre(self) -> str | None:
        """The driver line of a mouse whose cells answer to light, or None for a wild type."""
        return None if self.genotype == "wt/wt" else self.genotype.split("/")[0]

    def probe_id(self, name: str) -> int:
        """Return the id of a probe by its name."""
        return self.session_id * 10 + "ABCDEF".index(name[-1])

    def random(self, purpose: int) -> np.random.Generator:
        """Return a generator for one purpose: what is drawn for another does not shift its numbers."""
        return np.random.default_rng([self.session_id, purpose])


_BO, _FC = "brain_observatory_1.1", "functional_connectivity"


def _ai32(driver: str) -> str:
    return f"{driver}/wt;Ai32(RCL-ChR2(H134R)_EYFP)/wt"


SESSIONS = {
    each.session_id: each
    for each in (
        Layout(
            900001,
            _BO,
            "wt/wt",
            "M",
            112.0,
            (("probeA", ("LP", "DG", "CA1", "VISam"), 38), ("probeB", ("APN", "DG", "CA1", "VISpm"), 34)),
        ),
        Layout(
            900002,
            _BO,
            _ai32("Sst-IRES-Cre"),
            "M",
            125.0,
            (("probeC", ("LGd", "CA3", "CA1", "VISp"), 52), ("probeD", ("LP", "DG", "CA1", "VISl"), 46)),
        ),
        Layout(
            900003,
            _BO,
            "wt/wt",
            "F",
            108.0,
            (
                ("probeC", ("LGd", "DG", "CA1", "VISp"), 68),
                ("probeD", ("LP", "CA3", "CA1", "VISl"), 60),
                ("probeE", ("LP", "DG", "CA1", "VISal"), 56),
            ),
        ),
        Layout(
            900004,
            _FC,
            "wt/wt",
            "M",
            131.0,
            (
                ("probeC", ("LGd", "DG", "CA1", "VISp"), 58),
                ("probeF", ("APN", "SUB", "CA1", "VISrl"), 50),
            ),
        ),
        Layout(
            900005,
            _FC,
            _ai32("Vip-IRES-Cre"),
            "F",
            119.0,
            (("probeA", ("LP", "SUB", "CA1", "VISam"), 44), ("probeE", ("LP", "DG", "CA1", "VISal"), 42)),
        ),
        Layout(
            900006,
            _FC,
            _ai32("Pvalb-IRES-Cre"),
            "M",
            122.0,
            (("probeB", ("APN", "CA3", "CA1", "VISpm"), 40), ("probeC", ("LGd", "DG", "CA1", "VISp"), 56)),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class _Population:
    """The probes, channels and units of one session, and how the units were made."""

    probes: pd.DataFrame
    channels: pd.DataFrame
    units: pd.DataFrame
    tuning: pd.DataFrame


def layout(session: Layout) -> _Population:
    """Return the session's probes, channels and units, and what each unit prefers."""
    probes = pd.DataFrame(
        {
            "name": [name for name, _, _ in session.probes],
            "sampling_rate": SAMPLING_RATE,
            "lfp_sampling_rate": LFP_RATE,
            "has_lfp_data": [(session.session_id, name) not in NO_LFP for name, _, _ in session.probes],
        },
        index=pd.Index([session.probe_id(name) for name, _, _ in session.probes], name="id"),
    )
    channels = pd.concat([_channels(session, name, areas) for name, areas, _ in session.probes])
    units, tuning = [], []
    for n, (name, _, count) in enumerate(session.probes):
        rng = session.random(10 + n)
        first = session.session_id * 1000 + n * 200
        on_probe = channels[channels["probe_id"] == session.probe_id(name)]
        units.append(_units(rng, on_probe, count, first, session.session_type))
        tuning.append(
            _tuning(rng, units[-1].join(on_probe["structure_acronym"], on="peak_channel_id"), session)
        )
    return _Population(probes, channels, pd.concat(units), pd.concat(tuning))


def _channels(session: Layout, name: str, areas: tuple[str, ...]) -> pd.DataFrame:
    height = 20 * (SITES // 2 + 1)
    # the bottom 1.2 mm thalamus, then two parts of the hippocampus, 1.1 mm of cortex, and air
    edges = np.array([1200, 1700, 2300, 3400])
    which = np.searchsorted(edges, height, side="right")
    acronyms = np.array([*areas, ""], dtype=object)[which]
    ids: dict[str, float] = {a: float(AREAS[a].structure_id) for a in areas}
    probe_id = session.probe_id(name)
    lateral = 6500 + 350 * "ABCDEF".index(name[-1])
    return pd.DataFrame(
        {
            "probe_id": probe_id,
            "probe_channel_number": NUMBERS,
            "probe_horizontal_position": np.array([43, 11, 59, 27])[SITES % 4],
            "probe_vertical_position": height,
            "anterior_posterior_ccf_coordinate": 8200.0 + height // 20,
            "dorsal_ventral_ccf_coordinate": 4000.0 - height,
            "left_right_ccf_coordinate": float(lateral) + height // 10,
            "structure_id": [ids.get(a, math.nan) for a in acronyms],
            "structure_acronym": acronyms,
            "valid_data": NUMBERS != REFERENCE,
        },
        index=pd.Index(probe_id * 1000 + NUMBERS, name="id"),
    )


def _units(
    rng: np.random.Generator, channels: pd.DataFrame, count: int, first: int, session_type: str
) -> pd.DataFrame:
    usable = channels[channels["valid_data"]]
    cortical = usable["structure_acronym"].str.startswith("VIS").to_numpy()
    outside = (usable["structure_acronym"] == "").to_numpy()
    weight = np.where(outside, 0.4, np.where(cortical, 2.2, 1.0))
    peak = np.sort(rng.choice(usable.index.to_numpy(), count, p=weight / weight.sum()))
    noise = rng.random(count) < 0.08
    absent = rng.random(count) < 0.08
    fast = rng.random(count) < 0.2  # fast-spiking cells: narrow waveforms, high rates
    seconds = session_seconds(session_type)
    rate = np.clip(rng.lognormal(np.where(fast, 2.1, 1.25), 0.6), 0.4, 25.0)
    columns: dict[str, npt.NDArray[Any]] = {
        "PT_ratio": rng.uniform(0.3, 0.9, count),
        "amplitude": rng.lognormal(4.8, 0.35, count),
        "amplitude_cutoff": rng.exponential(0.025, count) + np.where(noise, 0.1, 0.0),
        "cluster_id": np.arange(count),
        "cumulative_drift": rng.lognormal(4.6, 0.5, count),
        "d_prime": rng.normal(4.8, 1.0, count).clip(1.0),
        # a unit has exactly the spikes that its rate says
        "firing_rate": np.round(rate * seconds) / seconds,
        "isi_violations": rng.exponential(np.where(noise, 0.9, 0.1)),
        "isolation_distance": rng.lognormal(4.0, 0.5, count),
        "l_ratio": rng.exponential(0.01, count),
        "local_index": np.arange(count),
        "max_drift": rng.lognormal(3.2, 0.4, count),
        "nn_hit_rate": rng.uniform(0.7, 1.0, count),
        "nn_miss_rate": rng.exponential(0.01, count),
        "peak_channel_id": peak,
        "presence_ratio": np.where(absent, rng.uniform(0.5, 0.94, count), rng.uniform(0.97, 1.0, count)),
        "quality": np.where(noise & (rng.random(count) < 0.6), "noise", "good").astype(object),
        "recovery_slope": -rng.uniform(0.02, 0.3, count),
        "repolarization_slope": rng.uniform(0.2, 1.0, count),
        "silhouette_score": rng.uniform(0.02, 0.3, count),
        "snr": rng.lognormal(0.9, 0.35, count),
        "spread": np.round(rng.uniform(40.0, 110.0, count), -1),
        "velocity_above": rng.normal(0.3, 0.3, count),
        "velocity_below": rng.normal(-0.3, 0.3, count),
        "waveform_duration": np.where(fast, rng.uniform(0.15, 0.35, count), rng.uniform(0.45, 0.8, count)),
        "waveform_halfwidth": np.where(fast, rng.uniform(0.07, 0.14, count), rng.uniform(0.15, 0.26, count)),
    }
    exact = {"firing_rate"}
    return pd.DataFrame(
        {n: v.round(6) if v.dtype.kind == "f" and n not in exact else v for n, v in columns.items()},
        index=pd.Index(first + np.arange(count), name="id"),
    )


def _tuning(rng: np.random.Generator, units: pd.DataFrame, session: Layout) -> pd.DataFrame:
    """Return how the spikes of each unit are to be made, and why: all of it is known, nothing is fitted."""
    count = len(units)
    areas = [AREAS.get(a) for a in units["structure_acronym"]]

    def of(get: Callable[[Area], float]) -> npt.NDArray[np.float64]:
        return np.array([0.0 if a is None else get(a) for a in areas])

    good = (units["quality"] == "good").to_numpy()
    visual = of(lambda a: a.visual) * good * (rng.random(count) < 0.85) * rng.lognormal(0.0, 0.35, count)
    oriented = of(lambda a: a.oriented)
    driver_cell = (session.cre is not None) & good & of(lambda a: float(a.visual >= 0.6)).astype(bool)
    return pd.DataFrame(
        {
            "area": units["structure_acronym"].to_numpy(),
            "visual": visual,
            "latency": of(lambda a: a.latency) * rng.lognormal(0.0, 0.1, count),
            "sustained": rng.uniform(0.08, 0.45, count),
            "pref_direction": rng.choice(DIRECTIONS, count),
            "sharpness": oriented * rng.uniform(1.0, 3.0, count),
            "directional": rng.uniform(0.1, 0.9, count),
            "pref_temporal_frequency": rng.choice(TEMPORAL_FREQUENCIES, count, p=[0.2, 0.3, 0.3, 0.15, 0.05]),
            "pref_spatial_frequency": rng.choice([0.02, 0.04, 0.08, 0.16, 0.32], count),
            "pref_phase": rng.choice([0.0, 0.25, 0.5, 0.75], count),
            "flash_on": rng.uniform(0.1, 1.0, count),
            "flash_off": rng.uniform(0.1, 1.0, count),
            "rf_x": rng.uniform(-35.0, 35.0, count),
            "rf_y": rng.uniform(-30.0, 30.0, count),
            "rf_sigma": np.where(units["structure_acronym"] == "LGd", 7.0, rng.uniform(9.0, 15.0, count)),
            "running": of(lambda a: a.running) * rng.normal(0.9, 0.5, count),
            "image_seed": rng.integers(0, 2**31, count),
            "light": driver_cell & (rng.random(count) < 0.12),
        },
        index=units.index,
    )


def direction_curve(tuning: pd.DataFrame, directions: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the relative response (units by directions, at most 1) to gratings that drift (degrees).

    Two von Mises bumps, half a turn apart, the second one smaller as the unit is directional.
    """
    angle = np.deg2rad(np.atleast_1d(directions)[None, :] - tuning["pref_direction"].to_numpy()[:, None])
    sharp = tuning["sharpness"].to_numpy()[:, None]
    back = 1.0 - tuning["directional"].to_numpy()[:, None]
    curve = np.exp(sharp * (np.cos(angle) - 1)) + back * np.exp(sharp * (-np.cos(angle) - 1))
    return np.asarray(curve / (1.0 + back * np.exp(-2.0 * sharp)))
