"""Converts dates to Kazoo's format, which is Gregorian seconds (seconds since the year 0)."""

GREGORIAN_EPOCH = 62_167_219_200
"""Seconds from the beginning of the year 0 to the beginning of 1970."""


def gregorian_seconds(unix_time: float) -> int:
    """Convert a Unix time to Gregorian seconds."""
    return int(unix_time) + GREGORIAN_EPOCH
