"""CPU time of a fresh interpreter that imports the library.

python benchmarks/imports.py [--quick]
"""

import os
import resource
import subprocess
import sys
import tempfile

from harness import Options, Report, Samples, interleaved, main

PROGRAMS = {
    "nothing": "pass",
    "`attrs`, `msgspec`": "import attrs, msgspec",
    "`vinix_async`, the types alone": "from vinix_async import Callflow, FlowNode",
    "`aiohttp`": "import aiohttp",
    "`vinix_async`, and makes a client": "from vinix_async import VinixClient; VinixClient(auth='token')",
}
NOTHING, LIBRARIES, TYPES, AIOHTTP, CLIENT = PROGRAMS
ROUNDS = 30


def seconds(program: str, cache: str) -> float:
    """Return the CPU seconds of a process that runs ``program``, with compiled files in the folder ``cache``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = cache
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(options: Options) -> Report:
    """Measure imports."""
    samples = Samples()
    with tempfile.TemporaryDirectory() as cache:
        for program in PROGRAMS.values():
            seconds(program, cache)  # compiles
        for name in interleaved(list(PROGRAMS), options.rounds(ROUNDS)):
            samples.add(name, seconds(PROGRAMS[name], cache))
    report = Report()
    to = {TYPES: LIBRARIES, CLIENT: AIOHTTP}
    report.table(
        ["a process that imports", "CPU ms", "× the row above"],
        [
            [name, f"{samples.median(name) * 1000:.0f}", f"{samples.ratio(name, to[name]):.2f}" if name in to else ""]
            for name in PROGRAMS
        ],
    )
    report.figures = {"import types": samples.ratio(TYPES, LIBRARIES), "import client": samples.ratio(CLIENT, AIOHTTP)}
    return report


if __name__ == "__main__":
    main("imports", measure, keep_heap=False)
