"""Run examples/nightly.py: three times killed at some moment after a checkpoint, and then to its end.

Each run is a fork of this process, so that none has to import everything again.
"""

import os
import random
import runpy
import signal
import sys
import time
from pathlib import Path

from vinix_async import VinixClient


def run(nightly: str) -> int:
    """Start it in a process of its own, and return the process's id."""
    process = os.fork()
    if process == 0:
        module = runpy.run_path(nightly)
        module["nightly"].__globals__["SAVE_EVERY"] = 0.01
        sys.exit(module["main"]())
    return process


def main(nightly: str, saved: Path, chance: random.Random) -> None:
    VinixClient(auth="a-token")  # imports what the runs need
    killed = 0
    for _ in range(3):
        before = saved.read_text() if saved.exists() else ""
        process, begun = run(nightly), time.monotonic()
        ended, status = 0, 0
        while not ended and (not saved.exists() or saved.read_text() == before):
            time.sleep(0.001)
            ended, status = os.waitpid(process, os.WNOHANG)
        if not ended:
            time.sleep(chance.uniform(0, 0.5) * (time.monotonic() - begun))
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
        killed += os.WIFSIGNALED(status)
    assert killed, "it was too quick"
    _, status = os.waitpid(run(nightly), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _, example, data, checkpoint = sys.argv
    sys.argv = [example, data, checkpoint]
    main(example, Path(checkpoint), random.Random(1))
