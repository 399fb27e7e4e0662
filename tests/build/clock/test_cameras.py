"""Frame times: runs of a camera, lost frames, swapped plugs, and movies without sync."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from project_cache.build.clock.cameras import camera_lines, camera_times, camera_times_from_licks, exposures
from project_cache.errors import MissingDataError
from project_cache.raw.cameras import Camera
from project_cache.raw.sync import SyncFile

START = datetime(2023, 11, 14, 12, 33, 31, 324839)
FPS = 60.0024


def camera(folder: Path, label: str = "Eye", at: float = 8.0, frames: int = 1000, **more: Any) -> Camera:
    path = folder / f"{label}_20231114T123339.mp4"
    path.touch()
    began = (START + timedelta(seconds=at)).replace(microsecond=0)
    report = {"FramesRecorded": frames, "FPS": FPS, "TimeStart": f"{began.isoformat()}Z", **more}
    path.with_suffix(".json").write_text(json.dumps({"RecordingReport": report}))
    return Camera(path)


def run(start: float, n: int, seed: int = 0) -> NDArray[np.float64]:
    jitter = np.random.default_rng(seed).normal(0, 1e-5, n)
    times: NDArray[np.float64] = start + np.arange(n) / FPS + jitter
    return times


def test_each_frame_has_its_exposure(tmp_path: Path) -> None:
    times = run(8.1, 1000)
    found = camera_times(camera(tmp_path), times, START)
    assert len(found) == 1001
    # the first frame shows metadata
    assert np.isnan(found[0])
    assert np.array_equal(found[1:], times)


def test_lost_frames_have_exposures_but_no_frame(tmp_path: Path) -> None:
    times = run(8.1, 1000)
    found = camera_times(camera(tmp_path, frames=996, LostFrames=["10-12,500"]), times, START)
    assert np.array_equal(found[1:], np.delete(times, [10, 11, 12, 500]))


def test_movies_longer_or_shorter_than_their_exposures(tmp_path: Path) -> None:
    times = run(8.1, 1000)
    longer = camera_times(camera(tmp_path, frames=1003), times, START)
    assert len(longer) == 1004
    assert np.isnan(longer[-3:]).all()
    assert longer[-4] == times[-1]
    shorter = camera_times(camera(tmp_path, frames=990), times, START)
    assert np.array_equal(shorter[1:], times[:990])


def test_of_several_runs_the_one_that_the_report_is_of(tmp_path: Path) -> None:
    first, second, third = run(100.0, 500), run(3700.2, 1000), run(3790.0, 200)
    found = camera_times(camera(tmp_path, at=3700.0), np.concatenate([first, second, third]), START)
    assert np.array_equal(found[1:], second)
    # a single exposure that was missed is no pause
    assert len(exposures(np.delete(second, 300), 3700)) == 999


def test_runs_that_fit_no_report_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"Eye.*started at 60"):
        camera_times(camera(tmp_path, at=60.9), run(8.1, 1000), START)
    with pytest.raises(MissingDataError, match="before sync"):
        camera_times(camera(tmp_path, at=-5.0), run(0.01, 1000), START)
    with pytest.raises(MissingDataError, match="no exposures"):
        camera_times(camera(tmp_path), [], START)


def test_swapped_plugs_are_told_by_the_first_exposures(tmp_path: Path) -> None:
    exposure = {"Behavior": 1, "Eye": 2, "Face": 3}
    lines = {"Behavior": "beh_cam_exposing", "Eye": "face_cam_exposing", "Face": "eye_cam_exposing"}
    cameras, rising, falling = [], {}, {}
    for n, (label, ms) in enumerate(exposure.items()):
        cameras.append(camera(tmp_path, label, CustomInitialExposureTime=ms))
        # before, all cameras were tried, with all the same exposure
        rising[lines[label]] = np.concatenate([run(2.0, 60, n), run(8.1 + n / 10, 1000, n)])
        widths = np.full(1060, 0.012)
        widths[60:70] = ms / 1000
        falling[lines[label]] = rising[lines[label]] + widths
    found = camera_lines(cameras, rising, falling, START)
    assert found == {label.lower(): line for label, line in lines.items()}


def test_without_a_fingerprint_each_camera_has_its_own_line(tmp_path: Path) -> None:
    rising = {name: run(8.1, 100) for name in ("eye_cam_exposing", "face_cam_exposing")}
    falling = {name: each + 0.012 for name, each in rising.items()}
    cameras = [
        camera(tmp_path, "Eye"),
        camera(tmp_path, "Face", CustomInitialExposureTime=3),
        camera(tmp_path, "Nose"),
    ]
    found = camera_lines(cameras, rising, falling, START)
    assert found == {"eye": "eye_cam_exposing", "face": "face_cam_exposing"}
    same = [camera(tmp_path, label, CustomInitialExposureTime=12) for label in ("Face", "Eye")]
    assert camera_lines(same, rising, falling, START) == found
    # one line that was never plugged in
    rising["face_cam_exposing"] = np.empty(0)
    assert camera_lines(cameras, rising, falling, START) == {"eye": "eye_cam_exposing"}


def lick_bouts(n_bouts: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    bouts = [
        b + np.cumsum(rng.normal(0.13, 0.02, rng.integers(2, 10))) for b in rng.uniform(5, 3600, n_bouts)
    ]
    return np.sort(np.concatenate(bouts))


@pytest.mark.parametrize(("drift", "offset"), [(6e-5, 12.3), (-1e-4, -40.0), (4e-4, 300.0)])
def test_movies_without_sync_are_aligned_by_licks(drift: float, offset: float) -> None:
    rng = np.random.default_rng(3)
    licks = lick_bouts(150, 1)
    rate = FPS * (1 + drift)
    frames = np.ceil((licks + offset) * rate).astype(int)
    # each misses some
    frames = frames[(rng.random(len(licks)) > 0.05) & (frames > 0)]
    task = (np.ceil(licks * 60) / 60)[rng.random(len(licks)) > 0.05]
    found = camera_times_from_licks(frames, task, FPS, 200_000)
    assert np.isnan(found[0])
    true = np.arange(200_000) / rate - offset
    assert np.nanmax(np.abs(found - true)) < 0.002


def test_frames_that_were_dropped_unseen_are_followed_from_lick_to_lick() -> None:
    licks = lick_bouts(300, 2)
    frames = np.round(licks * FPS).astype(int)
    late = licks > 1800
    frames[late] -= 3
    found = camera_times_from_licks(frames, licks, FPS, 200_000)
    true = np.arange(200_000) / FPS
    true[frames[late][0] :] += 3 / FPS
    between = slice(frames[0], frames[-1])
    assert np.nanmedian(np.abs(found - true)[between]) < 0.009


def test_licks_of_another_session_are_refused() -> None:
    with pytest.raises(MissingDataError, match="licks"):
        camera_times_from_licks((lick_bouts(50, 1) * FPS).astype(int), lick_bouts(50, 9), FPS, 1000)
    with pytest.raises(MissingDataError, match="only 2 licks"):
        camera_times_from_licks([100, 200], [3.0, 5.0, 8.0], FPS, 1000)


def test_the_simulated_session_agrees_with_its_truth(shared: Path) -> None:
    folder = shared / "data/dynamic_routing/raw_session"
    raw = folder / "DRpilot_712345_20231114"
    truth = np.load(folder / "truth/times.npz")
    sync = SyncFile(raw / "20231114T123331.h5")
    cameras = [Camera(path) for path in sorted(raw.glob("*.mp4"))]
    names = [label for label in sync.line_labels if label.endswith("cam_exposing")]
    rising = {name: sync.rising(name) for name in names}
    falling = {name: sync.falling(name) for name in names}
    lines = camera_lines(cameras, rising, falling, sync.start_time)
    assert lines == {
        "behavior": "beh_cam_exposing",
        "eye": "face_cam_exposing",
        "face": "eye_cam_exposing",
    }
    for each in cameras:
        found = camera_times(each, rising[lines[each.label]], sync.start_time)
        expected = truth[f"camera/{each.label.title()}"]
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        assert np.nanmax(np.abs(found - expected)) <= 1e-5
