"""Findings, index and differences of many callflows, in many small accounts and in one large one.

python benchmarks/flow_analysis.py [--quick] [CALLFLOWS]

CALLFLOWS is how many there are in accounts of ten; 100,000 by default. Times are CPU times of the process, collector
off, for documents that are in memory. One callflow in ten has a pattern of its own. One callflow in fifty differs
between the two states that are compared.
"""

import gc
import json
import time
from collections.abc import Callable

from harness import Options, Report, main
from vinix_async import Callflow, structure
from vinix_async.flows import ReferenceIndex, diff, findings
from vinix_async.sandbox import Sandbox

ACCOUNT = 10
LARGE = 20_000
EVERY = 50
PATTERN_EVERY = 10
NAMES = ("findings", "index", "diff")

Accounts = list[list[Callflow]]


def accounts(count: int, size: int, *, changed: bool = False) -> Accounts:
    """``count`` accounts of ``size`` callflows, made of the documents of a sandbox of the same shape."""
    sandbox = Sandbox(accounts=count, callflows=size)
    made: Accounts = []
    for account_id in sandbox.account_ids:
        documents = [sandbox.document(account_id, each) for each in sandbox.callflow_ids(account_id)]
        for position in range(0, len(documents), PATTERN_EVERY):
            documents[position]["patterns"] = [f"^\\*{position:05}([0-9]*)$"]
        if changed:
            for position in range(len(made) % EVERY, len(documents), EVERY):
                documents[position] = edited(documents[position])
        callflows = [structure(document, Callflow) for document in documents]
        for callflow in callflows:
            _ = callflow.flow
        made.append(callflows)
    return made


def edited(document: dict) -> dict:  # type: ignore[type-arg]  # JSON
    """A copy of a document with another timeout at its top node."""
    copy: dict = json.loads(json.dumps(document))  # type: ignore[type-arg]  # JSON
    if copy.get("flow"):
        copy["flow"].setdefault("data", {})["timeout"] = 77
    return copy


def seconds(work: Callable[[], object]) -> float:
    """The CPU time that ``work`` takes."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def times(old: Accounts, new: Accounts) -> dict[str, float]:
    """The time of each of the three."""
    return {
        "findings": seconds(lambda: [list(findings(account)) for account in old]),
        "index": seconds(lambda: [ReferenceIndex(account) for account in old]),
        "diff": seconds(lambda: [list(diff(one, other)) for one, other in zip(old, new, strict=True)]),
    }


def measure(options: Options) -> Report:
    """Accounts of ten, a tenth as many of them, and one account of 20,000."""
    total, large = (1_000, 200) if options.quick else (options.numbers[0] if options.numbers else 100_000, LARGE)
    gc.disable()
    shapes = [(total // ACCOUNT // 10, ACCOUNT), (1, large), (total // ACCOUNT, ACCOUNT)]
    measured = [times(accounts(*shape), accounts(*shape, changed=True)) for shape in shapes]
    report = Report()
    names = [f"{count:,} account{'' if count == 1 else 's'} of {size:,}" for count, size in shapes]
    report.table(
        ["seconds", *names, "for each callflow, all to a tenth", "one account to many"],
        [
            [
                name,
                *(f"{each[name]:.2f}" for each in measured),
                f"{measured[2][name] / measured[0][name] / 10:.2f} ×",
                f"{(measured[1][name] / large) / (measured[2][name] / total):.2f} ×",
            ]
            for name in NAMES
        ],
    )
    report.figures = {f"flows {name}": measured[2][name] for name in NAMES}
    report.figures |= {
        f"one account {name}": (measured[1][name] / large) / (measured[2][name] / total) for name in NAMES
    }
    return report


if __name__ == "__main__":
    main("flow_analysis", measure)
