"""The writer of a report.

The page shows the callflows of an account together, but they arrive in pages of several accounts. Therefore the pages
are first collected in a file of lines, which a resumed job can continue.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from .. import Account, Callflow, to_json
from .export import Ending, File, Rows, Writer
from .files import default_mode, replacing
from .job import Job

if TYPE_CHECKING:
    from .. import AccountPage


class PageWriter(Writer):
    """Collects callflows in the file ``lines`` and writes the HTML page at the end, even of a job that was stopped.

    ``failures`` are the pages that ended in an error.
    """

    def __init__(self, job: Job, lines: Path, size: int, *, failures: Sequence["AccountPage"]) -> None:
        self._to = Path(job.to or "")
        self._title = job.title or "Callflows"
        self._path = lines
        self._file = File(lines, size, mode=0o600)
        self._failures = failures

    def write(self, account: Account, callflows: Rows) -> None:
        """Collect some callflows of an account: its id, name and realm, and a reply of the API with its callflows."""
        front = msgspec.json.encode([account.id, account.name, account.realm])
        self._file.write(front + b'\t{"data":[' + b",".join(map(to_json, callflows)) + b"]}\n")

    def save(self) -> int:
        """Make the lines durable."""
        return self._file.save()

    def end(self, how: Ending) -> None:
        """Write the page, and delete the lines of a complete job."""
        from .. import AccountResult  # noqa: PLC0415  # slow to import, and --help does not need it
        from .drawing.report import ReportWriter  # noqa: PLC0415  # as above

        self._file.close()
        errors = {page.account_id: page.error for page in self._failures}
        with (
            replacing(self._to, mode=default_mode()) as new,
            new.open("w", encoding="utf-8") as stream,
            self._path.open("rb") as lines,
        ):
            page = ReportWriter(stream, title=self._title)
            for account, callflows in _accounts(lines):
                error = errors.get(account.id)
                result = AccountResult(
                    account=account,
                    callflows=callflows,
                    error=error,
                    next_start_key=error.start_key if error else None,
                )
                page.add(account, result)
            page.close(complete=how is not Ending.STOPPED)
        if how is Ending.COMPLETE:
            self._path.unlink()


def _accounts(lines: BinaryIO) -> Iterator[tuple[Account, tuple[Callflow, ...]]]:
    """Yield each account with all its callflows, one account in memory at a time."""
    from .. import decode_page  # noqa: PLC0415  # slow to import, and --help does not need it

    places: dict[str, list[int]] = {}
    place = 0
    for line in lines:
        places.setdefault(_account(line).id, []).append(place)
        place += len(line)
    for found in places.values():
        pages = [_line_at(lines, place) for place in found]
        yield _account(pages[-1]), tuple(each for page in pages for each in decode_page(page.partition(b"\t")[2]).items)


def _line_at(lines: BinaryIO, place: int) -> bytes:
    lines.seek(place)
    return lines.readline()


def _account(line: bytes) -> Account:
    account_id, name, realm = msgspec.json.decode(line.partition(b"\t")[0])
    return Account(id=account_id, name=name, realm=realm)
