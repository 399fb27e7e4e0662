"""A whole session: all that a rig would have written of it, and the truth."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from project_cache.testing.rig import (
    barcodes,
    cameras,
    faults as wrong,
    mapping,
    metadata,
    open_ephys,
    signals,
    sorted_output,
    stimulus_files,
)
from project_cache.testing.rig.population import Drive, populate
from project_cache.testing.rig.sync_file import Line, pulses, write_sync
from project_cache.testing.rig.task import AM_HZ, task
from project_cache.testing.rig.timeline import (
    CENTRE,
    Floats,
    Frames,
    Script,
    Stimulus,
    on_ticks,
    shown,
)
from project_cache.testing.rig.truth import CameraTruth, SimulatedSession, Truth

__all__ = ["STIMULI", "simulate"]

#: the classes of stimulus, and a usual order
STIMULI = ("RFMapping", "Spontaneous", "DynamicRouting1", "OptoTagging", "Spontaneous")

RIG = "NP3"
EXPERIMENTER = "Jane Example"
CLOCK = (12, 33, 31, 324839)  # when sync was started
#: what the rig gained: the speaker's line, the solenoid's, parameters of the laser, and their first days
SOUND_LINE, REWARD_LINE, MODERN_LASER = "2023-08-31", "2024-04-01", "2024-03-29"
ROLLOVER_S = 2**32 / 100_000


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
    made = _Session(
        seed=seed,
        subject=subject,
        date=date,
        faults=wrong.checked(tuple(faults)),
        probes=probes,
        has_sync=sync and "missing_sync" not in faults,
    )
    made.run(stimuli, blocks, trials_per_block, opto, mapping_repeats, wildtype)
    root = made.make_folder(Path(folder), layout, ephys)
    made.write_stimuli(root / "behavior" if layout == "aind" else root)
    made.choose_cameras()
    made.place_probes(ephys, ephys_seconds, lfp_seconds, nidaq_seconds)
    if made.has_sync:
        made.write_sync(root / "behavior" if layout == "aind" else root, flip_every)
    if video:
        made.write_cameras(root / "behavior_videos" if layout == "aind" else root)
    else:
        made.truth.cameras.clear()
    made.populate(units_per_probe)
    if ephys:
        made.write_ephys(root, layout)
    made.write_metadata(root, layout, ephys)
    sorted_path = made.write_sorted(root, sorted_layout) if ephys and sorted and probes else None
    annotations = root / "annotations" / "tissuecyte" / str(subject)
    if annotated and probes:
        metadata.write_annotations(annotations, probes, subject)
    beside = made.write_surface(root, layout) if surface and ephys else None
    return SimulatedSession(
        root, sorted_path, annotations if annotated and probes else None, beside, made.truth
    )


class _Session:
    """A session in the making: each method adds to the truth, and writes what follows from it."""

    def __init__(
        self, *, seed: int, subject: int, date: str, faults: frozenset[str], probes: str, has_sync: bool
    ) -> None:
        if set(probes) - set("ABCDEF") or len(set(probes)) != len(probes):
            raise ValueError(f"probes {probes!r} are not different letters of ABCDEF")
        self.seed = seed
        self.subject = subject
        self.faults = faults
        self.probes = probes
        self.date = date
        self.has_sync = has_sync
        day = datetime.fromisoformat(date)
        #: seconds between the start of sync and the rest of the session
        self.lead = ROLLOVER_S - 60.0 if "rollover" in faults else 0.0
        started = day + timedelta(
            hours=CLOCK[0], minutes=CLOCK[1], seconds=CLOCK[2] - self.lead, microseconds=CLOCK[3]
        )
        self.truth = Truth(f"{subject}_{date}", metadata.subject_of(subject, day), started, 0.0)
        self.stimuli: list[Stimulus] = []
        self.extra_pulses: list[tuple[float, float]] = []
        self.exposures: dict[str, Floats] = {}
        self.streams: list[open_ephys.Stream] = []
        self.barcode_line = Line(np.zeros(0))

    def rng(self, *key: int) -> np.random.Generator:
        """Return chance for one part of the session, the same whatever else it has."""
        return np.random.default_rng([self.seed, self.subject, *key])

    def local(self, seconds: float) -> datetime:
        """Return the rig's local time at a second of the sync clock."""
        return self.truth.sync_start + timedelta(seconds=seconds)

    # ------------------------------------------------------------------ what happened

    def run(
        self,
        stimuli: Sequence[str],
        blocks: int,
        trials_per_block: int,
        opto: bool,
        repeats: int,
        wildtype: bool,
    ) -> None:
        """Show the stimuli to the mouse."""
        truth = self.truth
        truth.subject = metadata.subject_of(
            self.subject, datetime.fromisoformat(self.date), wildtype=wildtype
        )
        scripts: list[Script] = []
        for number, name in enumerate(stimuli):
            rng = self.rng(1, number)
            if name == "DynamicRouting1":
                manual = 2 if "manual_rewards" in self.faults else 0
                modern = self.date >= MODERN_LASER
                if "duplicate_task_file" in self.faults:
                    scripts.append(task(self.rng(2), 1, 2))
                scripts.append(
                    task(rng, blocks, trials_per_block, opto=opto, modern=modern, manual_rewards=manual)
                )
            elif name == "RFMapping":
                scripts.append(mapping.receptive_fields(rng, repeats))
            elif name == "OptoTagging":
                scripts.append(mapping.opto_tagging(rng, repeats, self.probes))
            elif name == "LuminanceTest":
                scripts.append(mapping.luminance(rng))
            elif name in ("Spontaneous", "SpontaneousRewards"):
                rewarded = name == "SpontaneousRewards"
                scripts.append(mapping.spontaneous(rng, 45 if rewarded else 15, rewards=rewarded))
            else:
                raise ValueError(f"no such stimulus: {name}")
        at = self.lead + 22.0
        for number, script in enumerate(scripts):
            rng = self.rng(3, number)
            dropped = 0.004 if "dropped_frames" in self.faults else 0.0
            frames = shown(rng, at + float(rng.uniform(0, 1)), script.n_frames, dropped)
            self.stimuli.append(self._timed(rng, script, frames))
            at = frames.display[-1] + 9.0
            if number == 0 and "aborted_stimulus" in self.faults:
                self.extra_pulses.append((at, at + 1.2))
                truth.faults["aborted_stimulus"] = at
                at += 6.0
        truth.sync_seconds = round(at + 8.0, 3)
        self._record_truth()

    def _timed(self, rng: np.random.Generator, script: Script, frames: Frames) -> Stimulus:
        n = script.n_frames
        begun = self.local(float(frames.vsync[0]) - 2.5)
        started = f"{begun:%Y%m%d_%H%M%S}"
        # the script reads its own clock after each flip
        intervals = np.diff(frames.vsync) + rng.normal(0, 4e-5, n - 1).clip(-1e-4, 1e-4)
        trials = len(script.sound_frames)
        sound_on = on_ticks(frames.at(script.sound_frames) + rng.uniform(0.018, 0.042, trials))
        lasers = len(script.opto_frames)
        opto_on = on_ticks(frames.at(script.opto_frames) + rng.uniform(0.0012, 0.0020, lasers))
        vsyncs = np.arange(n)
        return Stimulus(
            script,
            f"{script.name}_{self.subject}_{self.date.replace('-', '')}_{started.split('_')[1]}",
            started,
            frames,
            intervals,
            sound_on,
            sound_on + script.sound_seconds,
            opto_on,
            on_ticks(opto_on + script.opto_seconds),
            on_ticks(np.interp(script.lick_on, vsyncs, frames.vsync)),
            on_ticks(np.interp(script.lick_off, vsyncs, frames.vsync)),
        )

    def _record_truth(self) -> None:
        truth = self.truth
        task_files = [s for s in self.stimuli if s.script.name == "DynamicRouting1"]
        main = max(task_files, key=lambda s: s.script.n_frames, default=None)
        licks: list[tuple[Floats, Floats]] = []
        rewards: list[Floats] = []
        for stimulus in self.stimuli:
            stem, clock = stimulus.stem, stimulus.frames
            truth.stimuli.append(stem)
            if stimulus.script.name != "DynamicRouting1" or stimulus is main:
                truth.usable.append(stem)
            truth.vsync[stem] = clock.vsync
            truth.display[stem] = clock.display
            truth.intervals[stem] = stimulus.intervals
            truth.dropped[stem] = clock.dropped
            truth.sound_on[stem] = stimulus.sound_on
            truth.sound_off[stem] = stimulus.sound_off
            truth.opto_on[stem] = stimulus.opto_on
            truth.opto_off[stem] = stimulus.opto_off
            licks.append((stimulus.lick_on, stimulus.lick_off))
            rewards.append(clock.at(stimulus.script.rewards))
            if stimulus.script.name != "DynamicRouting1" and stimulus.script.trials:
                truth.mapping[stem] = _presentations(stimulus)
        truth.lick_on = np.concatenate([on for on, _ in licks])
        truth.lick_off = np.concatenate([off for _, off in licks])
        truth.reward_times = np.concatenate(rewards)
        opened = self.rng(4).uniform(0.0008, 0.0020, len(truth.reward_times))
        truth.solenoid_on = on_ticks(truth.reward_times + opened)
        truth.solenoid_off = on_ticks(truth.solenoid_on + 0.0553475)
        truth.running_times = np.concatenate([s.frames.vsync for s in self.stimuli])
        truth.running_speed = self.speed(truth.running_times)
        for fault in ("dropped_frames", "duplicate_task_file", "manual_rewards", "rollover"):
            if fault in self.faults:
                truth.faults[fault] = True
        if main is not None:
            truth.task = main.stem
            truth.quiescent_violations = main.frames.read_at(main.script.violations)
            truth.trials = _trials(main)

    def speed(self, times: Floats) -> Floats:
        """Return how fast the mouse runs (cm/s) at these seconds: it starts and stops over some seconds."""
        seconds = self.truth.sync_seconds - self.lead
        step = 0.2
        drive = self.rng(5).standard_normal(int(seconds / step) + 60)
        window = np.hanning(31)
        smooth = np.convolve(drive, window / np.sqrt((window**2).sum()), mode="valid")
        grid = self.lead + step * np.arange(len(smooth))
        return np.asarray(np.interp(times, grid, 25 + 12 * smooth).clip(0, 90), dtype=np.float64)

    # ------------------------------------------------------------------ what is written

    def make_folder(self, folder: Path, layout: str, ephys: bool) -> Path:
        """Return the session's new, empty folder."""
        if layout == "local":
            root = folder / f"DRpilot_{self.subject}_{self.date.replace('-', '')}"
        else:
            platform = "ecephys" if ephys else "behavior"
            root = folder / f"{platform}_{self.subject}_{self.truth.sync_start:%Y-%m-%d_%H-%M-%S}"
            (root / "behavior").mkdir(parents=True)
            (root / "behavior_videos").mkdir()
        root.mkdir(parents=True, exist_ok=layout == "aind")
        return root

    def write_stimuli(self, folder: Path) -> None:
        """Write the stimulus files, and spoil those that are to be spoilt."""
        others = [s for s in self.stimuli if s.script.name != "DynamicRouting1"]
        misnamed = next((s for s in others if s.script.name == "Spontaneous"), None)
        last = others[-1] if others else None
        for stimulus in self.stimuli:
            path = folder / f"{stimulus.stem}.hdf5"
            if stimulus is misnamed and "misnamed_stim" in self.faults:
                path = folder / f"{stimulus.stem.replace(str(self.subject), '366122')}.hdf5"
                self._unusable("misnamed_stim", stimulus.stem)
            stimulus_files.write_stimulus(
                path, stimulus, subject=self.subject, rig=RIG, speed=self.speed(stimulus.frames.vsync)
            )
            if stimulus is last and "truncated_stimulus" in self.faults:
                wrong.cut(path, 0.5)
                self._unusable("truncated_stimulus", stimulus.stem)
            if stimulus is last and "unopenable_stimulus" in self.faults:
                path.write_bytes(b"Traceback (most recent call last):\n")
                self._unusable("unopenable_stimulus", stimulus.stem)

    def _unusable(self, fault: str, stem: str) -> None:
        self.truth.faults[fault] = stem
        if stem in self.truth.usable:
            self.truth.usable.remove(stem)

    def choose_cameras(self) -> None:
        """Let the cameras run, lose frames, and be plugged in wrongly."""
        stop = self.truth.sync_seconds - 2.6
        swapped = {"eye": "face", "face": "eye"} if "swapped_cameras" in self.faults else {}
        plugs = {kind.label: kind.line for kind in cameras.CAMERAS}
        for number, kind in enumerate(cameras.CAMERAS):
            begun = cameras.exposures(self.rng(6, number), self.lead + 8.13 + 0.31 * number, stop)
            self.exposures[kind.label] = begun
            lost = np.zeros(0, np.int64)
            counted = 0  # frames that the report has and the line has not
            if "lost_camera_frames" in self.faults:
                n = len(begun)
                lost = {
                    "eye": np.array([n // 9, n // 9 + 1, n // 9 + 2, n // 2]),
                    "face": np.array([n // 7, n // 3]),
                }.get(kind.label, lost)
                counted = 3 if kind.label == "behavior" else 0
                self.truth.faults["lost_camera_frames"] = True
            kept = np.delete(begun, lost)
            times = np.concatenate([[np.nan], kept, np.full(counted, np.nan)])
            line = f"{plugs[swapped.get(kind.label, kind.label)]}_cam_exposing"
            self.truth.cameras[kind.label] = CameraTruth(
                times,
                line,
                lost,
                len(times),
                kind.fingerprint_ms,
                cameras.pupil(len(times)) if kind.label == "eye" else None,
            )
        if swapped:
            self.truth.faults["swapped_cameras"] = swapped

    def write_cameras(self, folder: Path) -> None:
        """Write each camera's video and report."""
        for kind in cameras.CAMERAS:
            truth = self.truth.cameras[kind.label]
            started = self.local(float(self.exposures[kind.label][0]) - 0.4)
            stem = f"{kind.mvr}_{started:%Y%m%dT%H%M%S}"
            written = cameras.report(kind, f"{stem}.mp4", started, truth.frames_in_file - 1, truth.lost)
            (folder / f"{stem}.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
            cameras.write_video(folder / f"{stem}.mp4", kind, truth.frames_in_file, self.seed)

    def place_probes(self, ephys: bool, ap: float | None, lfp: float | None, nidaq: float | None) -> None:
        """Start the probes' recording on clocks of its own, and the Arduino that sends barcodes to all."""
        truth = self.truth
        restarted = None
        start, stop = self.lead + 14.18, truth.sync_seconds - 6.2
        if "late_ephys_start" in self.faults and len(self.stimuli) > 1:
            start = float(self.stimuli[1].frames.vsync[0]) + 1.0
            truth.faults["late_ephys_start"] = start
        if "truncated_recording" in self.faults:
            stop = self.lead + 0.6 * (stop - self.lead)
            truth.faults["truncated_recording"] = stop
        if "duplicate_barcodes" in self.faults:
            # in the middle of the recording, so that the first values come twice on all clocks
            restarted = int((self.lead + 0.4 * (truth.sync_seconds - self.lead)) / barcodes.PERIOD)
            truth.faults["duplicate_barcodes"] = restarted
        first = int(self.rng(7).integers(2**28, 2**30))
        truth.barcode_times, truth.barcode_values = barcodes.sent(
            truth.sync_seconds, first, restarted_after=restarted
        )
        self.barcode_line = barcodes.barcode_line(truth.barcode_times, truth.barcode_values)
        if ephys:
            self.streams = open_ephys.streams_of(
                self.rng(8),
                self.probes,
                start,
                stop,
                ap_seconds=math.inf if ap is None else ap,
                lfp_seconds=math.inf if lfp is None else lfp,
                nidaq_seconds=math.inf if nidaq is None else nidaq,
            )
        truth.streams.update({stream.folder: stream for stream in self.streams})

    def write_sync(self, folder: Path, flip_every: int) -> None:
        """Write the sync file."""
        rng = self.rng(9)
        truth = self.truth
        vsync = [s.frames.vsync for s in self.stimuli]
        running = [(float(v[0]) - 0.7, float(v[-1]) + 0.014) for v in vsync]
        if "missing_vsync_frame" in self.faults and truth.task is not None:
            which = truth.stimuli.index(truth.task)
            frame = len(vsync[which]) // 2
            vsync[which] = np.delete(vsync[which], frame)
            truth.faults["missing_vsync_frame"] = frame
        for begun, ended in self.extra_pulses:
            vsync.append(np.array([begun + 0.7]))
            running.append((begun, ended))
        falls = np.concatenate([np.zeros(0), *vsync])
        frames = [s.frames for s in self.stimuli]
        black = "black_first" in self.faults
        diode, high = wrong.diode_line(rng, frames, CENTRE, flip_every, black)
        if truth.task is not None:
            which = truth.stimuli.index(truth.task)
            if "missing_diode_edges" in self.faults:
                diode[which], gone = wrong.without_edges(diode[which], (0.31, 0.72))
                truth.faults["missing_diode_edges"] = gone
            if "extra_short_flips" in self.faults:
                diode[which], extra = wrong.with_short_flips(diode[which], (0.2, 0.55, 0.9))
                truth.faults["extra_short_flips"] = extra
        if black:
            truth.faults["black_first"] = True
        lick = pulses(truth.lick_on, truth.lick_off)
        if "negative_lick_durations" in self.faults:
            # the first edge is then a fall, and pairing rises with falls one by one is wrong by one throughout
            lick = Line(np.concatenate([[1.3], lick.edges]), high=True)
            truth.faults["negative_lick_durations"] = 1.3
        lines = {
            "barcode_ephys": self.barcode_line,
            "vsync_stim": pulses(falls - 0.005, falls),
            "stim_photodiode": Line(np.concatenate([np.zeros(0), *diode]), high),
            "stim_running": pulses([a for a, _ in running], [b for _, b in running]),
            "lick_sensor": lick,
        }
        if self.date >= SOUND_LINE:
            on = np.concatenate([s.sound_on[np.isfinite(s.sound_on)] for s in self.stimuli] or [np.zeros(0)])
            off = np.concatenate(
                [s.sound_off[np.isfinite(s.sound_on)] for s in self.stimuli] or [np.zeros(0)]
            )
            # the line falls some milliseconds after the sound has ended
            lines["sound_running"] = pulses(on, off + 0.003)
        if self.date >= REWARD_LINE:
            lines["reward"] = pulses(truth.solenoid_on, truth.solenoid_off)
        on = np.concatenate([s.opto_on[np.isfinite(s.opto_on)] for s in self.stimuli] or [np.zeros(0)])
        off = np.concatenate([s.opto_off[np.isfinite(s.opto_on)] for s in self.stimuli] or [np.zeros(0)])
        lines["laser_488"] = pulses(on, off)
        for kind in cameras.CAMERAS:
            exposing, readout = cameras.lines_of(kind, self.exposures[kind.label])
            plug = truth.cameras[kind.label].line.removesuffix("_exposing")
            lines[f"{plug}_exposing"] = exposing
            lines[f"{plug}_frame_readout"] = readout
        name = f"{truth.sync_start:%Y%m%dT%H%M%S}.h5"
        write_sync(folder / name, lines, truth.sync_start, truth.sync_seconds)

    def populate(self, units_per_probe: int) -> None:
        """Let the units of each probe fire."""
        drives = self._drives()
        for stream in self.streams:
            if stream.band == "AP" and stream.letter is not None:
                stop = stream.clock.start + stream.n_samples / stream.clock.rate
                self.truth.populations[stream.letter] = populate(
                    self.rng(10, ord(stream.letter)),
                    stream.letter,
                    units_per_probe,
                    stream.clock,
                    stop,
                    drives,
                )

    def _drives(self) -> list[Drive]:
        """Return what of the stimuli the units answer to."""
        made: list[Drive] = []

        def add(kind: str, times: Floats, seconds: Any, letter: str | None = None, **where: Any) -> None:
            keep = np.isfinite(times)
            n = len(times)
            spread = {
                key: np.broadcast_to(np.asarray(where.get(key, default), np.float64), n)[keep]
                for key, default in (("x", np.nan), ("y", np.nan), ("strength", 1.0))
            }
            made.append(
                Drive(
                    kind,
                    times[keep],
                    np.broadcast_to(np.asarray(seconds, np.float64), n)[keep],
                    letter=letter,
                    **spread,
                )
            )

        for stimulus in self.stimuli:
            script = stimulus.script
            table = pd.DataFrame(list(script.trials))
            if len(stimulus.sound_on):
                add("aud", stimulus.sound_on, script.sound_seconds)
            if script.name == "DynamicRouting1":
                seen = table["stim_name"].str.startswith("vis")
                # what pays is answered to more strongly
                strength = np.where(table["rewarded_modality"] == "vis", 1.0, 0.75)[seen]
                times = stimulus.frames.shown_at(table["stim_frame"][seen])
                add("vis", times, 0.5, strength=strength)
            elif script.name == "RFMapping":
                times = stimulus.frames.shown_at(table["stim_frame"])
                grating = np.isfinite(table["grating_x"].to_numpy(np.float64))
                flash = np.abs(table["flash_contrast"].to_numpy(np.float64)) > 0.5
                add("vis", times[grating], 0.25, x=table["grating_x"][grating], y=table["grating_y"][grating])
                add("vis", times[flash], 0.25, strength=0.5)
            elif script.name == "OptoTagging":
                for letter in self.probes:
                    here = (table["location"] == f"probe{letter}").to_numpy()
                    add("opto", stimulus.opto_on[here], script.opto_seconds[here], letter)
        return made

    def write_ephys(self, root: Path, layout: str) -> None:
        """Write the record nodes, and in the cloud's layout the compressed streams."""
        letters = self.probes
        settings = open_ephys.settings_xml(letters, self.local(self.streams[0].clock.start))
        started = self.local(self.streams[0].clock.start - 0.3)
        data = self._signals()
        nodes = {open_ephys.node_of(stream.letter, letters) for stream in self.streams}
        for number in nodes:
            streams = [s for s in self.streams if open_ephys.node_of(s.letter, letters) == number]
            half = "probeABC" if number == 102 else "probeDEF"
            if layout == "aind":
                node = root / "ecephys_clipped" / f"Record Node {number}"
            elif len(nodes) > 1:
                node = root / f"{root.name}_{half}" / f"Record Node {number}"
            else:
                node = root / f"Record Node {number}"
            open_ephys.write_recording(
                node,
                streams,
                data,
                self.barcode_line,
                settings=settings,
                started=started,
                clipped=100 if layout == "aind" else None,
                broken=self._broken_barcode(),
            )
            if layout == "aind":
                (root / "ecephys_compressed").mkdir(exist_ok=True)
                for stream in streams:
                    open_ephys.write_compressed(
                        root / "ecephys_compressed", node, stream, data[stream.folder]
                    )
            elif "truncated_continuous" in self.faults and streams[0].letter == letters[:1]:
                path = (
                    node / "experiment1" / "recording1" / "continuous" / streams[0].folder / "continuous.dat"
                )
                wrong.cut(path, 0.7)
                whole = path.stat().st_size // (2 * open_ephys.CHANNELS)
                self.truth.streams[streams[0].folder] = replace(streams[0], n_written=whole)
                self.truth.faults["truncated_continuous"] = streams[0].folder

    def _broken_barcode(self) -> float | None:
        """Return when the barcode began that is to be broken on the probes."""
        if "broken_barcode" not in self.faults or not self.streams:
            return None
        start = self.streams[0].clock.start
        inside = self.truth.barcode_times[self.truth.barcode_times > start]
        self.truth.faults["broken_barcode"] = float(inside[len(inside) // 3])
        return float(inside[len(inside) // 3])

    def _signals(self) -> dict[str, open_ephys.Data]:
        made: dict[str, open_ephys.Data] = {}
        for number, stream in enumerate(self.streams):
            rng = self.rng(11, number)
            if stream.letter is None:
                stop = float(stream.clock.times(stream.n_written))
                made[stream.folder] = signals.nidaq_signal(
                    rng, stream, self._sounds(stop), self._lasers(stop)
                )
            elif stream.band == "AP":
                made[stream.folder] = signals.ap_signal(rng, self.truth.populations[stream.letter])
            else:
                made[stream.folder] = signals.lfp_signal(rng)
        return made

    def _sounds(self, stop: float) -> list[signals.Played]:
        """Return the sounds played before `stop` (s), as the loudspeaker's copy has them."""
        played: list[signals.Played] = []
        for stimulus in self.stimuli:
            stored = stimulus.script.parameters.get("trialSoundArray")
            for trial in np.flatnonzero(stimulus.sound_on < stop):
                if isinstance(stored, list):
                    wave = stored[trial]
                else:
                    stim = stimulus.script.trials[trial]["stim_name"]
                    seed = int(stimulus.script.parameters["trialSoundSeed"][trial])
                    wave = signals.am_noise(seed, 0.5, (2000.0, 20000.0), AM_HZ[stim], 0.0665)
                played.append((float(stimulus.sound_on[trial]), wave, signals.SOUND_RATE))
        return played

    def _lasers(self, stop: float) -> list[signals.Played]:
        played: list[signals.Played] = []
        for stimulus in self.stimuli:
            volts = stimulus.script.parameters.get("trialOptoVoltage", np.zeros(0))
            for trial in np.flatnonzero(stimulus.opto_on < stop):
                n = round((stimulus.opto_off[trial] - stimulus.opto_on[trial]) * 2000)
                played.append((float(stimulus.opto_on[trial]), np.full(n + 1, volts[trial]), 2000.0))
        return played

    def write_metadata(self, root: Path, layout: str, ephys: bool) -> None:
        """Write the small files."""
        truth = self.truth
        where = root / "behavior" if layout == "aind" else root
        if layout == "aind":
            metadata.write_assets(root, root.name, truth.subject, truth.sync_start)
        else:
            (root / "subject.json").write_text(json.dumps(truth.subject, indent=1), encoding="utf-8")
        metadata.write_log(where / "debug.log", EXPERIMENTER)
        truth.experimenter = EXPERIMENTER
        if ephys and self.probes:
            metadata.write_insertions(where / "insertions.json", self.probes, truth.session_id)
            truth.manipulators = metadata.write_manipulators(
                where / "motor-locs.csv", self.probes, truth.sync_start
            )

    def write_sorted(self, root: Path, layout: str) -> Path:
        """Write what the sorter made of each probe, and return the folder."""
        folder = root / "sorted"
        sorted_output.write_root(folder, root.name)
        letters = self.probes
        if "failed_probe_sorting" in self.faults:
            self.truth.faults["failed_probe_sorting"] = letters[-1]
            letters = letters[:-1]
        for stream in self.streams:
            if stream.band == "AP" and stream.letter is not None and stream.letter in letters:
                node = f"Record Node {open_ephys.node_of(stream.letter, self.probes)}"
                write = sorted_output.write_legacy if layout == "legacy" else sorted_output.write_analyzer
                write(
                    folder,
                    node,
                    stream.letter,
                    self.truth.populations[stream.letter],
                    stream.n_samples / stream.nominal_rate,
                )
        return folder

    def write_surface(self, root: Path, layout: str) -> Path:
        """Write a second, short recording of the same probes, with no sync, and return its folder."""
        begun = self.truth.sync_seconds + 600
        if layout == "aind":
            beside = root.parent / f"ecephys_{self.subject}_{self.local(begun):%Y-%m-%d_%H-%M-%S}"
            node = beside / "ecephys_clipped" / "Record Node 102"
        else:
            beside = root.parent / f"{root.name}_surface_channels"
            node = beside / "Record Node 102"
        streams = open_ephys.streams_of(
            self.rng(12), self.probes, 0.0, 90.0, ap_seconds=0.2, lfp_seconds=1.0, nidaq_seconds=0.2
        )
        empty = self.truth.populations
        data: dict[str, open_ephys.Data] = {}
        for number, stream in enumerate(streams):
            rng = self.rng(13, number)
            if stream.letter is None:
                data[stream.folder] = signals.nidaq_signal(rng, stream, (), ())
            elif stream.band == "LFP":
                data[stream.folder] = signals.lfp_signal(rng)
            else:
                population = empty[stream.letter]
                data[stream.folder] = signals.ap_signal(rng, population)
        started = self.local(begun)
        settings = open_ephys.settings_xml(self.probes, started, bank=1)
        open_ephys.write_recording(
            node,
            streams,
            data,
            barcodes.barcode_line(*barcodes.sent(90.0, 7)),
            settings=settings,
            started=started,
            clipped=100 if layout == "aind" else None,
        )
        if layout == "aind":
            (beside / "ecephys_compressed").mkdir()
            for stream in streams:
                open_ephys.write_compressed(beside / "ecephys_compressed", node, stream, data[stream.folder])
            metadata.write_assets(beside, beside.name, self.truth.subject, started)
        return beside


def _trials(stimulus: Stimulus) -> pd.DataFrame:
    """Return the task's finished trials with their true times (s)."""
    frames = stimulus.frames
    table = pd.DataFrame(list(stimulus.script.trials))
    onset = table["stim_frame"].to_numpy(np.float64)
    sound = np.isfinite(stimulus.sound_on)
    shown_at = frames.shown_at(onset)
    return table.assign(
        start_time=frames.at(onset - 90),
        quiescent_stop_time=frames.read_at(onset - 1),
        stop_time=frames.at(table["end_frame"]),
        stim_start_time=np.where(sound, stimulus.sound_on, shown_at),
        stim_stop_time=np.where(sound, stimulus.sound_off, frames.shown_at(onset + 30)),
        response_window_start_time=frames.read_at(onset + 6),
        response_window_stop_time=frames.at(onset + 60),
        task_control_response_time=frames.read_at(table["response_frame"]),
        reward_time=frames.at(table["reward_frame"]),
        opto_start_time=stimulus.opto_on,
        opto_stop_time=stimulus.opto_off,
    )


def _presentations(stimulus: Stimulus) -> pd.DataFrame:
    """Return the trials of a mapping stimulus with their true times (s)."""
    frames = stimulus.frames
    table = pd.DataFrame(list(stimulus.script.trials))
    start = table["stim_frame"].to_numpy(np.float64)
    if "stim_frames" in table:
        stop = start + table["stim_frames"].to_numpy(np.float64)
        table["stim_start_time"] = frames.shown_at(start)
        table["stim_stop_time"] = frames.shown_at(stop)
    if len(stimulus.sound_on):
        table["sound_start_time"] = stimulus.sound_on
        table["sound_stop_time"] = stimulus.sound_off
    if len(stimulus.opto_on):
        table["stim_start_time"] = stimulus.opto_on
        table["stim_stop_time"] = stimulus.opto_off
    return table
