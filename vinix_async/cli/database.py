"""Open the database of ``vinix mirror``, which ``--db`` or ``VINIX_MIRROR`` names."""

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import parse_qs, urlsplit

from cyclopts import Parameter

from .exit_codes import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..mirror import Mirror

Database: TypeAlias = Annotated[
    str | None,
    Parameter(name="--db", help="The database: a file, or a postgresql:// address (default: VINIX_MIRROR)."),
]


def database(option: str | None) -> str:
    """Return the file or address of the database. Raises ``UsageError`` if ``--db`` contains a password."""
    if option is None:
        if not (address := os.environ.get("VINIX_MIRROR")):
            raise UsageError("name the database with --db, or set VINIX_MIRROR")
        return address
    if "://" in option:
        try:
            parts = urlsplit(option)
            has_password = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
        except ValueError:
            raise UsageError("--db is not a valid postgresql:// address") from None
        if has_password:
            raise UsageError(
                "--db must not contain a password, because other users can see command lines: put the address into "
                "VINIX_MIRROR, or the password into ~/.pgpass"
            )
    return option


@asynccontextmanager
async def open_mirror(option: str | None) -> "AsyncIterator[Mirror]":
    """Open the mirror for a block. ``option`` is the value of ``--db``."""
    from ..mirror import Mirror  # noqa: PLC0415  # slow to import, and --help does not need it

    async with Mirror(database(option)) as opened:
        yield opened
