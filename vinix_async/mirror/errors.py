"""The exceptions of the mirror."""

from .. import VinixError


class MirrorError(VinixError):
    """The database cannot be used: it is missing, damaged, locked, unreachable or written by a newer version."""


class NotKnownError(VinixError):
    """A question is about an account, or a time, of which the mirror knows nothing.

    The answer would be empty, which would look as if the account had no callflows.
    """
