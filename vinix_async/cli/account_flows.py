"""Hold the callflows of an account, and read export files (NDJSON, written by ``vinix callflows export --details``)."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

import attrs
from attrs import define, field

import vinix_async

from .. import Account, Callflow, DecodeError, to_dict
from ..flows import Name, describe_place, is_summary, names_of
from .exit_codes import UsageError
from .names import numbers, title

Row: TypeAlias = dict[str, Any]
"""A row of an answer as JSON values."""

_BOM: Final = b"\xef\xbb\xbf"
_KEYS: Final = {"featurecode", "flow", "numbers", "patterns"}
"""Every callflow has at least one of these keys. Other objects have none of them."""


@define
class AccountFlows:
    """The callflows of an account.

    ``unread``: the ids of callflows that could not be read. ``file``: the export file that was read, or an empty text.
    ``lines``: the line number of each callflow in that file, by id.
    """

    account: Account
    callflows: Sequence[Callflow] = ()
    unread: frozenset[str | None] = frozenset()
    file: str = ""
    lines: Mapping[str, int] = field(factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Callflow]:
        """The callflows by their id."""
        return {callflow.id: callflow for callflow in self.callflows}

    @cached_property
    def names(self) -> Mapping[str, Name]:
        """The names and kinds of the account's documents, by id."""
        return names_of(self.callflows)

    @cached_property
    def by_number(self) -> Mapping[str, Sequence[Callflow]]:
        """The callflows by number. The first callflow of a number has the lowest id, and gets the calls."""
        found: dict[str, list[Callflow]] = {}
        for callflow in sorted(self.callflows, key=lambda each: each.id):
            for number in dict.fromkeys(callflow.numbers):
                found.setdefault(number, []).append(callflow)
        return found

    def title(self, callflow_id: str) -> str:
        """Return the title of a callflow, or its id if the callflow is not known."""
        callflow = self.by_id.get(callflow_id)
        return title(callflow) if callflow else callflow_id

    def place(self, callflow_id: str, path: str) -> str:
        """Describe the node at a JSON pointer of a callflow in words."""
        return describe_place(self.by_id.get(callflow_id), path, self.names)

    def about(self, callflow_id: str) -> Row:
        """Return the account and a callflow as the first columns of a row."""
        callflow = self.by_id.get(callflow_id)
        return {
            "account_id": self.account.id,
            "account_name": self.account.name,
            "callflow_name": self.title(callflow_id),
            "numbers": numbers(callflow) if callflow else [],
        }

    def check_details(self) -> None:
        """Raise ``UsageError`` if a callflow is the row of a listing, which has no flow."""
        if summary := next(filter(is_summary, self.callflows), None):
            line = self.lines.get(summary.id)
            raise UsageError(
                f"{self.file}:{line}: the callflow was exported without its flow: export it again with --details"
            )


def parse_export(lines: Iterable[bytes], name: str) -> list[AccountFlows]:
    """Return the callflows of the file ``name`` by account. Raise ``UsageError`` if it is not an export file."""
    rows: dict[str, tuple[Account, dict[str, int], list[Callflow]]] = {}
    number = 0
    for number, line in _numbered(lines, name):
        account, callflow = _row(line, f"{name}:{number}: ")
        _, numbers, callflows = rows.setdefault(account.id, (account, {}, []))
        numbers[callflow.id] = number
        callflows.append(callflow)
    if not rows:
        raise UsageError(f"{name}:{max(number, 1)}: the file has no callflows")
    return [AccountFlows(account, found, file=name, lines=numbers) for account, numbers, found in rows.values()]


def _numbered(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, each with its number."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            if text.strip():
                yield number, text
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UsageError(f"{name}:{number + 1}: the compressed data is damaged or cut off") from None


def _row(line: bytes, where: str) -> tuple[Account, Callflow]:
    try:
        (callflow,) = vinix_async.decode_page(b'{"status":"success","data":[%b]}' % line).items
    except DecodeError as error:
        problems = "; ".join(error.problems).replace("$.data[0]", "$")
        if not problems and not line.endswith(b"\n"):
            problems = "the line is cut off, so the export is not complete"
        raise UsageError(f"{where}{problems or 'the line is not a JSON object'}") from None
    except ValueError:  # the line has several JSON values
        raise UsageError(f"{where}the line is not a JSON object") from None
    if not (callflow.flow or callflow.numbers or _KEYS & to_dict(callflow).keys()):
        raise UsageError(f"{where}the object is not a callflow")
    extra = dict(callflow.extra)
    account_id, name = extra.pop("account_id", ""), extra.pop("account_name", None)
    if not isinstance(account_id, str) or not isinstance(name, str | None):
        raise UsageError(f"{where}account_id and account_name must be strings")
    return Account(id=account_id, name=name), attrs.evolve(callflow, extra=extra)
