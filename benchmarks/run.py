"""Runs all benchmarks but the soak, in about ten minutes, and writes README.md, plot.svg and results.json anew.

    python benchmarks/run.py [--quick] [NAME ...]

``--quick`` shows in a minute that all of them work, and saves nothing.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

NAMES = ["decode", "stall", "walk", "call", "throughput", "memory", "imports", "sweep", "deadline", "flow_analysis"]


def main() -> None:
    """One process after the other, so that none pays for what another has imported or kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help=", ".join(NAMES), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the figures mean nothing")
    given = parser.parse_args()
    failed = []
    begun = time.monotonic()
    for name in given.names or NAMES:
        print(f"\n== {name}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, script, "--quick" if given.quick else "--save"], check=False).returncode:
            failed.append(name)
    print(f"\n{time.monotonic() - begun:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
