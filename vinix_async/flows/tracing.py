"""Trace all ways that a call can take through callflows, as a tree.

Source: ``cf_exe.erl`` of Kazoo's callflow application, and its modules.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import define, evolve, field, frozen

from .. import Callflow, ConfigurationError, FlowNode, to_json
from .branch_order import ordered_children
from .descriptions import branch_word, describe_node, name_of, other_words
from .jumps import MAX_JUMPS
from .module_catalog import (
    MODULES,
    Module,
    fails,
    has_child,
    is_skipped,
    is_switch,
    may_take,
    takes_every_call,
    time_rules,
)
from .positions import escape, is_empty, ordered
from .references import Name, names_of

End = Literal["", "ends", "cut off", "circle", "missing", "more"]

_NATURAL_END: Final = frozenset(
    {"directory", "disa", "dynamic_cid", "hotdesk", "intercom", "page_group", "pivot", "privacy", "voicemail"}
)
"""Modules after which a call can continue but usually ends, for example because the caller has left a message."""

_DIRECT: Final = "Direct to Voicemail"


@frozen(eq=False, repr=False)
class TraceNode:
    """A step of a call, and the steps that may follow it.

    ``words`` are the branches of the previous step that lead to this step: ``key 1``, ``no key`` (nothing is pressed),
    ``too many tries``, ``no or wrong keys``, ``other times``, ``no answer or busy``, ``declined``, the name of a time
    rule, and so on. Branches with equal flows become one step with several words. If the call simply continues,
    ``words`` is empty.

    ``module`` is the module of the step's node, or ``""`` if the node has none. ``label`` describes the step.
    ``callflow_id`` is the id of the callflow that contains the node. ``path`` is the JSON pointer of the node within
    that callflow, or ``""`` for the jump to the preflow.

    ``ending`` is empty, or one of these:

    - ``ends``: the call ends after the step.
    - ``cut off``: the server hangs up without a word, because the step has no module or is one jump too many.
    - ``circle``: the step jumps to a callflow that the call has entered and not left.
    - ``missing``: the step jumps to a callflow that does not exist.
    - ``more``: the steps that follow are left out because of ``max_steps``.
    """

    words: tuple[str, ...]
    module: str
    label: str
    callflow_id: str
    path: str
    ending: End = ""
    children: "tuple[TraceNode, ...]" = ()

    def walk(self) -> "Iterator[tuple[int, TraceNode]]":
        """Yield each step with its depth, in the order of the tree."""
        waiting: list[tuple[int, TraceNode]] = [(0, self)]
        while waiting:
            depth, step = waiting.pop()
            yield depth, step
            waiting.extend((depth + 1, child) for child in reversed(step.children))

    def _flat(self) -> list[tuple[object, ...]]:
        return [
            (depth, step.words, step.module, step.label, step.callflow_id, step.path, step.ending)
            for depth, step in self.walk()
        ]

    def __eq__(self, other: object) -> bool:
        return self._flat() == other._flat() if isinstance(other, TraceNode) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.module, self.callflow_id, self.path))

    def __repr__(self) -> str:
        ending = f", {self.ending!r}" if self.ending else ""
        return f"TraceNode({self.label!r}, {sum(1 for _ in self.walk())} steps{ending})"


@frozen(eq=False)
class _Return:
    """The node at which a call continues when it returns from a jump: the default child of the node that jumped."""

    node: FlowNode
    place: "_Place"


@frozen(eq=False)
class _Place:
    """The position of a call: a callflow and the JSON pointer of a node.

    ``returns`` is where the call continues when the callflow ends. It is None if the call ends with the callflow.
    ``open`` holds the ids of the callflows that the call has entered and not left. ``jumps`` is the number of jumps so
    far.
    """

    callflow: Callflow
    path: str
    returns: _Return | None
    open: tuple[str, ...]
    jumps: int = 0


@define(eq=False)
class _Step:
    """A ``TraceNode`` that is being built."""

    words: tuple[str, ...]
    node: FlowNode | None
    place: _Place
    module: str = ""
    label: str = ""
    ending: End = ""
    children: "list[_Step]" = field(factory=list)


Branch = tuple[tuple[str, ...], FlowNode | None, str]
"""The words of a branch, its child, and the key of the child. The child is None if the branch is missing."""


def trace(
    callflows: Iterable[Callflow],
    start: str,
    *,
    assume: Sequence[str] = (),
    max_steps: int = 500,
    preflow_id: str | None = None,
    capture: str = "",
) -> TraceNode:
    """Return the tree of all steps that a call may take after it has reached a callflow.

    ``start`` is the id of that callflow. ``callflows`` must be all callflows of the account, so that jumps can be
    followed. ``preflow_id`` is the id of the callflow that the account runs before each call.

    ``assume`` holds words of branches, such as ``"other times"`` or ``"no answer"``. Their case is ignored. At each
    step that has one of these branches, the other branches are left out. If a step that rings somebody has no branch
    for a word such as ``"busy"``, the word selects the default branch of the step.

    The tree has at most ``max_steps`` steps. If the steps after a step do not fit, they are left out, and that step has
    the ending ``more``.

    ``capture`` is the text that the pattern captured (``Route.capture``). A voicemail module without an id uses this
    text as the number of the mailbox (``cf_voicemail.erl``).

    Time rules are not evaluated. Targets that are known only during a call are not followed: extensions dialled in a
    menu or a directory, and captured numbers.

    Raises ConfigurationError if none of the callflows has the id ``start``, if ``max_steps`` is less than 1, or if
    ``assume`` contains a word for which no step has a branch.
    """
    flows = ordered(callflows)
    by_id = {callflow.id: callflow for callflow in flows}
    if start not in by_id:
        raise ConfigurationError(f"none of the callflows has the id {start!r}")
    if max_steps < 1:
        raise ConfigurationError(f"max_steps must be at least 1, not {max_steps}")
    tracer = _Tracer(by_id, names_of(flows), max_steps, capture)
    whole = tracer.build(start, preflow_id)
    if not assume:
        return _frozen(whole)
    pruned = tracer.build(start, preflow_id, frozenset(word.casefold() for word in assume))
    for word in assume:
        if word.casefold() not in tracer.accepted:
            keys = sorted(each for each in tracer.shown if each.startswith("key "))
            shown = [*(each for each in tracer.shown if each not in keys), *keys]
            branches = ", ".join(shown) or "none"
            raise ConfigurationError(f"no step has the branch {word!r}; the branches are: {branches}")
    return _frozen(pruned)


class _Tracer:
    """The state of a trace.

    ``shown`` holds the words of all branches so far, in their order. ``accepted`` holds all words that select one of
    these branches.
    """

    def __init__(self, flows: Mapping[str, Callflow], names: Mapping[str, Name], max_steps: int, capture: str) -> None:
        self.flows = flows
        self.names = names
        self.max_steps = max_steps
        self.capture = capture
        self.shown: dict[str, None] = {}
        self.accepted: set[str] = set()

    def build(self, start: str, preflow_id: str | None, assume: frozenset[str] = frozenset()) -> list[_Step]:
        """Return all steps of the tree. The top comes first, and parents come before their children."""
        callflow = self.flows[start]
        place = _Place(callflow, "/flow", None, (start,))
        top = _Step((), callflow.flow, place)
        if preflow_id is not None and preflow_id != start:
            jump = FlowNode(module="callflow", data={"id": preflow_id}, children={"_": callflow.flow or FlowNode()})
            top = _Step((), jump, _Place(callflow, "", None, (start,)))
        steps = [top]
        waiting = deque(steps)
        while waiting:
            step = waiting.popleft()
            children = self._children(step)
            wanted: list[_Step] = []
            others = other_words(step.node) if step.node else {}
            for child in children:
                accepted = {each.casefold() for word in child.words for each in (word, *others.get(word, ()))}
                self.shown.update(dict.fromkeys(child.words))
                self.accepted |= accepted
                wanted += [child] if accepted & assume else []
            children = wanted or children
            if len(steps) + len(children) > self.max_steps:
                step.ending = "more"
                continue
            step.children = children
            steps.extend(children)
            waiting.extend(children)
        return steps

    def _children(self, step: _Step) -> list[_Step]:
        """Set the module, label and ending of ``step``, and return the steps that may follow."""
        while is_empty(step.node) and step.place.returns:
            back = step.place.returns
            step.node, step.place = back.node, evolve(back.place, jumps=step.place.jumps)
        node = step.node
        if node is None or node.module is None:
            step.ending = "cut off"
            return []
        step.module, step.label = node.module, self._label(node)
        if node.module == "callflow" and not is_skipped(node):
            return self._jump(step, node)
        known = MODULES.get(node.module)
        if known is None or is_skipped(node):
            step.label += " (skipped: switched off)" if known else " (skipped: unknown module)"
            return self._follow(step, [((), node.children.get("_"), "_")])
        if known.branches == "none" or known.ending == "stops":
            branches = _taken(node, self.names) if known.branches != "none" else []
            if known.ending == "stops" and step.place.returns:
                branches.append(((), None, ""))
            return self._follow(step, branches)
        branches = _taken(node, self.names)
        if known.ending == "carrier":
            branches += [(("failed",), None, "")] if step.place.returns else []
        elif not any(key == "_" for _, _, key in branches) and known.branches != "menu":
            branches += self._end(step, node, known)
        return self._follow(step, _merged(branches))

    def _label(self, node: FlowNode) -> str:
        label = describe_node(node, self.names)
        return f"{label} (mailbox {self.capture}, if it exists)" if self.capture and label == _DIRECT else label

    def _end(self, step: _Step, node: FlowNode, known: Module) -> list[Branch]:
        """Return the branches that are added to a step without a default branch.

        A call that takes none of the branches of the step may be cut off, or may return to another callflow. In these
        cases, one branch is added for such calls. Otherwise, none is added. If calls always end after the step,
        ``step.ending`` is set to ``ends``.
        """
        ends_badly = known.choice or known.silent or known.ending == "answered"
        is_natural = known.name in _NATURAL_END
        if takes_every_call(node):
            return []
        if step.place.returns or (ends_badly and not is_natural):
            word = branch_word(node, "_", self.names)
            return [((word,) if word else (), None, "_")]
        if known.ending == "continues" and not is_natural:
            step.ending = "ends"
        return []

    def _jump(self, step: _Step, node: FlowNode) -> list[_Step]:
        place, back = step.place, node.children.get("_")
        target = node.data.get("id")
        callflow = self.flows.get(target) if isinstance(target, str) else None
        path = f"{place.path}/children/_" if place.path else "/flow"  # the jump to the preflow has no path
        after = evolve(place, path=path)
        if callflow is None:
            step.ending = "missing"
            return [_Step((), back, after)]
        if callflow.id in place.open:
            step.ending = "circle"
            step.label = f"back to {name_of(callflow.id, self.names)}"
            return []
        if place.jumps >= MAX_JUMPS:
            step.ending = "cut off"
            return []
        returns = place.returns
        if back is not None and not is_empty(back):
            returns = _Return(back, after)
        inner = _Place(callflow, "/flow", returns, (*place.open, callflow.id), place.jumps + 1)
        return [_Step((), callflow.flow, inner)]

    @staticmethod
    def _follow(step: _Step, branches: list[Branch]) -> list[_Step]:
        place = step.place
        return [
            _Step(
                words,
                child,
                evolve(place, path=f"{place.path}/children/{escape(key)}") if child is not None else place,
            )
            for words, child, key in branches
        ]


def _taken(node: FlowNode, names: Mapping[str, Name]) -> list[Branch]:
    """Return the branches that the module of ``node`` may take, with the default branch last.

    A menu with a child ``max_retries`` takes no default branch. Any other menu has this branch even without a child.
    """
    children = {} if fails(node) else {key: child for key, child in ordered_children(node) if has_child(node, key)}
    branches: list[Branch] = [
        ((branch_word(node, key, names),), child, key)
        for key, child in children.items()
        if key != "_" and may_take(node, key)
    ]
    default = [branch_word(node, "_", names)]
    if node.module == "temporal_route" and not is_switch(node.data):
        default = [*(name_of(rule, names) for rule in time_rules(node) if rule not in node.children), *default]
    if node.module == "menu":
        is_taken = "max_retries" not in children
    else:
        is_taken = "_" in node.children and may_take(node, "_") and not takes_every_call(node)
    if is_taken:
        branches.append((tuple(filter(None, default)), node.children.get("_"), "_"))
    return branches


def _merged(branches: list[Branch]) -> list[Branch]:
    """Merge branches with equal flows into one branch, which has the words of all merged branches."""
    shapes = Counter(_shape(child) for _, child, _ in branches)
    merged: dict[tuple[Any, bytes], Branch] = {}
    for words, child, key in branches:
        shape = _shape(child)
        # A branch that no other branch resembles is not converted to JSON, because it may be long.
        flow = shape, to_json(child) if child and shape and shapes[shape] > 1 else b""
        if flow in merged:
            before, first, first_key = merged[flow]
            merged[flow] = (tuple(dict.fromkeys((*before, *words))), first, first_key)
        else:
            merged[flow] = (words, child, key)
    return list(merged.values())


def _shape(node: FlowNode | None) -> tuple[Any, ...]:
    """Return a value that is equal for equal flows, and rarely for different ones."""
    if node is None or is_empty(node):
        return ()
    return node.module, tuple(sorted(node.children)), str(node.data.get("id"))


def _frozen(steps: list[_Step]) -> TraceNode:
    done: dict[int, TraceNode] = {}
    for step in reversed(steps):
        done[id(step)] = TraceNode(
            step.words,
            step.module,
            step.label,
            step.place.callflow.id,
            step.place.path,
            step.ending,
            tuple(done.pop(id(child)) for child in step.children),
        )
    return done[id(steps[0])]
