"""One folder, two packages: what one filled, the other opens, and both say the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from project_cache import EcephysProjectCache, Manifest, ProjectCache
from project_cache.manifest.schema import shipped_manifest
from project_cache.testing.warehouse import LoopbackWarehouse

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.filterwarnings("ignore:Parts of this session are marked as invalid"),
]
SESSION = 715093703

#: the steps of a notebook that was written for AllenSDK; only the import differs
STEPS = """
sessions = cache.get_session_table()
session_id = sessions[(sessions.unit_count > 10) & (sessions.session_type == "brain_observatory_1.1")].index[0]
session = cache.get_session_data(session_id)
units = session.units
said = dict(
    sessions=sessions.index.tolist(), counts=sessions.unit_count.tolist(), columns=sessions.columns.tolist(),
    probes=cache.get_probes().index.tolist(), channels=len(cache.get_channels()), table_units=cache.get_units().index.tolist(),
    units=units.index.tolist(), spikes=[len(session.spike_times[u]) for u in units.index],
    sums=[float(session.spike_times[u].sum()).hex() for u in units.index],
    waves=[list(session.mean_waveforms[u].shape) for u in units.index],
    presentations=len(session.stimulus_presentations), running=float(session.running_speed.velocity.sum()).hex(),
    metrics=cache.get_unit_analysis_metrics_for_session(session_id).index.tolist(),
    lfp=[list(session.get_lfp(p).shape) for p in session.probes.index],
)
"""
THEIRS = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache
cache = EcephysProjectCache.from_warehouse(manifest=sys.argv[1], scheme="http", host=sys.argv[2], fetch_tries=1)
"""
#: nobody listens there: whoever asks fails
NOBODY = "127.0.0.1:9"


@pytest.fixture
def served(shared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(
        shared / "data" / "allen_session", tmp_path / "served", copy_function=shutil.copyfile
    )


def ours(cache: ProjectCache) -> dict[str, Any]:
    names: dict[str, Any] = {"cache": cache}
    exec(STEPS, names)
    said: dict[str, Any] = json.loads(json.dumps(names["said"]))
    return said


def theirs(allensdk: Callable[..., str], manifest: Path, host: str) -> dict[str, Any]:
    out = allensdk(f"{THEIRS}{STEPS}\nprint(json.dumps(said))", manifest, host)
    said: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return said


def test_what_we_filled_allensdk_opens(served: Path, tmp_path: Path, allensdk: Callable[..., str]) -> None:
    manifest = tmp_path / "own" / "manifest.json"
    with LoopbackWarehouse(served) as warehouse:
        said = ours(EcephysProjectCache.from_warehouse("http", warehouse.host, manifest=manifest))
    assert said == theirs(allensdk, manifest, NOBODY)


def test_what_allensdk_filled_we_open(served: Path, tmp_path: Path, allensdk: Callable[..., str]) -> None:
    manifest = tmp_path / "own" / "manifest.json"
    with LoopbackWarehouse(served) as warehouse:
        said = theirs(allensdk, manifest, warehouse.host)
    assert ours(EcephysProjectCache.fixed(manifest)) == said


def test_a_project_of_ours_opens_in_allensdk_once_it_has_a_path_manifest(
    served: Path, tmp_path: Path, allensdk: Callable[..., str]
) -> None:
    (served / "manifest.json").unlink()
    own = Manifest.read(shipped_manifest("visual-coding-neuropixels"), folder=served)
    own.write(served / "project.json")
    said = ours(ProjectCache.open(served / "project.json", offline=True))
    own.write_path_manifest(served / "manifest.json")
    assert theirs(allensdk, served / "manifest.json", NOBODY) == said
