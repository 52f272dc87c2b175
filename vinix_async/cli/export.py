"""Writers of the rows of a job, as NDJSON, CSV, a JSON array or a table. No row is kept in memory."""

import os
import zlib
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from .. import Account, Callflow
from .console import print_data, printable_lines, stdout_width, write_data
from .exit_codes import UsageError
from .files import sync_folder
from .rows import cells, column_names, csv_header, csv_lines, row_json
from .table import callflow_columns, callflow_table, heading
from .text import printable_json

Rows = Sequence[Callflow]

_GZIP: Final = 31
"""The ``wbits`` of zlib for the gzip format with the largest window."""

SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}
"""The format that the suffix of an output file names. ``.gz`` after it compresses any of them but Parquet."""


def format_of(to: Path, output: str | None) -> str:
    """Return the format of an output file: ``output``, or the one that the suffix names."""
    compressed = _compressed(to)
    name = Path(to.stem) if compressed else to
    found = output or SUFFIXES.get(name.suffix.lower())
    if found is None or (compressed and found == "parquet"):
        known = ", ".join([*SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES if suffix != ".parquet")])
        raise UsageError(f"--to must end with {known}, not {to.name!r}; other names need --output")
    return found


def _compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


class Ending(Enum):
    """How a job ended: a complete one has nothing to resume, and a stopped one has accounts that were not read."""

    COMPLETE = "complete"
    SOME_FAILED = "some accounts failed"
    STOPPED = "stopped"


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

    def __init__(self, escape: Callable[[str], str], size: int) -> None:
        self._escape = escape
        self.size = size

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
        self._path = path
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
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None
        self.size += len(data)

    def save(self) -> int:
        """Make the file durable and return its size."""
        os.fsync(self._file.fileno())
        return self.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class GzipFile(File):
    """A compressed file. Each save ends a member of the gzip format, so that a resumed job can append the next one."""

    def __init__(self, path: Path, size: int = 0) -> None:
        super().__init__(path, size)
        self._member = None if size else zlib.compressobj(wbits=_GZIP)

    def write(self, data: bytes) -> None:
        """Compress and write ``data``."""
        self._member = self._member or zlib.compressobj(wbits=_GZIP)
        super().write(self._member.compress(data))

    def save(self) -> int:
        """End the member, and make the file durable."""
        member, self._member = self._member, None
        if member:
            super().write(member.flush())
        return super().save()

    def close(self) -> None:
        """End the member and close the file."""
        try:
            self.save()
        finally:
            super().close()


class LineWriter(Writer):
    """Writes lines: NDJSON, CSV, or the rows that wait to become a Parquet file."""

    def __init__(self, sink: Stdout | File, encode: Callable[[Account, Rows], bytes], header: bytes = b"") -> None:
        self._sink = sink
        self._encode = encode
        self._header = b"" if sink.size else header

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some callflows of an account."""
        self._write_header()
        if callflows:
            self._sink.write(self._encode(account, callflows))

    def _write_header(self) -> None:
        header, self._header = self._header, b""
        if header:
            self._sink.write(header)

    def save(self) -> int:
        """Make the lines durable."""
        return self._sink.save()

    def end(self, how: Ending) -> None:  # noqa: ARG002  # lines have no end mark
        """Close the destination."""
        try:
            self._write_header()
        finally:
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
        self._columns: tuple[str, ...] | None = None
        self._account_id: str | None = None

    def write(self, account: Account, callflows: Rows) -> None:
        """Print some callflows of an account."""
        if not callflows:
            return
        header = self._columns is None
        columns = self._columns = self._columns or callflow_columns(stdout_width(), callflows)
        if not self._one_account and account.id != self._account_id:
            if header:
                print_data(callflow_table((), columns, header=True))
                header = False
            print_data(heading(account))
        print_data(callflow_table(callflows, columns, header=header))
        self._account_id = account.id


def ndjson_writer(sink: Stdout | File) -> LineWriter:
    """Return a writer of NDJSON."""
    return LineWriter(sink, lambda account, rows: b"".join(row_json(account, each) + b"\n" for each in rows))


def csv_writer(sink: Stdout | File, *, details: bool, raw: bool, bom: bool = False) -> LineWriter:
    """Return a writer of CSV."""
    return LineWriter(
        sink,
        lambda account, rows: csv_lines((cells(account, each, details=details) for each in rows), raw=raw),
        csv_header(column_names(details=details), bom=bom),
    )


def cell_writer(sink: File, *, details: bool) -> LineWriter:
    """Return a writer of JSON arrays, one for each row, with the values of its columns."""
    return LineWriter(
        sink,
        lambda account, rows: b"".join(
            msgspec.json.encode(cells(account, each, details=details)) + b"\n" for each in rows
        ),
    )


def open_sink(to: Path | None, size: int, output: str) -> Stdout | File:
    """Open the destination of a format of lines. A resumed job continues after ``size`` bytes."""
    if to is None:
        return Stdout(printable_json if output == "ndjson" else printable_lines, size)
    return GzipFile(to, size) if _compressed(to) else File(to, size)
