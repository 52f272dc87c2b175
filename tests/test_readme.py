"""The README is true: its programs run, its names exist."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import vinix_async
from vinix_async import Callflow, Checkpoint, Limits, RetryPolicy, VinixError, structure
from vinix_async.sandbox import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_every_error_is_in_the_table_and_no_other() -> None:
    named = set(re.findall(r"^\| `(\w+Error)` \|", README, re.MULTILINE))
    kinds = {name for name in vinix_async.__all__ if name.endswith("Error")}
    assert named == kinds - {"VinixError", "APIStatusError"}
    for name, also in re.findall(r"^\| `(\w+Error)` \|.*\| `(\w+)` \|$", README, re.MULTILINE):
        kind = getattr(vinix_async, name)
        assert also in {base.__name__ for base in kind.__mro__}


def test_the_whole_programs_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    against_vinix, against_the_sandbox = (block for block in BLOCKS if "asyncio.run" in block)
    exec(compile(against_the_sandbox, "README.md", "exec"), {})  # noqa: S102  # the README is ours
    assert len(capsys.readouterr().out.splitlines()) == 2

    async def main() -> None:
        async with Sandbox() as sandbox:
            auth = sandbox.user_auth()
            program = against_vinix.replace(
                '"nightly", "correct horse", account_name="acme"', "*USER, account_name=NAME"
            )
            program = program.replace("VinixClient(auth=auth)", "VinixClient(auth=auth, base_url=URL)")
            program = re.sub(r'"[0-9a-f]{32}"', "ACCOUNT", program).replace("asyncio.run(main())", "")
            names: dict[str, Any] = {
                "USER": (auth.username, auth.password),
                "NAME": auth.account_name,
                "URL": sandbox.url,
                "ACCOUNT": sandbox.root_id,
            }
            exec(compile(program, "README.md", "exec"), names)  # noqa: S102  # as above
            await names["main"]()
            assert len(capsys.readouterr().out.splitlines()) == len(sandbox.callflow_ids(sandbox.root_id))

    asyncio.run(main())


async def test_the_parts_run(vinix_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    (walk,) = (block for block in BLOCKS if block.startswith("def modules"))
    names: dict[str, Any] = {}
    exec(compile(walk, "README.md", "exec"), names)  # noqa: S102  # as above
    flow = {"module": "menu", "children": {"1": {"module": "user"}, "2": {"module": "hangup"}}}
    assert set(names["modules"](structure({"flow": flow}, Callflow))) == {"menu", "user", "hangup"}

    async with vinix_sandbox.client() as client:
        parts = [block for block in BLOCKS if block.startswith(("pager =", "text ="))]
        assert len(parts) == 2
        names = {"client": client, "account_id": vinix_sandbox.root_id, "Checkpoint": Checkpoint}
        source = "".join(f"    {line}\n" for part in parts for line in part.splitlines())
        source = source.replace("resume=", 'filters={"has_key": "featurecode.name"}, resume=')
        exec(compile(f"async def main():\n{source}", "README.md", "exec"), names)  # noqa: S102  # as above
        await names["main"]()

        (sweep,) = (block for block in BLOCKS if block.startswith("sweep ="))
        source = "".join(f"    {line}\n" for line in sweep.splitlines())
        names = {"client": client, "reseller_id": vinix_sandbox.root_id}
        exec(compile(f"async def main():\n{source}", "README.md", "exec"), names)  # noqa: S102  # as above
        await names["main"]()
        assert "accounts_done=2" in capsys.readouterr().out

    (options,) = (block for block in BLOCKS if block.startswith("client = VinixClient"))
    names = {**vars(vinix_async), "auth": "a-token", "RetryPolicy": RetryPolicy, "Limits": Limits}
    exec(compile(options, "README.md", "exec"), names)  # noqa: S102  # as above
    assert names["patient"]._options.deadline == 600


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 8
    assert "async def test_nightly(vinix_sandbox, vinix_client)" in BLOCKS[-1]  # as in test_testing.py


def test_the_commands_are_those_of_the_files() -> None:
    assert "python3 -m venv .venv && .venv/bin/pip install -q '.[cli]' && .venv/bin/vinix demo" in README
    assert "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest" in README
    assert issubclass(VinixError, Exception)
