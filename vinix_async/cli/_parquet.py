"""Parquet. A file of it is whole only with its last bytes, so the rows wait in a file of lines until all are there."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from .. import Account
from .._documents.json import parse_json
from ._errors import UsageError
from ._files import plain_mode, replacing
from ._rows import NEVER_NULL, TEXTS, column_names
from ._writers import Ending, File, Lines, Rows, line_writer

_ROWS: Final = 10_000
_BYTES: Final = 16 * 2**20
"""The most that a row group has, in rows and in bytes of their lines."""


class Parquet:
    """Lines of cells, turned into a Parquet file at the end. ``to`` is None for stdout.

    The lines stay as long as there are rows that may still come: a job that was stopped, or accounts that failed.
    """

    def __init__(self, to: Path | None, waiting: Path, size: int, *, details: bool) -> None:
        check_pyarrow()
        self._to = to
        self._waiting = waiting
        self._details = details
        self._lines: Lines = line_writer(
            "cells", File(waiting, size, mode=0o600), details=details, raw=True, header=False
        )

    def write(self, account: Account, callflows: Rows) -> None:
        """Keep some rows of an account."""
        self._lines.write(account, callflows)

    def save(self) -> int:
        """Make the lines durable."""
        return self._lines.save()

    def end(self, how: Ending) -> None:
        """Write the Parquet file, unless more rows come another time; the lines go when they are complete."""
        self._lines.end(how)
        if how is Ending.STOPPED:
            return
        if self._to is None:
            write_parquet(self._waiting, sys.stdout.buffer, details=self._details)
            sys.stdout.flush()
        else:
            with replacing(self._to, mode=plain_mode()) as fresh:
                write_parquet(self._waiting, str(fresh), details=self._details)
        if how is Ending.COMPLETE:
            self._waiting.unlink()


def check_pyarrow() -> None:
    """Raise ``UsageError`` before anything is asked, if the extra is not there."""
    try:
        import pyarrow  # noqa: F401, ICN001, PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("Parquet needs its extra: pip install 'vinix-async[parquet]'") from None


def write_parquet(lines: Path, file: Any, *, details: bool) -> None:
    """Write a Parquet file of the rows in ``lines``, a row group at a time."""
    import pyarrow as pa  # noqa: PLC0415  # an extra, and slow to import
    from pyarrow import parquet  # noqa: PLC0415  # as above

    names = column_names(details=details)
    kinds = [pa.list_(pa.string()) if name in TEXTS else pa.string() for name in names]
    fields = [pa.field(name, kind, name not in NEVER_NULL) for name, kind in zip(names, kinds, strict=True)]
    schema = pa.schema(fields)
    with lines.open("rb") as source, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(source):
            columns = zip(*map(parse_json, group), strict=True)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=_ROWS)


def _groups(source: Any) -> Iterator[list[bytes]]:
    while group := list(_some(source)):
        yield group


def _some(source: Any) -> Iterator[bytes]:
    size = 0
    for line in islice(source, _ROWS):
        yield line
        size += len(line)
        if size >= _BYTES:
            return
