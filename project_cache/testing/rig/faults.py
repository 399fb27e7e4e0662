"""What goes wrong on a rig: the switches of the simulator."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FAULTS", "checked", "cut"]

#: every switch, and what it does
FAULTS = {
    "dropped_frames": "0.4 % of frames miss their refresh",
    "missing_diode_edges": "the photodiode misses two changes of its box in the task",
    "extra_short_flips": "the photodiode sees pairs of changes 2 ms apart that were none",
    "black_first": "the diode's box begins black: its first change is a fall",
    "swapped_cameras": "the eye camera is plugged in where the face camera belongs, and the other way round",
    "lost_camera_frames": "exposures that reached no file; one report counts frames that had no exposure",
    "duplicate_barcodes": "the Arduino was reset, and its barcodes begin anew",
    "broken_barcode": "one barcode on each stream lacks two changes, and says something else",
    "truncated_recording": "the probes' recording ends at 60 % of the session",
    "truncated_continuous": "continuous.dat of the first probe ends in the middle of a sample",
    "late_ephys_start": "the probes' recording begins in the second stimulus",
    "missing_sync": "no sync file",
    "misnamed_stim": "the first Spontaneous file bears another mouse's number",
    "duplicate_task_file": "a task that was broken off after 10 s, and begun again",
    "truncated_stimulus": "the last stimulus file that is not the task ends half-way",
    "unopenable_stimulus": "the last stimulus file that is not the task is not HDF5",
    "rollover": "sync ran since the night: its counter rolls over in the session",
    "aborted_stimulus": "a stimulus that was broken off after one frame, with no file",
    "missing_vsync_frame": "the sync board missed one vsync of the task",
    "failed_probe_sorting": "nothing sorted for the last probe",
    "negative_lick_durations": "the tongue was on the spout when sync began",
    "manual_rewards": "two rewards by hand; the script stores them twice",
}


def checked(faults: tuple[str, ...]) -> frozenset[str]:
    """Return these faults as a set.

    Raises
    ------
    ValueError
        One is not in `FAULTS`.
    """
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise ValueError(f"no such faults: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return frozenset(faults)


def cut(path: Path, share: float) -> None:
    """Cut a file to a share of its bytes, so that it ends where no sample and no block ends."""
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share) // 2 * 2 + 1)
