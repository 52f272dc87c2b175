"""Converts dates to Kazoo's format, which is Gregorian seconds (seconds since the year 0)."""

GREGORIAN_EPOCH = 62_167_219_200
"""Seconds from the year 0 to 1970."""


def gregorian_seconds(unix_time: float) -> int:
    """Return the Gregorian seconds of a Unix time."""
    return int(unix_time) + GREGORIAN_EPOCH
