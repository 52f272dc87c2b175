"""The exceptions of the mirror."""

from .. import VinixError


class MirrorError(VinixError):
    """The mirror cannot be used.

    Its database is for example missing, damaged, locked or unreachable, or a newer version of the library has written
    it. The error is also raised if the mirror has been closed.
    """


class NotKnownError(VinixError):
    """A query asks for an account, a callflow or a time for which the mirror has no data.

    The query does not return an empty result, because that would mean that nothing existed.
    """
