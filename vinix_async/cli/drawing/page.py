"""The page that callflows are looked at in: one file, nothing from a network, and what is in it as escaped JSON."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import Any, Final

from ... import Account, AccountResult, APIStatusError, Callflow, DecodeError, VinixError
from ..._documents.json import write_json
from .._output import printable
from .diagram import KINDS, Box, boxes, numbers, title
from .svg import PATHS

_SAFE: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def page(heading: str, *, single: bool = False, noscript: str = "") -> tuple[str, str]:
    """The page up to the accounts, and from there on. ``single``: for one callflow, without a list."""
    style, script = _part("flow.css") + _part("page.css"), _part("flow.js") + _part("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    about = {
        "title": printable(heading),
        "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "single": single,
        "kinds": {module: kind for kind, modules in KINDS.items() for module in modules.split()},
        "paths": PATHS,
    }
    parts = {
        "policy": policy,
        "title": escape(printable(heading)),
        "style": style,
        "noscript": noscript or "This page needs JavaScript. It loads nothing from anywhere.",
        "script": script,
        "data": None,
    }
    before: list[str] = []
    after: list[str] = []
    pieces = before
    for text in _part("page.html").split("{{"):
        name, found, rest = text.partition("}}")
        if not found:
            pieces.append(text)
            continue
        value = parts[name]
        if value is None:
            pieces = after
            before.append(data_block(about, "id=head"))
        else:
            pieces.append(value)
        pieces.append(rest)
    return "".join(before) + "\n", "".join(after)


def data_block(value: Any, attribute: str) -> str:
    """JSON in a page, where nothing in it can end the element."""
    text = write_json(value)
    for letter, escaped in _SAFE:
        text = text.replace(letter, escaped)
    return f'<script type="application/json" {attribute}>{text.decode()}</script>\n'


def account_data(account: Account | None, result: AccountResult, retry: str) -> list[Any]:
    """One account as the page reads it."""
    error = _error_data(result.error, result.next_start_key, retry) if result.error else None
    name = (account.name if account else None) or ""
    realm = (account.realm if account else None) or ""
    flows = [flow_data(callflow) for callflow in result.callflows]
    account_id = printable(result.account_id)
    return [account_id, printable(name), printable(realm), round(result.elapsed, 2), error, flows]


def flow_data(callflow: Callflow, names: Mapping[str, str] | None = None) -> list[Any]:
    """One callflow as the page reads it; without boxes where a listing gave no flow."""
    whole = callflow.flow is not None or not callflow.modules
    return [
        printable(callflow.id),
        title(callflow),
        printable(callflow.type or ""),
        numbers(callflow),
        int(callflow.featurecode is not None),
        [_box_data(box) for box in boxes(callflow, names)[1:]] if whole else None,
        None if whole else [printable(module) for module in callflow.modules],
    ]


def _box_data(box: Box) -> Sequence[Any]:
    row = [box.parent, box.module, box.label, box.name, int(box.disabled), box.target]
    while not row[-1] and len(row) > 2:
        row.pop()
    return row


def _error_data(error: VinixError, next_start_key: str | None, retry: str) -> dict[str, Any]:
    reason = error.message
    if isinstance(error, APIStatusError):
        reason = " - ".join(text for text in (f"{error.status} {error.message}".strip(), error.detail) if text)
    if isinstance(error, APIStatusError | DecodeError):
        reason = "\n".join((reason, *error.problems))
    return {
        "kind": type(error).__name__,
        "reason": printable(reason, lines=True),
        "request_id": printable(error.request_id or ""),
        "attempts": error.attempts,
        "next": printable(next_start_key or ""),
        "retry": printable(retry),
    }


def _part(name: str) -> str:
    return (files("vinix_async.cli.drawing") / "assets" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
