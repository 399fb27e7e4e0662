"""AllenSDK's module names over our classes, so that AllenSDK's own tests of a session run against ours.

:mod:`test_allensdk_suite` puts a copy of this file, as ``conftest.py``, beside a copy of the tests of the installed
allensdk, and lets pytest run them there with our Python.

AllenSDK's tests hand a session an object that answers for a file: ``get_units()``, ``get_spike_times()`` and so on.
Ours has no such object behind it: it reads a file. So what the object answers is written to a file in the layout of the
Visual Coding project, and that is what the session opens. All between the file and the answer is ours.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray

from project_cache.sessions import ecephys
from project_cache.sessions.choice import rows_of

TEXT = h5py.string_dtype()
ECEPHYS = "allensdk.brain_observatory.ecephys"
#: what each file of the project says of its channels and units, and the tests leave out
OF_CHANNELS = {"location": ""}
OF_UNITS = {"amplitude_cutoff": 0.0, "presence_ratio": 1.0}
RAGGED = {"get_spike_times": "spike_times", "get_mean_waveforms": "waveform_mean"}


class EcephysSessionApi:
    """What AllenSDK's tests derive from, and give those getters that they need."""


class EcephysSession(ecephys.EcephysSession):
    """Our session, opened on what such an object answers."""

    def __init__(self, api: Any) -> None:
        self._api = api
        folder = Path(tempfile.mkdtemp(dir=Path(__file__).parent))
        # AllenSDK filters where it reads a file, which is not what these tests are about
        super().__init__(
            write(api, folder / "session.nwb"),
            filter_by_validity=False,
            filter_out_of_brain_units=False,
            amplitude_cutoff_maximum=None,
            presence_ratio_minimum=None,
            isi_violations_maximum=None,
        )

    def get_lfp(self, probe_id: int, *args: Any, **kwargs: Any) -> xarray.DataArray:
        """Write the probe's own file when it is asked for, as the store does; return what ours makes of it."""
        lfp = self._api.get_lfp(probe_id)
        write_lfp(lfp, probe_id, self.path.with_name(f"probe_{probe_id}_lfp.nwb"))
        # In files time comes first. The object's array had an order of its own.
        return super().get_lfp(probe_id, *args, **kwargs).transpose(*lfp.dims)

    def _filter_owned_df(self, name: str, ids: Any) -> pd.DataFrame:
        """AllenSDK's name for choosing rows by id."""
        table: pd.DataFrame = getattr(self, name)
        return table.iloc[rows_of(table.index, ids, name)]


def write(api: Any, path: Path) -> Path:
    """Return the path of a file that holds what the object answers, and nothing else."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.2.2", "neurodata_type": "NWBFile"})
        if hasattr(api, "get_ecephys_session_id"):
            file["identifier"] = str(api.get_ecephys_session_id())
        if hasattr(api, "get_probes"):
            write_probes(file, api.get_probes())
        if hasattr(api, "get_channels"):
            write_table(
                file, "general/extracellular_ephys/electrodes", api.get_channels().assign(**OF_CHANNELS)
            )
        if hasattr(api, "get_units"):
            of_unit = {column: getattr(api, name)() for name, column in RAGGED.items() if hasattr(api, name)}
            write_table(file, "units", api.get_units().assign(**OF_UNITS), of_unit)
        if hasattr(api, "get_stimulus_presentations"):
            for name, table in api.get_stimulus_presentations().groupby("stimulus_name", sort=False):
                write_table(file, f"intervals/{name}_presentations", table)
        if hasattr(api, "get_invalid_times") and len(api.get_invalid_times()):
            table = api.get_invalid_times()
            tags = {"tags": table["tags"].to_dict()}
            write_table(file, "intervals/invalid_times", table.drop(columns="tags"), tags)
    return path


def write_probes(file: h5py.File, probes: pd.DataFrame) -> None:
    """Write the probes as groups of electrodes, each with its device."""
    for probe_id, probe in probes.iterrows():
        device = file.create_group(f"general/devices/{probe['description']}")
        device.attrs.update({"probe_id": probe_id, "sampling_rate": probe["sampling_rate"]})
        group = file.create_group(f"general/extracellular_ephys/{probe['description']}")
        group.attrs.update({"probe_id": probe_id, "location": probe["location"]})
        group["device"] = h5py.SoftLink(device.name)


def write_table(
    file: h5py.File, path: str, table: pd.DataFrame, ragged: Mapping[str, Mapping[Any, Any]] | None = None
) -> None:
    """Write a frame as a DynamicTable; ragged columns hold an array for each of the frame's ids."""
    group = file.create_group(path)
    group.attrs.update({"neurodata_type": "DynamicTable", "namespace": "core"})
    ragged = ragged or {}
    group.attrs["colnames"] = np.array([*table.columns, *ragged], dtype=TEXT)
    columns = {name: table[name].to_numpy() for name in table.columns}
    for name, each in ragged.items():
        cells = [np.asarray(each[row]) for row in table.index]
        columns[name] = np.concatenate(cells)
        columns[f"{name}_index"] = np.cumsum([len(cell) for cell in cells])
    for name, values in {"id": table.index.to_numpy(), **columns}.items():
        text = values.dtype.kind in "OU"
        group.create_dataset(
            name, data=values.astype(object) if text else values, dtype=TEXT if text else None
        )
    for name in ragged:
        group[f"{name}_index"].attrs.update({"neurodata_type": "VectorIndex", "target": group[name].ref})


def write_lfp(lfp: xarray.DataArray, probe_id: int, path: Path) -> None:
    """Write a probe's samples, time by channel, to a file of its own."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"nwb_version": "2.2.2", "neurodata_type": "NWBFile"})
        file["identifier"] = str(probe_id)
        file["general/extracellular_ephys/electrodes/id"] = lfp["channel"].to_numpy()
        series = file.create_group(f"acquisition/probe_{probe_id}_lfp/probe_{probe_id}_lfp_data")
        series.attrs["neurodata_type"] = "ElectricalSeries"
        series["data"] = lfp.transpose("time", "channel").to_numpy()
        series["timestamps"] = lfp["time"].to_numpy()
        series["electrodes"] = np.arange(lfp.sizes["channel"])


def install() -> None:
    """Put our classes and functions where AllenSDK's tests import AllenSDK's."""
    parts = ECEPHYS.split(".")
    for end in range(1, len(parts) + 1):
        package = ModuleType(".".join(parts[:end]))
        package.__path__ = []
        sys.modules[package.__name__] = package
    session, api = (ModuleType(f"{ECEPHYS}.{name}") for name in ("ecephys_session", "ecephys_session_api"))
    vars(session).update({name: getattr(ecephys, name) for name in ecephys.__all__})
    vars(session)["EcephysSession"] = EcephysSession
    vars(api)["EcephysSessionApi"] = EcephysSessionApi
    sys.modules |= {session.__name__: session, api.__name__: api}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--any-index-name", action="store_true", help="frames are equal whatever their indices are called"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest before it imports the tests."""
    install()
    if config.getoption("--any-index-name"):
        testing: Any = pd.testing
        testing.assert_frame_equal = functools.partial(testing.assert_frame_equal, check_names=False)
