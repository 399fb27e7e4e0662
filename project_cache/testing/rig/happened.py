"""What happened in a session: which stimuli were shown when, what the mouse did, what the cameras and probes saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from project_cache.testing.rig import barcodes, cameras, mapping, metadata, open_ephys
from project_cache.testing.rig.population import populate
from project_cache.testing.rig.presented import drives, presentations, trials
from project_cache.testing.rig.sync_file import Line
from project_cache.testing.rig.task import task
from project_cache.testing.rig.timeline import Floats, Frames, Script, Stimulus, on_ticks, shown
from project_cache.testing.rig.truth import CameraTruth, Truth

__all__ = ["Happened"]

CLOCK = (12, 33, 31, 324839)  # when sync was started
MODERN_LASER = "2024-03-29"  # first day of scripts that store the laser's parameters in one group
ROLLOVER_S = 2**32 / 100_000


class Happened:
    """A session as it goes on: each method lets something happen, and adds it to the truth."""

    def __init__(
        self, *, seed: int, subject: int, date: str, faults: frozenset[str], probes: str, wildtype: bool
    ) -> None:
        if set(probes) - set("ABCDEF") or len(set(probes)) != len(probes):
            raise ValueError(f"probes {probes!r} are not different letters of ABCDEF")
        self.seed = seed
        self.subject = subject
        self.faults = faults
        self.probes = probes
        self.date = date
        day = datetime.fromisoformat(date)
        #: seconds between the start of sync and the rest of the session
        self.lead = ROLLOVER_S - 60.0 if "rollover" in faults else 0.0
        started = day + timedelta(
            hours=CLOCK[0], minutes=CLOCK[1], seconds=CLOCK[2] - self.lead, microseconds=CLOCK[3]
        )
        self.truth = Truth(
            f"{subject}_{date}", metadata.subject_of(subject, day, wildtype=wildtype), started, 0.0
        )
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

    def run(
        self,
        stimuli: Sequence[str],
        blocks: int,
        trials_per_block: int,
        *,
        opto: bool,
        repeats: int,
    ) -> None:
        """Show the stimuli to the mouse."""
        truth = self.truth
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
                truth.mapping[stem] = presentations(stimulus)
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
            truth.trials = trials(main)
            # the script notes the frame; the solenoid's line tells when it opened
            when = truth.trials["reward_time"].to_numpy()
            nth = np.searchsorted(truth.reward_times, np.nan_to_num(when, nan=-1.0))
            truth.trials["solenoid_time"] = np.where(
                np.isfinite(when), np.append(truth.solenoid_on, np.nan)[nth], np.nan
            )

    def speed(self, times: Floats) -> Floats:
        """Return how fast the mouse runs (cm/s) at these seconds: it starts and stops over some seconds."""
        seconds = self.truth.sync_seconds - self.lead
        step = 0.2
        drive = self.rng(5).standard_normal(int(seconds / step) + 60)
        window = np.hanning(31)
        smooth = np.convolve(drive, window / np.sqrt((window**2).sum()), mode="valid")
        grid = self.lead + step * np.arange(len(smooth))
        return np.asarray(np.interp(times, grid, 25 + 12 * smooth).clip(0, 90), dtype=np.float64)

    def film(self, seconds: float | None) -> None:
        """Let the cameras run for so long (None: to the end), lose frames, and be plugged in wrongly."""
        stop = self.truth.sync_seconds - 2.6
        if seconds is not None:
            stop = min(stop, self.lead + 9.0 + seconds)
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

    def send_barcodes(self) -> None:
        """Let the Arduino send its barcodes to the sync board and to the probes."""
        truth = self.truth
        restarted = None
        if "duplicate_barcodes" in self.faults:
            # in the middle of the recording, so that the first values come twice on all clocks
            restarted = int((self.lead + 0.4 * (truth.sync_seconds - self.lead)) / barcodes.PERIOD)
            truth.faults["duplicate_barcodes"] = restarted
        rng = self.rng(7)
        first = int(rng.integers(2**28, 2**30))
        truth.barcode_times, truth.barcode_values = barcodes.sent(
            rng, truth.sync_seconds, first, restarted_after=restarted
        )
        self.barcode_line = barcodes.barcode_line(truth.barcode_times, truth.barcode_values)

    def record(self, ap: float | None, lfp: float | None, nidaq: float | None, units_per_probe: int) -> None:
        """Record from the probes, on clocks of their own, of which so many seconds are kept (None: all)."""
        truth = self.truth
        start, stop = self.lead + 14.18, truth.sync_seconds - 6.2
        if "late_ephys_start" in self.faults and len(self.stimuli) > 1:
            start = float(self.stimuli[1].frames.vsync[0]) + 1.0
            truth.faults["late_ephys_start"] = start
        if "truncated_recording" in self.faults:
            stop = start + 0.6 * (stop - start)
            truth.faults["truncated_recording"] = stop
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
        world = drives(self.stimuli, self.probes)
        for stream in self.streams:
            if stream.band == "AP" and stream.letter is not None:
                end = float(stream.clock.times(stream.n_samples))
                truth.populations[stream.letter] = populate(
                    self.rng(10, ord(stream.letter)), stream.letter, units_per_probe, stream.clock, end, world
                )
