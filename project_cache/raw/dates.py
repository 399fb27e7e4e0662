"""Days and times, as the names of files and folders tell them."""

from __future__ import annotations

import datetime

from project_cache.errors import ConfigurationError
from project_cache.raw.names import extract_date, extract_datetime, extract_time
from project_cache.raw.records import TextRecord

__all__ = ["DateRecord", "DatetimeRecord", "TimeRecord", "checked_date"]


class DateRecord(TextRecord):
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
        return checked_date(found, date)

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


class TimeRecord(TextRecord):
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
        checked_date(found[:10], time)
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


def checked_date(date: str, given: str) -> str:
    """Return a date, if recordings can be of that day; ``given`` is the text that it was found in.

    Raises
    ------
    ConfigurationError
        It is no day, or before 2016 or after this year.
    """
    try:
        year = datetime.date.fromisoformat(date).year
    except ValueError:
        raise ConfigurationError(f"{given!r}: {date} is not a day of the calendar.") from None
    if not 2015 < year <= datetime.date.today().year:
        raise ConfigurationError(f"Invalid year in {given!r}: recordings are from 2016 to this year.")
    return date
