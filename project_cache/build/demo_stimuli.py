"""What the mice of the demo project are shown: the two protocols of Visual Coding, much shortened."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["presentations", "session_seconds"]

SPONTANEOUS_S = 10.0
LIGHT_S = 20.0  # what is left at the end for pulses of light
_FULL_FIELD = {"size": "[250.0, 250.0]", "units": "deg"}
_MOVIE = {"size": "[1920.0, 1080.0]", "units": "pix", "contrast": 1.0}


class _Protocol:
    """A table of presentations as it grows; every stimulus of one kind that is shown in a row is a block."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rows: list[dict[str, Any]] = []
        self.time = 5.0
        self.block = 0

    def show(
        self,
        name: str,
        each: list[dict[str, Any]],
        seconds: float,
        gap: float = 0.0,
        *,
        shuffled: bool = True,
    ) -> None:
        """Add a stretch of grey screen, then one presentation for each set of parameters."""
        self.grey()
        for i in self.rng.permutation(len(each)) if shuffled else range(len(each)):
            self.rows.append(
                {
                    "start_time": self.time,
                    "stop_time": self.time + seconds,
                    "stimulus_name": name,
                    "stimulus_block": float(self.block),
                    "stimulus_index": self.block,
                    **each[i],
                }
            )
            self.time += seconds + gap
        self.block += 1

    def grey(self) -> None:
        """Add a stretch of grey screen."""
        stop = self.time + SPONTANEOUS_S
        self.rows.append(
            {
                "start_time": self.time,
                "stop_time": stop,
                "stimulus_name": "spontaneous",
                "stimulus_index": -99,  # what the published files have
            }
        )
        self.time = stop


def presentations(session_type: str, seed: int) -> pd.DataFrame:
    """Return a session's presentations in order of time; parameters that a stimulus lacks are NaN."""
    show = _Protocol(seed)
    show.show("gabors", _gabors(), 0.25)
    show.show("flashes", _flashes(30), 0.25, 1.75)
    if session_type == "brain_observatory_1.1":
        gratings = [
            _grating(direction, frequency)
            for direction in np.arange(0.0, 360.0, 45.0)
            for frequency in (1.0, 2.0, 4.0, 8.0, 15.0)
        ]
        show.show("drifting_gratings", 2 * gratings + 4 * [_grating(None, None)], 2.0, 1.0)
        show.show("natural_movie_one", 2 * _movie(240), 1 / 30, shuffled=False)
        show.show("static_gratings", [*_static_gratings(), *(4 * [_static(None, None, None)])], 0.25)
        show.show(
            "natural_scenes",
            [
                {"frame": float(i), "size": "[1174.0, 918.0]", "units": "pix", "contrast": 1.0}
                for i in range(-1, 118)
            ],
            0.25,
        )
    else:
        gratings = [_grating(direction, 2.0) for direction in (0.0, 45.0, 90.0, 135.0)]
        show.show("drifting_gratings_75_repeats", 16 * gratings + 4 * [_grating(None, None)], 2.0, 1.0)
        contrasts = (0.01, 0.02, 0.04, 0.08, 0.13, 0.2, 0.35, 0.6, 1.0)
        low = [_grating(g["orientation"], 2.0, contrast) for g in gratings for contrast in contrasts]
        show.show("drifting_gratings_contrast", 2 * low, 0.5, 0.5)
        show.show("natural_movie_one_more_repeats", 3 * _movie(240), 1 / 30, shuffled=False)
    show.grey()
    return pd.DataFrame(show.rows)


@functools.cache
def session_seconds(session_type: str) -> float:
    """Return how long a session of a type lasts; the order in which things are shown does not matter."""
    return float(presentations(session_type, 0)["stop_time"].max()) + LIGHT_S


def _gabors() -> list[dict[str, Any]]:
    return [
        {
            "x_position": float(x),
            "y_position": float(y),
            "orientation": orientation,
            "spatial_frequency": 0.08,
            "temporal_frequency": 4.0,
            "contrast": 0.8,
            "phase": "[3644.93333333, 3644.93333333]",
            "size": "[20.0, 20.0]",
            "color": "[0.5, 0.5, 0.5]",
            "units": "deg",
        }
        for x in range(-40, 41, 10)
        for y in range(-40, 41, 10)
        for orientation in (0.0, 45.0, 90.0)
    ]


def _flashes(each: int) -> list[dict[str, Any]]:
    return [
        {
            "color": color,
            "contrast": 0.8,
            "orientation": 0.0,
            "phase": "[0.0, 0.0]",
            "spatial_frequency": "[0.0, 0.0]",
            "size": "[300.0, 300.0]",
            "units": "deg",
        }
        for color in each * ["1.0", "-1.0"]
    ]


def _grating(direction: float | None, frequency: float | None, contrast: float = 0.8) -> dict[str, Any]:
    return {
        "orientation": direction,
        "temporal_frequency": frequency,
        "spatial_frequency": 0.04,
        "contrast": contrast,
        "phase": "[42471.86666667, 42471.86666667]",
        **_FULL_FIELD,
    }


def _static(orientation: float | None, spatial: float | None, phase: float | None) -> dict[str, Any]:
    return {
        "orientation": orientation,
        "spatial_frequency": spatial,
        "phase": "" if phase is None else str(phase),
        "contrast": 0.8,
        **_FULL_FIELD,
    }


def _static_gratings() -> list[dict[str, Any]]:
    return [
        _static(orientation, spatial, phase)
        for orientation in np.arange(0.0, 180.0, 30.0)
        for spatial in (0.02, 0.04, 0.08, 0.16, 0.32)
        for phase in (0.0, 0.25, 0.5, 0.75)
    ]


def _movie(frames: int) -> list[dict[str, Any]]:
    return [{"frame": float(frame), **_MOVIE} for frame in range(frames)]
