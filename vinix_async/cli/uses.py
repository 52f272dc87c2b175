"""``vinix callflows uses`` shows which callflows use a document or a number."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from rich.text import Text

from ..flows import Name, ReferenceIndex, describe_reference, inactive, label, lookup, masked, normalize, to_plain
from .console import count, note, print_lines
from .exit_codes import ExitCode, UsageError
from .files import EXPORT_SUFFIXES, is_file
from .names import display, titles
from .options import CONNECTION, SELECTION, Connection, FromMirror, OneAccount, Selection
from .rows import write_json
from .sources import AccountFlows, Row, Sources, check_order
from .table import aligned, few, heading
from .trace import route_text
from .words import MIN_ID, as_number, similar

_START: Final = "start"
_MAX_JUMPS: Final = 40  # the maximum number of jumps that are shown for a target; JSON has all of them


async def uses(
    *words: Annotated[
        str,
        Parameter(
            name="[ACCOUNT|FILE]... WHAT",
            help="The accounts or export file to search (default: your own account), and WHAT to search for.",
        ),
    ],
    account: OneAccount = None,
    db: FromMirror = None,
    output: Annotated[Literal["table", "json"], Parameter(help="The format.")] = "table",
    selection: Selection = SELECTION,
    connection: Connection = CONNECTION,
) -> int:
    """Show which callflows use a user, a mailbox, a media file, a callflow, a number or another document.

    WHAT is an id, a number or a complete name, in upper or lower case. If WHAT is used nowhere, the exit code is 5.

    Example: vinix callflows uses ROOT "Ann Ash"
    """
    if len(words) > 1:
        check_order("uses", words[-2], words[-1])
    if not words or words[-1] == "ROOT" or words[-1].lower().endswith(EXPORT_SUFFIXES):
        raise UsageError("the last argument must be the name, id or number to search for")
    what = words[-1]
    reading = Sources(words=words[:-1], connection=connection, selection=selection, account=account, db=db)
    rows: list[Row] = []
    shared: list[str] = []
    why = ""

    def search(flows: AccountFlows) -> None:
        nonlocal why
        found = use_rows(flows, what)
        rows.extend(found)
        if found and (about_number := _shared_number(flows, what)):
            shared.append(about_number)
        if not found:
            why = why or _why_nowhere(flows, what)
        elif output == "table":
            above = [] if reading.one_account else [heading(flows.account)]
            print_lines([*above, *use_lines(found)])

    await reading.read(search)
    if output == "json":
        write_json(rows)
    for each in shared:
        note(display(each))
    if not rows:
        _note_nowhere(words, why)
    return reading.exit_code(ExitCode.OK if rows else ExitCode.NEGATIVE)


def _note_nowhere(words: Sequence[str], why: str) -> None:
    """Say that nothing was found. If the only argument is the name of a file, say how to search in that file."""
    *sources, what = words
    note(display(why or f"{what} is used nowhere"))
    if not sources and is_file(what):
        note(display(f"{what} was taken as the argument WHAT. To search in the file {what}, add WHAT after it."))


def use_rows(flows: AccountFlows, what: str) -> list[Row]:
    """Return the references to ``what`` as dicts of JSON values, sorted by callflow.

    For a reference in a flow, ``reached_from`` lists the ways from other callflows to this flow. Each way is a sequence
    of jumps.
    """
    unknown, index = Name("", ""), ReferenceIndex(flows.callflows)
    found = index.where_used(what) or index.where_used(as_number(what) or what)
    ways = {each.callflow_id: _ways(flows, index, each.callflow_id) for each in found if each.path.startswith("/flow")}
    rows = [
        flows.about(each.callflow_id)
        | {"place": flows.place(each.callflow_id, each.path)}
        | {"target_name": masked(flows.names.get(each.target, unknown).name) or None}
        | {"used_by": describe_reference(each, flows.by_id.get(each.callflow_id), flows.names)}
        | {"inactive": inactive(each, flows.by_id.get(each.callflow_id)) or None}
        | to_plain(each)
        | {"reached_from": ways[each.callflow_id] if each.path.startswith("/flow") else []}
        for each in found
    ]
    return sorted(rows, key=_by_callflow)


def _by_callflow(row: Row) -> tuple[str, str]:
    return row["callflow_name"].casefold(), row["callflow_id"]


def _ways(flows: AccountFlows, index: ReferenceIndex, callflow_id: str) -> list[Row]:
    found: list[Row] = []
    for way in index.ways_to(callflow_id):
        words: list[str] = []
        for jump, target in zip(way, [*(each.callflow_id for each in way[1:]), callflow_id], strict=True):
            words += [flows.place(jump.callflow_id, jump.path), f"{label(jump.module)} {flows.title(target)}"]
        first = way[0].callflow_id
        row = {"callflow_id": first, "callflow_name": flows.title(first), "numbers": flows.about(first)["numbers"]}
        found.append(row | {"place": _place(*words)})
    return found


def _place(*words: str) -> str:
    return ", ".join(word for word in words if word and word != _START) or _START


def _why_nowhere(flows: AccountFlows, what: str) -> str:
    """Return a sentence about the document or number that ``what`` may mean. If there is neither, the text is empty."""
    known = titles(flows.callflows)
    for each, name in {**flows.names, **known}.items():
        if what.casefold() == name.name.casefold() or (len(what) >= MIN_ID and each.startswith(what)):
            uses_it = "jumps to it" if each in known else "uses it"
            return f"{name.name} ({name.kind or 'document'}) exists, but nothing {uses_it}"
    number = as_number(what)
    route = lookup(flows.callflows, normalize(number), caller="phone") if number else None
    if shared := _shared_number(flows, what):
        return f"{what} is used nowhere: nothing jumps to the callflows that have this number; {shared}"
    if route and route.how in {"number", "pattern"}:
        how = "is a number" if route.how == "number" else f"matches {route.by}"
        callflow_id = route.callflow_id or ""
        unused = "" if ReferenceIndex(flows.callflows).where_used(callflow_id) else ", to which nothing jumps"
        return f"{what} is used nowhere; it {how} of {flows.title(callflow_id)}{unused}"
    near = similar(what, (name.name for name in flows.names.values()), flows.by_number)
    return f"{what} is used nowhere{near}" if near else ""


def _shared_number(flows: AccountFlows, what: str) -> str:
    """Say which callflow gets the calls to a number that several callflows have. Return "" for other numbers."""
    number = normalize(as_number(what) or what)
    if len(flows.by_number.get(number, ())) < 2:
        return ""
    return route_text(lookup(flows.callflows, number, caller="phone"), number, flows)


def use_lines(rows: Sequence[Row]) -> Iterator[Text]:
    """Yield the references of an account as lines, grouped by target."""
    for target in dict.fromkeys(row["target"] for row in rows):
        group = [row for row in rows if row["target"] == target]
        lines = [(row, _place(row["place"]) if row["path"] else "", row) for row in group]
        jumps = [(way, _place(way["place"], row["place"]), row) for row in group for way in row["reached_from"]]
        jumps.sort(key=lambda line: _by_callflow(line[0]))
        own = {row["callflow_id"] for row in group}
        others = {way["callflow_id"] for way, _, _ in jumps} - own
        name, places = group[0]["target_name"] or target, f" ({len(group):,} places)" if len(group) > len(own) else ""
        by_jumps = f", and reached by jumps from {len(others):,} more" if others else ""
        used = f" ({group[0]['kind']}) is used in {count(len(own), 'callflow')}{places}{by_jumps}"
        yield Text.assemble((display(name), "bold"), used)
        yield from aligned(
            [
                (
                    Text(start["callflow_name"], "cyan"),
                    Text(few(start["numbers"])),
                    Text(display(": ".join(filter(None, (place, row["used_by"]))))),
                )
                for start, place, row in (*lines, *jumps[:_MAX_JUMPS])
            ]
        )
        if len(jumps) > _MAX_JUMPS:
            yield Text(f"  and {len(jumps) - _MAX_JUMPS:,} more ways by jumps (--output json shows all)")
