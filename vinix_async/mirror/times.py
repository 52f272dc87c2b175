"""Converts times to and from their form in the database.

SQLite stores times as texts, which sort in chronological order. PostgreSQL stores them as ``timestamptz``.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from .errors import damaged


def to_text(time: datetime) -> str:
    """Return a time as a text of 27 characters, in UTC. An example is ``2026-11-28T09:30:00.000000Z``."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_time(value: Any) -> Any:
    """Convert a time from SQLite or PostgreSQL to a datetime in UTC. None is returned unchanged."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        return datetime.fromisoformat(value)
    raise damaged("a time")
