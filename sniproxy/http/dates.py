"""HTTP dates: formatting, and parsing the three forms of RFC 9110, section 5.6.7, as nginx does."""

from __future__ import annotations

import calendar
import re
from email.utils import formatdate
from typing import Final

_CLOCK: Final = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# nginx looks only at as many letters of a month as needed to identify it.
_MONTH: Final = "(?P<month>[JFMASOND]..)"
_DAY_FIRST: Final = re.compile(
    rf"""
    [^, ]* , [ ]* (?P<day>[0-9]{{2}})
    (?: [ ] {_MONTH} [ ] (?P<year>[0-9]{{4}}) | - {_MONTH.replace("month", "short_month")} -
        (?P<short_year>[0-9]{{2}}) )
    [ ] {_CLOCK}
    """,
    re.VERBOSE | re.DOTALL,
)
_MONTH_FIRST: Final = re.compile(
    rf"""
    [^, ]* [ ]+ {_MONTH} . [ ]? (?P<day>[0-9]{{1,2}}) [ ] {_CLOCK} [ ] (?P<year>[0-9]{{4}})
    """,
    re.VERBOSE | re.DOTALL,
)


def http_date(seconds: int) -> str:
    """Format a POSIX time as `Sun, 06 Nov 1994 08:49:37 GMT`."""
    return formatdate(seconds, usegmt=True)


def cookie_date(seconds: int) -> str:
    """Format a POSIX time as `Sun, 06-Nov-94 08:49:37 GMT`, the form that old browsers know.

    As in nginx the year has four digits after 2037.
    """
    day, date, month, year, clock, zone = http_date(seconds).split(" ")
    return f"{day} {date}-{month}-{year if int(year) > 2037 else year[2:]} {clock} {zone}"


def parse_http_date(text: str) -> int | None:
    """Parse a date to POSIX time; None if nginx cannot parse it.

    The weekday and the text after the time are ignored.
    """
    match = _DAY_FIRST.match(text) or _MONTH_FIRST.match(text)
    if match is None:
        return None
    found = match.groupdict()
    if found.get("short_year") is None:
        year, month = int(found["year"]), _month(found["month"])
    else:
        year, month = _century(int(found["short_year"])), _month(found["short_month"])
    day, hour, minute, second = (int(found[key]) for key in ("day", "hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59 or not year:
        return None
    if day > calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _century(year: int) -> int:
    return year + (2000 if year < 70 else 1900)


def _month(letters: str) -> int:
    match letters[0]:
        case "J":
            return 1 if letters[1] == "a" else 6 if letters[2] == "n" else 7
        case "M":
            return 3 if letters[2] == "r" else 5
        case "A":
            return 4 if letters[1] == "p" else 8
    return {"F": 2, "S": 9, "O": 10, "N": 11, "D": 12}[letters[0]]
