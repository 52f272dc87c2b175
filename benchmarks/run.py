"""Runs the benchmarks and writes README.md and results.json anew.

    python benchmarks/run.py [--quick] [NAME ...]

Without names it runs all but the soak and the outages, in about ten minutes. ``--quick`` shows in a minute or two that
they work, and saves nothing.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

USUAL = [
    "decode",
    "event_loop",
    "call",
    "throughput",
    "walk",
    "memory",
    "imports",
    "sweep",
    "deadline",
    "flow_analysis",
    "dask_workers",
    "mirror",
    "mirror_refresh",
]
LONG = ["outage", "soak"]


def main() -> None:
    """Run one process after the other, so that none is affected by what another has imported or kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*USUAL, *LONG]
    parser.add_argument("names", nargs="*", choices=[[], *names], help=", ".join(names), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the figures mean nothing")
    given = parser.parse_args()
    failed = []
    begun = time.monotonic()
    for name in given.names or USUAL:
        print(f"\n== {name}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, script, "--quick" if given.quick else "--save"], check=False).returncode:
            failed.append(name)
    print(f"\n{time.monotonic() - begun:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
