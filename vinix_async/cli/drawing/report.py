"""The report: many accounts in one HTML file that needs no other."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import default_mode, replacing
from .page import account_block, end_block, page

if TYPE_CHECKING:
    from ..export import Ending

__all__ = ["account_block", "report", "write_report"]


def report(title: str, accounts: Iterable[str], *, complete: bool) -> Iterator[str]:
    """Yield the parts of the page. ``accounts``: the results of ``account_block``; an account may have several."""
    before, after = page(title)
    yield before
    yield from accounts
    yield end_block(complete=complete) + after


def write_report(to: Path, blocks: Path, title: str | None, ending: "Ending") -> None:
    """Write the page with the blocks of a file, and with what could not be read."""
    problems = (
        account_block(
            problem.account,
            bad_items=problem.bad_items,
            error=problem.error,
            retry=ending.resume
            or shlex.join(["vinix", "report", problem.account_id, "--to", f"{problem.account_id}.html"]),
        )
        for problem in ending.problems
    )
    with (
        replacing(to, mode=default_mode()) as new,
        new.open("w", encoding="utf-8") as stream,
        blocks.open(encoding="utf-8") as lines,
    ):
        stream.writelines(report(title or "Callflows", chain(lines, problems), complete=not ending.stopped))
