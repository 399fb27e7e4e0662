"""Frames of videos: all of them, a sample of them, and what is said of files that are none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from project_cache.build.video import frames, sample, times_of
from project_cache.errors import (
    ComponentUnavailable,
    CorruptObjectError,
    MissingDataError,
    MissingObjectError,
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Sixty frames, each a little brighter than the one before."""
    av = pytest.importorskip("av", reason="PyAV (the extra 'video') is not installed")
    path = tmp_path / "Eye_20231114T123339.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=60)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 6
        for number in range(60):
            picture = np.full((48, 64), 20 + 3 * number, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_frames_come_one_by_one_as_grey_levels(video: Path) -> None:
    found = list(frames(video))
    assert len(found) == 60
    assert found[0].shape == (48, 64)
    assert found[0].dtype == np.uint8
    np.testing.assert_allclose([frame.mean() for frame in found], 20 + 3 * np.arange(60), atol=4)


def test_a_sample_is_of_the_whole_video(video: Path) -> None:
    found = [frame.mean() for frame in sample(video, 4)]
    assert len(found) == 4
    assert found[0] < 60
    assert found[-1] > 130
    assert 10 <= len(sample(video, 100)) < 60


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV (the extra 'video') is not installed")
    path = tmp_path / "Eye_20231114T123339.mp4"
    path.write_bytes(b"not a video" * 100)
    with pytest.raises(CorruptObjectError, match="Eye_20231114T123339.mp4"):
        list(frames(path))
    with pytest.raises(MissingObjectError, match="absent"):
        list(frames(tmp_path / "absent.mp4"))


def test_a_truncated_video_is_damaged(video: Path) -> None:
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptObjectError, match="Copy it again"):
        list(frames(video))


def test_without_pyav_it_is_said_how_to_get_it(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ComponentUnavailable, match=r"pip install 'project-cache\[video\]'"):
        list(frames(video))


def test_frames_whose_times_are_not_known_make_a_component_unavailable() -> None:
    class NoSync:
        def camera(self, label: str) -> np.ndarray:
            raise MissingDataError("There is no sync file.")

    with pytest.raises(ComponentUnavailable, match=r"eye.*There is no sync file"):
        times_of(NoSync(), "eye")
