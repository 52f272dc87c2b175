"""A PostgreSQL server on loopback, for the tests of a session."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from free_port import free_port


def _programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, which Debian keeps out of the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)


def _unprivileged() -> dict[str, Any]:
    """As whom to run the server, because it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    name = next(each.pw_name for each in pwd.getpwall() if each.pw_name in {"postgres", "nobody"})
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def connect(address: str) -> Any:
    import psycopg  # noqa: PLC0415  # slow to import

    return psycopg.connect(address, autocommit=True)


def drop_mirror(address: str) -> None:
    """Remove the mirror from a database."""
    with connect(address) as connection:
        connection.execute("DROP SCHEMA IF EXISTS vinix_mirror CASCADE")


def end_connections(address: str) -> None:
    """End the connections of all mirrors in a database, as a restart of its server does."""
    with connect(address) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vinix-async'"
        )


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server and give its address. Its data is in a temporary folder, and nothing waits for the disk."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    import psycopg  # noqa: PLC0415  # as above

    port, who = free_port(), _unprivileged()
    with tempfile.TemporaryDirectory(prefix="vinix-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if who:
            os.chown(folder, pwd.getpwnam(who["user"]).pw_uid, who["group"])
        options = ["-N", "-A", "trust", "-U", "vinix", "-E", "UTF8", "--no-locale", "--no-instructions"]
        subprocess.run(  # noqa: S603  # ours
            [programs / "initdb", "-D", folder / "data", *options], **who, check=True, capture_output=True, cwd=folder
        )
        settings = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-F", "-c", "max_connections=40"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603  # ours
                [programs / "postgres", "-D", folder / "data", *settings], **who, stdout=log, stderr=log, cwd=folder
            )
            address = f"postgresql://vinix@127.0.0.1:{port}/postgres"
            try:
                while True:
                    try:
                        connect(address).close()
                        break
                    except psycopg.OperationalError:
                        assert server.poll() is None, (folder / "log").read_text()
                yield address
            finally:
                server.send_signal(signal.SIGQUIT)
                server.wait()
