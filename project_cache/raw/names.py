"""Names: the subject, date, time, probe or camera that the name of a file or folder tells.

File servers, rigs and clouds each write them in a way of their own; the functions here find them in any of these.
"""

from __future__ import annotations

import re

from project_cache.errors import ConfigurationError

__all__ = [
    "extract_aind_session_id",
    "extract_camera_name",
    "extract_date",
    "extract_datetime",
    "extract_probe_letter",
    "extract_session_id",
    "extract_session_index",
    "extract_subject",
    "extract_time",
    "is_session_name",
]

_YEAR, _MONTH, _DAY = (
    r"(?P<year>20[12][0-9])",
    r"(?P<month>0[1-9]|1[0-2])",
    r"(?P<day>0[1-9]|[12][0-9]|3[01])",
)
_HOUR, _MINUTE, _SECOND = r"(?P<hour>[01][0-9]|2[0-3])", r"(?P<minute>[0-5][0-9])", r"(?P<second>[0-5][0-9])"
_DATE = f"{_YEAR}[-/]?{_MONTH}[-/]?{_DAY}"
_TIME = rf"{_HOUR}[-:.]?{_MINUTE}[-:.]?{_SECOND}(?:\.[0-9]{{1,6}})?"

_DATE_ONLY = re.compile(_DATE)
_DATETIME = re.compile(rf"{_DATE}\D{_TIME}(?![0-9])")
_DATE_AND_TIME_IF_ANY = re.compile(rf"{_DATE}(?:\D{_TIME}(?![0-9]))?")
# not inside of a longer number: movie ids have ten digits, six of which often read as a time
_TIME_ONLY = re.compile(rf"(?<![0-9]){_TIME}(?![0-9])")
_SUBJECT = re.compile(r"(?<![0-9])[0-9]{6,7}(?![0-9])")
_INDEX = re.compile(r"_([0-9]+)$")
_PROBE = re.compile(r"(?<=[pP]robe)[-_ ]*([A-F])(?![A-Za-z])")
_AIND = re.compile(
    rf"(?P<platform>[^/\\_]+)_(?P<subject>[0-9]{{6,7}})"
    rf"_{_YEAR}[-/_]{_MONTH}[-/_]{_DAY}_{_HOUR}[-:._]{_MINUTE}[-:._]{_SECOND}"
)
_CAMERAS = (("eye", "eye"), ("face", "face"), ("beh", "behavior"), ("nose", "nose"), ("_box_", "behavior"))


def extract_datetime(text: str) -> str | None:
    """Return the date and time in a text as ``YYYY-MM-DD HH:MM:SS``; None where they do not stand together.

    Examples
    --------
    >>> extract_datetime("20230803T120415.h5")
    '2023-08-03 12:04:15'
    """
    found = _DATETIME.search(text)
    return f"{_iso_date(found)} {_iso_time(found)}" if found else None


def extract_date(text: str) -> str | None:
    """Return the date in a text as ``YYYY-MM-DD``, or None: one with a time before one without.

    Examples
    --------
    >>> extract_date("DRpilot_668755_20230831")
    '2023-08-31'
    """
    found = _DATETIME.search(text) or _DATE_ONLY.search(text)
    return _iso_date(found) if found else None


def extract_time(text: str) -> str | None:
    """Return the time in a text as ``HH:MM:SS``, or None: one after a date before one that stands alone.

    Examples
    --------
    >>> extract_time("ecephys_668755_2023-08-31_12-33-31")
    '12:33:31'
    >>> extract_time("668755_2023-08-31_00-00_dlc") is None
    True
    """
    found = _DATETIME.search(text) or _TIME_ONLY.search(_DATE_ONLY.sub("", text))
    return _iso_time(found) if found else None


def extract_subject(text: str) -> int | None:
    """Return the subject in a text, a number of 6 or 7 digits that is no part of a date, or None.

    Examples
    --------
    >>> extract_subject("0123456789_366122_20220425")
    366122
    """
    found = _SUBJECT.search(_DATE_AND_TIME_IF_ANY.sub("", text))
    return int(found.group()) if found else None


def extract_session_index(text: str) -> int:
    """Return the number that ends a text after an underscore, once subject and date are taken away; or 0.

    Examples
    --------
    >>> extract_session_index("366122_20210601_1"), extract_session_index("366122_20210601")
    (1, 0)
    """
    rest = _DATE_AND_TIME_IF_ANY.sub("", text)
    found = _INDEX.search(_SUBJECT.sub("", rest, count=1))
    return int(found.group(1)) if found else 0


def extract_session_id(text: str, *, include_null_index: bool = False) -> str:
    """Return the session in a text as ``subject_YYYY-MM-DD``, with ``_index`` where it is not 0.

    Parameters
    ----------
    text : str
        A name, a path or an address.
    include_null_index : bool
        Whether ``_0`` is written too.

    Raises
    ------
    ConfigurationError
        The text has no date or no subject. (It is a ValueError.)

    Examples
    --------
    >>> extract_session_id("s3://bucket/ecephys_670248_2023-08-03_12-04-15")
    '670248_2023-08-03'
    """
    text = str(text)
    date, subject = extract_date(text), extract_subject(text)
    if date is None or subject is None:
        lacking = " and ".join(
            n for n, v in (("date", date), ("subject of 6 or 7 digits", subject)) if v is None
        )
        raise ConfigurationError(f"{text!r} is no session: it has no {lacking}. 668755_2023-08-31 is one.")
    index = extract_session_index(text)
    return f"{subject}_{date}" + (f"_{index}" if index or include_null_index else "")


def is_session_name(text: str) -> bool:
    """Return whether a name ends with a subject and a date (in either order), and perhaps an index.

    So do the names of raw folders; those of what was made of them (videos' features, sorted output) go on.

    Examples
    --------
    >>> is_session_name("DRpilot_668755_20230831_1"), is_session_name("668755_2023-08-31_dlc")
    (True, False)
    """
    marked = _SUBJECT.sub("\0", _DATE_AND_TIME_IF_ANY.sub("\0", text))
    return re.search(r"\0\D\0(_[0-9]+)?$", marked) is not None


def extract_aind_session_id(text: str) -> str | None:
    """Return the asset in a text as ``platform_subject_YYYY-MM-DD_HH-MM-SS``, or None.

    Examples
    --------
    >>> extract_aind_session_id("s3://bucket/ecephys_366122_2022_04_25_14_24_35/behavior")
    'ecephys_366122_2022-04-25_14-24-35'
    """
    found = _AIND.search(text)
    if not found:
        return None
    time = _iso_time(found).replace(":", "-")
    return f"{found['platform']}_{found['subject']}_{_iso_date(found)}_{time}"


def extract_probe_letter(text: str) -> str | None:
    """Return the letter A to F of the probe that a text names, or None.

    Examples
    --------
    >>> extract_probe_letter("Neuropix-PXI-100.ProbeA-AP"), extract_probe_letter("Probe B2"), extract_probe_letter("F")
    ('A', 'B', 'F')
    """
    if re.fullmatch("[A-F]", text):
        return text
    found = _PROBE.search(text)
    return found.group(1) if found else None


def extract_camera_name(text: str) -> str | None:
    """Return ``"eye"``, ``"face"``, ``"behavior"`` or ``"nose"``, whichever camera a file's name is of; or None.

    Examples
    --------
    >>> extract_camera_name("1332563048_717439_20240222.beh.mp4"), extract_camera_name("x_Box_3_20230101.avi")
    ('behavior', 'behavior')
    """
    lower = text.lower()
    return next((name for part, name in _CAMERAS if part in lower), None)


def _iso_date(found: re.Match[str]) -> str:
    return f"{found['year']}-{found['month']}-{found['day']}"


def _iso_time(found: re.Match[str]) -> str:
    return f"{found['hour']}:{found['minute']}:{found['second']}"
