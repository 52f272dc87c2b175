"""A large body cut into its rows a step at a time, so that others can run in between.

Where a row ends is guessed, and the parser tells whether the guess was right: the text from where a row begins up to
a cut is an array's inside if and only if the cut stands between two rows. A body of another form than the server's
is not cut here.
"""

import re
from collections.abc import Generator
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.json import Decoder

from .._exceptions import DecodeError
from .json import check_text
from .shells import Sent

_STEP: Final = 512 * 1024
LARGE: Final = _STEP
_MOST_GUESSES: Final = 16

_SCALAR: Final = rb'(?:"[^"\\]*"|[-+.0-9a-zA-Z]+)'
_HEAD: Final = rb'\s*\{(?:\s*"[^"\\]*"\s*:\s*%b\s*,)*\s*"data"\s*:\s*\[' % _SCALAR
_BETWEEN: Final = rb"\}\s*(,)\s*\{"
_around: Final = Decoder(Sent[list[Any]]).decode
_rows: Final = Decoder(list[Raw]).decode


def cut(body: bytes) -> Generator[None, None, Sent[list[Raw]] | None]:
    """The reply in ``body``, its rows apart, if it is a plain success of the usual form; a step for each ``next``."""
    head, end = re.match(_HEAD, body), body.rfind(b"]")
    if head is None or end < head.end():
        return None
    rows: list[Raw] = []
    view = memoryview(body)
    guesses = 0
    search = re.compile(_BETWEEN).search
    try:
        # In what is around the rows no second data can hide: an array would have had the last bracket.
        sent: Sent[list[Any]] = _around(check_text(body[: head.end()] + body[end:]))
        begin = look = head.end()
        while begin < end:
            between = search(body, look + _STEP, end)
            stop = end if between is None else between.start(1)
            piece = check_text(b"".join((b"[", view[begin:stop], b"]")))
            try:
                rows += _rows(piece)
            except msgspec.DecodeError:
                guesses += 1
                if stop == end or guesses == _MOST_GUESSES:
                    return None
                look = stop - _STEP + 1
                continue
            begin = look = stop + 1
            yield
    except (DecodeError, msgspec.DecodeError, RecursionError):
        return None
    sent.data = rows
    return sent
