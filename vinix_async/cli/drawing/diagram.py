"""Turn a callflow into the boxes and edges that every picture draws, and fold those of large flows."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from ... import Callflow, FlowNode
from ..names import branch_label, names_by_id, node_name, numbers, target, title
from ..text import display


@frozen
class Box:
    """A box and the edge that leads to it; its texts are safe to show.

    ``parent``: the parent's index in the list, -1 for the head. ``label``: the text on the edge. ``name``: what the
    module refers to. ``target``: the id of the callflow to which it leads. ``more``: how many boxes are folded into it.
    """

    parent: int
    label: str = ""
    module: str = ""
    name: str = ""
    disabled: bool = False
    target: str = ""
    more: int = 0

    @property
    def kind(self) -> str:
        """The group of modules to which this one belongs, which decides its colour and icon."""
        return MODULE_KINDS.get(self.module, "other")


_KINDS: Final = {
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
MODULE_KINDS: Final = {module: kind for kind, modules in _KINDS.items() for module in modules.split()}

_KEYPAD: Final = "1234567890*#"


def diagram(callflow: Callflow, names: Mapping[str, str] | None = None) -> list[Box]:
    """Return the head and a box for each node of the flow, parents first.

    ``names``: the names, by id, of what the callflow's own ``metadata`` does not name.
    """
    known = {**(names or {}), **names_by_id(callflow)}
    boxes = [Box(-1, name=title(callflow))]
    waiting = [(callflow.flow, 0, "")] if callflow.flow else []
    while waiting:
        node, parent, label = waiting.pop()
        index = len(boxes)
        disabled = node.data.get("skip_module") is True
        boxes.append(Box(parent, label, display(node.module or ""), node_name(node, known), disabled, target(node)))
        branches = [(child, index, branch_label(node, key, known)) for key, child in _ordered_children(node)]
        waiting.extend(reversed(branches))
    return boxes


def head_numbers(callflow: Callflow) -> list[str]:
    """Return what the head shows below the title: the numbers that are not the title themselves."""
    name = title(callflow)
    return [number for number in numbers(callflow) if number != name]


def children(boxes: Sequence[Box]) -> list[list[int]]:
    """Return the indices of each box's children."""
    below: list[list[int]] = [[] for _ in boxes]
    for index, box in enumerate(boxes):
        if box.parent >= 0:
            below[box.parent].append(index)
    return below


def fold(boxes: Sequence[Box], *, limit: int, breadth: int | None = None, depth: int | None = None) -> list[Box]:
    """Return the upper ``limit`` boxes, each followed by at most one box that counts those left out below it.

    ``breadth``: the most children shown of one box. ``depth``: the most levels.
    """
    below = children(boxes)
    sizes = [1] * len(boxes)
    for index in range(len(boxes) - 1, 0, -1):
        sizes[boxes[index].parent] += sizes[index]
    shown = [boxes[0]]
    folded: list[Box] = []
    waiting = deque([(0, 0, 1)])  # the index before and after folding, and the level
    while waiting:
        index, new_index, level = waiting.popleft()
        room = max(limit - len(shown), 0) if depth is None or level < depth else 0
        count = min(len(below[index]), room, len(below[index]) if breadth is None else breadth)
        if sum(sizes[child] for child in below[index][count:]) == 1:
            count += 1  # "+ 1 more" would need the same room
        for child in below[index][:count]:
            waiting.append((child, len(shown), level + 1))
            shown.append(evolve(boxes[child], parent=new_index))
        if more := sum(sizes[child] for child in below[index][count:]):
            folded.append(Box(new_index, more=more))
    return shown + folded


def _ordered_children(node: FlowNode) -> list[tuple[str, FlowNode]]:
    """Sort the children: rules as they are tried, digits as on a keypad, others as they came, and ``_`` last."""
    rules = node.data.get("rules")
    rules = rules if isinstance(rules, list | tuple) else []

    def rank(branch: tuple[str, FlowNode]) -> tuple[int, int, list[int]]:
        key = branch[0]
        if key == "_":
            return 3, 0, []
        if key in rules:
            return 0, rules.index(key), []
        if all(letter in _KEYPAD for letter in key):
            return 1, len(key), [_KEYPAD.index(letter) for letter in key]
        return 2, 0, []

    return sorted(node.children.items(), key=rank)
