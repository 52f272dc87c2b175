"""A copy of the callflows of many accounts in a database, with their history.

A refresh costs two requests for an account in which nothing has changed. The database is an SQLite file, or PostgreSQL
for a team: ``pip install 'vinix-async[postgres]'``.
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
    """Let the public classes say where users import them, for tracebacks, pickles and ``help()``."""
    for name in __all__:
        globals()[name].__module__ = __name__


_claim()
