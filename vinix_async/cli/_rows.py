"""A callflow of an account as a line of NDJSON, as cells, and as cells that a spreadsheet may open."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from .. import Account, Callflow, FlowNode, to_dict, to_json
from .._documents.base import Document
from .names import modules

Cell = str | list[str] | None

TEXTS: Final = ("numbers", "patterns", "flags", "modules")
"""The columns that are lists."""

NEVER_NULL: Final = ("account_id", "id")

COLUMNS: Final = (
    *("account_id", "account_name", "id", "name", "type", "numbers", "patterns"),
    *("featurecode_name", "featurecode_number", "flags", "modules", "owner_id", "group_id"),
)
WHOLE: Final = ("flow", "metaflow", "ringback", "metadata", "extra")
"""Columns of JSON, for callflows that are read whole."""


def column_names(*, details: bool) -> tuple[str, ...]:
    """The columns of an export."""
    return COLUMNS + WHOLE if details else COLUMNS


def row_json(account: Account, callflow: Callflow) -> bytes:
    """The document as the server sent it, with the account it is of in front."""
    own = {"account_id": account.id} | ({"account_name": account.name} if account.name else {})
    if own.keys() & callflow.extra.keys():  # a key must not come twice
        callflow = attrs.evolve(callflow, extra={key: callflow.extra[key] for key in callflow.extra if key not in own})
    document = to_json(callflow)
    front = json.dumps(own, ensure_ascii=False, separators=(",", ":")).encode()
    return front[:-1] + (b"," if len(document) > 2 else b"") + document[1:]


def cells(account: Account, callflow: Callflow, *, details: bool) -> list[Cell]:
    """The columns' values, in their order."""
    code = callflow.featurecode
    row: list[Cell] = [
        *(account.id, account.name, callflow.id, callflow.name, callflow.type),
        *(list(callflow.numbers), list(callflow.patterns)),
        *(code.name if code else None, code.number if code else None),
        *(list(callflow.flags), modules(callflow), callflow.owner_id, callflow.group_id),
    ]
    if details:
        row += [_json(getattr(callflow, name)) for name in WHOLE]
    return row


def _json(value: "FlowNode | Document | Mapping[str, Any] | None") -> str | None:
    if isinstance(value, Document):
        return to_json(value).decode()
    # A mapping of the server's may be too deep for json.dumps; a document's writer knows no depth.
    return to_json(Callflow(extra=value)).decode() if value else None


# --- CSV ---

_RUNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, the full-width forms too."""

_QUOTED: Final = re.compile(r'[,"\r\n]')
_NUMBERS: Final = re.compile(r"[+-]?\d+(; [+-]?\d+)*")


def csv_lines(rows: Iterable[list[Cell]], *, raw: bool) -> bytes:
    """RFC 4180 with plain line ends. Lists are joined with ``; ``.

    A cell that a spreadsheet would run gets an apostrophe in front, unless ``raw``; telephone numbers are none.
    """
    lines = (
        ",".join(_cell("; ".join(cell) if isinstance(cell, list) else cell or "", raw=raw) for cell in row)
        for row in rows
    )
    return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


def _cell(text: str, *, raw: bool) -> str:
    if not raw and text.startswith(_RUNS) and not _NUMBERS.fullmatch(text):
        text = "'" + text
    # The csv module leaves a lone carriage return unquoted, which readers take for the end of the row.
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


# --- accounts ---

ACCOUNT_COLUMNS: Final = ("id", "name", "realm", "tree", "flags", "descendants_count")


def account_cells(account: Account) -> list[Cell]:
    """The values of ``ACCOUNT_COLUMNS``."""
    value = to_dict(account)
    count = value.get("descendants_count")
    own = [account.id, account.name, account.realm, list(account.tree), list(account.flags)]
    return [*own, None if count is None else str(count)]
