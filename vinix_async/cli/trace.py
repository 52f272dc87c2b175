"""``vinix callflows trace`` shows the steps that a call to a number may take."""

from typing import Annotated, Final, Literal

from cyclopts import Parameter
from rich.text import Text

from ..flows import Route, lookup, normalize, to_plain, trace, trace_lines
from .console import PipeConsole, print_lines, write_data
from .drawing.mermaid import trace_chart
from .exit_codes import ExitCode
from .names import display, title
from .options import CONNECTION, Connection, FromMirror, OneAccount, Source
from .rows import write_json
from .sources import AccountFlows, Sources, check_order
from .table import head
from .text import printable
from .words import as_number, only_match, similar

_ASCII: Final = str.maketrans("├└─│…", "+`-|.")
_MAX_STEPS: Final = 500
_MAX_CHART_STEPS: Final = 200  # so that the chart stays below Mermaid's limit of 50,000 characters


async def trace_call(
    source: Source,
    what: Annotated[
        str | None,
        Parameter(help="The dialled number, or a callflow's id or name. Without it, all callflows are listed."),
    ] = None,
    /,
    *,
    assume: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            show_default=False,
            help=(
                "At steps that have this branch, such as 'no answer', follow only this branch. Repeat the option for "
                "more."
            ),
        ),
    ] = (),
    caller: Annotated[
        Literal["outside", "phone"],
        Parameter(name="--from", help="Who makes the call: a caller from outside, or a phone of the account."),
    ] = "outside",
    account: OneAccount = None,
    db: FromMirror = None,
    output: Annotated[Literal["tree", "json", "mermaid"], Parameter(help="The format.")] = "tree",
    connection: Connection = CONNECTION,
) -> int:
    """Show the steps that a call to a number may take.

    Time rules are not evaluated: all their branches are shown, or only those that --assume names.
    If nobody gets the call, the exit code is 5.

    Example: vinix callflows trace ROOT 2000 --assume "other times" --assume "no answer"
    """
    check_order("trace", source, what or "")
    reading = Sources(words=[source], connection=connection, account=account, db=db)
    read: list[AccountFlows] = []
    await reading.read(read.append)
    (flows,) = read
    if what is None:
        callflows = sorted(flows.callflows, key=title)
        if output == "json":
            write_json([flows.about(each.id) | {"callflow_id": each.id} for each in callflows])
        else:
            print_lines(map(head, callflows))
        return reading.exit_code(ExitCode.OK)
    route, start, sentence = find_start(flows, what, caller)
    max_steps = _MAX_CHART_STEPS if output == "mermaid" else _MAX_STEPS
    capture = route.capture if route and route.capture != normalize(as_number(what) or what) else ""
    tree = trace(flows.callflows, start, assume=assume, max_steps=max_steps, capture=capture) if start else None
    if output == "json":
        plain = {"route": route and to_plain(route), "callflow_id": start, "trace": tree and to_plain(tree)}
        write_json({"account_id": flows.account.id, "dialled": what, **plain})
    elif output == "mermaid" and tree:
        write_data(trace_chart(sentence.plain, tree).encode(), escape=str)
    else:
        console = PipeConsole()
        guides = _ASCII if console.options.ascii_only else {}
        lines = trace_lines(tree, console.width) if tree else ()
        print_lines([sentence, *(Text(printable(line.translate(guides))) for line in lines)])
    return reading.exit_code(ExitCode.OK if tree else ExitCode.NEGATIVE)


def find_start(
    flows: AccountFlows, what: str, caller: Literal["outside", "phone"]
) -> tuple[Route | None, str | None, Text]:
    """Return the route of a number, the id of the callflow that gets the call, and a sentence about both.

    The id is None if nobody gets the call. ``what`` is a number, or the id or name of a callflow. For a callflow, the
    route is None.
    """
    separated = as_number(what)
    number = normalize(separated or what)
    route = lookup(flows.callflows, number, caller=caller)
    found = only_match(flows.callflows, what) if separated is None or route.how == "none" else None
    if found:
        lost = {each: title(first) for each in found.numbers if (first := flows.by_number[each][0]) != found}
        return None, found.id, head(found).append("".join(f"; calls to {each} go to {to}" for each, to in lost.items()))
    start = route.callflow_id if route.how != "refused" else None
    callflow = flows.by_id.get(start or "")
    is_inside = callflow and not any(each.startswith("+") for each in (number, *callflow.numbers))
    side = ", called from outside," if is_inside and caller == "outside" else ""
    return route, start, Text(display(route_text(route, number, flows, side)))


def route_text(route: Route, number: str, flows: AccountFlows, side: str = "") -> str:
    """Return a sentence that says which callflow gets a call to a number, and why.

    ``side`` is a part of the sentence that states where the call comes from, such as ``, called from outside,``.
    """
    name = flows.title(route.callflow_id or "")
    match route.how:
        case "number":
            others = [title(each) for each in flows.by_number[number] if each.id != route.callflow_id]
            has, gets = ("has", "gets") if len(others) == 1 else ("have", "get")
            also = f"; {', '.join(others)} also {has} this number, but {gets} no calls to it"
            return f"{number}{side} is a number of {name}{also if others else ''}"
        case "pattern":
            captured = f"; the captured part is {route.capture}" if route.capture not in {"", number} else ""
            if captured and (owner := flows.by_number.get(route.capture)):
                captured += f" (a number of {title(owner[0])})"
            rivals = [f"{each.pattern} of {flows.title(each.callflow_id)}" for each in route.rivals]
            also = f"; {', '.join(rivals)} also match{'es' if len(rivals) == 1 else ''}" if rivals else ""
            return f"{number}{side} matches {route.by} of {name}{captured}{also}"
        case "no_match":
            near = similar(number, (), flows.by_number)
            return f"{number} is not a number of the account: {name} gets the calls to such numbers (no_match){near}"
        case "refused" if route.by == "no_match":
            near = similar(number, (), flows.by_number)
            why = (
                f"it is not a number of the account, and {name} (no_match) accepts only calls from phones "
                f"(--from phone){near}"
            )
        case "refused":
            entry = "this number" if route.by == number else f"the matching pattern {route.by}"
            why = f"{name} has {entry} and no_match, so it accepts only calls from phones (--from phone)"
        case "crash":
            why = f"the pattern {route.by} matches without setting any of its groups, so the server fails"
        case "none":
            near = similar(number, map(title, flows.callflows), flows.by_number)
            why = f"no callflow has this number or name, and no pattern matches it{near}"
    return f"nobody gets a call to {number}: {why}"
