"""Features that other tools worked out: where they are found, how they are read, when they are refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.build.features import (
    ellipses_path,
    keypoints,
    motion_svd_path,
    read_ellipses,
    read_keypoints,
    read_motion_svd,
)
from project_cache.errors import ComponentUnavailable, CorruptObjectError, MissingObjectError
from project_cache.raw.recording import RawRecording

N_FRAMES = 20


class Clock:
    def camera(self, label: str) -> np.ndarray:
        return np.concatenate([[np.nan], np.arange(N_FRAMES - 1) / 60])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "DRpilot_712345_20231114"
    (folder / "features").mkdir(parents=True)
    return folder


def write_points(
    path: Path, parts: tuple[str, ...] = ("jaw", "tongue_tip"), n_frames: int = N_FRAMES
) -> np.ndarray:
    """Write points with the three rows of names that DeepLabCut and Lightning Pose have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).uniform(0, 100, (n_frames, 3 * len(parts)))
    rows = [
        ["scorer", *["heatmap_tracker"] * 3 * len(parts)],
        ["bodyparts", *[part for part in parts for _ in range(3)]],
        ["coords", *["x", "y", "likelihood"] * len(parts)],
        *[[str(number), *map(repr, row.tolist())] for number, row in enumerate(values)],
    ]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return values


def test_points_of_lightning_pose_become_a_table_for_each_camera(folder: Path) -> None:
    values = write_points(folder / "features" / "lightning_pose" / "Behavior_20231114T123339.csv")
    write_points(folder / "features" / "lightning_pose" / "Face_20231114T123339.csv", ("nostril_r",))
    errors = folder / "features" / "lightning_pose" / "Behavior_20231114T123339_pca_singleview_error.csv"
    errors.write_text(",jaw,tongue_tip\n" + "".join(f"{n},{n}.5,{n}.25\n" for n in range(N_FRAMES)))
    norms = folder / "features" / "lightning_pose" / "Behavior_20231114T123339_temporal_norm.csv"
    norms.write_text(",jaw,tongue_tip\n" + "".join(f"{n},{n}.125,\n" for n in range(N_FRAMES)))
    tables = keypoints(RawRecording(folder), Clock())
    assert sorted(tables) == ["lp_front_camera", "lp_side_camera"]
    side = tables["lp_side_camera"].to_dataframe()
    # the first frame holds no picture, and has no time
    assert side["frame_index"].tolist() == list(range(1, N_FRAMES))
    assert side["timestamps"].iloc[0] == 0
    np.testing.assert_array_equal(side["tongue_tip_x"], values[1:, 3])
    np.testing.assert_array_equal(side["jaw_likelihood"], values[1:, 2])
    assert side["jaw_pca_error"].iloc[0] == 1.5
    assert side["jaw_temporal_norm"].iloc[0] == 1.125
    assert "pixels" in tables["lp_side_camera"]["jaw_x"].description


def test_points_of_deeplabcut_are_taken_of_the_eye_only(folder: Path) -> None:
    write_points(folder / "features" / "Eye_20231114T123339DLC_resnet50.csv")
    write_points(folder / "features" / "Face_20231114T123339DLC_resnet50.csv")
    assert list(keypoints(RawRecording(folder), Clock())) == ["dlc_eye_camera"]


def test_points_of_another_video_are_refused_and_the_reason_is_given(folder: Path) -> None:
    write_points(folder / "features" / "lightning_pose" / "Face_x.csv", n_frames=7)
    with pytest.raises(
        ComponentUnavailable, match=r"Face_x.csv has 7 rows, and the face camera's video 20 frames"
    ):
        keypoints(RawRecording(folder), Clock())


def test_without_files_there_are_no_points(folder: Path) -> None:
    with pytest.raises(ComponentUnavailable, match="no files of points"):
        keypoints(RawRecording(folder), Clock())
    assert ellipses_path(RawRecording(folder)) is None
    assert motion_svd_path(RawRecording(folder), "face") is None


def test_features_in_folders_beside_the_session_are_its_own_only(folder: Path) -> None:
    mine = folder.parent / f"{folder.name}_facemap" / "Face_motSVD.zarr"
    mine.mkdir(parents=True)
    (folder.parent / "DRpilot_712345_20231115_facemap" / "Behavior_motSVD.zarr").mkdir(parents=True)
    raw = RawRecording(folder)
    assert motion_svd_path(raw, "face") == mine
    assert motion_svd_path(raw, "behavior") is None


@pytest.mark.parametrize("content", [b"", b"scorer,a\nbodyparts", b"a,b\nx,y\n", b"\xff\xfe\x00\x01"])
def test_damaged_tables_of_points_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lp_side.csv"
    path.write_bytes(content)
    with pytest.raises(CorruptObjectError, match="lp_side.csv"):
        read_keypoints(path)


def test_ellipses_may_be_data_sets_by_name(tmp_path: Path) -> None:
    path = tmp_path / "ellipses.h5"
    with h5py.File(path, "w") as file:
        for name in ("center_x", "center_y", "width", "height", "phi"):
            file[f"pupil/{name}"] = np.arange(3.0)
    assert read_ellipses(path).columns.tolist() == [
        "pupil_center_x", "pupil_center_y", "pupil_width", "pupil_height", "pupil_phi",
    ]  # fmt: skip


def test_damaged_ellipses_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ellipses.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(CorruptObjectError, match="ellipses.h5"):
        read_ellipses(path)
    with pytest.raises(MissingObjectError):
        read_ellipses(tmp_path / "absent.h5")
    for content in (
        {"cr/width": np.arange(3.0)},
        {"pupil": np.arange(3.0)},
        {"pupil/center_x": np.arange(3.0)},
    ):
        with h5py.File(path, "w") as file:
            for name, values in content.items():
                file[name] = values
        with pytest.raises(CorruptObjectError, match="ellipses.h5"):
            read_ellipses(path)


def test_parts_of_different_lengths_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ellipses.h5"
    with h5py.File(path, "w") as file:
        for part, length in (("pupil", 3), ("eye", 4)):
            for name in ("center_x", "center_y", "width", "height", "phi"):
                file[f"{part}/{name}"] = np.arange(float(length))
    with pytest.raises(CorruptObjectError, match="as many frames"):
        read_ellipses(path)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_motion_svd_is_an_array_or_in_a_group(tmp_path: Path, grouped: bool) -> None:
    import zarr

    path = tmp_path / "face_motSVD.zarr"
    values = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    if grouped:
        group = zarr.create_group(path)
        group.create_array("motSVD", data=values)
        group.create_array("avgmotion", data=np.zeros((4, 4), dtype=np.float32))
        group.create_group("about")
    else:
        zarr.create_array(path, data=values)
    np.testing.assert_array_equal(read_motion_svd(path, 30), values)


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "face_motSVD.zarr"
    path.mkdir()
    about = {
        "zarr_format": 2,
        "shape": [30, 5],
        "chunks": [30, 5],
        "dtype": "|O",
        "order": "C",
        "fill_value": None,
    }
    about |= {"compressor": None, "filters": [{"id": "pickle", "protocol": 5}]}
    (path / ".zarray").write_text(json.dumps(about))
    with pytest.raises(CorruptObjectError, match="face_motSVD.zarr"):
        read_motion_svd(path, 30)


def test_a_store_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "face_motSVD.zarr"
    path.mkdir()
    with pytest.raises(CorruptObjectError, match="face_motSVD.zarr"):
        read_motion_svd(path, 30)
