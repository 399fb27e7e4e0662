"""Camera reports, real and made up, and the number that is drawn into frames."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError
from project_cache.raw.cameras import Camera, camera_label, frame_number, parse_lost_frames


def camera(folder: Path, name: str = "Eye_20231114T123339", **report: Any) -> Camera:
    path = folder / f"{name}.mp4"
    path.touch()
    path.with_suffix(".json").write_text(json.dumps({"RecordingReport": report}))
    return Camera(path)


def test_real_reports(shared: Path) -> None:
    expected = {"behavior": (1, 274282, [13, 14, 15]), "eye": (2, 274257, []), "face": (3, 274236, [])}
    for report in sorted((shared / "data/dynamic_routing/rig").glob("*.json")):
        each = Camera(report.with_suffix(".mp4"))
        assert (each.exposure_ms, each.frames_recorded, each.lost_frames.tolist()) == expected.pop(each.label)
        assert each.frames_in_file == each.frames_recorded + 1
        assert each.fps == pytest.approx(60.0024)
        assert each.start_time.date().isoformat() == "2024-02-12"
        assert each.start_time.tzinfo is None
        assert each.stop_time > each.start_time
        assert each.initial_frames == 10
        assert not each.is_imprinted
        assert each.imprint_box == (0, 0, 129, 3)
        ups, downs = each.lick_frames
        assert len(ups) - len(downs) in (0, 1)
        if each.label == "behavior":
            assert ups[:3].tolist() == [307, 418, 527]
            assert downs[:3].tolist() == [310, 421, 530]
        else:
            assert len(ups) == 0
    assert expected == {}


@pytest.mark.parametrize(
    ("text", "frames"),
    [("1-2,4-5,7", [1, 2, 4, 5, 7]), ("", []), ("13", [13]), (" 9, 3-4 ,4", [3, 4, 9]), ("5-4", [])],
)
def test_lost_frames(text: str, frames: list[int]) -> None:
    assert parse_lost_frames(text).tolist() == frames


def test_lost_frames_in_a_report(tmp_path: Path) -> None:
    assert camera(tmp_path, LostFrames=["1-2,4-5,7"]).lost_frames.tolist() == [1, 2, 4, 5, 7]
    assert camera(tmp_path, LostFrames=["7", "1-2"]).lost_frames.tolist() == [1, 2, 7]
    assert camera(tmp_path, LostFrames=[]).lost_frames.tolist() == []
    assert camera(tmp_path).lost_frames.tolist() == []
    for wrong in (["a-b"], ["1-999999999"], 7):
        with pytest.raises(CorruptObjectError, match="LostFrames"):
            _ = camera(tmp_path, LostFrames=wrong).lost_frames


def test_labels_of_files() -> None:
    assert camera_label("1332563048_717439_20240222.beh.mp4") == "behavior"
    assert camera_label("1332563048_717439_20240222.nose.mp4") == "nose"
    assert camera_label("NP3_Box_2_20230803T120430.avi") == "behavior"
    assert camera_label("Face_20230803T120430.mp4") == "face"
    with pytest.raises(MissingDataError, match="which camera"):
        Camera("movie.mp4")


def test_a_report_that_is_missing_or_makes_no_sense(tmp_path: Path) -> None:
    made = camera(tmp_path)
    for get in ("frames_recorded", "start_time", "fps"):
        with pytest.raises(MissingDataError, match=r"Eye.*\.json"):
            getattr(made, get)
    assert made.exposure_ms is None
    assert camera(tmp_path, TimeStart="2023-11-14T12:33:39Z").start_time == datetime(2023, 11, 14, 12, 33, 39)
    with pytest.raises(CorruptObjectError, match="FramesRecorded"):
        _ = camera(tmp_path, FramesRecorded="many").frames_recorded
    with pytest.raises(CorruptObjectError, match="CameraInput"):
        _ = camera(tmp_path, CameraInput=["1,x"]).lick_frames
    made.info_path.write_text("[]")  # type: ignore[union-attr]
    with pytest.raises(CorruptObjectError, match="RecordingReport"):
        _ = Camera(made.path).info
    made.info_path.unlink()  # type: ignore[union-attr]
    with pytest.raises(MissingObjectError, match=r"\.json"):
        _ = Camera(made.path).info


def imprint(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Draw a number as the video software does, blurred as a movie is."""
    row = np.zeros(129)
    for bit in range(20):
        left = bit // 4 * 27 + bit % 4 * 5 + 1
        row[left : left + 4] = 235.0 if number == 0 or number >> bit & 1 else 16.0
    row = np.convolve(row, [0.2, 0.6, 0.2], "same")
    return np.tile(row, (3, 1)).astype(np.uint8)


@pytest.mark.parametrize("number", [0, 1, 2, 5, 777, 84_586, 2**19 + 1])
def test_the_number_in_a_frame(number: int) -> None:
    assert frame_number(imprint(number)) == number
    assert frame_number(imprint(number)[1]) == number


def test_a_box_too_narrow_for_an_imprint() -> None:
    with pytest.raises(ValueError, match="imprint"):
        frame_number(np.zeros((3, 100)))
