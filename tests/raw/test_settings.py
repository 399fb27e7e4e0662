"""settings.xml: real files of many rigs, letters, geometry, and files that are none."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError
from project_cache.raw.settings import letters_by_port, probe_letter, read_rig, read_settings


def written(
    folder: Path,
    probes: list[tuple[int, int, str]],
    streams: list[str] | None = None,
    positions: str = '<ELECTRODE_XPOS CH1="59" CH0="27"/><ELECTRODE_YPOS CH0="0" CH1="20"/>',
    banks: str = '<CHANNELS CH0="0" CH1="0"/>',
) -> Path:
    """Write a settings file with probes of these slots, ports and names."""
    stream = "".join(f'<STREAM name="{name}" sample_rate="30000.0"/>' for name in streams or [])
    elements = "".join(
        f'<NP_PROBE slot="{slot}" port="{port}" probe_serial_number="{1000 + n}" probe_name="Neuropixels 1.0" '
        f'probe_part_number="PRB_1_4_0480_1" custom_probe_name="{name}" referenceChannel="Tip">'
        f"{banks}{positions}</NP_PROBE>"
        for n, (slot, port, name) in enumerate(probes)
    )
    path = folder / "settings.xml"
    path.write_text(
        "<SETTINGS><INFO><VERSION>0.6.6</VERSION><DATE>1 Nov 2023 9:05:00</DATE>"
        '<MACHINE name="W10DT05516"/></INFO><SIGNALCHAIN><PROCESSOR name="Neuropix-PXI" libraryVersion="0.5.1">'
        f"{stream}<EDITOR>{elements}</EDITOR></PROCESSOR></SIGNALCHAIN></SETTINGS>"
    )
    return path


@pytest.mark.parametrize(
    ("name", "letters", "types", "version"),
    [
        ("settings.xml", "ABCDEF", {"Neuropixels 1.0"}, "0.6.6"),
        ("settings_main.xml", None, {"Neuropixels 2.0 - Single Shank"}, "0.6.2"),
        (
            "probeinterface/OE_1.0_Neuropix-PXI-multi-probe/settings.xml",
            "ABC",
            {"Neuropixels 2.0 - Single Shank"},
            "1.0.0-alpha.1",
        ),
        (
            "probeinterface/OE_Neuropix-PXI-NP1-binary/Record_Node_101/settings.xml",
            "A",
            {"Neuropixels 2.0 - Multishank"},
            "1.0.1",
        ),
        (
            "probeinterface/OE_Neuropix-PXI-NP2-multishank-binary/Record_Node_109/settings.xml",
            "A",
            {"Neuropixels 2.0 - Multishank"},
            "0.6.7",
        ),
        (
            "probeinterface/OE_Neuropix-PXI-multi-probe/settings.xml",
            "ABCD",
            {"Neuropixels 1.0", "Neuropixels 2.0 - Single Shank", "Neuropixels Ultra (Switchable)"},
            "0.6.0",
        ),
        (
            "probeinterface/OE_Neuropix-PXI-multi-probe/settings_2.xml",
            "AB",
            {"Neuropixels 2.0 - Multishank"},
            "0.6.2",
        ),
        ("probeinterface/OE_Neuropix-PXI-opto-with-sync/settings.xml", "A", {"Neuropixels Opto"}, "0.6.0"),
    ],
)
def test_real_files_are_read(
    shared: Path, name: str, letters: str | None, types: set[str], version: str
) -> None:
    settings = read_settings(shared / "data/dynamic_routing/open_ephys" / name)
    assert settings.version == version
    assert isinstance(settings.start_time, datetime)
    found = [probe.letter for probe in settings.probes]
    assert found == (list(letters) if letters else [None] * len(found))
    assert {probe.type for probe in settings.probes} == types
    for probe in settings.probes:
        assert len(probe.x) == len(probe.y) == len(probe.bank) == len(probe.shank) == 384
        assert np.isnan(probe.x).sum() <= 1
        assert np.array_equal(np.isnan(probe.x), probe.bank < 0)
        assert probe.serial_number > 10_000_000_000


def test_the_real_rig_of_the_project_is_known(shared: Path) -> None:
    settings = read_settings(shared / "data/dynamic_routing/open_ephys/settings.xml")
    assert settings.rig == "NP1" == read_rig(settings.path)
    assert settings.start_time == datetime(2023, 11, 21, 12, 29, 21)
    first = settings.probes[0]
    assert (first.name, first.serial_number, first.slot, first.port, first.reference) == (
        "ProbeA",
        19192719051,
        2,
        1,
        "Tip",
    )
    assert first.x[:4].tolist() == [27, 59, 11, 43]
    assert first.y[:4].tolist() == [0, 0, 20, 20]


def test_channels_in_any_order_and_shanks_are_understood(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/open_ephys/probeinterface/OE_Neuropix-PXI-NP2-multishank-binary"
    probe = read_settings(folder / "Record_Node_109/settings.xml").probes[0]
    # the file begins with CH306
    assert (probe.x[306], probe.y[306]) == (8, 1215)
    assert set(probe.shank.tolist()) <= {0, 1, 2, 3}


def test_letters_by_name() -> None:
    assert probe_letter("Neuropix-PXI-100.ProbeF-LFP") == "F"
    assert probe_letter("experiment1_Record Node 109#Neuropix-PXI-100.ProbeA-1_recording1_group2") == "A"
    assert probe_letter("probe_B2") == "B"
    assert probe_letter("NI-DAQmx-105.PXI-6133") is None
    assert probe_letter("ProbeAll") is None


@pytest.mark.parametrize(
    ("slots", "ports", "letters"),
    [
        ([2, 2, 2, 3, 3, 3], [1, 2, 3, 1, 2, 3], "ABCDEF"),
        ([2, 2, 2, 3, 3, 3], [2, 3, 4, 2, 3, 4], "ABCDEF"),
        ([2, 3, 3], [1, 1, 3], "ADF"),
        ([2, 2, 3], [2, 4, 1], "ACD"),
        ([5], [3], "C"),
    ],
)
def test_letters_by_port(slots: list[int], ports: list[int], letters: str) -> None:
    assert letters_by_port(slots, ports) == list(letters)


def test_ports_that_tell_no_letter_are_refused() -> None:
    for ports in ([2, 3], [1, 4]):
        with pytest.raises(MissingDataError):
            letters_by_port([2, 2], ports)
    with pytest.raises(MissingDataError, match="same port"):
        letters_by_port([2, 2], [1, 1])


def test_names_of_streams_win_over_ports(tmp_path: Path) -> None:
    path = written(
        tmp_path, [(2, 2, "x"), (2, 3, "y")], ["ProbeA-AP", "ProbeA-LFP", "ProbeC-AP", "ProbeC-LFP"]
    )
    assert [probe.letter for probe in read_settings(path).probes] == ["A", "C"]
    path = written(tmp_path, [(2, 1, "46121"), (3, 2, "46118")], ["46121", "46118"])
    assert [(probe.letter, probe.name) for probe in read_settings(path).probes] == [
        ("A", "46121"),
        ("E", "46118"),
    ]
    path = written(tmp_path, [(2, 2, "46121"), (2, 3, "46118")], ["46121", "46118"])
    assert [probe.letter for probe in read_settings(path).probes] == [None, None]


def test_the_bank_at_the_tip(tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, [(2, 1, "ProbeA")])).probes[0].tip_bank
    deep = written(tmp_path, [(2, 1, "ProbeA")], banks='<CHANNELS CH0="0" CH1="1:2"/>')
    probe = read_settings(deep).probes[0]
    assert not probe.tip_bank
    assert (probe.bank[1], probe.shank[1]) == (1, 2)


def test_a_file_without_positions_still_has_its_probes(tmp_path: Path) -> None:
    probe = read_settings(written(tmp_path, [(2, 1, "ProbeA")], positions="")).probes[0]
    assert probe.serial_number == 1000
    assert np.isnan(probe.x[2:]).all()


def test_what_is_no_settings_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match=r"settings\.xml"):
        read_settings(tmp_path / "settings.xml")
    path = written(tmp_path, [(2, 1, "ProbeA")])
    whole = path.read_text()
    for damaged in (
        whole[:400],
        "",
        "<SETTINGS/>",
        whole.replace('CH1="59"', 'CH1="?"'),
        whole.replace('"1000"', '"?"'),
    ):
        path.write_text(damaged)
        with pytest.raises(CorruptObjectError, match=r"settings\.xml"):
            read_settings(path)
