"""From a response body to documents: CPU time and memory.

python benchmarks/decode.py [--quick]
"""

import gc
import time
import tracemalloc
from collections.abc import Callable

from contenders import DECODERS, ORJSON, PYDANTIC
from harness import VINIX, Options, Report, Samples, interleaved, main
from pages import body
from vinix_async import decode_page

WALKED = "vinix-async, and walk every node"
ROUNDS = 15
PAGES = {"S": 100, "M": 10, "L": 1, "S-keys": 100, "M-keys": 10}
"""The pages, and how often each is decoded in a row."""


def walk(page: bytes) -> object:
    """Decode a page and look at each node: a flow is checked with its page and built when it is first looked at."""
    documents = decode_page(page).items
    for document in documents:
        if document.flow is not None:
            for _ in document.flow.walk():
                pass
    return documents


ALL: dict[str, Callable[[bytes], object]] = {**DECODERS, WALKED: walk}


def seconds(decode: Callable[[bytes], object], page: bytes, times: int) -> float:
    """Return the thread's CPU seconds for one page."""
    begun = time.thread_time()
    for _ in range(times):
        decode(page)
    return (time.thread_time() - begun) / times


def compare(page: str, rounds: int) -> Samples:
    """Measure all decoders on one page, with the collector off."""
    text, samples = body(page), Samples()
    for name in interleaved(list(ALL), rounds):
        gc.collect()
        gc.disable()
        samples.add(name, seconds(ALL[name], text, PAGES[page]))
        gc.enable()
    return samples


def held(decode: Callable[[bytes], object], page: bytes) -> float:
    """Return the MB that a page's documents hold, including the parts of its text that they keep."""
    decode(page)  # what is made once does not count
    gc.collect()
    tracemalloc.start()
    own = bytes(bytearray(page))
    documents = decode(own)
    del own
    gc.collect()
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del documents
    return memory / 1e6


def measure(options: Options) -> Report:
    """Measure time and memory."""
    for decode in ALL.values():
        decode(body("M"))
    gc.collect()
    gc.freeze()
    found = {page: compare(page, options.rounds(ROUNDS)) for page in PAGES}
    memory = {name: held(decode, body("L")) for name, decode in ALL.items()}
    report = Report()
    report.table(
        ["CPU µs", *(text for page in PAGES for text in (page, "×")), "L, MB", "×"],
        [
            [
                name,
                *(
                    text
                    for samples in found.values()
                    for text in (f"{samples.median(name) * 1e6:,.0f}", f"{samples.ratio(name, ORJSON):.2f}")
                ),
                f"{memory[name]:.1f}",
                f"{memory[name] / memory[ORJSON]:.2f}",
            ]
            for name in ALL
        ],
    )
    report.figures = {
        **{f"decode {page}": found[page].ratio(VINIX, ORJSON) for page in ("S", "M", "L")},
        "walk nodes": found["M"].ratio(WALKED, ORJSON),
        "unknown keys": max(found[page].ratio(VINIX, PYDANTIC) for page in ("S-keys", "M-keys")),
        "pydantic": found["M"].ratio(PYDANTIC, VINIX),
        "memory of documents": memory[VINIX] / memory[ORJSON],
    }
    return report


if __name__ == "__main__":
    main("decode", measure)
