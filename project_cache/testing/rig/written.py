"""What the rig writes of a session: each function puts one kind of file into a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from project_cache.testing.rig import (
    barcodes,
    cameras,
    metadata,
    open_ephys,
    photodiode,
    signals,
    sorted_output,
    stimulus_files,
)
from project_cache.testing.rig import faults as wrong
from project_cache.testing.rig.happened import Happened
from project_cache.testing.rig.sync_file import Line, pulses, write_lines
from project_cache.testing.rig.task import AM_HZ
from project_cache.testing.rig.timeline import CENTRE, Floats

__all__ = [
    "write_cameras",
    "write_ephys",
    "write_metadata",
    "write_sorted",
    "write_stimuli",
    "write_surface",
    "write_sync",
]

RIG = "NP3"
EXPERIMENTER = "Jane Example"

#: first days of what the rig gained: the loudspeaker's line, and the solenoid's
SOUND_LINE, REWARD_LINE = "2023-08-31", "2024-04-01"


def write_stimuli(session: Happened, folder: Path) -> None:
    """Write the stimulus files, and spoil those that are to be spoilt."""
    others = [s for s in session.stimuli if s.script.name != "DynamicRouting1"]
    misnamed = next((s for s in others if s.script.name == "Spontaneous"), None)
    last = others[-1] if others else None
    for stimulus in session.stimuli:
        path = folder / f"{stimulus.stem}.hdf5"
        if stimulus is misnamed and "misnamed_stim" in session.faults:
            path = folder / f"{stimulus.stem.replace(str(session.subject), '366122')}.hdf5"
            _unusable(session, "misnamed_stim", stimulus.stem)
        stimulus_files.write_stimulus(
            path,
            stimulus,
            subject=session.subject,
            rig=RIG,
            speed=session.speed(stimulus.frames.vsync),
            all_licks=session.date < SOUND_LINE,
        )
        if stimulus is last and "truncated_stimulus" in session.faults:
            wrong.cut(path, 0.5)
            _unusable(session, "truncated_stimulus", stimulus.stem)
        if stimulus is last and "unopenable_stimulus" in session.faults:
            path.write_bytes(b"Traceback (most recent call last):\n")
            _unusable(session, "unopenable_stimulus", stimulus.stem)


def _unusable(session: Happened, fault: str, stem: str) -> None:
    session.truth.faults[fault] = stem
    if stem in session.truth.usable:
        session.truth.usable.remove(stem)


def write_cameras(session: Happened, folder: Path) -> None:
    """Write each camera's video and report."""
    for kind in cameras.CAMERAS:
        truth = session.truth.cameras[kind.label]
        started = session.local(float(session.exposures[kind.label][0]) - 0.4)
        stem = f"{kind.mvr}_{started:%Y%m%dT%H%M%S}"
        # the lick sensor is plugged into the behavior camera, too
        on, off = session.truth.lick_on, session.truth.lick_off
        licks = np.column_stack([on, off]) if kind.label == "behavior" else np.zeros((0, 2))
        seen = np.searchsorted(session.exposures[kind.label], licks) + 1
        written = cameras.report(kind, f"{stem}.mp4", started, truth.frames_in_file - 1, truth.lost, seen)
        (folder / f"{stem}.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
        cameras.write_video(folder / f"{stem}.mp4", kind, truth.frames_in_file, session.seed)


def write_sync(session: Happened, folder: Path, flip_every: int) -> None:
    """Write the sync file."""
    rng = session.rng(9)
    truth = session.truth
    vsync = [s.frames.vsync for s in session.stimuli]
    running = [(float(v[0]) - 0.7, float(v[-1]) + 0.014) for v in vsync]
    if "missing_vsync_frame" in session.faults and truth.task is not None:
        which = truth.stimuli.index(truth.task)
        frame = len(vsync[which]) // 2
        vsync[which] = np.delete(vsync[which], frame)
        truth.faults["missing_vsync_frame"] = frame
    for begun, ended in session.extra_pulses:
        vsync.append(np.array([begun + 0.7]))
        running.append((begun, ended))
    falls = np.concatenate([np.zeros(0), *vsync])
    frames = [s.frames for s in session.stimuli]
    black = "black_first" in session.faults
    diode, high = photodiode.diode_line(rng, frames, CENTRE, flip_every, black)
    if truth.task is not None:
        which = truth.stimuli.index(truth.task)
        if "missing_diode_edges" in session.faults:
            diode[which], gone = photodiode.without_edges(diode[which], (0.31, 0.72))
            truth.faults["missing_diode_edges"] = gone
        if "extra_short_flips" in session.faults:
            diode[which], extra = photodiode.with_short_flips(diode[which], (0.2, 0.55, 0.9))
            truth.faults["extra_short_flips"] = extra
    if black:
        truth.faults["black_first"] = True
    lick = pulses(truth.lick_on, truth.lick_off)
    if "negative_lick_durations" in session.faults:
        # the first edge is then a fall, and pairing rises with falls one by one is wrong by one throughout
        lick = Line(np.concatenate([[1.3], lick.edges]), high=True)
        truth.faults["negative_lick_durations"] = 1.3
    lines = {
        "barcode_ephys": session.barcode_line,
        "vsync_stim": pulses(falls - 0.005, falls),
        "stim_photodiode": Line(np.concatenate([np.zeros(0), *diode]), high),
        "stim_running": pulses([a for a, _ in running], [b for _, b in running]),
        "lick_sensor": lick,
    }
    if session.date >= SOUND_LINE:
        # the line falls some milliseconds after the sound has ended
        lines["sound_running"] = pulses(_played(truth.sound_on), _played(truth.sound_off) + 0.003)
    if session.date >= REWARD_LINE:
        lines["reward"] = pulses(truth.solenoid_on, truth.solenoid_off)
    lines["laser_488"] = pulses(_played(truth.opto_on), _played(truth.opto_off))
    for kind in cameras.CAMERAS if truth.cameras else ():
        exposing, readout = cameras.lines_of(kind, session.exposures[kind.label])
        plug = truth.cameras[kind.label].line.removesuffix("_exposing")
        lines[f"{plug}_exposing"] = exposing
        lines[f"{plug}_frame_readout"] = readout
    name = f"{truth.sync_start:%Y%m%dT%H%M%S}.h5"
    write_lines(folder / name, lines, truth.sync_start, truth.sync_seconds)


def _played(times: dict[str, Floats]) -> Floats:
    """Return the times (s) of all stimuli, without the trials that had none."""
    all_times: Floats = np.concatenate([np.zeros(0), *times.values()])
    return all_times[np.isfinite(all_times)]


def write_ephys(session: Happened, root: Path, cloud: bool) -> None:
    """Write the record nodes, and in the cloud's layout the compressed streams."""
    letters = session.probes
    settings = open_ephys.settings_xml(letters, session.local(session.streams[0].clock.start))
    started = session.local(session.streams[0].clock.start - 0.3)
    data = _signals(session)
    received = _received(session)
    nodes = {open_ephys.node_of(stream.letter, letters) for stream in session.streams}
    for number in nodes:
        streams = [s for s in session.streams if open_ephys.node_of(s.letter, letters) == number]
        half = "probeABC" if number == 102 else "probeDEF"
        if cloud:
            node = root / "ecephys_clipped" / f"Record Node {number}"
        elif len(nodes) > 1:
            node = root / f"{root.name}_{half}" / f"Record Node {number}"
        else:
            node = root / f"Record Node {number}"
        open_ephys.write_recording(
            node,
            streams,
            data,
            received,
            settings=settings,
            started=started,
            clipped=100 if cloud else None,
        )
        if cloud:
            (root / "ecephys_compressed").mkdir(exist_ok=True)
            for stream in streams:
                open_ephys.write_compressed(root / "ecephys_compressed", node, stream, data[stream.folder])
        elif "truncated_continuous" in session.faults and streams[0].letter == letters[:1]:
            path = node / "experiment1" / "recording1" / "continuous" / streams[0].folder / "continuous.dat"
            wrong.cut(path, 0.7)
            whole = path.stat().st_size // (2 * open_ephys.CHANNELS)
            session.truth.streams[streams[0].folder] = replace(streams[0], n_written=whole)
            session.truth.faults["truncated_continuous"] = streams[0].folder


def _received(session: Happened) -> Line:
    """Return the barcodes as the probes got them."""
    if "broken_barcode" not in session.faults:
        return session.barcode_line
    times = session.truth.barcode_times
    times = times[times > session.streams[0].clock.start]
    session.truth.faults["broken_barcode"] = float(times[len(times) // 3])
    return barcodes.broken(session.barcode_line, float(times[len(times) // 3]))


def _signals(session: Happened) -> dict[str, open_ephys.Data]:
    made: dict[str, open_ephys.Data] = {}
    for number, stream in enumerate(session.streams):
        rng = session.rng(11, number)
        if stream.letter is None:
            stop = float(stream.clock.times(stream.n_written))
            made[stream.folder] = signals.nidaq_signal(
                rng, stream, _sounds(session, stop), _lasers(session, stop)
            )
        elif stream.band == "AP":
            made[stream.folder] = signals.ap_signal(rng, session.truth.populations[stream.letter])
        else:
            made[stream.folder] = signals.lfp_signal(rng)
    return made


def _sounds(session: Happened, stop: float) -> list[signals.Played]:
    """Return the sounds played before `stop` (s), as the loudspeaker's copy has them."""
    played: list[signals.Played] = []
    for stimulus in session.stimuli:
        stored = stimulus.script.parameters.get("trialSoundArray")
        for trial in np.flatnonzero(stimulus.sound_on < stop).tolist():
            if isinstance(stored, list):
                wave = stored[trial]
            else:
                stim = stimulus.script.trials[trial]["stim_name"]
                seed = int(stimulus.script.parameters["trialSoundSeed"][trial])
                wave = signals.am_noise(seed, 0.5, (2000.0, 20000.0), AM_HZ[stim], 0.0665)
            played.append((float(stimulus.sound_on[trial]), wave, signals.SOUND_RATE))
    return played


def _lasers(session: Happened, stop: float) -> list[signals.Played]:
    played: list[signals.Played] = []
    for stimulus in session.stimuli:
        volts = stimulus.script.parameters.get("trialOptoVoltage", np.zeros(0))
        for trial in np.flatnonzero(stimulus.opto_on < stop).tolist():
            n = round((stimulus.opto_off[trial] - stimulus.opto_on[trial]) * 2000)
            played.append((float(stimulus.opto_on[trial]), np.full(n + 1, volts[trial]), 2000.0))
    return played


def write_metadata(session: Happened, root: Path, behavior: Path, cloud: bool, ephys: bool) -> None:
    """Write the small files."""
    truth = session.truth
    if cloud:
        metadata.write_assets(root, root.name, truth.subject, truth.sync_start)
    else:
        (root / "subject.json").write_text(json.dumps(truth.subject, indent=1), encoding="utf-8")
    metadata.write_log(behavior / "debug.log", EXPERIMENTER)
    truth.experimenter = EXPERIMENTER
    if ephys and session.probes:
        metadata.write_insertions(behavior / "insertions.json", session.probes, truth.session_id)
        truth.manipulators = metadata.write_manipulators(
            behavior / "motor-locs.csv", session.probes, truth.sync_start
        )


def write_sorted(session: Happened, root: Path, layout: str) -> Path:
    """Write what the sorter made of each probe, and return the folder."""
    folder = root / "sorted"
    sorted_output.write_root(folder, root.name)
    letters = session.probes
    if "failed_probe_sorting" in session.faults:
        session.truth.faults["failed_probe_sorting"] = letters[-1]
        letters = letters[:-1]
    for stream in session.streams:
        if stream.band == "AP" and stream.letter is not None and stream.letter in letters:
            node = f"Record Node {open_ephys.node_of(stream.letter, session.probes)}"
            write = sorted_output.write_legacy if layout == "legacy" else sorted_output.write_analyzer
            write(
                folder,
                node,
                stream.letter,
                session.truth.populations[stream.letter],
                stream.n_samples / stream.nominal_rate,
            )
    return folder


def write_surface(session: Happened, root: Path, cloud: bool) -> Path:
    """Write a second, short recording of the same probes, with no sync, and return its folder."""
    begun = session.truth.sync_seconds + 600
    if cloud:
        beside = root.parent / f"ecephys_{session.subject}_{session.local(begun):%Y-%m-%d_%H-%M-%S}"
        node = beside / "ecephys_clipped" / "Record Node 102"
    else:
        beside = root.parent / f"{root.name}_surface_channels"
        node = beside / "Record Node 102"
    streams = open_ephys.streams_of(
        session.rng(12), session.probes, 0.0, 90.0, ap_seconds=0.2, lfp_seconds=1.0, nidaq_seconds=0.2
    )
    empty = session.truth.populations
    data: dict[str, open_ephys.Data] = {}
    for number, stream in enumerate(streams):
        rng = session.rng(13, number)
        if stream.letter is None:
            data[stream.folder] = signals.nidaq_signal(rng, stream, (), ())
        elif stream.band == "LFP":
            data[stream.folder] = signals.lfp_signal(rng)
        else:
            population = empty[stream.letter]
            data[stream.folder] = signals.ap_signal(rng, population)
    started = session.local(begun)
    settings = open_ephys.settings_xml(session.probes, started, bank=1)
    open_ephys.write_recording(
        node,
        streams,
        data,
        barcodes.barcode_line(*barcodes.sent(session.rng(14), 90.0, 7)),
        settings=settings,
        started=started,
        clipped=100 if cloud else None,
    )
    if cloud:
        (beside / "ecephys_compressed").mkdir()
        for stream in streams:
            open_ephys.write_compressed(beside / "ecephys_compressed", node, stream, data[stream.folder])
        metadata.write_assets(beside, beside.name, session.truth.subject, started)
    return beside
