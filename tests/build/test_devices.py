"""Devices and electrode groups: which probes they are of, where these were inserted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from project_cache.build.devices import devices, electrode_groups
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable
from project_cache.raw.insertions import Insertions


def test_a_probe_is_a_device_with_its_serial_number_and_maker(small: Callable[..., Any]) -> None:
    found = small().devices()
    assert list(found) == ["18194810715", "18194810716"]
    probe = found["18194810715"]
    assert probe.description == probe.model.name == "Neuropixels 1.0"
    assert probe.serial_number == "18194810715"
    assert probe.model.manufacturer == "imec"
    # one model for both
    assert found["18194810716"].model is probe.model


def test_a_manipulator_is_a_device(small: Callable[..., Any]) -> None:
    log = pd.DataFrame({"device_name": ["SN40906", "SN40906", "SN40908"]})
    found = small(manipulators=log).devices()
    assert list(found)[2:] == ["SN40906", "SN40908"]
    assert found["SN40906"].model.manufacturer == "NewScale"
    assert "micromanipulator" in found["SN40906"].description


def test_a_group_says_which_hole_of_the_shield_the_probe_went_through(small: Callable[..., Any]) -> None:
    made = small()
    found = electrode_groups(made.raw, made.options, made.devices())
    assert {name: group.location for name, group in found.items()} == {
        "probeA": "2002 A1",
        "probeB": "2002 B3",
    }
    assert found["probeA"].device.name == "18194810715"
    assert found["probeA"].description == "Neuropixels 1.0"
    without = small(insertions=None)
    groups = electrode_groups(without.raw, without.options, without.devices())
    assert groups["probeA"].location == "unknown"


def test_probes_are_those_that_were_annotated_or_inserted_and_not_skipped(small: Callable[..., Any]) -> None:
    made = small()
    assert list(devices(made.raw, Options(probe_letters_to_skip="a"))) == ["18194810716"]
    inserted = small(annotated=False, insertions=Insertions("2002", {"A": None, "B": "B3"}))
    assert list(inserted.devices()) == ["18194810716"]
    # nothing tells: all that were recorded
    assert len(small(annotated=False, insertions=None).devices()) == 2
    unsorted = small()
    del unsorted.raw.sorted.of["B"]
    assert list(unsorted.devices()) == ["18194810715"]
    # sorting failed altogether: the probes were recorded all the same
    unsorted.raw.sorted.of.clear()
    assert len(unsorted.devices()) == 2


def test_surface_recordings_use_probes_that_recorded_the_upper_bank(small: Callable[..., Any]) -> None:
    made = small()
    upper = replace(made.raw.ephys.probes["B"], bank=made.raw.ephys.probes["B"].bank + 1)
    made.raw.ephys.probes["B"] = upper
    assert list(made.devices(is_surface_channels=True)) == ["18194810716"]


def test_without_a_recording_there_are_no_devices(small: Callable[..., Any]) -> None:
    made = small(ephys=None)
    with pytest.raises(ComponentUnavailable, match="no Record Node"):
        made.devices()
    with pytest.raises(ComponentUnavailable, match="AB are to be skipped"):
        devices(small().raw, Options(probe_letters_to_skip="AB"))
