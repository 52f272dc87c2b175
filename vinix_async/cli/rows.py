"""Convert callflows to JSON, accounts to cells, and rows of cells to CSV. Print indented JSON."""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final

import attrs
import msgspec

from .. import Account, Callflow, to_json
from .._columns import Cell, json_text
from .console import write_data

ACCOUNT_COLUMNS: Final = ("id", "name", "realm", "tree", "flags", "descendants_count")

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The beginnings of cells that a spreadsheet may run as a formula. The last four are full-width forms of ``=+-@``."""

_NEEDS_QUOTES: Final = re.compile(r'[,"\r\n]')
_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_DEPTH_CHANGES: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_MAX_INDENTED: Final = 500
"""JSON with more levels of nesting is not indented. With 20,000 levels, indentation would add a gigabyte of spaces."""

_PHONE_NUMBERS: Final = re.compile(r"[+-]?\d+(; [+-]?\d+)*")


def row_json(account: Account, callflow: Callflow) -> bytes:
    """Return the callflow's JSON as the server sent it, with ``account_id`` and ``account_name`` as its first keys.

    ``account_name`` is left out if the account's name is not known.
    """
    front = {"account_id": account.id} | ({"account_name": account.name} if account.name else {})
    if front.keys() & callflow.extra.keys():  # a key must not appear twice
        extra = {key: value for key, value in callflow.extra.items() if key not in front}
        callflow = attrs.evolve(callflow, extra=extra)
    document = to_json(callflow)
    text = json.dumps(front, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:-1] + (b"," if len(document) > 2 else b"") + document[1:]


def account_cells(account: Account) -> list[Cell]:
    """Return the values of ``ACCOUNT_COLUMNS`` for an account."""
    count = account.descendants_count
    front = [account.id, account.name, account.realm, list(account.tree), list(account.flags)]
    return [*front, None if count is None else str(count)]


def indented(value: Any) -> bytes:
    """Return a document or a JSON value as indented JSON, or on one line if it is nested too deeply."""
    text = json_text(value).encode()
    depth = max(accumulate(_DEPTH_CHANGES.get(token[0], 0) for token in _BRACKET.finditer(text)), default=0)
    return msgspec.json.format(text, indent=2) if depth <= _MAX_INDENTED else text


def write_json(value: Any) -> None:
    """Print a document or a JSON value on stdout (``indented``)."""
    write_data(indented(value) + b"\n")


def csv_lines(rows: Iterable[list[Cell]], *, raw: bool) -> bytes:
    """Return rows as CSV (RFC 4180, with line feeds as line ends). The items of a list are joined by ``; ``.

    Unless ``raw`` is true, a cell that a spreadsheet may run as a formula gets an apostrophe in front. Phone numbers
    are left as they are, although some begin with ``+``.
    """
    lines = (
        ",".join(_csv_cell("; ".join(cell) if isinstance(cell, list) else cell or "", raw=raw) for cell in row)
        for row in rows
    )
    return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


def csv_header(names: Sequence[str], *, bom: bool) -> bytes:
    """Return the first line of a CSV file, with a byte order mark in front if ``bom`` is true."""
    return (b"\xef\xbb\xbf" if bom else b"") + ",".join(names).encode() + b"\n"


def _csv_cell(text: str, *, raw: bool) -> str:
    if not raw and text.startswith(_FORMULA_STARTS) and not _PHONE_NUMBERS.fullmatch(text):
        text = "'" + text
    # The csv module would not quote a lone carriage return, but programs that read CSV end the row at it.
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
