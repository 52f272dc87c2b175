"""The ``vinix`` command: the extra ``cli``."""

import sys


def main() -> None:
    """Run the command, and end the process with its exit code."""
    try:
        from ._app import run  # noqa: PLC0415  # what it needs may not be there
    except ModuleNotFoundError as missing:
        if missing.name not in {"cyclopts", "platformdirs", "rich"}:
            raise
        sys.exit("vinix needs its extra: pip install 'vinix-async[cli]'")
    sys.exit(run(sys.argv[1:]))
