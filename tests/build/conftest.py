"""A small recording of two probes, made of real files and plain stand-ins for the readers of a raw folder."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock.streams import StreamClock
from project_cache.build.devices import devices, electrode_groups
from project_cache.build.electrodes import electrodes
from project_cache.build.options import Options
from project_cache.errors import MissingDataError
from project_cache.raw.insertions import Insertions
from project_cache.raw.settings import ProbeInfo
from project_cache.raw.sorted import SortedProbe

N_CHANNELS = 384


@dataclass
class Band:
    """One band of a probe, in a file of its own."""

    name: str
    probe: str
    band: str
    nominal_rate: float
    data: Any
    path: Path
    bit_volts: Any

    @property
    def n_samples(self) -> int:
        return int(self.data.shape[0])

    @property
    def n_channels(self) -> int:
        return int(self.data.shape[1])

    @property
    def contact_channels(self) -> Any:
        return np.arange(N_CHANNELS)


@dataclass
class Ephys:
    probes: dict[str, ProbeInfo]
    streams: dict[str, Band]
    start_time: datetime.datetime = datetime.datetime(2023, 11, 14, 12, 33, 45)


@dataclass
class Sorted:
    of: dict[str, list[SortedProbe]]

    @property
    def probes(self) -> tuple[str, ...]:
        return tuple(self.of)

    def groups(self, letter: str) -> list[SortedProbe]:
        if letter not in self.of:
            raise MissingDataError(f"probe {letter} was not sorted")
        return self.of[letter]

    def drift_map_paths(self, letter: str) -> tuple[Path, ...]:
        return tuple(path for group in self.groups(letter) for path in group.drift_map_paths)


@dataclass
class Clock:
    """Probes began 10 s after the sync file, and drift by 2 parts in a million."""

    streams: Mapping[str, Band]
    stop: float = 100.0
    has_sync: bool = True
    start_time: datetime.datetime = datetime.datetime(2023, 11, 14, 12, 33, 31, tzinfo=datetime.UTC)
    without: str = ""

    def stream(self, name: str) -> StreamClock:
        band = self.streams[name]
        if band.probe in self.without:
            raise MissingDataError(f"{name} has no matching barcodes")
        return StreamClock(band.nominal_rate * 1.000002, 10.0, band.n_samples, 1e-5, 3)


@dataclass
class Raw:
    root: Path
    id: str
    ephys: Ephys | None
    sorted: Sorted | None
    annotation: dict[str, pd.DataFrame] = field(default_factory=dict)
    insertions: Insertions | None = None
    manipulators: pd.DataFrame | None = None
    newscale_log_path: str = "motor-locs.csv"

    @property
    def is_ephys(self) -> bool:
        return self.ephys is not None

    @property
    def is_sorted(self) -> bool:
        return self.sorted is not None

    @property
    def sorted_path(self) -> Path | None:
        return self.root / "sorted" if self.sorted else None


@dataclass
class Small:
    """The recording, its clock, and what most components need."""

    raw: Any
    clock: Any
    options: Options = field(default_factory=Options)

    def electrodes(self, **more: Any) -> Any:
        groups = electrode_groups(self.raw, self.options, self.devices(**more), **more)
        return electrodes(self.raw, self.options, groups, **more), groups

    def devices(self, **more: Any) -> Any:
        return devices(self.raw, self.options, **more)


def probe_info(letter: str, bank: int = 0) -> ProbeInfo:
    return ProbeInfo(
        letter=letter,
        name=f"Probe{letter}",
        serial_number=18194810650 + ord(letter),
        type="Neuropixels 1.0",
        part_number="PRB_1_4_0480_1",
        slot=2,
        port=1,
        dock=1,
        reference="Tip",
        x=np.tile([27.0, 59.0, 11.0, 43.0], 96),
        y=np.repeat(np.arange(192) * 20.0, 2),
        shank=np.zeros(N_CHANNELS, dtype=np.int64),
        bank=np.full(N_CHANNELS, bank),
    )


def sorted_probe(letter: str, shank: int | None = None, **changed: Any) -> SortedProbe:
    """Four units of 600, 600, 600 and 30 spikes in 60 s of samples, the peak of unit n on channel 100 + 10 n."""
    rng = np.random.default_rng(ord(letter))
    counts = np.array([600, 600, 600, 30])
    owners = np.repeat(np.arange(4), counts)
    samples = rng.integers(0, 60 * 30000, len(owners))
    order = np.argsort(samples, kind="stable")
    templates = np.zeros((4, 30, N_CHANNELS), dtype=np.float32)
    sparsity = np.zeros((4, N_CHANNELS), dtype=bool)
    for unit in range(4):
        sparsity[unit, 98 + 10 * unit : 103 + 10 * unit] = True
        templates[unit, 10, 100 + 10 * unit] = -80.0
        templates[unit, 15, 100 + 10 * unit] = 20.0 + unit
        templates[unit, 10, 101 + 10 * unit] = -30.0
    ids = np.array([3, 5, 8, 13])
    values: dict[str, Any] = {
        "letter": letter,
        "shank": shank,
        "name": f"experiment1_Record Node 102#Neuropix-PXI-100.Probe{letter}-AP_recording1",
        "unit_ids": ids,
        "spike_samples": samples[order],
        "spike_units": owners[order],
        "amplitudes": rng.normal(-90.0, 10.0, len(owners)),
        "metrics": pd.DataFrame(
            {
                "amplitude_cutoff": [0.3, 0.3, 0.3, 0.3],
                "isi_violations_ratio": [0.1, 0.9, 0.1, 0.1],
                "num_spikes": counts,
                "presence_ratio": [0.98, 0.98, 0.98, 0.98],
                "snr": [3.0, 4.0, 5.0, 6.0],
            },
            index=ids,
        ),
        "templates_mean": templates,
        "templates_sd": np.abs(templates) / 10,
        "sparsity": sparsity,
        "channels": np.arange(N_CHANNELS),
        "default_qc": np.array([True, False, True, False]),
        "decoder_label": np.array(["sua", "sua", "noise", "mua"]),
        "decoder_probability": np.array([0.9, 0.8, 0.7, 0.6]),
    }
    return SortedProbe(**(values | changed))


def annotation() -> pd.DataFrame:
    outside = np.arange(N_CHANNELS) > 300
    return pd.DataFrame(
        {
            "channel": np.arange(N_CHANNELS),
            "x": np.where(outside, np.nan, 8000.0 + np.arange(N_CHANNELS)),
            "y": np.where(outside, np.nan, 3000.0),
            "z": np.where(outside, np.nan, 4000.0),
            "location": np.where(outside, "out of brain", "VISp5").astype(object),
            "structure": np.where(outside, "out of brain", "VISp").astype(object),
        }
    )


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Small]:
    """Make a recording of the probes A and B: ``seconds`` of each band, four units each, annotated or not."""

    def make(
        letters: str = "AB",
        seconds: float = 0.1,
        lfp_seconds: float = 2.4,
        extra_channels: int = 0,
        annotated: bool = True,
        **changed: Any,
    ) -> Small:
        streams = {}
        rng = np.random.default_rng(0)
        for letter in letters:
            for band, rate, length in (("AP", 30000.0, seconds), ("LFP", 2500.0, lfp_seconds)):
                name = f"Neuropix-PXI-100.Probe{letter}-{band}"
                shape = (int(rate * length), N_CHANNELS + extra_channels)
                path = tmp_path / name
                path.mkdir(parents=True, exist_ok=True)
                data: Any = np.memmap(path / "continuous.dat", np.int16, "w+", shape=shape)
                data[:] = rng.integers(-200, 200, shape, dtype=np.int16)
                data.flush()
                mapped = np.memmap(path / "continuous.dat", np.int16, "r", shape=shape)
                volts = np.full(shape[1], 0.195)
                streams[name] = Band(name, letter, band, rate, mapped, path, volts)
        values: dict[str, Any] = {
            "root": tmp_path,
            "id": "712345_2023-11-14",
            "ephys": Ephys({letter: probe_info(letter) for letter in letters}, streams),
            "sorted": Sorted({letter: [sorted_probe(letter)] for letter in letters}),
            "annotation": {letter: annotation() for letter in letters} if annotated else {},
            "insertions": Insertions("2002", {"A": "A1", "B": "B3", "C": None}),
        }
        return Small(Raw(**(values | changed)), Clock(streams))

    return make


@pytest.fixture
def nwb_file() -> Callable[..., Any]:
    """Put components into an NWB file that has all that files should have."""

    def empty(small: Small) -> Any:
        import pynwb

        file = pynwb.NWBFile(
            session_description="A mouse looked at gratings.",
            identifier="one",
            session_start_time=small.clock.start_time,
            session_id="712345_2023-11-14",
            experimenter="Example, Jane",
            institution="An institute",
            lab="A lab",
            experiment_description="Gratings.",
            keywords=["mouse"],
        )
        file.subject = pynwb.file.Subject(
            subject_id="712345", species="Mus musculus", sex="M", age="P100D", description="a mouse"
        )
        return file

    def filled(small: Small, tables: Any = None, **parts: Any) -> Any:
        file = empty(small)
        table, groups = tables or small.electrodes()
        for group in groups.values():
            if group.device.model.name not in file.device_models:
                file.add_device_model(group.device.model)
            file.add_device(group.device)
            file.add_electrode_group(group)
        file.set_electrode_table(table)
        for each in parts.get("acquisition", ()):
            file.add_acquisition(each)
        for each in parts.get("analysis", ()):
            file.add_analysis(each)
        if parts.get("units") is not None:
            file.units = parts["units"]
        if parts.get("lfp") is not None:
            file.create_processing_module("ecephys", "Extracellular potentials.").add(parts["lfp"])
        return file

    return filled


@pytest.fixture
def faults() -> Callable[[Path], list[str]]:
    """Return what pynwb's validation and NWB Inspector find wrong with a file: errors, and what is critical."""

    def find(path: Path) -> list[str]:
        import warnings

        import pynwb
        from nwbinspector import Importance, inspect_nwbfile

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [str(error) for error in pynwb.validate(path=str(path))]
            found += [
                f"{message.check_function_name}: {message.message}"
                for message in inspect_nwbfile(
                    nwbfile_path=str(path), importance_threshold=Importance.CRITICAL
                )
            ]
        return found

    return find
