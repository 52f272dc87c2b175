"""Converts times to and from their form in the database.

SQLite stores a time as text, whose alphabetical order is the chronological order. PostgreSQL stores ``timestamptz``.
"""

from datetime import UTC, datetime
from typing import Any


def to_text(time: datetime) -> str:
    """Return a time as text in UTC, which always has 27 characters, such as ``2026-11-28T09:30:00.000000Z``."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_time(value: Any) -> Any:
    """Return a time from either database as a datetime in UTC. None is returned unchanged."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
