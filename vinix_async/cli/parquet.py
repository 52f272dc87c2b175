"""Convert a file with a JSON array of cells on each line to Parquet."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from .._columns import arrow_schema, arrow_table
from .exit_codes import UsageError
from .files import default_mode, replacing

_GROUP_ROWS: Final = 10_000
_GROUP_BYTES: Final = 16 * 2**20
"""The most rows of a row group, and the most bytes of its lines."""


def check_pyarrow() -> None:
    """Raise ``UsageError`` if the extra ``parquet`` is not installed."""
    try:
        import pyarrow  # noqa: F401, ICN001, PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("Parquet needs the extra parquet: pip install 'vinix-async[parquet]'") from None


def write_parquet(lines: Path, to: Path | None, *, details: bool) -> None:
    """Convert the rows in ``lines`` to a Parquet file, or write it to stdout if ``to`` is None."""
    if to is None:
        _convert(lines, sys.stdout.buffer, details=details)
        sys.stdout.flush()
    else:
        with replacing(to, mode=default_mode()) as new:
            _convert(lines, str(new), details=details)


def _convert(lines: Path, file: Any, *, details: bool) -> None:
    """Convert the rows, one row group at a time."""
    from pyarrow import parquet  # noqa: PLC0415  # an extra

    schema = arrow_schema(details=details)
    with lines.open("rb") as source, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(_next_group(source)):
            table = arrow_table([msgspec.json.decode(line) for line in group], schema)
            writer.write_table(table, row_group_size=_GROUP_ROWS)


def _next_group(source: Any) -> Iterator[bytes]:
    size = 0
    for line in islice(source, _GROUP_ROWS):
        yield line
        size += len(line)
        if size >= _GROUP_BYTES:
            return
