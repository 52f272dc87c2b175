"""The writer of Parquet files.

A Parquet file is readable only when it is complete. Therefore the rows are first collected in a file of lines, which a
resumed job can continue.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from .. import Account
from .exit_codes import UsageError
from .export import Ending, File, Rows, Writer, cell_writer
from .files import default_mode, replacing
from .rows import LIST_COLUMNS, REQUIRED_COLUMNS, column_names

_GROUP_ROWS: Final = 10_000
_GROUP_BYTES: Final = 16 * 2**20
"""The size at which a row group ends, in rows and in bytes of their lines."""


class ParquetWriter(Writer):
    """Collects rows in the file ``lines`` and converts it to Parquet at the end. Without ``to`` it goes to stdout.

    The lines are deleted only after a complete job, since a resumed job adds the rows that are missing.
    """

    def __init__(self, to: Path | None, lines: Path, size: int, *, details: bool) -> None:
        check_pyarrow()
        self._to = to
        self._path = lines
        self._details = details
        self._lines = cell_writer(File(lines, size, mode=0o600), details=details)

    def write(self, account: Account, callflows: Rows) -> None:
        """Collect some callflows of an account."""
        self._lines.write(account, callflows)

    def save(self) -> int:
        """Make the lines durable."""
        return self._lines.save()

    def end(self, how: Ending) -> None:
        """Write the Parquet file, unless the job was stopped."""
        self._lines.end(how)
        if how is Ending.STOPPED:
            return
        if self._to is None:
            write_parquet(self._path, sys.stdout.buffer, details=self._details)
            sys.stdout.flush()
        else:
            with replacing(self._to, mode=default_mode()) as new:
                write_parquet(self._path, str(new), details=self._details)
        if how is Ending.COMPLETE:
            self._path.unlink()


def check_pyarrow() -> None:
    """Raise ``UsageError`` if the extra is not installed."""
    try:
        import pyarrow  # noqa: F401, ICN001, PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("Parquet needs the extra parquet: pip install 'vinix-async[parquet]'") from None


def write_parquet(lines: Path, file: Any, *, details: bool) -> None:
    """Convert the rows in ``lines`` to a Parquet file, one row group at a time."""
    import pyarrow as pa  # noqa: PLC0415  # an extra
    from pyarrow import parquet  # noqa: PLC0415  # an extra

    names = column_names(details=details)
    types = [pa.list_(pa.string()) if name in LIST_COLUMNS else pa.string() for name in names]
    fields = [pa.field(name, kind, name not in REQUIRED_COLUMNS) for name, kind in zip(names, types, strict=True)]
    schema = pa.schema(fields)
    with lines.open("rb") as source, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(_next_group(source)):
            columns = zip(*map(msgspec.json.decode, group), strict=True)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=_GROUP_ROWS)


def _next_group(source: Any) -> Iterator[bytes]:
    size = 0
    for line in islice(source, _GROUP_ROWS):
        yield line
        size += len(line)
        if size >= _GROUP_BYTES:
            return
