"""Open Ephys recordings: streams over several Record Nodes, cut files, compressed ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, DependencyError, MissingDataError, MissingObjectError
from project_cache.raw.openephys import OpenEphys, Stream, read_sync_messages

FIRST = 42_432_732


def node(
    folder: Path, number: int = 102, letters: str = "A", n: int = 100, n_channels: int = 4, recording: int = 1
) -> Path:
    """Write a Record Node with an AP stream for each letter, and one of an analog input."""
    at = folder / f"Record Node {number}"
    here = at / "experiment1" / f"recording{recording}"
    names = [f"Neuropix-PXI-100.Probe{letter}-AP" for letter in letters] + ["NI-DAQmx-105.PXI-6133"]
    described = []
    for name in names:
        channels = [
            {"channel_name": f"AP{c + 1}", "bit_volts": 0.195, "units": "uV"} for c in range(n_channels)
        ]
        described.append({"folder_name": f"{name}/", "sample_rate": 30000, "channels": channels})
        continuous, events = here / "continuous" / name, here / "events" / name / "TTL"
        continuous.mkdir(parents=True)
        events.mkdir(parents=True)
        np.arange(n * n_channels, dtype="<i2").tofile(continuous / "continuous.dat")
        np.save(continuous / "sample_numbers.npy", FIRST + np.arange(n))
        np.save(continuous / "timestamps.npy", np.arange(n) / 30000)
        np.save(events / "sample_numbers.npy", FIRST + np.array([10, 20, 15, 700]))
        np.save(events / "states.npy", np.array([1, -1, 3, -3], dtype=np.int16))
    (here / "structure.oebin").write_text(json.dumps({"GUI version": "0.6.6", "continuous": described}))
    probes = "".join(
        f'<NP_PROBE slot="2" port="{1 + "ABCDEF".index(letter)}" probe_serial_number="{100 + ord(letter)}" '
        'probe_name="Neuropixels 1.0"/>'
        for letter in letters
    )
    streams = "".join(f'<STREAM name="Probe{letter}-AP"/>' for letter in letters)
    (at / "settings.xml").write_text(
        "<SETTINGS><INFO><VERSION>0.6.6</VERSION><DATE>14 Nov 2023 12:33:45</DATE>"
        f'<MACHINE name="W10DT713842"/></INFO><PROCESSOR name="Neuropix-PXI">{streams}{probes}</PROCESSOR></SETTINGS>'
    )
    return at


def ap(at: Path) -> Stream:
    return OpenEphys([at]).stream("A")


def test_a_stream_is_read_by_slices(tmp_path: Path) -> None:
    stream = ap(node(tmp_path))
    assert (stream.probe, stream.band, stream.nominal_rate) == ("A", "AP", 30000.0)
    assert (stream.n_samples, stream.n_channels, stream.first_sample) == (100, 4, FIRST)
    assert isinstance(stream.data, np.memmap)
    assert stream.data.dtype == np.int16
    assert stream.data[2:4, 1].tolist() == [9, 13]
    assert stream.bit_volts.tolist() == [0.195] * 4
    assert stream.channel_names == ("AP1", "AP2", "AP3", "AP4")
    assert len(stream.timestamps) == 100
    assert not stream.adjusted


def test_events_are_counted_from_the_first_sample(tmp_path: Path) -> None:
    stream = ap(node(tmp_path))
    samples, states, lines = stream.ttl()
    assert samples.tolist() == [10, 15, 20, 700]
    assert states.tolist() == [1, 1, -1, -1]
    assert lines.tolist() == [1, 3, 1, 3]
    assert stream.ttl(3)[0].tolist() == [15, 700]


def test_probes_spread_over_record_nodes_are_one_recording(tmp_path: Path) -> None:
    ephys = OpenEphys([node(tmp_path, 102, "ABC"), node(tmp_path, 103, "DEF")])
    assert list(ephys.probes) == list("ABCDEF")
    assert {each.probe for each in ephys.streams.values()} == {*"ABCDEF", None}
    assert ephys.rig == "NP0"
    assert ephys.version == "0.6.6"
    assert ephys.start_time is not None
    assert ephys.start_time.isoformat() == "2023-11-14T12:33:45"
    with pytest.raises(MissingDataError, match="No LFP stream of probe A"):
        ephys.stream("A", "LFP")


def test_one_damaged_record_node_leaves_the_other(tmp_path: Path) -> None:
    nodes = [node(tmp_path, 102, "ABC"), node(tmp_path, 103, "DEF")]
    oebin = nodes[0] / "experiment1/recording1/structure.oebin"
    oebin.write_text(oebin.read_text()[:-20])
    ephys = OpenEphys(nodes)
    assert {each.probe for each in ephys.streams.values()} == {*"DEF", None}
    assert list(ephys.errors) == [str(oebin)]
    with pytest.raises(CorruptObjectError, match=r"structure\.oebin"):
        _ = OpenEphys(nodes[:1]).streams
    oebin.unlink()
    with pytest.raises(MissingObjectError, match=r"structure\.oebin"):
        _ = OpenEphys(nodes[:1]).streams


def test_record_nodes_of_different_recordings_are_noticed(tmp_path: Path) -> None:
    one, two = node(tmp_path, 102, "A"), node(tmp_path, 103, "A")
    (two / "settings.xml").write_text((two / "settings.xml").read_text().replace('"165"', '"999"'))
    with pytest.raises(CorruptObjectError, match="999"):
        _ = OpenEphys([one, two]).probes


def test_of_several_recordings_the_longest_is_the_session(tmp_path: Path) -> None:
    node(tmp_path, n=50)
    at = node(tmp_path, n=200, recording=2)
    node(tmp_path, n=20, recording=10)
    assert ap(at).n_samples == 200
    assert [each.name for each in OpenEphys([at]).recording_dirs] == [
        "recording1",
        "recording2",
        "recording10",
    ]


def test_a_file_that_was_cut_is_read_up_to_its_last_whole_frame(tmp_path: Path) -> None:
    at = node(tmp_path)
    dat = at / "experiment1/recording1/continuous/Neuropix-PXI-100.ProbeA-AP/continuous.dat"
    whole = dat.read_bytes()
    dat.write_bytes(whole[: 8 * 37 + 5])
    assert ap(at).data.shape == (37, 4)
    assert ap(at).data[36].tolist() == [144, 145, 146, 147]
    dat.write_bytes(whole[:3])
    assert ap(at).data.shape == (0, 4)
    dat.unlink()
    assert "Neuropix-PXI-100.ProbeA-AP" not in OpenEphys([at]).streams


def test_the_first_sample_is_told_by_whichever_file_has_it(tmp_path: Path) -> None:
    at = node(tmp_path)
    here = at / "experiment1/recording1"
    numbers = here / "continuous/Neuropix-PXI-100.ProbeA-AP/sample_numbers.npy"
    # cut in the middle: the first is still there
    numbers.write_bytes(numbers.read_bytes()[:300])
    assert ap(at).first_sample == FIRST
    numbers.unlink()
    with pytest.raises(MissingDataError, match=r"sample_numbers\.npy"):
        _ = ap(at).first_sample
    (here / "sync_messages.txt").write_text(
        "Software Time (milliseconds since midnight Jan 1st 1970 UTC): 1699990425505\n"
        "Start Time for Neuropix-PXI (100) - ProbeA-AP @ 30000 Hz: 777\n"
    )
    assert ap(at).first_sample == 777
    began, _ = read_sync_messages(here / "sync_messages.txt")
    assert began is not None
    assert began.isoformat() == "2023-11-14T19:33:45.505000+00:00"
    np.save(numbers, np.array(["a"]))
    with pytest.raises(CorruptObjectError, match=r"sample_numbers\.npy"):
        _ = ap(at).first_sample


def test_events_that_are_missing_or_damaged_are_said_to_be(tmp_path: Path) -> None:
    at = node(tmp_path)
    ttl = at / "experiment1/recording1/events/Neuropix-PXI-100.ProbeA-AP/TTL"
    np.save(ttl / "states.npy", np.array([1, -1], dtype=np.int16))
    with pytest.raises(CorruptObjectError, match="4 sample numbers and 2 states"):
        ap(at).ttl()
    states = ttl / "states.npy"
    states.write_bytes(states.read_bytes()[:60])
    with pytest.raises(CorruptObjectError, match=r"states\.npy"):
        ap(at).ttl()
    states.unlink()
    with pytest.raises(MissingObjectError, match=r"states\.npy"):
        ap(at).ttl()
    (ttl / "sample_numbers.npy").unlink()
    ttl.rmdir()
    with pytest.raises(MissingDataError, match="no TTL events"):
        ap(at).ttl()


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"continuous": {}},
        {"continuous": [{"folder_name": "x/"}]},
        {
            "continuous": [
                {
                    "folder_name": "../x",
                    "sample_rate": 30000,
                    "channels": [{"channel_name": "a", "bit_volts": 1}],
                }
            ]
        },
        {"continuous": [{"folder_name": "x", "sample_rate": 30000, "channels": []}]},
        {"continuous": [{"folder_name": "x", "sample_rate": "fast", "channels": []}]},
        [],
    ],
)
def test_an_oebin_that_makes_no_sense_is_refused(tmp_path: Path, described: Any) -> None:
    at = node(tmp_path)
    (at / "experiment1/recording1/structure.oebin").write_text(json.dumps(described))
    with pytest.raises(CorruptObjectError, match=r"structure\.oebin"):
        _ = OpenEphys([at]).streams


def test_no_record_node_has_no_settings() -> None:
    assert OpenEphys([]).streams == {}
    with pytest.raises(MissingDataError):
        _ = OpenEphys([]).probes


def test_real_oebins_are_read(shared: Path, tmp_path: Path) -> None:
    for name, n_channels, n_contacts, first in (
        ("OE_Neuropix-PXI-NP1-binary/Record_Node_101", 384, 384, "CH0"),
        ("OE_Neuropix-PXI-NP2-multishank-binary/Record_Node_109", 385, 384, "CH1"),
    ):
        oebin = (
            shared
            / "data/dynamic_routing/open_ephys/probeinterface"
            / name
            / "experiment1/recording1/structure.oebin"
        )
        (description,) = json.loads(oebin.read_text())["continuous"]
        stream = Stream(description, tmp_path)
        assert (stream.probe, stream.band, stream.n_channels) == ("A", "AP", n_channels)
        assert stream.channel_names[0] == first
        assert len(stream.contact_channels) == n_contacts
        assert stream.bit_volts[0] == pytest.approx(0.195)
        assert stream.bit_volts[-1] == pytest.approx(1.0 if n_channels == 385 else 0.195)


def compressed(folder: Path, values: Any, name: str = "Neuropix-PXI-100.ProbeA-AP") -> Path:
    import zarr
    from numcodecs import Blosc  # type: ignore[import-untyped,unused-ignore]

    path = folder / "ecephys_compressed" / f"experiment1_Record Node 102#{name}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    array = group.create_array(
        "traces_seg0",
        shape=values.shape,
        chunks=(50, values.shape[1]),
        dtype="int16",
        compressors=Blosc("zstd", 5, Blosc.BITSHUFFLE),
    )
    array[...] = values
    return path


def test_compressed_samples_stand_for_those_that_were_clipped(tmp_path: Path) -> None:
    at = node(tmp_path / "ecephys_clipped", n=10)
    values = np.random.default_rng(0).integers(-500, 500, (180, 4)).astype(np.int16)
    compressed(tmp_path, values)
    stream = OpenEphys([at]).stream("A")
    assert stream.n_samples == 180
    assert np.array_equal(stream.data[40:120, 1:3], values[40:120, 1:3])
    assert stream.data.dtype == np.int16
    # the other stream is as it was
    assert OpenEphys([at]).streams["NI-DAQmx-105.PXI-6133"].n_samples == 10
    # … and samples that are not there at all are still found where they are compressed
    (stream.path / "continuous.dat").unlink()  # type: ignore[union-attr]
    assert OpenEphys([at], tmp_path / "ecephys_compressed").stream("A").n_samples == 180


def test_a_codec_that_is_not_installed_is_named(tmp_path: Path) -> None:
    at = node(tmp_path / "ecephys_clipped")
    path = compressed(tmp_path, np.zeros((60, 4), np.int16)) / "traces_seg0" / ".zarray"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "compressor": {"id": "wavpack", "level": 3}}))
    with pytest.raises(DependencyError, match="wavpack-numcodecs"):
        _ = ap(at).data
    path.write_text(json.dumps({**described, "compressor": {"id": "flac"}}))
    with pytest.raises(DependencyError, match="flac"):
        _ = ap(at).data


def test_a_damaged_zarr_is_refused_by_name(tmp_path: Path) -> None:
    at = node(tmp_path / "ecephys_clipped")
    path = compressed(tmp_path, np.zeros((60, 3), np.int16))
    with pytest.raises(CorruptObjectError, match=r"ProbeA-AP\.zarr"):
        _ = ap(at).data
    (path / "traces_seg0" / ".zarray").write_text("{")
    with pytest.raises(CorruptObjectError, match=r"ProbeA-AP\.zarr"):
        _ = ap(at).data


def test_the_simulated_session_is_read(shared: Path) -> None:
    raw = shared / "data/dynamic_routing/raw_session/DRpilot_712345_20231114"
    truth = json.loads((raw.parent / "truth/ephys.json").read_text())
    ephys = OpenEphys([raw / "Record Node 102"])
    assert ephys.rig == "NP3"
    for name, stream in ephys.streams.items():
        assert stream.first_sample == truth["devices"][name]["first_sample"]
        assert stream.n_samples == truth["devices"][name]["n_samples_on_disk"]
        assert stream.n_channels == truth["devices"][name]["channels"]
    for letter, probe in truth["probes"].items():
        assert ephys.probes[letter].serial_number == probe["serial"]
        assert ephys.probes[letter].type == probe["type"]
