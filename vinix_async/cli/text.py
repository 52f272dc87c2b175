"""Make text from the server safe to show: escape control characters and other characters that can mislead a reader."""

import re
import unicodedata
from functools import partial
from typing import Final

_ESCAPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Controls and line separators move the cursor. Some format characters (bidirectional embeddings, overrides and
# isolates) reorder the text around them. UTF-8 cannot encode lone surrogates, and XML forbids some noncharacters.
# Private and unassigned characters have no defined appearance.
# Of these categories, the following characters are shown:
_EXCEPTIONS: Final = re.compile(
    "["
    "\u00ad"  # a soft hyphen only allows a line break
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # these format characters are visible signs
    "\u061c\u200e\u200f"  # direction marks affect only their neighbours
    "\u200b-\u200d\u2060\ufeff"  # these characters join or separate letters and the parts of emoji
    "\U000e0020-\U000e007f"  # tags spell the region of a flag emoji
    "\U0001f000-\U0001faff"  # this block is reserved for emoji, also those newer than Python's Unicode tables
    "]"
)


def is_shown(letter: str) -> bool:
    """Return whether outputs show the character itself, and not an escape."""
    return unicodedata.category(letter) not in _ESCAPED_CATEGORIES or _EXCEPTIONS.match(letter) is not None


def printable(text: str, *, lines: bool = False) -> str:
    """Return ``text`` with Python's escapes in place of unsafe characters. Newlines are kept if ``lines`` is true."""
    if text.isprintable():
        return text
    return "".join(
        letter if is_shown(letter) or (lines and letter == "\n") else letter.encode("unicode_escape").decode()
        for letter in text
    )


printable_lines: Final = partial(printable, lines=True)


def printable_json(text: str) -> str:
    """Return JSON text with JSON's escapes in place of unsafe characters. The result decodes to the same value."""
    return "".join(letter if letter == "\n" or is_shown(letter) else _json_escape(letter) for letter in text)


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
