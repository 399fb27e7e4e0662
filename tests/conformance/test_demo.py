"""AllenSDK opens the demo project through its own cache class, and finds in it what is meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from project_cache.build.demo import DemoSource
from project_cache.manifest.keys import Key
from project_cache.store.part import Part

SCRIPT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np
from allensdk.brain_observatory.ecephys.ecephys_project_cache import EcephysProjectCache

cache = EcephysProjectCache.from_warehouse(manifest=sys.argv[1])
sessions = cache.get_session_table()
chosen = sessions[(sessions.unit_count > 100) & (sessions.session_type == "brain_observatory_1.1")
                  & (sessions.full_genotype == "wt/wt")].index
session = cache.get_session_data(chosen[0])
shown = session.stimulus_presentations
v1 = session.units[session.units.ecephys_structure_acronym == "VISp"].index
flashes = shown[shown.stimulus_name == "flashes"].start_time.values.astype(float)
rate = lambda a, b: float(np.mean([np.searchsorted(session.spike_times[u], flashes + b).mean()
                                   - np.searchsorted(session.spike_times[u], flashes + a).mean() for u in v1]) / (b - a))
print(json.dumps(dict(
    sessions=sessions.index.tolist(), units=int(sessions.unit_count[chosen[0]]), chosen=chosen.tolist(),
    counts={k: int(v) for k, v in shown.groupby("stimulus_name").size().items()},
    columns=list(session.units.columns), session_units=len(session.units), trains=len(session.spike_times),
    waveform=list(session.mean_waveforms[v1[0]].dims), before=rate(-0.2, 0.0), after=rate(0.04, 0.12),
    peak=int(sum(int(w.channel_id[np.ptp(w.values, axis=1).argmax()]) == session.units.peak_channel_id[u]
             for u, w in session.mean_waveforms.items() if u in session.units.index)),
    running=list(session.running_speed.columns), rig=session.rig_equipment_name,
    metrics=len(cache.get_unit_analysis_metrics_for_session(chosen[0])),
    bytype=len(cache.get_unit_analysis_metrics_by_session_type("functional_connectivity")),
    lfp=list(session.get_lfp(9000032).dims), csd=list(session.get_current_source_density(9000032).dims),
    start=str(session.session_start_time), type=session.session_type)))
"""


@pytest.mark.conformance
def test_allensdk_opens_the_demo(tmp_path: Path, allensdk: Callable[..., str]) -> None:
    for key, path in {
        **{kind: f"{kind}.csv" for kind in ("sessions", "probes", "channels", "units")},
        "typewise_analysis_metrics/functional_connectivity": "functional_connectivity_analysis_metrics.csv",
        "session_nwb/900003": "session_900003/session_900003.nwb",
        "session_analysis_metrics/900003": "session_900003/session_900003_analysis_metrics.csv",
        "probe_lfp_nwb/900003/9000032": "session_900003/probe_9000032_lfp.nwb",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        with Part(tmp_path / path) as part:
            DemoSource().fill(Key.parse(key), part)
            part.path.rename(part.final)
    # AllenSDK writes the manifest that is missing
    said = json.loads(allensdk(SCRIPT, str(tmp_path / "manifest.json")).strip().splitlines()[-1])
    assert said["sessions"] == [900001, 900002, 900003, 900004, 900005, 900006]
    assert said["chosen"] == [900003]
    assert said["units"] > 100
    assert said["trains"] == said["session_units"] > 100
    assert said["counts"]["flashes"] == 60
    assert said["counts"]["drifting_gratings"] == 84
    assert {"ecephys_structure_acronym", "peak_channel_id", "snr"} <= set(said["columns"])
    assert said["waveform"] == ["channel_id", "time"]
    assert said["peak"] == said["session_units"]
    assert said["after"] > 3 * said["before"]
    assert said["running"] == ["start_time", "end_time", "velocity"]
    assert said["rig"] == "demo rig"
    assert said["metrics"] > 100
    assert said["bytype"] > 100
    assert said["lfp"] == ["time", "channel"]
    assert said["csd"] == ["virtual_channel_index", "time"]
    assert said["type"] == "brain_observatory_1.1"
