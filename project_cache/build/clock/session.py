"""A session's clock: its readers' edges, samples and frame numbers, turned into seconds."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from project_cache.build.clock import lasers, sounds
from project_cache.build.clock.frames import (
    FrameTimes,
    Match,
    Recorded,
    frames_from_intervals,
    frames_from_vsyncs,
    matched_blocks,
    vsync_blocks,
)
from project_cache.build.clock.photodiode import CONSTANT_LAG, display_times
from project_cache.build.clock.waveforms import opto_waveform, sound_waveform
from project_cache.errors import MissingDataError, ProjectCacheError

if TYPE_CHECKING:
    from project_cache.build.clock.streams import StreamClock
    from project_cache.build.options import Options
    from project_cache.raw.recording import RawRecording
    from project_cache.raw.stimulus import StimulusFile
    from project_cache.raw.sync import SyncFile

__all__ = ["SessionClock"]

Floats = npt.NDArray[np.float64]

_ZONE = ZoneInfo("America/Los_Angeles")
# from the script's request to the sound or light, s: at the most 0.1 on a rig that is well
_LONGEST_LATENCY = 0.2
# analog inputs of the NI-DAQ: a copy of the speaker's signal, and of the laser's
_SOUND_CHANNEL, _OPTO_CHANNEL = 1, 5
# of the sounds that were asked for: found on the sync line so many, the line is the speaker's; found in the
# recording so many, that is
_FEW, _MOST = 0.5, 0.8


class SessionClock:
    """When all that a session recorded happened, in seconds of one clock.

    That is the sync file's: 0 is its first sample. A session without sync has the clock of its task script,
    and 0 is the first frame. Nothing is computed before it is asked for, and that once.

    Parameters
    ----------
    raw : RawRecording
    options : Options

    Attributes
    ----------
    has_sync : bool
        Whether there is a sync file.
    sound_methods : dict of str to str
        Where the times of a file's sounds are from (``"sync line"``, ``"recorded sound"`` or ``"flips"``), by
        the file's name without suffix; of the files whose sounds were asked for.
    """

    def __init__(self, raw: RawRecording, options: Options) -> None:
        self._raw = raw
        self._options = options
        self.has_sync: bool = raw.sync is not None
        self._frames: dict[str, FrameTimes] = {}
        self._streams: dict[str, StreamClock] = {}
        self.sound_methods: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SessionClock({str(self._raw.id)!r}, {'sync' if self.has_sync else 'no sync'})"

    @property
    def _sync(self) -> SyncFile:
        sync: SyncFile | None = self._raw.sync
        if sync is None:
            raise MissingDataError(f"The session {self._raw.id} was recorded without a sync file.")
        return sync

    @cached_property
    def start_time(self) -> datetime.datetime:
        """When this clock's 0 was, with the time zone of the rigs (America/Los_Angeles).

        Without sync: when the task was started; without a task, when Open Ephys was; else the day's begin.
        """
        raw = self._raw
        if self.has_sync:
            return self._sync.start_time.replace(tzinfo=_ZONE)
        for stimulus in self._alone:
            return stimulus.start_time.replace(tzinfo=_ZONE)
        started = raw.ephys.start_time if raw.ephys is not None else None
        if started is None:
            started = datetime.datetime.combine(raw.id.date.dt, datetime.time())
        return started.replace(tzinfo=_ZONE)

    @cached_property
    def stop(self) -> float:
        """When the session's recording ended, s: with sync its last sample, without it the task's last flip."""
        if self.has_sync:
            return self._sync.total_seconds
        return max((stimulus.duration for stimulus in self._alone), default=0.0)

    @property
    def _alone(self) -> tuple[StimulusFile, ...]:
        """The one file that a session without sync can have times for: the task's, or else the first."""
        raw = self._raw
        return (raw.task,) if raw.task is not None else tuple(raw.stimuli[:1])

    # frames

    @cached_property
    def _matches(self) -> dict[str, Match]:
        sync = self._sync
        found: dict[str, Match] = {}
        files = []
        for stimulus in self._raw.stimuli:
            try:
                start = (stimulus.start_time - sync.start_time).total_seconds()
                intervals = stimulus.frame_intervals if stimulus.n_frames else np.empty(0)
                files.append(Recorded(stimulus.stem, start, intervals))
            except ProjectCacheError as error:
                found[stimulus.stem] = Match(None, str(error))
        matches = matched_blocks(files, vsync_blocks(sync))
        return found | {file.stem: match for file, match in zip(files, matches, strict=True)}

    @cached_property
    def issues(self) -> dict[str, str]:
        """Why a stimulus file's frames have no times, by its name without suffix; empty if all have."""
        if self.has_sync:
            return {stem: match.issue for stem, match in self._matches.items() if match.issue is not None}
        found = {}
        for stimulus in self._alone:
            try:
                if not stimulus.n_frames:
                    found[stimulus.stem] = f"{stimulus.stem} has no frames: it ended before it showed any."
            except ProjectCacheError as error:
                found[stimulus.stem] = str(error)
        return found

    @cached_property
    def usable(self) -> tuple[StimulusFile, ...]:
        """The stimulus files whose frames have times, in the order in which they ran."""
        candidates = self._raw.stimuli if self.has_sync else self._alone
        good = [stimulus for stimulus in candidates if stimulus.stem not in self.issues]
        if not self.has_sync:
            return tuple(good)
        return tuple(sorted(good, key=lambda stimulus: float(self._vsyncs(stimulus)[0])))

    def _vsyncs(self, stimulus: StimulusFile) -> Floats:
        match = self._matches.get(stimulus.stem)
        if match is None or match.vsyncs is None:
            why = match.issue if match is not None else "the file is not one of this session's."
            raise MissingDataError(f"The frames of {stimulus.path} have no times: {why}")
        return match.vsyncs

    def frames(self, stimulus: StimulusFile) -> FrameTimes:
        """Return the times of a stimulus file's frames.

        Raises
        ------
        MissingDataError
            They have none; `issues` has the reason.
        """
        if stimulus.stem not in self._frames:
            self._frames[stimulus.stem] = self._times_of_frames(stimulus)
        return self._frames[stimulus.stem]

    def _times_of_frames(self, stimulus: StimulusFile) -> FrameTimes:
        if not self.has_sync:
            if stimulus.stem in self.issues:
                raise MissingDataError(
                    f"The frames of {stimulus.path} have no times: {self.issues[stimulus.stem]}"
                )
            if stimulus.stem not in {s.stem for s in self._alone}:
                raise MissingDataError(
                    f"The frames of {stimulus.path} have no times: without a sync file only the task's have."
                )
            return frames_from_intervals(stimulus.frame_intervals)
        vsyncs, sync = self._vsyncs(stimulus), self._sync
        display = None
        if sync.has("stim_photodiode"):
            display = display_times(vsyncs, sync.rising("stim_photodiode"), sync.falling("stim_photodiode"))
        lag = CONSTANT_LAG if self._options.constant_lag else None
        return frames_from_vsyncs(vsyncs, display, lag=lag, expected=stimulus.n_frames)

    # sounds and light

    def sounds(
        self, stimulus: StimulusFile, stim_frames: npt.ArrayLike, durations: npt.ArrayLike
    ) -> tuple[Floats, Floats]:
        """Return when sounds began and ended, s.

        On the copy of the speaker's signal on the sync line (since 2023-08-31), or else where the sound that
        was sent is found in the NI-DAQ's recording of it, or else at the flip of the frame it was asked for
        in. A single sound that is not found has the usual latency of the others.

        Parameters
        ----------
        stimulus : StimulusFile
        stim_frames : array, shape (n,)
            The frame in which each was asked for; NaN where none was.
        durations : array, shape (n,)
            How long each is, s.
        """
        triggers = self.frames(stimulus).at("flip", stim_frames)
        onsets, self.sound_methods[stimulus.stem] = self._sounds(stimulus, triggers)
        return onsets, onsets + np.asarray(durations, np.float64)

    def _sounds(self, stimulus: StimulusFile, triggers: Floats) -> tuple[Floats, str]:
        asked = int(np.isfinite(triggers).sum())
        if self.has_sync and asked:
            edges = self._sync.rising("sound_running")
            onsets = sounds.next_edges(edges, triggers, _LONGEST_LATENCY)
            if np.isfinite(onsets).sum() >= _FEW * asked:
                return sounds.with_usual_latency(onsets, triggers), "sync line"
            onsets = self._heard(stimulus, triggers, _SOUND_CHANNEL, sound_waveform)
            if np.isfinite(onsets).sum() >= _MOST * asked:
                return sounds.with_usual_latency(onsets, triggers), "recorded sound"
        return triggers, "flips"

    def opto(self, stimulus: StimulusFile) -> tuple[Floats, Floats]:
        """Return when each trial's light went on and off, s; NaN for trials without.

        On the sync line of the trial's laser, or else where its voltage is found in the NI-DAQ's recording of
        it, or else from the flip of the frame in which the script started it (and its delay), for as long as
        was asked for. A single trial whose light is not found has the usual latency of the others.

        Raises
        ------
        MissingDataError
            The file used no light.
        """
        triggers = self.frames(stimulus).at("flip", lasers.onset_frames(stimulus))
        nominal, active, delays = lasers.durations(stimulus)
        onsets, offsets = np.full(len(triggers), np.nan), np.full(len(triggers), np.nan)
        if self.has_sync:
            names = np.array(lasers.devices(stimulus), dtype=object)
            for name in sorted(set(names)):
                line = lasers.laser_line(name, self._sync, self.start_time.date())
                if line is None:
                    continue
                its = np.where(names == name, triggers, np.nan)
                on = sounds.next_edges(self._sync.rising(line), its, delays + _LONGEST_LATENCY)
                off = lasers.switched_off(self._sync.falling(line), on, active)
                onsets, offsets = np.where(np.isfinite(on), (on, off), (onsets, offsets))
            if not np.isfinite(onsets).any():
                onsets = self._heard(stimulus, triggers, _OPTO_CHANNEL, opto_waveform) + delays
        onsets = sounds.with_usual_latency(onsets, triggers + delays)
        return onsets, np.where(np.isfinite(offsets), offsets, onsets + nominal)

    def _heard(
        self,
        stimulus: StimulusFile,
        triggers: Floats,
        channel: int,
        waveform: Callable[[StimulusFile, int], tuple[Floats, float]],
    ) -> Floats:
        """When waveforms begin on a channel of the NI-DAQ; all NaN where it was not recorded."""
        nothing = np.full(len(triggers), np.nan)
        stream = self._analog()
        if stream is None or stream.n_channels <= channel:
            return nothing
        try:
            clock = self.stream(stream.name)
        except ProjectCacheError:
            return nothing
        played: list[tuple[Floats, float] | None] = []
        for trial in self._trials_at(stimulus, triggers):
            try:
                played.append(waveform(stimulus, trial) if trial >= 0 else None)
            except MissingDataError:
                played.append(None)

        def recorded(first: int, stop: int) -> Floats:
            return np.asarray(stream.data[first:stop, channel], np.float64)

        return sounds.found_in(recorded, clock.rate, clock.start, clock.n_samples, triggers, played)

    def _trials_at(self, stimulus: StimulusFile, triggers: Floats) -> list[int]:
        """The trial that each trigger belongs to, -1 for none: triggers may be of some trials only."""
        for name in ("stimStartFrame", "trialStimStartFrame"):
            if name in stimulus:
                starts = self.frames(stimulus).at("flip", stimulus.trial(name))
                break
        else:
            return list(range(len(triggers)))
        if len(starts) == len(triggers):
            return list(range(len(triggers)))
        found = np.searchsorted(starts, np.nan_to_num(triggers, nan=np.inf), "right") - 1
        return [int(trial) if np.isfinite(t) else -1 for trial, t in zip(found, triggers, strict=True)]

    def _analog(self) -> Any:
        """The stream of the NI-DAQ, or None."""
        ephys = self._raw.ephys
        if ephys is None:
            return None
        return next((s for name, s in ephys.streams.items() if "NI-DAQ" in name.upper()), None)

    # probes and cameras

    @cached_property
    def _barcodes(self) -> tuple[Floats, npt.NDArray[np.int64]] | None:
        from project_cache.build.clock.streams import decode_barcodes

        if not self.has_sync:
            return None
        sync = self._sync
        return decode_barcodes(
            sync.rising("barcode_ephys"), sync.falling("barcode_ephys"), sync.total_seconds
        )

    def stream(self, name: str) -> StreamClock:
        """Return the clock of an Open Ephys stream: ``stream(name).times(samples)`` are seconds.

        Raises
        ------
        MissingDataError
            There is no such stream, or it shares no barcode with the sync file ("no matching barcodes").
        """
        from project_cache.build.clock.streams import stream_clock

        if name not in self._streams:
            streams = self._raw.ephys.streams if self._raw.ephys is not None else {}
            if name not in streams:
                raise MissingDataError(
                    f"The session {self._raw.id} has no stream {name!r}. It has: {', '.join(streams) or 'none'}."
                )
            self._streams[name] = stream_clock(streams[name], self._barcodes)
        return self._streams[name]

    def camera(self, label: str) -> Floats:
        """Return when each frame of a camera's movie was exposed, s; NaN for those without a time.

        Parameters
        ----------
        label : str
            "eye", "face", "behavior" or "nose".

        Returns
        -------
        array, shape (frames in the movie,)
            The first is NaN: it is the movie's metadata.

        Raises
        ------
        MissingDataError
            There is no such camera, or nothing says when it exposed.
        """
        from project_cache.build.clock.cameras import camera_times, camera_times_from_licks

        cameras = {camera.label: camera for camera in self._raw.cameras}
        if label not in cameras:
            raise MissingDataError(
                f"The session {self._raw.id} has no camera {label!r}. It has: {', '.join(cameras) or 'none'}."
            )
        camera = cameras[label]
        if self.has_sync:
            line = self._camera_lines.get(label)
            if line is None:
                raise MissingDataError(
                    f"No sync line has the exposures of the {label} camera of {self._raw.id}."
                )
            return camera_times(camera, self._sync.rising(line), self._sync.start_time)
        ups = camera.lick_frames[0]
        for stimulus in self._alone:
            seen = np.asarray(stimulus["lickFrames"], np.int64)
            # older scripts saved each frame in which the line was up
            seen = seen[np.diff(seen, prepend=-2) > 1]
            times = self.frames(stimulus).at("input", seen)
            return camera_times_from_licks(ups, times, camera.fps, camera.frames_in_file)
        raise MissingDataError(
            f"The session {self._raw.id} has neither sync nor a task: its movies have no times."
        )

    @cached_property
    def _camera_lines(self) -> dict[str, str]:
        from project_cache.build.clock.cameras import camera_lines

        sync = self._sync
        lines = [name for name in sync.line_labels if name.endswith("_cam_exposing")]
        # of a file without labels, the rigs' own
        lines = lines or [f"{name}_cam_exposing" for name in ("beh", "face", "eye")]
        lines = [line for line in lines if sync.has(line)]
        rising = {line: sync.rising(line) for line in lines}
        falling = {line: sync.falling(line) for line in lines}
        return camera_lines(self._raw.cameras, rising, falling, sync.start_time)
