"""Parse the dates, times and spans that options accept, and format times."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from .exit_codes import UsageError

_SPAN: Final = re.compile(r"(\d+)([mhdw])")
_SPAN_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PERIOD: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def span(option: str, text: str) -> timedelta:
    """Return the length of a span such as ``12h``. Raises a ``UsageError`` that names ``option`` for any other text."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise UsageError(f"{option} must be a span such as 12h, not {text!r}")
    try:
        return timedelta(**{_SPAN_UNITS[found[2]]: int(found[1])})
    except (ValueError, OverflowError):
        raise UsageError(f"{option} must be a shorter span, not {text!r}") from None


def utc_time(option: str, text: str, zone: tzinfo | None = UTC) -> datetime:
    """Return the time that a text names: a date with a time, a date (its beginning), or a span before now.

    ``zone``: the time zone to use if the text does not have one. None stands for local time.
    """
    is_span = _SPAN.fullmatch(text)
    try:
        if is_span:
            return datetime.now(UTC) - span(option, text)
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        wanted = "a shorter span" if is_span else "a date such as 2026-11-20 or a span such as 7d"
        raise UsageError(f"{option} must be {wanted}, not {text!r}") from None


def utc_period(option: str, text: str) -> tuple[datetime, datetime]:
    """Return when a year, a month or a day (``2026``, ``2026-03`` or ``2026-03-05``) begins and ends in UTC."""
    found = _PERIOD.fullmatch(text)
    try:
        year, month, day = found.groups() if found else ("", None, None)
        begin = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        if day:
            return begin, begin + timedelta(days=1)
        if month:
            return begin, (begin + timedelta(days=31)).replace(day=1)
        return begin, begin.replace(year=begin.year + 1)
    except (ValueError, OverflowError):
        message = f"{option} must be a year, a month or a day, such as 2026-03 or 2026-03-05, not {text!r}"
        raise UsageError(message) from None


def shown_time(time: datetime | None) -> str:
    """Return a time in UTC to the second, such as ``2026-11-20 08:30:00Z``, or an empty text for None."""
    return f"{time:%Y-%m-%d %H:%M:%S}Z" if time else ""
