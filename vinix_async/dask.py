"""Callflows of many accounts, read by the workers of a Dask cluster. The extra ``dask`` installs what is needed.

``read_callflows`` returns a Dask DataFrame. ``write_callflows`` writes a dataset of Parquet files that can be resumed.
Each worker process has one client, which it makes itself, so the graph and the scheduler hold no credentials.
"""

import asyncio
import atexit
import concurrent.futures
import hashlib
import json
import os
import re
import socket
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from . import (
    Account,
    AccountPage,
    AuthenticationError,
    BadItem,
    Callflows,
    ConfigurationError,
    VinixClient,
    VinixError,
    __version__,
)
from ._columns import Cell, arrow_schema, arrow_table, cells, column_names

try:
    import cloudpickle
    import distributed
    import pandas as pd
    import pyarrow as pa
    from dask import dataframe as dd
    from distributed.comm.core import CommClosedError
    from pyarrow import parquet
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"vinix_async.dask needs the extra dask: pip install 'vinix-async[dask]' ({missing.name} is not installed)",
        name=missing.name,
    ) from None

__all__ = ["DatasetPart", "read_callflows", "write_callflows"]

Connect = Callable[[], VinixClient]
Filters = Mapping[str, str | int | datetime | Sequence[str]]
T = TypeVar("T")

_MANIFEST: Final = "_vinix.json"
_MANIFEST_VERSION: Final = 1
_FILE: Final = re.compile(r"callflows-[0-9a-f]{2}\.parquet|\.callflows-[0-9a-f]{2}-[0-9a-f]{32}")
"""The name of a part, and of a file that is to become one."""

_METADATA: Final = "vinix"
"""The key of a part's metadata in its Parquet footer."""

_GROUP_ROWS: Final = 10_000

_MAX_REFUSED: Final = 5
"""The number of consecutive accounts with refused credentials after which a call ends, as a sweep does."""

_CLUSTER_FAILURES: Final = (
    *(distributed.KilledWorker, concurrent.futures.CancelledError),  # workers were killed, the scheduler was lost
    *(CommClosedError, ConnectionError),
    *(ImportError, RuntimeError),  # the scheduler or a worker cannot load the task
)

_POLL: Final = 0.5  # seconds between two looks at whether the task that a worker runs has been cancelled
_CLOSE: Final = 2.0  # seconds for the clients of a process to close at its end
_COUNTERS: Final = ("requests", "logins", "retries", "rate_limited", "bad_items", "deleted")


# --- a DataFrame --------------------------------------------------------------------------------------------


def read_callflows(
    account_ids: Iterable[str | Account],
    *,
    connect: Connect = VinixClient.from_env,
    details: bool = False,
    filters: Filters | None = None,
    page_size: int | None = None,
    partition_size: int = 50,
    max_concurrency: int = 32,
) -> "dd.DataFrame":
    """Return the callflows of many accounts as a Dask DataFrame. Nothing is sent before it is computed.

    The columns are those of the command's Parquet exports, as Arrow strings and lists of strings, and ``error``. A row
    whose ``error`` is not null is not a callflow: it says that an account, or the row or document ``id`` of it, could
    not be read. ``frame[frame.error.isna()]`` has the callflows.

    Each computation reads the API anew. A partition that is lost with its worker is read again by another worker.

    Args:
        account_ids: account ids or ``Account`` objects. Duplicates are skipped.
        connect: called once in each worker process to make its client. It must be importable there, and it is sent
            through the scheduler, so it must not hold a secret. By default the client is made from the worker's
            environment variables.
        details: whether to read the full document of each callflow. Adds ``flow``, ``metaflow``, ``ringback``,
            ``metadata`` and ``extra``, which hold JSON.
        filters: as for ``callflows.list``.
        page_size: as for ``callflows.list``.
        partition_size: the number of accounts in a partition. A partition should take at least a second.
        max_concurrency: the number of accounts of a partition to read at once. A worker with several threads reads as
            many partitions at once.

    Raises:
        ConfigurationError: an argument is invalid.
    """
    options = {"details": details, "filters": filters, "page_size": page_size, "max_concurrency": max_concurrency}
    checks = _checked(connect, options)
    if isinstance(account_ids, str) or not isinstance(account_ids, Iterable):
        kind = type(account_ids).__name__
        raise ConfigurationError(
            f"account_ids must be an iterable of ids or Account objects, such as `await pager.to_list()`, not {kind}"
        )
    unique: dict[str, Account] = {}
    for each in account_ids:
        _add(each, unique, checks)
    accounts = list(unique.values())
    if type(partition_size) is not int or partition_size < 1:
        raise ConfigurationError(f"partition_size must be an int of at least 1, not {partition_size!r}")
    return dd.from_map(
        _read_partition,
        [accounts[start : start + partition_size] for start in range(0, len(accounts), partition_size)] or [[]],
        connect=cloudpickle.dumps(connect),
        options=options,
        reading=uuid.uuid4().hex,  # a second reading is another computation, even while the first one is persisted
        meta=_frame([], details=details),
        enforce_metadata=False,
        label="read-callflows",
    )


def _read_partition(
    accounts: Sequence[Account], *, connect: bytes, options: dict[str, Any], reading: str
) -> "pd.DataFrame":
    del reading
    details = options["details"]
    rows: list[list[Cell]] = []
    for result in _read(accounts, connect, options)[0]:
        rows += ([*row, None] for row in result.rows)
        rows += (_error_row(result.account, item.id, item.error, details=details) for item in result.bad_items)
        if result.error is not None:
            rows.append(_error_row(result.account, None, result.error, details=details))
    return _frame(rows, details=details)


def _error_row(account: Account, callflow_id: str | None, error: VinixError, *, details: bool) -> list[Cell]:
    known: dict[str, Cell] = {"account_id": account.id, "account_name": account.name, "id": callflow_id}
    return [*map(known.get, column_names(details=details)), f"{type(error).__name__}: {error}"]


def _frame(rows: Sequence[Sequence[Cell]], *, details: bool) -> "pd.DataFrame":
    fields = [field.with_nullable(nullable=True) for field in arrow_schema(details=details)]
    schema = pa.schema([*fields, pa.field("error", pa.string())])
    return arrow_table(rows, schema).to_pandas(types_mapper=pd.ArrowDtype)


def _checked(connect: Connect, options: Mapping[str, Any]) -> Callflows:
    """Raise ``ConfigurationError`` for arguments that workers could not use. Return what checks ids without sending."""
    if not callable(connect):
        raise ConfigurationError(f"connect must be a function that returns a VinixClient, not {type(connect).__name__}")
    checks = VinixClient(auth="checks-the-arguments").callflows
    checks.list_many((), **options)
    return checks


def _add(given: str | Account, accounts: dict[str, Account], checks: Callflows) -> None:
    """Add what the workers need of an account, unless it is known: its id, and its name if there is one."""
    if not isinstance(given, str | Account):
        raise ConfigurationError(f"each of account_ids must be a str or an Account, not {type(given).__name__}")
    account = Account(id=given) if isinstance(given, str) else Account(id=given.id, name=given.name)
    checks.list(account.id)
    accounts.setdefault(account.id, account)


# --- a dataset ----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class DatasetPart:
    """A part of a dataset: the Parquet file with the callflows of the accounts that belong to it.

    Attributes:
        path: the file.
        accounts: the number of its accounts.
        callflows: the number of its rows.
        problems: for each account that failed or has bad items, a page with its ``error`` and ``bad_items``.
        counters: ``requests``, ``logins``, ``retries``, ``rate_limited``, ``bad_items`` and ``deleted``, as in
            ``client.stats``.
        written: False if the part was whole before, so that nothing was read.
    """

    path: Path
    accounts: int
    callflows: int
    problems: tuple[AccountPage, ...] = ()
    counters: Mapping[str, int] = attrs.field(factory=dict)
    written: bool = True


async def write_callflows(
    client: "distributed.Client",
    account_ids: Iterable[str | Account] | AsyncIterable[str | Account],
    folder: str | os.PathLike[str],
    *,
    connect: Connect = VinixClient.from_env,
    details: bool = False,
    filters: Filters | None = None,
    page_size: int | None = None,
    max_concurrency: int = 32,
    source: str = "",
    overwrite: bool = False,
) -> AsyncGenerator[DatasetPart, None]:
    """Write the callflows of many accounts as a dataset of up to 256 Parquet files. Yield each part when it is whole.

    A run that was interrupted is continued by the same call. A part is written again if an account of it failed, or if
    the part has other accounts than before; whole parts are not read again, and files that belong to none of
    ``account_ids`` are removed. The part of an account is the first byte of the SHA-256 of its id, so that a new
    account changes one part. A file is complete whenever it is visible.

    An account that failed does not affect the others. The rows that were read before its error are in its part.

    Args:
        client: an asynchronous client of the cluster: ``distributed.Client(address, asynchronous=True)``.
        account_ids: an iterable or async iterable of account ids or ``Account`` objects. Duplicates are skipped.
        folder: an absolute path that means the same folder here and on every worker. It is created if necessary. Only
            one call at a time may write to it.
        connect: as for ``read_callflows``.
        details: as for ``read_callflows``.
        filters: as for ``callflows.list``.
        page_size: as for ``callflows.list``.
        max_concurrency: the number of accounts of a part to read at once. A worker with several threads reads as many
            parts at once.
        source: a text that names the server. A folder holds the callflows of one server, and is refused for others.
        overwrite: whether to remove what an earlier call has written, instead of continuing it.

    Raises:
        ConfigurationError: an argument is invalid, or ``folder`` holds something else.
        AuthenticationError: the server refused the workers' credentials for five accounts in a row.
        OSError: a file cannot be written.
        VinixError: the cluster failed: the scheduler was lost, or a part has ended several workers.
    """
    options = {"details": details, "filters": filters, "page_size": page_size, "max_concurrency": max_concurrency}
    checks = _checked(connect, options)
    folder = Path(folder)
    if not folder.is_absolute():
        raise ConfigurationError(f"folder must be an absolute path, not {str(folder)!r}")
    _claim(folder, {"source": source, "details": bool(details), "filters": _plain(filters)}, overwrite=overwrite)
    accounts: dict[str, Account] = {}
    async for each in _each(account_ids):
        _add(each, accounts, checks)
    parts: dict[Path, list[Account]] = {}
    for account in accounts.values():
        name = f"callflows-{hashlib.sha256(account.id.encode()).hexdigest()[:2]}.parquet"
        parts.setdefault(folder / name, []).append(account)
    whole = await asyncio.to_thread(_whole_parts, folder, parts)
    for path, rows in whole.items():
        yield DatasetPart(path=path, accounts=len(parts[path]), callflows=rows, written=False)
    missing = {path: members for path, members in parts.items() if path not in whole}
    await _check_workers(client)
    run = uuid.uuid4().hex
    tasks = client.map(
        _write_part,
        missing.keys(),
        missing.values(),
        key=[f"{path.stem}-{run}" for path in missing],
        connect=cloudpickle.dumps(connect),
        options=options,
    )
    in_a_row = 0
    try:
        async for task in distributed.as_completed(tasks):
            part = await task.result()
            task.release()  # or Dask would write the part again if it lost the worker that holds the summary
            refused = [page.error for page in part.problems if isinstance(page.error, AuthenticationError)]
            in_a_row = in_a_row + len(refused) if len(refused) == part.accounts else 0
            yield part
            if in_a_row >= _MAX_REFUSED:
                raise refused[-1]
    except _CLUSTER_FAILURES as error:
        text = f"the cluster failed: {' '.join(str(error).split())}"
        if isinstance(error, ImportError | RuntimeError):
            text += " (the scheduler and all workers need the same Python, the same packages, and what connect needs)"
        raise VinixError(text) from error
    finally:
        with suppress(OSError):  # the scheduler may be gone
            await client.cancel(tasks, reason="the export has ended")
        _remove(folder, keep=parts)


async def _check_workers(client: "distributed.Client") -> None:
    """Raise ``VinixError`` if a worker cannot run the tasks. Dask would give them to one worker after the other."""
    try:
        versions = await client.run(eval, "__import__('vinix_async.dask').__version__")
    except ImportError as error:
        raise VinixError(f"a worker lacks vinix-async[dask]: {error}") from error
    if other := {version for version in versions.values() if version != __version__}:
        raise VinixError(f"a worker has vinix-async {other.pop()}, not {__version__} as here")


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _plain(filters: Filters | None) -> dict[str, str]:
    return {name: str(value) for name, value in sorted((filters or {}).items())}


def _claim(folder: Path, job: Mapping[str, Any], *, overwrite: bool) -> None:
    """Create the folder and the manifest in it. Raise ``ConfigurationError`` if the folder holds something else."""
    manifest = folder / _MANIFEST
    wanted = {"version": _MANIFEST_VERSION, **job}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        if any(folder.iterdir()):
            raise ConfigurationError(f"{folder} holds other files: name a new or an empty folder") from None
        found = None
    except ValueError:
        raise ConfigurationError(f"{manifest} is damaged: name another folder") from None
    if overwrite and found:
        _remove(folder)
    elif found and found != wanted:
        other = ", ".join(sorted(name for name in wanted if wanted[name] != found.get(name)))
        raise ConfigurationError(f"{folder} holds an export with another {other}: name another folder, or overwrite it")
    new = manifest.with_suffix(".new")
    new.write_text(json.dumps(wanted))
    new.replace(manifest)


def _remove(folder: Path, keep: Iterable[Path] = ()) -> None:
    """Remove all parts but those in ``keep``, and what interrupted tasks have left."""
    kept = set(keep)
    for path in folder.iterdir():
        if _FILE.fullmatch(path.name) and path not in kept:
            path.unlink(missing_ok=True)


def _whole_parts(folder: Path, parts: Mapping[Path, Sequence[Account]]) -> dict[Path, int]:
    """Return the numbers of rows of the parts that are whole. Remove the files that are none of ``parts``."""
    _remove(folder, keep=parts)
    found: dict[Path, int] = {}
    for path, accounts in parts.items():
        with suppress(FileNotFoundError, pa.ArrowInvalid):  # pyarrow raises the latter for a damaged file
            footer = parquet.read_metadata(path)
            if (footer.metadata or {}).get(_METADATA.encode()) == _digest(accounts).encode():
                found[path] = footer.num_rows
    return found


def _digest(accounts: Sequence[Account]) -> str:
    """Return the metadata of a part that has all callflows of these accounts."""
    return hashlib.sha256("\n".join(sorted(account.id for account in accounts)).encode()).hexdigest()


def _write_part(path: Path, accounts: Sequence[Account], *, connect: bytes, options: dict[str, Any]) -> DatasetPart:
    """Write a part on a worker, and return a summary of it."""
    if not (path.parent / _MANIFEST).exists():
        raise ConfigurationError(
            f"a worker does not see {path.parent}: the folder must be on a file system that all workers share"
        )
    results, counters = _read(accounts, connect, options)
    rows = [row for result in results for row in result.rows]
    problems = tuple(
        AccountPage(account=result.account, bad_items=result.bad_items, error=result.error)
        for result in results
        if result.error or result.bad_items
    )
    table = arrow_table(rows, arrow_schema(details=options["details"]))
    whole = "" if problems else _digest(accounts)
    new = path.with_name(f".{path.stem}-{uuid.uuid4().hex}")
    try:
        with new.open("wb") as file:
            parquet.write_table(
                table.replace_schema_metadata({_METADATA: whole}), file, compression="zstd", row_group_size=_GROUP_ROWS
            )
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return DatasetPart(path=path, accounts=len(accounts), callflows=len(rows), problems=problems, counters=counters)


# --- reading, on a worker -----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Result:
    """The rows of an account, and what could not be read of it."""

    account: Account
    rows: list[list[Cell]]
    bad_items: tuple[BadItem, ...]
    error: VinixError | None


def _read(
    accounts: Sequence[Account], connect: bytes, options: Mapping[str, Any]
) -> tuple[list[_Result], dict[str, int]]:
    """Read some accounts. Return their results in the same order, and the counters of the sweep."""
    here = _process()
    sweep = here.client(connect).callflows.list_many(accounts, **options)
    found: dict[str, _Result] = {}

    async def read() -> None:
        async with sweep:
            async for result in sweep:
                found[result.account_id] = _Result(
                    account=result.account,
                    rows=[cells(result.account, each, details=options["details"]) for each in result.callflows],
                    bad_items=result.bad_items,
                    error=result.error,
                )

    here.run(read())
    return [found[account.id] for account in accounts], {name: getattr(sweep.stats, name) for name in _COUNTERS}


# --- the clients of a worker process ------------------------------------------------------------------------


class _Process:
    """The clients of this process, and the event loop that they share. The loop runs in a thread of its own.

    A task runs in another thread and waits for the loop. Making a client for each task would cost a pool of
    connections and a login each time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: dict[bytes, VinixClient] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._loop.run_forever, name="vinix-async", daemon=True).start()
        atexit.register(self._close)

    def client(self, connect: bytes) -> VinixClient:
        """Return the client that a pickled function makes. A function that cannot be loaded is an error of its task."""
        with self._lock:
            if connect not in self._clients:
                try:
                    client = cloudpickle.loads(connect)()
                except ConfigurationError as error:
                    raise ConfigurationError(f"on the worker {socket.gethostname()}: {error}") from None
                if not isinstance(client, VinixClient):
                    raise ConfigurationError(f"connect must return a VinixClient, not {type(client).__name__}")
                self._clients[connect] = client
            return self._clients[connect]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result. It is cancelled when Dask cancels the current task."""
        cancelled = _cancelled_test()

        async def watch() -> T:
            task = asyncio.create_task(work)
            while not (await asyncio.wait([task], timeout=_POLL))[0]:
                if cancelled():
                    task.cancel()
            return task.result()

        return asyncio.run_coroutine_threadsafe(watch(), self._loop).result()

    def _close(self) -> None:
        async def close() -> None:
            await asyncio.gather(*(client.close() for client in self._clients.values()))

        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(close(), self._loop).result(_CLOSE)
        self._loop.call_soon_threadsafe(self._loop.stop)


def _cancelled_test() -> Callable[[], bool]:
    """Return a function that says whether the current task has been cancelled. Dask itself does not stop it."""
    try:
        worker = distributed.get_worker()
    except ValueError:  # a scheduler of dask itself, with threads or processes of this machine
        return lambda: False
    key = worker.get_current_task()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return cancelled


_lock: Final = threading.Lock()
_processes: Final[dict[int, _Process]] = {}


def _process() -> _Process:
    """Return the clients of this process. A fork gets its own, since the thread of the loop does not survive a fork."""
    with _lock:
        if os.getpid() not in _processes:
            _processes[os.getpid()] = _Process()
        return _processes[os.getpid()]
