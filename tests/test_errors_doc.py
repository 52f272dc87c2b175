"""docs/errors.md explains the messages that the library has, and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vinix_async

PACKAGE = Path(vinix_async.__file__).parent
DOCUMENT = Path(__file__).parent.parent / "docs" / "errors.md"
CORE = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0].startswith("_")]
EXPLAINED = {"APIConnectionError", "APITimeoutError", "DecodeError", "PaginationLoopError", "ClientClosedError"}


def template(node: ast.expr | None) -> str | None:
    """Return the text of a literal, with an ellipsis for each value in it."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(template(part) or "…" for part in node.values)
        case _:
            return None


@pytest.fixture(scope="module")
def nodes() -> list[ast.AST]:
    return [node for path in CORE for node in ast.walk(ast.parse(path.read_text()))]


def messages(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the messages of errors of the connection and the response, and what ``gave_up`` is set to."""
    for node in nodes:
        text = None
        match node:
            case ast.Call(func=ast.Name(id=kind), args=[first, *_]) if kind in EXPLAINED:
                text = template(first)
            case ast.keyword(arg="gave_up", value=value):
                text = template(value)
            case ast.Assign(targets=[ast.Attribute(attr="gave_up")], value=value):
                text = template(value)
            case _:
                pass
        if text:
            yield text


def quoted() -> list[str]:
    """Return the messages in the first column of the tables."""
    rows = [line.split("|")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    return [code for cell in rows for code in re.findall(r"`([^`]+)`", cell) if " " in code]


def pattern(code: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in code.split("…")]
    return re.compile(".*".join(parts), re.DOTALL)


def test_each_explained_message_is_one_of_the_library(nodes: list[ast.AST]) -> None:
    codes = [code for code in quoted() if not re.match(r"\d|… (the login|there is)|3xx", code)]
    texts = [text for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr) and (text := template(node))]
    assert [code for code in codes if not any(map(pattern(code).search, texts))] == []


def test_each_message_is_explained(nodes: list[ast.AST]) -> None:
    patterns = [pattern(code) for code in quoted()]
    known = {*messages(nodes)} - {"… (…)"}
    assert len(known) > 30
    assert [message for message in known if not any(each.match(message) for each in patterns)] == []
