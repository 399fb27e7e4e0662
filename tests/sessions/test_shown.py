"""What a session says of itself, and that it reads nothing to say it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from project_cache.sessions.base import Session
from project_cache.sessions.ecephys import EcephysSession

Write = Callable[..., Path]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that h5py was asked to open, from now on."""
    asked: list[Any] = []
    open_file = h5py.File.__init__

    def counted(self: h5py.File, name: Any, *args: Any, **kwargs: Any) -> None:
        asked.append(name)
        open_file(self, name, *args, **kwargs)

    monkeypatch.setattr(h5py.File, "__init__", counted)
    return asked


def test_showing_a_session_opens_no_file(recording: Write, opened: list[Any]) -> None:
    path = recording()
    session = EcephysSession(path)
    del opened[:]
    for _ in range(2):
        text, html = repr(session), session._repr_html_()
        names = session.list_data_attributes_and_methods()
        assert opened == []
        assert session._values == {}
    assert text.splitlines()[0] == "<EcephysSession session_7.nwb>"
    assert str(path) in text
    assert "in memory" not in text
    assert "<b>session_7.nwb</b>" in html
    assert {"units", "mean_waveforms", "spike_times"} <= set(names)
    _ = session.units, session.spike_times, session.mean_waveforms
    del opened[:]
    path.unlink()
    assert "in memory" in repr(session)
    assert "in memory" in session._repr_html_()
    assert opened == []


def test_what_is_in_memory_is_said(recording: Write) -> None:
    session = EcephysSession(recording())
    units, presentations = session.units, session.stimulus_presentations
    _ = session.spike_times, session.subject, session.session_start_time, session.rig_geometry_data
    text = " ".join(repr(session).split())
    assert f"units ({len(units)} rows × {units.shape[1]} columns)" in text
    assert f"stimulus_presentations ({len(presentations)} rows × {presentations.shape[1]} columns)" in text
    assert "stimulus_conditions (" in text
    assert f"spike_times ({len(units)} entries)" in text
    assert "rig_geometry_data (none in this recording)" in text
    assert "began 2019-01-19 08:54:18-08:00" in text
    assert "animal Ann, wt/wt, F" in text
    held, rest = text.split(" on request ")
    asked, calls = rest.split(" calls ")
    assert "running_speed" in asked
    assert "units (" not in asked
    assert "_" not in {word[0] for word in held.split("in memory ")[1].split(" ")}
    assert "to_pynapple" in calls
    assert "from_nwb_path" not in calls


def test_a_closed_session_says_so(recording: Write) -> None:
    with Session(recording()) as session:
        assert "closed:" not in repr(session)
        _ = session.identifier
    assert "state       closed: what was read stays" in repr(session)
    assert "identifier  7" in repr(session)
    assert "closed: what was read stays" in session._repr_html_()


def test_what_a_file_says_cannot_write_html(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        file["session_description"][()] = "<img src=x onerror=alert(1)>"
    session = Session(path)
    assert "<img" in session.session_description
    html = session._repr_html_()
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_long_values_are_cut(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        file["session_description"][()] = "word " * 2000
    session = Session(path)
    _ = session.session_description
    assert len(repr(session)) < 2000
    assert len(session._repr_html_()) < 8000


def test_names_of_data(recording: Write) -> None:
    session = EcephysSession(recording())
    names = session.list_data_attributes_and_methods()
    assert names == sorted(names)
    assert all(not name.startswith("_") and hasattr(EcephysSession, name) for name in names)
    assert not {"close", "path", "from_nwb_path", "list_data_attributes_and_methods"} & set(names)
    assert {"units", "spike_times", "stimulus_presentations", "running_speed", "to_pynapple", "table"} <= set(
        names
    )
    assert set(Session(session.path).list_data_attributes_and_methods()) < set(names)
