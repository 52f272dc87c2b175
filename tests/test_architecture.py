"""The one-way street: who may import whom, read from the source and held to a table."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vinix_async

PACKAGE = Path(vinix_async.__file__).parent

# Each module imports only from those above it.
ORDER = [
    "_version",
    "_exceptions",
    "_flat",
    "_models",
    "_clock",
    "_logging",
    "_json",
    "_wire",
    "_fields",
    "_readers",
    "_shells",
    "_cut",
    "_families",
    "_reply",
    "_convert",
    "_auth",
    "_login",
    "_targets",
    "_event",
    "_retry",
    "_places",
    "_pacing",
    "_watch",
    "_body",
    "_exchange",
    "_transport",
    "_options",
    "_tokens",
    "_requester",
    "_checkpoint",
    "_seen",
    "_freeing",
    "_walk",
    "_pager",
    "_sweep",
    "_resource",
    "_accounts",
    "_callflows",
    "_client",
    "__init__",
]

# Around the library, not in the street: they use it, and it does not know them.
AROUND = {"testing", "sandbox", "cli"}

CORE = [
    "_exceptions",
    "_flat",
    "_models",
    "_json",
    "_wire",
    "_fields",
    "_readers",
    "_shells",
    "_cut",
    "_families",
    "_reply",
    "_convert",
    "_auth",
    "_login",
]
IMPURE = {"asyncio", "aiohttp", "tenacity", "time", "random", "os"}
ONLY_IMPORTERS = {"aiohttp": {"_exchange", "_transport"}, "tenacity": {"_retry"}, "cattrs": {"_convert"}}


@functools.cache
def imports(path: Path) -> frozenset[tuple[str, bool]]:
    """Each imported module's first name, and whether it is one of ours; type-checking blocks left out."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(path.read_text())
    skipped = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((name.partition(".")[0], True) for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0], False


def test_every_module_has_its_place() -> None:
    found = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert found - {"__pycache__"} == set(ORDER) | AROUND


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_down_only(module: str) -> None:
    ours = {name for name, own in imports(PACKAGE / f"{module}.py") if own}
    assert ours <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", CORE)
def test_the_core_does_no_io(module: str) -> None:
    assert not IMPURE & {name for name, own in imports(PACKAGE / f"{module}.py") if not own}


@pytest.mark.parametrize(("library", "owners"), ONLY_IMPORTERS.items())
def test_a_library_has_its_importers_and_no_others(library: str, owners: set[str]) -> None:
    users = {
        module for module in ORDER if library in {name for name, own in imports(PACKAGE / f"{module}.py") if not own}
    }
    assert users == owners


def test_the_sandbox_knows_the_library_only_by_its_client_and_its_clock() -> None:
    for path in (PACKAGE / "sandbox").glob("*.py"):
        siblings = {other.stem for other in path.parent.glob("*.py")} | {""}
        ours = {name for name, own in imports(path) if own}
        assert ours - siblings <= {"_client", "_clock", "_login", "_exceptions"}, path.name


def test_all_is_sorted_and_complete() -> None:
    assert vinix_async.__all__ == sorted(vinix_async.__all__)
    homes = {name: module for module, names in vinix_async._HOMES.items() for name in names}
    assert homes.keys() | {"__version__"} == set(vinix_async.__all__)
    for name in vinix_async.__all__:
        assert getattr(vinix_async, name) is vars(vinix_async)[name]
    assert set(vinix_async.__all__) <= set(dir(vinix_async))
    with pytest.raises(AttributeError, match="no attribute 'odd'"):
        _ = vinix_async.odd


def test_type_checkers_and_the_interpreter_find_names_in_the_same_places() -> None:
    (block,) = (node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body if isinstance(node, ast.If))
    seen = {
        node.module: {alias.name for alias in node.names} for node in block.body if isinstance(node, ast.ImportFrom)
    }
    assert seen == {module: set(names) for module, names in vinix_async._HOMES.items()}


@pytest.mark.parametrize(
    ("program", "later"),
    [
        ("from vinix_async import Callflow, FlowNode", {"aiohttp", "asyncio", "cattrs", "msgspec", "tenacity"}),
        (
            "from vinix_async import VinixClient; VinixClient(auth='t')",
            {"tenacity", *(f"vinix_async.{module}" for module in ("_checkpoint", "_event", "_login", "_sweep"))},
        ),
    ],
    ids=["types", "client"],
)
def test_what_may_come_later_is_imported_later(program: str, later: set[str]) -> None:
    code = f"{program}; import sys; print(sorted({later!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_a_module_reads_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
