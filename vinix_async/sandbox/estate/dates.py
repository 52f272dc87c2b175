"""Dates as Kazoo counts them: Gregorian seconds, from the year 0."""

GREGORIAN_EPOCH = 62_167_219_200
"""Seconds from the year 0 to 1970."""


def gregorian_seconds(unix_time: float) -> int:
    """Return Kazoo's number for a Unix time."""
    return int(unix_time) + GREGORIAN_EPOCH
