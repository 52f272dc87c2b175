"""From a page's bytes to documents: CPU time against `orjson.loads`, and the memory that the result holds.

python benchmarks/decode.py [--quick]
"""

import gc
import time
import tracemalloc
from collections.abc import Callable

from contenders import DECODERS, GENERATED
from harness import FLOOR, VINIX, Options, Report, Samples, interleaved, main
from pages import body
from vinix_async import decode_page

Decode = Callable[[bytes], object]
WALKED = "vinix-async, and walk every node"
ROUNDS = 15
KEPT = 10
COLUMNS = ["S µs", "M ms", "L ms", "L ms, collector off", "ten L kept, ms each", "L MB"]


def walked(page: bytes) -> object:
    """The documents of a page, each node of each flow looked at: nodes are checked when a page is decoded, and made
    when ``flow`` is first looked at.
    """
    documents = decode_page(page).items
    for document in documents:
        if document.flow is not None:
            for _ in document.flow.walk():
                pass
    return documents


ALL: dict[str, Decode] = {}
for _name, _decode in DECODERS.items():
    ALL[_name] = _decode
    if _name == VINIX:
        ALL[WALKED] = walked


def seconds(decode: Decode, page: bytes, repeat: int, *, keep: bool = False) -> float:
    """CPU seconds for one page, of so many in a row."""
    kept: list[object] = []
    begun = time.thread_time()
    for _ in range(repeat):
        document = decode(page)
        if keep:
            kept.append(document)
    return (time.thread_time() - begun) / repeat


def compare(page: bytes, repeat: int, rounds: int, *, keep: bool = False, collector: bool = True) -> Samples:
    """The decoders on one page; all but the slowest one if what they make is kept."""
    samples = Samples()
    for name in interleaved([name for name in ALL if not (keep and name == GENERATED)], rounds):
        gc.collect()
        if not collector:
            gc.disable()
        samples.add(name, seconds(ALL[name], page, repeat, keep=keep))
        gc.enable()
    return samples


def held(decode: Decode, page: bytes) -> float:
    """MB that a page's documents hold, with what they keep of its bytes."""
    decode(page)  # what is learned once is not counted
    gc.collect()
    tracemalloc.start()
    own = bytes(bytearray(page))
    document = decode(own)
    del own
    gc.collect()
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del document
    return memory / 1e6


def hostile(clean: str, variant: str, repeat: int, rounds: int) -> float:
    """How many times the cost of a clean page a hostile one has, for our decoder."""
    pages = {clean: body(clean), variant: body(variant)}
    samples = Samples()
    for name in interleaved(list(pages), rounds):
        samples.add(name, seconds(DECODERS[VINIX], pages[name], repeat))
    return samples.ratio(variant, clean)


def cell(samples: Samples, name: str, unit: float) -> list[str]:
    """The two columns of a contender on one page."""
    if name not in samples:
        return ["", ""]
    return [f"{samples.median(name) * unit:.3g}", f"{samples.ratio(name, FLOOR):.2f}"]


def measure(options: Options) -> Report:
    """All of the above."""
    rounds = 2 if options.quick else ROUNDS
    for decode in ALL.values():
        decode(body("M"))  # imports, first uses
    gc.collect()
    gc.freeze()  # nobody pays for what the others have imported
    large = body("L")
    few = max(2, rounds // 2)
    runs = {
        "S": compare(body("S"), 100, rounds),
        "M": compare(body("M"), 10, rounds),
        "L": compare(large, 1, few),
        "L, collector off": compare(large, 1, few, collector=False),
        "ten L kept": compare(large, 2 if options.quick else KEPT, max(2, rounds // 3), keep=True),
    }
    memory = {name: held(decode, large) for name, decode in ALL.items()}
    report = Report()
    report.table(
        ["", *(text for column in COLUMNS for text in (column, "×"))],
        [
            [
                name,
                *(text for run in runs for text in cell(runs[run], name, 1e6 if run == "S" else 1e3)),
                f"{memory[name]:.1f}",
                f"{memory[name] / memory[FLOOR]:.2f}",
            ]
            for name in ALL
        ],
    )
    report.figures = {f"decode {run}": samples.ratio(VINIX, FLOOR) for run, samples in runs.items()}
    for run in ("M", "L, collector off"):
        report.figures[f"pydantic {run}"] = runs[run].ratio("pydantic v2", VINIX)
    report.figures |= {f"decode M {name}": runs["M"].median(name) * 1e3 for name in DECODERS}
    report.figures["memory L"] = memory[VINIX] / memory[FLOOR]
    hostiles = {
        "S, three unknown keys of its own in each row": hostile("S", "S-hostile", 100, rounds),
        "M, three unknown keys of its own in each row": hostile("M", "M-hostile", 10, rounds),
        "M, an unknown key of its own in each row and each node": hostile("M", "M-nodes", 10, rounds),
    }
    report.table(
        ["hostile page, `decode_page`", "× the clean one"], [[name, f"{cost:.2f}"] for name, cost in hostiles.items()]
    )
    report.figures["hostile"] = max(list(hostiles.values())[:2])
    report.figures["hostile nodes"] = list(hostiles.values())[2]
    return report


if __name__ == "__main__":
    main("decode", measure)
