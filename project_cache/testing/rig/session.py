"""A whole session: all that a rig would have written of it, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from project_cache.testing.rig import faults as wrong
from project_cache.testing.rig import metadata, written
from project_cache.testing.rig.happened import Happened
from project_cache.testing.rig.truth import SimulatedSession

__all__ = ["STIMULI", "simulate"]

#: the classes of stimulus, and a usual order
STIMULI = ("RFMapping", "Spontaneous", "DynamicRouting1", "OptoTagging", "Spontaneous")


def simulate(
    folder: Path | str,
    *,
    subject: int = 712345,
    date: str = "2024-05-02",
    layout: Literal["local", "aind"] = "local",
    seed: int = 0,
    blocks: int = 6,
    trials_per_block: int = 12,
    probes: str = "AB",
    units_per_probe: int = 20,
    ephys_seconds: float | None = 0.5,
    lfp_seconds: float | None = 3.0,
    nidaq_seconds: float | None = 2.0,
    sync: bool = True,
    ephys: bool = True,
    video: bool = True,
    video_seconds: float | None = 30.0,
    sorted: bool = True,
    sorted_layout: Literal["legacy", "analyzer"] = "legacy",
    annotated: bool = True,
    opto: bool = False,
    stimuli: Sequence[str] = STIMULI,
    mapping_repeats: int = 4,
    flip_every: Literal[1, 3] = 1,
    surface: bool = False,
    wildtype: bool = False,
    faults: Sequence[str] = (),
) -> SimulatedSession:
    """Write the raw folder of one session into `folder`, and return it with what is true of it.

    The same arguments give the same bytes.

    Parameters
    ----------
    folder : Path or str
        Where the session's own folder is put: DRpilot_<subject>_<YYYYMMDD>, or in the cloud's layout
        ecephys_<subject>_<date>_<time>.
    subject, date
        Of the session. The date decides which lines the rig had.
    layout : {'local', 'aind'}
    seed : int
    blocks, trials_per_block : int
        Of the task. 1,140 trials are about two hours.
    probes : str
        Letters; with some of ABC and some of DEF there are two record nodes.
    units_per_probe : int
    ephys_seconds, lfp_seconds, nidaq_seconds : float or None
        How much of the AP bands, the LFP bands and the NI-DAQ is on disk; None for all of it. In the cloud's
        layout the zarr arrays have the whole length, and hold zeros behind that.
    sync, ephys, video, sorted, annotated : bool
        What there is.
    video_seconds : float or None
        How long the cameras ran, from before the first stimulus on; None for the whole session. Features of a
        video are fitted frame by frame, at some hundred frames a second.
    sorted_layout : {'legacy', 'analyzer'}
    opto : bool
        The laser is on in a third of the task's trials.
    stimuli : sequence of str
        Classes in the order in which they were shown: RFMapping, OptoTagging, Spontaneous, SpontaneousRewards,
        LuminanceTest, DynamicRouting1.
    mapping_repeats : int
        Rounds of 33 presentations of RFMapping, and pulses of each kind of OptoTagging.
    flip_every : {1, 3}
        Frames for which the diode's box stays black or white.
    surface : bool
        A second recording without sync, of the upper channels, stands beside.
    wildtype : bool
        The mouse has no opsin.
    faults : sequence of str
        Of `FAULTS`.

    Returns
    -------
    SimulatedSession

    Raises
    ------
    ValueError
        An unknown fault, stimulus or probe.
    """
    session = Happened(
        seed=seed,
        subject=subject,
        date=date,
        faults=wrong.checked(tuple(faults)),
        probes=probes,
        wildtype=wildtype,
    )
    truth = session.truth
    session.run(stimuli, blocks, trials_per_block, opto=opto, repeats=mapping_repeats)
    session.send_barcodes()
    if ephys:
        session.record(ephys_seconds, lfp_seconds, nidaq_seconds, units_per_probe)
    if video:
        session.film(video_seconds)
    cloud = layout == "aind"
    root = _folder(Path(folder), session, cloud, ephys)
    behavior = root / "behavior" if cloud else root
    written.write_stimuli(session, behavior)
    if sync and "missing_sync" not in faults:
        written.write_sync(session, behavior, flip_every)
    else:
        truth.faults["missing_sync"] = True
        # without sync there is but one clock, that of the task
        truth.usable[:] = [stem for stem in truth.usable if stem == truth.task]
    if video:
        written.write_cameras(session, root / "behavior_videos" if cloud else root)
    if ephys:
        written.write_ephys(session, root, cloud)
    written.write_metadata(session, root, behavior, cloud, ephys)
    sorted_path = written.write_sorted(session, root, sorted_layout) if ephys and sorted and probes else None
    annotations = root / "annotations" / "tissuecyte" / str(subject) if annotated and probes else None
    if annotations is not None:
        metadata.write_annotations(annotations, probes, subject)
    beside = written.write_surface(session, root, cloud) if surface and ephys else None
    return SimulatedSession(root, sorted_path, annotations, beside, truth)


def _folder(folder: Path, session: Happened, cloud: bool, ephys: bool) -> Path:
    """Return the session's new, empty folder."""
    day = session.date.replace("-", "")
    platform = "ecephys" if ephys else "behavior"
    name = f"{platform}_{session.subject}_{session.truth.sync_start:%Y-%m-%d_%H-%M-%S}"
    root = folder / (name if cloud else f"DRpilot_{session.subject}_{day}")
    root.mkdir(parents=True)
    if cloud:
        (root / "behavior").mkdir()
        (root / "behavior_videos").mkdir()
    return root
