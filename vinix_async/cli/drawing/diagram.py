"""Convert a callflow to the boxes and edges that all pictures draw, and fold large flows."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from ... import Callflow, FlowNode
from ...flows import Name, names_of, ordered_children
from ..names import branch_name, describe, display, numbers, shown_node, target, title


@frozen
class Box:
    """A box and the edge that leads to it. All texts are safe to show.

    There are three kinds of boxes. The box of a node has a ``node``. The head of a tree has the parent -1. A folded box
    stands for hidden boxes. It has only ``parent``, ``label`` and ``more``.

    Attributes:
        parent: the index of the parent in the list of boxes, or -1.
        branch: the text on the edge.
        label: the label of the module, the title of a head, or the text of a folded box.
        module: the name of the module in the API.
        lines: the documents to which the module refers, with details, and the members of a group. For the head of a
            callflow, its numbers. For the head of a metaflow, the keys to press.
        disabled: whether calls skip the module.
        target: the id of the callflow to which the module leads. For the head of a callflow, its own id.
        more: the number of hidden boxes.
        step: the part of the JSON pointer that leads from the parent to this box.
        node: the node, with data that is safe to show.
    """

    parent: int
    branch: str = ""
    label: str = ""
    module: str = ""
    lines: tuple[str, ...] = ()
    disabled: bool = False
    target: str = ""
    more: int = 0
    step: str = ""
    node: FlowNode | None = None

    @property
    def kind(self) -> str:
        """The group of modules to which the module belongs. The group selects the colour and the icon of the box."""
        return MODULE_KINDS.get(self.module, "other")

    @property
    def texts(self) -> list[str]:
        """The lines of text in the box. The module's name is left out if it equals the label."""
        module = "" if self.module == self.label else self.module
        return list(filter(None, (self.label, module, *self.lines, "disabled" if self.disabled else "")))


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

_MAX_MEMBERS: Final = 4
_BINDING_DIGIT: Final = "*"
"""The default of ``binding_digit`` in Kazoo's schema of metaflows. Users press this key before a key of ``numbers``."""


def diagram(callflow: Callflow, names: Mapping[str, Name] | None = None) -> list[Box]:
    """Return the boxes of a callflow. Parents come before children.

    The head and the nodes of the flow come first, and then the head and the nodes of the metaflow.

    ``names``: the names of the account's documents, by id (default: those in the callflow's ``metadata``).
    """
    known = names_of([callflow]) if names is None else names
    name = title(callflow)
    dialled = tuple(number for number in numbers(callflow) if number != name)
    boxes = [Box(-1, label=name, lines=dialled, target=display(callflow.id))]
    if callflow.flow:
        _add(boxes, [(callflow.flow, 0, "", "flow")], known)
    metaflow = callflow.metaflow
    if metaflow and (metaflow.numbers or metaflow.patterns):
        head, first = len(boxes), metaflow.binding_digit or _BINDING_DIGIT
        boxes.append(Box(-1, label="During the call", lines=(f"{display(first)} and then a key",), step="metaflow"))
        tops = [(node, head, display(first + key), _step("numbers", key)) for key, node in metaflow.numbers.items()]
        tops += [(node, head, display(key), _step("patterns", key)) for key, node in metaflow.patterns.items()]
        _add(boxes, tops[::-1], known)
    return boxes


def _add(boxes: list[Box], waiting: list[tuple[FlowNode, int, str, str]], names: Mapping[str, Name]) -> None:
    """Add the boxes of some nodes and of all nodes below them.

    ``waiting``: the nodes. Each node comes with the index of the parent's box, and with the node's branch and step. The
    last node is added first.
    """
    while waiting:
        node, parent, branch, step = waiting.pop()
        index = len(boxes)
        shown = shown_node(node)
        about = describe(shown, names)
        members = about.members
        if len(members) > _MAX_MEMBERS:
            members = (*members[: _MAX_MEMBERS - 1], f"and {len(members) - _MAX_MEMBERS + 1} more")
        first = " · ".join(filter(None, (about.name, *about.details)))
        box = Box(
            parent,
            branch,
            about.label,
            display(node.module or ""),
            tuple(filter(None, (first, *members))),
            disabled=node.data.get("skip_module") in (True, "true"),  # the value may be unhashable
            target=target(node),
            step=step,
            node=shown,
        )
        boxes.append(box)
        waiting.extend(
            (child, index, branch_name(node, key, names), _step("children", key))
            for key, child in reversed(ordered_children(node))
        )


def _step(field: str, key: str) -> str:
    return f"{field}/{key.replace('~', '~0').replace('/', '~1')}"


def find(boxes: Sequence[Box]) -> Callable[[str], int]:
    """Return a function that takes a JSON pointer into the callflow and returns the index of the box drawn for it.

    If nothing is drawn at the pointer, for example because a child is missing, the nearest box above it is returned.
    """
    steps = {(box.parent, box.step): index for index, box in enumerate(boxes)}
    found = {"": 0, "/flow": steps.get((0, "flow"), 0), "/metaflow": steps.get((-1, "metaflow"), 0)}

    def find_one(path: str) -> int:
        above, below = path, list[str]()
        while above not in found:  # an earlier search may have found a node above
            parts = above.rsplit("/", 2)
            above = parts[0]
            below.append("/".join(parts[1:]))
        index = found[above]
        for step in reversed(below):
            index = steps.get((index, step), index)
        found[path] = index
        return index

    return find_one


def children(boxes: Sequence[Box]) -> list[list[int]]:
    """Return, for each box, the indices of its children."""
    below: list[list[int]] = [[] for _ in boxes]
    for index, box in enumerate(boxes):
        if box.parent >= 0:
            below[box.parent].append(index)
    return below


def fold(boxes: Sequence[Box], *, limit: int, breadth: int | None = None, depth: int | None = None) -> list[Box]:
    """Return the upper boxes. If children of a box are hidden, one folded box replaces them and all boxes below them.

    If a folded box would replace only one box, that box is returned instead, even beyond a limit.

    Args:
        boxes: the boxes of a callflow.
        limit: the largest number of boxes, without folded ones.
        breadth: the largest number of children of a box (default: any number).
        depth: the largest number of levels (default: any number).
    """
    below = children(boxes)
    sizes = [1] * len(boxes)
    for index in range(len(boxes) - 1, 0, -1):
        if boxes[index].parent >= 0:
            sizes[boxes[index].parent] += sizes[index]
    heads = [index for index, box in enumerate(boxes) if box.parent < 0]
    shown = [boxes[index] for index in heads]
    folded: list[Box] = []
    waiting = deque((index, place, 1) for place, index in enumerate(heads))  # in boxes, in shown, level
    while waiting:
        index, new_index, level = waiting.popleft()
        room = max(limit - len(shown), 0) if depth is None or level < depth else 0
        count = min(len(below[index]), room, len(below[index]) if breadth is None else breadth)
        if sum(sizes[child] for child in below[index][count:]) == 1:
            count += 1  # folding a single box would save no room
        for child in below[index][:count]:
            waiting.append((child, len(shown), level + 1))
            shown.append(evolve(boxes[child], parent=new_index))
        if more := sum(sizes[child] for child in below[index][count:]):
            folded.append(Box(new_index, label=f"+ {more:,} more", more=more))
    return shown + folded
