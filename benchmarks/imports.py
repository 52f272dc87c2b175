"""CPU time of a fresh interpreter that imports the library, for its types alone and with a client made.

python benchmarks/imports.py [--quick]
"""

import os
import resource
import subprocess
import sys
import tempfile

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
ROUNDS = 30


def seconds(program: str, compiled: str) -> float:
    """CPU seconds of a process that runs ``program``, with the compiled files of everything in a folder of their own.

    Where the environment forbids to write them beside the source, an editable install would be compiled each time.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = compiled
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(options: Options) -> Report:
    """The table of imports."""
    samples = Samples()
    with tempfile.TemporaryDirectory() as compiled:
        for program in PROGRAMS.values():
            seconds(program, compiled)
        for name in interleaved(list(PROGRAMS), 1 if options.quick else ROUNDS):
            samples.add(name, seconds(PROGRAMS[name], compiled))
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
