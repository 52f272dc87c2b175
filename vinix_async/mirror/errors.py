"""The exceptions of the mirror."""

from .. import VinixError


class MirrorError(VinixError):
    """The mirror cannot be used.

    For example, its database is missing, damaged, locked or unreachable, or was written by a newer version of the
    library. The error is also raised if the mirror has been closed.
    """


class NotKnownError(VinixError):
    """A query asks for an account, a callflow or a time for which the mirror has no data.

    The query does not return an empty result, because that would mean that nothing existed.
    """
