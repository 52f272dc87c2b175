"""Where the rows of a job go: to stdout or into a file, as they come, nothing of them kept."""

import os
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, Protocol

from .. import Account, Callflow
from .._documents.json import write_json
from ._errors import UsageError
from ._files import sync_folder
from ._output import print_data, printable, printable_json, write_data
from ._rows import cells, column_names, csv_lines, row_json
from ._table import add_callflow, callflow_table, heading

Rows = Sequence[Callflow]

SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}


class Writer(Protocol):
    """What a job writes to."""

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some rows of an account."""
        ...

    def save(self) -> int:
        """Make all rows durable, as far as that can be done; the size to go on from."""
        ...

    def end(self, how: "Ending") -> None:
        """No more rows come."""
        ...


class Ending(Enum):
    """How a job ends: all was read; some accounts failed; or it was stopped, and goes on another time."""

    COMPLETE = "complete"
    FAILED = "failed"
    STOPPED = "stopped"


class Stdout:
    """Bytes for whoever reads stdout; what has been written cannot be taken back."""

    def __init__(self, escape: Callable[[str], str]) -> None:
        self._escape = escape
        self.size = 0

    def write(self, data: bytes) -> None:
        """Write at once."""
        write_data(data, self._escape)
        self.size += len(data)

    def save(self) -> int:
        """There is nothing to be made durable."""
        return self.size

    def close(self) -> None:
        """It is not ours to close."""


class File:
    """A file that is cut to ``size`` bytes and then grows."""

    def __init__(self, path: Path, size: int = 0, *, mode: int = 0o666) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), mode)
        self._file = open(descriptor, "ab", buffering=0)  # noqa: PTH123, SIM115  # closed by close()
        there = os.fstat(descriptor).st_size
        if there < size:
            self._file.close()
            raise UsageError(f"{path} is shorter than its checkpoint says: it is not the file that was written")
        if there > size:
            self._file.truncate(size)
        self.size = size
        sync_folder(path.absolute().parent)

    def write(self, data: bytes) -> None:
        """Write all of it; no buffer is left to fail later."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.size += len(data)

    def save(self) -> int:
        """Make all of it durable."""
        os.fsync(self._file.fileno())
        return self.size

    def close(self) -> None:
        """End."""
        self._file.close()


Sink = Stdout | File


class Lines:
    """NDJSON, CSV, and the lines that a Parquet file is made of."""

    def __init__(self, sink: Sink, encode: Callable[[Account, Rows], bytes], header: bytes = b"") -> None:
        self._sink = sink
        self._encode = encode
        if header:
            sink.write(header)

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some rows of an account."""
        if callflows:
            self._sink.write(self._encode(account, callflows))

    def save(self) -> int:
        """As the sink does."""
        return self._sink.save()

    def end(self, how: Ending) -> None:  # noqa: ARG002  # lines need no end
        """Close the sink."""
        self._sink.close()


class Array:
    """One JSON array on stdout. A resumed job writes another one, of the rest."""

    def __init__(self) -> None:
        self._began = False

    def write(self, account: Account, callflows: Rows) -> None:
        """Write some rows of an account."""
        for callflow in callflows:
            write_data((b",\n" if self._began else b"[\n") + row_json(account, callflow))
            self._began = True

    def save(self) -> int:
        """Nothing to do."""
        return 0

    def end(self, how: Ending) -> None:  # noqa: ARG002  # whatever came, it is JSON
        """Close the array."""
        write_data(b"\n]\n" if self._began else b"[]\n")


class TableRows:
    """A table whose rows appear as they come, under the account that they are of."""

    def __init__(self, *, one_account: bool) -> None:
        self._one_account = one_account
        self._header = True
        self._account: str | None = None

    def write(self, account: Account, callflows: Rows) -> None:
        """Print some rows of an account."""
        if not callflows:
            return
        table = callflow_table(header=self._header)
        if not self._one_account and account.id != self._account:
            if self._header:
                print_data(table)
                table = callflow_table(header=False)
            print_data(heading(account))
        for callflow in callflows:
            add_callflow(table, callflow)
        print_data(table)
        self._header, self._account = False, account.id

    def save(self) -> int:
        """Nothing to do."""
        return 0

    def end(self, how: Ending) -> None:  # noqa: ARG002  # rows need no end
        """Nothing to do."""
        sys.stdout.flush()


def line_writer(output: str, sink: Sink, *, details: bool, raw: bool, header: bool) -> Lines:
    """NDJSON, CSV, or (``cells``) arrays of cells, one for each line."""
    if output == "ndjson":
        return Lines(sink, lambda account, rows: b"".join(row_json(account, each) + b"\n" for each in rows))
    if output == "cells":
        return Lines(
            sink,
            lambda account, rows: b"".join(write_json(cells(account, each, details=details)) + b"\n" for each in rows),
        )
    names: list[Any] = list(column_names(details=details))
    return Lines(
        sink,
        lambda account, rows: csv_lines((cells(account, each, details=details) for each in rows), raw=raw),
        csv_lines([names], raw=True) if header else b"",
    )


def escape_of(output: str) -> Callable[[str], str]:
    """What a terminal gets in place of control characters."""
    return printable_json if output in {"json", "ndjson"} else lambda text: printable(text, lines=True)
