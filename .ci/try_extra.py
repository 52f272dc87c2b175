"""Try what an extra is for, where nothing else is installed: ``python try_extra.py EXTRA`` (``none`` for no extra)."""

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from vinix_async import Callflow, structure
from vinix_async.sandbox import Sandbox


async def library() -> None:
    """Read callflows from a sandbox."""
    async with Sandbox() as sandbox, sandbox.client() as client:
        assert await client.callflows.list(sandbox.root_id, details=True).to_list()


def flows() -> None:
    """Match a number with a pattern."""
    from vinix_async.flows import lookup  # noqa: PLC0415  # as all imports below: only its extra installs what it needs

    assert lookup([structure({"id": "1", "patterns": ["^20([0-9]{2})$"]}, Callflow)], "2042").capture == "42"


def cli() -> None:
    """Export from a sandbox."""
    command = [str(Path(sys.executable).parent / "vinix"), "callflows", "list", "--sandbox"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(b'{"account_id":')  # noqa: S603  # ours


def imports(name: str) -> Callable[[], object]:
    """Import what the extra adds for another part of the library."""
    return lambda: importlib.import_module(name)


TRIALS: dict[str, Callable[[], object]] = {
    "none": imports("vinix_async"),
    "cli": cli,
    "dask": imports("vinix_async.dask"),
    "flows": flows,
    "keyring": imports("keyring"),
    "otel": imports("vinix_async.telemetry"),
    "parquet": imports("pyarrow.parquet"),
    "png": imports("resvg_py"),
    "postgres": imports("psycopg"),
}


if __name__ == "__main__":
    asyncio.run(library())
    TRIALS[sys.argv[1]]()
    print(f"{sys.argv[1]}: works")
