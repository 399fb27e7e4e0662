"""EcephysSession on small recordings of which everything is known."""

from __future__ import annotations

import functools
import gc
import math
import multiprocessing
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.errors import (
    ConfigurationError,
    CorruptObjectError,
    MissingDataError,
    NWBError,
    UnknownObjectError,
    UnreadableObjectError,
)
from project_cache.sessions.ecephys import EcephysSession

Write = Callable[..., Path]
SPIKES = [np.linspace(0.1 * n, 9.0 + n, [40, 30, 20, 10, 0, 50][n]) for n in range(6)]
ALL: dict[str, Any] = {
    "filter_by_validity": False,
    "filter_out_of_brain_units": False,
    "amplitude_cutoff_maximum": None,
    "presence_ratio_minimum": None,
    "isi_violations_maximum": None,
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("index", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_every_layout_gives_the_same_spikes_and_waveforms(
    recording: Write, packed: bool, index: type
) -> None:
    session = EcephysSession(recording(packed=packed, index=index), filter_out_of_brain_units=False)
    assert list(session.spike_times) == [100, 103, 104, 105]
    for unit, spikes in session.spike_times.items():
        np.testing.assert_array_equal(spikes, SPIKES[unit - 100])
    assert len(session.spike_times[104]) == 0
    waveform = session.mean_waveforms[105]
    assert waveform.dims == ("channel_id", "time")
    # channel 23 is invalid: its row is left out
    assert waveform.channel_id.to_numpy().tolist() == [21, 22, 24]
    np.testing.assert_array_equal(waveform.to_numpy(), np.arange(100, 120).reshape(4, 5)[[0, 1, 3]])
    np.testing.assert_allclose(waveform.time, np.arange(5) / 30000)
    assert waveform.dtype == np.float32


def test_units_are_chosen_and_ordered(recording: Write) -> None:
    path = recording()
    # 101 is noise, the metric of 102 is not known, 103 and 104 are outside of the brain
    assert EcephysSession(path).units.index.tolist() == [100, 105]
    # bounds are inclusive
    assert EcephysSession(path, filter_out_of_brain_units=False).units.index.tolist() == [103, 100, 105, 104]
    # a metric that is not known is beyond any bound, even beyond none
    everything = EcephysSession(path, **ALL).units
    assert everything.index.tolist() == [101, 103, 100, 105, 104]
    assert everything["quality"].tolist().count("noise") == 1
    assert "valid_data" in everything
    zero = EcephysSession(
        path, filter_out_of_brain_units=False, amplitude_cutoff_maximum=0, isi_violations_maximum=0
    )
    assert zero.units.index.tolist() == [103, 100, 105, 104]
    strict = EcephysSession(path, filter_out_of_brain_units=False, presence_ratio_minimum=0.97)
    assert strict.units.index.tolist() == [103, 100]


def test_units_have_allensdk_columns_then_the_files_own(recording: Write) -> None:
    units = EcephysSession(recording()).units
    assert units.columns[0] == "waveform_PT_ratio"
    assert units["waveform_PT_ratio"].isna().all()
    assert units.columns[-1] == "waveform_halfwidth"
    assert units.index.name == "unit_id"
    assert units.dtypes["firing_rate"] == np.float64
    assert {str(units.dtypes[name]) for name in ("structure_acronym", "probe_description", "filtering")} == {
        "object"
    }
    assert units.loc[100, "structure_acronym"] == "LGd"


def test_channels_and_probes(recording: Write) -> None:
    session = EcephysSession(recording())
    channels = session.channels
    assert channels.index.tolist() == [11, 12, 13, 14, 21, 22, 24]
    assert channels.index.dtype == np.int64
    assert channels["structure_acronym"].tolist() == ["VISp", "VISp", "LGd", None, "CA1", "CA1", None]
    assert channels["anterior_posterior_ccf_coordinate"].tolist()[0] == -1000
    assert channels["probe_channel_number"].tolist() == [0, 1, 2, 3, 0, 1, 3]
    assert channels["probe_vertical_position"].dtype == np.int64
    assert session.probes.to_dict("list") == {
        "description": ["probeA", "probeB"],
        "location": ["See electrode locations"] * 2,
        "sampling_rate": [30000.0] * 2,
        "lfp_sampling_rate": [1250.0] * 2,
        "has_lfp_data": [True, False],
    }
    assert session.structure_acronyms == ["VISp", "LGd", None, "CA1"]
    assert session.structurewise_unit_counts.to_dict() == {"LGd": 1, "CA1": 1}


def _table(asked: list[int], ids: list[int]) -> pd.DataFrame:
    asked.append(1)
    return pd.DataFrame(
        {
            "ecephys_structure_id": np.arange(len(ids), dtype=float),
            "ecephys_structure_acronym": ["VISl"] * len(ids),
            "anterior_posterior_ccf_coordinate": np.arange(len(ids)),
        },
        index=pd.Index(ids, name="id"),
    )


def test_the_projects_own_channel_table_wins_and_is_read_late(recording: Write) -> None:
    asked: list[int] = []
    session = EcephysSession(
        recording(), channel_table=functools.partial(_table, asked, [24, 22, 21, 12, 11])
    )
    assert len(session.spike_times[105]) == 50
    # unit 100's channel is not in the table, so the unit is not listed; to know that takes the table
    assert not asked
    assert list(session.spike_times) == [105]
    assert asked == [1]
    assert session.channels.index.tolist() == [11, 12, 21, 22, 24]
    assert session.channels["anterior_posterior_ccf_coordinate"].tolist() == [4, 3, 2, 1, 0]
    assert session.channels["anterior_posterior_ccf_coordinate"].dtype == np.int64
    assert session.channels["ecephys_structure_acronym"].dtype == object
    assert session.channels.columns.tolist()[-3:] == [
        "ecephys_structure_id",
        "ecephys_structure_acronym",
        "anterior_posterior_ccf_coordinate",
    ]
    assert session.structure_acronyms == ["VISl"]
    assert list(session.mean_waveforms) == [105]
    assert asked == [1]


def test_errors_of_the_channel_table_are_its_own(recording: Write) -> None:
    def fails() -> pd.DataFrame:
        raise FileNotFoundError("channels.csv")

    with pytest.raises(FileNotFoundError, match=r"^channels.csv$"):
        _ = EcephysSession(recording(), channel_table=fails).units


def test_presentations(recording: Write) -> None:
    session = EcephysSession(recording())
    shown = session.stimulus_presentations
    assert shown.index.name == "stimulus_presentation_id"
    assert shown["start_time"].tolist() == [0, 2, 3, 4, 10, 11, 12]
    assert session.stimulus_names == ["spontaneous", "flashes", "natural_movie_three"]
    # nothing but 0 and 1 was stored: truth values, as AllenSDK has it
    assert shown["stimulus_block"].tolist() == ["null", False, False, False, True, True, True]
    assert shown["color"].tolist() == ["null", 1.0, -1.0, 1.0, "null", "null", "null"]
    assert shown["phase"].tolist() == ["null", "null", "[0.0, 0.0]", "null", "null", "null", "null"]
    assert shown["frame"].tolist() == ["null"] * 4 + [0.0, 1.0, 2.0]
    assert shown["stimulus_condition_id"].tolist() == [0, 1, 2, 1, 3, 4, 5]
    assert shown["duration"].tolist() == [1.5, 0.25, 0.25, 0.25, 1, 1, 1]
    assert "units" not in shown
    assert "stimulus_index" not in shown
    conditions = session.stimulus_conditions
    assert conditions.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert conditions["units"].tolist() == ["null"] * 3 + ["deg"] * 3
    assert set(shown.dtypes.astype(str)) <= {"object", "float64", "int64"}


def test_invalid_times_blank_what_they_touch(recording: Write) -> None:
    path = recording()
    times = {"start_time": [4.25, 10.5], "stop_time": [9.0, 10.6]}
    with h5py.File(path, "r+") as file:
        group = file.create_group("intervals/invalid_times")
        group.attrs.update({"neurodata_type": "TimeIntervals"})
        group.attrs["colnames"] = np.array(["start_time", "stop_time", "tags"], dtype=h5py.string_dtype())
        group["id"] = [0, 1]
        for name, values in times.items():
            group[name] = values
        tags = ["EcephysSession", "7", "stimulus", "EcephysProbe", "1", "probeA"]
        group.create_dataset("tags", data=np.array(tags, dtype=object), dtype=h5py.string_dtype())
        group["tags_index"] = np.array([3, 6], dtype=np.uint8)
        group["tags_index"].attrs["neurodata_type"] = "VectorIndex"
    session = EcephysSession(path)
    shown = session.stimulus_presentations
    # the third flash ends as the interval begins: ends are included
    assert shown["stimulus_name"].tolist().count("invalid_presentation") == 1
    row = shown.loc[3]
    assert (row["start_time"], row["stop_time"]) == (4.0, 4.25)
    assert math.isnan(row["duration"])
    assert math.isnan(row["color"])
    assert shown["stimulus_condition_id"].dtype == np.float64
    assert len(session.stimulus_conditions) == 6
    assert session.invalid_times["tags"].tolist() == [tags[:3], tags[3:]]
    with pytest.warns(UserWarning, match="invalid_times"):
        _ = session.spike_times


def test_no_invalid_times_is_an_empty_frame_and_no_warning(recording: Write) -> None:
    session = EcephysSession(recording())
    assert session.invalid_times.empty
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = session.spike_times


def test_facts(recording: Write) -> None:
    session = EcephysSession(recording())
    facts = session.metadata
    assert facts["session_start_time"].isoformat() == "2019-01-19T08:54:18-08:00"
    assert facts["ecephys_session_id"] == 7
    assert (facts["specimen_name"], facts["sex"], facts["full_genotype"], facts["age_in_days"]) == (
        "Ann",
        "F",
        "wt/wt",
        99.0,
    )
    assert facts["session_type"] == "functional_connectivity"
    assert facts["rig_equipment_name"] is None
    assert session.rig_geometry_data is None
    assert (
        facts["num_units"],
        facts["num_probes"],
        facts["num_channels"],
        facts["num_stimulus_presentations"],
    ) == (2, 2, 7, 7)
    assert session.running_speed["velocity"].tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(
        session.running_speed["end_time"] - session.running_speed["start_time"], 1 / 60
    )
    assert list(session.spike_amplitudes) == [100, 101, 102, 103, 104, 105]


def test_no_units_at_all(recording: Write) -> None:
    session = EcephysSession(recording(units=False))
    assert session.num_units == 0
    assert session.units.columns[0] == "waveform_PT_ratio"
    assert dict(session.spike_times) == {}
    assert dict(session.mean_waveforms) == {}
    assert session.structurewise_unit_counts.empty
    assert session.num_stimulus_presentations == 7


def test_what_is_missing_is_said_and_looks_missing(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        del file["processing/running"]
        del file["units/spike_amplitudes_index"]
        for name in list(file["intervals"]):
            del file["intervals"][name]
    session = EcephysSession(path)
    assert not hasattr(session, "running_speed")
    assert not hasattr(session, "stimulus_presentations")
    with pytest.raises(MissingDataError, match="spike_amplitudes"):
        _ = session.spike_amplitudes
    with pytest.raises(UnknownObjectError, match="999"):
        session.spike_times[999]
    assert session.spike_times.get(999) is None


def test_other_recordings_are_told_to_be_opened_as_sessions(recording: Write) -> None:
    path = recording()
    with h5py.File(path, "r+") as file:
        del file["general/extracellular_ephys/probeA"].attrs["probe_id"]
        file["identifier"][()] = "mouse 5"
    session = EcephysSession(path)
    with pytest.raises(MissingDataError, match="Session"):
        _ = session.probes
    with pytest.raises(MissingDataError, match="Session"):
        _ = session.ecephys_session_id


def test_attributes_are_kept_and_cannot_be_set(recording: Write) -> None:
    session = EcephysSession(recording())
    assert session.units is session.units
    assert session.stimulus_presentations is session.stimulus_presentations
    assert session.spike_times is session.spike_times
    assert session.spike_times[100] is session.spike_times[100]
    assert session.mean_waveforms[100] is session.mean_waveforms[100]
    for name in ("units", "spike_times", "stimulus_presentations", "metadata", "running_speed", "identifier"):
        with pytest.raises(AttributeError):
            setattr(session, name, None)


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_can_be_written_to_the_file_cannot(recording: Write, packed: bool) -> None:
    path = recording(packed=packed)
    before = path.read_bytes()
    session = EcephysSession(path)
    spikes = session.spike_times[100]
    assert type(spikes) is np.ndarray
    spikes += 1000
    assert session.spike_times[100][0] == 1000
    assert EcephysSession(path).spike_times[100][0] == 0
    session.mean_waveforms[105].to_numpy()[:] = 0
    assert path.read_bytes() == before


def test_arrays_outlive_the_session_and_its_file(recording: Write) -> None:
    path = recording()
    with EcephysSession(path) as session:
        times, running = session.spike_times, session.running_speed
        spikes = times[100]
    del session
    path.unlink()
    gc.collect()
    np.testing.assert_array_equal(spikes, SPIKES[0])
    assert len(running) == 6
    assert repr(times)


def test_close_twice_and_read_after(recording: Write) -> None:
    session = EcephysSession(recording())
    units = session.units
    session.close()
    session.close()
    assert session.units is units
    with pytest.raises(UnreadableObjectError, match="closed"):
        _ = session.running_speed


def test_repr_reads_nothing(recording: Write) -> None:
    path = recording()
    session = EcephysSession(path)
    times, waveforms = session.spike_times, session.mean_waveforms
    path.unlink()
    assert repr(session).startswith("<EcephysSession session_7.nwb>")
    assert "2 arrays" in repr(times)
    assert "2 units" in repr(waveforms)


def _reopened(path: Path, validity: bool) -> EcephysSession:
    return EcephysSession(path, filter_by_validity=validity)


def test_pickle(recording: Write) -> None:
    path = recording()
    session = EcephysSession(path, presence_ratio_minimum=0.97, filter_out_of_brain_units=False)
    times, waveforms = session.spike_times, session.mean_waveforms
    times[100][:] = -1
    again = pickle.loads(pickle.dumps(session))
    assert again.units.index.tolist() == [103, 100]
    for copy in (pickle.loads(pickle.dumps(times)), again.spike_times):
        np.testing.assert_array_equal(copy[100], SPIKES[0])
    assert pickle.loads(pickle.dumps(waveforms))[100].equals(waveforms[100])
    origin = (_reopened, (path, False))
    cached = EcephysSession(path, channel_table=lambda: pd.DataFrame(), origin=origin)
    assert pickle.loads(pickle.dumps(cached)).channels.index.tolist() == [11, 12, 13, 14, 21, 22, 23, 24]


def _in_child(session: EcephysSession, found: Any) -> None:
    found.put((len(session.units), float(session.spike_times[105].sum()), len(session.running_speed)))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("packed", [False, True])
def test_forked_children_read_while_the_parents_threads_do(recording: Write, packed: bool) -> None:
    session = EcephysSession(recording(packed=packed))
    _ = session.spike_times[100]
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            sum(len(each) for each in EcephysSession(session.path).spike_times.values())

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    children = [context.Process(target=_in_child, args=(session, found)) for _ in range(4)]
    try:
        for child in children:
            child.start()
        answers = {found.get(timeout=30) for _ in children}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for child in children:
            child.join(timeout=10)
    assert answers == {(2, float(SPIKES[5].sum()), 6)}
    assert [child.exitcode for child in children] == [0] * 4


def test_threads_share_one_session(recording: Write) -> None:
    session = EcephysSession(recording(packed=True))
    start = threading.Barrier(8)
    units, spikes, errors = [], [], []

    def read() -> None:
        try:
            start.wait()
            units.append(session.units)
            spikes.append(session.spike_times[105])
            assert len(session.stimulus_presentations) == 7
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len({id(each) for each in units}) == len({id(each) for each in spikes}) == 1


def test_others_may_write_to_the_file_while_a_session_is_open(recording: Write) -> None:
    session = EcephysSession(recording())
    _ = session.spike_times[100], session.units
    with h5py.File(session.path, "r+") as file:
        file["added"] = 1
        # … and the session goes on reading while this process has it open
        assert len(session.running_speed) == 6
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); f['more'] = 2; f.close()"
    subprocess.run([sys.executable, "-c", code, str(session.path)], check=True, timeout=60)
    with h5py.File(session.path, "r") as file:
        assert session.num_stimulus_presentations == 7
        assert sorted(set(file) & {"added", "more"}) == ["added", "more"]


def test_external_files_are_not_followed(recording: Write, tmp_path: Path) -> None:
    path = recording()
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["data"] = np.arange(6.0)
    raw = tmp_path / "secret.bin"
    raw.write_bytes(np.arange(150.0).tobytes())
    with h5py.File(path, "r+") as file:
        del file["processing/running/running_speed/data"]
        file["processing/running/running_speed/data"] = h5py.ExternalLink(str(other), "/data")
        del file["units/spike_times"]
        file["units"].create_dataset("spike_times", shape=(150,), dtype="f8", external=[(str(raw), 0, 1200)])
        layout = h5py.VirtualLayout(shape=(6,), dtype="f8")
        layout[:] = h5py.VirtualSource(str(other), "data", shape=(6,))
        del file["units/cluster_id"]
        file["units"].create_virtual_dataset("cluster_id", layout)
    session = EcephysSession(path)
    for name in ("running_speed", "spike_times", "units"):
        with pytest.raises(NWBError, match="[Oo]ther files are not followed"):
            getattr(session, name)


def test_a_damaged_index_is_refused(recording: Write) -> None:
    path = recording(index=np.uint64)
    with h5py.File(path, "r+") as file:
        file["units/spike_times_index"][2] = 2**63 + 5
    with pytest.raises(CorruptObjectError, match="spike_times_index"):
        _ = EcephysSession(path).spike_times


def test_from_nwb_path(recording: Write) -> None:
    path = recording()
    session = EcephysSession.from_nwb_path(str(path), api_kwargs={"filter_out_of_brain_units": False})
    assert session.num_units == 4
    assert session.metadata["structure_acronyms"] == ["VISp", "LGd", None, "CA1"]
    with pytest.raises(ConfigurationError, match="NWB 1"):
        EcephysSession.from_nwb_path(path, nwb_version=1)
    with pytest.raises(TypeError):
        EcephysSession.from_nwb_path(path, api_kwargs={"no_such_option": 1})


def test_one_units_spikes_take_neither_xarray_nor_pynwb(recording: Write) -> None:
    code = (
        "import sys\nfrom project_cache.sessions.ecephys import EcephysSession\n"
        "s = EcephysSession(sys.argv[1]); assert len(s.spike_times[100]) == 40; s.units; s.stimulus_presentations\n"
        "print(sorted({'xarray', 'pynwb', 'hdmf', 'matplotlib', 'boto3', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(recording())], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
