"""Opening: what is refused, with which words, and that nothing is held."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from project_cache.errors import (
    CorruptObjectError,
    MissingObjectError,
    NotNWBError,
    NWBError,
    UnreadableObjectError,
)
from project_cache.nwb.arrays import read
from project_cache.nwb.file import NWBReader
from project_cache.nwb.links import find, find_dataset, members, need_dataset


def _file(path: Path, version: object = "2.7.0", **data: object) -> Path:
    with h5py.File(path, "w") as file:
        if version is not None:
            file.attrs["nwb_version"] = version
        for name, values in data.items():
            file[name] = values
    return path


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("2.7.0", (2, 7, 0)),
        ("2.0b", (2, 0)),
        ("2.10.1", (2, 10, 1)),
        (np.bytes_(b"2.2.5"), (2, 2, 5)),
        (np.array(["2.1.0"], dtype=h5py.string_dtype()), (2, 1, 0)),
        ("NWB-2.0", (2, 0)),
    ],
)
def test_versions_are_numbers(tmp_path: Path, said: object, numbers: tuple[int, ...]) -> None:
    assert NWBReader(_file(tmp_path / "a.nwb", said)).version == numbers


@pytest.mark.parametrize("said", ["1.0.6", "3.0.0", "20.1.0", "new"])
def test_other_versions_are_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(NotNWBError, match="NWB 2"):
        NWBReader(_file(tmp_path / "a.nwb", said))


def test_what_is_not_nwb_2(tmp_path: Path) -> None:
    with pytest.raises(NotNWBError, match="not an NWB file"):
        NWBReader(_file(tmp_path / "plain.h5", None))
    with pytest.raises(NotNWBError, match="NWB 1"):
        NWBReader(_file(tmp_path / "one.nwb", None, nwb_version="NWB-1.0.5"))
    text = tmp_path / "page.nwb"
    text.write_text("<html>not found</html>")
    with pytest.raises(NotNWBError, match=r"page\.nwb is not an HDF5 file.*<html>"):
        NWBReader(text)
    with pytest.raises(NotNWBError, match="folder"):
        NWBReader(tmp_path)
    with pytest.raises(MissingObjectError, match=r"none\.nwb"):
        NWBReader(tmp_path / "none.nwb")
    with pytest.raises(FileNotFoundError):
        NWBReader(tmp_path / "none.nwb")


def test_what_is_cut_short(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.nwb", data=np.arange(10_000.0))
    whole = path.read_bytes()
    for size in (0, 8, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptObjectError, match=r"a\.nwb"):
            NWBReader(path)


def test_what_may_not_be_read(tmp_path: Path, unprivileged: list[str]) -> None:
    path = _file(tmp_path / "a.nwb")
    path.chmod(0)
    code = "import sys; from project_cache.nwb.file import NWBReader; NWBReader(sys.argv[1])"
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert f"UnreadableObjectError: {path} cannot be read here" in done.stderr
    assert "permissions" in done.stderr


def test_errors_of_the_drive_are_not_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path / "a.nwb")

    def fails(*_: object, **__: object) -> None:
        raise OSError(5, "Unable to synchronously open file (unable to open file: Input/output error)")

    monkeypatch.setattr(h5py, "File", fails)
    with pytest.raises(UnreadableObjectError, match="drive"):
        NWBReader(path)


def test_a_filter_that_is_not_installed(tmp_path: Path) -> None:
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((4,))
        create.set_filter(511, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        dataset = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, create)
        dataset.write_direct_chunk((0,), b"packed", 0)
    reader = NWBReader(path)
    with pytest.raises(UnreadableObjectError, match="hdf5plugin"), reader.open() as handle:
        read(handle["x"])


def test_a_shape_that_lies_takes_no_memory(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.nwb", data=np.arange(12_345.0))
    honest, lie = struct.pack("<Q", 12_345), struct.pack("<Q", 2**44)
    content = path.read_bytes()
    assert content.count(honest) >= 1
    path.write_bytes(content.replace(honest, lie))
    with pytest.raises(CorruptObjectError, match="claims|damaged"), NWBReader(path).open() as handle:
        read(need_dataset(handle, "data"))
    with h5py.File(tmp_path / "b.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        file.create_dataset("nowhere", shape=(2**44,), dtype="f8")
        file.create_dataset("chunks", shape=(2**44,), dtype="f8", chunks=(1024,), compression="gzip")
        file.create_dataset("zeros", data=np.zeros(20_000_000), compression="gzip")
    with NWBReader(tmp_path / "b.nwb").open() as handle:
        for name in ("nowhere", "chunks"):
            with pytest.raises(CorruptObjectError, match="claims"):
                read(handle[name])
        assert len(read(handle["zeros"])) == 20_000_000


def test_soft_links_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        file["a/b/data"] = [1, 2]
        file["a/same"] = h5py.SoftLink("b/data")
        file["jump"] = h5py.SoftLink("/a/./b")
        file["round"] = h5py.SoftLink("/about")
        file["about"] = h5py.SoftLink("/round")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["out"] = h5py.ExternalLink("other.h5", "/")
    with NWBReader(path).open() as handle:
        assert find(handle, "a/same")[:].tolist() == [1, 2]
        assert find_dataset(handle["a"], "/jump/data")[:].tolist() == [1, 2]
        assert find(handle, "dangling") is None
        assert find(handle, "a/b/data/deeper") is None
        with pytest.raises(CorruptObjectError, match="circle"):
            find(handle, "round")
        with pytest.raises(NWBError, match="into another file"):
            find(handle, "out/anything")
        with pytest.raises(CorruptObjectError):
            list(members(handle))


def test_it_can_be_opened_whatever_else_this_process_has_open(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.nwb", x=1)
    reader = NWBReader(path)
    for how in ({}, {"locking": False}, {"locking": True}, {"locking": "best-effort"}):
        with h5py.File(path, "r", **how), reader.open() as handle:
            assert handle["x"][()] == 1
    with h5py.File(path, "r+"), reader.open() as handle:
        assert handle["x"][()] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks what is mapped or open")
def test_another_program_that_writes_is_not_locked_out(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.nwb", x=1)
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+', locking=True); f['y'] = 2; f.close()"
    with NWBReader(path).open() as handle:
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
        assert handle["x"][()] == 1


def test_pickle_and_close(tmp_path: Path) -> None:
    reader = pickle.loads(pickle.dumps(NWBReader(_file(tmp_path / "a.nwb", x=1))))
    with reader.open() as handle:
        assert handle["x"][()] == 1
    assert not handle
    reader.close()
    with pytest.raises(UnreadableObjectError, match="closed"), reader.open():
        pass
