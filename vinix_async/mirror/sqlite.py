"""Stores a mirror in an SQLite file."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from .._locks import try_lock, unlock
from .errors import MirrorError
from .schema import MIGRATIONS
from .times import to_text

_APPLICATION: Final = 0x56_4E_58_4D
"""The application id of a mirror's file ("VNXM"). It distinguishes a mirror from other SQLite databases."""

_BUSY_TIMEOUT: Final = 30.0
"""The number of seconds to wait while another connection writes to the file."""

_CACHE_KIB: Final = 65_536

_TYPES: Final = {
    "text": "text",
    "time": "text",
    "bytes": "blob",
    "json": "text",
    "key": "integer PRIMARY KEY",
    "clustered": "WITHOUT ROWID",
}

_MEANINGS: Final = {
    "SQLITE_BUSY": "is locked by another process: try again later",
    "SQLITE_CANTOPEN": "cannot be opened: check its permissions and those of its folder",
    "SQLITE_CORRUPT": "is damaged: restore a backup, or refresh into a new file",
    "SQLITE_FULL": "cannot grow: the disk is full",
    "SQLITE_IOERR": "cannot be read or written: the disk reported an error",
    "SQLITE_NOTADB": "is not an SQLite database",
    "SQLITE_READONLY": "cannot be written: check its permissions and those of its folder",
}


class SqliteDatabase:
    """A connection to an SQLite file. All methods must be called from the same thread."""

    # sqlite3 cannot decode some error messages about damaged files.
    failures: tuple[type[Exception], ...] = (sqlite3.Error, UnicodeDecodeError)

    def __init__(self, path: Path) -> None:
        self._name = path
        # Symbolic links are resolved, so that all paths of the file lead to the same lock file. The path is absolute,
        # because the working directory may change.
        self._path = Path(os.path.realpath(path))
        self._lock_file: int | None = None
        self._connection: sqlite3.Connection

    def connect(self, *, create: bool) -> None:
        """Open the file, and upgrade tables of an older version. If ``create`` is true, a missing file is created."""
        try:
            has_folder, exists = self._path.parent.is_dir(), self._path.exists()
        except OSError as error:  # before Python 3.14: the path is too long, or a folder in it cannot be entered
            raise MirrorError(f"the mirror {self._name} cannot be opened: {error.strerror}") from None
        if not has_folder:
            raise MirrorError(f"the mirror {self._name} cannot be opened: its folder does not exist")
        if not create and not exists:
            raise MirrorError(f"the mirror {self._name} does not exist: `vinix mirror refresh` creates it")
        self._connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(create=create)
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self, *, create: bool) -> None:
        self.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA synchronous = NORMAL")
        if create:
            self.execute("PRAGMA journal_mode = WAL")
        if self._pragma("user_version") != len(MIGRATIONS) or self._pragma("application_id") != _APPLICATION:
            with self.transaction():
                self._migrate(create=create)

    def _migrate(self, *, create: bool) -> None:
        version = self._pragma("user_version")
        is_empty = self.execute("SELECT count(*) FROM sqlite_master") == [(0,)]
        if is_empty and not create:
            raise MirrorError(f"the mirror {self._name} is empty: `vinix mirror refresh` fills it")
        if not is_empty and self._pragma("application_id") != _APPLICATION:
            raise MirrorError(f"{self._name} is an SQLite database, but not a mirror")
        if version > len(MIGRATIONS):
            raise MirrorError(f"a newer version of vinix-async wrote the mirror {self._name}: upgrade vinix-async")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                self.execute(statement.format_map(_TYPES))
        self.execute(f"PRAGMA application_id = {_APPLICATION}")
        self.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _pragma(self, name: str) -> int:
        ((value,),) = self.execute(f"PRAGMA {name}")
        return int(value)

    def is_lost(self) -> bool:
        """Return False, because a connection to a file cannot be lost."""
        return False

    def close(self) -> None:
        """Close the connection, and release the lock."""
        self._connection.close()
        self.end_run()

    # --- statements ---

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self._connection.execute(statement, _adapted(values)).fetchall()

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values."""
        self._connection.executemany(statement, map(_adapted, rows))

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert ``rows`` into a table."""
        marks = ", ".join("?" * len(columns))
        self.execute_many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608  # our names

    def new_ids(self, table: str, key: str, count: int) -> list[int]:
        """Return ``count`` ids for new rows, which must be inserted in the same transaction."""
        ((last,),) = self.execute(f"SELECT coalesce(max({key}), 0) FROM {table}")  # noqa: S608  # our names
        return list(range(last + 1, last + 1 + count))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the ``with`` block in a transaction. If the block raises an exception, the transaction is rolled back."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            raise

    # --- locks ---

    def try_lock(self, account_id: str, *queries: str) -> list[list[tuple[Any, ...]]] | None:
        """Lock all accounts of the file and return the rows of each query in ``queries``.

        The only parameter of each query is the account id. Return None if another connection holds the lock.

        The lock is a lock of the operating system on a separate file next to the database. ``end_run`` releases the
        lock, and so does the operating system when the process ends.
        """
        if self._lock_file is None:
            self._lock_file = self._locked_file()
        return None if self._lock_file is None else [self.execute(query, account_id) for query in queries]

    def _locked_file(self) -> int | None:
        """Lock the lock file and return its descriptor. Return None if another connection has locked the file."""
        lock_file = f"{self._path}-lock"
        descriptor = None
        try:
            descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o644)
            if try_lock(descriptor):
                return descriptor
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            raise MirrorError(f"the mirror's lock file {lock_file} cannot be used: {error.strerror}") from None
        os.close(descriptor)
        return None

    def unlock(self, account_id: str) -> None:
        """Do nothing. The whole file stays locked until ``end_run``."""

    def end_run(self) -> None:
        """Release the lock of the file."""
        if self._lock_file is not None:
            unlock(self._lock_file)
            os.close(self._lock_file)
            self._lock_file = None

    # --- errors ---

    def explain(self, error: Exception) -> MirrorError:
        """Return the ``MirrorError`` that describes an error of the driver."""
        name = getattr(error, "sqlite_errorname", "")
        if not name and not isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
            name = "SQLITE_CORRUPT"  # a stored text is not valid UTF-8; the error contains the text
        meaning = next(
            (words for code, words in _MEANINGS.items() if name.startswith(code)), f"cannot be used: {error}"
        )
        return MirrorError(f"the mirror {self._name} {meaning}")


def _adapted(values: Sequence[Any]) -> list[Any]:
    """Return ``values`` with datetimes converted to text."""
    return [to_text(value) if isinstance(value, datetime) else value for value in values]
