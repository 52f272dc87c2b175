"""The ``vinix`` command. It needs the packages that the extra ``cli`` installs."""

import sys


def main() -> None:
    """Run the command and exit with its exit code."""
    try:
        from .app import run  # noqa: PLC0415  # its dependencies may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in {"cyclopts", "platformdirs", "rich"}:
            raise
        sys.exit("the vinix command needs the extra cli: pip install 'vinix-async[cli]'")
    except KeyboardInterrupt:  # during the import; run() handles later interrupts
        print("interrupted", file=sys.stderr)  # noqa: T201  # rich may not be imported yet
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))
