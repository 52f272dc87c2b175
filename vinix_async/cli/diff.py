"""``vinix callflows diff`` shows what changed between two states of callflows."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from rich.text import Text

from ..flows import Change, describe_change, diff, masked, to_plain
from .console import count, note, print_lines
from .exit_codes import ExitCode
from .files import is_file
from .names import numbers
from .options import CONNECTION, Connection, Flag, OneAccount, Source
from .rows import write_json
from .sources import AccountFlows, Row, Sources
from .table import head, heading
from .text import printable

_SIGNS: Final = {"+": "green", "-": "red", "~": "yellow"}


async def compare(
    old: Annotated[Source, Parameter(name="OLD")],
    new: Annotated[Source, Parameter(name="NEW")],
    /,
    *,
    account: OneAccount = None,
    exit_code: Annotated[Flag, Parameter(help="Exit with 5 if there are differences.")] = False,
    output: Annotated[Literal["table", "json"], Parameter(help="The format.")] = "table",
    connection: Connection = CONNECTION,
) -> int:
    """Show what changed between two states of callflows. A state is an export file, or an account as it is now.

    Example: vinix callflows diff monday.ndjson tuesday.ndjson
    """
    sides: list[list[AccountFlows]] = []
    readings = []
    for word in (old, new):
        side: list[AccountFlows] = []
        chosen = account if is_file(word) or not (is_file(old) or is_file(new)) else None
        reading = Sources(words=[word], connection=connection, account=chosen, several=True, summaries=True)
        await reading.read(side.append)
        sides.append(side)
        readings.append(reading)
    rows: list[Row] = []
    pairs = list(pair_accounts(*sides))
    for before, after in pairs:
        found = list(change_rows(before, after))
        rows.extend(found)
        if found and output == "table":
            above = [heading(after.account)] if len(pairs) > 1 else []
            print_lines([*above, *change_lines(before, after, found)])
    if output == "json":
        write_json(rows)
    changed = {(row["account_id"], row["callflow_id"]) for row in rows}
    note(f"{count(len(rows), 'difference')} in {count(len(changed), 'callflow')}" if rows else "no differences")
    wanted = ExitCode.NEGATIVE if rows and exit_code else ExitCode.OK
    return max(reading.exit_code(ExitCode.OK) for reading in readings) or wanted


def pair_accounts(
    old: Sequence[AccountFlows], new: Sequence[AccountFlows]
) -> Iterator[tuple[AccountFlows, AccountFlows]]:
    """Yield the old and the new state of each account.

    If each side has only one account, these two are compared even if their ids differ. If one side was read from the
    API, only the account of that side is compared. The other accounts of the file are ignored. If an account is
    missing on one side, its state on that side is empty.
    """
    if len(old) == len(new) == 1:
        yield old[0], new[0]
        return
    before, after = ({each.account.id: each for each in side} for side in (old, new))
    read = [each.account.id for each in (*old, *new) if not each.file]
    for account_id in read or {**before, **after}:
        there = before.get(account_id) or after[account_id]
        nothing = AccountFlows(there.account)
        yield before.get(account_id, nothing), after.get(account_id, nothing)


def change_rows(old: AccountFlows, new: AccountFlows) -> Iterator[Row]:
    """Yield the changes as dicts of JSON values, grouped by callflow.

    A callflow that could not be read on one side is left out.
    """
    unread = old.unread | new.unread
    before, after = ([each for each in side.callflows if each.id not in unread] for side in (old, new))
    names = {**old.names, **new.names}
    groups: dict[str, list[Change]] = {}
    for change in diff(before, after):
        groups.setdefault(change.callflow_id, []).append(change)
    for change in chain.from_iterable(groups.values()):
        each = change.callflow_id
        flows = new if each in new.by_id else old
        text = describe_change(change, old.by_id.get(each), new.by_id.get(each), names)
        yield {**flows.about(each), "text": text, **to_plain(change)}


def change_lines(old: AccountFlows, new: AccountFlows, rows: Iterable[Row]) -> Iterator[Text]:
    """Yield lines for the changes of an account: for each callflow, its name and then its changes."""
    for callflow_id, found in groupby(rows, lambda row: row["callflow_id"]):
        group = list(found)
        whole = [row for row in group if row["kind"] in {"added", "removed"}]
        sides = [side.by_id[callflow_id] for side in (old, new) if callflow_id in side.by_id]
        callflow = sides[-1]
        shown = head(callflow, now=len({frozenset(numbers(each)) for each in sides}) > 1)
        for row in whole or [{"text": "~"}]:
            sign, name = row["text"][0], f" {masked(callflow.name or callflow.id)}: "
            what = f"  {row['text'][1:].removeprefix(name)}" if row["text"][1:].startswith(name) else ""
            yield Text.assemble((f"{sign} ", _SIGNS[sign]), shown, printable(what))
        yield from (
            Text.assemble("    ", (row["text"][0], _SIGNS[row["text"][0]]), printable(row["text"][1:]))
            for row in group
            if row not in whole
        )
