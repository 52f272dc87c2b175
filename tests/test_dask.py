"""Callflows read by the workers of a Dask cluster: two processes, which all tests here share.

The cluster ends with this module: its scheduler runs in threads of this process, which tests of memory would see.
Dask takes a second to import, so the tests that need it import it: each worker of pytest-xdist imports this module.
"""

import asyncio
import errno
import hashlib
import importlib
import json
import logging
import os
import pickle
import re
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import attrs
import pytest
from cli_support import Command, served, variables
from free_port import free_port

from vinix_async import (
    Account,
    ApiKeyAuth,
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    TokenAuth,
    UserAuth,
    VinixClient,
    VinixError,
)
from vinix_async._columns import LIST_COLUMNS, column_names
from vinix_async.cli.cluster import worker_environment
from vinix_async.cli.settings import VARIABLES
from vinix_async.sandbox import Sandbox

if TYPE_CHECKING:
    from vinix_async.dask import DatasetPart

if not (find_spec("dask") and find_spec("distributed")):
    pytest.skip("dask is not installed: pip install 'vinix-async[dask]'", allow_module_level=True)
duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: nothing here can read the datasets")


@attrs.frozen
class Shared:
    """A sandbox, and a token for it, which the workers have in their environment."""

    sandbox: Sandbox
    token: str

    @property
    def environment(self) -> dict[str, str]:
        return {"VINIX_BASE": self.sandbox.url, "VINIX_AUTH_TOKEN": self.token}

    def truth(self, *without: str) -> list[str]:
        accounts = set(self.sandbox.account_ids) - set(without)
        return sorted(each for account in accounts for each in self.sandbox.callflow_ids(account))

    def largest(self) -> str:
        """The account with the most callflows."""
        return max(self.sandbox.account_ids, key=lambda each: len(self.sandbox.callflow_ids(each)))


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Shared]:
    with served(accounts=40, callflows=(0, 5), seed=15) as sandbox:
        yield Shared(sandbox, sandbox._state.tokens.issue(0, sandbox._clock.time(), "cb_user_auth"))


@pytest.fixture(scope="module")
def cluster(module_sandbox: Shared) -> Iterator[Any]:
    import dask
    import distributed

    with (
        dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            env=module_sandbox.environment,
        ) as running,
    ):
        yield running


@pytest.fixture
def shared(module_sandbox: Shared) -> Iterator[Shared]:
    sandbox = module_sandbox.sandbox
    sandbox.requests.clear()
    yield module_sandbox
    for account_id in sandbox.account_ids:
        sandbox.allow(account_id)


@pytest.fixture
def vinix(tmp_path: Path, shared: Shared) -> Command:
    """The command, with a user's password in a profile."""
    known = variables(shared.sandbox)
    profile = {name.removeprefix("VINIX_").lower(): value for name, value in known.items()}
    config = tmp_path / "config" / "vinix" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[default]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in profile.items()))
    config.chmod(0o600)
    return Command(tmp_path)


def ids(folder: Path) -> list[str]:
    return sorted(row[0] for row in duckdb.sql(f"select id from '{folder}/*.parquet'").fetchall())


def part(folder: Path, account_id: str) -> Path:
    return folder / f"callflows-{hashlib.sha256(account_id.encode()).hexdigest()[:2]}.parquet"


def members(shared: Shared, folder: Path, path: Path) -> set[str]:
    return {each for each in shared.sandbox.account_ids if part(folder, each) == path}


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def write(
    client: Any, shared: Shared, folder: Path, accounts: Sequence[str] | None = None, **options: Any
) -> "list[DatasetPart]":
    from vinix_async.dask import write_callflows

    found = shared.sandbox.account_ids if accounts is None else accounts
    return [each async for each in write_callflows(client, found, folder, **options)]


# --- a DataFrame ---


@pytest.mark.parametrize("details", [True, False])
def test_a_frame_has_each_callflow_once_and_names_what_failed(
    shared: Shared,
    cluster: Any,
    tmp_path: Path,
    details: bool,  # noqa: FBT001  # as the option
) -> None:
    from distributed import Client

    from vinix_async.dask import read_callflows

    sandbox, odd = shared.sandbox, shared.largest()
    denied = next(each for each in sandbox.account_ids if each != odd and sandbox.callflow_ids(each))
    bad = sandbox.callflow_ids(odd)[0]
    whole = sandbox.document(odd, bad)
    sandbox.deny(denied, 403)
    sandbox.put(odd, {**whole, "numbers": [1001]})
    truth = shared.truth(denied)
    accounts = [Account(id=each, name=f"name of {each}") for each in sandbox.account_ids]
    with Client(cluster):
        frame = read_callflows([*accounts, accounts[0].id], details=details, partition_size=7)
        assert frame.npartitions == 6
        assert not sandbox.requests
        assert list(frame.columns) == [*column_names(details=details), "error"]
        frame.to_parquet(tmp_path / "rows", write_index=False)
    sandbox.put(odd, whole)
    found = duckdb.sql(f"select account_id, account_name, id, error from '{tmp_path}/rows/*.parquet'").fetchall()
    failed = {(account_id, each): error for account_id, _, each, error in found if error}
    assert failed.keys() == {(denied, None), (odd, bad)}
    assert failed[denied, None].startswith("PermissionDeniedError: 403")
    assert "numbers[0]" in failed[odd, bad]
    assert sorted(row[2] for row in found if not row[3]) == sorted(set(truth) - {bad})
    assert all(name == f"name of {account_id}" for account_id, name, *_ in found)
    kinds = dict(
        duckdb.sql(f"describe from '{tmp_path}/rows/*.parquet'").project("column_name, column_type").fetchall()
    )
    assert {name: kind for name, kind in kinds.items() if kind != "VARCHAR"} == dict.fromkeys(LIST_COLUMNS, "VARCHAR[]")


def test_a_frame_without_a_cluster(shared: Shared) -> None:
    """Dask's own schedulers have no worker. Each computation reads anew, and clients are kept by how they are made."""
    from vinix_async.dask import read_callflows

    accounts = shared.sandbox.account_ids[:5]
    connect = partial(VinixClient, auth=shared.sandbox.user_auth(), base_url=shared.sandbox.url)
    frames = [read_callflows(accounts, connect=connect, partition_size=2, page_size=1) for _ in range(2)]
    expected = sorted(each for account in accounts for each in shared.sandbox.callflow_ids(account))
    assert [sorted(frame.compute(scheduler="threads")["id"]) for frame in frames] == [expected] * 2
    assert shared.sandbox.count(method="PUT") == 1  # one login
    assert frames[0].__dask_keys__() != frames[1].__dask_keys__()
    assert len(read_callflows([], connect=connect).compute(scheduler="sync")) == 0
    with pytest.raises(ConfigurationError, match="connect must return a VinixClient, not str"):
        read_callflows(accounts, connect=cast(Any, str)).compute(scheduler="sync")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"account_ids": "a" * 32}, "account_ids must be an iterable of ids or Account objects, .*, not str"),
        ({"account_ids": 7}, "account_ids must be an iterable .*, not int$"),
        (
            {"account_ids": VinixClient(auth="t").accounts.children("a")},
            r"account_ids must be an iterable, not Pager: pass a list, such as `await pager.to_list\(\)`",
        ),
        ({"account_ids": [7]}, "each of account_ids must be a str or an Account, not int"),
        ({"account_ids": ["a/b"]}, "account_id must not contain '/'"),
        ({"connect": "a client"}, "connect must be a function that returns a VinixClient, not str"),
        (
            {"connect": partial(id, VinixClient(auth="t"))},
            r"connect cannot be sent to workers \(.*: .*\): make the client inside the function",
        ),
        ({"partition_size": 0}, "partition_size must be an int of at least 1, not 0"),
        ({"partition_size": True}, "partition_size must be an int of at least 1, not True"),
        ({"filters": {"paginate": "false"}}, "paginate"),
        ({"page_size": 0}, "page_size"),
        ({"max_concurrency": 0}, "max_concurrency"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    from vinix_async.dask import read_callflows

    with pytest.raises(ConfigurationError, match=message):
        read_callflows(**{"account_ids": ["a" * 32], **arguments})


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "content", ["[]", "null", "0", '["version"]', '"version"', "{", "[" * 100_000], ids=lambda text: text[:9]
)
async def test_a_damaged_manifest_is_refused(
    shared: Shared,
    cluster: Any,
    tmp_path: Path,
    content: str,
    overwrite: bool,  # noqa: FBT001  # as the option
) -> None:
    from distributed import Client

    manifest = tmp_path / "_vinix.json"
    manifest.write_text(content)
    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        with pytest.raises(ConfigurationError, match=r"_vinix\.json is damaged: use another folder"):
            await write(client, shared, tmp_path, overwrite=overwrite)
    assert manifest.read_text() == content


def test_no_credential_is_in_tasks_logs_or_the_state_of_the_cluster(
    shared: Shared, cluster: Any, tmp_path: Path
) -> None:
    from distributed import Client, wait

    from vinix_async.dask import read_callflows

    with Client(cluster) as client:
        frame = read_callflows(shared.sandbox.account_ids[:9], partition_size=3).persist()
        wait(frame)
        client.dump_cluster_state(str(tmp_path / "state"), format="yaml")
        tasks = client.run_on_scheduler(
            lambda dask_scheduler: [pickle.dumps(task.run_spec) for task in dask_scheduler.tasks.values()]
        )
        shown = [repr(each) for each in (cluster, client, client.scheduler_info(), client.get_versions())]
        shown += [repr(client.get_events()), repr(cluster.get_logs()), repr(frame.dask)]
    texts = [(tmp_path / "state.yaml").read_text(), repr(tasks), *shown]
    assert shared.sandbox.account_ids[0] in texts[1]  # so the search finds what is there
    assert all(shared.token not in text for text in texts)
    assert all(shared.token.rpartition(".")[2] not in text for text in texts)


def test_the_example_names_what_failed_and_counts_the_rest(
    shared: Shared, cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dask

    sandbox, denied = shared.sandbox, shared.largest()
    sandbox.deny(denied, 403)
    for name, value in variables(sandbox).items():
        monkeypatch.setenv(name, value)
    example = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "dask_job.py"))
    with dask.config.set({"scheduler-address": cluster.scheduler_address}), pytest.raises(SystemExit) as ended:
        example["main"]()
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"account {denied}, callflow ")
    assert "PermissionDeniedError" in printed.err
    used = [
        {
            module
            for each in sandbox.callflow_ids(account)
            for module in modules(sandbox.document(account, each)["flow"])
        }
        for account in sandbox.account_ids[1:]
        if account != denied
    ]
    counted = {line.split()[1]: int(line.split()[0]) for line in printed.out.splitlines()}
    assert counted == Counter(module for each in used for module in each)


def modules(node: dict[str, Any]) -> Iterator[str]:
    yield node["module"]
    for child in node.get("children", {}).values():
        yield from modules(child)


# --- a dataset ---


async def test_a_worker_that_is_killed_loses_and_doubles_nothing(shared: Shared, cluster: Any, tmp_path: Path) -> None:
    from distributed import Client

    sandbox, stuck, folder = shared.sandbox, shared.largest(), tmp_path / "out"
    denied = next(each for each in sandbox.account_ids if part(folder, each) != part(folder, stuck))
    paths = {part(folder, each) for each in sandbox.account_ids}
    sandbox.hang(stuck)
    sandbox.deny(denied, 403)
    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        writing = asyncio.create_task(write(client, shared, folder, details=True))
        await until(lambda: set(folder.glob("*.parquet")) == paths - {part(folder, stuck)})
        stem = part(folder, stuck).stem
        (busy,) = [address for address, keys in (await client.processing()).items() if stem in repr(keys)]
        sandbox.allow(stuck)
        os.kill((await client.run(os.getpid, workers=[busy]))[busy], signal.SIGKILL)
        written = await writing
        assert ids(folder) == shared.truth(denied)
        assert sorted(each.path for each in written) == sorted(paths)
        assert [(page.account_id, type(page.error)) for each in written for page in each.problems] == [
            (denied, PermissionDeniedError)
        ]
        assert not list(folder.glob(".call*"))
        # The next run reads what failed, and nothing else. A new account changes its part alone.
        sandbox.allow(denied)
        sandbox.requests.clear()
        again = await write(client, shared, folder, details=True)
        assert [each.path for each in again if each.written] == [part(folder, denied)]
        assert {each.account_id for each in sandbox.requests} <= members(shared, folder, part(folder, denied))
        assert ids(folder) == shared.truth()
        assert sum(each.callflows for each in again) == len(shared.truth())
        # An account that is left out takes its part away, unless others are in it.
        fewer = [each for each in sandbox.account_ids if each != stuck]
        await write(client, shared, folder, fewer, details=True)
        assert ids(folder) == shared.truth(stuck)
        # A damaged part is written again, and files of others stay.
        part(folder, denied).write_bytes(b"PAR1")
        (folder / "notes.txt").write_text("mine")
        await write(client, shared, folder, details=True)
        assert ids(folder) == shared.truth()
        with pytest.raises(
            ConfigurationError, match="has an export with other values of details, filters: use another"
        ):
            await write(client, shared, folder, filters={"filter_type": "main"})
        sandbox.requests.clear()
        await write(client, shared, folder, fewer, overwrite=True)
        assert {each.account_id for each in sandbox.requests} == set(fewer)
        assert ids(folder) == shared.truth(stuck)
        assert (folder / "notes.txt").exists()


async def test_only_one_call_at_a_time_writes_to_a_folder(shared: Shared, cluster: Any, tmp_path: Path) -> None:
    from distributed import Client

    from vinix_async.dask import write_callflows

    folder, account_ids = tmp_path / "out", shared.sandbox.account_ids
    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        async with aclosing(write_callflows(client, account_ids, folder)) as writing:
            await anext(writing)
            for overwrite in (False, True):
                with pytest.raises(ConfigurationError, match=r"another run is writing to .*out: wait until it has"):
                    await write(client, shared, folder, details=True, overwrite=overwrite)
        await write(client, shared, folder)
        assert ids(folder) == shared.truth()
        (mine := tmp_path / "mine").mkdir()
        (mine / "notes.txt").touch()
        with pytest.raises(ConfigurationError, match="mine contains other files"):
            await write(client, shared, mine)
        assert [path.name for path in mine.glob("*")] == ["notes.txt"]


async def test_a_client_that_is_not_asynchronous_is_refused(shared: Shared, cluster: Any, tmp_path: Path) -> None:
    from distributed import Client

    async with Client(cluster.scheduler_address, asynchronous=True) as closed:
        pass
    with await asyncio.to_thread(Client, cluster.scheduler_address) as waiting:
        for client in (waiting, closed, cluster.scheduler_address):
            with pytest.raises(ConfigurationError, match=r"open distributed\.Client\(address, asynchronous=True\)"):
                await write(client, shared, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_manifest_that_could_not_be_written_is_written_by_the_next_run(
    shared: Shared, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    def write_some(path: Path, _: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left")

    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        with monkeypatch.context() as full:
            full.setattr(Path, "write_text", write_some)
            with pytest.raises(OSError, match=r"No space left: '.*_vinix\.json'"):
                await write(client, shared, tmp_path / "out")
        assert await write(client, shared, tmp_path / "out", shared.sandbox.account_ids[:1])


def test_a_part_that_cannot_be_written_is_named(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vinix_async.dask import _write_part

    monkeypatch.setattr("pyarrow.parquet.write_table", Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
    (tmp_path / "_vinix.json").touch()
    account = Account(id=shared.sandbox.root_id)
    path = part(tmp_path, account.id)
    connect = pickle.dumps(partial(VinixClient, auth=shared.sandbox.user_auth(), base_url=shared.sandbox.url))
    with pytest.raises(OSError, match="No space left") as caught:
        _write_part(path, [account], connect=connect, options={"details": False})
    again = pickle.loads(pickle.dumps(caught.value))  # as it comes from a worker
    assert (again.errno, again.filename) == (errno.ENOSPC, str(path))
    assert [each.name for each in tmp_path.iterdir()] == ["_vinix.json"]


async def test_a_file_system_without_locks(
    shared: Shared, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr("vinix_async._locks._lock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        assert await write(client, shared, tmp_path / "out", shared.sandbox.account_ids[:1])


async def test_leaving_the_loop_ends_the_tasks(shared: Shared, cluster: Any, tmp_path: Path) -> None:
    from distributed import Client

    from vinix_async.dask import write_callflows

    stuck, before = shared.largest(), shared.sandbox.served
    shared.sandbox.hang(stuck)
    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        async with aclosing(write_callflows(client, [stuck], tmp_path / "out")) as writing:
            waiting = asyncio.create_task(anext(writing))
            await until(lambda: shared.sandbox.served > before)
            waiting.cancel()
            await asyncio.wait([waiting])
        async with asyncio.timeout(30):
            while any((await client.run(lambda dask_worker: len(dask_worker.active_threads))).values()):
                await asyncio.sleep(0.01)
    assert not list((tmp_path / "out").glob("*.parquet"))


@pytest.mark.parametrize("shares", [True, False])
async def test_refused_credentials_end_a_dataset_only_if_all_accounts_share_them(
    shared: Shared, cluster: Any, tmp_path: Path, *, shares: bool
) -> None:
    from distributed import Client

    for account_id in shared.sandbox.account_ids:
        shared.sandbox.deny(account_id, 401)
    url, token = shared.sandbox.url, shared.token

    def connect() -> VinixClient:
        return VinixClient(auth=token if shares else lambda _: token, base_url=url)

    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        if shares:
            with pytest.raises(AuthenticationError):
                await write(client, shared, tmp_path / "out", connect=connect)
        else:
            written = await write(client, shared, tmp_path / "out", connect=connect)
            assert {page.account_id for each in written for page in each.problems} == set(shared.sandbox.account_ids)


async def test_a_cluster_that_cannot_do_it_says_why(
    shared: Shared, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    from vinix_async.dask import write_callflows

    account_id, folder = shared.largest(), tmp_path / "out"
    (tmp_path / "module_of_this_process.py").write_text("def connect(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    missing = importlib.import_module("module_of_this_process").connect

    async def unseen() -> AsyncIterator[str]:
        (folder / "_vinix.json").unlink()
        yield account_id

    async with Client(cluster.scheduler_address, asynchronous=True) as client:
        with pytest.raises(ConfigurationError, match="folder must be an absolute path, not 'out'"):
            await write(client, shared, Path("out"))
        with pytest.raises(ConfigurationError, match=r"account_ids must be an iterable of ids .*, not str"):
            await write(client, shared, folder, cast(Any, account_id))
        assert not folder.exists()
        with pytest.raises(ConfigurationError, match=r"cannot access .*: the folder must be on a file system"):
            await anext(write_callflows(client, unseen(), folder))
        no_credentials = partial(VinixClient.from_env, auth="")
        with pytest.raises(ConfigurationError, match=r"on the worker .*: the token cannot be used"):
            await write(client, shared, folder, [account_id], connect=no_credentials)
        with pytest.raises(
            VinixError, match=r"the cluster failed: No module named 'module_of_this_process' \(the scheduler and"
        ):
            await write(client, shared, folder, [account_id], connect=missing)
        await client.run(exec, "import sys; sys.modules['vinix_async.dask'] = None")
        with pytest.raises(VinixError, match=r"vinix-async\[dask\] is not installed on a worker: "):
            await write(client, shared, folder, [account_id])
        await client.run(exec, "import sys; del sys.modules['vinix_async.dask']")
        monkeypatch.setattr("vinix_async.dask.__version__", "9.9")
        with pytest.raises(
            VinixError, match=r"a worker has vinix-async \d.*, but this process has 9\.9: install the same"
        ):
            await write(client, shared, folder, [account_id])
    assert sorted(path.name for path in folder.iterdir()) == ["_vinix.json", "_vinix.lock"]


# --- the command ---


def secrets_shown(secret: str) -> Iterator[str]:
    """The command lines and environments of processes that show a secret, as ``ps`` would."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                if secret in (process / name).read_text(errors="replace"):
                    yield f"{process / name}"


def test_worker_processes_ctrl_c_and_the_same_command_again(
    vinix: Command, shared: Shared, cluster: Any, tmp_path: Path
) -> None:
    """The password is in a profile. The run that continues uses a scheduler, whose workers have a token."""
    sandbox, folder = shared.sandbox, tmp_path / "out"
    stuck, password = shared.largest(), sandbox.user_auth().password
    together = members(shared, folder, part(folder, stuck))
    sandbox.hang(stuck)
    done = f"{len(sandbox.account_ids) - len(together)}/{len(sandbox.account_ids)} accounts"
    shown: list[str] | None = None

    def keys(seen: str) -> str | None:
        nonlocal shown
        if done in seen and shown is None:
            shown = list(secrets_shown(password))
            return "\x03"
        return None

    command = ("callflows", "export", "--all", "--to", str(folder))
    seen = vinix.on_a_terminal(*command, "--workers", "1", keys=keys, code=130)
    assert shown == []
    assert f"interrupted after {done.partition('/')[0]} accounts" in seen
    assert "run the same command again" in seen
    assert "Traceback" not in seen
    sandbox.allow(stuck)
    sandbox.requests.clear()
    sandbox.deny(stuck, 403)
    address = cluster.scheduler_address
    failed = vinix(*command, "--scheduler", address)
    assert failed.returncode == 3
    assert re.search(f"failed: {stuck}.*: PermissionDeniedError: 403", failed.stderr)
    assert "1 account failed; to try again, run the same command again" in failed.stderr
    assert {each.account_id for each in sandbox.requests} <= together | {sandbox.root_id, None}
    assert ids(folder) == shared.truth(stuck)
    sandbox.allow(stuck)
    again = vinix(*command, "--scheduler", address)
    assert (again.returncode, again.stdout) == (0, "")
    assert re.fullmatch(
        rf"40 accounts, {len(shared.truth()):,} callflows, \d+ requests, 0 retries, .* s\n", again.stderr
    )
    assert ids(folder) == shared.truth()
    assert password not in (folder / "_vinix.json").read_text()
    sandbox.requests.clear()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    refused = vinix("callflows", "export", "--all", "--to", "mine", "--scheduler", address)
    assert refused.returncode == 2
    assert "mine contains other files: use a new or an empty folder" in refused.stderr
    assert not sandbox.requests
    alone = vinix("callflows", "export", "--all", "--to", str(tmp_path / "alone.parquet"))
    assert alone.returncode == 0, alone.stderr
    files = f"select * from '{folder}/*.parquet'", f"select * from '{tmp_path}/alone.parquet'"
    one, other = (sorted(map(repr, duckdb.sql(query).fetchall())) for query in files)
    assert one == other


def test_the_scheduler_is_restarted_and_the_job_run_again(
    vinix: Command, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, stuck, folder = shared.sandbox, shared.largest(), tmp_path / "out"
    environment = os.environ | shared.environment
    port = str(free_port())

    def started() -> subprocess.Popen[str]:
        program = Path(__file__).with_name("dask_cluster.py")
        process = subprocess.Popen(  # noqa: S603  # ours
            [sys.executable, program, port],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline().strip() == f"tcp://127.0.0.1:{port}"
        return process

    command = ("callflows", "export", "--all", "--to", str(folder), "--scheduler", f"tcp://127.0.0.1:{port}")
    sandbox.hang(stuck)
    paths = {part(folder, each) for each in sandbox.account_ids}
    first = started()
    with vinix.started(*command) as process:
        while set(folder.glob("*.parquet")) != paths - {part(folder, stuck)}:
            time.sleep(0.01)
        first.kill()
        first.communicate()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "the cluster failed" in said
    assert "run the same command again" in said
    sandbox.allow(stuck)
    second = started()
    try:
        done = vinix(*command)
    finally:
        second.kill()
        second.communicate()
    assert done.returncode == 0, done.stderr
    assert ids(folder) == shared.truth()
    monkeypatch.setattr("vinix_async.cli.cluster._CONNECT", 0.1)
    gone = vinix("callflows", "export", "--all", "--to", str(folder), "--scheduler", "tcp://127.0.0.1:1")
    assert gone.returncode == 1
    assert "tcp://127.0.0.1:1" in gone.stderr


def test_the_command_refuses_what_does_not_fit(vinix: Command, shared: Shared, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    local = ("--workers", "1", "--to", "out")
    for arguments, message in (
        (("--workers", "1"), "--workers needs --to, the folder to write to"),
        (("--scheduler", "tcp://127.0.0.1:8786"), "--scheduler needs --to, the folder to write to"),
        ((*local, "--scheduler", "tcp://127.0.0.1:1"), "remove --workers"),
        (("--workers", "0", "--to", "out"), "--workers must be at least 1, not 0"),
        (("--scheduler", "127.0.0.1", "--to", "out"), "--scheduler must be an address such as tcp://10.0.0.1:8786"),
        (("--scheduler", "tcp://127.0.0.1:1", "--to", "out", "--sandbox"), "use --workers"),
        (("--workers", "1", "--to", "mine/notes.txt"), "--to is a file: mine/notes.txt"),
        ((*local, "--resume", "out.checkpoint"), "run the same command again"),
        ((*local, "--checkpoint", "out.checkpoint"), "run the same command again\n"),
        ((*local, "--force", "--resume", "out.checkpoint"), "run the same command again without --force\n"),
        ((*local, "--output", "csv"), "--workers writes Parquet"),
        ((*local, "--bom"), "--workers writes Parquet"),
    ):
        shared.sandbox.requests.clear()
        done = vinix("callflows", "export", "--all", *arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert not shared.sandbox.requests


def test_refused_credentials_of_the_workers_end_the_job(
    vinix: Command, shared: Shared, cluster: Any, tmp_path: Path
) -> None:
    for account_id in shared.sandbox.account_ids[1:]:
        shared.sandbox.deny(account_id, 401)
    accounts = [account_id for account_id in shared.sandbox.account_ids[1:] if shared.sandbox.callflow_ids(account_id)]
    done = vinix("callflows", "export", *accounts, "--to", "out", "--scheduler", cluster.scheduler_address)
    assert done.returncode == 4
    assert "vinix: AuthenticationError" in done.stderr
    assert done.stderr.count("failed: ") < len(accounts)
    assert "run the same command again" in done.stderr


def test_the_environment_of_workers_has_the_credentials_and_no_others() -> None:
    assert worker_environment(ApiKeyAuth("planted-key")) == {
        **dict.fromkeys(VARIABLES.values(), ""),
        "VINIX_API_KEY": "planted-key",
    }
    assert worker_environment(TokenAuth("planted-token"))["VINIX_AUTH_TOKEN"] == "planted-token"
    user = worker_environment(UserAuth("ann", "planted-password", account_name="acme"))
    assert {name: value for name, value in user.items() if value} == {
        "VINIX_USERNAME": "ann",
        "VINIX_PASSWORD": "planted-password",
        "VINIX_ACCOUNT_NAME": "acme",
    }


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vinix_async.dask", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = Command(tmp_path)("callflows", "export", "--all", "--sandbox", "--workers", "1", "--to", "out")
    assert done.returncode == 2
    assert done.stderr == (
        "vinix: vinix_async.dask needs the extra dask: pip install 'vinix-async[dask]' (distributed is not installed)\n"
    )
