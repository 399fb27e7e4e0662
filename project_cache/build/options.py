"""What a build of a raw recording can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of a build, all of which are part of its recipe.

    Attributes
    ----------
    invalid_times : tuple of mapping
        Stretches that are not to be used: ``start_time`` and ``stop_time`` in seconds of the session's clock
        (a stop of -1 or None: to the end), and ``reason``.
    probe_letters_to_skip : str
        Probes whose data are not to be used: ``"DF"``.
    excluded_stim_file_names : tuple of str
        Stimulus files (names, or parts of them) that are left out.
    lfp_channel_stride : int
        Every how many-th channel the filtered LFP has.
    lfp_rate : float
        The sampling rate of the filtered LFP, Hz.
    waveforms : bool
        Whether units have their mean waveforms on all channels.
    constant_lag : bool
        Whether a stimulus file whose photodiode cannot be used gets display times at a constant lag from its
        vsyncs, rather than none.
    compression : {'gzip', None}
        How the series of a built file are compressed; without, writing is as fast as the disk.
    video_features : bool
        Whether a build computes pupil, gaze and face motion from the pixels of videos for which there are no files of
        features. That takes many minutes for an hour of video; a component that is asked for by its name is computed
        in any case.
    given : mapping
        What the caller says of the recording, which wins over what its files say: ``is_opto``, ``rig``,
        ``experiment_description``, ``keywords``, ``notes`` …
    """

    invalid_times: tuple[Mapping[str, Any], ...] = ()
    probe_letters_to_skip: str = ""
    excluded_stim_file_names: tuple[str, ...] = ()
    lfp_channel_stride: int = 4
    lfp_rate: float = 1250.0
    waveforms: bool = True
    constant_lag: bool = True
    compression: Literal["gzip"] | None = "gzip"
    video_features: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)
