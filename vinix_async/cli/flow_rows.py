"""Define the arguments and the form of rows that ``trace``, ``uses``, ``check`` and ``diff`` share."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeAlias

from cyclopts import Parameter
from rich.text import Text

from .. import Callflow
from .account_flows import AccountFlows
from .names import numbers, title

Source: TypeAlias = Annotated[
    str, Parameter(name="ACCOUNT|FILE", help="An account id, ROOT for your own account, or an export file.")
]
OneAccount: TypeAlias = Annotated[
    str | None, Parameter(name="--account", help="The id or name of the account to read from an export file.")
]
Row: TypeAlias = dict[str, Any]

MIN_ID: Final = 8  # the digits of a shortened id
_SEPARATORS: Final = re.compile(r"[ ().\-/]")
_SEPARATED: Final = re.compile(r"[(+*#\d][+*#\d ().\-/]*")
_PREFIX: Final = re.compile(r"^(?:\+1?|0+)")
"""A trunk prefix, or the ``+1`` that the server adds to ten digits."""
_MAX_WIDTH: Final = 40  # characters of a column; longer texts are not aligned
_MAX_NUMBERS: Final = 6
_MAX_SIMILAR: Final = 5
_MIN_DIGITS: Final = 6  # the least digits of a number without its country code


def as_number(text: str) -> str | None:
    """Return a dialled number without spaces, dashes, parentheses and dots, or None for any other text."""
    return _SEPARATORS.sub("", text) if _SEPARATED.fullmatch(text) else None


def similar(wanted: str, names: Iterable[str], dialled: Iterable[str] = ()) -> str:
    """Return the end of a sentence with names that are similar to ``wanted``, or numbers that end with it.

    ``wanted`` may be a number without its country code.
    """
    digits = _PREFIX.sub("", _SEPARATORS.sub("", wanted))
    if len(digits) >= _MIN_DIGITS and digits.isdigit():
        numbers = [each for each in dialled if each.endswith(digits)]
        if numbers:
            return f"; did you mean {' or '.join(numbers[:_MAX_SIMILAR])}?"
    wanted, known = wanted.casefold(), {name.casefold(): name for name in names}
    near = [each for each in known if wanted in each] or get_close_matches(wanted, known)
    return f"; similar names: {', '.join(repr(known[each]) for each in near[:_MAX_SIMILAR])}" if near else ""


def about(flows: AccountFlows, callflow_id: str) -> Row:
    """Return the account and the callflow of a row, as its first columns."""
    callflow = flows.by_id.get(callflow_id)
    return {
        "account_id": flows.account.id,
        "account_name": flows.account.name,
        "callflow_name": flows.title(callflow_id),
        "numbers": numbers(callflow) if callflow else [],
    }


def head(callflow: Callflow, *, now: bool = False) -> Text:
    """Return a callflow's name and numbers. If ``now`` is true, the word ``now`` shows that they have changed."""
    name = title(callflow)
    dialled = few([number for number in numbers(callflow) if number != name])
    before = "  now " if now else "  "
    return Text.assemble((name, "bold"), (f"{before}{dialled}" if dialled else "", "cyan"))


def few(dialled: Sequence[str]) -> str:
    """Return the first numbers as text, and how many more there are."""
    more = len(dialled) - _MAX_NUMBERS
    return ", ".join(dialled[:_MAX_NUMBERS]) + (f" and {more:,} more" if more > 0 else "")


def aligned(rows: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """Yield rows as aligned lines. A text longer than ``_MAX_WIDTH`` characters moves the rest of its line."""
    widths = [
        max((cell.cell_len for cell in column if cell.cell_len <= _MAX_WIDTH), default=0)
        for column in zip(*rows, strict=True)
    ]
    for *cells, last in rows:
        line = Text("  ")
        for cell, width in zip(cells, widths, strict=False):
            line.append_text(cell).append(" " * max(width - cell.cell_len, 0) + "  ")
        yield line.append_text(last)
