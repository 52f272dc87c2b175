"""Write the rows of a job as NDJSON, CSV, a JSON array, a table, Parquet or a report.

Rows are written as they arrive, and are not kept in memory. A resumed job cannot append to a Parquet file or to a
report. Therefore the rows of these formats are first collected in a file, which is converted at the end of the job.
"""

import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from attrs import define, frozen

from .._columns import arrow_schema, arrow_table, cells, column_names
from .console import PipeConsole, rendered, write_data, writing_stdout
from .drawing.page import page_row, write_report
from .exit_codes import UsageError, describe
from .files import exists, lock, remove_unfinished, replacing, sync_folder
from .rows import csv_header, csv_lines, row_json
from .saved_job import Job
from .table import callflow_columns, callflow_table, heading
from .text import printable_json, printable_lines

if TYPE_CHECKING:
    from .. import AccountPage, AccountResult

_GZIP: Final = 31  # zlib's argument ``wbits`` for the gzip format and the largest window
_GROUP_ROWS: Final = 10_000
_GROUP_BYTES: Final = 16 * 2**20
"""A row group of Parquet ends when it has this many rows, or when their JSON text has at least this many bytes."""

SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}
"""The format for each suffix of an output file. A further suffix ``.gz`` compresses any format except Parquet."""


def format_of(to: Path, output: str | None) -> str:
    """Return the format of an output file: ``output``, or else the format for its suffix."""
    compressed = _compressed(to)
    name = Path(to.stem) if compressed else to
    found = output or SUFFIXES.get(name.suffix.lower())
    if compressed and output == "parquet":
        raise UsageError(
            "Parquet files cannot be compressed with gzip: remove .gz from --to, or choose another --output"
        )
    if found is None or (compressed and found == "parquet"):
        known = ", ".join([*SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES if suffix != ".parquet")])
        raise UsageError(f"--to must end with {known}, not {to.name!r}; for other names, give --output")
    return found


def _compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


# --- destinations of bytes ---


class _Stdout:
    """Stdout. On a terminal, ``escape`` is applied to the text. If ``escape`` is None, the bytes stay unchanged."""

    def __init__(self, escape: Callable[[str], str] | None, size: int = 0) -> None:
        self._escape = escape
        self.size: int = size

    def write(self, data: bytes) -> None:
        write_data(data, self._escape)
        self.size += len(data)

    def save(self) -> int:
        return self.size

    def close(self) -> None:
        """Do nothing, since stdout stays open."""


class File:
    """A file that is opened for appending, and locked. It is first truncated to ``size`` bytes."""

    def __init__(self, path: Path, size: int = 0, *, mode: int = 0o666) -> None:
        self._file = open(path, "ab", buffering=0, opener=partial(os.open, mode=mode))  # noqa: SIM115  # see close()
        self._path = path
        self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        try:
            lock(self._file.fileno(), path)
            self._truncate(size)
        except BaseException:
            self._file.close()
            raise
        self.size: int = size
        sync_folder(path.absolute().parent)

    def _truncate(self, size: int) -> None:
        found = os.fstat(self._file.fileno()).st_size
        if self._is_regular and found < size:
            raise UsageError(
                f"{self._path} is shorter than recorded in the checkpoint: restore the file, or run the job again "
                "with --force in place of --resume"
            )
        if found > size:
            self._file.truncate(size)

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
        """Make the file durable, unless it is a device or a pipe, such as that of ``>(xz)``. Return the size."""
        if self._is_regular:
            os.fsync(self._file.fileno())
        return self.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _GzipFile(File):
    """A gzip file. Each save ends a member of the gzip format, so that a resumed job can append another member."""

    def __init__(self, path: Path, size: int = 0) -> None:
        super().__init__(path, size)
        self._member = None if size else zlib.compressobj(wbits=_GZIP)

    def write(self, data: bytes) -> None:
        self._member = self._member or zlib.compressobj(wbits=_GZIP)
        super().write(self._member.compress(data))

    def save(self) -> int:
        member, self._member = self._member, None
        if member:
            super().write(member.flush())
        return super().save()

    def close(self) -> None:
        try:
            self.save()
        finally:
            super().close()


# --- rows ---


@frozen(kw_only=True)
class Ending:
    """How a job ended.

    ``stopped``: whether an interrupt or an error ended the job early. ``resume``: the command that reads the missing
    data, or None if there is nothing to resume. ``arguments``: options such as ``--base``, with which a command reads
    an account again in the same way as this job. ``problems``: the pages and results that have an error or bad items.
    """

    stopped: bool = False
    resume: str | None = None
    arguments: Sequence[str] = ()
    problems: Sequence["AccountPage | AccountResult"] = ()


@define
class Writer:
    """A writer of rows to ``sink``.

    ``encode``: a function that returns the bytes of a page's rows. ``header``, ``footer``: the bytes before and after
    all rows. ``finish``: a function that is called before the sink, which is locked until then, is closed.
    """

    sink: _Stdout | File
    encode: Callable[["AccountPage"], bytes]
    header: bytes = b""
    footer: bytes = b""
    finish: Callable[[Ending], None] | None = None

    def write(self, page: "AccountPage") -> None:
        """Write the callflows of a page."""
        header, self.header = self.header, b""
        if data := header + self.encode(page):
            self.sink.write(data)

    def end(self, ending: Ending) -> None:
        """Finish the output."""
        try:
            if rest := self.header + self.footer:
                self.sink.write(rest)
            if self.finish:
                self.finish(ending)
        finally:
            self.sink.close()


def open_writer(job: Job, checkpoint: Path, size: int = 0) -> Writer:
    """Open the output of a job. For a resumed job, ``size`` is the size in bytes that its output had at the checkpoint.

    If Parquet is written to stdout, its rows are collected in a file beside ``checkpoint``.
    """
    to = Path(job.to) if job.to else None
    if job.output == "table":
        return Writer(_Stdout(None), _Table(one_account=job.one_account))
    if job.output == "json":  # a resumed job writes a second array
        return Writer(_Stdout(printable_json), _array(), b"[", b"\n]\n")
    if job.output in {"parquet", "html"}:
        return _open_collector(job, checkpoint, size)
    if to is not None:
        sink: _Stdout | File = _GzipFile(to, size) if _compressed(to) else File(to, size)
    else:
        sink = _Stdout(printable_lines if job.output == "csv" else printable_json, size)
    if job.output == "csv":
        header = b"" if size else csv_header(column_names(details=job.details), bom=job.bom)
        return Writer(
            sink,
            lambda page: csv_lines(
                (cells(page.account, row, details=job.details) for row in page.items), raw=job.raw_cells
            ),
            header,
        )
    return Writer(sink, lambda page: b"".join(row_json(page.account, row) + b"\n" for row in page.items))


def _open_collector(job: Job, checkpoint: Path, size: int) -> Writer:
    """Return a writer that collects rows in a file, and converts the file at the end of the job."""
    to = Path(job.to) if job.to else None
    rows = Path(f"{to or checkpoint}.rows")

    def encode(page: "AccountPage") -> bytes:
        if job.output == "html":
            return page_row(page)
        rows = (cells(page.account, row, details=job.details) for row in page.items)
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)

    def finish(ending: Ending) -> None:
        def retry(account_id: str) -> str:
            return ending.resume or job.command_line(account_id, "--to", f"{account_id}.html", *ending.arguments)

        if job.output == "html" and to:
            write_report(to, rows, job.title, filtered=bool(job.filters), ending=ending, retry=retry)
        elif not ending.stopped:
            _write_parquet(rows, to, details=job.details)
        if not (ending.resume or (ending.stopped and exists(checkpoint))):
            rows.unlink()

    if job.output == "parquet":
        _check_pyarrow()
    try:
        rows.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Writer(File(rows, size, mode=0o600), encode, finish=finish)
    except OSError as error:
        what = "a Parquet file" if job.output == "parquet" else "a report"
        option = "--checkpoint" if to is None else "--to"
        raise UsageError(
            f"cannot write the temporary file for {what}: {describe(error)}; choose another folder with {option}"
        ) from None


def _array() -> Callable[["AccountPage"], bytes]:
    """Return a function that encodes pages as the items of one JSON array."""
    before = chain([b"\n"], repeat(b",\n"))
    return lambda page: b"".join(next(before) + row_json(page.account, row) for row in page.items)


class _Table:
    """Encodes pages as tables. If the job may have several accounts, each account gets a heading."""

    def __init__(self, *, one_account: bool) -> None:
        self._one_account = one_account
        self._columns: list[str] | None = None
        self._account_id: str | None = None

    def __call__(self, page: "AccountPage") -> bytes:
        account, callflows = page.account, page.items
        if not callflows:
            return b""
        header = self._columns is None
        columns = self._columns = self._columns or callflow_columns(PipeConsole().width, callflows)
        parts: list[object] = []
        if not self._one_account and account.id != self._account_id:
            parts = [*([callflow_table((), columns, header=True)] if header else []), heading(account)]
            header = False
        self._account_id = account.id
        return rendered(*parts, callflow_table(callflows, columns, header=header))


# --- Parquet ---


def _check_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401, ICN001, PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("Parquet needs the extra parquet: pip install 'vinix-async[parquet]'") from None


def _write_parquet(lines: Path, to: Path | None, *, details: bool) -> None:
    """Convert a file of rows, one JSON array on each line, to the Parquet file ``to``. None stands for stdout."""
    if to is None:
        with writing_stdout() as stdout:
            _convert(lines, stdout, details=details)
    else:
        remove_unfinished(to)
        with replacing(to) as new:
            _convert(lines, str(new), details=details)


def _convert(lines: Path, file: Any, *, details: bool) -> None:
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
