"""Zarr groups here and on a web server, damaged ones, and those that would run a program."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from project_cache.errors import CorruptObjectError, MissingDataError, MissingObjectError
from project_cache.raw.compressed import ZarrGroup
from project_cache.raw.openephys import OpenEphys
from project_cache.raw.places import place


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


VALUES = np.random.default_rng(0).integers(-500, 500, (180, 4)).astype(np.int16)


def group(path: Path) -> Path:
    import zarr

    top = zarr.open_group(path, mode="w", zarr_format=2)
    top.attrs["sampling_frequency"] = 30000.0
    top.create_array("traces_seg0", data=VALUES, chunks=(50, 4))
    inner = top.create_group("inner")
    inner.create_array("b", data=np.arange(3))
    inner.create_array("a", data=np.arange(3.0))
    return path


def test_arrays_are_read_by_slices(tmp_path: Path) -> None:
    zarr_group = ZarrGroup(group(tmp_path / "a.zarr"))
    assert zarr_group.attrs == {"sampling_frequency": 30000.0}
    assert zarr_group.names("inner") == ["a", "b"]
    assert zarr_group.names("other") == []
    assert "inner/a" in zarr_group
    assert "inner/c" not in zarr_group
    assert np.array_equal(zarr_group.array("traces_seg0")[60:70], VALUES[60:70])
    assert zarr_group.read("inner/b").tolist() == [0, 1, 2]
    with pytest.raises(MissingDataError, match="no array 'inner'"):
        zarr_group.array("inner")


def test_what_is_missing_or_damaged_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match=r"b\.zarr"):
        ZarrGroup(tmp_path / "b.zarr")
    (tmp_path / "c.zarr").mkdir()
    with pytest.raises(CorruptObjectError, match=r"c\.zarr"):
        ZarrGroup(tmp_path / "c.zarr")
    path = group(tmp_path / "a.zarr")
    (path / "inner/b/0").write_bytes(b"x")
    with pytest.raises(CorruptObjectError, match="inner/b"):
        ZarrGroup(path).read("inner/b")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    described = group(tmp_path / "a.zarr") / "inner/b/.zarray"
    content = json.loads(described.read_text())
    described.write_text(
        json.dumps(
            {**content, "dtype": "|O", "fill_value": None, "filters": [{"id": "pickle", "protocol": 5}]}
        )
    )
    with pytest.raises(CorruptObjectError, match="pickled"):
        ZarrGroup(tmp_path / "a.zarr").read("inner/b")


def test_a_group_on_a_web_server(tmp_path: Path) -> None:
    group(tmp_path / "experiment1_Record Node 102#x.zarr")
    with served(tmp_path) as url:
        far = ZarrGroup(place(url) / "experiment1_Record Node 102#x.zarr")
        assert far.attrs == {"sampling_frequency": 30000.0}
        assert far.names("inner") == ["a", "b"]
        assert "inner/c" not in far
        assert np.array_equal(far.array("traces_seg0")[60:170, 1:3], VALUES[60:170, 1:3])


def test_a_recording_on_a_web_server(tmp_path: Path) -> None:
    name = "Neuropix-PXI-100.ProbeA-AP"
    here = tmp_path / "Record Node 102/experiment1/recording1"
    (here / "continuous" / name).mkdir(parents=True)
    channels = [{"channel_name": f"AP{n}", "bit_volts": 0.195} for n in range(1, 5)]
    description = {"folder_name": f"{name}/", "sample_rate": 30000, "channels": channels}
    (here / "structure.oebin").write_text(json.dumps({"continuous": [description]}))
    # and half a frame more
    (here / "continuous" / name / "continuous.dat").write_bytes(VALUES.astype("<i2").tobytes() + b"abc")
    np.save(here / "continuous" / name / "sample_numbers.npy", 5000 + np.arange(180))
    with served(tmp_path) as url:
        stream = OpenEphys([place(url) / "Record Node 102"]).stream("A")
        assert stream.first_sample == 5000
        assert stream.data.shape == (180, 4)
        assert len(stream.data) == 180
        assert np.array_equal(stream.data[100:160], VALUES[100:160])
        assert np.array_equal(stream.data[100:160:7, [0, 3]], VALUES[100:160:7, [0, 3]])
        assert np.array_equal(stream.data[-1], VALUES[-1])
        assert stream.data[50:50].shape == (0, 4)
        with pytest.raises(IndexError):
            stream.data[180]
        with pytest.raises(TypeError, match="slices"):
            stream.data[::-1]
