"""Identities: subjects, projects, rigs and sessions, as the names of files and folders tell them.

A session is a subject on a day, ``668755_2023-08-31``; a second recording of that day (the surface channels of
the probes) has the index 1, ``668755_2023-08-31_1``. The records hold such things in one
form each, whatever text they are made from.
"""

from __future__ import annotations

import datetime
import re
from typing import Self

from project_cache.errors import ConfigurationError
from project_cache.raw.dates import DateRecord, DatetimeRecord, TimeRecord, checked_date
from project_cache.raw.names import extract_aind_session_id, extract_session_id
from project_cache.raw.records import Record, TextRecord

__all__ = [
    "AINDSessionRecord",
    "ProjectRecord",
    "RigRecord",
    "SessionRecord",
    "SubjectRecord",
]

#: under another name: a record below has a property of the same name as the module
_Datetime = datetime.datetime

_RIG = re.compile(
    r"(?:(?P<np>NP|OG)\.?(?P<number>[0-9]+)"
    r"|(?:BEH(?:NSB|DEV)?\.?)?(?P<letter>[A-Z])(?:[-_.]?(?:[Bb][Oo][Xx])?[-_.]?(?P<box>[0-9]+|UNKNOWN))?)"
)
#: behavior rigs of the developers; those of all other letters are the behavior team's (NSB)
_DEVELOPERS_RIGS = "B"


class SubjectRecord(Record, int):
    """A subject (mouse) by its number.

    Examples
    --------
    >>> SubjectRecord("366122") == 366122
    True
    """

    __slots__ = ()

    def __new__(cls, subject: int | str) -> Self:
        """Return the record of a number, or of a text that is one."""
        try:
            return int.__new__(cls, int(str(subject)))
        except ValueError:
            raise ConfigurationError(f"{subject!r} is no subject: a whole number is.") from None

    @property
    def id(self) -> int:
        """The number."""
        return int(self)

    def __str__(self) -> str:
        return int.__repr__(self)

    def __repr__(self) -> str:
        return f"SubjectRecord({int(self)})"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, int | str) else NotImplemented

    def __hash__(self) -> int:
        return int.__hash__(self)


class ProjectRecord(TextRecord):
    """A project by its name: DynamicRouting, TempletonPilotSession."""

    __slots__ = ()

    @classmethod
    def _parsed(cls, project: str) -> str:
        name = project.strip()
        if not name:
            raise ConfigurationError("A project has a name.")
        return name


class SessionRecord(TextRecord):
    """A session: a subject on a day, and which of that day's recordings.

    As a text it is ``668755_2023-08-31``, with ``_1`` for the second recording of the day; what it stores, hashes
    and gives to the methods of ``str`` always has the index (``668755_2023-08-31_0``).

    Parameters
    ----------
    session : str
        Any text with a subject and a date.

    Examples
    --------
    >>> session = SessionRecord("ecephys_668755_2023-08-31_12-33-31")
    >>> session, session.subject, session.date, session.idx
    (SessionRecord('668755_2023-08-31'), SubjectRecord(668755), DateRecord('2023-08-31'), 0)
    >>> session == "DRpilot_668755_20230831", session == "668755_2023-08-31_1"
    (True, False)
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, session: str) -> str:
        found = extract_session_id(session, include_null_index=True)
        checked_date(found.split("_")[1], session)
        return found

    @property
    def id(self) -> str:
        """The whole text, with the index."""
        return str.__str__(self)

    @property
    def subject(self) -> SubjectRecord:
        """The subject."""
        return SubjectRecord(self.id.split("_")[0])

    @property
    def date(self) -> DateRecord:
        """The day."""
        return DateRecord(self.id.split("_")[1])

    @property
    def idx(self) -> int:
        """Which of the day's recordings: 0 is the main one, 1 that of the surface channels."""
        return int(self.id.split("_")[2])

    def with_idx(self, idx: int) -> SessionRecord:
        """Return the same subject and day with another index."""
        return self if idx == self.idx else SessionRecord(f"{self.subject}_{self.date}_{idx}")

    def __str__(self) -> str:
        return self.id.removesuffix("_0")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return False
        try:
            return self.id == SessionRecord(other).id
        except ValueError:
            return False

    def __hash__(self) -> int:
        return str.__hash__(self)


class AINDSessionRecord(TextRecord):
    """A data asset in the cloud: platform, subject, and when the recording began.

    Examples
    --------
    >>> asset = AINDSessionRecord("s3://bucket/ecephys_366122_2022-04-25_14-24-35/behavior")
    >>> asset, asset.platform, asset.time
    (AINDSessionRecord('ecephys_366122_2022-04-25_14-24-35'), 'ecephys', TimeRecord('14:24:35'))
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, asset: str) -> str:
        found = extract_aind_session_id(asset)
        if found is None:
            raise ConfigurationError(f"{asset!r} names no asset such as ecephys_366122_2022-04-25_14-24-35.")
        checked_date(found.split("_")[2], asset)
        return found

    @property
    def platform(self) -> str:
        """The kind of recording: ecephys, behavior."""
        return self.id.split("_")[0]

    @property
    def subject(self) -> SubjectRecord:
        """The subject."""
        return SubjectRecord(self.id.split("_")[1])

    @property
    def date(self) -> DateRecord:
        """The day."""
        return DateRecord(self.id.split("_")[2])

    @property
    def time(self) -> TimeRecord:
        """The time of day."""
        return TimeRecord(self.id.split("_")[3])

    @property
    def datetime(self) -> DatetimeRecord:
        """Day and time."""
        return DatetimeRecord(f"{self.date} {self.time}")

    @property
    def dt(self) -> _Datetime:
        """Day and time, without a time zone."""
        return self.datetime.dt


class RigRecord(TextRecord):
    """A rig, in the form ``NP.0``, ``BEHNSB.D-2`` or ``BEHDEV.B-UNKNOWN``.

    Examples
    --------
    >>> [str(RigRecord(name)) for name in ("NP0", "BEH.D-Box2", "BEH.B")]
    ['NP.0', 'BEHNSB.D-2', 'BEHDEV.B-UNKNOWN']
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, rig: str) -> str:
        found = _RIG.fullmatch(rig.strip())
        if found is None:
            raise ConfigurationError(f"{rig!r} names no rig such as NP3, BEH.E or B2.")
        if found["np"]:
            return f"{found['np']}.{found['number']}"
        team = "DEV" if found["letter"] in _DEVELOPERS_RIGS else "NSB"
        return f"BEH{team}.{found['letter']}-{found['box'] or 'UNKNOWN'}"
