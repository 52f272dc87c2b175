"""Keeps a copy of the callflows of many accounts in a database, with their history.

The database is an SQLite file or a PostgreSQL database. PostgreSQL needs the extra ``postgres``. Refreshing an account
in which nothing has changed usually takes two requests.
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


def _set_public_module() -> None:
    """Set the ``__module__`` of the public classes to this package, from which users import them.

    Tracebacks, pickles and ``help()`` use this attribute.
    """
    for name in __all__:
        globals()[name].__module__ = __name__


_set_public_module()
