"""Large pages, let go without a stop: to free a thousand whole callflows takes as long as to read a few hundred."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

MANY: Final = 100
"""Fewer rows go at once."""

_STEP: Final = 8
_TURN: Final = 0.0005


def free_slowly(items: Sequence[Any]) -> None:
    """Hold ``items``, which are about to be freed, and free them a few at a time between the running loop's turns.

    Without a running loop nobody waits, and they go at once.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_soon(_free, loop, list(items))


def _free(loop: asyncio.AbstractEventLoop, items: list[Any]) -> None:
    ends_at = loop.time() + _TURN
    while items:
        del items[-_STEP:]
        if loop.time() >= ends_at:
            loop.call_soon(_free, loop, items)
            return
