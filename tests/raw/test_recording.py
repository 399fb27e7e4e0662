"""A raw recording: which files it has, told on a folder with what rigs and people leave in it."""

from __future__ import annotations

import datetime
import json
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.errors import ConfigurationError, CorruptObjectError, MissingObjectError
from project_cache.raw.recording import RawRecording

START = datetime.datetime(2023, 8, 31, 12, 0, 0, 500_000)


def write_sync(path: Path, seconds: float = 3600.0) -> None:
    meta = {
        "ni_daq": {"device": "Dev1", "counter_output_freq": 100_000.0, "counter_bits": 32, "event_bits": 32},
        "start_time": START.isoformat(),
        "stop_time": (START + datetime.timedelta(seconds=seconds)).isoformat(),
        "line_labels": [""] * 32,
        "total_samples": int(seconds * 100_000),
    }
    with h5py.File(path, "w") as file:
        file["data"] = np.array([[0, 0], [10, 1], [20, 0]], dtype=np.uint32)
        file["meta"] = repr(meta)


def write_stimulus(folder: Path, script: str, time: str, frames: int = 600, subject: int = 668755) -> Path:
    path = folder / f"{script}_{subject}_20230831_{time}.hdf5"
    with h5py.File(path, "w") as file:
        file["frameIntervals"] = np.full(frames - 1, 1 / 60)
        file["startTime"] = f"20230831_{time}"
        file["subjectName"] = str(subject)
    return path


def make_node(parent: Path, name: str = "Record Node 102") -> Path:
    recording = parent / name / "experiment1" / "recording1"
    recording.mkdir(parents=True)
    (recording / "structure.oebin").write_text("{}")
    (parent / name / "settings.xml").write_text("<SETTINGS/>")
    return parent / name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rig's flat folder, whole and in order."""
    root = tmp_path / "raw" / "DRpilot_668755_20230831"
    root.mkdir(parents=True)
    write_sync(root / "20230831T120000.h5")
    write_stimulus(root, "RFMapping", "120100")
    write_stimulus(root, "DynamicRouting1", "121000", frames=6000)
    write_stimulus(root, "OptoTagging", "124000")
    for camera in ("Behavior", "Eye", "Face"):
        (root / f"{camera}_20230831T120010.mp4").write_bytes(b"video")
        (root / f"{camera}_20230831T120010.json").write_text("{}")
    make_node(root)
    (root / "20230831T120000_motor-locs.csv").write_text(
        "2023/08/31 11:37:28.815, SN46121, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0\n"
    )
    (root / "insertions.json").write_text(
        json.dumps({"shield": {"name": "2002"}, "probes": {"A": "A1", "B": None}, "experiment_day": 2})
    )
    (root / "debug.log").write_text("User('some.one')\nUser('jane.example')\n")
    (root / "subject.json").write_text('{"subject_id": "668755"}')
    return root


def stems(recording: RawRecording) -> list[str]:
    return [path.stem.split("_")[0] for path in recording.stim_paths]


def test_a_whole_folder(folder: Path) -> None:
    recording = RawRecording(folder)
    assert recording.id == "668755_2023-08-31"
    assert recording.layout == "local"
    assert recording.sync_path == folder / "20230831T120000.h5"
    assert stems(recording) == ["RFMapping", "DynamicRouting1", "OptoTagging"]
    assert recording.task_path == recording.stim_paths[1]
    assert recording.task is recording.stimuli[1]
    assert recording.task.n_frames == 6000
    assert [path.name for path in recording.video_paths] == [
        f"{camera}_20230831T120010.mp4" for camera in ("Behavior", "Eye", "Face")
    ]
    assert [path.suffix for path in recording.video_info_paths] == [".json"] * 3
    assert len(recording.cameras) == 3
    assert recording.record_nodes == (folder / "Record Node 102",)
    assert recording.recording_dirs == (folder / "Record Node 102" / "experiment1" / "recording1",)
    assert recording.settings_xml_paths == (folder / "Record Node 102" / "settings.xml",)
    assert recording.manipulators is not None
    assert recording.manipulators["device_name"].tolist() == ["SN46121"]
    assert recording.insertions is not None
    assert recording.insertions.holes == {"A": "A1", "B": None}
    assert recording.experimenter == "Jane Example"
    assert recording.subject == {"subject_id": "668755"}
    assert recording.procedures is None
    assert (recording.is_sync, recording.is_ephys, recording.is_task, recording.is_video) == (True,) * 4
    assert (recording.is_sorted, recording.is_annotated, recording.surface_root_path) == (False, False, None)
    assert recording.tables == {}


def test_a_file_stands_for_its_folder(folder: Path) -> None:
    assert RawRecording(str(folder / "debug.log")).root == folder


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match="nothing"):
        RawRecording(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        RawRecording(tmp_path / "nothing")


def test_a_folder_with_a_task_file_only(tmp_path: Path) -> None:
    folder = tmp_path / "from a stick"
    folder.mkdir()
    task = write_stimulus(folder, "DynamicRouting1", "121000")
    write_stimulus(folder, "RFMapping", "120100")
    recording = RawRecording(folder)
    assert recording.id == "668755_2023-08-31"
    # without sync other stimuli have no clock in common with it
    assert recording.stim_paths == (task,)
    assert recording.sync is None
    assert recording.cameras == ()
    assert recording.ephys is recording.sorted is recording.manipulators is recording.insertions is None
    assert recording.annotation == {}
    assert not recording.is_sync
    assert "clock" in next(iter(recording.stimuli_left_out.values()))


def test_a_folder_that_tells_no_session(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which session"):
        _ = RawRecording(tmp_path).id
    assert RawRecording(tmp_path, session_id="668755_2023-08-31_1").id.idx == 1


def test_stimuli_that_did_not_run_with_sync_are_left_out(folder: Path) -> None:
    write_stimulus(folder, "Spontaneous", "115900")
    write_stimulus(folder, "LuminanceTest", "125955", frames=60 * 60)
    # begun in the second in which sync began
    write_stimulus(folder, "SpontaneousRewards", "120000")
    # another mouse's, another day's
    write_stimulus(folder, "RFMapping", "121000", subject=668756)
    shutil.copy(folder / "debug.log", folder / "RFMapping_668755_20230901_121000.hdf5")
    recording = RawRecording(folder)
    assert stems(recording) == ["SpontaneousRewards", "RFMapping", "DynamicRouting1", "OptoTagging"]
    why = {stem.split("_")[0] + stem.split("_")[1]: text for stem, text in recording.stimuli_left_out.items()}
    assert "before" in why["Spontaneous668755"]
    assert "after" in why["LuminanceTest668755"]
    assert "name" in why["RFMapping668756"]


def test_a_stimulus_file_that_does_not_open(folder: Path) -> None:
    (folder / "RFMapping_668755_20230831_120100.hdf5").write_bytes(b"cut off")
    recording = RawRecording(folder)
    assert [stimulus.script for stimulus in recording.stimuli] == ["DynamicRouting1", "OptoTagging"]
    error = recording.stimulus_errors["RFMapping_668755_20230831_120100"]
    assert isinstance(error, CorruptObjectError)
    assert "RFMapping_668755_20230831_120100.hdf5" in str(error)
    assert stems(recording) == ["RFMapping", "DynamicRouting1", "OptoTagging"]


def test_a_stimulus_file_whose_frames_are_damaged(folder: Path) -> None:
    path = folder / "RFMapping_668755_20230831_120100.hdf5"
    with h5py.File(path, "a") as file:
        del file["frameIntervals"]
        file.create_dataset(
            "frameIntervals", data=np.random.default_rng(0).random(50_000), compression="gzip"
        )
        where = file["frameIntervals"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(where)
        raw.write(bytes(1000))
    recording = RawRecording(folder)
    assert [stimulus.script for stimulus in recording.stimuli] == ["DynamicRouting1", "OptoTagging"]
    assert list(recording.stimulus_errors) == [path.stem]


def test_a_folder_of_many_days(tmp_path: Path) -> None:
    folder = tmp_path / "668755"
    folder.mkdir()
    task = write_stimulus(folder, "DynamicRouting1", "121000")
    other = folder / "DynamicRouting1_668755_20230830_121000.hdf5"
    shutil.copy(task, other)
    for path in (task, other):
        assert RawRecording(path).stim_paths == (path,)


def test_stimuli_can_be_excluded(folder: Path) -> None:
    recording = RawRecording(folder, excluded_stim_file_names=["RFMapping_668755_20230831_120100"])
    assert stems(recording) == ["DynamicRouting1", "OptoTagging"]
    assert stems(RawRecording(folder, excluded_stim_file_names="OptoTagging")) == [
        "RFMapping",
        "DynamicRouting1",
    ]


def test_the_largest_of_several_files_is_used(folder: Path) -> None:
    write_sync(folder / "20230831T115900.h5")
    (folder / "20230831T130000.h5").write_bytes(b"")
    write_stimulus(folder, "DynamicRouting1", "120300", frames=100)
    with h5py.File(folder / "20230831T120000.h5", "a") as file:
        file["more"] = np.zeros(10_000)
    recording = RawRecording(folder)
    with pytest.warns(UserWarning, match="3 sync files; the largest, 20230831T120000.h5"):
        assert recording.sync_path == folder / "20230831T120000.h5"
    with pytest.warns(UserWarning, match="2 task files"):
        assert recording.task_path == folder / "DynamicRouting1_668755_20230831_121000.hdf5"
    assert stems(recording) == ["RFMapping", "DynamicRouting1", "OptoTagging"]


def test_sync_files_are_known_by_name(folder: Path) -> None:
    (folder / "20230831T120000.h5").rename(folder / "other.h5")
    assert not RawRecording(folder).is_sync
    (folder / "other.h5").rename(folder / "20230830T120000.h5")
    assert not RawRecording(folder).is_sync
    (folder / "20230830T120000.h5").rename(folder / "668755.sync")
    assert stems(RawRecording(folder)) == ["RFMapping", "DynamicRouting1", "OptoTagging"]


def test_a_damaged_sync_file_is_named(folder: Path) -> None:
    (folder / "20230831T120000.h5").write_bytes(b"nothing of the sort")
    recording = RawRecording(folder)
    assert recording.is_sync
    with pytest.raises(CorruptObjectError, match=r"20230831T120000\.h5"):
        _ = recording.stim_paths


def test_videos(folder: Path) -> None:
    (folder / "Face_20230831T120010.json").unlink()
    (folder / "1332563048_668755_20230831.nose.avi").write_bytes(b"video")
    (folder / "1332563048_668755_20230831.nose.json").write_text("{}")
    (folder / "screen.mp4").write_bytes(b"not a camera's")
    (folder / "Eye_20230831T115000.mp4").write_bytes(b"v")
    recording = RawRecording(folder)
    with pytest.warns(UserWarning, match="2 eye video files"):
        assert len(recording.video_paths) == 4
    assert sorted(camera.label for camera in recording.cameras) == ["behavior", "eye", "nose"]


def test_record_nodes_one_level_down(folder: Path) -> None:
    shutil.rmtree(folder / "Record Node 102")
    for probes, node in (("ABC", "Record Node 102"), ("DEF", "Record Node 103")):
        make_node(folder / f"{folder.name}_probe{probes}", node)
    recording = RawRecording(folder)
    assert [path.name for path in recording.record_nodes] == ["Record Node 102", "Record Node 103"]
    assert recording.is_ephys


def test_surface_channels_beside(folder: Path) -> None:
    surface = folder.with_name(f"{folder.name}_surface_channels")
    make_node(surface)
    assert RawRecording(folder).surface_root_path == surface
    assert RawRecording(surface).id == "668755_2023-08-31_1"
    assert RawRecording(surface).is_ephys


def sorted_output(folder: Path, of: str | None = None) -> Path:
    (folder / "postprocessed").mkdir(parents=True)
    if of is not None:
        (folder / "data_description.json").write_text(json.dumps({"name": of}))
    return folder


def test_sorted_output_inside_or_beside(folder: Path) -> None:
    beside = sorted_output(folder.parent / "sorted", "ecephys_668755_2023-08-31_12-00-00_sorted_2023-10-01")
    assert RawRecording(folder).sorted_path == beside
    named = sorted_output(folder.parent / "sorted" / folder.name)
    assert RawRecording(folder).sorted_path == named
    asset = sorted_output(folder.with_name(f"{folder.name}_sorted_2023-09-01_00-00-00"))
    newer = sorted_output(folder.with_name(f"{folder.name}_sorted_2023-10-01_00-00-00"))
    assert asset != newer
    assert RawRecording(folder).sorted_path == newer
    inside = sorted_output(folder / "sorted")
    assert RawRecording(folder).sorted_path == inside
    given = sorted_output(folder.parent / "elsewhere")
    assert RawRecording(folder, sorted_data_path=given).sorted_path == given
    with pytest.raises(MissingObjectError, match="nothing"):
        RawRecording(folder, sorted_data_path=folder / "nothing")


def test_sorted_output_of_another_session_is_not_taken(folder: Path) -> None:
    beside = sorted_output(folder.parent / "sorted", "DRpilot_668755_20230901")
    assert not RawRecording(folder).is_sorted
    (beside / "data_description.json").unlink()
    assert RawRecording(folder).sorted_path == beside
    (folder.parent / "DRpilot_668755_20230901").mkdir()
    assert not RawRecording(folder).is_sorted


def annotate(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("channel,AP,DV,ML,region,region_stripped\n0,1,2,3,CA1,CA1\n")


def test_annotations_inside_or_beside(folder: Path) -> None:
    tail = "channels_668755_warped_processed_new_sorting.csv"
    annotate(folder.parent / "annotations" / "tissuecyte" / "668755", f"Probe_A1_{tail}", f"Probe_A2_{tail}")
    annotate(folder.parent / "annotations" / "tissuecyte" / "668756", f"Probe_B2_{tail.replace('55', '56')}")
    recording = RawRecording(folder)
    # insertions.json says that it was the second day
    assert {letter: path.name for letter, path in recording.annotation_paths.items()} == {
        "A": f"Probe_A2_{tail}"
    }
    assert recording.annotation["A"]["location"].tolist() == ["CA1"]
    assert recording.is_annotated
    (folder / "insertions.json").unlink()
    with pytest.warns(UserWarning, match="Probe A of 668755_2023-08-31 has 2 annotations"):
        assert RawRecording(folder).annotation_paths == {}
    assert list(RawRecording(folder, experiment_day=1).annotation_paths) == ["A"]
    annotate(folder / "annotations", "probeC.csv")
    assert list(RawRecording(folder).annotation_paths) == ["C"]


def test_a_cloud_folder(folder: Path) -> None:
    root = folder.with_name("ecephys_668755_2023-08-31_12-00-00")
    behavior, videos = root / "behavior", root / "behavior-videos"
    for path in (behavior, videos):
        path.mkdir(parents=True)
    for path in list(folder.iterdir()):
        if path.suffix in (".mp4",) or (path.suffix == ".json" and "_2023" in path.name):
            path.rename(videos / path.name)
        elif path.name == "subject.json":
            path.rename(root / path.name)
        elif path.is_file():
            path.rename(behavior / path.name)
    make_node(root / "ecephys" / "ecephys_clipped")
    (
        root
        / "ecephys"
        / "ecephys_compressed"
        / "experiment1_Record Node 102#Neuropix-PXI-100.ProbeA-AP.zarr"
    ).mkdir(parents=True)
    make_node(root / "ecephys_clipped", "Record Node 109")
    (root / "procedures.json").write_text('{"subject_procedures": []}')
    recording = RawRecording(root)
    assert recording.layout == "aind"
    assert recording.id == "668755_2023-08-31"
    assert recording.sync_path == behavior / "20230831T120000.h5"
    assert stems(recording) == ["RFMapping", "DynamicRouting1", "OptoTagging"]
    assert len(recording.cameras) == 3
    assert [path.name for path in recording.record_nodes] == ["Record Node 102"]
    assert recording.compressed_path == root / "ecephys" / "ecephys_compressed"
    assert recording.insertions is not None
    assert recording.subject == {"subject_id": "668755"}
    assert recording.procedures == {"subject_procedures": []}
    assert recording.surface_root_path is None
    # a folder of one modality, or a file in it, stands for the whole
    assert RawRecording(behavior / "debug.log").root == root
    later = root.with_name("ecephys_668755_2023-08-31_15-00-00")
    make_node(later / "ecephys_clipped")
    sorted_output(root.with_name(f"{root.name}_sorted_2023-09-01_00-00-00"))
    recording = RawRecording(root)
    assert recording.surface_root_path == later
    assert recording.sorted_path == root.with_name(f"{root.name}_sorted_2023-09-01_00-00-00")


def test_descriptions_that_are_damaged_are_named(folder: Path) -> None:
    (folder / "subject.json").write_text('["not", "names"]')
    with pytest.raises(CorruptObjectError, match=r"subject\.json"):
        _ = RawRecording(folder).subject


def test_the_simulated_session(shared: Path) -> None:
    session = shared / "data" / "dynamic_routing" / "raw_session"
    truth = json.loads((session / "truth" / "session.json").read_text())
    recording = RawRecording(session / truth["raw_folder"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(recording.id) == truth["session_id"]
        assert [path.name for path in recording.stim_paths] == [each["file"] for each in truth["stim_files"]]
        assert recording.stimulus_errors == {}
        assert recording.experimenter == truth["experimenter"]
        assert recording.sorted_path == session / "sorted"
        assert [video.name for video in recording.video_paths] == [
            camera["file"] for _, camera in sorted(truth["cameras"].items())
        ]
    ccf = json.loads((session / "truth" / "ephys.json").read_text())["ccf"]
    assert list(recording.annotation) == sorted(ccf)
    for letter, rows in ccf.items():
        found = recording.annotation[letter]
        for name in ("channel", "location", "structure"):
            assert found[name].tolist() == [row[name] for row in rows]
        for name in "xyz":
            expected = [np.nan if row[name] is None else row[name] for row in rows]
            np.testing.assert_array_equal(found[name], expected)


def test_the_simulated_session_in_s3(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("moto.server", reason="moto, an S3 server for tests, is not installed")
    import boto3

    session = shared / "data" / "dynamic_routing" / "raw_session"
    moto = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="raw-data")
        for path in session.rglob("*"):
            if path.is_file() and "truth" not in path.parts:
                client.upload_file(str(path), "raw-data", f"raw/{path.relative_to(session).as_posix()}")
        near = RawRecording(session / "DRpilot_712345_20231114")
        far = RawRecording("s3://raw-data/raw/DRpilot_712345_20231114")
        assert far.id == near.id
        assert [path.name for path in far.stim_paths] == [path.name for path in near.stim_paths]
        assert near.sync is not None
        assert far.sync is not None
        np.testing.assert_array_equal(far.sync.rising("vsync_stim"), near.sync.rising("vsync_stim"))
        assert far.task is not None
        assert far.task.n_trials == 160
        assert far.ephys is not None
        assert near.ephys is not None
        assert list(far.ephys.streams) == list(near.ephys.streams)
        assert far.sorted is not None
        assert far.sorted.probes == ("A", "B")
        assert far.insertions == near.insertions
        for letter, table in near.annotation.items():
            assert far.annotation[letter].equals(table)
    finally:
        moto.stop()


def test_the_real_task_file(shared: Path) -> None:
    folder = shared / "data" / "dynamic_routing" / "raw_behavior_674721_20230710"
    recording = RawRecording(folder / "TREE.txt")
    assert recording.id == "674721_2023-07-10"
    assert recording.task is not None
    assert recording.task.n_trials == 465
    assert (recording.is_sync, recording.is_ephys, recording.is_sorted) == (False, False, False)
