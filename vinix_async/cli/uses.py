"""``vinix callflows uses`` shows which callflows use something."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.text import Text

from ..flows import Name, ReferenceIndex, label, normalize, to_plain
from .account_flows import AccountFlows
from .console import count, note, print_lines, write_data
from .exit_codes import ExitCode, UsageError
from .flow_rows import OneAccount, Row, about, aligned, as_number, few, similar
from .names import title
from .options import CONNECTION, SELECTION, Connection, FromMirror, Selection
from .rows import indented
from .sources import Sources, is_file
from .table import heading
from .text import display, printable


async def uses(
    *words: Annotated[
        str, Parameter(help="Accounts or an export file (default: your own account), and WHAT to look for.")
    ],
    account: OneAccount = None,
    db: FromMirror = None,
    output: Annotated[Literal["table", "json"], Parameter(help="The format.")] = "table",
    selection: Selection = SELECTION,
    connection: Connection = CONNECTION,
) -> int:
    """Show which callflows use a user, a mailbox, a media file, a callflow, a number or anything else.

    WHAT is a whole name (upper or lower case), an id, or a number. If it is used nowhere, the exit code is 5.

    Example: vinix callflows uses ROOT "Ann Ash"
    """
    if not words or words[-1] == "ROOT" or is_file(words[-1]):
        raise UsageError("name what to look for, after the account or file: a name, an id or a number")
    what = words[-1]
    reading = Sources(words=words[:-1], connection=connection, selection=selection, account=account, db=db)
    rows: list[Row] = []
    hint = ""

    def search(flows: AccountFlows) -> None:
        nonlocal hint
        found = use_rows(flows, what)
        rows.extend(found)
        if not found:
            hint = hint or _hint(flows, what)
        elif output == "table":
            above = [] if reading.one_account else [heading(flows.account)]
            print_lines([*above, *use_lines(found)])

    await reading.read(search)
    if output == "json":
        write_data(indented(rows) + b"\n")
    if not rows:
        note(display(f"{what} is used nowhere{hint}"))
    return reading.exit_code(ExitCode.OK if rows else ExitCode.NEGATIVE)


def use_rows(flows: AccountFlows, what: str) -> list[Row]:
    """Return the references to ``what`` as dicts of JSON values."""
    unknown, index = Name("", ""), ReferenceIndex(flows.callflows)
    return [
        about(flows, each.callflow_id)
        | {"place": flows.place(each.callflow_id, each.path)}
        | {"target_name": flows.names.get(each.target, unknown).name or None}
        | to_plain(each)
        for each in index.where_used(what) or index.where_used(as_number(what) or what)
    ]


def _hint(flows: AccountFlows, what: str) -> str:
    """Return what the account has that ``what`` may mean, as the end of a sentence."""
    number = normalize(as_number(what) or what)
    for callflow in flows.callflows:
        if number in callflow.numbers:
            return f"; it is a number of {title(callflow)}, to which nothing jumps"
    return similar(what, (name.name for name in flows.names.values()))


def use_lines(rows: Sequence[Row]) -> Iterator[Text]:
    """Yield the references of an account as lines, those to each target together."""
    targets = dict.fromkeys(row["target"] for row in rows)
    for target in targets:
        group = [row for row in rows if row["target"] == target]
        name, ids = group[0]["target_name"] or target, {row["callflow_id"] for row in group}
        yield Text.assemble((display(name), "bold"), f" ({group[0]['kind']}) is used in {count(len(ids), 'callflow')}")
        cells = [
            (
                Text(row["callflow_name"], "cyan"),
                Text(few(row["numbers"])),
                Text(printable(row["place"])),
                Text(printable(", ".join(filter(None, (label(row["module"]), row["field"]))))),
            )
            for row in group
        ]
        yield from aligned(cells)
