"""Probes and manipulators as devices, and each probe's place in the brain as an electrode group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project_cache.build.probes import group_name, probe_info, probe_letters

if TYPE_CHECKING:
    from pynwb.device import Device, DeviceModel
    from pynwb.ecephys import ElectrodeGroup

    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording

__all__ = ["devices", "electrode_groups"]

MANIPULATOR = "motorized 3-axis micromanipulator for positioning and inserting probes"


def devices(raw: RawRecording, options: Options, is_surface_channels: bool = False) -> dict[str, Device]:
    """Return the probes that are used, and the manipulators that moved them, by name.

    A probe's name is its serial number. Each has a ``model`` with the manufacturer, which an NWB file must be
    given too (``NWBFile.add_device_model``).

    Raises
    ------
    ComponentUnavailable
        No probe was recorded.
    """
    from pynwb.device import Device, DeviceModel

    models: dict[str, DeviceModel] = {}
    found: dict[str, Device] = {}
    for letter in probe_letters(raw, options, is_surface_channels):
        probe = probe_info(raw, letter)
        if probe.type not in models:
            models[probe.type] = DeviceModel(
                name=probe.type,
                manufacturer="imec",
                model_number=probe.part_number or None,
                description="silicon probe for extracellular recordings",
            )
        serial = str(probe.serial_number)
        found[serial] = Device(
            name=serial, description=probe.type, serial_number=serial, model=models[probe.type]
        )
    if raw.manipulators is not None:
        model = DeviceModel(name="NewScale manipulator", manufacturer="NewScale", description=MANIPULATOR)
        for name in sorted(set(raw.manipulators["device_name"].astype(str))):
            found[name] = Device(
                name=name, description=MANIPULATOR, serial_number=name.removeprefix("SN"), model=model
            )
    return found


def electrode_groups(
    raw: RawRecording, options: Options, devices: dict[str, Device], is_surface_channels: bool = False
) -> dict[str, ElectrodeGroup]:
    """Return the group of electrodes of each probe, by name (``"probeA"``).

    Its location is the shield and the hole that the probe was inserted through (``"2002 A2"``), or
    ``"unknown"``.

    Raises
    ------
    ComponentUnavailable
        No probe was recorded.
    """
    from pynwb.ecephys import ElectrodeGroup

    found = {}
    for letter in probe_letters(raw, options, is_surface_channels):
        probe = probe_info(raw, letter)
        place = None if raw.insertions is None else raw.insertions.location(letter)
        found[group_name(letter)] = ElectrodeGroup(
            name=group_name(letter),
            description=probe.type,
            location=place or "unknown",
            device=devices[str(probe.serial_number)],
        )
    return found
