"""What all benchmarks share: the command line, interleaved rounds, and tables."""

import argparse
import asyncio
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path

from attrs import define, field, frozen

MALLOC_SETTINGS = {"MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_MMAP_THRESHOLD_": "1073741824"}
"""Keeps glibc from returning memory to the system after each large body, which doubles times at random."""

VINIX = "vinix-async"


@frozen
class Options:
    """``quick`` asks for a smoke run whose figures mean nothing. ``numbers`` are the script's own arguments."""

    quick: bool = False
    numbers: tuple[int, ...] = ()

    def rounds(self, usual: int) -> int:
        """Return how often each contender is measured."""
        return 1 if self.quick else usual


@define
class Report:
    """The result of a benchmark: tables for people, and by name the figures that have a target."""

    tables: list[str] = field(factory=list)
    figures: dict[str, float] = field(factory=dict)
    failed: bool = False

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: Container[int] = (0,)) -> None:
        """Add a table. Columns that hold numbers are aligned to the right."""
        rules = ["---" if column in text_columns else "--:" for column in range(len(head))]
        self.tables.append("\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *rows)))

    @property
    def text(self) -> str:
        """The tables as Markdown."""
        return "\n\n".join(self.tables)


class Samples:
    """The measurements of each contender, one for each round."""

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """Add a measurement of a contender."""
        self._of.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Return the median over all rounds."""
        return statistics.median(self._of[name])

    def worst(self, name: str) -> float:
        """Return the largest measurement of all rounds."""
        return max(self._of[name])

    def ratio(self, name: str, to: str) -> float:
        """Return the ratio of two contenders' medians."""
        return self.median(name) / self.median(to)


class Stopwatch:
    """Measures the longest time between two turns of the event loop, in CPU time of its thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.thread_time()
        self._running = True
        self._turn()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        if self._running:
            asyncio.get_running_loop().call_soon(self._turn)

    def stop(self) -> float:
        """Return the longest time in ms."""
        self._running = False
        return self.longest * 1000


def interleaved(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield every name once in each round, each round in another order."""
    chance = random.Random(rounds)
    for _ in range(rounds):
        yield from chance.sample(names, len(names))


def resident() -> float:
    """Return the memory that this process uses now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def peak() -> float:
    """Return the most memory that this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(name: str, measure: Callable[[Options], Report], *, keep_heap: bool = True) -> None:
    """Run one benchmark from the command line and print its tables.

    ``keep_heap`` starts Python again with ``MALLOC_SETTINGS``.
    """
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", type=int, help="the numbers that the description names, if it names any")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the figures mean nothing")
    parser.add_argument("--save", action="store_true", help="write the result to results.json and README.md")
    given = parser.parse_args()
    if keep_heap and not MALLOC_SETTINGS.items() <= os.environ.items():
        environment = os.environ | MALLOC_SETTINGS
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)  # noqa: S606  # the same command again
    report = measure(Options(given.quick, tuple(given.numbers)))
    print(report.text)
    if given.save:
        from readme import save  # noqa: PLC0415  # the processes that are measured do without it

        save(name, report)
    sys.exit(report.failed)
