"""The eye of a made-up session: pupils of known size and place, from the video and from files of ellipses."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from project_cache.analysis.ellipse import Ellipse
from project_cache.build.eye_tracking import ellipses_of_video, eye_ellipses, eye_tracking, gaze, pupil
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

HEIGHT, WIDTH, FRAMES = 192, 256, 90
BLINK = slice(40, 46)


class Clock:
    """Frames at 60 a second from 10 s on; the first, which holds no picture, has no time."""

    def __init__(self, n_frames: int = FRAMES) -> None:
        self.n_frames = n_frames

    def camera(self, label: str) -> np.ndarray:
        times = 10 + np.arange(self.n_frames) / 60
        times[0] = np.nan
        return times


def known(number: int) -> Ellipse:
    """The pupil in a frame: it grows, and moves to the right."""
    return Ellipse(120 + number / 4, 96 - number / 10, 20 + number / 10, 18 + number / 10, 0.2)


def picture(number: int) -> np.ndarray:
    y, x = (each.astype(float) for each in np.mgrid[:HEIGHT, :WIDTH])

    def inside(ellipse: Ellipse) -> np.ndarray:
        return np.clip(0.5 - ellipse.distances(x, y), 0, 1)

    if number == 0:
        return np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    grey = 150 - 50 * inside(Ellipse(128, 96, 85, 60, 0))
    if not BLINK.start <= number < BLINK.stop:
        grey += (25 - grey) * inside(known(number))
        grey += (255 - grey) * inside(Ellipse(124, 90, 4, 4, 0))
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    av = pytest.importorskip("av", reason="PyAV (the extra 'video') is not installed")
    folder = tmp_path_factory.mktemp("rig") / "DRpilot_712345_20231114"
    folder.mkdir()
    path = folder / "Eye_20231114T123339.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=60)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(FRAMES):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture(number), format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    path.with_suffix(".json").write_text(json.dumps({"RecordingReport": {"FramesRecorded": FRAMES - 1}}))
    return path


@pytest.fixture(scope="module")
def ellipses(video: Path) -> pd.DataFrame:
    return eye_ellipses(RawRecording(video.parent), Clock())


def test_sizes_and_places_are_those_that_were_drawn(ellipses: pd.DataFrame) -> None:
    assert ellipses["frame_index"].tolist() == list(range(1, FRAMES))
    assert ellipses["timestamps"].iloc[0] == pytest.approx(10 + 1 / 60)
    shown = ellipses[~ellipses["frame_index"].between(BLINK.start, BLINK.stop - 1)]
    truth = [known(number) for number in shown["frame_index"]]
    np.testing.assert_allclose(shown["pupil_area"], [each.area for each in truth], rtol=0.05)
    np.testing.assert_allclose(shown["pupil_center_x"], [each.center_x for each in truth], atol=1)
    np.testing.assert_allclose(shown["pupil_center_y"], [each.center_y for each in truth], atol=1)
    np.testing.assert_allclose(shown["cr_center_x"], 124, atol=1)


def test_blinks_are_told_and_not_made_up(ellipses: pd.DataFrame) -> None:
    blinks = ellipses.loc[ellipses["likely_blink"], "frame_index"].tolist()
    # two frames on either side are in doubt
    assert blinks == list(range(BLINK.start - 2, BLINK.stop + 2))
    assert ellipses.loc[ellipses["frame_index"].between(40, 45), "pupil_area"].isna().all()


def test_series_have_no_values_in_blinks_and_gaze_is_against_the_reflection(ellipses: pd.DataFrame) -> None:
    sizes = pupil(ellipses)
    diameter = sizes["pupil_diameter"]
    open_eye = ~ellipses["likely_blink"].to_numpy()
    assert np.isnan(diameter.data[~open_eye]).all()
    expected = np.array([2 * known(number).width for number in ellipses["frame_index"]])
    np.testing.assert_allclose(diameter.data[open_eye], expected[open_eye], rtol=0.05)
    looking = gaze(ellipses)["gaze"]
    assert "corneal reflection" in looking.reference_frame
    truth = np.array([(known(n).center_x - 124, 90 - known(n).center_y) for n in ellipses["frame_index"]])
    np.testing.assert_allclose(looking.data[open_eye], truth[open_eye], atol=1.5)


def test_without_a_reflection_gaze_is_against_the_median(ellipses: pd.DataFrame) -> None:
    without = ellipses.drop(columns=[column for column in ellipses if column.startswith("cr_")])
    without.attrs = ellipses.attrs
    looking = gaze(without)["gaze"]
    assert "median" in looking.reference_frame
    assert np.nanmedian(looking.data, axis=0) == pytest.approx([0, 0], abs=1)


def test_a_video_of_another_length_is_refused(video: Path) -> None:
    with pytest.raises(ComponentUnavailable, match="90 frames, and the eye camera recorded 80"):
        eye_ellipses(RawRecording(video.parent), Clock(80))


def test_an_eye_that_is_never_open_has_no_pupil(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV (the extra 'video') is not installed")
    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    with av.open(str(folder / "Eye_20231114T123339.mp4"), "w") as container:
        stream = container.add_stream("mjpeg", rate=60)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        for _ in range(5):
            for packet in stream.encode(
                av.VideoFrame.from_ndarray(np.full((16, 16), 90, np.uint8), format="gray")
            ):
                container.mux(packet)
    (folder / "Eye_20231114T123339.json").write_text(json.dumps({"RecordingReport": {"FramesRecorded": 4}}))
    with pytest.raises(ComponentUnavailable, match="No pupil"):
        eye_ellipses(RawRecording(folder), Clock(5))


def write_ellipses(path: Path, n_frames: int) -> pd.DataFrame:
    """Write ellipses as pandas stores frames: names of columns, and blocks of values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    names = ["center_x", "center_y", "height", "phi", "width"]
    written = {}
    with h5py.File(path, "w") as file:
        for part in ("cr", "eye", "pupil"):
            values = rng.uniform(20, 25, (n_frames, 5))
            group = file.create_group(part)
            group["axis0"] = group["block0_items"] = np.array([name.encode() for name in names])
            group["axis1"] = np.arange(n_frames)
            group["block0_values"] = values
            written[part] = pd.DataFrame(values, columns=names)
    return pd.concat(written, axis=1)


def session(tmp_path: Path) -> Path:
    """Make a session of which there is the name of an eye's video, and features beside it."""
    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    (folder / "Eye_20231114T123339.mp4").write_bytes(b"")
    return folder


@pytest.mark.parametrize("place", ["features", "../DRpilot_712345_20231114_dlc-eye"])
def test_ellipses_of_an_earlier_fit_are_preferred(tmp_path: Path, place: str) -> None:
    folder = session(tmp_path)
    written = write_ellipses(folder / place / "Eye_ellipses.h5", 50)
    found = eye_ellipses(RawRecording(folder), Clock(50))
    assert len(found) == 49
    for part in ("cr", "eye", "pupil"):
        np.testing.assert_array_equal(found[f"{part}_width"], written[part]["width"][1:])
    np.testing.assert_allclose(found["pupil_area"], np.pi * found["pupil_width"] * found["pupil_height"])
    assert "Eye_ellipses.h5" in found.attrs["source"]


def test_ellipses_of_another_video_are_refused(tmp_path: Path) -> None:
    folder = session(tmp_path)
    write_ellipses(folder / "features" / "Eye_ellipses.h5", 50)
    with pytest.raises(
        ComponentUnavailable, match=r"Eye_ellipses.h5 has 50 frames, and the eye camera recorded 51"
    ):
        eye_ellipses(RawRecording(folder), Clock(51))


def test_a_session_without_a_camera_has_no_eye(tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    with pytest.raises(ComponentUnavailable, match="no video of the eye camera"):
        eye_ellipses(RawRecording(folder), Clock())


def test_what_is_written_is_valid_and_reads_back(ellipses: pd.DataFrame, tmp_path: Path) -> None:
    import pynwb
    from nwbinspector import Importance, inspect_nwbfile

    nwb = pynwb.NWBFile("eyes", "1", datetime.datetime(2023, 11, 14, tzinfo=datetime.UTC), session_id="1")
    nwb.subject = pynwb.file.Subject(subject_id="712345", species="Mus musculus", sex="M", age="P90D")
    module = nwb.create_processing_module("behavior", "processed behavior data")
    for made in (eye_tracking(ellipses), pupil(ellipses), gaze(ellipses)):
        module.add(made)
    path = tmp_path / "eyes.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    assert pynwb.validate(path=str(path)) == []
    with pynwb.NWBHDF5IO(path, "r") as io:
        table: Any = io.read().processing["behavior"]["eye_tracking"].to_dataframe()
    pd.testing.assert_frame_equal(table, ellipses, check_names=False, check_index_type=False)
    found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
    assert [message.message for message in found] == []


def test_the_same_video_gives_the_same_ellipses(video: Path) -> None:
    pd.testing.assert_frame_equal(ellipses_of_video(video), ellipses_of_video(video))


def test_the_pupil_of_a_simulated_session_is_that_of_its_truth(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV (the extra 'video') is not installed")
    from project_cache.build.clock import SessionClock
    from project_cache.build.options import Options
    from project_cache.testing.rig import simulate

    session = simulate(tmp_path, blocks=1, trials_per_block=2, mapping_repeats=1, ephys=False)
    raw = RawRecording(session.path)
    found = eye_ellipses(raw, SessionClock(raw, Options()))
    camera = session.truth.cameras["eye"]
    assert camera.pupil is not None
    truth = camera.pupil.iloc[found["frame_index"]].reset_index(drop=True)
    assert found["pupil_area"].notna().all()
    np.testing.assert_allclose(found["pupil_area"], np.pi * truth["radius"] ** 2, rtol=0.05)
    np.testing.assert_allclose(found["pupil_center_x"], truth["x"], atol=1)
    np.testing.assert_allclose(found["pupil_center_y"], truth["y"], atol=1)
    np.testing.assert_allclose(found["timestamps"], camera.times[found["frame_index"]], atol=1e-4)
