"""Names: what is read from those that file servers, rigs and clouds give."""

from __future__ import annotations

import pytest

from project_cache.raw.names import (
    extract_camera_name,
    extract_date,
    extract_datetime,
    extract_probe_letter,
    extract_session_id,
    extract_session_index,
    extract_subject,
    extract_time,
)


def test_a_null_index_is_written_on_demand() -> None:
    assert extract_session_id("668755_20230831", include_null_index=True) == "668755_2023-08-31_0"
    assert extract_session_index("668755_20230831_2") == 2
    assert extract_session_index("668755_20230831_131418") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20230803T120415", "2023-08-03 12:04:15"),
        ("668755_20230831_131418", "2023-08-31 13:14:18"),
        ("2023-08-31_12-33-31", "2023-08-31 12:33:31"),
        ("2023-08-31 12:33:31.123456", "2023-08-31 12:33:31"),
        ("2023-08-31__12-33-31", None),
        ("2023-08-31", None),
        ("2023-08-31_24-00-00", None),
    ],
)
def test_date_and_time_stand_together(text: str, expected: str | None) -> None:
    assert extract_datetime(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("668755_2023-08-31_12-33-31", "12:33:31"),
        ("668755_2023-08-31_00-00_dlc", None),
        ("12:33:31", "12:33:31"),
        ("eye_123331_20230831", "12:33:31"),
        # the number of a movie is no time
        ("1332563048_717439_20240222.beh.mp4", None),
    ],
)
def test_times(text: str, expected: str | None) -> None:
    assert extract_time(text) == expected


def test_subjects_and_dates() -> None:
    assert extract_subject("20230831_1234567") == 1234567
    assert extract_subject("12345678_20230831") is None
    assert extract_date("2019/01-31") == "2019-01-31"
    assert extract_date("2009-01-31") is None
    assert extract_date("20230101_x_2022-07-27_13-57-17") == "2022-07-27"


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("Eye_20230803T120430", "eye"),
        ("0123456789_Face_20240212", "face"),
        ("1332563048_717439_20240222.beh", "behavior"),
        ("Behavior_20230803T120430", "behavior"),
        ("Nose_20230803T120430", "nose"),
        ("x_Box_2_20230101", "behavior"),
        ("movie", None),
    ],
)
def test_camera_names(name: str, camera: str | None) -> None:
    assert extract_camera_name(name) == camera


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("probeA", "A"),
        ("Neuropix-PXI-100.ProbeB-AP", "B"),
        ("Probe_C2_channels", "C"),
        ("Probe A2", "A"),
        ("probe- D", "D"),
        ("F", "F"),
        ("f", None),
        ("G", None),
        ("probeAB", None),
        ("probeG", None),
        ("A2", None),
        ("probe", None),
    ],
)
def test_probe_letters(text: str, letter: str | None) -> None:
    assert extract_probe_letter(text) == letter
