"""Measure the text in pictures with a table of the widths of characters, and shorten text that is too wide."""

import json
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Any, Final

TEXT_STYLES: Final[dict[str, tuple[float, bool]]] = {
    "title": (14.5, True),
    "number": (12, False),
    "label": (13, True),
    "module": (11, False),
    "name": (12, False),
    "branch": (12, False),
    "count": (12, False),
}
"""The size in pixels of each class of text, and whether the text is bold."""


@cache
def widths_table() -> dict[str, Any]:
    """Return the table of character widths. ``docs/text_widths.py`` writes it, and the script of HTML pages uses it."""
    table: dict[str, Any] = json.loads(asset("text_widths.json"))
    return table


def asset(name: str) -> str:
    """Return the text of a file in ``assets``, for a picture or a page."""
    return (files("vinix_async.cli.drawing") / "assets" / name).read_text("utf-8")


def fit(text: str, style: str, room: float) -> tuple[str, float]:
    """Return ``text`` and its width in pixels. A text wider than ``room`` pixels is shortened and ends with ``…``.

    This is the width in Arial, Helvetica and Liberation Sans. In pictures, ``textLength`` gives the text the same width
    in other fonts.
    """
    size, bold = TEXT_STYLES[style]
    widths = _advances(text, bold=bold)
    if sum(widths) * size / 1000 > room:
        widths.append(_width("…", bold=bold))
        while sum(widths) * size / 1000 > room and len(widths) > 1:
            del widths[-2]
        text = text[: len(widths) - 1].rstrip() + "…"
        widths = _advances(text, bold=bold)
    return text, round(sum(widths) * size / 1000, 1)


def _advances(text: str, *, bold: bool) -> list[int]:
    """Return the width of each character. A character after a zero-width joiner has the width 0."""
    widths, joined = [], False
    for letter in text:
        widths.append(0 if joined else _width(letter, bold=bold))
        joined = letter == "\u200d"
    return widths


@cache
def _known_widths(*, bold: bool) -> dict[str, int]:
    table = widths_table()["bold" if bold else "regular"]
    return {letter: int(width) for width, letters in table.items() for letter in letters}


@cache
def _width(letter: str, *, bold: bool) -> int:
    """Return a character's width in thousandths of the font's size."""
    known = _known_widths(bold=bold).get(letter)
    if known is not None:
        return known
    if unicodedata.category(letter) in {"Mn", "Cf"}:
        return 0
    table = widths_table()
    code = ord(letter)
    return next((width for first, last, width in table["ranges"] if first <= code <= last), int(table["other"]))
