"""Writes README.md from the results in results.json: the targets, and each benchmark's tables."""

import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import frozen

from harness import Report

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PACKAGES = [
    "vinix-async",
    "aiohttp",
    "attrs",
    "cattrs",
    "msgspec",
    "tenacity",
    "orjson",
    "httpx",
    "pydantic",
    "openapi-python-client",
    "dask",
]
_CPUS = Path("/proc/cpuinfo")


@frozen
class Target:
    """A bound for a figure: the most that it may be, or with ``at_least`` the least."""

    what: str
    figure: str
    bound: float
    unit: str = "×"
    at_least: bool = False

    def row(self, figures: Mapping[str, float]) -> str:
        """Return the table's row."""
        bound = f"at {'least' if self.at_least else 'most'} {self.bound:g} {self.unit}"
        if self.figure not in figures:
            return f"| {self.what} | {bound} | not measured | |"
        measured = figures[self.figure]
        met = measured >= self.bound if self.at_least else measured <= self.bound
        return f"| {self.what} | {bound} | {measured:.2f} {self.unit} | {'yes' if met else '**no**'} |"


TARGETS = [
    Target("decode page S, CPU time against `orjson.loads`", "decode S", 1.8),
    Target("decode page M", "decode M", 1.2),
    Target("decode page L", "decode L", 1.4),
    Target("decode page M and walk every node", "walk nodes", 2.6),
    Target("decode pages whose rows have unknown keys of their own, against pydantic v2", "unknown keys", 1.6),
    Target("pydantic v2 with extras kept, against this library, page M", "pydantic", 2.5, at_least=True),
    Target("memory of decoded documents against that of `orjson.loads`", "memory of documents", 1.0),
    Target("longest stop of the event loop, 50 summaries", "stop S", 1, "ms"),
    Target("the same, 200 summaries", "stop S200", 1, "ms"),
    Target("the same, 1,000 summaries", "stop S1000", 2, "ms"),
    Target("the same, 50 whole documents", "stop M", 2, "ms"),
    Target("the same, 200 whole documents", "stop M200", 2, "ms"),
    Target("the same, 1,000 whole documents", "stop L", 8, "ms"),
    Target("CPU time of `callflows.list`, one row, against aiohttp with `orjson.loads`", "call one", 1.8),
    Target("the same, page S", "call S", 1.8),
    Target("throughput against aiohttp with `orjson.loads`, 16 at once", "throughput 16", 0.5, at_least=True),
    Target("the same, 64 at once", "throughput 64", 0.5, at_least=True),
    Target("throughput against httpx with pydantic v2, 16 at once", "throughput httpx", 5, at_least=True),
    Target("throughput against the generated client, 16 at once", "throughput generated", 6, at_least=True),
    Target("walk with 20 ms of latency, pages S, against fetching alone", "walk", 1.1),
    Target("a million rows streamed: peak of memory above the imports", "memory peak", 60, "MB"),
    Target("the same: growth from the first quarter to the end", "memory growth", 5, "MB"),
    Target("findings of 100,000 callflows in 10,000 accounts", "flows findings", 12, "s"),
    Target("their index", "flows index", 8, "s"),
    Target("their differences from a second state", "flows diff", 15, "s"),
    *(
        Target(f"{name} of one account of 20,000 callflows, per callflow, against many", f"one account {name}", 1.5)
        for name in ("findings", "index", "diff")
    ),
    Target("mirror: first load of 100,000 callflows into SQLite", "mirror load", 60, "s"),
    Target("the same: a refresh in which nothing has changed", "mirror unchanged", 5, "s"),
    Target("the same: a refresh in which 1 % has changed", "mirror changed", 5, "s"),
    Target("PostgreSQL: first load", "mirror postgres load", 180, "s"),
    Target("the same: a refresh in which nothing has changed", "mirror postgres unchanged", 15, "s"),
    Target("the same: a refresh in which 1 % has changed", "mirror postgres changed", 15, "s"),
    Target("the slowest question to a mirror, of both databases", "mirror question", 100, "ms"),
    Target("longest stop of the event loop by a mirror", "mirror stop", 10, "ms"),
    Target("requests of a refresh for an account in which nothing has changed", "refresh unchanged", 2, ""),
    Target("refresh of 5,000 accounts in which nothing has changed, 50 ms of latency", "refresh estate", 30, "s"),
    Target("an export by two worker processes against one, where latency is the limit", "dask 2", 1.8, at_least=True),
    Target("the same by four", "dask 4", 3.0, at_least=True),
    Target("import the types alone, against importing `attrs` and `msgspec`", "import types", 1.3),
    Target("import and make a client, against `import aiohttp`", "import client", 1.25),
]

SECTIONS = {
    "decode": (
        "Decode",
        (
            "From a response body to documents, with the garbage collector off. × is against `orjson.loads`, "
            "which makes plain dicts. This library checks a flow when its page is decoded and builds it when it "
            "is first looked at, which the last row adds. Pages `S-keys` and `M-keys` are S and M with three "
            "unknown keys of its own in each row."
        ),
    ),
    "event_loop": (
        "Event loop",
        (
            "The longest time for which nothing else runs while a page is read through a client. It is CPU time of "
            "the thread, so that other processes of the machine do not count. It includes the time to free what was "
            "read: this library's page is read with `async for`, and once more kept whole and freed in one go."
        ),
    ),
    "call": (
        "One call",
        (
            "CPU time of the process, one call after the other. × is against aiohttp + orjson.loads. The last row "
            "records two spans and a measurement for each call, and exports nothing."
        ),
    ),
    "throughput": (
        "Throughput",
        "Pages S. × is against aiohttp + orjson.loads.",
    ),
    "walk": (
        "A listing over a slow network",
        (
            "50 pages S, each sent 20 ms after its request. Fetching alone knows every cursor beforehand and "
            "decodes nothing."
        ),
    ),
    "memory": (
        "A million rows",
        "A listing of 1,000 pages of 1,000 summary rows, read with `async for`.",
    ),
    "imports": (
        "Imports",
        "CPU time of a fresh interpreter. Everything has been compiled before.",
    ),
    "sweep": (
        "Sweeps",
        (
            "`list_many` over the accounts of a sandbox in another process, with its rate limit. 5 % of the "
            "responses are wrong in one of the ways that it knows, 20 accounts are refused for good, and 2 never "
            "answer. Accounts have 1 to 500 callflows; in the largest sweep 1 to 40, a page each. A wrong account "
            "has other callflows than the server. `/ least` compares the requests with the least possible number."
        ),
    ),
    "deadline": (
        "Deadlines",
        (
            "By how much a call with `deadline=2.0` exceeds its deadline, under each fault that makes it wait. A "
            "negative number means that the call gave up before, because the next attempt would have come too "
            "late."
        ),
    ),
    "flow_analysis": (
        "What callflows mean",
        (
            "`vinix_async.flows` over documents in memory: findings, an index of all references, and the differences "
            "from a second state in which one callflow in fifty has changed. CPU time of the process, with the garbage "
            "collector off."
        ),
    ),
    "dask_workers": (
        "Several processes",
        (
            "An export by the workers of a Dask cluster on this machine, where latency is the limit: the server "
            "answers 200 ms after each request, and a process has 4 connections, as behind a gateway with a limit for "
            "each address. 100 accounts of 10 pages S."
        ),
    ),
    "mirror": (
        "A mirror",
        (
            "The time of a mirror's store without requests and decoding, called as a refresh calls it in batches of 32 "
            "documents: CPU time of the process, and of the PostgreSQL process that serves it. For a question the best "
            "of five times counts. The event loop is measured as above, with the garbage collector off, during "
            "requests to a sandbox in another process."
        ),
    ),
    "outage": (
        "Outages",
        (
            "`python benchmarks/outage.py --save`: sweeps over 2,000 accounts while the server is away for a "
            "time. A lost account has an error in place of its callflows. `/ least` compares the requests with "
            "the least possible number. A line that exceeds its limit is marked with ✗."
        ),
    ),
    "soak": (
        "Soak",
        (
            "`python benchmarks/soak.py --save`: ten minutes of sweeps, cancelled walks and logins against a "
            "server that misbehaves and is away for some seconds in each minute. Every result is compared with "
            "what the server holds."
        ),
    ),
    "mirror_refresh": (
        "A refresh of a mirror",
        (
            "The requests that a sandbox received for one account, with pages of 1,000 rows; and an estate in which "
            "nothing has changed, over 64 connections to a server that answers after 50 ms. Its mirror is an SQLite "
            "file."
        ),
    ),
}

INTRODUCTION = """\
# Benchmarks

`benchmarks/run.py` writes this file. What a user would write or install instead does the same work in the same run:
aiohttp with `orjson.loads`, httpx with pydantic v2 (`extra="allow"`), and the client that openapi-python-client
generates from [openapi.yaml](openapi.yaml). The contenders take turns in random order. Times are medians of all rounds,
and ratios (×) are ratios of medians.

    pip install -e . --group bench
    python benchmarks/run.py              # all but the outages and the soak, in about ten minutes
    python benchmarks/run.py decode call  # only these
    python benchmarks/decode.py           # prints its tables and saves nothing
    python benchmarks/outage.py --save    # twelve minutes
    python benchmarks/soak.py --save      # ten minutes

The pages are made from a seed ([pages.py](pages.py)): **S** has 50 summary rows (12.7 KB), **M** 50 whole documents
(109 KB), **L** 1,000 whole documents (2.7 MB). The server is another process on the same machine, without TLS or
compression. The first five benchmarks run with `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` at 1 GB: by
default glibc returns memory to the system after each large body, which doubles times at random for every contender."""


def save(name: str, report: Report) -> None:
    """Write a benchmark's result to results.json, and README.md anew."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = {"text": report.text, "figures": report.figures, "where": _where()}
    kept = {section: results[section] for section in SECTIONS if section in results}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    (HERE / "README.md").write_text("\n\n".join(_parts(kept)) + "\n")


def _parts(results: Mapping[str, Any]) -> Iterator[str]:
    figures = {name: value for result in results.values() for name, value in result["figures"].items()}
    usual = Counter(result["where"] for result in results.values()).most_common(1)[0][0]
    yield INTRODUCTION
    yield usual
    yield "## Targets"
    head = ["| what | target | measured | met |", "| --- | --: | --: | --- |"]
    yield "\n".join([*head, *(target.row(figures) for target in TARGETS)])
    for name, result in results.items():
        title, about = SECTIONS[name]
        yield f"## {title}"
        yield about
        if result["where"] != usual:
            yield result["where"]
        yield result["text"]


def _where() -> str:
    """Return a sentence with the day, the machine and the versions."""
    models = [line.partition(":")[2] for line in _CPUS.read_text().splitlines() if line.startswith("model name")]
    cpu = models[0].strip() if models else platform.machine()
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES)
    day = datetime.now(UTC).date()
    return (
        f"Measured on {day} with {len(os.sched_getaffinity(0))} cores of {cpu}, {platform.system()} "
        f"{platform.release().partition('-')[0]}, {sys.implementation.name} {platform.python_version()}; {versions}."
    )
