"""What a behaviour file says of the animal, the session and the task, whatever release wrote it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from project_cache.nwb.arrays import as_text, read
from project_cache.nwb.links import find_dataset, find_group

__all__ = ["read_behavior_metadata", "read_task_parameters"]


def _said(handle: h5py.File, path: str) -> dict[str, Any]:
    """Return the attributes and the data sets of a group by name; empty if there is no such group."""
    group = find_group(handle, path)
    if group is None:
        return {}
    said = dict(group.attrs)
    for name in group:
        node = find_dataset(group, name)
        if node is not None:
            said[name] = read(node)
    return said


def _listed(value: Any) -> list[Any] | None:
    """Return a list, of whatever was written; None for nothing (which some writers spell ``None``)."""
    if value is None or isinstance(value, h5py.Empty):
        return None
    values = np.atleast_1d(value).ravel().tolist()
    said = [as_text(each) if isinstance(each, (bytes, str)) else each for each in values]
    return None if said == ["None"] else said


def _text(value: Any) -> str | None:
    """Return text, or None where there is none."""
    text = as_text(value)
    return None if text == "None" else text


def _number(value: Any) -> float | None:
    listed = _listed(value)
    return None if not listed else float(listed[0])


def _whole(value: Any) -> int | None:
    listed = _listed(value)
    return None if not listed else int(listed[0])


def _numbers(value: Any) -> list[float] | None:
    """Return numbers, which the files hold as text."""
    listed = _listed(value)
    return None if listed is None else [float(each) for each in listed]


def _age_in_days(age: str | None) -> int | None:
    """Return the days of an ISO 8601 duration: 118 of ``P118D``.

    >>> _age_in_days("P118D"), _age_in_days("null"), _age_in_days(None)
    (118, None, None)
    """
    days = re.match(r"P\D*(\d+)", age or "")
    return None if days is None else int(days[1])


def _cre_line(genotype: str | None) -> str | None:
    """Return the driver of a genotype of several parts.

    >>> _cre_line("Sst-IRES-Cre/wt;Ai32(RCL-ChR2(H134R)_EYFP)/wt"), _cre_line("wt/wt")
    ('Sst-IRES-Cre', None)
    """
    if genotype is None or ";" not in genotype:
        return None
    return genotype.split(";")[0].replace("/wt", "")


def _uuid(text: str | None) -> uuid.UUID | None:
    return None if text is None else uuid.UUID(text)


def read_behavior_metadata(handle: h5py.File) -> dict[str, Any]:
    """Return what the file says of the animal and the session, under AllenSDK's names.

    What a file does not say is None, and what later releases say more of is left out: fields have come
    with time (``project_code``), and a file of another release is no worse for it.
    """
    said = _said(handle, "general/metadata")
    subject = _said(handle, "general/subject")
    lines = _listed(subject.get("driver_line"))
    genotype = _text(subject.get("genotype"))
    return {
        "equipment_name": _text(said.get("equipment_name")),
        "sex": _text(subject.get("sex")),
        "age_in_days": _age_in_days(_text(subject.get("age"))),
        "stimulus_frame_rate": _number(said.get("stimulus_frame_rate")),
        "session_type": _text(said.get("session_type")),
        "reporter_line": _text(subject.get("reporter_line")),
        "cre_line": _cre_line(genotype),
        "behavior_session_uuid": _uuid(_text(said.get("behavior_session_uuid"))),
        "driver_line": None if lines is None else sorted(lines),
        "mouse_id": _text(subject.get("subject_id")),
        "project_code": _text(said.get("project_code")),
        "full_genotype": genotype,
        "behavior_session_id": _whole(said.get("behavior_session_id")),
    }


#: each parameter of the task, and what to make of what the file says
_PARAMETERS: Mapping[str, Callable[[Any], Any]] = {
    "auto_reward_volume": _number,
    "blank_duration_sec": _numbers,
    "n_stimulus_frames": _whole,
    "omitted_flash_fraction": _number,
    "response_window_sec": _numbers,
    "reward_volume": _number,
    "session_type": _text,
    "stimulus": _text,
    "stimulus_distribution": _text,
    "stimulus_duration_sec": _number,
    "stimulus_name": _text,
    "task": _text,
}


def read_task_parameters(handle: h5py.File) -> dict[str, Any]:
    """Return the parameters of the task, under AllenSDK's names (volumes in mL, times in seconds).

    Empty where the file has none; None for one that it does not have.
    """
    said = _said(handle, "general/task_parameters")
    if not said:
        return {}
    known = {name: make(said.get(name)) for name, make in _PARAMETERS.items()}
    return dict(sorted({**known, "image_set": _image_set(known["session_type"])}.items()))


def _image_set(session_type: str | None) -> str | None:
    """Return the set of images that a type of session is named for.

    >>> [_image_set(name) for name in ("EPHYS_1_images_G_5uL_reward", "TRAINING_1_gratings", "pilot")]
    ['images_G', 'gratings', None]
    """
    kind, letter = [*(session_type or "").split("_")[2:4], "", ""][:2]
    if kind == "images" and letter:
        return f"images_{letter}"
    return "gratings" if kind == "gratings" else None
