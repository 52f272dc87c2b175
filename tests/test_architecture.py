"""Which package may import which, read from the source; and what is public."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import vinix_async

PACKAGE = Path(vinix_async.__file__).parent

# Each package (or module) imports only from those after it.
ORDER = [
    *("_client", "_resources", "_listing", "_pipeline", "_http"),
    *("_columns", "_documents", "_config", "_exceptions", "_locks", "_public"),
]

# They use the library by its public names, and the library does not know them.
AROUND = {"cli", "dask", "flows", "mirror", "sandbox", "telemetry", "testing"}

# What the library lends to them: the columns of a callflow, the default clock, the events, the loop of a sweep, the
# connection of a client, locks of files, and JSON of any depth.
LENT = {
    "cli": {"vinix_async._columns", "vinix_async._locks"},
    "dask": {"vinix_async._client", "vinix_async._columns", "vinix_async._locks"},
    "mirror": {
        *("vinix_async._client", "vinix_async._documents.deep_json"),
        *("vinix_async._listing.sweep", "vinix_async._locks"),
    },
    "sandbox": {"vinix_async._pipeline.clock"},
    "telemetry": {"vinix_async._client", "vinix_async._pipeline.events"},
}

# Who may import a dependency. Type-checking blocks do not count, nor do those in AROUND for aiohttp.
ONLY_IMPORTERS = {
    "aiohttp": {"_http/transport.py", "_config.py"},  # _config.py checks a ClientTimeout with it
    "tenacity": {"_pipeline/retry.py"},
    "cattrs": {"_documents/decode.py"},
    "msgspec": {"_documents/decode.py", "_documents/fast_decode.py", "_documents/deep_json.py", "_documents/encode.py"},
}

NO_IO = {"aiohttp", "asyncio", "os", "random", "socket", "tenacity", "time"}


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Absolute names of the modules that ``path`` imports when it runs."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    package = ["vinix_async", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not isinstance(node, ast.expr):
            waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
            base = base if node.level else str(node.module)
            found |= {f"{base}.{alias.name}" for alias in node.names} if base == "vinix_async" else {base}
    return frozenset(found)


def modules(*parts: str) -> list[Path]:
    """The source files of a package or a module."""
    path = PACKAGE.joinpath(*parts)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def ours(path: Path) -> set[str]:
    """Which packages or modules of the library ``path`` imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("vinix_async.")}


CORE = [path for package in ORDER for path in modules(package)]


def test_every_package_has_its_place() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix in {"", ".py"}} - {"__pycache__", "__init__"}
    assert found == {*ORDER, *AROUND}


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package: str) -> None:
    allowed = {*ORDER[ORDER.index(package) :], "__version__"}
    for path in modules(package):
        assert ours(path) <= allowed, name_of(path)


def test_packages_have_no_import_cycles_within() -> None:
    """Modules of one package may import each other, in one direction."""
    for package in ORDER:
        graph = {
            path.stem: {name.split(".")[2] for name in imports(path) if name.startswith(f"vinix_async.{package}.")}
            for path in modules(package)
        }
        while graph:
            free = {name for name, needs in graph.items() if not needs & graph.keys()}
            assert free, f"cycle in {package}: {graph}"
            graph = {name: needs for name, needs in graph.items() if name not in free}


@pytest.mark.parametrize(("library", "importers"), ONLY_IMPORTERS.items())
def test_a_dependency_has_its_importers_and_no_others(library: str, importers: set[str]) -> None:
    users = {name_of(path) for path in CORE if library in {name.partition(".")[0] for name in imports(path)}}
    assert users <= importers


@pytest.mark.parametrize(
    "path",
    [path for path in [*modules("_documents"), *modules("_http")] if path.stem not in {"transport", "response_body"}],
    ids=name_of,
)
def test_documents_requests_and_responses_do_no_io(path: Path) -> None:
    assert not NO_IO & {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("user", sorted(AROUND))
def test_command_sandbox_and_plugin_use_public_names(user: str) -> None:
    for path in modules(user):
        private = {name for name in imports(path) if name.startswith("vinix_async._")} - {"vinix_async.__version__"}
        assert private <= LENT.get(user, set()), name_of(path)


def test_the_library_does_not_know_those_around_it() -> None:
    for path in CORE:
        assert not ours(path) & AROUND, name_of(path)


# --- public names --------------------------------------------------------------------------------


def test_all_is_sorted_and_complete() -> None:
    assert vinix_async.__all__ == sorted(vinix_async.__all__)
    names = [name for names in vinix_async._MODULES.values() for name in names]
    assert sorted([*names, "__version__"]) == vinix_async.__all__
    for name in vinix_async.__all__:
        assert getattr(vinix_async, name) is vars(vinix_async)[name]
    assert set(vinix_async.__all__) <= set(dir(vinix_async))
    with pytest.raises(AttributeError, match="no attribute 'odd'"):
        _ = vinix_async.odd


def test_what_is_marked_public_is_in_all() -> None:
    marked = {
        node.name
        for path in CORE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and "public" in {ast.unparse(each) for each in node.decorator_list}
    }
    assert marked == set(vinix_async.__all__) - {"__version__"}


@pytest.mark.parametrize("name", [name for name in vinix_async.__all__ if name != "__version__"])
def test_public_names_live_where_users_import_them(name: str) -> None:
    assert getattr(vinix_async, name).__module__ == "vinix_async"
    assert getattr(vinix_async, name).__qualname__ == name


def test_type_checkers_and_the_interpreter_find_names_in_the_same_modules() -> None:
    (block,) = (node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body if isinstance(node, ast.If))
    seen = {
        node.module: {alias.name for alias in node.names} for node in block.body if isinstance(node, ast.ImportFrom)
    }
    assert seen == {module: set(names) for module, names in vinix_async._MODULES.items()}


@pytest.mark.parametrize(
    ("program", "later"),
    [
        ("import vinix_async", {"aiohttp", "asyncio", "attrs", "cattrs", "msgspec", "tenacity"}),
        ("from vinix_async import Callflow, FlowNode", {"aiohttp", "asyncio", "cattrs", "tenacity"}),
        (
            "from vinix_async import VinixClient; VinixClient(auth='t')",
            {"cattrs", "tenacity", "vinix_async._listing.sweep"},
        ),
        (
            "import vinix_async, vinix_async.cli.callflows, vinix_async.mirror as m; m.Mirror('m.db')",
            {"dask", "distributed", "pandas", "psycopg", "pyarrow", "pcre2", "keyring"},
        ),
    ],
    ids=["nothing", "types", "client", "extras"],
)
def test_what_may_come_later_is_imported_later(program: str, later: set[str]) -> None:
    code = f"{program}; import sys; print(sorted({later!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    assert found.stdout == "[]\n"
