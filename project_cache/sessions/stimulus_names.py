"""What stimuli and their parameters are called, in any Visual Coding session, whatever its file calls them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMN_NAMES", "STIMULUS_NAMES", "uniform_names"]

#: parameters, as files of different age call them
COLUMN_NAMES = {
    "Contrast": "contrast",
    "Ori": "orientation",
    "SF": "spatial_frequency",
    "TF": "temporal_frequency",
    "Phase": "phase",
    "Color": "color",
    "Image": "frame",
    "Pos_x": "x_position",
    "Pos_y": "y_position",
}

#: stimuli, as files of different age call them
STIMULUS_NAMES = {
    "": "spontaneous",
    "natural_movie_1": "natural_movie_one",
    "natural_movie_3": "natural_movie_three",
    "Natural Images": "natural_scenes",
    "flash_250ms": "flashes",
    "gabor_20_deg_250ms": "gabors",
    "contrast_response": "drifting_gratings_contrast",
    "Natural_Images_Shuffled": "natural_scenes_shuffled",
    "Natural_Images_Sequential": "natural_scenes_sequential",
    "natural_movie_1_more_repeats": "natural_movie_one",
    "natural_movie_shuffled": "natural_movie_one_shuffled",
    "motion_stimulus": "dot_motion",
    "drifting_gratings_more_repeats": "drifting_gratings_75_repeats",
    "signal_noise_test_0_200_repeats": "test_movie_one",
    "signal_noise_test_0": "test_movie_one",
    "signal_noise_test_1": "test_movie_two",
    "signal_noise_session_1": "dense_movie_one",
    "signal_noise_session_2": "dense_movie_two",
    "signal_noise_session_3": "dense_movie_three",
    "signal_noise_session_4": "dense_movie_four",
    "signal_noise_session_5": "dense_movie_five",
    "signal_noise_session_6": "dense_movie_six",
}

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {str(n): word for n, word in enumerate(_WORDS, start=1)}
_MOVIE = re.compile(rf"natural_movie_(\d+|{'|'.join(_WORDS)})")


def uniform_names(names: NDArray[Any]) -> NDArray[np.object_]:
    """Return the stimuli's names as all sessions have them.

    Examples
    --------
    >>> uniform_names(np.array(["natural_movie_1", "Natural Images", ""], dtype=object)).tolist()
    ['natural_movie_one', 'natural_scenes', 'spontaneous']
    >>> uniform_names(np.array(["natural_movie_3", "natural_movie_shuffled"], dtype=object)).tolist()
    ['natural_movie_three', 'natural_movie_three_shuffled']
    """
    flat = ["" if name is None or name != name else str(name) for name in names.tolist()]
    known = {name: _in_words(name) for name in dict.fromkeys(flat)}
    # A shuffled movie goes by the number of the one movie of its session.
    numbers = {match[1] for name in known.values() if (match := _MOVIE.search(name))}
    if len(numbers) == 1:
        shuffled = f"natural_movie_{numbers.pop()}_shuffled"
        known = {
            name: shuffled if new.startswith("natural_movie_shuffled") else new for name, new in known.items()
        }
    out = np.empty(len(flat), dtype=object)
    out[:] = [STIMULUS_NAMES.get(known[name], known[name]) for name in flat]
    return out


def _in_words(name: str) -> str:
    """Return a movie's name with its number in words."""
    if not _MOVIE.search(name):
        return name
    return re.sub(r"\d+", lambda number: _DIGITS.get(number[0], number[0]), name)
