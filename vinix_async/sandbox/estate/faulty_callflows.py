"""Defines the callflows of the account with deliberate faults.

For each rule of ``vinix_async.flows``, there is one callflow that only this rule reports. The name of the callflow
begins with the code of the rule and describes the fault. Callflows whose names begin with ``Gets`` have no fault, but
are needed for the faults of other callflows.
"""

from typing import Final

from .dates import gregorian_seconds
from .ids import digest
from .quirks import Json

FAULTY_ACCOUNT_NAME: Final = "Deliberate faults"

_FIRST_EXTENSION: Final = 1000
_CREATED: Final = 1_700_000_000
"""Unix time at which the callflows were created."""


def _id(name: str) -> str:
    """Return an id that begins with the first four characters of the name, as hexadecimal digits.

    The names of most callflows begin with a code of four characters. Therefore their ids are in the order of the codes.
    """
    return name[:4].encode().hex() + digest("faulty", name, size=12)


_GONE: Final = _id("gone")
_USER, _DEVICE, _MAILBOX, _MENU = _id("user"), _id("device"), _id("vmbox"), _id("menu")
_QUEUE, _MEDIA, _HOURS = _id("queue"), _id("media"), _id("temporal_rule")

ENTITIES: Final[dict[str, Json]] = {
    _USER: {"name": "Ann Ash", "pvt_type": "user"},
    _DEVICE: {"name": "Door phone", "pvt_type": "device"},
    _MAILBOX: {"name": "Office", "pvt_type": "vmbox"},
    _MENU: {"name": "Day menu", "pvt_type": "menu"},
    _QUEUE: {"name": "Support", "pvt_type": "queue"},
    _MEDIA: {"name": "Welcome", "pvt_type": "media"},
    _HOURS: {"name": "Office hours", "pvt_type": "temporal_rule"},
}
"""The entities of the account: a dict from their ids to their metadata."""


def _node(module: str, data: Json | None = None, **children: Json) -> Json:
    return {"module": module, "data": data or {}, "children": children}


def _user(**children: Json) -> Json:
    return _node("user", {"id": _USER, "timeout": 20}, **children)


def _menu(**children: Json) -> Json:
    return _node("menu", {"id": _MENU}, **children)


def _group(module: str, endpoints: list[Json]) -> Json:
    data = {"name": "Sales", "strategy": "simultaneous", "timeout": 20, "endpoints": endpoints}
    return _node(module, data, _=_VOICEMAIL)


def _jump(target: str) -> Json:
    return _node("callflow", {"id": target})


_VOICEMAIL: Final = _node("voicemail", {"id": _MAILBOX, "action": "compose"})
_HANGUP: Final = _node("hangup")

_CIRCLE: Final = "J202 jumps to itself at once"
_REPETITION: Final = "J203 jumps to itself if 9 is pressed"

_MEMBER: Final = {"endpoint_type": "user", "id": _USER, "delay": 0, "timeout": 20}
_LATE_MEMBER: Final = {"endpoint_type": "device", "id": _DEVICE, "delay": 20, "timeout": 20}

_FLOWS: Final[tuple[tuple[str, Json], ...]] = (
    ("R101 rings a deleted user", _node("user", {"id": _GONE}, _=_VOICEMAIL)),
    ("R102 does not say which user to ring", _node("user", {}, _=_VOICEMAIL)),
    ("R103 rings a device as a user", _node("user", {"id": _DEVICE}, _=_VOICEMAIL)),
    ("J201 jumps to a missing callflow", _user(_=_jump(_GONE))),
    (_CIRCLE, _jump(_id(_CIRCLE))),
    (_REPETITION, _menu(**{"1": _user(_=_VOICEMAIL), "9": _jump(_id(_REPETITION)), "_": _HANGUP})),
    ("E302 has no default outside office hours", _node("temporal_route", {"rules": [_HOURS]}, **{_HOURS: _VOICEMAIL})),
    ("E303 answers and ends in silence", _node("answer", {}, _=_node("set_cid", {"caller_id_name": "Sales"}))),
    ("E304 has a menu without keys", _menu(timeout=_VOICEMAIL, _=_HANGUP)),
    ("E305 has an empty default", _user(_={})),
    ("E306 cuts off calls that nobody answers", _user()),
    ("E307 has a menu without a way out", _menu(**{"1": _VOICEMAIL})),
    ("E308 has a node without a module", _user(_={"data": {}, "children": {}})),
    ("B401 has a child 486 instead of sip:486", _user(**{"486": _HANGUP, "_": _VOICEMAIL})),
    ("B402 has a time rule without a child", _node("temporal_route", {"rules": [_HOURS]}, _=_VOICEMAIL)),
    (
        "B403 has max_retries and a default",
        _menu(**{"1": _VOICEMAIL, "max_retries": _HANGUP, "_": _HANGUP}),
    ),
    ("B404 expects a carrier to continue", _node("resources", {"to_did": "+15550100199"}, _=_VOICEMAIL)),
    ("B405 has a time of day without rules", _node("temporal_route", {"timezone": "UTC"}, _=_VOICEMAIL)),
    (
        "B406 has a waiting time in words",
        _node("acdc_wait_time", {"id": _QUEUE}, soon=_HANGUP, _=_VOICEMAIL),
    ),
    ("M701 has an unknown module", _node("survey", {"questions": 3})),
    ("M702 has a module that is switched off", _node("user", {"id": _USER, "skip_module": True}, _=_VOICEMAIL)),
    ("M703 has a ring group without members", _group("ring_group", [])),
    ("M704 has a member that never rings", _group("ring_group", [_MEMBER, _LATE_MEMBER])),
    ("M705 has a member twice", _group("page_group", [_MEMBER, _MEMBER])),
    ("S801 sends a token in a URL", _node("webhook", {"uri": "https://crm.example.com/?token=example"}, _=_VOICEMAIL)),
    ("S802 lets everyone dial out", _node("disa", {"pin": ""}, _=_HANGUP)),
    ("S803 sends call data without encryption", _node("pivot", {"voice_url": "http://pivot.example.com/"}, _=_HANGUP)),
)
"""The name and the flow of each callflow with a fault in its flow. The callflow's number is added later."""

_NUMBERS: Final[tuple[tuple[str, Json], ...]] = (
    ("E301 has a number but no flow", {"numbers": ["+15550100101"], "flow": {}}),
    ("N501 has the number of another callflow", {"numbers": ["+15550100102"]}),
    ("Gets the calls of N501", {"numbers": ["+15550100102"]}),
    ("N502 cannot be dialled", {"numbers": ["Reception"]}),
    (
        "N503 has an unreachable feature code",
        {"patterns": [r"^\*4$"], "featurecode": {"name": "park_and_retrieve", "number": "3"}},
    ),
    ("N504 refuses calls from outside", {"numbers": ["no_match", "+15550100103"]}),
    ("P601 has an invalid pattern", {"patterns": [r"^+33([0-9]{9})$"]}),
    ("P602 has a pattern that never wins", {"patterns": [r"^\*72([0-9]*)$"]}),
    ("Gets the calls of P602", {"patterns": [r"^\*7([0-9]*)$"]}),
    ("P603 has a pattern whose group is optional", {"patterns": [r"^\*5([0-9])?$"]}),
    ("P604 takes every number", {"patterns": [r"^\+?([0-9]+)$"]}),
    ("P605 has a pattern that overlaps", {"patterns": [r"^\*8"]}),
    ("Gets some calls of P605", {"patterns": [r"^(\*8[0-9]+)$"]}),
)
"""The name and the fields of each callflow whose fault is in its numbers or patterns, or that has no fault."""


def _document(name: str, fields: Json) -> Json:
    created = gregorian_seconds(_CREATED)
    dates = {"pvt_type": "callflow", "pvt_created": created, "pvt_modified": created}
    return {"id": _id(name), "name": name, "numbers": [], "patterns": [], "flags": [], **fields, **dates}


FAULTY_CALLFLOWS: Final[dict[str, Json]] = {
    document["id"]: document
    for document in (
        *(
            _document(name, {"numbers": [str(_FIRST_EXTENSION + position)], "flow": flow})
            for position, (name, flow) in enumerate(_FLOWS)
        ),
        *(_document(name, {"flow": _VOICEMAIL, **fields}) for name, fields in _NUMBERS),
    )
}
"""A dict from callflow ids to stored documents."""
