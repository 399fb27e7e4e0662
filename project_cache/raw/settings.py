"""The settings.xml of an Open Ephys recording: which probes there were, where they were plugged in, their geometry."""

from __future__ import annotations

import contextlib
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.places import AnyPath, place, translated

__all__ = ["ProbeInfo", "Settings", "letters_by_port", "probe_letter", "read_rig", "read_settings"]

LETTERS = "ABCDEF"

#: the acquisition computers of the Dynamic Routing rigs
RIGS = {
    "W10DT713842": "NP0",
    "W10DT713843": "NP1",
    "W10DT713844": "NP2",
    "DT703654": "NP2",
    "W10DTM714205": "NP3",
    "W10DT05516": "NP3",
}

#: channels of a Neuropixels probe that are recorded at once
CHANNELS = 384


@dataclass(frozen=True, slots=True, eq=False)
class ProbeInfo:
    """One Neuropixels probe, as settings.xml describes it.

    Attributes
    ----------
    letter : str or None
        ``"A"`` … ``"F"``; None where neither names nor ports tell.
    name : str
        What its streams are called, without ``-AP`` or ``-LFP`` (``"ProbeA"``).
    serial_number : int
        The probe's serial number.
    type : str
        ``"Neuropixels 1.0"``, …
    part_number : str
        ``"PRB_1_4_0480_1"``, ``"NP2013"``, …
    slot, port, dock : int
        Where it was plugged in.
    reference : str
        ``"Tip"``, ``"Ext"``, …
    x, y : numpy.ndarray of float64
        Position of each channel's contact, in µm: across the probe, and from the tip up, as Open Ephys gives
        them. The element's number is the 0-based channel; NaN where a channel records no contact.
    shank, bank : numpy.ndarray of int64
        Shank and bank of each channel; -1 where a channel records no contact.
    """

    letter: str | None
    name: str
    serial_number: int
    type: str
    part_number: str
    slot: int
    port: int
    dock: int
    reference: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    shank: NDArray[np.int64]
    bank: NDArray[np.int64]

    @property
    def tip_bank(self) -> bool:
        """Whether all channels record from the bank at the tip (bank 0)."""
        known = self.bank[self.bank >= 0]
        return bool(len(known)) and not known.any()


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What is used of a settings.xml.

    Attributes
    ----------
    path : Path or RemotePath
        The file.
    version : str
        Version of Open Ephys.
    start_time : datetime.datetime or None
        When the settings were saved, in the rig's local time (naive, whole seconds).
    machine : str
        Name of the computer.
    rig : str or None
        The rig that this computer belongs to (``"NP3"``), if it is one that is known.
    plugin_version : str or None
        Version of the Neuropix-PXI plugin.
    probes : tuple of ProbeInfo
        In the order of the file.
    """

    path: AnyPath
    version: str
    start_time: datetime | None
    machine: str
    rig: str | None
    plugin_version: str | None
    probes: tuple[ProbeInfo, ...]


def probe_letter(text: str) -> str | None:
    """Return the letter of the probe that ``text`` names, or None.

    Examples
    --------
    >>> probe_letter("Neuropix-PXI-100.ProbeA-AP"), probe_letter("Probe B1"), probe_letter("46121")
    ('A', 'B', None)
    """
    found = re.search(r"(?i:probe)[-_ ]*([A-F])(?![A-Za-z])", text)
    return found.group(1) if found else None


def letters_by_port(slots: Sequence[int], ports: Sequence[int]) -> list[str]:
    """Return the letters that probes have by where they are plugged in.

    Six probes are A to F in order. Fewer are told by their ports: A, B and C on the first slot, D, E and F on
    the second, on ports 1 to 3, or on 2 to 4 where a slot's fourth port is used.

    Raises
    ------
    MissingDataError
        A slot uses ports 2 and 3 alone (which may be A and B, or B and C), or the ports fit no letters.

    Examples
    --------
    >>> letters_by_port([2, 2, 3], [1, 3, 2])
    ['A', 'C', 'E']
    >>> letters_by_port([2, 2, 2], [2, 3, 4])
    ['A', 'B', 'C']
    """
    if len(slots) == len(LETTERS):
        return list(LETTERS)
    used = {slot: sorted(p for s, p in zip(slots, ports, strict=True) if s == slot) for slot in slots}
    letters = []
    for slot, port in zip(slots, ports, strict=True):
        if used[slot] == [2, 3]:
            raise MissingDataError("ports 2 and 3 of a slot may be probes A and B, or B and C")
        index = port - 1 - (4 in used[slot]) + 3 * sorted(used).index(slot)
        if not (1 <= port <= 4 and 0 <= index < len(LETTERS)):
            raise MissingDataError(f"port {port} of slot {slot} is none of the rig's")
        letters.append(LETTERS[index])
    if len(set(letters)) < len(letters):
        raise MissingDataError("two probes have the same port")
    return letters


def read_settings(path: str | AnyPath) -> Settings:
    """Return what a settings.xml of Open Ephys 0.6 or newer says.

    Parameters
    ----------
    path : str or path
        The file.

    Raises
    ------
    MissingObjectError, UnreadableObjectError, CorruptObjectError
        There is no such file; it may not be read; it is not what Open Ephys writes.
    """
    where = place(path)
    with _parsed(where) as root:
        return _settings(where, root)


def read_rig(path: str | AnyPath) -> str | None:
    """Return the rig of a settings.xml, if it is one that is known, without a look at the probes.

    Raises
    ------
    MissingObjectError, UnreadableObjectError, CorruptObjectError
        As `read_settings`.
    """
    with _parsed(place(path)) as root:
        return RIGS.get(_machine(_info(root)).upper())


@contextlib.contextmanager
def _parsed(path: AnyPath) -> Iterator[ElementTree.Element]:
    with translated(path):
        content = path.read_bytes()
    try:
        yield ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, TypeError, AttributeError) as error:
        raise CorruptObjectError(
            f"{path} is no settings file of Open Ephys ({error}). Copy it again."
        ) from error


def _info(root: ElementTree.Element) -> ElementTree.Element:
    info = root.find("INFO")
    if root.tag != "SETTINGS" or info is None:
        raise ValueError("it has no INFO")
    return info


def _machine(info: ElementTree.Element) -> str:
    machine = info.find("MACHINE")
    return "" if machine is None else machine.get("name", "")


def _settings(path: AnyPath, root: ElementTree.Element) -> Settings:
    info = _info(root)
    name = _machine(info)
    plugins = [each for each in root.iter("PROCESSOR") if _has_probes(each)]
    probes = [probe for plugin in plugins for probe in _probes(path, plugin)]
    return Settings(
        path=path,
        version=info.findtext("VERSION", "").strip(),
        start_time=_date(info.findtext("DATE", "")),
        machine=name,
        rig=RIGS.get(name.upper()),
        plugin_version=plugins[0].get("libraryVersion") if plugins else None,
        probes=tuple(probes),
    )


def _date(text: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.strptime(" ".join(text.split()), "%d %b %Y %H:%M:%S")
    return None


def _has_probes(processor: ElementTree.Element) -> bool:
    return any(each.get("probe_serial_number") for each in processor.iter())


def _probes(path: AnyPath, plugin: ElementTree.Element) -> list[ProbeInfo]:
    """Return the probes of one Neuropix-PXI plugin, with the letters that their names or ports give them."""
    elements = [
        each
        for each in plugin.iter()
        if each.get("probe_serial_number") and each.get("isEnabled", "1") != "0"
    ]
    slots = [int(each.get("slot", "0")) for each in elements]
    ports = [int(each.get("port", "0")) for each in elements]
    names = _names(plugin, elements)
    # Folders and sorted output bear the streams' names: where those tell the letter, they are right
    # by definition. Ports are asked where they do not.
    letters: list[str | None] = [probe_letter(name) for name in names]
    if None in letters or len(set(letters)) < len(letters):
        try:
            letters = list(letters_by_port(slots, ports))
        except MissingDataError:
            letters = [each if letters.count(each) == 1 else None for each in letters]
    probes = []
    for element, slot, port, name, letter in zip(elements, slots, ports, names, letters, strict=True):
        serial_number = element.get("probe_serial_number", "")
        x, y, shank, bank = _geometry(path, element, serial_number)
        probes.append(
            ProbeInfo(
                letter=letter,
                name=name,
                serial_number=int(serial_number),
                type=element.get("probe_name", ""),
                part_number=element.get("probe_part_number", ""),
                slot=slot,
                port=port,
                dock=int(element.get("dock", "1")),
                reference=element.get("referenceChannel", ""),
                x=x,
                y=y,
                shank=shank,
                bank=bank,
            )
        )
    return probes


def _names(plugin: ElementTree.Element, elements: list[ElementTree.Element]) -> list[str]:
    """Return what each probe's streams are called: streams are listed in the order of the probes."""
    bases = [re.sub(r"-(AP|LFP)$", "", each.get("name", "")) for each in plugin.findall("STREAM")]
    bases = list(dict.fromkeys(bases))
    if len(bases) == len(elements):
        return bases
    return [each.get("custom_probe_name", "") for each in elements]


def _by_channel(element: ElementTree.Element | None) -> dict[int, str]:
    """Return the attributes ``CH0``, ``CH1``, …, which need not be in order nor all there, by channel."""
    if element is None:
        return {}
    return {int(key[2:]): value for key, value in element.attrib.items() if re.fullmatch(r"CH\d{1,4}", key)}


def _geometry(
    path: AnyPath, element: ElementTree.Element, serial_number: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    across = _by_channel(element.find("ELECTRODE_XPOS"))
    up = _by_channel(element.find("ELECTRODE_YPOS"))
    # "bank", or "bank:shank" on probes that have several
    banks = {n: value.split(":") for n, value in _by_channel(element.find("CHANNELS")).items()}
    n_channels = max([CHANNELS - 1, *across, *banks]) + 1
    x, y = np.full(n_channels, np.nan), np.full(n_channels, np.nan)
    shank, bank = np.full(n_channels, -1), np.full(n_channels, -1)
    for n, value in banks.items():
        bank[n] = int(value[0])
        shank[n] = int(value[1]) if len(value) > 1 else 0
    if across.keys() != up.keys():
        raise ValueError(
            f"ELECTRODE_XPOS and ELECTRODE_YPOS of probe {serial_number} differ in their channels"
        )
    for n in across:
        x[n], y[n] = float(across[n]), float(up[n])
    if not across and isinstance(path, Path):
        _fill_from_catalogue(path, serial_number, x, y, shank)
    return x, y, shank, bank


def _fill_from_catalogue(
    path: Path, serial_number: str, x: NDArray[np.float64], y: NDArray[np.float64], shank: NDArray[np.int64]
) -> None:
    """Fill in where probeinterface knows the contacts to be, for files that do not give their positions."""
    from probeinterface import read_openephys_neuropixels  # type: ignore[import-untyped,unused-ignore]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # it raises plain Exceptions: a probe that it does not know has no positions, but is still a probe
        try:
            probe = read_openephys_neuropixels(path, serial_number=serial_number, raise_error=False)
        except Exception:  # noqa: BLE001
            return
    if probe is None or len(probe.contact_positions) > len(x):
        return
    n = len(probe.contact_positions)
    channels = probe.device_channel_indices
    at = np.arange(n) if channels is None else np.asarray(channels)
    x[at], y[at] = probe.contact_positions[:, 0], probe.contact_positions[:, 1]
    if probe.shank_ids is not None:
        shank[at] = [int(each or 0) for each in probe.shank_ids]
