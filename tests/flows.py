"""Callflows to draw."""

from collections.abc import Mapping
from io import StringIO
from typing import Any, Literal

from rich.console import Console

from vinix_async import Callflow, structure
from vinix_async.cli.drawing.mermaid import mermaid
from vinix_async.cli.drawing.page import callflow_page
from vinix_async.cli.drawing.svg import svg
from vinix_async.cli.drawing.tree import tree
from vinix_async.flows import Name, names_of

Kind = Literal["tree", "mermaid", "svg", "html"]

Json = dict[str, Any]

HOSTILE = "<script>alert(1)</script>"


def node(module: str, data: Json | None = None, **children: Json) -> Json:
    return {"module": module, "data": data or {}, "children": children}


def callflow(flow: Json | None, **fields: Any) -> Callflow:
    document = {"id": "c" * 32, "name": "Main", "numbers": ["+15550001111"], "flow": flow}
    return structure({**document, **fields}, Callflow)


HOURS, RULE, ANN, BOX, OTHER = "a1" * 16, "b2" * 16, "c3" * 16, "d4" * 16, "e5" * 16


def everything() -> Callflow:
    """One of each thing that a picture shows."""
    bridge = node(
        "user",
        {"id": ANN},
        **{
            "_": node("voicemail", {"id": BOX}),
            "sip:486": node("hangup"),
            "USER_BUSY": node("play", {"id": "/x/busy"}),
        },
    )
    menu = node("menu", {"id": "m"}, _=node("hangup"), timeout=node("sleep", {"duration": 5}), max_retries={})
    menu["children"] |= {"2": bridge, "1": node("device", {"id": "gone", "skip_module": True}), "*": node("answer")}
    menu["children"]["10"] = node("ring_group_toggle", {"callflow_id": "c" * 32})
    caller = node("cidlistmatch", {}, match=node("answer"), nomatch=node("callflow", {"id": OTHER}))
    flow = node("temporal_route", {"rules": [HOURS, RULE]}, **{"_": menu, RULE: caller, HOURS: node("park", {})})
    flow["children"][HOURS]["children"] = {"7": node("noop", {}, _=node("tts", {"text": "Hello"}))}
    names = {HOURS: "Office hours", RULE: "Holidays", ANN: "Ann Ash", BOX: "Ann's box", OTHER: "Elsewhere"}
    return callflow(flow, metadata={each: {"name": name} for each, name in names.items()})


def hostile() -> Callflow:
    evil = '"><img src=x onerror=alert(1)> </script> #lt; \x1b[31m\u202e\u2028 ]] |x|'
    flow = node(
        evil, {"id": "x", "name": evil}, **{evil: node("callflow", {"id": evil}), "_": node("tts", {"text": evil})}
    )
    return callflow(flow, name=HOSTILE, numbers=["</script><b>", "\x00\x07"], metadata={"x": {"name": evil}})


def deep(levels: int, **fields: Any) -> Callflow:
    flow = node("voicemail")
    for _ in range(levels - 1):
        flow = node("user", _=flow)
    return callflow(flow, **fields)


def wide(pairs: int, **fields: Any) -> Callflow:
    users = {str(each): node("user", {"name": f"User {each}"}, _=node("voicemail")) for each in range(pairs)}
    return callflow(node("menu", **users), **fields)


def render(callflow: Callflow, kind: Kind, names: Mapping[str, Name] | None = None) -> str:
    """A picture as text; a tree without colours, with one box on each line."""
    if kind != "tree":
        known = names_of([callflow]) if names is None else names
        return {"mermaid": mermaid, "svg": svg, "html": callflow_page}[kind](callflow, known)
    console = Console(file=StringIO(), width=10_000, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(tree(callflow, names), crop=False)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
