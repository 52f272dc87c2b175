"""Reads the callflows of many accounts with the workers of a Dask cluster. This module needs the extra ``dask``.

``read_callflows`` returns a Dask DataFrame. ``write_callflows`` writes a dataset of Parquet files, and can continue
after an interruption. Each worker process creates its own ``VinixClient``. Therefore the task graph does not contain
credentials, and the scheduler does not need any.
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
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
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
from ._client import connection_of
from ._columns import Cell, arrow_schema, arrow_table, cells, column_names
from ._locks import try_lock

try:
    import cloudpickle
    import distributed
    import pandas as pd
    import pyarrow as pa
    from dask import dataframe as dd
    from distributed.comm.core import CommClosedError
    from pyarrow import parquet
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        f"vinix_async.dask needs the extra dask: pip install 'vinix-async[dask]' ({_missing.name} is not installed)",
        name=_missing.name,
    ) from None

__all__ = ["DatasetPart", "read_callflows", "write_callflows"]

Connect = Callable[[], VinixClient]
Filters = Mapping[str, str | int | datetime | Sequence[str]]
T = TypeVar("T")

_LOCK: Final = "_vinix.lock"
"""The name of an empty file that is locked while a call writes to its folder. The file is not removed afterwards."""

_MANIFEST: Final = "_vinix.json"
_NEW_MANIFEST: Final = "_vinix.new"
_MANIFEST_VERSION: Final = 1
_FILE: Final = re.compile(r"callflows-[0-9a-f]{2}\.parquet|\.callflows-[0-9a-f]{2}-[0-9a-f]{32}")
"""Matches the name of a part, and the name of the temporary file to which a worker writes a part."""

_METADATA: Final = "vinix"
"""The key of this library's metadata in the Parquet footer of a part."""

_GROUP_ROWS: Final = 10_000
"""The maximum number of rows in a row group of a Parquet file."""
_MAX_REFUSED: Final = 5
"""If all accounts share credentials, ``write_callflows`` fails after this number of consecutive refusals."""

_CLUSTER_FAILURES: Final = (
    *(distributed.KilledWorker, concurrent.futures.CancelledError),  # workers were killed, or the scheduler was lost
    *(CommClosedError, ConnectionError),  # the connection to the scheduler was lost
    *(ImportError, RuntimeError),  # the scheduler or a worker cannot load the task
)

_POLL: Final = 0.5  # seconds between two checks whether Dask has cancelled the current task
_CLOSE: Final = 2.0  # seconds to wait at the end of a process until its clients are closed
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
    """Return the callflows of many accounts as a Dask DataFrame. Nothing is sent before the DataFrame is computed.

    The columns are those of the Parquet files that the ``vinix`` command exports, followed by ``error``. Their types
    are Arrow strings and lists of strings. If ``error`` is not null, the row is not a callflow: the callflow with
    this ``id`` could not be read. If ``id`` is null, too, the account or a row without an id could not be read.
    ``frame[frame.error.isna()]`` contains only callflows.

    Each computation reads the callflows from the API again. If a worker is lost, another worker reads its partitions
    again.

    Args:
        account_ids: account ids or ``Account`` objects. Duplicates are skipped.
        connect: a function that returns a ``VinixClient``. It is called once in each worker process. A function that is
            defined in a module needs this module on the workers. The function is sent through the scheduler and must
            not contain a secret. By default, the client is created from the environment variables of the worker.
        details: whether to read the full document of each callflow. This adds the columns ``flow``, ``metaflow``,
            ``ringback``, ``metadata`` and ``extra``, which contain JSON.
        filters: as for ``callflows.list``.
        page_size: as for ``callflows.list``.
        partition_size: the number of accounts in a partition. Choose it so that reading a partition takes at least a
            second.
        max_concurrency: the maximum number of accounts of a partition that are read concurrently. A worker reads one
            partition in each of its threads.

    Raises:
        ConfigurationError: an argument is invalid.
    """
    options = {"details": details, "filters": filters, "page_size": page_size, "max_concurrency": max_concurrency}
    checker, pickled = _check_arguments(account_ids, options), _pickled(connect)
    if isinstance(account_ids, AsyncIterable):
        kind = type(account_ids).__name__
        raise ConfigurationError(
            f"account_ids must be an iterable, not {kind}: pass a list, such as `await pager.to_list()`"
        )
    unique: dict[str, Account] = {}
    for each in account_ids:
        _add(each, unique, checker)
    accounts = list(unique.values())
    if type(partition_size) is not int or partition_size < 1:
        raise ConfigurationError(f"partition_size must be an int of at least 1, not {partition_size!r}")
    return dd.from_map(
        _read_partition,
        [accounts[start : start + partition_size] for start in range(0, len(accounts), partition_size)] or [[]],
        connect=pickled,
        options=options,
        reading=uuid.uuid4().hex,  # otherwise Dask would reuse the persisted result of an identical call
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


def _pickled(connect: Connect) -> bytes:
    """Return ``connect`` in pickled form, for the workers. Raise ``ConfigurationError`` if it cannot be sent."""
    if not callable(connect):
        raise ConfigurationError(f"connect must be a function that returns a VinixClient, not {type(connect).__name__}")
    try:
        return bytes(cloudpickle.dumps(connect))
    except Exception as error:  # noqa: BLE001  # pickling an object may raise any exception
        reason = f"{type(error).__name__}: {error}"
    raise ConfigurationError(f"connect cannot be sent to workers ({reason}): make the client inside the function")


def _check_arguments(account_ids: object, options: Mapping[str, Any]) -> Callflows:
    """Raise ``ConfigurationError`` if an argument is invalid.

    Return the object with which ``_add`` checks account ids. It belongs to a client that sends no requests.
    """
    if isinstance(account_ids, str | bytes) or not isinstance(account_ids, Iterable | AsyncIterable):
        kind = type(account_ids).__name__
        raise ConfigurationError(
            f"account_ids must be an iterable of ids or Account objects, such as a list, not {kind}"
        )
    checker = VinixClient(auth="checks-the-arguments").callflows
    checker.list_many((), **options)
    return checker


def _add(given: str | Account, accounts: dict[str, Account], checker: Callflows) -> None:
    """Add an account to ``accounts``, with its id and its name only. Do nothing if it was already added.

    Raise ``ConfigurationError`` if the account id is invalid.
    """
    if not isinstance(given, str | Account):
        raise ConfigurationError(f"each of account_ids must be a str or an Account, not {type(given).__name__}")
    account = Account(id=given) if isinstance(given, str) else Account(id=given.id, name=given.name)
    checker.list(account.id)
    accounts.setdefault(account.id, account)


# --- a dataset ----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class DatasetPart:
    """A part of a dataset. It is a Parquet file with the callflows of some of the accounts.

    Attributes:
        path: the path of the file.
        accounts: the number of accounts in the part.
        callflows: the number of callflows in the part.
        problems: for each account that failed or has bad items, a page with its ``error`` and ``bad_items``.
        counters: the values of ``requests``, ``logins``, ``retries``, ``rate_limited``, ``bad_items`` and ``deleted``
            for this part (see ``ClientStats``). Empty if ``written`` is False.
        written: False if an earlier call completed the part and this call kept it.
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
    """Write the callflows of many accounts as a dataset of up to 256 Parquet files, and yield each part.

    The parts that are kept from an earlier call are yielded first. Every other part is yielded when it is written.

    To continue after an interruption, call the function again with the same arguments, but without ``overwrite``. A
    part is kept if all of its accounts were read without errors and bad items, and if no account was added to it or
    removed from it. Other parts are written again. Parts that contain none of ``account_ids`` are removed. A file gets
    its final name after it was written completely.

    The name of an account's part contains the first byte of the SHA-256 hash of the account's id. Adding an account
    therefore changes only one part.

    A failing account does not affect the others. Its part contains the callflows that were read before the error.

    Args:
        client: an asynchronous client of the cluster: ``distributed.Client(address, asynchronous=True)``.
        account_ids: an iterable or async iterable of account ids or ``Account`` objects. Duplicates are skipped.
        folder: the absolute path of a folder that this process and all workers share. It is created if necessary, and
            locked until the call ends. If its file system has no locks, let only one call at a time write there.
        connect: as for ``read_callflows``.
        details: as for ``read_callflows``.
        filters: as for ``callflows.list``.
        page_size: as for ``callflows.list``.
        max_concurrency: the maximum number of accounts of a part that are read concurrently. A worker reads one part in
            each of its threads.
        source: a text that identifies the server. It is stored in the folder. A later call with another ``source`` is
            refused unless it has ``overwrite``.
        overwrite: whether to remove the parts of an earlier call. If False, the earlier call is continued.

    Raises:
        ConfigurationError: an argument is invalid, or ``folder`` contains other files or a different export, or another
            call is writing to the folder.
        AuthenticationError: the server refused the workers' credentials for all accounts of a part, or of several parts
            in a row. These are at least five accounts. This is not raised if ``auth`` of the client is a function,
            because the accounts then have credentials of their own.
        OSError: a file cannot be read or written.
        VinixError: the cluster failed, or a worker has another version of the library. The cluster fails, for example,
            if the scheduler is lost, or if several workers die while they write the same part.
    """
    options = {"details": details, "filters": filters, "page_size": page_size, "max_concurrency": max_concurrency}
    checker, pickled = _check_arguments(account_ids, options), _pickled(connect)
    if not isinstance(client, distributed.Client) or not client.asynchronous or client.status == "closed":
        raise ConfigurationError("client must be an open distributed.Client(address, asynchronous=True)")
    folder = Path(folder)
    if not folder.is_absolute():
        raise ConfigurationError(f"folder must be an absolute path, not {str(folder)!r}")
    _check_folder(folder)
    with _locked(folder):
        _prepare(folder, {"source": source, "details": bool(details), "filters": _plain(filters)}, overwrite=overwrite)
        accounts: dict[str, Account] = {}
        async for each in _each(account_ids):
            _add(each, accounts, checker)
        written = _write_parts(client, folder, list(accounts.values()), pickled, options)
        async with aclosing(written):
            async for part in written:
                yield part


async def _write_parts(
    client: "distributed.Client", folder: Path, accounts: Iterable[Account], connect: bytes, options: dict[str, Any]
) -> AsyncGenerator[DatasetPart, None]:
    """Yield the parts that are complete, and write and yield the others."""
    parts: dict[Path, list[Account]] = {}
    for account in accounts:
        name = f"callflows-{hashlib.sha256(account.id.encode()).hexdigest()[:2]}.parquet"
        parts.setdefault(folder / name, []).append(account)
    complete = await asyncio.to_thread(_complete_parts, folder, parts)
    for path, rows in complete.items():
        yield DatasetPart(path=path, accounts=len(parts[path]), callflows=rows, written=False)
    missing = {path: members for path, members in parts.items() if path not in complete}
    await _check_workers(client)
    run = uuid.uuid4().hex
    tasks = client.map(
        _write_part,
        missing.keys(),
        missing.values(),
        key=[f"{path.stem}-{run}" for path in missing],
        connect=connect,
        options=options,
    )
    in_a_row = 0
    try:
        async for task in distributed.as_completed(tasks):
            part, shares_credentials = await task.result()
            task.release()  # otherwise Dask would write the part again if it lost the worker that holds this result
            refused = [page.error for page in part.problems if isinstance(page.error, AuthenticationError)]
            in_a_row = in_a_row + len(refused) if len(refused) == part.accounts else 0
            yield part
            if in_a_row >= _MAX_REFUSED and shares_credentials:
                raise refused[-1]
    except _CLUSTER_FAILURES as error:
        text = f"the cluster failed: {' '.join(str(error).split())}"
        if isinstance(error, ImportError | RuntimeError):
            text += (
                " (the scheduler and all workers must have the same versions of Python and of the packages, and must "
                "be able to import the module that defines connect)"
            )
        raise VinixError(text) from error
    finally:
        with suppress(OSError):  # the scheduler may be gone
            await client.cancel(tasks, reason="the export has ended")
        _remove(folder, keep=parts)


async def _check_workers(client: "distributed.Client") -> None:
    """Raise ``VinixError`` if a worker does not have this version of the library.

    Without this check, Dask would try each task on several workers before the task fails.
    """
    try:
        versions = await client.run(eval, "__import__('vinix_async.dask').__version__")
    except ImportError as error:
        raise VinixError(f"vinix-async[dask] is not installed on a worker: {error}") from error
    if other := {version for version in versions.values() if version != __version__}:
        raise VinixError(
            f"a worker has vinix-async {other.pop()}, but this process has {__version__}: install the same version "
            "for both"
        )


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _plain(filters: Filters | None) -> dict[str, str]:
    return {name: str(value) for name, value in sorted((filters or {}).items())}


def _check_folder(folder: Path) -> None:
    """Create the folder. Raise ``ConfigurationError`` if it contains other files and no export."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in folder.iterdir()}
    if _MANIFEST not in names and names - {_LOCK, _NEW_MANIFEST}:
        raise ConfigurationError(f"{folder} contains other files: use a new or an empty folder")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder for the ``with`` block. Raise ``ConfigurationError`` if another call has locked it.

    A folder in a file system without locks is not locked.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):
            if not try_lock(descriptor):
                raise ConfigurationError(f"another run is writing to {folder}: wait until it has ended")
        yield
    finally:
        os.close(descriptor)


def _prepare(folder: Path, job: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write the manifest, which describes the export. If ``overwrite`` is true, remove an old export.

    Raise ``ConfigurationError`` if the folder contains a damaged manifest. If ``overwrite`` is false, also raise it if
    the folder contains a different export.
    """
    manifest = folder / _MANIFEST
    wanted = {"version": _MANIFEST_VERSION, **job}
    try:
        found = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        found = wanted
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{manifest} is damaged: use another folder")
    if overwrite:
        _remove(folder)
    elif found != wanted:
        other = ", ".join(sorted(name for name in wanted if wanted[name] != found.get(name)))
        raise ConfigurationError(
            f"{folder} has an export with other values of {other}: use another folder, or replace the export "
            "(overwrite=True or --force)"
        )
    new = folder / _NEW_MANIFEST
    try:
        new.write_text(json.dumps(wanted))
        new.replace(manifest)
    except OSError as error:  # the error of a full disk names no file
        raise OSError(error.errno, error.strerror, str(manifest)) from None


def _remove(folder: Path, keep: Iterable[Path] = ()) -> None:
    """Remove the temporary files of interrupted tasks, and all parts except those in ``keep``."""
    kept = set(keep)
    for path in folder.iterdir():
        if _FILE.fullmatch(path.name) and path not in kept:
            path.unlink(missing_ok=True)


def _complete_parts(folder: Path, parts: Mapping[Path, Sequence[Account]]) -> dict[Path, int]:
    """Return the number of rows of each part that is complete. Remove the parts that are not among ``parts``.

    A part is complete if it has all of its accounts, and none of these accounts had problems.
    """
    _remove(folder, keep=parts)
    found: dict[Path, int] = {}
    for path, accounts in parts.items():
        with suppress(FileNotFoundError, pa.ArrowInvalid):  # pyarrow raises ArrowInvalid for a damaged file
            footer = parquet.read_metadata(path)
            if (footer.metadata or {}).get(_METADATA.encode()) == _completion_mark(accounts).encode():
                found[path] = footer.num_rows
    return found


def _completion_mark(accounts: Sequence[Account]) -> str:
    """Return the mark of a part that has all of these accounts and had no problems: a hash of the account ids."""
    return hashlib.sha256("\n".join(sorted(account.id for account in accounts)).encode()).hexdigest()


def _write_part(
    path: Path, accounts: Sequence[Account], *, connect: bytes, options: dict[str, Any]
) -> tuple[DatasetPart, bool]:
    """Write a part. Return it, and whether all accounts use the same credentials. This function runs on a worker."""
    manifest = path.parent / _MANIFEST
    if not manifest.exists():
        raise ConfigurationError(
            f"a worker cannot access {manifest}: the folder must be on a file system that all workers share"
        )
    results, counters, shares_credentials = _read(accounts, connect, options)
    rows = [row for result in results for row in result.rows]
    problems = tuple(
        AccountPage(account=result.account, bad_items=result.bad_items, error=result.error)
        for result in results
        if result.error or result.bad_items
    )
    table = arrow_table(rows, arrow_schema(details=options["details"]))
    mark = "" if problems else _completion_mark(accounts)
    new = path.with_name(f".{path.stem}-{uuid.uuid4().hex}")
    try:
        with new.open("wb") as file:
            parquet.write_table(
                table.replace_schema_metadata({_METADATA: mark}), file, compression="zstd", row_group_size=_GROUP_ROWS
            )
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:  # the error of a full disk names no file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        new.unlink(missing_ok=True)
    part = DatasetPart(path=path, accounts=len(accounts), callflows=len(rows), problems=problems, counters=counters)
    return part, shares_credentials


# --- reading, on a worker -----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Result:
    """The rows of an account, its bad items and its error."""

    account: Account
    rows: list[list[Cell]]
    bad_items: tuple[BadItem, ...]
    error: VinixError | None


def _read(
    accounts: Sequence[Account], connect: bytes, options: Mapping[str, Any]
) -> tuple[list[_Result], dict[str, int], bool]:
    """Read the accounts of a part or partition.

    Return their results in the order of ``accounts``, the counters, and whether all accounts use the same credentials.
    """
    clients = _clients_of_this_process()
    client = clients.client(connect)
    sweep = client.callflows.list_many(accounts, **options)
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

    clients.run(read())
    counters = {name: getattr(sweep.stats, name) for name in _COUNTERS}
    sender, _ = connection_of(client)
    return [found[account.id] for account in accounts], counters, sender.shares_credentials


# --- the clients of a worker process ------------------------------------------------------------------------


class _Clients:
    """The clients of a process, and the event loop that they share. The loop runs in a thread of its own.

    The threads in which Dask runs its tasks wait for this loop. The tasks share the clients, because a new client for
    each task would need its own connections and its own login.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clients: dict[bytes, VinixClient] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._loop.run_forever, name="vinix-async", daemon=True).start()
        atexit.register(self._close)

    def client(self, connect: bytes) -> VinixClient:
        """Return the client that a pickled ``connect`` function creates. The function is called only the first time."""
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
        """Run a coroutine in the event loop and return its result.

        If Dask cancels the current task, the coroutine is cancelled too.
        """
        is_cancelled = _cancellation_check()

        async def watch() -> T:
            task = asyncio.create_task(work)
            while not (await asyncio.wait([task], timeout=_POLL))[0]:
                if is_cancelled():
                    task.cancel()
            return task.result()

        return asyncio.run_coroutine_threadsafe(watch(), self._loop).result()

    def _close(self) -> None:
        async def close() -> None:
            await asyncio.gather(*(client.close() for client in self._clients.values()))

        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(close(), self._loop).result(_CLOSE)
        self._loop.call_soon_threadsafe(self._loop.stop)


def _cancellation_check() -> Callable[[], bool]:
    """Return a function that says whether Dask has cancelled the current task. Dask does not stop a running task."""
    try:
        worker = distributed.get_worker()
    except ValueError:  # the task does not run on a worker, because Dask uses its local scheduler
        return lambda: False
    key = worker.get_current_task()

    def is_cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return is_cancelled


_lock: Final = threading.Lock()
_clients: Final[dict[int, _Clients]] = {}
"""The clients by process id.

A forked process inherits the clients of its parent, but not the thread that runs their event loop. Therefore it creates
clients of its own.
"""


def _clients_of_this_process() -> _Clients:
    with _lock:
        if os.getpid() not in _clients:
            _clients[os.getpid()] = _Clients()
        return _clients[os.getpid()]
