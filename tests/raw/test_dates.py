"""Days and times, as records."""

from __future__ import annotations

import datetime

import pytest

from project_cache.raw.dates import DateRecord, DatetimeRecord, TimeRecord


def test_days_and_times_are_checked() -> None:
    day = DateRecord("DRpilot_668755_20230831")
    assert (day, day.year, day.month, day.day) == ("2023-08-31", 2023, 8, 31)
    assert day.dt == datetime.date(2023, 8, 31)
    assert DateRecord(datetime.date(2023, 8, 31)) == datetime.date(2023, 8, 31)
    with pytest.raises(ValueError, match="Invalid year"):
        DateRecord("2015-01-01")
    with pytest.raises(ValueError, match="Invalid year"):
        DateRecord("2029-01-01")
    with pytest.raises(ValueError, match="not a day"):
        DateRecord("2023-02-30")
    moment = DatetimeRecord("20230803T120415")
    assert (moment, moment.hour, moment.minute, moment.second) == ("2023-08-03 12:04:15", 12, 4, 15)
    assert DatetimeRecord("2023-08-03") == "2023-08-03 00:00:00"
    assert moment.date == "2023-08-03"
    assert (TimeRecord("12:33:31").hour, TimeRecord("12:33:31").dt) == (12, datetime.time(12, 33, 31))
