"""Find callflows by what users write: an id, a number, or a name."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from .. import Callflow
from .exit_codes import UsageError
from .names import feature_code, title
from .table import head

MIN_ID: Final = 8  # the minimum number of characters of a shortened id
_SEPARATORS: Final = re.compile(r"[ ().\-/]")
_SEPARATED: Final = re.compile(r"[(+*#\d][+*#\d ().\-/]*")
_PREFIX: Final = re.compile(r"^(?:\+1?|0+)")
"""A ``+``, the ``+1`` that the server adds to ten digits, or the zeros of a trunk or international prefix."""
_MAX_SIMILAR: Final = 5
_MIN_DIGITS: Final = 6  # the fewest digits for which numbers with the same ending are suggested


def as_number(text: str) -> str | None:
    """Return a dialled number without separators such as spaces and dashes, or None for any other text."""
    return _SEPARATORS.sub("", text) if _SEPARATED.fullmatch(text) else None


def similar(wanted: str, names: Iterable[str], dialled: Iterable[str]) -> str:
    """Return a suggestion of what may be meant, for the end of a message. Without a suggestion, the text is empty.

    If ``wanted`` may be a number without its country code, numbers that end with it are suggested. Otherwise similar
    names are suggested.
    """
    digits = _PREFIX.sub("", _SEPARATORS.sub("", wanted))
    if len(digits) >= _MIN_DIGITS and digits.isdigit():
        numbers = [each for each in dialled if each.endswith(digits) and each != wanted]
        if numbers:
            return f"; did you mean {' or '.join(numbers[:_MAX_SIMILAR])}?"
    wanted, known = wanted.casefold(), {name.casefold(): name for name in names}
    near = [each for each in known if wanted and wanted in each] or get_close_matches(wanted, known)
    return f"; similar names: {', '.join(repr(known[each]) for each in near[:_MAX_SIMILAR])}" if near else ""


def match(rows: Sequence[Callflow], wanted: str) -> list[Callflow]:
    """Return the callflows that match ``wanted``.

    The function tries several ways in order, and stops at the first that finds callflows: the id; a number, a pattern
    or the feature code; the name; a part of the name; a shortened id.
    """
    number, name = _SEPARATORS.sub("", wanted), wanted.casefold()
    ways = (
        lambda row: row.id == wanted,
        lambda row: number in row.numbers or wanted in row.patterns or _is_feature_code(row, wanted),
        lambda row: title(row).casefold() == name,
        lambda row: name in title(row).casefold(),
        lambda row: len(wanted) >= MIN_ID and row.id.startswith(wanted),
    )
    return next((found for way in ways if (found := list(filter(way, rows)))), []) if wanted else []


def _is_feature_code(row: Callflow, wanted: str) -> bool:
    code = feature_code(row)
    return code != "" and code.removeprefix("*") == wanted.removeprefix("*")


def only_match(rows: Sequence[Callflow], wanted: str) -> Callflow | None:
    """Return the callflow that matches, or None. Raise ``UsageError`` if several do."""
    found = match(rows, wanted)
    if len(found) > 1:
        lines = "".join(f"\n  {row.id}  {head(row)}" for row in found)
        raise UsageError(f"{wanted!r} matches several callflows; give the id of one of them:{lines}")
    return found[0] if found else None
