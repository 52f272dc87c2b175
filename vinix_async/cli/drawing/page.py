"""Build the HTML page in which callflows are looked at: one file that loads nothing, its data as escaped JSON."""

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ... import Account, APIStatusError, Callflow, DecodeError, VinixError
from ..exit_codes import one_line
from ..files import default_mode, replacing
from ..names import numbers, title, type_name
from ..text import display, printable
from .diagram import MODULE_KINDS, Box, diagram
from .svg import ICONS
from .text_width import TEXT_STYLES, asset, widths_table

if TYPE_CHECKING:
    from ... import BadItem
    from ..export import Ending

_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def page(heading: str, *, single: bool = False, noscript: str = "") -> tuple[str, str]:
    """Return the page in two parts, between which ``account_block`` puts the accounts.

    ``single``: the page of one callflow, without a list. ``noscript``: what is shown where JavaScript is off.
    """
    heading = display(heading)
    style, script = asset("flow.css") + asset("page.css"), asset("flow.js") + asset("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = {
        "title": heading,
        "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "single": single,
        "kinds": MODULE_KINDS,
        "icons": ICONS,
        "texts": TEXT_STYLES,
        "widths": widths_table(),
    }
    values = {
        "policy": policy,
        "title": escape(heading),
        "style": style,
        "noscript": noscript or "This page needs JavaScript; it loads nothing from the network.",
        "script": script,
    }
    before, after = asset("page.html").split("{{data}}")
    return _filled(before, values) + data_block(head, "id=head"), _filled(after, values)


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Replace each ``{{name}}`` once; what is put in is not searched again."""
    first, *parts = (part.partition("}}") for part in template.split("{{"))
    return first[0] + "".join(values[name] + text for name, _, text in parts)


def end_block(*, complete: bool) -> str:
    """Return what comes after the last account: whether all of them are in the page."""
    return data_block({"complete": complete}, "id=end")


def report(title: str, accounts: Iterable[str], *, complete: bool) -> Iterator[str]:
    """Yield the parts of a page about ``accounts``, the results of ``account_block``. An account may have several."""
    before, after = page(title)
    yield before
    yield from accounts
    yield end_block(complete=complete) + after


def write_report(to: Path, blocks: Path, title: str | None, ending: "Ending") -> None:
    """Write the page with the blocks of a file, and with what could not be read."""
    problems = (
        account_block(
            problem.account,
            bad_items=problem.bad_items,
            error=problem.error,
            retry=ending.resume
            or shlex.join(["vinix", "report", problem.account_id, "--to", f"{problem.account_id}.html"]),
        )
        for problem in ending.problems
    )
    with (
        replacing(to, mode=default_mode()) as new,
        new.open("w", encoding="utf-8") as stream,
        blocks.open(encoding="utf-8") as lines,
    ):
        stream.writelines(report(title or "Callflows", chain(lines, problems), complete=not ending.stopped))


def account_block(
    account: Account,
    callflows: Iterable[Callflow] = (),
    *,
    bad_items: Iterable["BadItem"] = (),
    error: VinixError | None = None,
    retry: str = "",
) -> str:
    """Return a part of an account, as the page's script reads it: some callflows, or what could not be read.

    ``retry``: the command that reads the account again.
    """
    about = [printable(account.id), display(account.name or ""), display(account.realm or "")]
    unreadable = [
        [printable(item.id or f"row {item.index}"), one_line(item.error), printable(retry)] for item in bad_items
    ]
    failure = _error_data(error, retry) if error else None
    return data_block([*about, unreadable, failure, [_flow_data(each) for each in callflows]], "class=account")


def callflow_block(callflow: Callflow, names: Mapping[str, str] | None) -> str:
    """Return one callflow as the only one of the page."""
    return data_block(["", "", "", [], None, [_flow_data(callflow, names)]], "class=account")


def data_block(value: Any, attribute: str) -> str:
    """Return JSON as an element of the page which nothing in the JSON can end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
    return f'<script type="application/json" {attribute}>{text}</script>\n'


def _flow_data(callflow: Callflow, names: Mapping[str, str] | None = None) -> list[Any]:
    """Return a callflow as the script reads it; its modules alone if a listing gave no flow."""
    whole = callflow.flow is not None or not callflow.modules
    return [
        display(callflow.id),
        title(callflow),
        type_name(callflow),
        numbers(callflow),
        int(callflow.featurecode is not None),
        [_box_data(box) for box in diagram(callflow, names)[1:]] if whole else None,
        None if whole else [display(module) for module in callflow.modules],
    ]


def _box_data(box: Box) -> list[Any]:
    row = [box.parent, box.module, box.label, box.name, int(box.disabled), box.target]
    while not row[-1] and len(row) > 2:
        row.pop()
    return row


def _error_data(error: VinixError, retry: str) -> dict[str, Any]:
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
        "next": printable(error.start_key or ""),
        "retry": printable(retry),
    }


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
