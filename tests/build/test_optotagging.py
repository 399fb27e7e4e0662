"""Optotagging trials: the windows around pulses of light, and what the pulses were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.options import Options
from project_cache.build.optotagging import optotagging_table, optotagging_trials, pulse_windows
from project_cache.errors import ComponentUnavailable
from project_cache.raw.recording import RawRecording

SESSION = "data/dynamic_routing/raw_session"


def test_the_windows_around_a_pulse() -> None:
    row = pulse_windows(np.array([10.0]), np.array([10.01]), 1.0).iloc[0].round(6)
    assert (row["start_time"], row["stop_time"]) == (9.8, 10.21)
    assert (row["baseline_start_time"], row["baseline_stop_time"]) == (9.8, 9.9985)
    assert (row["response_start_time"], row["response_stop_time"]) == (10.0015, 10.0085)


def test_pulses_that_follow_soon_have_narrower_windows() -> None:
    row = pulse_windows(np.array([10.0]), np.array([10.01]), 0.1).iloc[0].round(6)
    assert (row["start_time"], row["stop_time"]) == (9.95, 10.06)


def test_the_pulses_of_a_simulated_session(shared: Path) -> None:
    wanted = pd.read_csv(shared / SESSION / "truth/optotagging_trials.csv")
    raw = RawRecording(shared / SESSION / "DRpilot_712345_20231114")
    session = raw, SessionClock(raw, Options()), Options()
    made = optotagging_table(*session)
    assert list(made) == list(wanted)
    for name in wanted:
        if name.endswith("_time"):
            np.testing.assert_allclose(made[name], wanted[name], rtol=0, atol=1e-5, err_msg=name)
        else:
            assert made[name].tolist() == wanted[name].tolist(), name
    assert optotagging_trials(*session)["location"].data[0] == "probeA"


def test_why_there_are_none(shared: Path) -> None:
    raw = RawRecording(shared / "data/dynamic_routing/trial_tables/DRpilot_626791_20220815")
    with pytest.raises(ComponentUnavailable, match="tables only"):
        optotagging_trials(raw, SessionClock(raw, Options()), Options())
