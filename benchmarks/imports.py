"""CPU time of a fresh interpreter that imports the library, for its types alone and with a client made.

python benchmarks/imports.py [--quick]
"""

import resource
import subprocess
import sys

from harness import Options, Report, Samples, interleaved, main

NOTHING = "nothing"
AIOHTTP = "`import aiohttp`"
TYPES = "vinix-async, its types alone"
CLIENT = "vinix-async, with a client made"
PROGRAMS = {
    NOTHING: "pass",
    TYPES: "from vinix_async import Callflow, FlowNode",
    CLIENT: "from vinix_async import VinixClient; VinixClient(auth='t')",
    AIOHTTP: "import aiohttp",
    "`import httpx, pydantic`": "import httpx, pydantic; pydantic.BaseModel",
    "`import requests`": "import requests",
}
ROUNDS = 15


def seconds(program: str) -> float:
    """CPU seconds of a process that runs ``program``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(options: Options) -> Report:
    """The table of imports."""
    samples = Samples()
    for program in PROGRAMS.values():
        seconds(program)  # compiled files
    for name in interleaved(list(PROGRAMS), 1 if options.quick else ROUNDS):
        samples.add(name, seconds(PROGRAMS[name]))
    bare = samples.median(NOTHING)
    report = Report()
    report.table(
        ["a process that imports", "CPU ms", "above a bare interpreter"],
        [
            [name, f"{samples.median(name) * 1000:.0f}", f"{(samples.median(name) - bare) * 1000:+.0f}"]
            for name in PROGRAMS
        ],
    )
    report.figures = {
        "import types": samples.difference(TYPES, NOTHING) * 1000,
        "import client": samples.ratio(CLIENT, AIOHTTP),
    }
    return report


if __name__ == "__main__":
    main("imports", measure, heap=False)
