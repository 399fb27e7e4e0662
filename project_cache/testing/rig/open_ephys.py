"""Open Ephys' files: streams on clocks of their own, their TTL events, and what describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from project_cache.testing.rig.sync_file import Line
from project_cache.testing.rig.timeline import Floats, Ints

__all__ = [
    "CHANNELS",
    "Block",
    "Data",
    "NIDAQ",
    "SERIALS",
    "Clock",
    "Stream",
    "channel_positions",
    "node_of",
    "settings_xml",
    "streams_of",
    "write_compressed",
    "write_recording",
]

CHANNELS = 384
NIDAQ = "NI-DAQmx-105.PXI-6133"
AP_RATE, LFP_RATE = 30_000, 2_500
MICROVOLTS = 0.1949999928474426  # for each bit of a Neuropixels 1.0 probe at gain 500
VOLTS = 0.00015258789  # for each bit of the NI-DAQ at ±5 V
SERIALS = {
    "A": 18194810652,
    "B": 18005123131,
    "C": 18005102491,
    "D": 19192719021,
    "E": 19192719061,
    "F": 18194809281,
}
#: how far each stream's clock runs from its nominal rate, in samples a second
SKEW = {"A": 0.0704, "B": -0.0512, "C": 0.1207, "D": -0.0221, "E": 0.0433, "F": -0.0915, "NI-DAQ": 0.0211}

Block = npt.NDArray[np.int16]

#: what a stream recorded: (first sample, last + 1) -> int16 (samples, channels)
Data = Callable[[int, int], Block]


@dataclass(frozen=True, slots=True)
class Clock:
    """How a stream's samples (counted from its first) lie on the sync clock."""

    rate: float  # samples in a second of the sync clock
    start: float  # s
    first_sample: int

    def times(self, samples: npt.ArrayLike) -> Floats:
        """Return the seconds of samples that are counted from the first."""
        return np.asarray(samples, dtype=np.float64) / self.rate + self.start

    def samples(self, times: npt.ArrayLike) -> Ints:
        """Return the samples, counted from the first, nearest to these seconds."""
        return np.round((np.asarray(times, dtype=np.float64) - self.start) * self.rate).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Stream:
    """One continuous stream of a record node."""

    folder: str
    letter: str | None
    band: str | None  # "AP", "LFP", None for the NI-DAQ
    nominal_rate: int
    clock: Clock
    n_samples: int  # of the whole recording
    n_written: int  # of these, how many are on disk
    channels: tuple[str, ...]
    bit_volts: float

    @property
    def units(self) -> str:
        """Volts for the NI-DAQ, microvolts for probes."""
        return "V" if self.letter is None else "uV"


def node_of(letter: str | None, letters: str) -> int:
    """Return the record node that a probe is recorded by: with probes of both halves there are two."""
    both = any(x in "ABC" for x in letters) and any(x in "DEF" for x in letters)
    return 103 if both and letter is not None and letter in "DEF" else 102


def streams_of(
    rng: np.random.Generator,
    letters: str,
    start: float,
    stop: float,
    *,
    ap_seconds: float,
    lfp_seconds: float,
    nidaq_seconds: float,
) -> list[Stream]:
    """Return the streams of a recording from `start` to `stop` (s on the sync clock).

    Of each, so many seconds will be on disk; inf for all.
    """
    made: list[Stream] = []

    def add(
        folder: str, letter: str | None, band: str | None, rate: int, clock: Clock, seconds: float
    ) -> None:
        n = int((stop - clock.start) * clock.rate)
        written = int(min(n, seconds * rate))
        names = (
            tuple(f"{band}{i + 1}" for i in range(CHANNELS)) if band else tuple(f"AI{i}" for i in range(8))
        )
        volts = MICROVOLTS if band else VOLTS
        made.append(Stream(folder, letter, band, rate, clock, n, written, names, volts))

    for letter in letters:
        begun = start + float(rng.uniform(0, 0.002))
        first = int(rng.integers(1_000_000, 20_000_000)) * 12
        ap = Clock(AP_RATE + SKEW[letter], begun, first)
        lfp = Clock(ap.rate / 12, begun, first // 12)
        add(f"Neuropix-PXI-100.Probe{letter}-AP", letter, "AP", AP_RATE, ap, ap_seconds)
        add(f"Neuropix-PXI-100.Probe{letter}-LFP", letter, "LFP", LFP_RATE, lfp, lfp_seconds)
    daq = Clock(AP_RATE + SKEW["NI-DAQ"], start + 0.0012, int(rng.integers(1_000_000, 200_000_000)))
    add(NIDAQ, None, None, AP_RATE, daq, nidaq_seconds)
    return made


def channel_positions() -> tuple[Ints, Ints]:
    """Return x and y (µm) of the 384 channels of the tip bank of a Neuropixels 1.0 probe."""
    index = np.arange(CHANNELS)
    return np.array([27, 59, 11, 43])[index % 4].astype(np.int64), (20 * (index // 2)).astype(np.int64)


def settings_xml(letters: str, started: datetime, bank: int = 0) -> str:
    """Return settings.xml of a signal chain with these probes, which record from this bank (0 is the tip)."""
    x, y = channel_positions()
    y = y + 3840 * bank
    rows = {
        "CHANNELS": np.full(CHANNELS, bank),
        "ELECTRODE_XPOS": x,
        "ELECTRODE_YPOS": y,
    }
    attributes = "".join(
        f"            <{tag} " + " ".join(f'CH{i}="{v}"' for i, v in enumerate(values)) + "/>\n"
        for tag, values in rows.items()
    )
    probes = "".join(
        f'          <NP_PROBE slot="{2 if p in "ABC" else 3}" bs_serial_number="0" port="{"ABCDEF".index(p) % 3 + 1}" '
        f'dock="1" probe_serial_number="{SERIALS[p]}" probe_part_number="PRB_1_4_0480_1_C" '
        f'probe_name="Neuropixels 1.0" num_adcs="32" custom_probe_name="Probe{p}" referenceChannel="Tip" '
        f'referenceChannelIndex="1" apGainValue="500x" lfpGainValue="250x" filterCut="ON">\n'
        f"{attributes}          </NP_PROBE>\n"
        for p in letters
    )
    streams = "".join(
        f'      <STREAM name="Probe{p}-{band}" description="description" sample_rate="{rate:.1f}" channel_count="384"/>\n'
        for p in letters
        for band, rate in (("AP", AP_RATE), ("LFP", LFP_RATE))
    )
    nodes = sorted({node_of(p, letters) for p in letters} | {102})
    recorders = "".join(
        f'    <PROCESSOR name="Record Node" insertionPoint="1" pluginName="Record Node" type="0" index="{4 + i}" '
        f'libraryName="" libraryVersion="" processorType="8" nodeId="{node}"/>\n'
        for i, node in enumerate(nodes)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n\n<SETTINGS>\n  <INFO>\n    <VERSION>0.6.6</VERSION>\n'
        "    <PLUGIN_API_VERSION>8</PLUGIN_API_VERSION>\n"
        f"    <DATE>{started:%d %b %Y %H:%M:%S}</DATE>\n    <OS>Windows 10</OS>\n"
        '    <MACHINE name="W10DTM714205" cpu_model="Intel" cpu_num_cores="24"/>\n  </INFO>\n  <SIGNALCHAIN>\n'
        '    <PROCESSOR name="Neuropix-PXI" insertionPoint="0" pluginName="Neuropix-PXI" type="4" index="0" '
        'libraryName="Neuropix-PXI" libraryVersion="0.5.1" processorType="2" nodeId="100">\n'
        f'{streams}      <EDITOR isCollapsed="0" displayName="Neuropix-PXI">\n        <NEUROPIXELS_EDITOR>\n'
        f"{probes}        </NEUROPIXELS_EDITOR>\n      </EDITOR>\n    </PROCESSOR>\n"
        '    <PROCESSOR name="NI-DAQmx" insertionPoint="1" pluginName="NI-DAQmx" type="4" index="1" '
        'libraryName="NI-DAQmx" libraryVersion="0.3.2" processorType="2" nodeId="105">\n'
        '      <STREAM name="PXI-6133" description="Analog input channels" sample_rate="30000.0" channel_count="8"/>\n'
        f"    </PROCESSOR>\n{recorders}  </SIGNALCHAIN>\n</SETTINGS>\n"
    )


def write_recording(
    node: Path,
    streams: Sequence[Stream],
    data: Mapping[str, Data],
    barcodes: Line,
    *,
    settings: str,
    started: datetime,
    clipped: int | None = None,
) -> None:
    """Write one record node: settings, description, events, and the first samples of each stream.

    Parameters
    ----------
    node : Path
        'Record Node 102', say.
    streams : sequence of Stream
    data : mapping of folder name to function
        (first sample, last + 1) -> int16 (samples, channels).
    barcodes : Line
        Where the TTL line of every stream changes (s).
    settings : str
    started : datetime
        Local time.
    clipped : int, optional
        How many samples of continuous.dat to keep, where the whole is kept elsewhere.
    """
    recording = node / "experiment1" / "recording1"
    recording.mkdir(parents=True)
    (node / "settings.xml").write_text(settings, encoding="utf-8")
    milliseconds = int(started.timestamp() * 1000)
    messages = [f"Software Time (milliseconds since midnight Jan 1st 1970 UTC): {milliseconds}"]
    for stream in streams:
        device, name = stream.folder.split(".")
        plugin, number = device.rsplit("-", 1)
        messages.append(
            f"Start Time for {plugin} ({number}) - {name} @ {stream.nominal_rate} Hz: {stream.clock.first_sample}"
        )
        continuous = recording / "continuous" / stream.folder
        continuous.mkdir(parents=True)
        written = stream.n_written if clipped is None else min(clipped, stream.n_written)
        with (continuous / "continuous.dat").open("wb") as file:
            for begin in range(0, written, stream.nominal_rate):
                data[stream.folder](begin, min(begin + stream.nominal_rate, written)).tofile(file)
        samples = stream.clock.first_sample + np.arange(written, dtype=np.int64)
        np.save(continuous / "sample_numbers.npy", samples)
        np.save(continuous / "timestamps.npy", samples / stream.nominal_rate)
        _write_events(recording / "events" / stream.folder / "TTL", stream, barcodes)
    (recording / "sync_messages.txt").write_text("\n".join(messages) + "\n", encoding="utf-8")
    (recording / "structure.oebin").write_text(
        json.dumps(_structure(node, streams), indent=1), encoding="utf-8"
    )


def write_compressed(folder: Path, node: Path, stream: Stream, data: Data) -> None:
    """Write a stream as SpikeInterface's zarr of a recording: all its samples, of which the first hold data."""
    import zarr

    path = folder / f"experiment1_{node.name}#{stream.folder}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs.update({"sampling_frequency": float(stream.nominal_rate), "num_segments": 1})
    channels = len(stream.channels)
    traces = group.create_array(
        "traces_seg0",
        shape=(stream.n_samples, channels),
        chunks=(stream.nominal_rate, channels),
        dtype="int16",
        fill_value=0,
    )
    for begin in range(0, stream.n_written, stream.nominal_rate):
        end = min(begin + stream.nominal_rate, stream.n_written)
        traces[begin:end] = data(begin, end)
    ids = np.array(stream.channels)
    group.create_array("channel_ids", data=ids)
    properties = group.create_group("properties")
    for name, value in (
        ("gain_to_uV", stream.bit_volts * (1 if stream.letter else 1e6)),
        ("offset_to_uV", 0.0),
    ):
        properties.create_array(name, data=np.full(channels, value))


def _write_events(folder: Path, stream: Stream, barcodes: Line) -> None:
    """Write the edges that fall into the stream's recording."""
    folder.mkdir(parents=True)
    relative = stream.clock.samples(barcodes.edges)
    state = np.where(np.arange(len(relative)) % 2 == 0, 1, -1).astype(np.int16)
    inside = (relative >= 0) & (relative < stream.n_samples)
    samples = stream.clock.first_sample + relative[inside]
    np.save(folder / "sample_numbers.npy", samples)
    np.save(folder / "states.npy", state[inside])
    np.save(folder / "full_words.npy", (state[inside] > 0).astype(np.uint64))
    np.save(folder / "timestamps.npy", samples / stream.nominal_rate)


def _structure(node: Path, streams: Sequence[Stream]) -> dict[str, Any]:
    number = int(node.name.rsplit(" ", 1)[1])
    continuous = []
    events = []
    for stream in streams:
        device, name = stream.folder.split(".")
        plugin, source = device.rsplit("-", 1)
        shared = {
            "sample_rate": stream.nominal_rate,
            "source_processor_name": plugin,
            "source_processor_id": int(source),
            "stream_name": name,
        }
        continuous.append(
            {
                "folder_name": f"{stream.folder}/",
                **shared,
                "recorded_processor": "Record Node",
                "recorded_processor_id": number,
                "num_channels": len(stream.channels),
                "channels": [
                    {
                        "channel_name": channel,
                        "description": f"{plugin} data channel",
                        "identifier": "genericdata.continuous",
                        "history": f"{plugin} -> Record Node",
                        "bit_volts": stream.bit_volts,
                        "units": stream.units,
                    }
                    for channel in stream.channels
                ],
            }
        )
        events.append(
            {
                "folder_name": f"{stream.folder}/TTL/",
                "channel_name": "Neuropixels PXI Sync" if stream.letter else "NI-DAQmx TTL",
                "description": "Status of the sync line",
                "identifier": "neuropixels.sync" if stream.letter else "nidaq.ttl",
                "type": "int16",
                "source_processor": plugin,
                "stream_name": name,
                "initial_state": 0,
                "sample_rate": stream.nominal_rate,
            }
        )
    return {"GUI version": "0.6.6", "continuous": continuous, "events": events, "spikes": []}
