"""The recipe of a build."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from project_cache.build import recipe as module
from project_cache.build.recipe import (
    Recipe,
    digest_of_input,
    inputs_of,
    read_known,
    unchanged,
    write_known,
)
from project_cache.raw.places import RemotePath, place

ONE = {"stride": 4, "times": ({"start": 1.0},)}


def a_folder(path: Path) -> Path:
    (path / "sub").mkdir(parents=True)
    (path / "task.hdf5").write_bytes(b"task")
    (path / "sub" / "spikes.npy").write_bytes(b"spikes")
    (path / ".hidden").write_bytes(b"no")
    return path


def test_the_same_inputs_have_the_same_recipe_wherever_they_lie(tmp_path: Path) -> None:
    one = Recipe.of("1_2023-01-01", inputs_of({"raw": a_folder(tmp_path / "one")}), ONE)
    other = Recipe.of("1_2023-01-01", inputs_of({"raw": a_folder(tmp_path / "other")}), ONE)
    assert list(one.inputs) == ["raw/sub/spikes.npy", "raw/task.hdf5"]
    assert one == other
    assert (one.digest, one.identifier) == (other.digest, other.identifier)
    assert {"project_cache", "numpy", "pynwb"} <= set(one.versions)


def test_a_changed_input_or_parameter_is_another_recipe(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "one")
    before = Recipe.of("1_2023-01-01", inputs_of({"raw": folder}), ONE)
    assert Recipe.of("1_2023-01-01", inputs_of({"raw": folder}), {**ONE, "stride": 2}).digest != before.digest
    (folder / "task.hdf5").write_bytes(b"TASK")
    assert Recipe.of("1_2023-01-01", inputs_of({"raw": folder}), ONE).digest != before.digest


def test_files_that_have_not_changed_are_not_read_again(tmp_path: Path) -> None:
    files = inputs_of({"raw": a_folder(tmp_path / "one")})
    first = Recipe.of("1_2023-01-01", files, ONE)
    note = tmp_path / "note.json"
    write_known(note, files, first)
    task = tmp_path / "one" / "task.hdf5"
    before = task.stat()
    task.write_bytes(b"TASK")
    os.utime(task, ns=(before.st_atime_ns, before.st_mtime_ns))
    # of the same size and time: it is taken to be the same file
    assert Recipe.of("1_2023-01-01", files, ONE, read_known(note)) == first
    os.utime(task)
    assert Recipe.of("1_2023-01-01", files, ONE, read_known(note)) != first
    assert read_known(tmp_path / "none.json") == {}


def test_a_large_file_is_told_by_its_size_and_samples(tmp_path: Path) -> None:
    file = tmp_path / "continuous.dat"
    size = module.WHOLE_BYTES + 10_000
    with file.open("wb") as stream:
        stream.truncate(size)
    first = digest_of_input(file, size)
    assert first.startswith("sampled:")
    for position in (0, size - 1):
        with file.open("r+b") as stream:
            stream.seek(position)
            stream.write(b"x")
        assert digest_of_input(file, size) != first
        with file.open("r+b") as stream:
            stream.seek(position)
            stream.write(b"\0")
    assert digest_of_input(file, size) == first


def test_compressed_recordings_are_told_by_what_describes_them(tmp_path: Path) -> None:
    traces = tmp_path / "ecephys_compressed" / "experiment1.zarr" / "traces_seg0"
    traces.mkdir(parents=True)
    (traces / ".zarray").write_text("{}")
    (traces / "0.0").write_bytes(b"chunk")
    assert list(inputs_of({"raw": tmp_path})) == [
        "raw/ecephys_compressed/experiment1.zarr/traces_seg0/.zarray"
    ]


def test_objects_in_a_bucket_are_told_by_their_etags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched for a recipe: the listing says enough."""
    server = pytest.importorskip("moto.server", reason="moto, an S3 server for tests, is not installed")
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    moto = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="raw-data")
        for path in a_folder(tmp_path / "one").rglob("*"):
            if path.is_file():
                key = path.relative_to(tmp_path).as_posix()
                client.put_object(Bucket="raw-data", Key=key, Body=path.read_bytes())
        monkeypatch.setattr(RemotePath, "read_range", None)

        def recipe() -> Recipe:
            return Recipe.of("1_2023-01-01", inputs_of({"raw": place("s3://raw-data/one")}), ONE)

        first = recipe()
        assert first.inputs["raw/task.hdf5"] == f"etag:4:{hashlib.md5(b'task').hexdigest()}"
        assert list(first.inputs) == ["raw/sub/spikes.npy", "raw/task.hdf5"]
        assert recipe() == first
        plan = SimpleNamespace(inputs=lambda: inputs_of({"raw": place("s3://raw-data/one")}))
        note = tmp_path / "note.json"
        write_known(note, plan.inputs(), first)
        assert unchanged(note, plan)  # type: ignore[arg-type]
        # of the same size, which is all that was noticed before
        client.put_object(Bucket="raw-data", Key="one/task.hdf5", Body=b"TASK")
        assert recipe() != first
        assert not unchanged(note, plan)  # type: ignore[arg-type]
    finally:
        moto.stop()
