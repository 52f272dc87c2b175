"""Large pages, let go without a stop: to free a thousand whole callflows takes as long as to read a few hundred."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

MANY: Final = 100
"""Fewer rows go at once."""

_STEP: Final = 8
_TURN: Final = 0.0005
_MOST: Final = 2_000
_waiting: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, list[Any]]] = WeakKeyDictionary()


def free_slowly(items: Sequence[Any]) -> None:
    """Hold ``items``, which are about to be freed, and free them a few at a time between the running loop's turns.

    Without a running loop nobody waits, and they go at once; so they do if the loop has had no turns for those before.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    waiting = _waiting.setdefault(loop, [])
    if len(waiting) >= _MOST:
        return
    if not waiting:
        loop.call_soon(_free, loop, waiting)
    waiting += items


def _free(loop: asyncio.AbstractEventLoop, waiting: list[Any]) -> None:
    ends_at = loop.time() + _TURN
    while waiting:
        del waiting[-_STEP:]
        if loop.time() >= ends_at:
            loop.call_soon(_free, loop, waiting)
            return
