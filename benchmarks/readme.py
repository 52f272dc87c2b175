"""README.md, made of the results in results.json: what had targets, the plot, and each benchmark's tables."""

import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import VINIX, Report
from plot import draw

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
_CPUS = Path("/proc/cpuinfo")
PACKAGES = ["vinix-async", "aiohttp", "orjson", "attrs", "cattrs", "tenacity"]
OTHERS = ["httpx", "pydantic", "openapi-python-client", "requests"]

Results = dict[str, Any]

SECTIONS = {
    "decode": (
        "Decode",
        (
            "From bytes to documents, beside `orjson.loads`, whose result is plain dicts. vinix-async checks the nodes "
            "of a flow here and makes them\nwhen `flow` is first looked at, which its second row adds. "
            "CPU time of the thread."
        ),
    ),
    "stall": (
        "The event loop",
        (
            "The longest time in which nothing else gets a turn while a page is fetched and decoded. CPU time of the "
            "thread, so that what the machine does besides does not count."
        ),
    ),
    "walk": (
        "A listing over a slow wire",
        (
            "Pages L, one after the other. × is against fetching alone, which knows every cursor and decodes nothing. "
            "No client is faster than that, nor\nthan its own work on the processor (CPU, freeing included); the last "
            "two rows show the decoder's part of it."
        ),
    ),
    "call": ("One call", "CPU time of the process, one call after the other. × is against aiohttp + orjson.loads."),
    "throughput": ("Throughput", "Requests at once, pages S. × is against aiohttp + orjson.loads."),
    "memory": ("A million rows", "A listing of 1,000 pages of 1,000 summary rows, read with `async for`."),
    "imports": ("Import", "CPU time of a fresh interpreter, compiled files at hand."),
    "sweep": (
        "Sweeps",
        (
            "`list_many` over accounts of a sandbox in another process: its rate limit, 5 % of the answers wrong in "
            "every way that it knows, 20 accounts refused for good, 2 that never answer. Accounts have 1 to 500 "
            "callflows; in the largest sweep 1 to 40, a page each, so that it ends in time. Wrong: accounts whose "
            "callflows are not the server's. `/ least`: requests against the least possible."
        ),
    ),
    "deadline": ("Deadlines", "By how much a call with `deadline=2.0` overstays, under each fault that makes it wait."),
    "flow_analysis": (
        "What callflows mean",
        (
            "`vinix_async.flows` over documents in memory: findings, an index of all references, and the differences "
            "to a second state in which one callflow in fifty has changed. CPU time of the process, collector off."
        ),
    ),
    "soak": (
        "Soak",
        (
            "`python benchmarks/soak.py --save`: ten minutes of sweeps, walks, cancelled calls and logins against a "
            "server that misbehaves, each result held against the server's truth. `run.py` does not run it, and keeps "
            "its last result."
        ),
    ),
}


@dataclass(frozen=True)
class Target:
    """A figure with a bound: at most ``bound``, or at least if so said."""

    what: str
    figure: str
    bound: float
    unit: str = "×"
    at_least: bool = False

    def row(self, figures: dict[str, float]) -> str:
        """The table's row."""
        bound = f"at {'least' if self.at_least else 'most'} {self.bound:g} {self.unit}"
        if self.figure not in figures:
            return f"| {self.what} | {bound} | not measured | |"
        measured = figures[self.figure]
        met = measured >= self.bound if self.at_least else measured <= self.bound
        return f"| {self.what} | {bound} | {measured:.2f} {self.unit} | {'yes' if met else '**no**'} |"


TARGETS = [
    Target("decode, page S, against `orjson.loads`", "decode S", 1.8),
    Target("decode, page M", "decode M", 1.4),
    Target("decode, page L, collector off", "decode L, collector off", 1.3),
    Target("faster than pydantic v2 with extras kept, page M", "pydantic M", 2.2, at_least=True),
    Target("the same, page L, collector off", "pydantic L, collector off", 1.9, at_least=True),
    Target("ten L pages kept, collector on, against `orjson.loads` of the same", "decode ten L kept", 0.6),
    Target("a page whose rows have their own unknown keys, against a clean one", "hostile", 2.5),
    Target("memory of decoded documents against orjson's dicts", "memory L", 1.0),
    Target("longest stop of the loop, page M", f"stall M {VINIX}", 1, "ms"),
    Target("longest stop of the loop, page L", f"stall L {VINIX}", 5, "ms"),
    Target("walk at 20 ms latency, pages L, against fetching alone", f"walk 20 {VINIX}", 1.25),
    Target("walk at 100 ms latency", f"walk 100 {VINIX}", 1.08),
    Target("CPU of `callflows.list`, one row, against a bare aiohttp GET with `orjson.loads`", "call one", 1.12),
    Target("the same, page S", "call S", 1.12),
    *(
        Target(f"throughput against the same, {number} at once", f"throughput {number}", 0.92, at_least=True)
        for number in (1, 16, 64, 256)
    ),
    Target("throughput against httpx with pydantic, 16 at once", "throughput against httpx", 5, at_least=True),
    Target("throughput against the generated client, 16 at once", "throughput against generated", 3, at_least=True),
    Target("peak memory above the imports, a million rows streamed", "memory peak", 60, "MB"),
    Target("its growth from the first quarter to the end", "memory growth", 5, "MB"),
    Target("findings of 100,000 callflows in 10,000 accounts", "flows findings", 12, "s"),
    Target("their index", "flows index", 8, "s"),
    Target("their differences to a second state", "flows diff", 15, "s"),
    *(
        Target(f"{name} of one account of 20,000, for each callflow, against many accounts", f"one account {name}", 1.5)
        for name in ("findings", "index", "diff")
    ),
    Target("import for the types alone, above a bare interpreter", "import types", 60, "ms"),
    Target("import with a client made, against `import aiohttp`", "import client", 1.15),
]

INTRODUCTION = """\
# Benchmarks

Made by `benchmarks/run.py`. What a user would write or install instead does the same work in the same run: aiohttp
with `orjson.loads`, httpx with pydantic v2 (`extra="allow"`), the client that openapi-python-client makes of
[openapi.yaml](openapi.yaml), `requests` in threads, and a bare asyncio protocol as the limit. Contenders take turns in
random order; a time is the median of its rounds, a ratio (×) the median of the ratios within each round.

    pip install -e . --group bench
    python benchmarks/run.py              # all but the soak, in about ten minutes; rewrites this file
    python benchmarks/run.py decode call  # only these
    python benchmarks/decode.py           # prints, and saves nothing
    python benchmarks/soak.py --save      # ten minutes

Pages are seeded ([pages.py](pages.py)): **S** 50 summary rows (12.7 KB), **M** 50 whole documents (109 KB), **L** 1,000
whole documents (2.7 MB). The server is another process on the same machine, without TLS or compression. Decode, loop,
walk, call and throughput run with `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` at 1 GB: with glibc's defaults
the heap is given back after a large body and taken again, which doubles times at random, for every contender."""


def save(name: str, report: Report) -> None:
    """Keep a benchmark's result, and write README.md and its plot anew."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = {"text": report.text, "figures": report.figures, "where": _where()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    figures = {name: value for result in results.values() for name, value in result["figures"].items()}
    (HERE / "plot.svg").write_text(draw(figures))
    (HERE / "README.md").write_text("\n\n".join(_parts(results, figures)) + "\n")


def _parts(results: Results, figures: dict[str, float]) -> Iterator[str]:
    usual = Counter(result["where"] for result in results.values()).most_common(1)[0][0]
    yield INTRODUCTION
    yield usual
    yield "![Four of the comparisons as bars: shorter is better, but for throughput](plot.svg)"
    yield "## Targets"
    yield "\n".join(["| what | target | measured | met |", "| --- | --: | --: | --- |", *_rows(figures)])
    for name, (title, about) in SECTIONS.items():
        if result := results.get(name):
            yield f"## {title}"
            yield about
            if result["where"] != usual:
                yield result["where"]
            yield result["text"]


def _rows(figures: dict[str, float]) -> Iterator[str]:
    for target in TARGETS:
        yield target.row(figures)


def _where() -> str:
    """The day, the machine and the versions."""
    described = [line.partition(":")[2] for line in _CPUS.read_text().splitlines() if line.startswith("model name")]
    cpu = described[0].strip() if described else platform.machine()
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in [*PACKAGES, *OTHERS])
    day = datetime.now(UTC).date()
    return (
        f"Measured on {day} with {len(os.sched_getaffinity(0))} cores of {cpu}, {platform.system()} "
        f"{platform.release().partition('-')[0]}, {sys.implementation.name} {platform.python_version()}; {versions}."
    )
