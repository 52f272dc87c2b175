"""The exceptions of the mirror."""

from .. import VinixError


class MirrorError(VinixError):
    """The mirror cannot be used.

    For example, its database is missing, damaged, locked or unreachable, or was written by a newer version of the
    library. The error is also raised if the mirror has been closed.
    """


def damaged(what: str) -> MirrorError:
    """Return the error for a stored value that cannot be read. The error does not contain the value."""
    return MirrorError(f"the mirror is damaged: {what} is invalid; restore a backup, or refresh into a new database")


class NotKnownError(VinixError):
    """A query asks for an account, a callflow or a time for which the mirror has no data.

    The query does not return an empty result, because that would mean that nothing existed.
    """
