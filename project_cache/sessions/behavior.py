"""BehaviorSession: a session of the change detection task, as AllenSDK gives it, read by HDF5 alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from project_cache.errors import MissingDataError
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import find_group, need_group
from project_cache.nwb.series import series_times
from project_cache.sessions.attributes import attribute
from project_cache.sessions.base import Session
from project_cache.sessions.behavior_metadata import read_behavior_metadata, read_task_parameters
from project_cache.sessions.behavior_presentations import read_behavior_presentations
from project_cache.sessions.eye_tracking import Coordinates, read_eye_tracking, read_rig_geometry
from project_cache.sessions.performance import performance_metrics, rolling_performance, trial_reward_rate
from project_cache.sessions.templates import read_templates
from project_cache.sessions.trials import read_licks, read_rewards, read_speed, read_trials

__all__ = ["BehaviorSession"]


class BehaviorSession(Session):
    """A session of the Allen Institute's change detection task, of which only behaviour was recorded.

    Everything has the names, values, order and types that AllenSDK 2.16.2's class of this name gives it,
    and is read when it is first asked for. Frames are kept, and handed out as they are: copy one before
    changing it.

    Parameters
    ----------
    path : path-like
        The session's NWB file.
    add_is_change_to_stimulus_presentations_table : bool
        Whether ``is_change`` and ``flashes_since_change`` are worked out from the images, whatever the
        file says.
    eye_tracking_z_threshold, eye_tracking_dilation_frames : float, int
        Which frames of the eye video are likely blinks:
        :func:`project_cache.analysis.blinks.likely_blinks`.
    origin : tuple of (callable, arguments), optional
        What makes this session anew where it is unpickled. Without it, its class, path and options do.

    Raises
    ------
    MissingObjectError, NotNWBError, CorruptObjectError, UnreadableObjectError
        As :class:`Session`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | NWBReader,
        *,
        add_is_change_to_stimulus_presentations_table: bool = True,
        eye_tracking_z_threshold: float = 3.0,
        eye_tracking_dilation_frames: int = 2,
        origin: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        super().__init__(path)
        self._add_is_change = add_is_change_to_stimulus_presentations_table
        self._blink_rule = (eye_tracking_z_threshold, eye_tracking_dilation_frames)
        self._origin = origin

    @classmethod
    def from_nwb_path(cls, nwb_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Return the session of a file alone, without a cache.

        Parameters
        ----------
        nwb_path : path-like
            The file.
        **kwargs
            The options of the class.
        """
        return cls(nwb_path, **kwargs)

    def _options(self) -> dict[str, Any]:
        """Return what this session was made with, beside its path."""
        return {
            "add_is_change_to_stimulus_presentations_table": self._add_is_change,
            "eye_tracking_z_threshold": self._blink_rule[0],
            "eye_tracking_dilation_frames": self._blink_rule[1],
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return self._origin or (_again, (type(self), self._where, self._options()))

    # ------------------------------------------------------------------ what was recorded, and of whom

    @attribute
    def _metadata(self) -> dict[str, Any]:
        with self._reader.open() as handle:
            return read_behavior_metadata(handle)

    @property
    def behavior_session_id(self) -> int:
        """The id of the session.

        Raises
        ------
        MissingDataError
            The file does not say.
        """
        known: int | None = self._metadata["behavior_session_id"]
        if known is None:
            raise MissingDataError(
                f"{self.path} has no behavior_session_id: it is not of the behaviour projects. Open it as a Session."
            )
        return known

    @property
    def metadata(self) -> dict[str, Any]:
        """What there is to say of the session and the mouse; None for what the file does not say."""
        order = list(self._metadata)
        at = order.index("session_type") + 1
        order.insert(at, "date_of_acquisition")
        known = {**self._metadata, "date_of_acquisition": self.session_start_time}
        return {name: known[name] for name in order}

    @attribute
    def task_parameters(self) -> dict[str, Any]:
        """The parameters of the task (volumes in mL, times in seconds)."""
        with self._reader.open() as handle:
            found = read_task_parameters(handle)
        if not found:
            raise MissingDataError(f"{self.path} has no task parameters.")
        return found

    # ------------------------------------------------------------------ behaviour

    @attribute
    def trials(self) -> pd.DataFrame:
        """The trials by ``trials_id``: what was shown when, what the mouse did and got.

        Raises
        ------
        MissingDataError
            This recording has none.
        """
        with self._reader.open() as handle:
            return read_trials(handle)

    @attribute
    def licks(self) -> pd.DataFrame:
        """The licks: timestamps (s), frame of the stimulus. Empty for none."""
        with self._reader.open() as handle:
            return read_licks(handle)

    @attribute
    def rewards(self) -> pd.DataFrame:
        """The rewards: volume (mL), timestamps (s), auto_rewarded. Empty for none."""
        with self._reader.open() as handle:
            return read_rewards(handle)

    @attribute
    def running_speed(self) -> pd.DataFrame:
        """The running speed, filtered: timestamps (s), speed (cm/s)."""
        with self._reader.open() as handle:
            return read_speed(handle, "speed")

    @attribute
    def raw_running_speed(self) -> pd.DataFrame:
        """The running speed, as it was measured: timestamps (s), speed (cm/s)."""
        with self._reader.open() as handle:
            return read_speed(handle, "speed_unfiltered")

    @attribute
    def eye_tracking(self) -> pd.DataFrame:
        """The ellipses of eye, pupil and corneal reflection, by ``frame`` of the video (px, px², rad, s).

        Areas and axes are NaN in likely blinks; ``*_area_raw`` never are. Empty where the eye was not tracked.
        """
        with self._reader.open() as handle:
            return read_eye_tracking(handle, *self._blink_rule)

    @attribute
    def eye_tracking_rig_geometry(self) -> dict[str, Coordinates | str | None]:
        """Where camera, light and monitor stood (mm, degrees), and the rig's name; empty if the file does not say."""
        with self._reader.open() as handle:
            return read_rig_geometry(handle)

    # ------------------------------------------------------------------ stimuli

    @attribute
    def stimulus_presentations(self) -> pd.DataFrame:
        """The presentations by ``stimulus_presentations_id``, in the order of time (times in s).

        A parameter that a stimulus does not have is NaN, NA, or -99 among whole numbers.
        """
        with self._reader.open() as handle:
            return read_behavior_presentations(
                handle, self._trials_or_none, add_is_change=self._add_is_change
            )

    def _trials_or_none(self) -> pd.DataFrame | None:
        with self._reader.open() as handle:
            there = find_group(handle, "intervals/trials") is not None
        return self.trials if there else None

    @attribute
    def stimulus_templates(self) -> pd.DataFrame | None:
        """The images by ``image_name``, unwarped and warped, each an array; None if the file has none."""
        with self._reader.open() as handle:
            return read_templates(handle)

    @attribute
    def stimulus_timestamps(self) -> NDArray[np.float64]:
        """When each frame of the stimulus was on the monitor (s)."""
        with self._reader.open() as handle:
            return series_times(need_group(handle, "processing/stimulus/timestamps"))

    # ------------------------------------------------------------------ performance

    @property
    def _response_window_start(self) -> float:
        window = self.task_parameters["response_window_sec"]
        if not window:
            raise MissingDataError(f"{self.path} does not say in what window licks are answers.")
        return float(window[0])

    def get_reward_rate(self) -> NDArray[np.float64]:
        """Return the rewards a minute around each trial (25 before it, 25 from it on), NaN for the first ten."""
        return trial_reward_rate(self.trials, self._response_window_start)

    @attribute
    def _rolling_performance(self) -> pd.DataFrame:
        return rolling_performance(self.trials, self._response_window_start)

    def get_rolling_performance_df(self) -> pd.DataFrame:
        """Return how the mouse did up to each trial, by ``trials_id``.

        Returns
        -------
        pandas.DataFrame
            ``reward_rate`` (rewards a minute), the rates of hits and of false alarms over the last 100
            trials that were not aborted, with (``hit_rate``) and without (``hit_rate_raw``) correction
            for few trials, and ``rolling_dprime``. NaN where there is none, as in aborted trials.
        """
        return self._rolling_performance

    def get_performance_metrics(self, engaged_trial_reward_rate_threshold: float = 2.0) -> dict[str, Any]:
        """Return counts of trials and rewards, and means and maxima of the rolling rates.

        Parameters
        ----------
        engaged_trial_reward_rate_threshold : float
            The mouse is engaged while it gets more rewards a minute than this.
        """
        return performance_metrics(
            self.trials,
            self.rewards,
            self.get_rolling_performance_df(),
            engaged_trial_reward_rate_threshold,
        )


def _again(cls: type[BehaviorSession], path: Any, options: dict[str, Any]) -> BehaviorSession:
    """Return a session from what was pickled of it."""
    return cls(path, **options)
