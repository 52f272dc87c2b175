"""The rules of ``findings``: the severity, title, explanation and source for each code."""

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen

Severity = Literal["error", "warning", "info"]
Fault = tuple[str, Severity, str, tuple[str, ...]]
"""The code, severity, message and ``related`` of a finding."""


@frozen
class Rule:
    """A rule of ``findings``.

    ``severity`` is the highest severity that a finding of the rule can have. ``milder`` is the lower severity of some
    findings, or None. ``explanation`` says which findings have the lower severity. ``source`` is what the rule is based
    on.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    source: str
    milder: Severity | None = None

    @property
    def severities(self) -> str:
        """The severities that a finding of the rule can have, such as ``error`` or ``warning or info``."""
        return " or ".join(filter(None, (self.severity, self.milder)))


_MODULES: Final = "Kazoo, applications/callflow/src/module"
_EXE: Final = "Kazoo, applications/callflow/src/cf_exe.erl"
_FLOW: Final = "Kazoo, applications/callflow/src/cf_flow.erl"
_METADATA: Final = "Kazoo, applications/crossbar/src/modules/cb_callflows.erl (get_metadata)"

_RULES: Final[tuple[tuple[str, Severity, str, str, str], ...]] = (
    (
        "R101",
        "error",
        "A referenced document does not exist",
        (
            "The metadata of a callflow contains the name of each document to which the callflow refers. If a document "
            "is missing there, it was deleted, or it belongs to another account. The module that refers to it does "
            "nothing, or the call fails at this module. If a time rule does not exist, its child is never taken."
        ),
        _METADATA,
    ),
    (
        "R102",
        "error",
        "A module lacks the id that it needs",
        (
            "The module needs the id of a user, a device, a menu or another document, but its data has no such id. The "
            "server skips the module, or callers hear that something is wrong. The severity is warning if the module "
            "neither rings somebody nor decides where the call goes."
        ),
        _MODULES,
    ),
    (
        "R103",
        "error",
        "A referenced document is of another kind",
        "The id belongs to a document of the wrong kind: a user module with the id of a device, for example.",
        _METADATA,
    ),
    (
        "J201",
        "error",
        "A jump to a callflow that does not exist",
        (
            "The account has no callflow with this id. The call continues with the default branch, or ends if there "
            "is none."
        ),
        f"{_MODULES}/cf_callflow.erl",
    ),
    (
        "J202",
        "error",
        "Callflows jump in a circle without a pause",
        (
            "No module in the circle rings, plays, asks or waits. Within a moment, the call reaches the server's limit "
            "of 50 jumps and is dropped."
        ),
        _EXE,
    ),
    (
        "J203",
        "info",
        "Callflows jump in a circle",
        "This is normal for menus that repeat. The server drops a call after 50 jumps.",
        _EXE,
    ),
    (
        "E301",
        "error",
        "A callflow with numbers has no flow",
        "Calls to the numbers and patterns of the callflow fail.",
        _EXE,
    ),
    (
        "E302",
        "warning",
        "A choice has no default",
        (
            "If none of the children applies to a call, the call is cut off, because there is no default branch. The "
            "severity is info if the call may return to a callflow that has jumped to this one."
        ),
        _EXE,
    ),
    (
        "E303",
        "warning",
        "The call ends without a word",
        "Callers hear nothing from the last module of the flow, and are cut off in silence.",
        _EXE,
    ),
    (
        "E304",
        "info",
        "A menu has no keys",
        "Callers can dial only extensions, and only if the settings of the menu allow it.",
        f"{_MODULES}/cf_menu.erl",
    ),
    (
        "E305",
        "warning",
        "A child is empty",
        (
            "A call that takes an empty child ends there: the server does not try the default branch. In a menu, for "
            "hangup causes and for caller IDs, an empty child counts as missing instead. For an empty default branch, "
            "the severity is info if callflows often end after such a module, or if the call may return to a callflow "
            "that has jumped to this one."
        ),
        _EXE,
    ),
    (
        "E306",
        "info",
        "If nobody answers, the call is cut off",
        "The flow has no branch for calls that nobody answers. Usually such a branch leads to voicemail.",
        _EXE,
    ),
    (
        "E307",
        "info",
        "A menu ends without a destination",
        (
            "The menu has no child timeout, no child max_retries and no default branch. Callers who press no key, or "
            "only wrong keys, hear a goodbye. Then the call is cut off, unless it returns to a callflow that has "
            "jumped to this one."
        ),
        f"{_MODULES}/cf_menu.erl",
    ),
    (
        "E308",
        "error",
        "A node has no module",
        "The server cannot run the node, and drops the call.",
        _EXE,
    ),
    (
        "B401",
        "warning",
        "A child is never taken",
        (
            "The module never continues with a child of this name. Hangup causes are in upper case (USER_BUSY), and "
            "SIP statuses begin with sip: (sip:486). In a menu, # ends what the caller enters. The severity is info "
            "for the default branch of a module that never continues."
        ),
        _MODULES,
    ),
    (
        "B402",
        "info",
        "A time rule has no child",
        "While the rule is active, calls take the default branch, and later rules are not tried.",
        f"{_MODULES}/cf_temporal_route.erl",
    ),
    (
        "B403",
        "warning",
        "The default branch of a menu is never taken",
        (
            "After too many tries, the server takes the child max_retries. It takes the default branch only if "
            "max_retries is missing."
        ),
        f"{_MODULES}/cf_menu.erl",
    ),
    (
        "B404",
        "warning",
        "A carrier module does not continue",
        (
            "When a call to a carrier fails, the server takes the child that is named after the hangup cause. It "
            "does not take the default branch or any other child."
        ),
        f"{_MODULES}/cf_resources.erl",
    ),
    (
        "B405",
        "info",
        "No time rules",
        "All calls take the default branch. Some user interfaces create a time module without rules.",
        f"{_MODULES}/cf_temporal_route.erl",
    ),
    (
        "B406",
        "error",
        "A waiting time is not a number",
        (
            "The keys of the module's children must be numbers of seconds. If any of them is not, all calls take the "
            "default branch."
        ),
        "Kazoo, applications/acdc/src/cf_acdc_wait_time.erl",
    ),
    (
        "N501",
        "error",
        "Two callflows have the same number",
        "The callflow with the lowest id gets all calls.",
        _FLOW,
    ),
    (
        "N502",
        "info",
        "Nothing leads to a callflow",
        (
            "The callflow has no number or pattern that can be dialled, and no other callflow of the account jumps to "
            "it. A directory, a preflow or a script may still use it."
        ),
        _FLOW,
    ),
    (
        "N503",
        "warning",
        "A feature code does not reach its callflow",
        "Dialling the code, with or without a star, leads to another callflow or to none.",
        _FLOW,
    ),
    (
        "N504",
        "error",
        "A callflow has no_match and a number",
        "A callflow with no_match among its numbers refuses all calls from outside, also to its other numbers.",
        "Kazoo, applications/callflow/src/cf_route_req.erl",
    ),
    (
        "P601",
        "error",
        "A pattern is not valid",
        (
            "The server skips patterns that it cannot compile. A plus sign or a star at the beginning must be "
            "escaped: \\+."
        ),
        _FLOW,
    ),
    (
        "P602",
        "warning",
        "A pattern never gets a call",
        (
            "The check tries some numbers that match the pattern. They all reach other callflows, which have the "
            "number itself, or a pattern that captures more, or a pattern that captures as much and is tried first."
        ),
        _FLOW,
    ),
    (
        "P603",
        "error",
        "A pattern can match without its groups",
        "If a match sets none of the pattern's groups, the server fails, and no callflow gets the call.",
        _FLOW,
    ),
    (
        "P604",
        "warning",
        "Patterns leave nothing for no_match",
        (
            "The check tries four unrelated numbers, and patterns take all of them. These patterns probably take every "
            "number. The callflow for all other numbers (no_match) is then never used."
        ),
        _FLOW,
    ),
    (
        "P605",
        "info",
        "Patterns overlap",
        (
            "A number matches the pattern, but goes to another callflow. The pattern of that callflow captures more, "
            "or it captures as much and is tried first."
        ),
        _FLOW,
    ),
    (
        "M701",
        "warning",
        "An unknown module",
        (
            "Kazoo has no module of this name. A server without this module skips it and takes the default branch. The "
            "severity is info if there is a default branch."
        ),
        _EXE,
    ),
    (
        "M702",
        "warning",
        "A module is switched off",
        (
            "Because of skip_module, the server skips the module and takes the default branch. The severity is info if "
            "there is a default branch, or if the call may return to a callflow that has jumped to this one. "
            "But the severity is warning if calls to the numbers of the callflow ring nobody. This is the case if the "
            "module is a user, a device or a group, and no other module of the callflow rings or connects the caller."
        ),
        _EXE,
    ),
    (
        "M703",
        "warning",
        "A group has no members",
        "The group rings nobody.",
        f"{_MODULES}/cf_ring_group.erl, cf_page_group.erl",
    ),
    (
        "M704",
        "warning",
        "A member of a group never rings",
        (
            "The delay of the member is at least as long as the group rings, or the members before it ring for all of "
            "that time. If the members are not an array of objects, the server rings none of them."
        ),
        f"{_MODULES}/cf_ring_group.erl",
    ),
    (
        "M705",
        "info",
        "A member is in a group twice",
        "This is probably a mistake.",
        f"{_MODULES}/cf_ring_group.erl",
    ),
    (
        "S801",
        "warning",
        "A password or token in a callflow",
        "Everyone who may read callflows can read this secret. The finding shows the field, but not the value.",
        "the documents themselves",
    ),
    (
        "S802",
        "error",
        "DISA without a PIN",
        "Everyone who calls the number can dial out at the cost of the account.",
        f"{_MODULES}/cf_disa.erl",
    ),
    (
        "S803",
        "info",
        "Call data is sent without encryption",
        "The address begins with http://, so others on the network can read the numbers or recordings.",
        f"{_MODULES}/cf_pivot.erl, cf_record_call.erl, cf_webhook.erl",
    ),
)

_MILDER: Final[Mapping[str, Severity]] = {
    "R102": "warning",
    "E302": "info",
    "E305": "info",
    "B401": "info",
    "M701": "info",
    "M702": "info",
}

RULES: Final[Mapping[str, Rule]] = {row[0]: Rule(*row, _MILDER.get(row[0])) for row in _RULES}
"""All rules, by code."""
