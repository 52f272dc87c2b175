"""Writers of the rows of a job, as NDJSON, CSV, a JSON array or a table. No row is kept in memory."""

import os
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

import msgspec

from .. import Account, Callflow
from .console import print_data, printable_json, printable_lines, write_data
from .exit_codes import UsageError
from .files import sync_folder
from .rows import cells, column_names, csv_lines, row_json
from .table import callflow_table, heading

Rows = Sequence[Callflow]

SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}
"""The format that the suffix of an output file names."""


class Ending(Enum):
    """How a job ended."""

    COMPLETE = "complete"
    SOME_FAILED = "some accounts failed"
    STOPPED = "stopped, to be resumed"


class Writer:
    """A destination of rows."""

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some callflows of an account."""
        raise NotImplementedError

    def save(self) -> int:
        """Make what was written durable, if the destination allows it, and return its size in bytes."""
        return 0

    def end(self, how: Ending) -> None:
        """Finish the output."""


class Stdout:
    """Stdout as the destination of bytes."""

    def __init__(self, escape: Callable[[str], str]) -> None:
        self._escape = escape
        self.size = 0

    def write(self, data: bytes) -> None:
        """Write and flush."""
        write_data(data, self._escape)
        self.size += len(data)

    def save(self) -> int:
        """Return the number of bytes written. A resumed job does not need it."""
        return self.size

    def close(self) -> None:
        """Do nothing, since stdout stays open."""


class File:
    """A file as the destination of bytes. Its content beyond ``size`` is cut off, and new bytes are appended."""

    def __init__(self, path: Path, size: int = 0, *, mode: int = 0o666) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), mode)
        self._file = open(descriptor, "ab", buffering=0)  # noqa: PTH123, SIM115  # closed by close()
        found = os.fstat(descriptor).st_size
        if found < size:
            self._file.close()
            raise UsageError(f"{path} is shorter than its checkpoint says, so it is not the file that the job wrote")
        if found > size:
            self._file.truncate(size)
        self.size = size
        sync_folder(path.absolute().parent)

    def write(self, data: bytes) -> None:
        """Write all of ``data``. There is no buffer, so an error occurs here and not later."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.size += len(data)

    def save(self) -> int:
        """Make the file durable and return its size."""
        os.fsync(self._file.fileno())
        return self.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LineWriter(Writer):
    """Writes lines: NDJSON, CSV, or the rows that wait to become a Parquet file."""

    def __init__(self, sink: Stdout | File, encode: Callable[[Account, Rows], bytes], header: bytes = b"") -> None:
        self._sink = sink
        self._encode = encode
        if header:
            sink.write(header)

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some callflows of an account."""
        if callflows:
            self._sink.write(self._encode(account, callflows))

    def save(self) -> int:
        """Make the lines durable."""
        return self._sink.save()

    def end(self, how: Ending) -> None:  # noqa: ARG002  # lines have no end mark
        """Close the destination."""
        self._sink.close()


class ArrayWriter(Writer):
    """Writes one JSON array to stdout. A resumed job writes a second array with the remaining rows."""

    def __init__(self) -> None:
        self._begun = False

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some callflows of an account."""
        for callflow in callflows:
            write_data((b",\n" if self._begun else b"[\n") + row_json(account, callflow))
            self._begun = True

    def end(self, how: Ending) -> None:  # noqa: ARG002  # the array is closed in any case, so that it is valid JSON
        """Close the array."""
        write_data(b"\n]\n" if self._begun else b"[]\n")


class TableWriter(Writer):
    """Prints table rows as they come, with a heading for each account."""

    def __init__(self, *, one_account: bool) -> None:
        self._one_account = one_account
        self._header = True
        self._account_id: str | None = None

    def write(self, account: Account, callflows: Rows) -> None:
        """Print some callflows of an account."""
        if not callflows:
            return
        if not self._one_account and account.id != self._account_id:
            if self._header:
                print_data(callflow_table((), header=True))
                self._header = False
            print_data(heading(account))
        print_data(callflow_table(callflows, header=self._header))
        self._header, self._account_id = False, account.id


def ndjson_writer(sink: Stdout | File) -> LineWriter:
    """Return a writer of NDJSON."""
    return LineWriter(sink, lambda account, rows: b"".join(row_json(account, each) + b"\n" for each in rows))


def csv_writer(sink: Stdout | File, *, details: bool, raw: bool, header: bool) -> LineWriter:
    """Return a writer of CSV."""
    names: list[Any] = list(column_names(details=details))
    return LineWriter(
        sink,
        lambda account, rows: csv_lines((cells(account, each, details=details) for each in rows), raw=raw),
        csv_lines([names], raw=True) if header else b"",
    )


def cell_writer(sink: File, *, details: bool) -> LineWriter:
    """Return a writer of JSON arrays, one for each row, with the values of its columns."""
    return LineWriter(
        sink,
        lambda account, rows: b"".join(
            msgspec.json.encode(cells(account, each, details=details)) + b"\n" for each in rows
        ),
    )


def stdout_for(output: str) -> Stdout:
    """Return stdout with the escapes that suit the format."""
    return Stdout(printable_json if output == "ndjson" else printable_lines)
