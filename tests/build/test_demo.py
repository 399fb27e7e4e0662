"""The demo project: its objects are all there, fit together, mean something, and come out the same again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.build.demo import DemoSource
from project_cache.build.demo_project import SESSIONS, layout
from project_cache.errors import MissingObjectError
from project_cache.manifest.keys import Key
from project_cache.sources.base import Source
from project_cache.store.part import Part

SID = 900003


def made(folder: Path, key: Key) -> Path:
    """Return where an object of the demo project is, made by its source."""
    final = folder / str(key).replace("/", "_")
    if not final.exists():
        with Part(final) as part:
            filled = DemoSource().fill(key, part)
            assert filled.size == part.path.stat().st_size == part.position
            assert part.journal.origin == filled.origin == f"demo:{key}"
            part.path.rename(final)
            part.forget()
    return final


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def tables(folder: Path) -> Callable[..., pd.DataFrame]:
    def read(kind: str, *args: int | str) -> pd.DataFrame:
        return pd.read_csv(made(folder, Key(kind, args)), index_col=0)

    return read


@pytest.fixture(scope="module")
def nwb(folder: Path) -> Iterator[h5py.File]:
    with h5py.File(made(folder, Key("session_nwb", (SID,)))) as file:
        yield file


def texts(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[:]


def trains(nwb: h5py.File) -> dict[int, np.ndarray]:
    ends = nwb["units/spike_times_index"][:].astype(int)
    return dict(
        zip(nwb["units/id"][:].tolist(), np.split(nwb["units/spike_times"][:], ends[:-1]), strict=True)
    )


def mean_rate(train: np.ndarray, starts: np.ndarray, since: float, until: float) -> float:
    counts = np.searchsorted(train, starts + until) - np.searchsorted(train, starts + since)
    return float(counts.mean() / (until - since))


def test_it_is_a_local_source() -> None:
    source = DemoSource()
    assert isinstance(source, Source)
    assert not source.remote
    assert "demo" in source.name


def test_it_says_what_it_has(tmp_path: Path) -> None:
    source = DemoSource()
    for text in (
        *("sessions", "probes", "channels", "units"),
        *("session_nwb/900001", "session_analysis_metrics/900006", "probe_lfp_nwb/900003/9000032"),
        *(
            "typewise_analysis_metrics/brain_observatory_1.1",
            "typewise_analysis_metrics/functional_connectivity",
        ),
    ):
        assert source.has(Key.parse(text)), text
    for text in (
        *(
            "session_nwb/715093703",
            "session_nwb",
            "probe_lfp_nwb/900003/9000042",
            "probe_lfp_nwb/900006/9000061",
        ),
        *("natural_movie/1", "typewise_analysis_metrics/other", "sessions/900001"),
    ):
        assert not source.has(Key.parse(text)), text
    with Part(tmp_path / "x.nwb") as part, pytest.raises(MissingObjectError, match="715093703"):
        source.fill(Key("session_nwb", (715093703,)), part)
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_with_the_size(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with Part(tmp_path / "sessions.csv") as part:
        filled = DemoSource().fill(Key("sessions"), part, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (filled.size, filled.size)


def test_tables_join(tables: Callable[..., pd.DataFrame]) -> None:
    sessions, probes, channels, units = (tables(k) for k in ("sessions", "probes", "channels", "units"))
    for table in (sessions, probes, channels, units):
        assert table.index.name == "id"
        assert table.index.is_unique
    assert set(probes.ecephys_session_id) == set(sessions.index)
    assert set(channels.ecephys_probe_id) == set(probes.index)
    assert set(units.ecephys_channel_id) <= set(channels.index)
    assert set(sessions.session_type) == {"brain_observatory_1.1", "functional_connectivity"}
    assert sessions.genotype.value_counts()["wt/wt"] == 3
    assert sessions.genotype.nunique() == 4


def test_tables_have_the_columns_of_the_real_ones(tables: Callable[..., pd.DataFrame], shared: Path) -> None:
    for folder, kind in (
        ("real", "sessions"),
        ("real", "probes"),
        ("visual_areas", "channels"),
        ("visual_areas", "units"),
    ):
        real = pd.read_csv(shared / "data" / "visual_coding" / folder / f"{kind}.csv", index_col=0, nrows=5)
        assert set(real.columns) <= set(tables(kind).columns), kind


def test_questions_have_interesting_answers(tables: Callable[..., pd.DataFrame]) -> None:
    units = tables("units").join(tables("channels"), on="ecephys_channel_id")
    units = units.join(tables("probes")["ecephys_session_id"], on="ecephys_probe_id")
    good = units[
        (units.quality == "good")
        & (units.amplitude_cutoff <= 0.1)
        & (units.presence_ratio >= 0.95)
        & (units.isi_violations <= 0.5)
    ]
    assert 0.6 < len(good) / len(units) < 0.95
    count = good.groupby("ecephys_session_id").size()
    assert count.is_unique
    sessions = tables("sessions")
    chosen = sessions[
        (count.reindex(sessions.index) > 100)
        & (sessions.session_type == "brain_observatory_1.1")
        & (sessions.genotype == "wt/wt")
    ]
    assert chosen.index.tolist() == [SID]
    with_v1 = units[units.ecephys_structure_acronym == "VISp"].ecephys_session_id.nunique()
    assert with_v1 == 4
    assert units.ecephys_structure_acronym.isna().any()


def test_metrics_are_of_the_units(tables: Callable[..., pd.DataFrame]) -> None:
    metrics = tables("session_analysis_metrics", SID)
    assert metrics.index.name == "ecephys_unit_id"
    assert set(metrics.index) <= set(tables("units").index)
    whole = tables("typewise_analysis_metrics", "brain_observatory_1.1")
    pd.testing.assert_frame_equal(whole.loc[metrics.index], metrics)
    assert "pref_sf_sg" not in tables("typewise_analysis_metrics", "functional_connectivity")


def test_the_file_agrees_with_the_tables(nwb: h5py.File, tables: Callable[..., pd.DataFrame]) -> None:
    units = tables("units").loc[nwb["units/id"][:]]
    assert (units.ecephys_channel_id == nwb["units/peak_channel_id"][:]).all()
    for column, name in (("snr", "snr"), ("waveform_duration", "duration"), ("l_ratio", "l_ratio")):
        np.testing.assert_array_equal(nwb[f"units/{column}"][:], units[name])
    electrodes = nwb["general/extracellular_ephys/electrodes"]
    channels = tables("channels").loc[electrodes["id"][:]]
    assert (channels.ecephys_structure_acronym.fillna("") == texts(electrodes["location"])).all()
    assert (channels.ecephys_probe_id == electrodes["probe_id"][:]).all()
    lasts = nwb["processing/running/running_speed_end_times/timestamps"][-1]
    counted = pd.Series({u: len(t) for u, t in trains(nwb).items()})
    np.testing.assert_allclose(counted / units.firing_rate, lasts, rtol=1e-3)


def test_spikes_are_sorted_and_inside_the_session(nwb: h5py.File) -> None:
    for train in trains(nwb).values():
        assert (np.diff(train) >= 0).all()
        assert train[0] >= 0
    assert nwb["units/spike_amplitudes"].shape == nwb["units/spike_times"].shape


def test_units_prefer_the_direction_that_the_metrics_say(
    nwb: h5py.File, tables: Callable[..., pd.DataFrame]
) -> None:
    shown = nwb["intervals/drifting_gratings_presentations"]
    starts, direction = shown["start_time"][:], shown["orientation"][:]
    metrics = tables("session_analysis_metrics", SID)
    tuning = layout(SESSIONS[SID]).tuning
    chosen = tuning[(tuning.area == "VISp") & (tuning.visual > 0.5) & (tuning.directional > 0.4)].index
    assert len(chosen) > 5
    spikes = trains(nwb)
    preferred, null = [], []
    for unit in chosen:
        best = metrics.pref_ori_dg[unit]
        preferred.append(mean_rate(spikes[unit], starts[direction == best], 0.05, 1.0))
        null.append(mean_rate(spikes[unit], starts[direction == (best + 180) % 360], 0.05, 1.0))
    assert np.mean(preferred) > 1.5 * np.mean(null)
    assert np.mean(np.array(preferred) > np.array(null)) > 0.75


def test_visual_areas_answer_to_flashes_in_their_order(nwb: h5py.File) -> None:
    starts = nwb["intervals/flashes_presentations/start_time"][:]
    tuning = layout(SESSIONS[SID]).tuning
    spikes = trains(nwb)
    edges = np.arange(0.0, 0.2, 0.005)
    peaks = {}
    for area in ("LGd", "VISp", "VISal"):
        members = tuning[(tuning.area == area) & (tuning.visual > 0)].index
        rate = np.zeros(len(edges) - 1)
        before = 0.0
        for unit in members:
            rate += (
                np.diff(np.searchsorted(spikes[unit], starts[:, None] + edges), axis=1).mean(axis=0) / 0.005
            )
            before += mean_rate(spikes[unit], starts, -0.5, 0.0)
        assert rate.max() > 3 * before
        peaks[area] = edges[rate.argmax()]
    assert 0.03 <= peaks["LGd"] < peaks["VISp"] < peaks["VISal"] <= 0.1


def test_running_moves_some_units(nwb: h5py.File) -> None:
    start = nwb["processing/running/running_speed/timestamps"][:]
    speed = nwb["processing/running/running_speed/data"][:]
    assert speed.max() > 10
    seconds = np.arange(10.0, 570.0)
    slow = np.interp(seconds + 0.5, start, speed)
    related = 0
    for train in trains(nwb).values():
        count = np.diff(np.searchsorted(train, np.append(seconds, seconds[-1] + 1)))
        if count.any() and np.corrcoef(count, slow)[0, 1] > 0.3:
            related += 1
    assert related > 10


def test_waveforms_are_largest_on_the_peak_channel(nwb: h5py.File) -> None:
    n_units = len(nwb["units/id"])
    waveforms = nwb["units/waveform_mean"][:].reshape(n_units, -1, 82)
    electrodes = nwb["general/extracellular_ephys/electrodes"]
    probe = dict(zip(electrodes["id"][:].tolist(), electrodes["probe_id"][:].tolist(), strict=True))
    for row, channel in enumerate(nwb["units/peak_channel_id"][:].tolist()):
        here = electrodes["probe_id"][:] == probe[channel]
        on_probe = electrodes["id"][:][here]
        # readers take a waveform's rows to be the channels by their number
        assert (electrodes["probe_channel_number"][:][here] == np.arange(waveforms.shape[1])).all()
        assert on_probe[np.ptp(waveforms[row], axis=1).argmax()] == channel
    assert 10 < np.abs(waveforms).max() < 2000  # µV


def test_it_says_that_it_is_synthetic(nwb: h5py.File) -> None:
    assert "synthetic" in nwb["session_description"].asstr()[()].lower()
    assert "synthetic" in nwb["general/institution"].asstr()[()].lower()


def test_columns_can_be_mapped_into_memory(nwb: h5py.File) -> None:
    for name in ("spike_times", "spike_amplitudes", "waveform_mean"):
        dataset = nwb[f"units/{name}"]
        assert dataset.chunks is None
        assert dataset.compression is None
        assert dataset.id.get_offset() is not None


def test_field_potential_shows_the_flash(folder: Path, nwb: h5py.File) -> None:
    with h5py.File(made(folder, Key("probe_lfp_nwb", (SID, 9000032)))) as file:
        series = file["acquisition/probe_9000032_lfp/probe_9000032_lfp_data"]
        data, times = series["data"][:], series["timestamps"][:]
        assert file["identifier"].asstr()[()] == "9000032"
        assert data.shape == (len(times), len(file["general/extracellular_ephys/electrodes/id"]))
        np.testing.assert_allclose(np.diff(times), 1 / 1250, rtol=1e-6)
        csd = file["processing/current_source_density/ecephys_csd/current_source_density/data"][:]
    starts = nwb["intervals/flashes_presentations/start_time"][:12]
    first = np.searchsorted(times, starts)
    evoked = np.mean([data[f : f + 200] - data[f : f + 25].mean(axis=0) for f in first], axis=0)
    when, where = np.unravel_index(evoked.argmin(), evoked.shape)
    assert 0.04 < when / 1250 < 0.12
    assert where > data.shape[1] // 2  # cortex is at the top
    assert csd.min() < 0


def test_sessions_are_small(folder: Path) -> None:
    assert made(folder, Key("session_nwb", (SID,))).stat().st_size < 20e6


def test_mice_with_a_driver_line_are_given_light(folder: Path, nwb: h5py.File) -> None:
    assert "optotagging" not in nwb["processing"]
    with h5py.File(made(folder, Key("session_nwb", (900002,)))) as file:
        light = file["processing/optotagging/optogenetic_stimulation/start_time"][:]
        assert file["processing/eye_tracking/pupil_ellipse_fits/width"].shape[0] > 10_000
        tuning = layout(SESSIONS[900002]).tuning
        spikes = trains(file)
    present = layout(SESSIONS[900002]).units.presence_ratio > 0.95
    tagged = tuning.index[tuning.light & present]
    assert len(tagged) > 1
    for unit in tagged:
        assert mean_rate(spikes[unit], light, 0.0, 0.015) > 2 * mean_rate(spikes[unit], light, -0.2, 0.0)


def test_the_same_bytes_in_another_process(folder: Path, tmp_path: Path) -> None:
    again = (
        "import sys; from pathlib import Path; from project_cache.build.demo import DemoSource\n"
        "from project_cache.store.part import Part; from project_cache.manifest.keys import Key\n"
        "for text in sys.argv[2:]:\n"
        "    part = Part(Path(sys.argv[1]) / text.replace('/', '_'))\n"
        "    DemoSource().fill(Key.parse(text), part); part.path.rename(part.final)\n"
    )
    names = ["units", "session_nwb/900003", "probe_lfp_nwb/900003/9000032"]
    subprocess.run([sys.executable, "-W", "error", "-c", again, str(tmp_path), *names], check=True)
    for name in names:
        first = made(folder, Key.parse(name))
        assert first.read_bytes() == (tmp_path / first.name).read_bytes(), name
