"""Motion of face and body: from videos in which it is known what moves, and from facemap's files."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pytest

from project_cache.build.face_motion import face_motion
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

FRAMES, HEIGHT, WIDTH = 120, 48, 64
MOVES = np.arange(FRAMES) % 20 >= 10


class Clock:
    def __init__(self, n_frames: int = FRAMES) -> None:
        self.n_frames = n_frames

    def camera(self, label: str) -> np.ndarray:
        return np.concatenate([[np.nan], 5 + np.arange(self.n_frames - 1) / 60])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face whose whiskers (a bar on the right) move in every second sixth of a second."""
    av = pytest.importorskip("av", reason="PyAV (the extra 'video') is not installed")
    folder = tmp_path_factory.mktemp("rig") / "DRpilot_712345_20231114"
    folder.mkdir()
    with av.open(str(folder / "Face_20231114T123339.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=60)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 8_000_000
        place = 10
        for number in range(FRAMES):
            place = 10 + (place - 10 + 5) % 25 if MOVES[number] else place
            grey = np.full((HEIGHT, WIDTH), 90, dtype=np.uint8)
            grey[place : place + 5, 40:60] = 220
            if number == 0:
                grey[:] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    report = {"RecordingReport": {"FramesRecorded": FRAMES - 1}}
    (folder / "Face_20231114T123339.json").write_text(json.dumps(report))
    return folder


def test_energy_and_components_tell_when_and_where_it_moves(session: Path) -> None:
    made = face_motion(RawRecording(session), Clock())
    assert list(made) == [
        "motion_energy_front_camera",
        "facemap_front_camera",
        "facemap_front_camera_components",
    ]
    energy = made["motion_energy_front_camera"]
    # the frame that holds no picture, and the first that is one
    assert len(energy.data) == FRAMES - 2
    moved = MOVES[2:]
    assert energy.data[moved].min() > 5 * energy.data[~moved].max()
    series = made["facemap_front_camera"]
    assert series.data.shape[0] == FRAMES - 2
    assert series.timestamps is energy.timestamps or series.timestamps is energy
    masks = np.asarray(made["facemap_front_camera_components"]["mask"].data)
    assert masks.shape[1:] == (HEIGHT, WIDTH)
    where = np.abs(masks[0])
    assert where[:, 40:60].sum() > 20 * where[:, :30].sum()
    assert (np.diff(made["facemap_front_camera_components"]["singular_value"].data) <= 0).all()


def test_a_video_of_another_length_is_refused(session: Path) -> None:
    for number in (100, 140):
        with pytest.raises(ComponentUnavailable, match=f"120 frames, and the camera recorded {number}"):
            face_motion(RawRecording(session), Clock(number))


def test_facemaps_own_output_is_preferred(tmp_path: Path) -> None:
    import zarr

    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    (folder / "Behavior_20231114T123339.mp4").write_bytes(b"")
    (folder / "Behavior_20231114T123339.json").write_text("{}")
    values = np.random.default_rng(0).normal(size=(30, 500)).astype(np.float32)
    zarr.create_array(folder / "features" / "facemap" / "Behavior_motSVD.zarr", data=values)
    made = face_motion(RawRecording(folder), Clock(30))
    assert list(made) == ["facemap_side_camera"]
    np.testing.assert_array_equal(made["facemap_side_camera"].data, values[1:])
    with pytest.raises(ComponentUnavailable, match="30 frames, and the camera recorded 31"):
        face_motion(RawRecording(folder), Clock(31))


def test_without_a_video_there_is_no_motion(tmp_path: Path) -> None:
    folder = tmp_path / "DRpilot_712345_20231114"
    folder.mkdir()
    with pytest.raises(ComponentUnavailable, match="no video of face or body"):
        face_motion(RawRecording(folder), Clock())


def test_what_is_written_is_valid(session: Path, tmp_path: Path) -> None:
    import pynwb
    from nwbinspector import Importance, inspect_nwbfile

    nwb = pynwb.NWBFile("faces", "1", datetime.datetime(2023, 11, 14, tzinfo=datetime.UTC), session_id="1")
    nwb.subject = pynwb.file.Subject(subject_id="712345", species="Mus musculus", sex="M", age="P90D")
    module = nwb.create_processing_module("behavior", "processed behavior data")
    for made in face_motion(RawRecording(session), Clock()).values():
        module.add(made)
    path = tmp_path / "faces.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    assert pynwb.validate(path=str(path)) == []
    found = list(inspect_nwbfile(nwbfile_path=path, importance_threshold=Importance.CRITICAL))
    assert [message.message for message in found] == []
