"""Keeps a copy of the callflows of many accounts in a database, with their history.

If nothing has changed in an account, refreshing it takes two requests. The database is an SQLite file or a PostgreSQL
database. PostgreSQL needs the extra ``postgres``.
"""

from .answers import NumberUse, StoredChange, Use, Version
from .errors import MirrorError, NotKnownError
from .mirror import Mirror
from .refresh import AccountRefresh, MirrorRefresh
from .store import AccountStatus

__all__ = [
    "AccountRefresh",
    "AccountStatus",
    "Mirror",
    "MirrorError",
    "MirrorRefresh",
    "NotKnownError",
    "NumberUse",
    "StoredChange",
    "Use",
    "Version",
]


def _claim() -> None:
    """Set the ``__module__`` of the public classes to the path that users import from.

    Tracebacks, pickles and ``help()`` show this path.
    """
    for name in __all__:
        globals()[name].__module__ = __name__


_claim()
