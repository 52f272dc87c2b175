"""The table of callflow modules, with their labels, references, branches and endings.

Sources: the schemas ``callflows.*.json`` of Kazoo's crossbar, and the modules ``cf_*.erl`` of its callflow application.
If Monster UI has a module too, the module has the same label as there.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

from .. import FlowNode
from .positions import is_empty
from .secrets import masked_text

Branches = Literal["default", "none", "cause", "carrier", "menu", "rules", "caller", "match", "fax", "integer", "value"]
Ending = Literal["continues", "answered", "jumps", "carrier", "stops", "ends"]


@frozen(kw_only=True, eq=False)
class Module:
    """The properties of a callflow module, such as ``menu`` or ``device``.

    ``references`` lists the fields that refer to other documents. Each item is the path of a field in ``data`` and the
    kind of the documents to which the field refers. In a path, ``[]`` stands for each item of an array. The kinds
    ``member``, ``recipient`` and ``target`` stand for several kinds. The data of a node says which one is meant.

    ``required`` is the field without which the module does nothing, or ``""``.

    ``branches`` says which children the module can take:

    - ``default``: only the child ``_``.
    - ``none``: no child.
    - ``cause``: hangup causes, SIP statuses (``sip:NNN``) and ``_``.
    - ``carrier``: hangup causes and SIP statuses, but not ``_``.
    - Each other value stands for the keys of one or a few modules, such as the digits of a menu.

    ``ending`` says how the call continues after the module:

    - ``continues``: the call continues with a child.
    - ``answered``: the call ends if somebody answered, and continues with a child otherwise.
    - ``jumps``: the call runs another callflow and continues with a child afterwards.
    - ``carrier``: if the call to the carrier fails, the callflow ends, unless there is a child for the hangup cause.
    - ``stops``: the callflow ends. A call that has jumped to the callflow returns.
    - ``ends``: the call ends.

    ``silent`` is true if the caller hears nothing from the module. ``pauses`` is true if the module takes time or waits
    for somebody. Callflows that jump in a circle through such a module do not use up the server's 50 jumps at once.
    ``choice`` is true if the children are alternatives, such as the keys of a menu.
    """

    name: str
    label: str
    references: tuple[tuple[str, str], ...] = ()
    branches: Branches = "default"
    ending: Ending = "continues"
    required: str = ""
    silent: bool = False
    pauses: bool = False
    choice: bool = False


_APPROVED: Final = {"approved_device_id": "device", "approved_user_id": "user", "approved_group_id": "group"}
_CONFERENCE: Final = {"id": "conference", "welcome_prompt.media_id": "media", "config.owner_id": "user"}
_TARGETS: Final = {"device_id": "device", "user_id": "user", "group_id": "group"}
_ROWS: Final[tuple[tuple[str, str, dict[str, str], Branches, Ending, str, str], ...]] = (
    # name, label, references, branches, ending, required, traits
    ("acdc_agent", "Queue Agent", {}, "default", "continues", "", ""),
    ("acdc_member", "Queue", {"id": "queue"}, "default", "answered", "id", "pauses"),
    ("acdc_queue", "Queue Login", {"id": "queue"}, "default", "continues", "id", ""),
    ("acdc_wait_time", "Queue Wait Time", {"id": "queue"}, "integer", "continues", "id", "silent choice"),
    ("after_bridge", "After Bridge", {"data": "number"}, "default", "continues", "", "silent"),
    ("answer", "Answer", {}, "default", "continues", "", "silent"),
    ("audio_macro", "Audio Macro", {"macros[].id": "media"}, "default", "continues", "", "pauses"),
    ("branch_bnumber", "Branch on Number", {}, "value", "continues", "", "choice"),
    ("branch_variable", "Branch on Variable", {}, "value", "continues", "", "choice"),
    ("call_forward", "Call Forwarding", {}, "default", "continues", "", ""),
    ("call_waiting", "Call Waiting", {}, "default", "continues", "", ""),
    ("callflow", "Callflow", {"id": "callflow"}, "default", "jumps", "id", ""),
    ("camping_feature", "Camping", {}, "default", "stops", "", ""),
    ("check_cid", "Check Caller ID", {"user_id": "user"}, "caller", "continues", "", "choice"),
    ("cidlistmatch", "Match Caller ID List", {"id": "list"}, "match", "continues", "id", "choice"),
    ("collect_dtmf", "Collect DTMF", {}, "default", "continues", "", "pauses"),
    ("conference", "Conference", _CONFERENCE, "none", "ends", "", "pauses"),
    ("conference_feature", "Conference Feature", _CONFERENCE, "none", "ends", "", "pauses"),
    ("dead_air", "Dead Air", {}, "none", "stops", "", "pauses"),
    ("device", "Device", {"id": "device"}, "cause", "answered", "id", "pauses"),
    ("directory", "Directory", {"id": "directory"}, "default", "continues", "id", "pauses"),
    ("disa", "DISA", {}, "default", "continues", "", "pauses"),
    ("do_not_disturb", "Do Not Disturb", {"id": "user"}, "default", "continues", "", ""),
    ("dynamic_cid", "Dynamic CID", {"id": "list", "media_id": "media"}, "default", "continues", "", "pauses"),
    ("eavesdrop", "Eavesdrop", {"device_id": "device", "user_id": "user", **_APPROVED}, "none", "stops", "", ""),
    ("eavesdrop_feature", "Eavesdrop Feature", {"group_id": "group", **_APPROVED}, "default", "stops", "", ""),
    ("edr", "EDR", {}, "default", "continues", "", "silent"),
    ("fax_detect", "Fax Detect", {}, "fax", "continues", "", "choice"),
    ("faxbox", "Fax Boxes", {"id": "faxbox", "faxbox_id": "faxbox"}, "none", "ends", "id", "pauses"),
    ("flush_dtmf", "Flush DTMF", {}, "default", "continues", "", "silent"),
    ("function", "Function", {"id": "function"}, "default", "jumps", "id", "pauses"),
    (
        "group",
        "Group",
        {"id": "group", "endpoints[].id": "member", "ringback": "media"},
        "cause",
        "answered",
        "id",
        "pauses",
    ),
    ("group_pickup", "Group Pickup", {**_TARGETS, **_APPROVED}, "none", "stops", "", ""),
    ("group_pickup_feature", "Group Pickup Feature", {**_TARGETS, **_APPROVED}, "none", "stops", "", ""),
    ("hangup", "Hang Up", {}, "none", "ends", "", ""),
    ("hotdesk", "Hot Desk", {"id": "user"}, "cause", "continues", "", "pauses"),
    ("intercept", "Intercept", {**_TARGETS, **_APPROVED}, "none", "stops", "", ""),
    ("intercept_feature", "Intercept Feature", _APPROVED, "none", "stops", "", ""),
    ("intercom", "Intercom", {}, "default", "continues", "", ""),
    ("language", "Language", {}, "default", "continues", "", "silent"),
    ("lookupcidname", "Caller ID Name Lookup", {"lists[]": "list"}, "default", "continues", "", "silent"),
    ("manual_presence", "Manual Presence", {}, "default", "continues", "", ""),
    ("menu", "Menu", {"id": "menu"}, "menu", "continues", "id", "pauses choice"),
    ("missed_call_alert", "Missed Call Alert", {"recipients[].id": "recipient"}, "default", "continues", "", "silent"),
    ("move", "Move", {}, "none", "stops", "", ""),
    ("nomorobo", "Nomorobo", {}, "integer", "continues", "", "choice"),
    ("noop", "No Operation", {}, "default", "continues", "", "silent"),
    ("notification", "Notification", {"recipients[].id": "recipient"}, "default", "continues", "", "silent"),
    (
        "offnet",
        "Global Carrier",
        {"hunt_account_id": "account", "to_did": "number", "ringback": "media"},
        "carrier",
        "carrier",
        "",
        "pauses",
    ),
    ("page_group", "Page Group", {"endpoints[].id": "member"}, "default", "answered", "", "pauses"),
    ("park", "Park", {}, "value", "stops", "", "pauses"),
    ("pivot", "Pivot", {"voice_url": "url", "cdr_url": "url"}, "default", "answered", "", "pauses"),
    ("play", "Media", {"id": "media"}, "default", "continues", "id", "pauses"),
    ("prepend_cid", "Prepend Caller ID", {}, "default", "continues", "", "silent"),
    ("privacy", "Privacy", {}, "default", "continues", "", ""),
    ("receive_fax", "Receive Fax", {"owner_id": "user"}, "none", "ends", "", "pauses"),
    ("record_call", "Record Call", {"url": "url"}, "default", "continues", "", "silent"),
    ("record_caller", "Record Caller", {"url": "url"}, "default", "continues", "", "silent pauses"),
    (
        "resources",
        "Account Carrier",
        {"hunt_account_id": "account", "to_did": "number", "ringback": "media"},
        "carrier",
        "carrier",
        "",
        "pauses",
    ),
    ("response", "Response", {"media": "media"}, "none", "stops", "", ""),
    ("ring_group", "Ring Group", {"endpoints[].id": "member", "ringback": "media"}, "cause", "answered", "", "pauses"),
    ("ring_group_toggle", "Ring Group Toggle", {"callflow_id": "callflow"}, "default", "continues", "callflow_id", ""),
    ("route_to_cid", "Route to Caller ID", {}, "cause", "answered", "", "pauses"),
    ("send_dtmf", "Send DTMF", {}, "default", "continues", "", "silent"),
    ("set", "Set", {}, "default", "continues", "", "silent"),
    ("set_alert_info", "Distinctive Ring", {}, "default", "continues", "", "silent"),
    ("set_cid", "Set Caller ID", {}, "default", "continues", "", "silent"),
    ("set_variable", "Set Variable", {}, "default", "continues", "", "silent"),
    ("set_variables", "Set CAV", {}, "default", "continues", "", "silent"),
    ("skel", "Skeleton", {}, "default", "continues", "", "silent"),
    ("sleep", "Sleep", {}, "default", "continues", "", "silent pauses"),
    (
        "temporal_route",
        "Time of Day",
        {"rules[]": "temporal_rule", "rule_set": "temporal_rule_set"},
        "rules",
        "continues",
        "",
        "choice",
    ),
    ("transfer", "Transfer", {"target": "number"}, "none", "ends", "", ""),
    ("tts", "TTS", {}, "default", "continues", "", "pauses"),
    ("user", "User", {"id": "user"}, "cause", "answered", "id", "pauses"),
    ("voicemail", "Voicemail", {"id": "vmbox"}, "default", "continues", "", "pauses"),
    ("wait_for_hangup", "Wait for Hangup", {}, "none", "stops", "", "pauses"),
    ("webhook", "Webhook", {"uri": "url"}, "default", "continues", "", ""),
)

MODULES: Final[Mapping[str, Module]] = {
    name: Module(
        name=name,
        label=label,
        references=tuple(references.items()),
        branches=branches,
        ending=ending,
        required=required,
        silent="silent" in traits,
        pauses="pauses" in traits,
        choice="choice" in traits,
    )
    for name, label, references, branches, ending, required, traits in _ROWS
}
"""Every module of Kazoo's callflow application and of its queue application (``acdc``), by name."""

METAFLOW_MODULES: Final[Mapping[str, Module]] = {
    name: Module(name=name, label=label, references=tuple(references.items()))
    for name, label, references in (
        ("audio_level", "Audio Level", {}),
        ("break", "Break", {}),
        ("callflow", "Callflow", {"id": "callflow"}),
        ("hangup", "Hang Up", {}),
        ("hold", "Hold", {"moh_aleg": "media", "moh_bleg": "media"}),
        ("hold_control", "Hold Control", {}),
        ("intercept", "Intercept", {"target_id": "target"}),
        ("move", "Move", {"device_id": "device", "owner_id": "user"}),
        ("pivot", "Pivot", {"voice_url": "url", "cdr_url": "url"}),
        ("play", "Media", {"id": "media"}),
        ("record_call", "Record Call", {"url": "url"}),
        ("relate", "Relate", {"conference_id": "conference"}),
        ("resume", "Resume", {}),
        ("say", "Say", {}),
        ("sound_touch", "Sound Touch", {}),
        ("transfer", "Transfer", {"target": "number", "ringback": "media", "moh": "media"}),
        ("tts", "TTS", {}),
    )
}
"""The modules of metaflows (Kazoo's konami application), by name. Only their labels and references are known."""

OTHER_VENDORS: Final = frozenset(
    {"acdc_agent_availability", "agent", "call_failover", "qubicle", "queue", "temporal_set"}
)
"""Modules that are not in Kazoo's public sources but are known to exist on servers."""

_CAUSE: Final = re.compile(r"[A-Z][A-Z0-9_]+|sip:[1-6][0-9][0-9]")
_DIGITS: Final = re.compile(r"[0-9*]+")
_SCORES: Final = tuple(map(str, range(11)))
_INTEGER: Final = re.compile(r"-?[0-9]+")


def label(module: str | None, data: Mapping[str, Any] | None = None) -> str:
    """Return the label of a module. For an unknown module, return its name, in which secrets are hidden.

    If ``data`` is given, the label of ``voicemail`` depends on it: ``Voicemail``, ``Check Voicemail`` or ``Direct to
    Voicemail``.
    """
    if module == "voicemail" and data is not None:
        if data.get("action") == "check":
            return "Check Voicemail"
        return "Voicemail" if data.get("id") else "Direct to Voicemail"
    known = MODULES.get(module or "") or METAFLOW_MODULES.get(module or "")
    return known.label if known else masked_text(module or "")


def is_skipped(node: FlowNode) -> bool:
    """Whether the server skips the node because of ``skip_module``, and takes its default child (``cf_exe.erl``)."""
    return is_true(node.data.get("skip_module"))


def is_true(value: Any) -> bool:
    """Whether the server reads a JSON value as true: ``true`` or ``"true"`` (``kz_term:is_true``)."""
    return value is True or value == "true"


def is_cause(key: str) -> bool:
    """Whether ``key`` names a hangup cause or a SIP status, such as ``USER_BUSY`` or ``sip:486``."""
    return _CAUSE.fullmatch(key) is not None


def is_digits(key: str) -> bool:
    """Whether ``key`` consists of characters that a menu collects: digits and ``*``.

    ``#`` ends the input (``collect_digits`` in ``kapps_call_command.erl``).
    """
    return _DIGITS.fullmatch(key) is not None


def is_integer(key: str) -> bool:
    """Whether ``key`` is an integer. Modules that compare their keys with a number need such keys."""
    return _INTEGER.fullmatch(key) is not None


def may_take(node: FlowNode, key: str) -> bool:  # noqa: PLR0911  # one return for each kind
    """Whether the server may take the child ``key`` of ``node``.

    If this cannot be known, the result is true. It cannot be known if the module is unknown or runs on another server
    (``remote_execution``), or if the server compares the key with a value of the call.
    """
    known = MODULES.get(node.module or "")
    if known is None:
        return True
    if is_skipped(node):
        return key == "_"
    if is_true(node.extra.get("remote_execution")):
        return True
    match known.branches:
        case "none":
            return False
        case "default":
            return key == "_"
        case "carrier":
            return is_cause(key)
        case "cause":
            return key == "_" or is_cause(key)
        case _:
            return key == "_" or _may_take_named(known.branches, node, key)


def _may_take_named(  # noqa: PLR0911  # one return for each kind
    branches: Branches, node: FlowNode, key: str
) -> bool:
    """Return the result of ``may_take`` for modules that define keys for their children, such as ``match``."""
    data = node.data
    match branches:
        case "menu":
            return is_digits(key) or key in {"timeout", "max_retries"}
        case "rules":
            return not is_switch(data) and (key != "rule_set" or bool(data.get("rule_set")))
        case "match":
            return key in {"match", "nomatch"}
        case "fax":
            return key in FAX_CHILDREN
        case "integer":
            return _may_take_score(node, key) if node.module == "nomorobo" else is_integer(key)
        case "caller":
            return can_fail(data) if key == "nomatch" else (key != "match") is is_absolute(data)
        case _:
            return not is_true(data.get("hunt"))


def _may_take_score(node: FlowNode, key: str) -> bool:
    if key in _SCORES:
        return True
    has_lower = "_" in node.children or (bool(score_keys(node)) and not key.startswith("-"))
    return is_integer(key) and not has_lower  # without the key _, the lowest key takes all lower scores


def score_keys(node: FlowNode) -> list[str]:
    """Return the keys of a ``nomorobo`` that are scores, from 0 to 10.

    The server takes the highest key that is not above the score. If all keys are above the score, it takes the default
    branch, or the lowest key if there is no default branch (``cf_nomorobo.erl``).
    """
    return [key for key in _SCORES if key in node.children]


def fails(node: FlowNode) -> bool:
    """Whether a child's key makes the module fail in each call, so that the server takes the default branch."""
    return node.module == "acdc_wait_time" and any(key != "_" and not is_integer(key) for key in node.children)


def time_rules(node: FlowNode) -> list[str]:
    """Return the ids in the field ``rules`` of a ``temporal_route``."""
    rules = node.data.get("rules")
    return [rule for rule in rules if isinstance(rule, str)] if isinstance(rules, list | tuple) else []


def is_switch(data: Mapping[str, Any]) -> bool:
    """Whether a ``temporal_route`` switches its rules on or off, instead of choosing a branch by them."""
    return data.get("action") in ("disable", "enable", "menu", "reset")  # the value may be unhashable


def is_absolute(data: Mapping[str, Any]) -> bool:
    """Whether a ``check_cid`` takes the child whose key is the caller's complete number."""
    return is_true(data.get("use_absolute_mode"))


def outcomes(node: FlowNode) -> tuple[str, ...]:
    """Return the keys whose children together take every call, or an empty tuple if no such keys are known."""
    if node.module == "check_cid":
        return ("_" if is_absolute(node.data) else "match", *(["nomatch"] if can_fail(node.data) else []))
    if node.module == "nomorobo":
        return ("0",) if "_" not in node.children else ()  # the child 0 also takes the calls without a score
    return {"cidlistmatch": ("match", "nomatch"), "fax_detect": FAX_CHILDREN}.get(node.module or "", ())


def takes_every_call(node: FlowNode) -> bool:
    """Whether the children of ``node`` other than ``_`` take every call."""
    keys = outcomes(node)
    return bool(keys) and "_" not in keys and all(has_child(node, key) for key in keys)


def has_child(node: FlowNode, key: str) -> bool:
    """Whether the server finds a child ``key`` of ``node``.

    Modules that try a key before they take the default branch do not find an empty child (``attempt`` in
    ``cf_exe.erl``). Other modules find it, and the callflow ends there.
    """
    if key not in node.children:
        return False
    known = MODULES.get(node.module or "")
    return key == "_" or not (known and known.branches in _ATTEMPTED and is_empty(node.children[key]))


_ATTEMPTED: Final = frozenset({"caller", "carrier", "cause", "match", "menu"})
FAX_CHILDREN: Final = ("ON_FAX", "ON_VOICE")


def can_fail(data: Mapping[str, Any]) -> bool:
    """Whether the ``regex`` of a ``check_cid`` can fail to match. The default, ``.*``, matches every caller."""
    return data.get("regex") not in (None, "", ".*")
