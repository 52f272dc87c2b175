"""The command uses only public names of the library and of its dependencies."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vinix_async.cli

CLI = Path(vinix_async.cli.__file__).parent
MODULES = sorted(CLI.rglob("*.py"))
LENT = {"_columns", "_locks"}  # as in test_architecture.py: the columns of all tables, and the locks of files


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_imports(tree: ast.Module) -> Iterator[str]:
    """Imports that name a private module or a private name, of the library or of another package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        else:
            continue
        if any(private(name) and name not in LENT for name in names):
            yield ast.unparse(node)


def private_attributes(tree: ast.Module) -> Iterator[str]:
    """Private attributes of anything but ``self`` and ``cls``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            if not own:
                yield ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CLI)))
def test_the_command_uses_public_names_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert list(private_imports(tree)) == []
    assert list(private_attributes(tree)) == []
    assert "SLF001" not in path.read_text()


@pytest.mark.parametrize(
    "line", ["from .._client import VinixClient", "from .. import _version", "import cyclopts._run", "a = client._wire"]
)
def test_the_check_sees_what_is_private(line: str) -> None:
    tree = ast.parse(line)
    assert [*private_imports(tree), *private_attributes(tree)]


def test_modules_have_plain_names() -> None:
    assert all(not path.stem.startswith("_") or path.stem.startswith("__") for path in MODULES)
