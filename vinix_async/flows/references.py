"""List what callflows refer to, and find where a document or a number is used."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

from attrs import frozen

from .. import Callflow, FlowNode
from .jumps import MAX_JUMPS
from .module_catalog import METAFLOW_MODULES, MODULES, Module, is_skipped, is_switch, may_take
from .positions import Pointers, keys_of, metaflow_tops, ordered, rows
from .routing import normalize

_SOUNDS: Final = ("%(", "tone_stream:", "silence_stream:", "{")
"""How the values of generated sounds begin. A callflow can have such a value in place of the id of a media file."""

_ID_PREFIX: Final = re.compile(r"[0-9a-f]{8,31}")

NOT_IN_METADATA: Final = frozenset({"account", "email", "faxbox", "function", "number", "url"})
"""The kinds of references whose targets the server never includes in ``metadata``."""

Found = tuple[str, str, str]
"""The kind, the field and the target of a reference."""


@frozen
class Reference:
    """A place in a callflow that refers to another document, a number or an address.

    ``path`` is the JSON pointer of the node that contains the reference, and ``module`` is the node's module. Both are
    ``""`` if the reference is in a field of the callflow itself.

    ``field`` is the path within the node's ``data``, such as ``endpoints[1].id``. If the key of a child is the id of a
    time rule, ``field`` is ``children.KEY``. For a field of the callflow itself, it is the path within the callflow,
    such as ``owner_id`` or ``ringback.early``.

    ``kind`` is a ``pvt_type`` of Kazoo, such as ``user``, ``device``, ``vmbox``, ``media``, ``menu``, ``group``,
    ``callflow``, ``directory``, ``conference``, ``queue``, ``list``, ``temporal_rule`` or ``temporal_rule_set``, or one
    of ``faxbox``, ``function``, ``account``, ``url``, ``number`` and ``email``. ``target`` is the id, the number or the
    address.
    """

    callflow_id: str
    path: str
    module: str
    kind: str
    field: str
    target: str


@frozen
class Name:
    """The name of a document, and its kind (``pvt_type``, or ``""`` if the server did not send it)."""

    name: str
    kind: str


def references(callflow: Callflow) -> Iterator[Reference]:
    """Yield the references in the fields of ``callflow``, in its flow and in its metaflow.

    References in fields come first, then those in the flow and those in the metaflow, in the order of the nodes. Values
    that are not strings are left out, and so are generated sounds such as ``tone_stream://``. Targets that are known
    only during a call are not listed: extensions dialled in a menu or a directory, and captured numbers.
    """
    yield from _of_document(callflow)
    callflow_id, metadata = callflow.id, callflow.metadata
    table = rows(callflow.flow)
    pointers = Pointers(table)
    for index, (node, _, _) in enumerate(table):
        if found := flow_references(node, metadata):
            path = pointers[index]
            for kind, field, target in found:
                yield Reference(callflow_id, path, node.module or "", kind, field, target)
    for top, place in metaflow_tops(callflow):
        table = rows(top)
        pointers = Pointers(table, place)
        for index, (node, _, _) in enumerate(table):
            if found := metaflow_references(node):
                path = pointers[index]
                for kind, field, target in found:
                    yield Reference(callflow_id, path, node.module or "", kind, field, target)


def _of_document(callflow: Callflow) -> Iterator[Reference]:
    """Yield the references in the fields of the callflow itself, outside its nodes."""
    for field, kind in (("owner_id", "user"), ("group_id", "group")):
        value = getattr(callflow, field)
        if isinstance(value, str) and value:
            yield Reference(callflow.id, "", "", kind, field, value)
    if callflow.ringback:
        for field in ("early", "transfer"):
            value = getattr(callflow.ringback, field)
            if value and (media := _media_kind(value)):
                yield Reference(callflow.id, "", "", media, f"ringback.{field}", value)


def flow_references(node: FlowNode, metadata: Mapping[str, Any]) -> list[Found]:
    """Return the references of a node of a flow. ``metadata`` is the metadata of the callflow."""
    module = node.module
    if module is None:
        return []
    known = MODULES.get(module)
    if known is None:
        return _unknown_references(node, metadata)
    data = node.data
    found = _of_fields(known, data)
    if module == "temporal_route":
        if not is_switch(data):
            rules = [key for key in node.children if key not in {"_", "rule_set"}]
            found.extend(("temporal_rule", f"children.{key}", key) for key in rules)
    elif module == "do_not_disturb" and found:
        found = [(_kind_in_metadata(metadata, target) or kind, field, target) for kind, field, target in found]
    elif module == "after_bridge" and data.get("action") != "transfer":
        return []
    return found


def metaflow_references(node: FlowNode) -> list[Found]:
    """Return the references of a node of a metaflow."""
    known = METAFLOW_MODULES.get(node.module or "")
    return _of_fields(known, node.data) if known else []


def _unknown_references(node: FlowNode, metadata: Mapping[str, Any]) -> list[Found]:
    """Return the references of a node with an unknown module.

    In every module, the server looks up the field ``id`` and all fields whose names contain ``_id`` (``get_metadata``
    in ``cb_callflows.erl``). Such a field is a reference if ``metadata`` has the kind of the document with that id.
    """
    return [
        (kind, field, target)
        for field, target in node.data.items()
        if (field == "id" or "_id" in field)
        and isinstance(target, str)
        and (kind := _kind_in_metadata(metadata, target))
    ]


def _kind_in_metadata(metadata: Mapping[str, Any], target: str) -> str:
    """Return the kind that ``metadata`` gives for a document, or an empty text if it gives none."""
    about = metadata.get(target)
    kind = about.get("pvt_type") if isinstance(about, dict | Mapping) else None
    return kind if isinstance(kind, str) else ""


@cache
def _split_references(module: Module) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[tuple[str, ...], str], ...]]:
    """Return the references of a module in two groups: fields of ``data`` itself, and paths to nested fields."""
    plain = tuple((path, kind) for path, kind in module.references if "." not in path and "[" not in path)
    nested = tuple((tuple(path.split(".")), kind) for path, kind in module.references if "." in path or "[" in path)
    return plain, nested


def _of_fields(module: Module, data: Mapping[str, Any]) -> list[Found]:
    if not data or not module.references:
        return []
    plain, nested = _split_references(module)
    found: list[Found] = []
    for field, kind in plain:
        value = data.get(field)
        if not isinstance(value, str) or not value:
            continue
        actual = kind
        if kind == "media":
            actual = _media_kind(value)
        elif kind == "target":
            target = data.get("target_type")
            # A tuple instead of a set, because the target may be unhashable.
            actual = target if target in ("device", "user", "number") else "device"
        if actual:
            found.append((actual, field, value))
    for parts, kind in nested:
        found.extend(_nested(data, parts, kind))
    return found


def _nested(data: Mapping[str, Any], parts: tuple[str, ...], kind: str) -> Iterator[Found]:
    if kind == "member":
        yield from ((actual, field, target) for actual, field, target, _ in members(data))
        return
    if kind == "recipient":
        yield from _recipients(data)
        return
    places: list[tuple[str, Any]] = [("", data)]
    for part in parts:
        name = part.removesuffix("[]")
        inner = [
            (f"{field}.{name}" if field else name, value[name])
            for field, value in places
            if isinstance(value, Mapping) and name in value
        ]
        if name != part:
            inner = [
                (f"{field}[{position}]", item)
                for field, items in inner
                if isinstance(items, list | tuple)
                for position, item in enumerate(items)
            ]
        places = inner
    for field, value in places:
        if isinstance(value, str) and value:
            actual = _media_kind(value) if kind == "media" else kind
            if actual:
                yield actual, field, value


def members(data: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield the kind, the field, the id and the settings of each member of a group.

    ``endpoints`` is an array of objects with an ``id`` (ring groups), an array of ids (the schema of ``group``), or an
    object whose keys are ids (documents of groups). A member without an ``endpoint_type`` or ``type`` is a device.
    """
    endpoints = data.get("endpoints")
    if isinstance(endpoints, dict | Mapping):
        for each, about in endpoints.items():
            settings = about if isinstance(about, dict | Mapping) else {}
            yield _member_kind(settings), f"endpoints.{each}", each, settings
    elif isinstance(endpoints, list | tuple):
        for position, item in enumerate(endpoints):
            if isinstance(item, str) and item:
                yield "device", f"endpoints[{position}]", item, {}
            elif isinstance(item, dict | Mapping):
                target = item.get("id")
                if isinstance(target, str) and target:
                    yield _member_kind(item), f"endpoints[{position}].id", target, item


_RING_SECONDS: Final = 20
"""How many seconds a group and each of its members ring by default (``cf_ring_group.erl``)."""


_LOGGED_OUT: Final = 66_269_664_000
"""The ``disable_until`` of a member that has logged out (``cf_ring_group_toggle.erl``).

It is the beginning of 2100, in Gregorian seconds.
"""


def _is_logged_out(settings: Mapping[str, Any]) -> bool:
    return seconds(settings.get("disable_until"), 0) >= _LOGGED_OUT


def silent_members(node: FlowNode) -> dict[str, str]:
    """Find the group members that never ring. Return a dict from their fields to the reasons.

    A reason is a clause for messages. Members that have logged out are left out, unless the server cannot use any
    member.
    """
    data, silent = node.data, dict[str, str]()
    endpoints, why = data.get("endpoints"), ""
    if isinstance(endpoints, dict | Mapping):
        why = "the server ignores members that are not in an array"
    elif isinstance(endpoints, list | tuple) and not all(isinstance(each, dict | Mapping) for each in endpoints):
        # The schema of group allows ids, but the server fails on them (is_member_active in cf_ring_group.erl).
        why = "the server fails on members that are not objects"
    if why:
        return {field: why for _, field, _, _ in members(data)}
    if node.module not in {"group", "ring_group"}:
        return silent
    total = seconds(data.get("timeout"), _RING_SECONDS)
    strategy = data.get("strategy") or "simultaneous"
    spent = 0
    for _, field, _, settings in members(data):
        if _is_logged_out(settings):
            continue
        delay = seconds(settings.get("delay"), 0)
        if strategy == "simultaneous" and delay >= total > 0:
            silent[field] = f"its delay is {delay} s, but the group rings for only {total} s"
        elif strategy == "single":
            if spent >= total > 0:
                silent[field] = f"the members before it take {spent} s, but the group rings for only {total} s"
            spent += seconds(settings.get("timeout"), _RING_SECONDS)
    return silent


def inactive_members(node: FlowNode) -> dict[str, str]:
    """Return a dict from the fields of the group members that do not ring to ``never rings`` or ``logged out``."""
    found = dict.fromkeys(silent_members(node), "never rings")
    if node.module in {"group", "ring_group"}:
        found |= {field: "logged out" for _, field, _, settings in members(node.data) if _is_logged_out(settings)}
    return found


def inactive(reference: Reference, callflow: Callflow | None) -> str:
    """Return why calls never use the reference, or ``""`` if they may use it.

    The reason is one of these:

    - ``never taken``: the node is in a branch that the server never takes.
    - ``switched off``: the node has ``skip_module``.
    - ``never rings``: the group stops ringing before the member would ring, or the server cannot use the members.
    - ``logged out``: the member has logged out of the group, by a ``ring_group_toggle``.
    """
    first, *keys = keys_of(reference.path) or [""]
    node = callflow.flow if callflow and first == "flow" else None
    for key in keys[1::2]:
        if node and not may_take(node, key):
            return "never taken"
        node = node.children.get(key) if node else None
    if node is None:
        return ""
    return "switched off" if is_skipped(node) else inactive_members(node).get(reference.field, "")


def _member_kind(settings: Mapping[str, Any]) -> str:
    kind = settings.get("endpoint_type", settings.get("type"))
    return kind if isinstance(kind, str) and kind in {"device", "user", "group"} else "device"


def _recipients(data: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the recipients of an alert: ids of users, and email addresses. One item can hold several recipients."""
    recipients = data.get("recipients")
    for position, item in enumerate(recipients if isinstance(recipients, list | tuple) else ()):
        if not isinstance(item, dict | Mapping):
            continue
        kind = "email" if item.get("type") == "email" else "user"
        target, field = item.get("id"), f"recipients[{position}].id"
        if isinstance(target, str):
            if target:
                yield kind, field, target
        elif isinstance(target, list | tuple):
            for place, each in enumerate(target):
                if isinstance(each, str) and each:
                    yield kind, f"{field}[{place}]", each


def seconds(value: Any, default: int) -> int:
    """Return a number, or an integer written as text, as an int. Return ``default`` for any other value."""
    try:
        return default if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _media_kind(value: str) -> str:
    """Return ``media`` for a media file, ``url`` for a web address, or an empty text for a generated sound."""
    if value.startswith(("http://", "https://")):
        return "url"
    return "" if value.startswith(_SOUNDS) else "media"


class ReferenceIndex:
    """An index of the references in the callflows of one account.

    ``callflows`` holds the callflows by id. ``names`` holds the names of the callflows and of the documents in their
    metadata, by id. The time to build the index is proportional to the number of nodes. ``where_used`` does not scan
    the nodes again.
    """

    def __init__(self, callflows: Iterable[Callflow]) -> None:
        self.callflows: Mapping[str, Callflow]
        self.names: Mapping[str, Name]
        kept = ordered(callflows)
        self.callflows = {callflow.id: callflow for callflow in kept}
        self.names = names_of(kept)
        self._references = [reference for callflow in kept for reference in references(callflow)]
        self._by_target: dict[str, list[int]] = {}
        for position, reference in enumerate(self._references):
            self._by_target.setdefault(reference.target, []).append(position)
            if (meant := _meant(reference)) != reference.target:
                self._by_target.setdefault(meant, []).append(position)
        self._by_number: dict[str, list[str]] = {}
        for callflow in kept:
            for number in callflow.numbers:
                self._by_number.setdefault(number, []).append(callflow.id)
        self._by_name: dict[str, list[str]] = {}
        for each, about in self.names.items():
            self._by_name.setdefault(about.name.casefold(), []).append(each)

    def where_used(self, what: str) -> list[Reference]:
        """Return the references to an id, a name or a number, sorted by callflow and position.

        A name must be complete, but its case is ignored. For a number, the result has the references to the number and
        to each callflow that has the number. For the id of a media file, the result also has the references to paths
        that end with the id (``/ACCOUNT/MEDIA``). If there are no references, and ``what`` consists of 8 to 31
        hexadecimal digits, ``what`` is taken as the beginning of an id.
        """
        number = normalize(what)
        targets = [what, number, *self._by_name.get(what.casefold(), ())]
        for each in (what, number):
            targets.extend(self._by_number.get(each, ()))
        if not any(target in self._by_target for target in targets) and _ID_PREFIX.fullmatch(what):
            targets = [target for target in self._by_target if target.startswith(what)]
        positions = {position for target in targets for position in self._by_target.get(target, ())}
        return [self._references[position] for position in sorted(positions)]

    def ways_to(self, callflow_id: str) -> list[tuple[Reference, ...]]:
        """Return the ways by which calls reach a callflow from other callflows.

        Each way is a sequence of jumps, in the order of the call. For each jump that leads to the callflow, directly or
        by further jumps, there is one way that begins with that jump. This way has as few further jumps as possible. A
        way that would pass through the same callflow twice is left out.

        A jump is a node of a flow with the module ``callflow``, or a transfer to a number of a callflow. Nodes that
        calls never use (``inactive``) do not count.
        """
        found: list[tuple[Reference, ...]] = []
        onward: dict[str, tuple[Reference, ...]] = {callflow_id: ()}
        waiting = deque([callflow_id])
        while waiting:
            target = waiting.popleft()
            rest = onward[target]
            for jump in self._jumps_to(target):
                source = jump.callflow_id
                if source != callflow_id and all(source != each.callflow_id for each in rest):
                    found.append((jump, *rest))
                    if source not in onward and len(rest) < MAX_JUMPS:
                        onward[source] = found[-1]
                        waiting.append(source)
        return found

    def _jumps_to(self, callflow_id: str) -> Iterator[Reference]:
        callflow = self.callflows.get(callflow_id)
        numbers = [each for each in callflow.numbers if self._by_number[each][0] == callflow_id] if callflow else []
        targets = [("callflow", callflow_id), *(("transfer", number) for number in numbers)]
        found = dict.fromkeys((module, at) for module, target in targets for at in self._by_target.get(target, ()))
        for module, position in found:
            jump = self._references[position]
            is_jump = jump.module == module and jump.path.startswith("/flow")
            if is_jump and not inactive(jump, self.callflows[jump.callflow_id]):
                yield jump


def _meant(reference: Reference) -> str:
    """Return the target of a reference, with the path of a media file reduced to its id, and a number normalized."""
    if reference.kind == "media":
        return unquote(reference.target.rpartition("/")[2])
    return normalize(reference.target) if reference.kind == "number" else reference.target


def names_of(callflows: Iterable[Callflow]) -> dict[str, Name]:
    """Return the names of the callflows and of the documents in their ``metadata``, by id.

    A document that has no name in ``metadata`` is named by its first number in ``metadata``. Documents with neither a
    name nor a number are left out.
    """
    names: dict[str, Name] = {}
    own: dict[str, Name] = {}
    for callflow in callflows:
        for each, about in callflow.metadata.items():
            if each not in names and isinstance(about, dict | Mapping):
                name, kind = about.get("name") or _first(about.get("numbers")), about.get("pvt_type")
                if isinstance(name, str) and name:
                    names[each] = Name(name, kind if isinstance(kind, str) else "")
        if callflow.id and callflow.name:
            own[callflow.id] = Name(callflow.name, "callflow")
    names.update(own)
    return names


def _first(numbers: Any) -> Any:
    return numbers[0] if isinstance(numbers, list | tuple) and numbers else None
