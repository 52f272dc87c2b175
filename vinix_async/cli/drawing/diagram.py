"""A callflow as a list of boxes, which every picture is drawn from: a head, then the flow, parents first."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from attrs import frozen

from ... import Callflow, FlowNode
from .._output import printable


@frozen
class Box:
    """One box, and the edge that leads to it. Control characters are already escapes.

    ``parent``: an index into the list; -1 for the head. ``label``: what the edge says. ``name``: the friendly name.
    ``target``: the id of the callflow that it leads to. ``more``: how many boxes were folded into this one.
    """

    parent: int
    label: str = ""
    module: str = ""
    name: str = ""
    disabled: bool = False
    target: str = ""
    more: int = 0


KINDS: Final = {
    "route": "branch_bnumber branch_variable check_cid cidlistmatch collect_dtmf disa directory dynamic_cid fax_detect "
    "language lookupcidname menu nomorobo route_to_cid temporal_route",
    "people": "acdc_agent acdc_member acdc_queue acdc_wait_time conference conference_feature device eavesdrop "
    "eavesdrop_feature group group_pickup group_pickup_feature hotdesk intercept intercept_feature intercom offnet "
    "page_group park resources ring_group user",
    "voice": "answer audio_macro dead_air fax_box faxbox missed_call_alert notification play receive_fax record_call "
    "record_caller say send_dtmf tts voicemail",
    "jump": "callflow function pivot ring_group_toggle transfer webhook",
    "end": "hangup response",
}
"""The colours, and which modules have them; the rest is ``other``."""

_KIND: Final = {module: kind for kind, modules in KINDS.items() for module in modules.split()}

# Modules that choose among their children: there even a lone "_" says something.
_CHOOSES: Final = {
    "acdc_wait_time",
    "branch_bnumber",
    "branch_variable",
    "check_cid",
    "cidlistmatch",
    "menu",
    "nomorobo",
    "temporal_route",
}
_UNITS: Final = {"acdc_wait_time": "over {} s", "nomorobo": "score {}", "park": "slot {}"}
_SAYS: Final = {
    "branch_variable": "variable",
    "language": "language",
    "play": "id",
    "response": "code",
    "set_cid": "caller_id_name",
    "sleep": "duration",
    "transfer": "target",
    "tts": "text",
}
_KEYPAD: Final = "1234567890*#"


def kind_of(module: str) -> str:
    """The colour of a module."""
    return _KIND.get(module, "other")


def title(callflow: Callflow) -> str:
    """What to call it: its name, or the feature's, or the first number."""
    code = callflow.featurecode
    numbers = callflow.numbers + callflow.patterns
    found = callflow.name or (code.name if code else None) or (numbers[0] if numbers else None)
    return printable(found or callflow.id or "callflow")


def numbers(callflow: Callflow) -> list[str]:
    """What is dialled to reach it: the feature code, numbers and patterns."""
    code = (callflow.featurecode.number or "") if callflow.featurecode else ""
    dialled = f"*{code.removeprefix('*')}" if code else ""
    return [printable(each) for each in (dialled, *callflow.numbers, *callflow.patterns) if each]


def boxes(callflow: Callflow, names: Mapping[str, str] | None = None) -> list[Box]:
    """The head and all nodes of the flow. ``names`` names ids that the callflow's own metadata does not."""
    known = {**(names or {}), **_names(callflow.metadata)}
    found = [Box(-1, name=title(callflow))]
    waiting = [(callflow.flow, 0, "")] if callflow.flow else []
    while waiting:
        node, parent, label = waiting.pop()
        place = len(found)
        target = _target(node)
        found.append(
            Box(
                parent,
                printable(label),
                printable(node.module or ""),
                printable(_friendly(node, known)),
                node.data.get("skip_module") is True,
                printable(target),
            )
        )
        below = [(child, place, _label(node, key, known)) for key, child in _ordered(node)]
        waiting.extend(reversed(below))
    return found


def children(found: Sequence[Box]) -> list[list[int]]:
    """The children of each box, by index."""
    below: list[list[int]] = [[] for _ in found]
    for place, box in enumerate(found):
        if box.parent >= 0:
            below[box.parent].append(place)
    return below


def fold(found: Sequence[Box], *, limit: int, breadth: int | None = None, depth: int | None = None) -> list[Box]:
    """The upper ``limit`` boxes, and below each of them at most one more, which counts what it stands for.

    ``breadth``: children shown of one box at most. ``depth``: levels at most.
    """
    below = children(found)
    sizes = [1] * len(found)
    for place in range(len(found) - 1, 0, -1):
        sizes[found[place].parent] += sizes[place]
    places = {0: 0}
    shown = [found[0]]
    folded: list[Box] = []
    waiting = deque([(0, 1)])
    while waiting:
        place, level = waiting.popleft()
        room = max(limit - len(shown), 0) if depth is None or level < depth else 0
        count = min(len(below[place]), room, len(below[place]) if breadth is None else breadth)
        if sum(sizes[each] for each in below[place][count:]) == 1:
            count += 1  # to say "1 more" takes as much room
        for child in below[place][:count]:
            places[child] = len(shown)
            box = found[child]
            shown.append(Box(places[place], box.label, box.module, box.name, box.disabled, box.target))
            waiting.append((child, level + 1))
        if more := sum(sizes[each] for each in below[place][count:]):
            folded.append(Box(places[place], more=more))
    return shown + folded


def _ordered(node: FlowNode) -> list[tuple[str, FlowNode]]:
    """The children: keys of a telephone as they lie there, rules as they are tried, what is left over last."""
    rules = node.data.get("rules")
    rules = rules if isinstance(rules, list | tuple) else []

    def rank(pair: tuple[str, FlowNode]) -> tuple[int, int, list[int]]:
        key = pair[0]
        if key == "_":
            return 3, 0, []
        if key in rules:
            return 0, rules.index(key), []
        if all(letter in _KEYPAD for letter in key):
            return 1, len(key), [_KEYPAD.index(letter) for letter in key]
        return 2, 0, []

    return sorted(node.children.items(), key=rank)


def _label(parent: FlowNode, key: str, known: Mapping[str, str]) -> str:
    """What the edge says: a name where the key has one, and nothing where it tells nothing."""
    module = parent.module or ""
    if key == "_":
        return "default" if len(parent.children) > 1 or module in _CHOOSES else ""
    if key in {"nomatch", "no_match"}:
        return "no match"
    if key == "rule_set" and module == "temporal_route":
        return known.get(_text(parent.data.get("rule_set")), "rule set")
    if module in _UNITS and key.isdigit():
        return _UNITS[module].format(key)
    return known.get(key) or _short(key)


def _target(node: FlowNode) -> str:
    key = {"callflow": "id", "ring_group_toggle": "callflow_id"}.get(node.module or "")
    return _text(node.data.get(key)) if key else ""


def _friendly(node: FlowNode, known: Mapping[str, str]) -> str:
    """The name of what the node refers to, or what it says of itself."""
    data = node.data
    references = [_text(data.get("id")), *(_text(value) for key, value in data.items() if key.endswith("_id"))]
    for reference in references:
        if reference in known:
            return known[reference]
    for key in ("name", _SAYS.get(node.module or "", "name")):
        value = data.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if text := _text(value):
            return text if key != "id" else _media(text)
    return next((_short(reference) for reference in references if reference and "/" not in reference), "")


def _media(reference: str) -> str:
    """The file's name alone: a URL may hold credentials."""
    if "/" not in reference:
        return _short(reference)
    try:
        return unquote(urlsplit(reference).path.rpartition("/")[2])
    except ValueError:
        return ""


def _names(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The names in a callflow's metadata, by id."""
    found = {}
    for entity, about in metadata.items():
        if isinstance(about, Mapping):
            dialled = about.get("numbers")
            first = dialled[0] if isinstance(dialled, list | tuple) and dialled else None
            if name := _text(about.get("name")) or _text(first):
                found[entity] = name
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _short(key: str) -> str:
    """An id that nothing names, cut; everything else as it is."""
    is_id = len(key) == 32 and all(letter in "0123456789abcdef" for letter in key)
    return f"{key[:8]}…" if is_id else key
