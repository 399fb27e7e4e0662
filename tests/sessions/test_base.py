"""Session: any NWB 2 file, ours or other people's."""

from __future__ import annotations

import contextlib
import importlib.metadata
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.errors import DependencyError, MissingDataError, NWBError
from project_cache.sessions.base import Session


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file written by pynwb, in a process of its own."""
    path = tmp_path_factory.mktemp("plain") / "plain.nwb"
    code = """
import sys
from datetime import datetime, timezone
import numpy as np
import pynwb
from ndx_events import Events
f = pynwb.NWBFile(session_description="a test", identifier="mouse-5", session_id="5",
                  session_start_time=datetime(2024, 2, 3, 4, 5, 6, tzinfo=timezone.utc))
f.subject = pynwb.file.Subject(subject_id="m5", species="Mus musculus", sex="F", age="P90D")
f.add_trial_column("correct", "whether it was")
f.add_trial(start_time=0.0, stop_time=1.0, correct=True)
f.add_trial(start_time=1.0, stop_time=2.0, correct=False)
f.add_unit_column("area", "where")
for n in range(3):
    f.add_unit(id=50 + n, spike_times=np.arange(n * 10) / 10, area="VISp")
f.add_acquisition(pynwb.TimeSeries(name="speed", data=np.arange(5.0), unit="cm/s", rate=10.0))
f.create_processing_module("behavior", "what it did").add(
    Events(name="licks", description="licks", timestamps=[0.1, 0.2]))
with pynwb.NWBHDF5IO(sys.argv[1], "w") as io:
    io.write(f)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], check=True, timeout=120)
    return path


def test_what_a_file_holds(plain: Path) -> None:
    session = Session(plain)
    assert session.identifier == "mouse-5"
    assert session.session_id == "5"
    assert session.session_description == "a test"
    assert session.session_start_time == datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert session.subject == {"subject_id": "m5", "species": "Mus musculus", "sex": "F", "age": "P90D"} | {
        key: value for key, value in session.subject.items() if key == "age__reference"
    }
    assert session.tables == ["/intervals/trials", "/units"]
    assert "/acquisition/speed" in session.keys()  # noqa: SIM118 - it is no mapping
    assert "/processing/behavior/licks" in session.keys()  # noqa: SIM118
    assert not any(path.startswith("/specifications") for path in session.keys())  # noqa: SIM118
    assert session.trials["correct"].tolist() == [True, False]
    assert session.table("trials").equals(session.table("/intervals/trials"))
    assert session.units["area"].tolist() == ["VISp"] * 3
    assert session.units.columns.tolist() == ["area"]
    assert session.spike_times[52].tolist() == (np.arange(20) / 10).tolist()
    assert list(session.spike_times) == [50, 51, 52]
    with pytest.raises(MissingDataError, match=r"epochs.*/intervals/trials, /units"):
        session.table("epochs")
    assert pickle.loads(pickle.dumps(session)).identifier == "mouse-5"


def test_pynwb_sees_the_same_file(plain: Path) -> None:
    with Session(plain) as session:
        nwb = session.nwb
        assert nwb.identifier == "mouse-5"
        assert session.nwb is nwb
        licks = nwb.processing["behavior"]["licks"]
        assert type(licks).__module__.startswith("ndx_events")
        assert licks.timestamps[:].tolist() == [0.1, 0.2]
        # nothing is locked meanwhile
        code = "import h5py, sys; h5py.File(sys.argv[1], 'r+', locking=True).close()"
        subprocess.run([sys.executable, "-c", code, str(plain)], check=True, timeout=60)
        assert session.units.shape == (3, 1)
    with h5py.File(plain, "r+"):
        pass


@pytest.mark.parametrize("found", ["0.3.0", "0.4.0", "1.0"])
def test_ndx_events_that_loses_events_is_refused_where_it_matters(
    plain: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: found)
    session = Session(plain)
    assert len(session.trials) == 2
    with pytest.raises(DependencyError, match=r"ndx-events .*drops the Events"):
        _ = session.nwb


def test_ndx_events_that_is_not_installed(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(DependencyError, match="pip install"):
        _ = Session(plain).nwb


def test_a_small_file_has_little(tmp_path: Path) -> None:
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.0b"
        file["session_start_time"] = "2020-01-02T03:04:05.678+01:00"
    session = Session(path)
    assert session.identifier == ""
    assert session.session_id is None
    assert session.subject == {}
    assert session.tables == []
    assert session.session_start_time == datetime(
        2020, 1, 2, 3, 4, 5, 678000, tzinfo=timezone(timedelta(hours=1))
    )
    for name in ("units", "trials", "spike_times"):
        assert not hasattr(session, name)
    with h5py.File(path, "r+") as file:
        file["session_start_time"][()] = "yesterday"
    with pytest.raises(MissingDataError, match="yesterday"):
        _ = Session(path).session_start_time
    with h5py.File(path, "r+") as file:
        file["session_start_time"][()] = "2020-01-02T03:04:05"
    assert Session(path).session_start_time.tzinfo is not None


def test_other_peoples_files_open(shared: Path) -> None:
    paths = sorted((shared / "data" / "nwb_corpus").glob("*.nwb"))
    if not paths:
        pytest.skip(f"{shared / 'data' / 'nwb_corpus'} is missing")
    for path in paths:
        session = Session(path)
        assert session.identifier
        assert session.session_start_time.tzinfo is not None
        assert isinstance(session.subject, dict)
        for table in session.tables:
            assert session.table(table) is not None
        if hasattr(session, "units"):
            assert sum(map(len, session.spike_times.values())) == 21354


def test_allensdk_files_open_in_pynwb_without_a_word(shared: Path) -> None:
    path = shared / "data" / "allen_session" / "session_715093703" / "session_715093703.nwb"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    with Session(path) as session:
        assert session.nwb.identifier == session.identifier == "715093703"
        assert session.nwb.subject.specimen_name == session.subject["specimen_name"]


def test_opening_reads_nothing_that_was_not_asked_for(recording: Callable[..., Path]) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        index = file["units/spike_times_index"]
        index[0] = 2**31
    session = Session(path)
    assert session.units.index.tolist() == [100, 101, 102, 103, 104, 105]
    assert session.table("/general/extracellular_ephys/electrodes").shape == (8, 11)


def test_pynwb_is_not_led_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (inside, outside):
        folder.mkdir()
        with h5py.File(folder / "more.h5", "w") as file:
            file["values"] = [1.0, 2.0]
    path = inside / "session.nwb"
    write_minimal(path)
    with contextlib.closing(Session(path)) as session:
        assert session.nwb.identifier == "1"
    with h5py.File(path, "r+") as file:
        file["acquisition/beside"] = h5py.ExternalLink("more.h5", "values")
    # pynwb may have its own thoughts on what is linked there; it is not kept from looking
    with contextlib.closing(Session(path)) as session, contextlib.suppress(NWBError):
        session.nwb  # noqa: B018
    with h5py.File(path, "r+") as file:
        file["acquisition/away"] = h5py.ExternalLink("../elsewhere/more.h5", "values")
    with pytest.raises(NWBError, match="acquisition/away is a link into another file"):
        Session(path).nwb  # noqa: B018


def write_minimal(path: Path) -> None:
    """Write an NWB file with nothing in it."""
    import pynwb

    nwb = pynwb.NWBFile("a session", "1", datetime(2024, 1, 1, tzinfo=UTC))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
