"""Which probes of a recording are used, and what was recorded from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project_cache.errors import ComponentUnavailable, MissingDataError, MissingObjectError

if TYPE_CHECKING:
    from project_cache.build.options import Options
    from project_cache.raw.openephys import Stream
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.settings import ProbeInfo

__all__ = [
    "CHANNELS", "SURFACE_OFFSET", "channel_offset", "group_name", "probe_info", "probe_letters",
    "probe_stream",
]  # fmt: skip

LETTERS = "ABCDEF"
#: channels of a Neuropixels 1.0 probe that are recorded at once
CHANNELS = 384
#: the surface channels are the bank above the one that the main recording is of
SURFACE_OFFSET = 384


def group_name(letter: str) -> str:
    """Return the name of a probe's electrode group.

    Examples
    --------
    >>> group_name("A")
    'probeA'
    """
    return f"probe{letter}"


def channel_offset(is_surface_channels: bool) -> int:
    """Return what is added to the number of a channel: 384 in a recording of the surface channels."""
    return SURFACE_OFFSET if is_surface_channels else 0


def probe_letters(raw: RawRecording, options: Options, is_surface_channels: bool = False) -> tuple[str, ...]:
    """Return the letters of the probes that are used.

    They are those that were annotated, where any was; else those that a hole of the shield is noted for; else
    all. Left out are those to be skipped, those that could not be sorted where others were, those that were not
    recorded and, in a recording of the surface channels, those that recorded from the bank at the tip.

    Raises
    ------
    ComponentUnavailable
        There was no ephys recording, or none of its probes is used.
    """
    if not raw.is_ephys or raw.ephys is None:
        raise ComponentUnavailable(f"{raw.root} has no recordings of probes: there is no Record Node folder.")
    letters = set(raw.annotation) or _inserted(raw) or set(LETTERS)
    why = [f"it may use {', '.join(sorted(letters))}"]
    letters -= set(options.probe_letters_to_skip.upper())
    if options.probe_letters_to_skip:
        why.append(f"{options.probe_letters_to_skip} are to be skipped")
    was_sorted = () if is_surface_channels else _sorted_letters(raw)
    if was_sorted:
        letters &= set(was_sorted)
        why.append(f"{', '.join(was_sorted)} were sorted")
    recorded = raw.ephys.probes
    letters &= set(recorded)
    why.append(f"{', '.join(recorded) or 'none'} were recorded")
    if is_surface_channels:
        letters -= {letter for letter in letters if recorded[letter].tip_bank}
        why.append("those whose bank is the one at the tip recorded nothing of the surface")
    if not letters:
        raise ComponentUnavailable(f"{raw.root} has no probe that is used: {'; '.join(why)}.")
    return tuple(sorted(letters))


def _sorted_letters(raw: RawRecording) -> tuple[str, ...]:
    """Return the probes that have sorted output; none, where there is no output that can be used."""
    if not raw.is_sorted or raw.sorted is None:
        return ()
    try:
        return tuple(raw.sorted.probes)
    except (MissingDataError, MissingObjectError):
        return ()


def _inserted(raw: RawRecording) -> set[str]:
    """Return the probes that a hole is noted for."""
    return set() if raw.insertions is None else set(raw.insertions.letters)


def probe_info(raw: RawRecording, letter: str) -> ProbeInfo:
    """Return what the recording's settings say of a probe.

    Raises
    ------
    ComponentUnavailable
        It was not recorded.
    """
    if raw.ephys is None or letter not in raw.ephys.probes:
        raise ComponentUnavailable(f"{raw.root} has no recording of probe {letter}.")
    return raw.ephys.probes[letter]


def probe_stream(raw: RawRecording, letter: str, band: str) -> Stream:
    """Return the stream of one band of a probe.

    Raises
    ------
    MissingDataError
        It was not recorded.
    """
    streams = raw.ephys.streams.values() if raw.ephys is not None else ()
    for stream in streams:
        if stream.probe == letter and stream.band == band:
            return stream
    raise MissingDataError(f"{raw.root} has no {band} stream of probe {letter}.")
