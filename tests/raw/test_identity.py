"""Identities: subjects, projects, rigs and sessions."""

from __future__ import annotations

import datetime
import pickle

import pytest

from project_cache.errors import ProjectCacheError
from project_cache.raw.identity import (
    AINDSessionRecord,
    ProjectRecord,
    RigRecord,
    SessionRecord,
    SubjectRecord,
)
from project_cache.raw.names import extract_session_id


@pytest.mark.parametrize(
    ("text", "session"),
    [
        ("668755_2023-08-31", "668755_2023-08-31"),
        ("668755_2023-08-31_0", "668755_2023-08-31"),
        ("DRpilot_668755_20230831", "668755_2023-08-31"),
        ("668755_20230831_131418", "668755_2023-08-31"),
        ("ecephys_668755_2023-08-31_12-33-31", "668755_2023-08-31"),
        ("2022-07-27_13-57-17_620263", "620263_2022-07-27"),
        ("0123456789_366122_20220425", "366122_2022-04-25"),
        ("//x/y/DRpilot_626791_20220817", "626791_2022-08-17"),
        ("s3://bucket/ecephys_670248_2023-08-03_12-04-15", "670248_2023-08-03"),
        ("658096 2023-08-15", "658096_2023-08-15"),
        ("366122_20210601_1", "366122_2021-06-01_1"),
        ("366122_2022-04-25_12:00:00_1", "366122_2022-04-25_1"),
        ("DynamicRouting1_674721_20230710_084322.hdf5", "674721_2023-07-10"),
        ("1234567_2022/04/25", "1234567_2022-04-25"),
    ],
)
def test_a_session_is_found_in_every_form(text: str, session: str) -> None:
    assert extract_session_id(text) == session
    record = SessionRecord(text)
    assert str(record) == session
    assert record == text
    assert record.with_idx(record.idx) is record


@pytest.mark.parametrize(
    "text",
    ["3661_12345678_1", "668755", "2023-08-31", "", "DRpilot", "12345_2023-08-31", "668755_2023-13-01"],
)
def test_what_is_no_session_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no session"):
        extract_session_id(text)
    with pytest.raises(ProjectCacheError):
        SessionRecord(text)


def test_a_session_is_on_a_day_of_the_calendar() -> None:
    with pytest.raises(ValueError, match="not a day"):
        SessionRecord("668755_2023-02-30")


def test_a_session_stores_its_index_and_hides_a_null_one() -> None:
    session = SessionRecord("DRpilot_668755_20230831")
    assert session.id == "668755_2023-08-31_0"
    assert str(session) == f"{session}" == "668755_2023-08-31"
    assert repr(session) == "SessionRecord('668755_2023-08-31')"
    assert session.endswith("_0")
    assert (session.subject, session.date, session.idx) == (668755, "2023-08-31", 0)
    assert str(session.with_idx(1)) == "668755_2023-08-31_1"
    assert pickle.loads(pickle.dumps(session.with_idx(1))) == "668755_2023-08-31_1"


def test_sessions_equal_what_names_them() -> None:
    session = SessionRecord("366122_2022-04-25")
    assert session == "366122_2022-04-25_12:00:00"
    assert session != "366122_2022-04-25_12:00:00_1"
    assert session != 36612220220425
    assert session != "no session"
    assert session != None  # noqa: E711
    assert "366122_2022-04-25_0" in {session}
    assert hash(session) != hash("366122_2022-04-25")
    assert sorted([SessionRecord("366122_2022-04-26"), session])[0] == session


def test_records_are_read_only() -> None:
    for record in (SessionRecord("366122_2022-04-25"), SubjectRecord(366122)):
        with pytest.raises(AttributeError, match="read-only"):
            record.id = "other"  # type: ignore[misc,assignment]


def test_subjects_are_numbers() -> None:
    subject = SubjectRecord("366122")
    assert subject == 366122
    assert subject == "366122"
    assert {366122: "mouse"}[subject] == "mouse"
    assert (str(subject), repr(subject), subject.id) == ("366122", "SubjectRecord(366122)", 366122)
    with pytest.raises(ValueError, match="is no subject"):
        SubjectRecord("mouse")


@pytest.mark.parametrize(
    "text",
    [
        "ecephys_366122_2022-04-25_14-24-35",
        "s3://bucket/ecephys_366122_2022-04-25_14-24-35/behavior/x.csv",
        "ecephys_366122_2022_04_25_14_24_35",
        "ecephys_366122_2022/04/25_14:24:35",
    ],
)
def test_assets(text: str) -> None:
    asset = AINDSessionRecord(text)
    assert asset == "ecephys_366122_2022-04-25_14-24-35"
    assert (asset.platform, asset.subject, asset.date, asset.time) == (
        "ecephys",
        366122,
        "2022-04-25",
        "14:24:35",
    )
    assert asset.dt == datetime.datetime(2022, 4, 25, 14, 24, 35)


def test_what_is_no_asset_is_refused() -> None:
    with pytest.raises(ValueError, match="names no asset"):
        AINDSessionRecord("ecephys_366122_20220425_142435")


@pytest.mark.parametrize(
    ("name", "rig"),
    [
        ("NP0", "NP.0"),
        ("NP.3", "NP.3"),
        ("BEH.D-Box2", "BEHNSB.D-2"),
        ("BEH.B", "BEHDEV.B-UNKNOWN"),
        ("BEHDEV.B-UNKNOWN", "BEHDEV.B-UNKNOWN"),
        ("BEHNSB.D-2", "BEHNSB.D-2"),
        ("B2", "BEHDEV.B-2"),
    ],
)
def test_rigs(name: str, rig: str) -> None:
    assert RigRecord(name) == rig


def test_names_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="names no rig"):
        RigRecord("the rig in the corner")
    with pytest.raises(ValueError, match="has a name"):
        ProjectRecord(" ")
    assert ProjectRecord("DynamicRouting") == "DynamicRouting"
