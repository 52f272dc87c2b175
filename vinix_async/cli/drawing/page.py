"""Build the HTML page that shows callflows.

The page is one file, which loads nothing else. It contains its data as escaped JSON.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import vinix_async

from ... import Account, APIStatusError, Callflow, DecodeError, VinixError, structure, to_dict, to_json
from ...flows import RULES, Finding, Name, findings, names_of, references
from ..exit_codes import one_line
from ..files import remove_unfinished, replacing
from ..names import display, numbers, shown_data, title, type_name
from ..text import printable, printable_lines
from .diagram import MODULE_KINDS, Box, diagram, find
from .svg import ICONS, svg
from .text_width import TEXT_STYLES, asset, widths_table

if TYPE_CHECKING:
    from ..export import Ending

_DRAWN: Final = frozenset({"id", "name", "numbers", "patterns", "flow", "metaflow", "metadata", "modules"})
"""The fields that are not in the details of a callflow's head box, because the page shows or uses them elsewhere."""

_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def report(title: str, accounts: Iterable[str], *, complete: bool, drawn: str = "") -> Iterator[str]:
    """Yield the HTML page in parts.

    ``accounts``: a result of ``account_block`` for each account. ``complete``: whether these are all accounts.
    ``drawn``: for a page with only one callflow and no list, the SVG of the callflow, to show without JavaScript.
    """
    title = display(title)
    style, script = asset("flow.css") + asset("page.css"), asset("flow.js") + asset("report.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = {
        "title": title,
        "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "single": bool(drawn),
        "kinds": MODULE_KINDS,
        "icons": ICONS,
        "texts": TEXT_STYLES,
        "rules": {code: [rule.severity, rule.title, rule.explanation] for code, rule in RULES.items()},
        "widths": widths_table(),
    }
    noscript = drawn or "This page needs JavaScript. It loads nothing from the network."
    before, after = (Template(part) for part in asset("page.html").split("$data"))
    opening = before.substitute(policy=policy, title=escape(title), style=style, noscript=noscript)
    yield opening + data_block(head, "id=head")
    yield from accounts
    yield data_block({"complete": complete}, "id=end") + after.substitute(script=script)


def callflow_page(callflow: Callflow, names: Mapping[str, Name]) -> str:
    """Return the HTML page of one callflow."""
    drawn = svg(callflow, names, with_style=False)
    block = account_block(Account(id=""), [callflow], complete=False, names=names)
    return "".join(report(title(callflow), [block], complete=True, drawn=drawn))


def page_row(page: "vinix_async.AccountPage") -> bytes:
    """Return a page of a listing as a line of the file that ``write_report`` reads."""
    about = json.dumps([to_dict(page.account), page.next_start_key is None and page.error is None])
    return about.encode() + b'\t{"data":[' + b",".join(map(to_json, page.items)) + b"]}\n"


def write_report(
    to: Path, rows: Path, title: str | None, *, filtered: bool, ending: "Ending", retry: Callable[[str], str]
) -> None:
    """Write the HTML page from a file of ``page_row`` lines. Only one account at a time is in memory.

    ``filtered``: whether filters selected the callflows. If so, findings that depend on other callflows are left out.
    ``retry``: a function that takes an account id, and returns the command that reads the account again.
    """
    problems: dict[str, list[vinix_async.AccountPage | vinix_async.AccountResult]] = {}
    for problem in ending.problems:
        problems.setdefault(problem.account_id, []).append(problem)
    remove_unfinished(to)
    with replacing(to) as new, new.open("w", encoding="utf-8") as stream, rows.open("rb") as lines:
        blocks = _blocks(lines, problems, filtered=filtered, retry=retry)
        stream.writelines(report(title or "Callflows", blocks, complete=not ending.stopped))


def _blocks(
    lines: BinaryIO,
    problems: Mapping[str, Sequence["vinix_async.AccountPage | vinix_async.AccountResult"]],
    *,
    filtered: bool,
    retry: Callable[[str], str],
) -> Iterator[str]:
    """Yield the block of each account that has rows or problems."""
    places: dict[str, list[int]] = {account_id: [] for account_id in problems}
    whole: set[str] = set()
    while line := lines.readline():
        about, is_last = json.loads(line.partition(b"\t")[0])
        places.setdefault(about["id"], []).append(lines.tell() - len(line))
        if is_last and not filtered and about["id"] not in problems:
            whole.add(about["id"])
    for account_id, starts in places.items():
        account: Account | None = None
        callflows: list[Callflow] = []
        for start in starts:
            lines.seek(start)
            about, _, page = lines.readline().partition(b"\t")
            account = structure(json.loads(about)[0], Account)
            callflows.extend(vinix_async.decode_page(page).items)
        of_account = problems.get(account_id, ())
        yield account_block(
            account or of_account[0].account,
            callflows,
            complete=account_id in whole,
            bad_items=[item for problem in of_account for item in problem.bad_items],
            error=next((problem.error for problem in of_account if problem.error), None),
            retry=retry(account_id),
        )


def account_block(
    account: Account,
    callflows: Iterable[Callflow] = (),
    *,
    complete: bool = True,
    names: Mapping[str, Name] | None = None,
    bad_items: Iterable["vinix_async.BadItem"] = (),
    error: VinixError | None = None,
    retry: str = "",
) -> str:
    """Return the data of an account for the page's script: its callflows, findings and unreadable items.

    ``complete``: whether these are all callflows of the account. ``names``: names of documents by id, in addition to
    those in the ``metadata`` of the callflows. ``retry``: the command that reads the account again.
    """
    kept = list(callflows)
    known = {**(names or {}), **names_of(kept)}
    found: dict[str, list[Finding]] = {}
    for finding in findings(kept, complete=complete):
        found.setdefault(finding.callflow_id, []).append(finding)
    unreadable = [
        [printable(item.id or f"row {item.index}"), one_line(item.error), printable(retry)] for item in bad_items
    ]
    value = [
        *(printable(account.id), display(account.name or ""), display(account.realm or "")),
        unreadable,
        _error_data(error, retry) if error else None,
        len({each for callflow in kept for each in callflow.numbers}),
        {display(each): [display(name.name), display(name.kind)] for each, name in known.items()},
        [_flow_data(each, known, found.get(each.id, ())) for each in kept],
    ]
    return data_block(value, "class=account")


def data_block(value: Any, attribute: str) -> str:
    """Return an element with JSON data. ``<``, ``>`` and ``&`` are escaped, so that no text can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
    return f'<script type="application/json" {attribute}>{text}</script>\n'


def _flow_data(callflow: Callflow, names: Mapping[str, Name], found: Sequence[Finding]) -> list[Any]:
    """Return the data of a callflow for the script.

    A row of a listing has no flow. For such a row, the data has the list of modules in place of boxes.
    """
    whole = callflow.flow is not None or not callflow.modules
    boxes = diagram(callflow, names)
    place = find(boxes)
    references_of: dict[int, list[str]] = {}
    for reference in references(callflow):
        if reference.kind != "url":
            references_of.setdefault(place(reference.path), []).append(display(reference.target))
    rows = [_box_data(box, callflow, references_of.get(index, [])) for index, box in enumerate(boxes)]
    return [
        display(callflow.id),
        title(callflow),
        type_name(callflow),
        numbers(callflow),
        int(callflow.featurecode is not None),
        rows if whole else None,
        None if whole else [display(module) for module in callflow.modules],
        [[each.code, each.severity, place(each.path), display(each.message)] for each in found],
    ]


def _box_data(box: Box, callflow: Callflow, refers_to: list[str]) -> list[Any]:
    """Return the data of a box for the script, without empty values at the end.

    The head of a callflow or metaflow also has the fields that the picture does not show.
    """
    if box.node:
        data: Any = {**box.node.data, **box.node.extra}
    else:
        document: Any = callflow.metaflow if box.step else callflow
        data = shown_data({key: value for key, value in to_dict(document).items() if key not in _DRAWN})
    row = [
        *(box.parent, box.label, box.branch, box.module, box.lines),
        *(int(box.disabled), box.target, data, refers_to),
    ]
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
        "reason": printable_lines(reason),
        "request_id": printable(error.request_id or ""),
        "attempts": error.attempts,
        "next": printable(error.start_key or ""),
        "retry": printable(retry),
    }


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
