"""Each fault does to the files what it says, and the truth knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from project_cache.testing.rig import FAULTS, SimulatedSession, simulate

SMALL: dict[str, Any] = {
    "blocks": 2,
    "trials_per_block": 8,
    "mapping_repeats": 1,
    "units_per_probe": 3,
    "probes": "A",
    "ephys_seconds": 0.05,
    "lfp_seconds": 0.2,
    "nidaq_seconds": 0.05,
    "video": False,
    "sorted": False,
}


def faulty(folder: Path, *faults: str, **options: Any) -> SimulatedSession:
    made = simulate(folder, faults=faults, **{**SMALL, **options})
    assert set(made.truth.faults) == set(faults)
    return made


def edges(session: SimulatedSession, line: int) -> tuple[np.ndarray, np.ndarray]:
    with h5py.File(next(session.path.glob("*T*.h5"))) as file:
        data = file["data"][:]
    ticks = data[:, 0].astype(np.int64)
    ticks += 2**32 * np.cumsum(np.diff(ticks, prepend=ticks[0]) < 0)
    change = np.diff(((data[:, 1] >> line) & 1).astype(int), prepend=(data[0, 1] >> line) & 1)
    return ticks[change == 1] / 1e5, ticks[change == -1] / 1e5


def opens(path: Path) -> bool:
    try:
        h5py.File(path).close()
    except OSError:
        return False
    return True


def test_faults_can_be_switched_on_together(tmp_path: Path) -> None:
    made = simulate(tmp_path, faults=tuple(FAULTS), **{**SMALL, "video": True, "sorted": True})
    no_sync = {"missing_diode_edges", "extra_short_flips", "black_first", "missing_vsync_frame"}
    assert set(FAULTS) - set(made.truth.faults) <= no_sync | {"negative_lick_durations"}


def test_dropped_frames_are_late_by_whole_refreshes(tmp_path: Path) -> None:
    truth = faulty(tmp_path, "dropped_frames").truth
    for stem in truth.stimuli:
        late = np.flatnonzero(np.diff(truth.display[stem]) > 0.025) + 1
        assert late.tolist() == truth.dropped[stem].tolist()
        assert (np.diff(late) > 1).all()
    assert sum(len(d) for d in truth.dropped.values()) > 10


def test_diode_faults_change_the_line_and_not_the_display(tmp_path: Path) -> None:
    plain = faulty(tmp_path / "plain")
    n = sum(map(len, edges(plain, 4)))
    lacking = faulty(tmp_path / "a", "missing_diode_edges")
    assert sum(map(len, edges(lacking, 4))) == n - 4
    extra = faulty(tmp_path / "b", "extra_short_flips")
    assert sum(map(len, edges(extra, 4))) == n + 6
    black = faulty(tmp_path / "c", "black_first")
    on, off = edges(black, 4)
    assert off[0] < on[0]
    for made in (lacking, extra, black):
        assert all(np.array_equal(made.truth.display[s], plain.truth.display[s]) for s in plain.truth.stimuli)


def test_swapped_cameras_expose_on_each_others_lines(tmp_path: Path) -> None:
    made = faulty(tmp_path, "swapped_cameras", video=True)
    assert made.truth.cameras["eye"].line == "face_cam_exposing"
    on, off = edges(made, 28)
    assert np.allclose((off - on)[:8], 0.002, atol=1e-9)  # the eye camera's fingerprint
    assert np.allclose(on, made.truth.cameras["eye"].times[1:], atol=1e-9)


def test_lost_frames_are_reported(tmp_path: Path) -> None:
    made = faulty(tmp_path, "lost_camera_frames", video=True)
    report = json.loads(next(made.path.glob("Eye_*.json")).read_text("utf-8"))["RecordingReport"]
    truth = made.truth.cameras["eye"]
    assert report["FramesLostCount"] == len(truth.lost) == 4
    assert report["LostFrames"] == [f"{truth.lost[0]}-{truth.lost[2]},{truth.lost[3]}"]
    on, _ = edges(made, 29)
    assert np.allclose(np.delete(on, truth.lost), truth.times[1:], atol=1e-9)
    assert np.isnan(made.truth.cameras["behavior"].times[-3:]).all()


def test_barcode_faults(tmp_path: Path) -> None:
    twice = faulty(tmp_path / "a", "duplicate_barcodes").truth
    assert len(np.unique(twice.barcode_values)) < len(twice.barcode_values)
    broken = faulty(tmp_path / "b", "broken_barcode")
    plain = simulate(tmp_path / "c", **SMALL)
    for name in plain.truth.streams:
        events = f"Record Node 102/experiment1/recording1/events/{name}/TTL/states.npy"
        assert len(np.load(broken.path / events)) == len(np.load(plain.path / events)) - 2
    assert len(edges(broken, 0)[0]) == len(edges(plain, 0)[0])


def test_recordings_begin_late_and_end_early(tmp_path: Path) -> None:
    late = faulty(tmp_path / "a", "late_ephys_start").truth
    stream = late.streams["Neuropix-PXI-100.ProbeA-AP"]
    assert stream.clock.start > late.vsync[late.stimuli[1]][0]
    early = faulty(tmp_path / "b", "truncated_recording").truth
    stream = early.streams["Neuropix-PXI-100.ProbeA-AP"]
    stop = stream.clock.times(stream.n_samples)
    assert stop < 0.7 * early.sync_seconds
    assert early.populations["A"].times.max() < stop


def test_a_continuous_file_ends_within_a_sample(tmp_path: Path) -> None:
    made = faulty(tmp_path, "truncated_continuous")
    stream = made.truth.streams["Neuropix-PXI-100.ProbeA-AP"]
    path = next(made.path.rglob("*ProbeA-AP/continuous.dat"))
    assert path.stat().st_size % (2 * 384) != 0
    assert stream.n_written == path.stat().st_size // (2 * 384) < 1500


def test_stimulus_files_are_spoilt(tmp_path: Path) -> None:
    for fault in ("truncated_stimulus", "unopenable_stimulus"):
        made = faulty(tmp_path / fault, fault)
        gone = made.truth.faults[fault]
        assert gone not in made.truth.usable
        assert not opens(made.path / f"{gone}.hdf5")
        assert all(opens(made.path / f"{stem}.hdf5") for stem in made.truth.usable)
    made = faulty(tmp_path / "c", "misnamed_stim")
    assert not (made.path / f"{made.truth.faults['misnamed_stim']}.hdf5").exists()
    assert len(list(made.path.glob("Spontaneous_366122_*.hdf5"))) == 1


def test_a_task_begun_twice_has_two_files(tmp_path: Path) -> None:
    made = faulty(tmp_path, "duplicate_task_file")
    files = sorted(made.path.glob("DynamicRouting1_*.hdf5"), key=lambda p: p.stat().st_size)
    assert len(files) == 2
    assert files[-1].stem == made.truth.task
    assert files[0].stem not in made.truth.usable


def test_the_counter_rolls_over_in_the_session(tmp_path: Path) -> None:
    made = faulty(tmp_path, "rollover")
    with h5py.File(next(made.path.glob("*T*.h5"))) as file:
        counter = file["data"][:, 0].astype(np.int64)
    assert (np.diff(counter) < 0).sum() == 1
    _, falls = edges(made, 2)
    assert np.allclose(falls, np.concatenate([made.truth.vsync[s] for s in made.truth.stimuli]), atol=1e-9)
    assert falls[0] < 2**32 / 1e5 < falls[-1]


def test_an_aborted_stimulus_is_a_pulse_with_one_frame(tmp_path: Path) -> None:
    made = faulty(tmp_path, "aborted_stimulus")
    begun, ended = edges(made, 5)
    _, vsync = edges(made, 2)
    counts = [int(((vsync > a) & (vsync < b)).sum()) for a, b in zip(begun, ended, strict=True)]
    assert sorted(counts)[0] == 1
    assert len(counts) == len(made.truth.stimuli) + 1


def test_one_vsync_is_missing(tmp_path: Path) -> None:
    made = faulty(tmp_path, "missing_vsync_frame")
    _, falls = edges(made, 2)
    assert len(falls) == sum(len(v) for v in made.truth.vsync.values()) - 1


def test_a_probe_was_not_sorted(tmp_path: Path) -> None:
    made = faulty(tmp_path, "failed_probe_sorting", sorted=True, probes="AB")
    assert made.sorted_path is not None
    assert not list(made.sorted_path.rglob("*ProbeB*"))
    assert list(made.sorted_path.rglob("*ProbeA*"))


def test_licking_when_sync_began_shifts_the_pairs(tmp_path: Path) -> None:
    made = faulty(tmp_path, "negative_lick_durations")
    on, off = edges(made, 31)
    assert len(off) == len(on) + 1
    assert (off[:-1] - on < 0).all()


def test_rewards_by_hand_are_stored_twice(tmp_path: Path) -> None:
    made = faulty(tmp_path, "manual_rewards", blocks=4)
    with h5py.File(made.path / f"{made.truth.task}.hdf5") as file:
        by_hand = file["manualRewardFrames"][:]
        assert len(by_hand) > 0
        assert set(by_hand) <= set(file["rewardFrames"][:])


@pytest.mark.slow
def test_two_hours_are_written_in_seconds(tmp_path: Path) -> None:
    import time

    begun = time.perf_counter()
    made = simulate(tmp_path, blocks=6, trials_per_block=190, ephys_seconds=0.05, lfp_seconds=0.1)
    assert time.perf_counter() - begun < 60  # 3 s on a quiet machine
    assert made.truth.sync_seconds > 7000
