"""Descriptions in JSON, and who ran the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from project_cache.errors import CorruptObjectError, MissingObjectError
from project_cache.raw.subject import read_description, read_experimenter


def test_descriptions_are_names_and_values(tmp_path: Path) -> None:
    path = tmp_path / "subject.json"
    with pytest.raises(MissingObjectError, match=r"subject\.json"):
        read_description(path)
    path.write_text('{"subject_id": "668755", "sex": "Male"}')
    assert read_description(path) == {"subject_id": "668755", "sex": "Male"}
    for damaged in ("[]", "{", "null", '{"a": ' * 20_000, "\x00"):
        path.write_text(damaged)
        with pytest.raises(CorruptObjectError, match=r"subject\.json"):
            read_description(path)


def test_the_last_user_ran_the_session(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    path.write_bytes(b"... User('some.one') ...\n\xff\xfe User(\"mary.ann.smith\") logged in\nbye\n")
    assert read_experimenter(path) == "Mary Ann Smith"
    path.write_text("nobody")
    assert read_experimenter(path) is None
