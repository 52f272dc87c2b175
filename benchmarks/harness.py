"""What every benchmark shares: its command line, interleaved rounds, and tables."""

import argparse
import os
import random
import resource
import statistics
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HEAP = {"MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_MMAP_THRESHOLD_": "1073741824"}
"""Keeps glibc from giving memory back after each large body and taking it again, which doubles times at random."""

FLOOR = "orjson.loads"
VINIX = "vinix-async"


@dataclass(frozen=True)
class Options:
    """``quick``: a smoke run, whose figures mean nothing. ``numbers``: the script's own arguments."""

    quick: bool = False
    numbers: tuple[int, ...] = ()


@dataclass
class Report:
    """What a benchmark has found: text for people, and by name the figures that have targets or are drawn."""

    parts: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    failed: bool = False

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, words: Container[int] = (0,)) -> None:
        """Add a table, whose columns ``words`` hold no numbers."""
        rules = ["---" if column in words else "--:" for column in range(len(head))]
        self.parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *rows)))

    @property
    def text(self) -> str:
        """The parts as Markdown."""
        return "\n\n".join(self.parts)


class Samples:
    """One measurement of each contender in each round."""

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """Note this round's measurement of a contender."""
        self._of.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def median(self, name: str) -> float:
        """The contender's median over all rounds."""
        return statistics.median(self._of[name])

    def worst(self, name: str) -> float:
        """The contender's largest over all rounds."""
        return max(self._of[name])

    def ratio(self, name: str, to: str) -> float:
        """The median of the ratios within each round that both have."""
        return statistics.median(one / other for one, other in zip(self._of[name], self._of[to], strict=False))

    def difference(self, name: str, other: str) -> float:
        """The median of the differences within each round."""
        return statistics.median(one - two for one, two in zip(self._of[name], self._of[other], strict=True))


def interleaved(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Every name once a round, each round in another order."""
    chance = random.Random(rounds)
    for _ in range(rounds):
        yield from chance.sample(names, len(names))


def resident() -> float:
    """Memory in use, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def peak() -> float:
    """The most memory that this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(name: str, measure: Callable[[Options], Report], *, heap: bool = True) -> None:
    """Run one benchmark as its command line says, and print what it found.

    ``heap`` starts Python again with the settings of ``HEAP``.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help="what the description names, if anything")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the figures mean nothing")
    parser.add_argument("--save", action="store_true", help="put the result into README.md")
    given = parser.parse_args()
    if heap and not HEAP.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | HEAP)  # noqa: S606  # the same command again
    report = measure(Options(given.quick, tuple(given.numbers)))
    print(report.text)
    if given.save:
        from readme import save  # noqa: PLC0415  # a server's or child's memory and start are without it

        save(name, report)
    sys.exit(report.failed)
