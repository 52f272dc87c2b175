"""``vinix callflows check`` reports faults in callflows."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter
from rich.text import Text

from ..flows import RULES, Finding, Rule, findings, to_plain
from .annotations import github, sarif
from .console import count, note, print_lines, write_data
from .exit_codes import ExitCode, UsageError
from .files import is_file
from .options import CONNECTION, SELECTION, Connection, Flag, FromMirror, OneAccount, Selection, Source
from .rows import write_json
from .sources import AccountFlows, Row, Sources
from .table import aligned, head, heading
from .text import printable, printable_lines

Codes: TypeAlias = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]
_SEVERITIES: Final = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_NOUNS: Final = {"error": "error", "warning": "warning", "info": "note"}


async def check(
    *sources: Source,
    select: Annotated[Codes, Parameter(help="Report only these codes or beginnings of codes, such as R101,J.")] = (),
    ignore: Annotated[Codes, Parameter(help="Do not report these codes or beginnings of codes.")] = (),
    fail_on: Annotated[
        Literal["error", "warning", "info", "never"],
        Parameter(help="Exit with 5 if a finding has this severity or a higher one."),
    ] = "error",
    explain: Annotated[Codes, Parameter(help="Explain these codes or beginnings of codes, and check nothing.")] = (),
    notes: Annotated[Flag, Parameter(help="Also show findings of severity info.")] = False,
    account: OneAccount = None,
    db: FromMirror = None,
    output: Annotated[Literal["table", "json", "github", "sarif"], Parameter(help="The format.")] = "table",
    selection: Selection = SELECTION,
    connection: Connection = CONNECTION,
) -> int:
    """Report faults and possible faults in callflows. --explain describes a code.

    If you select no accounts, files or mirror, the command checks your own account.
    By default, the exit code is 5 if there are findings of severity error.

    Example: vinix callflows check nightly.ndjson --ignore E302,S803 --fail-on warning
    """
    selected, ignored, explained = _codes(select) or None, _codes(ignore), tuple(_codes(explain))
    list(findings((), select=selected, ignore=(*ignored, *explained)))  # raises ConfigurationError for an unknown code
    if explained:
        print_lines(line for rule in RULES.values() if rule.code.startswith(explained) for line in _explained(rule))
        return ExitCode.OK
    if output == "github" and (not sources or not all(map(is_file, sources)) or any(selection.job_fields().values())):
        raise UsageError(
            "--output github checks only export files, not accounts, because annotations refer to lines of files"
        )
    reading = Sources(words=sources, connection=connection, selection=selection, account=account, several=True, db=db)
    rows: list[Row] = []
    severities: Counter[str] = Counter()
    totals: Counter[str] = Counter()

    def judge(flows: AccountFlows) -> None:
        found = list(findings(flows.callflows, complete=not flows.unread, select=selected, ignore=ignored))
        shown = [finding_row(flows, each) for each in found if notes or each.severity != "info"]
        severities.update(each.severity for each in found)
        totals["callflows"] += len(flows.callflows)
        totals["found"] += len({row["callflow_id"] for row in shown})
        if output != "table":
            rows.extend(shown)
        elif shown:
            above = [] if reading.one_account else [heading(flows.account)]
            print_lines([*above, *finding_lines(flows, shown)])

    await reading.read(judge)
    summary = _summary(severities, totals, notes=notes)
    if output == "table":
        print_lines([Text(summary)])
    else:
        if output == "github":
            write_data("".join(github(rows)).encode(), printable_lines)
        else:
            log = sarif(rows, complete=not reading.problems.reads) if output == "sarif" else rows
            write_json(log)
        note(summary)
    names = list(_SEVERITIES)
    failing = fail_on != "never" and any(severities[name] for name in names[: names.index(fail_on) + 1])
    return reading.exit_code(ExitCode.NEGATIVE if failing else ExitCode.OK)


def _explained(rule: Rule) -> Iterator[Text]:
    yield Text.assemble(
        (rule.code, "cyan"), "  ", (rule.severities, _SEVERITIES[rule.severity]), "  ", (rule.title, "bold")
    )
    yield from (Text(f"  {line}") for line in (*textwrap.wrap(rule.explanation, 100), f"Source: {rule.source}"))


def _codes(texts: Sequence[str]) -> list[str]:
    return [code.strip().upper() for text in texts for code in text.split(",") if code.strip()]


def finding_row(flows: AccountFlows, finding: Finding) -> Row:
    """Return a finding as a dict of JSON values."""
    line = flows.lines.get(finding.callflow_id)
    where = {"place": flows.place(finding.callflow_id, finding.path), "file": flows.file or None, "line": line}
    return {**flows.about(finding.callflow_id), **where, **to_plain(finding)}


def finding_lines(flows: AccountFlows, rows: Sequence[Row]) -> Iterator[Text]:
    """Yield lines for the findings of an account: for each callflow, its name and then its findings."""
    cells = [
        (
            Text(row["severity"], _SEVERITIES[row["severity"]]),
            Text(row["code"], "cyan"),
            Text(printable(row["place"])),
            Text(printable(row["message"])),
        )
        for row in rows
    ]
    lines = zip(rows, aligned(cells), strict=True)
    for callflow_id, group in groupby(lines, lambda pair: pair[0]["callflow_id"]):
        yield head(flows.by_id[callflow_id])
        yield from (line for _, line in group)


def _summary(severities: Mapping[str, int], totals: Mapping[str, int], *, notes: bool) -> str:
    shown = [count(severities[each], _NOUNS[each]) for each in _NOUNS if severities[each] and (notes or each != "info")]
    hidden = "" if notes or not severities["info"] else f"; {count(severities['info'], 'note')} hidden (--notes)"
    where = f"{totals['found']:,} of " if shown else ""
    return f"{', '.join(shown) or 'nothing found'} in {where}{count(totals['callflows'], 'callflow')}{hidden}"
