"""The exceptions of the mirror."""

from .. import VinixError


class MirrorError(VinixError):
    """The database cannot be used. It is missing, damaged, locked or unreachable, or a newer version wrote it."""


class NotKnownError(VinixError):
    """A query asks for an account or a time for which the mirror has no data.

    An empty result would look as if the account had no callflows.
    """
