"""The rules of ``findings``: each code's severity, title, explanation and source."""

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen

Severity = Literal["error", "warning", "info"]


@frozen
class Rule:
    """A rule. ``severity`` is its hardest; ``milder`` that of its other findings, if it has any.

    ``explanation`` says which findings are milder. ``source`` names what the rule rests on.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    source: str
    milder: Severity | None = None

    @property
    def severities(self) -> str:
        """The severities that a finding can have, such as ``error`` or ``warning or info``."""
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
            "The server adds the name of each document to which a callflow refers. It did not find this one: it was "
            "deleted, or belongs to another account. The module does nothing, or the call fails there; the child of "
            "a time rule that does not exist is never taken."
        ),
        _METADATA,
    ),
    (
        "R102",
        "error",
        "A module does not say what it is for",
        (
            "The module needs the id of a user, a device, a menu or the like, and its data has none. The server "
            "skips it, or tells the caller that something is wrong. It is a warning where the module neither rings nor "
            "decides where the call goes."
        ),
        _MODULES,
    ),
    (
        "R103",
        "error",
        "A referenced document is of another kind",
        "The id exists, but is that of something else, for instance a device's in a user module.",
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
            "Nothing on the way rings, plays, asks or waits. The call uses up the 50 jumps that the server allows "
            "within a moment, and is dropped."
        ),
        _EXE,
    ),
    (
        "J203",
        "info",
        "Callflows jump in a circle",
        "This is normal for menus that repeat. The server allows 50 jumps a call, then drops it.",
        _EXE,
    ),
    (
        "E301",
        "error",
        "A callflow with numbers has no flow",
        "Calls to the numbers reach the callflow, and fail.",
        _EXE,
    ),
    (
        "E302",
        "warning",
        "A choice has no default",
        (
            "Calls for which none of the children applies are cut off, because there is no default branch. It is "
            "info where a jump leads to this callflow, since the call may continue after the jump."
        ),
        _EXE,
    ),
    (
        "E303",
        "warning",
        "The call ends without a word",
        "The last module of the flow is one that callers do not hear, so that they are cut off in silence.",
        _EXE,
    ),
    (
        "E304",
        "info",
        "A menu has no keys",
        "Nothing can be pressed but extensions, and those only if the menu's own settings allow it.",
        f"{_MODULES}/cf_menu.erl",
    ),
    (
        "E305",
        "warning",
        "A child is empty",
        (
            "A child without a module ends the call that takes it: the default branch is not tried instead. Under a "
            "menu or a hangup cause, an empty child counts as missing. It is info for a default branch after which "
            "nothing is expected, or to whose callflow a jump leads, since the call may continue after the jump."
        ),
        _EXE,
    ),
    (
        "E306",
        "info",
        "If nobody answers, the call is cut off",
        "The flow says nothing for a call that is not answered. Voicemail or another destination is usual.",
        _EXE,
    ),
    (
        "E307",
        "info",
        "A menu ends without a destination",
        (
            "Callers who press nothing, or wrong keys only, hear goodbye and are cut off: the menu has neither of "
            "the children timeout, max_retries and _."
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
            "SIP statuses begin with sip: (sip:486). It is info for the default branch of a module that ends the "
            "call."
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
        ("After too many tries the server takes max_retries, and the default branch only if there is no max_retries."),
        f"{_MODULES}/cf_menu.erl",
    ),
    (
        "B404",
        "warning",
        "A carrier module does not continue",
        (
            "When a call to a carrier fails, only a child that is named after the hangup cause is taken; the "
            "default branch is not."
        ),
        f"{_MODULES}/cf_resources.erl",
    ),
    (
        "B405",
        "info",
        "No time rules",
        "All calls take the default branch. Some user interfaces start with such a module.",
        f"{_MODULES}/cf_temporal_route.erl",
    ),
    (
        "B406",
        "error",
        "A waiting time is not a number",
        ("The children of the module are seconds. On any other key it stops, and all calls take the default branch."),
        "Kazoo, applications/acdc/src/cf_acdc_wait_time.erl",
    ),
    (
        "N501",
        "error",
        "Two callflows have the same number",
        "The one with the lower id gets all calls.",
        _FLOW,
    ),
    (
        "N502",
        "info",
        "Nothing leads to a callflow",
        (
            "No number or pattern that can be dialled, and no jump of the account's callflows. A directory, a "
            "preflow or a script may still use it."
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
        "no_match is beside a number",
        (
            "A callflow that has no_match among its numbers refuses calls from outside, whichever of its numbers "
            "they are for."
        ),
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
            "All numbers that were tried go to another callflow: one that has the number itself, or whose pattern "
            "captures more. They are numbers that begin as the pattern does."
        ),
        _FLOW,
    ),
    (
        "P603",
        "error",
        "A pattern can match without its groups",
        "If none of a pattern's groups takes part in a match, the server fails, and no callflow gets the call.",
        _FLOW,
    ),
    (
        "P604",
        "warning",
        "Patterns leave nothing for no_match",
        (
            "Each of four quite different numbers is taken by a pattern, so that the callflow for all other numbers "
            "is never used."
        ),
        _FLOW,
    ),
    (
        "P605",
        "info",
        "Patterns overlap",
        "A number matches the pattern, but goes to another callflow, whose pattern captures more.",
        _FLOW,
    ),
    (
        "M701",
        "warning",
        "An unknown module",
        (
            "Kazoo has no module of this name. A server that has none either skips it and takes the default branch. "
            "It is info where there is one."
        ),
        _EXE,
    ),
    (
        "M702",
        "warning",
        "A module is switched off",
        (
            "With skip_module, the call continues with the default branch. It is info where there is one, or a jump "
            "leads to this callflow, unless calls to the callflow's numbers then ring nobody: a user, a device or a "
            "group is switched off, and nothing else in the callflow rings or connects."
        ),
        _EXE,
    ),
    (
        "M703",
        "warning",
        "A group has no members",
        "It rings nobody.",
        f"{_MODULES}/cf_ring_group.erl, cf_page_group.erl",
    ),
    (
        "M704",
        "warning",
        "A member of a group never rings",
        (
            "The member's delay is not shorter than the time for which the group rings, or those before it use up "
            "that time."
        ),
        f"{_MODULES}/cf_ring_group.erl",
    ),
    (
        "M705",
        "info",
        "A member is in a group twice",
        "It is probably a mistake.",
        f"{_MODULES}/cf_ring_group.erl",
    ),
    (
        "S801",
        "warning",
        "A password or token in a callflow",
        "Everyone who may read callflows can read it. The finding names the field only.",
        "the documents themselves",
    ),
    (
        "S802",
        "error",
        "DISA without a PIN",
        "All who call the number can dial out at the account's cost.",
        f"{_MODULES}/cf_disa.erl",
    ),
    (
        "S803",
        "info",
        "Call data is sent without encryption",
        "The address begins with http://, so that numbers or recordings can be read on the way.",
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
