"""Describe nodes, branches and changes in words.

The descriptions contain names and other texts from documents. These are not escaped for a terminal or for HTML.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard
from urllib.parse import unquote

from attrs import frozen

from .. import Callflow, FlowNode
from .differences import Change
from .jumps import MAX_JUMPS
from .module_catalog import MODULES, has_child, is_integer, is_skipped, is_switch, label, outcomes, score_keys
from .positions import escape, keys_of, node_at
from .references import NOT_IN_METADATA, Name, Reference, flow_references, inactive, inactive_members, members, seconds
from .secrets import masked, masked_text

if TYPE_CHECKING:
    from .tracing import TraceNode

OTHERWISE: Final = {
    "menu": "no or wrong keys",
    "temporal_route": "other times",
    "check_cid": "other callers",
    "cidlistmatch": "other callers",
    "branch_bnumber": "other numbers",
    "branch_variable": "other values",
    "acdc_wait_time": "shorter waits",
    "fax_detect": "otherwise",
    "page_group": "failed",
    "pivot": "failed",
}
"""The words for the default branch, by module. ``branch_word`` finds the words for modules that are not listed."""

_CAUSES: Final = {
    "USER_BUSY": "busy",
    "sip:486": "busy",
    "NO_ANSWER": "no answer",
    "NO_USER_RESPONSE": "no answer",
    "sip:408": "no answer",
    "sip:480": "not reachable",
    "CALL_REJECTED": "declined",
    "sip:603": "declined",
    "sip:404": "not found",
    "UNALLOCATED_NUMBER": "not found",
    "ORIGINATOR_CANCEL": "the caller hangs up",
}

_NAMED: Final = {
    "menu": {"timeout": "no key", "max_retries": "too many tries"},
    "check_cid": {"match": "callers that match", "nomatch": "other callers"},
    "cidlistmatch": {"match": "callers that match", "nomatch": "other callers"},
    "fax_detect": {"ON_FAX": "fax", "ON_VOICE": "voice"},
    "park": {"MAX_SLOT_EXCEEDED": "all slots are taken"},
}
_FORMATS: Final = {
    "menu": "key {}",
    "check_cid": "caller {}",
    "acdc_wait_time": "wait of {} s or more",
    "park": "slot {}",
}

_DESCRIPTIVE_FIELDS: Final = {
    "branch_variable": "variable",
    "language": "language",
    "play": "id",
    "response": "code",
    "set_cid": "caller_id_name",
    "sleep": "duration",
    "transfer": "target",
    "tts": "text",
    "webhook": "uri",
    "pivot": "voice_url",
}
"""By module, the field of ``data`` that best describes a node without a name."""

_GROUPS: Final = frozenset({"group", "page_group", "ring_group"})
_TIMED: Final = _GROUPS | {"device", "user"}
_MEMBERS_SHOWN: Final = 4
_STRATEGIES: Final = {"simultaneous": "", "single": "one after the other", "weighted_random": "in a random order"}
_ID: Final = re.compile(r"\b[0-9a-f]{32}\b")


def short(each: str) -> str:
    """Return the first eight characters of an id, or any other text unchanged."""
    return each[:8] if _is_id(each) else each


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def name_of(each: str, names: Mapping[str, Name]) -> str:
    """Return the name of the document with the id ``each``, or ``short(each)`` if the name is not known.

    Secrets in the text are hidden.
    """
    known = names.get(each)
    return masked_text(known.name if known else short(each))


@frozen
class Description:
    """What a node does, in words.

    ``label`` is the label of the module. ``name`` is the name of the document to which the node refers. If there is
    none, ``name`` is another text that identifies the node, such as the target of a transfer, or ``""``.

    ``members`` has a text for each member of a group. The text begins with the member's name, or with the kind and the
    shortened id of a member whose name is not known (``user a56a7604``). The delay of the member follows (``Ann Ash
    after 5 s``), and ``(never rings)`` or ``(logged out)`` if calls do not ring the member (``inactive``).

    ``details`` may hold the ``action`` of the module, the delay of a user or a device (``after 5 s``), the seconds for
    which a user, a device or a group rings (``20 s``), how often a group rings (``3 times``), and the order in which
    its members ring. ``details`` does not say that a group rings once, or that it rings all members at the same time.
    """

    label: str
    name: str = ""
    members: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


def describe_node(node: FlowNode, names: Mapping[str, Name]) -> str:
    """Return the ``Description`` of a node as one text, such as ``User Ann Ash (20 s)``.

    At most four members of a group are shown. ``names`` has the names of the account's documents by id
    (``ReferenceIndex.names``).
    """
    about = description_of(node, names)
    shown = about.members[:_MEMBERS_SHOWN]
    more = len(about.members) - len(shown)
    group = ", ".join(shown) + (f" and {more} more" if more else "")
    inner = "; ".join(filter(None, (group, *about.details)))
    return f"{_subject(node, names)} ({inner})" if inner else _subject(node, names)


def description_of(node: FlowNode, names: Mapping[str, Name]) -> Description:
    """Return the description of a node.

    ``names`` has the names of the account's documents by id (``ReferenceIndex.names``).
    """
    module, data = node.module or "", node.data
    name = _named(node, names)
    action, time = _text(data.get("action")), data.get("timeout")
    strategy = _text(data.get("strategy")) or "simultaneous"
    group: list[str] = []
    details = []
    if action and action != name and module != "voicemail":  # the label of voicemail includes its action
        details.append(action)
    if module in {"device", "user"} and (delay := seconds(data.get("delay"), 0)) > 0:
        details.append(f"after {delay} s")
    if module in _TIMED and isinstance(time, str | int) and time and not isinstance(time, bool):
        details.append(f"{time} s")
    if module in _GROUPS:
        unreached = inactive_members(node)
        for kind, field, each, settings in members(data):
            shown = f"{kind} {short(each)}" if each not in names and _is_id(each) else name_of(each, names)
            why = f"({unreached[field]})" if field in unreached else ""
            group.append(" ".join(filter(None, (shown, _delay(data, settings), why))))
        if (times := seconds(data.get("repeats"), 1)) > 1:
            details.append(f"{times} times")
        details += filter(None, [_STRATEGIES.get(strategy, strategy)])
    return Description(
        label=label(module, data),
        name=masked_text(name),
        members=tuple(dict.fromkeys(group)),
        details=tuple(map(masked_text, details)),
    )


def _delay(data: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the delay of a member of a group, such as ``after 5 s``.

    The text is empty if the member has no delay, or if the group does not ring all members at the same time.
    """
    is_simultaneous = (_text(data.get("strategy")) or "simultaneous") == "simultaneous"
    delay = seconds(settings.get("delay"), 0) if is_simultaneous else 0
    return f"after {delay} s" if delay > 0 else ""


def _named(node: FlowNode, names: Mapping[str, Name]) -> str:
    data, module = node.data, node.module or ""
    own = _text(data.get("name"))
    if module in {"page_group", "ring_group"}:
        return own
    direct = [target for kind, field, target in flow_references(node, {}) if field in data and kind != "url"]
    for target in (*direct, _text(data.get("id"))):
        if target in names:
            return names[target].name
    if own:
        return own
    field = _DESCRIPTIVE_FIELDS.get(module, "")
    text = _text(data.get(field), separator="." if field == "variable" else ", ")
    if module == "play" and text:
        return _media(text)
    if text:
        return text.partition("?")[0] if module in {"pivot", "webhook"} else text
    return next(map(short, direct), "")


def branch_word(node: FlowNode, key: str, names: Mapping[str, Name]) -> str:
    """Return when a call takes the child ``key`` of ``node``: ``key 1``, ``no answer``, the name of a time rule, etc.

    The text is empty if the child is simply what follows the node.
    """
    module = node.module or ""
    known = MODULES.get(module)
    if module == "nomorobo" and not is_skipped(node):
        return _score_word(node, key)
    if key == "_":
        return _default_word(node)
    if named := _NAMED.get(module, {}).get(key):
        return named
    if module == "temporal_route" and key == "rule_set":
        return name_of(_text(node.data.get("rule_set")), names) or "rule set"
    if known and known.branches in {"cause", "carrier"}:
        return _CAUSES.get(key) or masked_text(key)
    return _FORMATS.get(module, "{}").format(name_of(key, names))


def _default_word(node: FlowNode) -> str:
    """Return ``branch_word`` for the default branch."""
    module = node.module or ""
    known = MODULES.get(module)
    if is_skipped(node) or (module == "temporal_route" and is_switch(node.data)):
        return ""
    if module == "menu" and has_child(node, "timeout"):
        return "wrong keys"
    if outcomes(node)[:1] == ("match",) and has_child(node, "nomatch") and not has_child(node, "match"):
        return "callers that match"
    if module == "acdc_wait_time" and any(is_integer(key) and float(key) <= 0 for key in node.children):
        return "unknown waits"
    if module in OTHERWISE or not known or known.ending != "answered":
        return OTHERWISE.get(module, "")
    taken = {_CAUSES.get(key) for key in node.children if has_child(node, key)}
    excluded = taken if known.branches == "cause" else {"busy"}
    return " or ".join(word for word in ("no answer", "busy") if word not in excluded) or "other failures"


def _score_word(node: FlowNode, key: str) -> str:
    """Return ``branch_word`` for a ``nomorobo``."""
    keys = score_keys(node)
    if key == "_":
        can_be_lower = "_" in node.children and keys[:1] != ["0"]
        return ("no or lower score" if can_be_lower else "callers without a score") if keys else ""
    if key not in keys[:1] or "_" in node.children:
        return f"score {masked_text(key)} or more"
    scores = f"score below {keys[1]}" if len(keys) > 1 else "any score"
    return f"no score, {scores}" if key == "0" else scores


def other_words(node: FlowNode) -> dict[str, set[str]]:
    """Return a dict from results of ``branch_word`` to further words that select the same branch of ``node``.

    If a module rings somebody, a word such as ``busy`` that has no branch of its own selects the default branch.
    """
    known, default = MODULES.get(node.module or ""), branch_word(node, "_", {})
    if node.module == "menu":
        words = {OTHERWISE["menu"], "wrong keys", *(() if has_child(node, "timeout") else ("no key",))}
        return {default: words, "too many tries": words}
    if known and known.ending == "answered":
        keys = [key for key in node.children if key != "_" and has_child(node, key)]
        return {default: set(_CAUSES.values()) - {branch_word(node, key, {}) for key in keys}}
    return {}


def describe_place(callflow: Callflow | None, path: str, names: Mapping[str, Name]) -> str:
    """Describe the position of the node at the JSON pointer ``path`` by the branches that lead to the node.

    The text is ``start`` for the top of the flow. It begins with ``during the call`` for a node of the metaflow. It is
    empty if ``path`` is empty or ``callflow`` is None.
    """
    keys = keys_of(path)
    if not keys or callflow is None:
        return ""
    if keys[0] == "metaflow":
        words = [" ".join(("during the call", *map(masked_text, keys[2:3])))]
        nodes = getattr(callflow.metaflow, keys[1], {}) if len(keys) > 1 else {}
        node, rest = nodes.get(keys[2]) if len(keys) > 2 else None, keys[3:]
    else:
        words, node, rest = [], callflow.flow, keys[1:]
    for key in rest[1::2]:
        if node is None:
            break
        words.append(branch_word(node, key, names) or f"after {label(node.module, node.data)}")
        node = node.children.get(key)
    return ", ".join(words) or "start"


def describe_reference(reference: Reference, callflow: Callflow | None, names: Mapping[str, Name]) -> str:
    """Describe the node and the field of a reference: ``User Ann Ash``, ``Ring Group Sales, member 2, after 5 s``, etc.

    If calls never use the reference, the text ends with the reason: ``(switched off)``, ``(never rings)``, ``(logged
    out)`` or ``(never taken)``.
    """
    node = node_at(callflow, reference.path)
    field = reference.field
    if item := _ITEM.match(field):
        word = f"{_ITEMS[item[1]]} {int(item[2]) + 1}"
    else:
        word = masked_text(_FIELDS.get(field.partition(".")[0], field))
    settings = next((each for _, at, _, each in members(node.data) if at == reference.field), {}) if node else {}
    words = (
        _subject(node, names) if node else label(reference.module),
        word,
        _delay(node.data, settings) if node else "",
    )
    why = inactive(reference, callflow)
    return ", ".join(filter(None, words)) + (f" ({why})" if why else "")


_ITEMS: Final = {"endpoints": "member", "lists": "list", "macros": "sound", "recipients": "recipient", "rules": "rule"}
_ITEM: Final = re.compile(rf"({'|'.join(_ITEMS)})\[([0-9]+)\]")
_FIELDS: Final = {
    "id": "",
    "owner_id": "the callflow's owner",
    "group_id": "group",
    "children": "branch",
    "endpoints": "member",
}


def describe_change(  # noqa: C901, PLR0911, PLR0912  # one text for each kind
    change: Change, old: Callflow | None, new: Callflow | None, names: Mapping[str, Name]
) -> str:
    """Return a change as one line that begins with ``+``, ``-`` or ``~``. Secrets are hidden.

    ``old`` is the callflow before the change, and ``new`` is the callflow after it. ``old`` is None for a callflow that
    was added, and ``new`` is None for a callflow that was deleted. ``names`` has the names of the documents of both
    states, by id.
    """
    before, after = change.old, change.new
    match change.kind:
        case "added" | "removed":
            sign, callflow = ("+", after) if change.kind == "added" else ("-", before)
            what = f": {_subject(callflow.flow, names)}" if callflow.flow else ""
            return f"{sign} {masked_text(callflow.name or callflow.id)}{what}"
        case "number_added":
            return f"+ number {masked_text(after)}"
        case "number_removed":
            return f"- number {masked_text(before)}"
        case "number_moved":
            return f"~ number {masked_text(change.field)} came from {name_of(before, names)}"
        case "field" if not change.path:
            return f"~ {_values(change, names)}"
    gone = change.kind in {"node_removed", "node_taken_out"}
    place = describe_place(old if gone else new, change.path, names)
    match change.kind:
        case "node_added":
            return f"+ {place}: {describe_node(after, names)}"
        case "node_removed":
            return f"- {place}: {describe_node(before, names)}"
        case "node_inserted":
            return f"+ {place}: {describe_node(after, names)} put before the rest"
        case "node_taken_out":
            return f"- {place}: {describe_node(before, names)} taken out, the rest stays"
        case "node_moved":
            return f"~ {place}: {describe_node(after, names)} moved from {describe_place(old, before, names)}"
        case "node_replaced":
            return f"~ {place}: {describe_node(before, names)} -> {describe_node(after, names)}"
    node = node_at(new, change.path)
    if change.kind == "rekeyed":
        words = [branch_word(node, key, names) or "then" if node else masked_text(key) for key in (before, after)]
        child = node.children.get(after) if node else node_at(new, f"{change.path}/{escape(after)}")
        return f"~ {place}: {words[0]} -> {words[1]}{f' ({_subject(child, names)})' if child else ''}"
    what = f"{place}: {_subject(node, names)}" if node else place
    if change.kind == "order":
        return f"~ {what}: other order of {'members' if change.field == 'endpoints' else masked_text(change.field)}"
    if (before is None or after is None) and (member := _member(change, names)):
        return f"{'+' if before is None else '-'} {what}: member {member}"
    if node and change.field == "id" and _is_id(before) and _is_id(after):
        known = MODULES.get(node.module or "")
        kind = dict(known.references).get("id") if known else None
        is_listed = known and kind not in NOT_IN_METADATA and new and new.metadata
        missing = " (missing)" if is_listed and after not in names else ""
        return f"~ {place}: {label(node.module)} {name_of(before, names)} -> {name_of(after, names)}{missing}"
    return f"~ {what}: {_values(change, names)}"


def _subject(node: FlowNode, names: Mapping[str, Name]) -> str:
    about = description_of(node, names)
    return " ".join(filter(None, ("Play" if node.module == "play" else "", about.label, about.name)))


def _member(change: Change, names: Mapping[str, Name]) -> str:
    """Return the name of the group member at ``change.field``, or an empty text if the field is not a member."""
    inner = re.fullmatch(r"endpoints\[(.+)\]", change.field)
    return name_of(inner[1], names) if inner else ""


def _values(change: Change, names: Mapping[str, Name]) -> str:
    shown = [_json(masked(value, change.field)) for value in (change.old, change.new)]
    text = "changed" if shown[0] == shown[1] else f"{shown[0]} -> {shown[1]}"
    field = masked_text(re.sub(r"^endpoints\[(.+?)\]\.", r"member \1: ", change.field))
    return _ID.sub(lambda found: name_of(found[0], names), f"{field} {text}")


def _json(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def trace_lines(tree: "TraceNode", width: int = 80) -> Iterator[str]:
    """Yield the lines of a trace, drawn as a tree.

    Lines longer than ``width`` columns are wrapped. The text of a step always has at least 24 columns. Therefore a
    deeply indented step can be wider than ``width``.
    """
    waiting: list[tuple[str, str, TraceNode]] = [("", "", tree)]
    while waiting:
        indent, branch, step = waiting.pop()
        inner = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        bar = "│  " if step.children else ""
        room = max(width - len(inner) - len(bar), _NARROWEST)
        whole = _SECONDS.sub(lambda found: found[0].replace(" ", _NO_BREAK), _step_text(step))
        first, *rest = textwrap.wrap(whole, room, subsequent_indent="  ") or [""]
        for start, line in ((indent + branch, first), *((inner + bar, line) for line in rest)):
            yield start + _SECONDS.sub(lambda found: found[0].replace(_NO_BREAK, " "), line)
        last = len(step.children) - 1
        waiting.extend(
            (inner, "└─ " if position == last else "├─ ", child)
            for position, child in reversed(list(enumerate(step.children)))
        )


_NARROWEST: Final = 24
"""The minimum width of the text of a step, in columns."""

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_SECONDS: Final = re.compile(rf"(?:after[ {_NO_BREAK}])?\d+[ {_NO_BREAK}]s\b")
_ENDINGS: Final = {
    "ends": ", then the call ends",
    "circle": f" (a circle: the call is dropped after {MAX_JUMPS} jumps)",
    "cut off": f" (one jump too many: the call is dropped after {MAX_JUMPS} jumps)",
    "missing": " (missing)",
    "more": " …",
}


def _step_text(step: "TraceNode") -> str:
    keys = [word.removeprefix("key ") for word in step.words if word.startswith("key ")]
    words = [f"key {' or '.join(keys)}"] if keys else []
    words += [word for word in step.words if not word.startswith("key ")]
    text = step.label + _ENDINGS.get(step.ending, "") if step.label else "the call is cut off"
    return f"{', '.join(words)}: {text}" if words else text


def _media(reference: str) -> str:
    """Return the name of a media file (the last part of a path or URL, decoded), or the kind of a generated sound."""
    for kind in ("tone", "silence"):
        if f"{kind}_stream://" in reference.lower():
            return kind
    if reference.startswith("%("):
        return "tone"
    path = reference.partition("://")[2] or reference
    return short(unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2]))


def _text(value: Any, separator: str = ", ") -> str:
    """Return a string or a number as text, or the items of a list as one text. Other values become an empty text."""
    if isinstance(value, list | tuple):
        return separator.join(filter(None, map(_text, value)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
