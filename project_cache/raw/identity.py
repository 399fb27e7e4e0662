"""Identities: subjects, dates, probes and sessions, as the names of files and folders tell them.

A session is a subject on a day, ``668755_2023-08-31``; a second recording of that day (the surface channels of
the probes) has the index 1, ``668755_2023-08-31_1``. The records hold such things in one
form each, whatever text they are made from.
"""

from __future__ import annotations

import datetime
import re
from typing import NoReturn, Self

from project_cache.errors import ConfigurationError
from project_cache.raw.names import (
    extract_aind_session_id,
    extract_camera_name,
    extract_date,
    extract_datetime,
    extract_probe_letter,
    extract_session_id,
    extract_session_index,
    extract_subject,
    extract_time,
)

__all__ = [
    "AINDSessionRecord",
    "DateRecord",
    "DatetimeRecord",
    "ProbeRecord",
    "ProjectRecord",
    "RigRecord",
    "SessionRecord",
    "SubjectRecord",
    "TimeRecord",
    "extract_aind_session_id",
    "extract_camera_name",
    "extract_date",
    "extract_datetime",
    "extract_probe_letter",
    "extract_session_id",
    "extract_session_index",
    "extract_subject",
    "extract_time",
]

#: under another name: a record below has a property of the same name as the module
_Datetime = datetime.datetime

_RIG = re.compile(
    r"(?:(?P<np>NP|OG)\.?(?P<number>[0-9]+)"
    r"|(?:BEH(?:NSB|DEV)?\.?)?(?P<letter>[A-Z])(?:[-_.]?(?:[Bb][Oo][Xx])?[-_.]?(?P<box>[0-9]+|UNKNOWN))?)"
)
#: behavior rigs of the developers; those of all other letters are the behavior team's (NSB)
_DEVELOPERS_RIGS = "B"


class _Record:
    """What the records have in common: they never change."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only: make another record instead.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only.")


class SubjectRecord(_Record, int):
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


class _TextRecord(_Record, str):
    """A record whose value is a text, compared by it."""

    __slots__ = ()

    def __new__(cls, value: object) -> Self:
        """Return the record that a text (or what prints as one) holds."""
        return str.__new__(cls, cls._parsed(str(value)))

    @classmethod
    def _parsed(cls, text: str) -> str:
        """Return the value in a text, in its one form."""
        raise NotImplementedError

    @property
    def id(self) -> str:
        """The text."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str | datetime.date | datetime.time):
            return NotImplemented
        return self.id == str(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.id,)


class DateRecord(_TextRecord):
    """A day, ``YYYY-MM-DD``, found in any text; after 2015 and not after this year.

    Examples
    --------
    >>> DateRecord("DRpilot_668755_20230831"), DateRecord("2023-08-31").month
    (DateRecord('2023-08-31'), 8)
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, date: str) -> str:
        found = extract_date(date)
        if found is None:
            raise ConfigurationError(f"{date!r} has no date such as 2023-08-31.")
        return _checked_date(found, date)

    @property
    def dt(self) -> datetime.date:
        """The day."""
        return datetime.date.fromisoformat(self.id)

    @property
    def year(self) -> int:
        """The year."""
        return self.dt.year

    @property
    def month(self) -> int:
        """The month, 1 to 12."""
        return self.dt.month

    @property
    def day(self) -> int:
        """The day of the month."""
        return self.dt.day


class TimeRecord(_TextRecord):
    """A time of day, ``HH:MM:SS``, found in any text.

    Examples
    --------
    >>> TimeRecord("ecephys_668755_2023-08-31_12-33-31").minute
    33
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, time: str) -> str:
        found = extract_time(time)
        if found is None:
            raise ConfigurationError(f"{time!r} has no time such as 12:33:31.")
        return found

    @property
    def dt(self) -> datetime.time:
        """The time."""
        return datetime.time.fromisoformat(self.id)

    @property
    def hour(self) -> int:
        """The hour, 0 to 23."""
        return self.dt.hour

    @property
    def minute(self) -> int:
        """The minute."""
        return self.dt.minute

    @property
    def second(self) -> int:
        """The second."""
        return self.dt.second


class DatetimeRecord(DateRecord):
    """A day and time, ``YYYY-MM-DD HH:MM:SS``, found in any text; midnight where there is only a day.

    Examples
    --------
    >>> DatetimeRecord("RFMapping_712345_20231114_123411.hdf5")
    DatetimeRecord('2023-11-14 12:34:11')
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, time: str) -> str:
        found = extract_datetime(time)
        if found is None:
            date = extract_date(time)
            if date is None:
                raise ConfigurationError(f"{time!r} has no date and time such as 2023-08-31 12:33:31.")
            found = f"{date} 00:00:00"
        _checked_date(found[:10], time)
        return found

    @property
    def dt(self) -> datetime.datetime:
        """The day and time, without a time zone."""
        return datetime.datetime.fromisoformat(self.id)

    @property
    def date(self) -> DateRecord:
        """The day."""
        return DateRecord(self.id)

    @property
    def hour(self) -> int:
        """The hour, 0 to 23."""
        return self.dt.hour

    @property
    def minute(self) -> int:
        """The minute."""
        return self.dt.minute

    @property
    def second(self) -> int:
        """The second."""
        return self.dt.second


def _checked_date(date: str, given: str) -> str:
    try:
        year = datetime.date.fromisoformat(date).year
    except ValueError:
        raise ConfigurationError(f"{given!r}: {date} is not a day of the calendar.") from None
    if not 2015 < year <= datetime.date.today().year:
        raise ConfigurationError(f"Invalid year in {given!r}: recordings are from 2016 to this year.")
    return date


class ProbeRecord(_TextRecord):
    """A probe by its letter, A to F.

    Examples
    --------
    >>> probe = ProbeRecord("Neuropix-PXI-100.ProbeA-AP")
    >>> probe == "A", probe == "probeA", probe.name
    (True, False, 'probeA')
    """

    __slots__ = ()

    @classmethod
    def _parsed(cls, probe: str) -> str:
        letter = extract_probe_letter(probe)
        if letter is None:
            raise ConfigurationError(f"{probe!r} names no probe: 'probeA' and 'A' do, up to F.")
        return letter

    @property
    def letter(self) -> str:
        """The letter."""
        return self.id

    @property
    def name(self) -> str:
        """``probeA`` and so on."""
        return f"probe{self.id}"


class ProjectRecord(_TextRecord):
    """A project by its name: DynamicRouting, TempletonPilotSession."""

    __slots__ = ()

    @classmethod
    def _parsed(cls, project: str) -> str:
        name = project.strip()
        if not name:
            raise ConfigurationError("A project has a name.")
        return name


class SessionRecord(_TextRecord):
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
        _checked_date(found.split("_")[1], session)
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


class AINDSessionRecord(_TextRecord):
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
        _checked_date(found.split("_")[2], asset)
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


class RigRecord(_TextRecord):
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
