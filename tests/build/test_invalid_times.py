"""Stretches that are not to be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from project_cache.build.clock import SessionClock
from project_cache.build.invalid_times import invalid_intervals, invalid_times, overlapping
from project_cache.build.options import Options
from project_cache.errors import ComponentUnavailable, ConfigurationError
from project_cache.raw.recording import RawRecording


def test_a_stop_of_minus_one_or_none_is_the_end() -> None:
    given = [
        {"start_time": 50, "stop_time": None},
        {"start_time": 5, "stop_time": -1, "reason": "noise"},
        {"start_time": 1, "stop_time": 2, "reason": "seizure"},
    ]
    table = invalid_intervals(given, 100.0)
    assert table["start_time"].tolist() == [1, 5, 50]
    assert table["stop_time"].tolist() == [2, 100, 100]
    assert table["reason"].tolist() == ["seizure", "noise", ""]


@pytest.mark.parametrize(
    "given", [{"stop_time": 3}, {"start_time": "soon", "stop_time": 3}, {"start_time": 5, "stop_time": 3}]
)
def test_stretches_that_cannot_be(given: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        invalid_intervals([given], 100.0)


def test_stretches_that_only_touch_do_not_overlap() -> None:
    invalid = invalid_intervals([{"start_time": 1, "stop_time": 2}], 100.0)
    assert overlapping([0, 0.5, 1.2, 2], [1, 1.5, 1.4, 3], invalid).tolist() == [False, True, True, False]


def test_invalid_times_of_a_session(shared: Path) -> None:
    raw = RawRecording(shared / "data/dynamic_routing/raw_session/DRpilot_712345_20231114")
    options = Options(invalid_times=({"start_time": 1400, "stop_time": -1, "reason": "probe came out"},))
    table = invalid_times(raw, SessionClock(raw, options), options).to_dataframe()
    assert table["stop_time"].tolist() == [1421.018]
    assert table["reason"].tolist() == ["probe came out"]
    with pytest.raises(ComponentUnavailable, match="No invalid times"):
        invalid_times(raw, SessionClock(raw, Options()), Options())
