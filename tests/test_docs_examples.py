"""Every example of the documentation runs, against a sandbox of its page.

The ``python`` blocks of a page run from top to bottom and share their names. A ``text`` block directly below one is
what it prints, where ``…`` stands for anything. A block that defines tests is run by pytest.
"""

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import logging
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

import vinix_async
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
DEFINES_TESTS = re.compile(r"^(async )?def test_", re.MULTILINE)
PUBLIC = ("", ".flows", ".mirror", ".sandbox", ".telemetry", ".testing")


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """The line, the code and the expected output of each example."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start()) + 1, match[1], match[2] or "") for match in BLOCK.finditer(text)]


EXAMPLES = {page: found for page in PAGES if (found := blocks(page))}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def compiled(page: Path, line: int, code: str) -> Any:
    """The code at its line of the page, so that a traceback names it."""
    return compile("\n" * line + code, name_of(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@contextlib.contextmanager
def pointed_to(sandbox: Sandbox) -> Iterator[None]:
    """Clients that are created without an address, and those of the environment, reach the sandbox."""
    auth = sandbox.user_auth()
    environment = {
        "VINIX_BASE": sandbox.url,
        "VINIX_USERNAME": auth.username,
        "VINIX_PASSWORD": auth.password,
        "VINIX_ACCOUNT_NAME": auth.account_name or "",
    }
    defaults: dict[str, Any] = {**(vinix_async.VinixClient.__init__.__kwdefaults__ or {}), "base_url": sandbox.url}
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(vinix_async.VinixClient.__init__, "__kwdefaults__", defaults),
    ):
        yield


def filled_in(code: str, sandbox: Sandbox) -> str:
    """A program with the sandbox's credentials and account in place of those that the documentation shows."""
    code = code.replace("9464", "0")  # any free port, for the metrics of docs/telemetry.md
    if "VinixClient(" not in code:
        return code
    auth = sandbox.user_auth()
    code = code.replace(
        '"nightly", "correct horse", account_name="acme"',
        f'"{auth.username}", "{auth.password}", account_name="{auth.account_name}"',
    )
    return code.replace("4f2a9c31d7e64b0c8a5e1f7d3b9c6a20", sandbox.root_id)


def names_for(page: Path, sandbox: Sandbox, client: vinix_async.VinixClient) -> dict[str, Any]:
    modules = {f"docs/api/{name}.md": getattr(vinix_async, name, None) for name in ("flows", "sandbox", "testing")}
    module: ModuleType = modules.get(name_of(page)) or vinix_async
    return {
        "__name__": "example",
        **{name: getattr(vinix_async, name) for name in vinix_async.__all__},
        **{name: getattr(module, name) for name in module.__all__},
        "client": client,
        "sandbox": sandbox,
        "account_id": sandbox.root_id,
        "reseller_id": sandbox.root_id,
        "callflow_id": next(
            each
            for each in sandbox.callflow_ids(sandbox.root_id)
            if sandbox.document(sandbox.root_id, each).get("name") == "Main menu"
        ),
    }


@pytest.mark.parametrize("page", EXAMPLES, ids=name_of)
async def test_every_example_runs_and_prints_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if any("vinix_async.dask" in code for _, code, _ in EXAMPLES[page]):
        pytest.importorskip("dask", reason="dask is not installed: pip install 'vinix-async[dask]'")
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.NOTSET, "vinix_async")  # an example sets a level, which is undone with this one
    async with Sandbox(accounts=6, clock=VirtualClock()) as sandbox, sandbox.client() as client:
        names = names_for(page, sandbox, client)
        with pointed_to(sandbox):
            for line, code, expected in EXAMPLES[page]:
                if DEFINES_TESTS.search(code):
                    continue
                names |= {"client": client}  # an example may have created one of its own
                output = io.StringIO()
                program = compiled(page, line, filled_in(code, sandbox))
                with contextlib.redirect_stdout(output):
                    if "asyncio.run(" in code:
                        await asyncio.to_thread(exec, program, names)
                    elif inspect.isawaitable(result := eval(program, names)):  # noqa: S307  # our own pages
                        await result
                if expected:
                    pattern = re.escape(expected).replace("…", ".*")
                    assert re.fullmatch(pattern, output.getvalue(), re.DOTALL), f"line {line}: {output.getvalue()}"


def only_defines(code: str) -> bool:
    """Whether the block has functions and imports alone, which the tests of its page may use."""
    definitions = (ast.AsyncFunctionDef, ast.FunctionDef, ast.Import, ast.ImportFrom)
    tree = compile(code, "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return all(isinstance(node, definitions) for node in tree.body)


TESTS = {
    page: [code for _, code, _ in found if only_defines(code)]
    for page, found in EXAMPLES.items()
    if any(DEFINES_TESTS.search(code) for _, code, _ in found)
}
_names = [name for codes in TESTS.values() for name in re.findall(r"def (test_\w+)", "".join(codes))]
assert len(_names) == len(set(_names)), "two examples of a test have the same name, so only one would run"
for _page, _codes in TESTS.items():
    exec(compile("".join(_codes), name_of(_page), "exec"))  # noqa: S102  # pytest collects the tests that they define


async def test_every_filter_of_the_table_is_one(vinix_sandbox: Sandbox, vinix_client: vinix_async.VinixClient) -> None:
    page = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| `(\{.*\})` \|$", page, re.MULTILINE)
    names = {"datetime": datetime, "UTC": UTC, "user_id": "a-user", "menu_id": "a-menu"}
    assert len(rows) > 10
    for row in rows:
        filters = eval(row, names)  # noqa: S307  # our own page
        await vinix_client.callflows.list(vinix_sandbox.root_id, filters=filters)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_an_example(module: str) -> None:
    names = set(importlib.import_module(f"vinix_async{module}").__all__) - {"__version__", "Accounts", "Callflows"}
    code = "".join(code for found in EXAMPLES.values() for _, code, _ in found)
    errors = (ROOT / "docs" / "api" / "exceptions.md").read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"\b{name}\b", code) and f"`{name}`" not in errors] == []


def test_every_error_is_in_the_table_and_no_other() -> None:
    page = (ROOT / "docs" / "api" / "exceptions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+Error)` \|.*\| (?:`(\w+)`)? ?\|$", page, re.MULTILINE)
    kinds = {name for name in vinix_async.__all__ if name.endswith("Error")}
    assert {name for name, _ in rows} == kinds - {"VinixError", "APIStatusError"}
    for name, also in rows:
        assert not also or also in {base.__name__ for base in getattr(vinix_async, name).__mro__}


def test_the_readme_begins_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python3 -m venv .venv && .venv/bin/pip install -q '.[cli]' && .venv/bin/vinix demo" in readme
    assert "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest" in readme
