"""A stimulus script's file: the parameters, frames and trials that it saved at its end.

One HDF5 file for each script that ran (``DynamicRouting1_674721_20230710_084322.hdf5``), written by the
TaskControl class of DynamicRoutingTask: every public attribute is a dataset, every dict a group. None was
stored as NaN, a list of strings as strings, a list of lists as the text of its repr, an empty list as an empty
array of floats. Frames are counted from 0; an interval is the time from one frame's flip to the next's.
"""

from __future__ import annotations

import ast
import re
from datetime import datetime
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from project_cache.errors import CorruptObjectError, MissingDataError
from project_cache.raw.places import AnyPath, opened_hdf5, place

__all__ = ["StimulusFile"]

# what a value was called before or elsewhere: looked for, in this order, where the file lacks the name asked for
_OTHER_NAMES = {
    "quiescentViolationFrames": ("quiescentMoveFrames",),
    "trialAutoRewardScheduled": ("trialAutoRewarded",),
    "trialToneFreq": ("trialSoundFreq",),
    "optoBregma": ("bregmaXY",),
    "bregmaXY": ("optoBregma",),
    "lickDetectorFrames": ("lickFrames",),
}
# how many trials were completed: the first of these that the file has, by its length
_TRIAL_COUNTS = ("trialEndFrame", "stimStartFrame", "trialOptoOnsetFrame", "trialLevel")
_NAME = re.compile(r"^(?P<script>[^_]+)_.*?(?<!\d)(?P<subject>\d{6,7})_(?P<start>\d{8}_\d{6})(?!\d)")


class StimulusFile:
    """What a stimulus script saved, by the names that it has in the script.

    Nothing is read but what is asked for, and that once.

    Parameters
    ----------
    path : str or path
        ``<script>_<subject>_<YYYYMMDD>_<HHMMSS>.hdf5``

    Raises
    ------
    MissingObjectError, CorruptObjectError
        On first use: there is no such file, or it is not HDF5, or is truncated.

    Examples
    --------
    >>> StimulusFile("DynamicRouting1_674721_20230710_084322.hdf5").script
    'DynamicRouting1'
    """

    def __init__(self, path: AnyPath | str) -> None:
        self.path = place(path) if isinstance(path, str) else path
        self._values: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"StimulusFile({str(self.path)!r})"

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    @property
    def script(self) -> str:
        """The class of the script, as the file's name begins: ``"DynamicRouting1"``, or ``"RFMapping"``."""
        return self.stem.split("_")[0]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that the file has at its root; none of the values is read."""
        with opened_hdf5(self.path) as file:
            try:
                return frozenset(file)
            except (OSError, RuntimeError) as error:
                raise self._damaged("its names", error) from error

    def _damaged(self, what: str, error: Exception) -> CorruptObjectError:
        return CorruptObjectError(
            f"{what} of the stimulus file {self.path} cannot be read ({error}): the file is damaged. "
            "Copy it again from the rig or its archive."
        )

    def _stored(self, name: str) -> str | None:
        """The name under which the file has a value, or None."""
        for candidate in (name, *_OTHER_NAMES.get(name, ())):
            if candidate in self.names:
                return str(candidate)
        return None

    def _parts(self, name: str) -> dict[str, str]:
        """The pieces of what later became a group: ``gratingOri_vis1`` of ``gratingOri``."""
        start = f"{name}_"
        found = {n.removeprefix(start): n for n in self.names if n.startswith(start)}
        return {k: n for k, n in sorted(found.items()) if re.fullmatch(r"(vis|sound)\d+", k)}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (self._stored(name) is not None or bool(self._parts(name)))

    def __getitem__(self, name: str) -> Any:
        """Return a value by the name that it has in the script (or had in older ones).

        Returns
        -------
        array, list, str, int, float, bool or dict
            Arrays as stored; lists of str; lists of arrays where rows differ in length; lists of lists where
            the file has their repr; a dict for a group.

        Raises
        ------
        MissingDataError
            The file has no such value.
        """
        if name not in self._values:
            stored = self._stored(name)
            if stored is not None:
                self._values[name] = self._read(stored)
            elif parts := self._parts(name):
                self._values[name] = {key: self._read(part) for key, part in parts.items()}
            else:
                raise MissingDataError(
                    f"The stimulus file {self.path} has no {name!r}: the version of the script that wrote it "
                    "did not save it."
                )
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default` where the file has none of that name."""
        try:
            return self[name]
        except MissingDataError:
            return default

    def _read(self, name: str) -> Any:
        with opened_hdf5(self.path) as file:
            try:
                return _value(file[name])
            except (OSError, RuntimeError, KeyError, ValueError) as error:
                raise self._damaged(repr(name), error) from error

    def trial(self, name: str) -> Any:
        """Return one value for each completed trial: `name`, without the trial that the script's end cut off.

        Raises
        ------
        MissingDataError
            The file has no such value, or has fewer of them than trials.
        """
        values = self[name]
        try:
            found = values[: self.n_trials]
            enough = len(found) == self.n_trials
        except TypeError:
            enough = False
        if not enough:
            raise MissingDataError(
                f"{name!r} of the stimulus file {self.path} does not hold a value for each of its "
                f"{self.n_trials} trials."
            )
        return found

    @cached_property
    def n_trials(self) -> int:
        """The number of completed trials; 0 for a script without."""
        for name in _TRIAL_COUNTS:
            if name in self.names:
                with opened_hdf5(self.path) as file:
                    try:
                        return int(file[name].shape[0])
                    except (AttributeError, IndexError, KeyError):
                        continue
                    except (OSError, RuntimeError) as error:
                        raise self._damaged(repr(name), error) from error
        return 0

    @cached_property
    def frame_intervals(self) -> npt.NDArray[np.float64]:
        """The times from each flip to the next by the script's own clock, shape (n_frames - 1,), s."""
        return np.asarray(self["frameIntervals"], np.float64).reshape(-1)

    @property
    def n_frames(self) -> int:
        """The number of frames that were shown; 0 for a script that ended before it showed any."""
        if "frameIntervals" not in self:
            return 0
        return len(self.frame_intervals) + 1 if len(self.frame_intervals) else 0

    @property
    def duration(self) -> float:
        """From the first flip to the last, by the script's own clock, s."""
        return float(self.frame_intervals.sum()) if self.n_frames else 0.0

    @cached_property
    def start_time(self) -> datetime:
        """When the script was started, to the second, without a time zone.

        Raises
        ------
        CorruptObjectError
            Neither the file nor its name says so.
        """
        named = _NAME.match(self.stem)
        for text in (self.get("startTime"), named["start"] if named else None):
            try:
                return datetime.strptime(str(text), "%Y%m%d_%H%M%S")
            except ValueError:
                continue
        raise CorruptObjectError(
            f"The stimulus file {self.path} has no startTime of the form YYYYMMDD_HHMMSS, nor has its name."
        )

    @cached_property
    def subject(self) -> int:
        """The id of the subject.

        Raises
        ------
        CorruptObjectError
            Neither the file nor its name says so.
        """
        named = _NAME.match(self.stem)
        for text in (self.get("subjectName"), named["subject"] if named else None):
            if isinstance(text, (str, int)) and str(text).isdecimal():
                return int(text)
        raise CorruptObjectError(
            f"The stimulus file {self.path} does not name its subject, nor does its name."
        )

    @property
    def rig(self) -> str | None:
        """The rig, as the script calls it (``"NP3"``, ``"BEH.E"``); None where it does not say."""
        return self._text("rigName")

    @property
    def task_version(self) -> str | None:
        """The version of the task (``"stage 5 ori AMN moving"``); None where there is none."""
        return self._text("taskVersion")

    def _text(self, name: str) -> str | None:
        value: Any = self.get(name)
        return str(value) if isinstance(value, str) and value else None


def _value(item: h5py.Dataset | h5py.Group) -> Any:
    if isinstance(item, h5py.Group):
        return {str(name): _value(item[name]) for name in item}
    if h5py.check_string_dtype(item.dtype) is not None:
        text = item.asstr(errors="replace")[()]
        if item.shape == ():
            return _literal(str(text))
        return [_literal(t) for t in text] if text.ndim == 1 else text.tolist()
    value = item[()]
    if item.shape == ():
        return value.item() if isinstance(value, np.generic) else value
    # rows of several lengths
    return [np.asarray(row) for row in value] if value.dtype == object else value


def _literal(text: str) -> Any:
    """A list of lists was stored as the texts of its rows; other text is itself."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text
    return text
