"""Times in the database. SQLite has texts that sort as the times do, PostgreSQL has ``timestamptz``."""

from datetime import UTC, datetime
from typing import Any


def to_text(time: datetime) -> str:
    """Return a time in UTC, always in 27 characters: ``2026-11-28T09:30:00.000000Z``."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_time(value: Any) -> Any:
    """Return a time of either database as a datetime in UTC, and None as it is."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
