"""Find faults in the callflows of an account by the rules in ``RULES``."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeGuard
from urllib.parse import urlsplit

from attrs import frozen

from .. import Callflow, ConfigurationError, FlowNode
from .descriptions import branch_word, name_of
from .jumps import Jump, circles, returning
from .module_catalog import (
    FAX_CHILDREN,
    MODULES,
    OTHER_VENDORS,
    Module,
    has_child,
    is_cause,
    is_digits,
    is_integer,
    is_skipped,
    is_switch,
    is_true,
    may_take,
    outcomes,
    takes_every_call,
    time_rules,
)
from .number_findings import NumberCheck
from .positions import Pointers, Row, escape, is_empty, is_summary, metaflow_tops, ordered, rows
from .references import (
    NOT_IN_METADATA,
    Found,
    Name,
    flow_references,
    members,
    metaflow_references,
    names_of,
    silent_members,
)
from .rules import RULES, Fault, Rule, Severity
from .secrets import find_secrets, masked_text

_ID: Final = re.compile(r"[0-9a-f]{32}")

_ALWAYS_CHECKED: Final = frozenset({"callflow", "url"})
"""The kinds of references that are checked even if the metadata of the callflow may be incomplete."""

_KINDS: Final = frozenset(
    {
        *("callflow", "conference", "device", "directory", "group", "list", "media", "menu", "queue", "temporal_rule"),
        *("temporal_rule_set", "user", "vmbox"),
    }
)
"""The kinds of references that must refer to a document of the same kind.

``temporal_rule`` also allows a ``temporal_rule_set``.
"""

_JUMPS: Final = frozenset({"callflow", "ring_group_toggle"})
"""Modules whose ``data`` holds the id of another callflow."""

_RINGING: Final = frozenset({"device", "group", "ring_group", "user"})
"""Modules that ring a user, a device or a group."""

_CONNECTING: Final = frozenset(
    {
        *("conference", "directory", "disa", "dynamic_cid", "faxbox", "hotdesk", "intercom", "menu", "park"),
        *("privacy", "receive_fax", "transfer"),
    }
)
"""Modules that connect the caller, although their ending is not ``answered``. ``voicemail`` does not count."""

_DECIDING: Final = frozenset({"menu", "callflow"})
"""Modules that ring nobody but decide where the call goes. Therefore a missing id in one of them is an error."""


@frozen
class Finding:
    """A fault, or a possible fault, in a callflow.

    ``path`` is the JSON pointer of the node in the callflow ``callflow_id``. It is ``""`` if the finding is about the
    whole callflow. ``related`` holds the ids, keys, fields, numbers or patterns that the finding is about. Their order
    is the same in all findings with the same ``code``. A finding contains no secrets, but the keys in its ``path`` may.
    """

    code: str
    severity: Severity
    callflow_id: str
    path: str
    message: str
    related: tuple[str, ...] = ()

    @property
    def rule(self) -> Rule:
        """The rule for ``code``, which has a title, an explanation and a source."""
        return RULES[self.code]


def findings(
    callflows: Iterable[Callflow],
    *,
    complete: bool = True,
    metadata_complete: bool | Literal["auto"] = "auto",
    preflow_id: str | None = None,
    select: Collection[str] | None = None,
    ignore: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield the faults in the callflows of one account, callflow by callflow.

    ``complete`` must be False if ``callflows`` are not all callflows of the account. The codes J201, N502 and N503 are
    then not reported, because they depend on the other callflows.

    ``metadata_complete`` must be False if the metadata of the callflows may lack documents that exist. The codes R101
    and R103 are then not reported. With ``"auto"``, the metadata of a callflow is taken as complete if it is not empty.

    ``preflow_id`` is the id of the callflow that the account runs before each call.

    ``select`` and ``ignore`` are lists of codes or of beginnings of codes (``"R"``, ``"R10"``). ``ignore`` takes
    precedence.

    A row of a listing has no flow. Only its numbers, patterns and feature code are checked. If ``callflows`` contains
    rows, N502 is not reported, because the jumps of the rows are not known.

    Raises ConfigurationError if ``select`` or ``ignore`` is a string, or if an item is not the beginning of a code.
    Raises ImportError if patterns must be matched and the extra ``flows`` is not installed. Both are raised when the
    first finding is requested.
    """
    wanted = _wanted(select, ignore)
    yield from (
        finding
        for finding in _account(
            ordered(callflows),
            complete=complete,
            metadata_complete=metadata_complete,
            preflow_id=preflow_id,
            wanted=wanted,
        )
        if finding.code in wanted
    )


def _wanted(select: Collection[str] | None, ignore: Collection[str]) -> frozenset[str]:
    for given in (select, ignore):
        if isinstance(given, str):
            raise ConfigurationError("select and ignore take a list of codes, not a string")
    for prefix in (*(select or ()), *ignore):
        if not any(code.startswith(prefix) for code in RULES):
            near = get_close_matches(prefix.upper(), RULES, n=5, cutoff=0.5)
            near = near or [code for code in RULES if code[0] == prefix[:1].upper()]
            known = f"similar codes are {', '.join(near)}" if near else f"the codes are {', '.join(RULES)}"
            raise ConfigurationError(f"no code begins with {prefix!r}; {known}")
    chosen = RULES if select is None else [code for code in RULES if code.startswith(tuple(select))]
    return frozenset(code for code in chosen if not code.startswith(tuple(ignore)))


def _account(
    callflows: list[Callflow],
    *,
    complete: bool,
    metadata_complete: bool | Literal["auto"],
    preflow_id: str | None,
    wanted: frozenset[str],
) -> Iterator[Finding]:
    ids = {callflow.id for callflow in callflows}
    names = names_of(callflows)
    surveys = [_Survey(callflow) for callflow in callflows]
    jumps = [jump for survey in surveys for jump in survey.jumps if jump.target in ids]
    used = {target for survey in surveys for target in survey.used}
    returns = returning(jumps)
    if preflow_id is not None:
        used.add(preflow_id)
        returns.add(preflow_id)
        if complete and preflow_id not in ids:
            yield Finding("J201", "error", preflow_id, "", "the account's preflow is missing", (preflow_id,))
    circle_findings: dict[str, list[Finding]] = {}
    for first, is_hard, inside in circles(jumps):
        finding = _circle(first, inside, names, is_hard=is_hard)
        circle_findings.setdefault(finding.callflow_id, []).append(finding)
    complete_jumps = complete and not any(survey.is_summary for survey in surveys)
    numbers = NumberCheck(callflows, used if complete_jumps else None, complete=complete, wanted=wanted)
    by_numbers = numbers.findings()
    for position, survey in enumerate(surveys):
        callflow = survey.callflow
        has_all = metadata_complete is True or (metadata_complete == "auto" and bool(callflow.metadata))
        check = _Check(
            survey=survey,
            names=names,
            ids=ids,
            complete=complete,
            metadata_complete=has_all,
            returns=callflow.id in returns,
        )
        yield from (_finding(fault, callflow.id, "") for fault in by_numbers[position])
        yield from circle_findings.get(callflow.id, ())
        yield from check.findings()


def _circle(first: Jump, ids: Sequence[str], names: Mapping[str, Name], *, is_hard: bool) -> Finding:
    shown = ", ".join(name_of(each, names) for each in ids)
    if is_hard:
        message = f"callflows jump in a circle without a pause: the call is dropped after 50 jumps ({shown})"
        return Finding("J202", "error", first.source, first.path, message, tuple(ids))
    message = f"callflows jump in a circle: a call is dropped after 50 jumps ({shown})"
    return Finding("J203", "info", first.source, first.path, message, tuple(ids))


class _Survey:
    """The nodes and the jumps of a callflow.

    ``table`` holds a row for each node. The other fields are:

    - ``unreachable``: the indexes of the nodes that calls never reach.
    - ``untaken_keys``: the keys of the children that the server never takes, by the index of their parent.
    - ``jumps``: the jumps of the nodes that calls can reach.
    - ``used``: the ids of the callflows to which the nodes refer. Nodes that are switched off do not count.
    """

    def __init__(self, callflow: Callflow) -> None:
        self.callflow = callflow
        self.is_summary = is_summary(callflow)
        self.table: list[Row] = rows(callflow.flow)
        self.pointers = Pointers(self.table)
        self.unreachable: set[int] = set()
        self.jumps: list[Jump] = []
        self.used: list[str] = []
        self.untaken_keys: dict[int, set[str]] = {}
        paused: set[int] = set()
        for index, (node, key, above) in enumerate(self.table):
            if above >= 0:
                parent = self.table[above][0]
                if not may_take(parent, key):
                    self.untaken_keys.setdefault(above, set()).add(key)
                    self.unreachable.add(index)
                elif above in self.unreachable:
                    self.unreachable.add(index)
                if above in paused or _takes_time(parent):
                    paused.add(index)
            if node.module in _JUMPS:
                self._add_jump(index, node, is_paused=index in paused)
        for top, _ in metaflow_tops(callflow):
            for node in top.walk():
                self.used.extend(target for kind, _, target in metaflow_references(node) if kind == "callflow")

    def _add_jump(self, index: int, node: FlowNode, *, is_paused: bool) -> None:
        module = node.module
        if is_skipped(node):
            return
        target = node.data.get("id" if module == "callflow" else "callflow_id")
        if isinstance(target, str) and target:
            self.used.append(target)
            if module == "callflow" and index not in self.unreachable:
                path = self.pointers[index]
                back = not is_empty(node.children.get("_"))
                self.jumps.append(Jump(self.callflow.id, path, target, is_paused, back))


def _takes_time(node: FlowNode) -> bool:
    """Whether a call waits at the node or chooses a branch there, before it continues with a child.

    A jump counts as waiting, because the other callflow runs before the child of the jump.
    """
    known = MODULES.get(node.module or "")
    if known is None or is_skipped(node):
        return False
    return known.pauses or known.ending == "jumps" or known.branches not in {"default", "none"}


def _may_connect(node: FlowNode) -> bool:
    """Whether the node may connect the caller, or send the call elsewhere."""
    known = MODULES.get(node.module or "")
    if node.module is None or is_skipped(node):
        return False
    return known is None or known.ending in {"answered", "carrier", "jumps"} or known.name in _CONNECTING


@frozen(kw_only=True, eq=False)
class _Check:
    """The rules for the nodes of one callflow.

    ``ids`` are the ids of the callflows that were given. ``complete`` is true if the account has no other callflows.
    ``metadata_complete`` is true if the metadata of the callflow contains all existing documents to which the callflow
    refers. ``returns`` is true if calls may continue in another callflow when this callflow ends: because the other
    callflow has jumped here, or because this callflow is the preflow.
    """

    survey: _Survey
    names: Mapping[str, Name]
    ids: Collection[str]
    complete: bool
    metadata_complete: bool
    returns: bool

    @property
    def _outcome(self) -> str:
        """What happens to a call for which no branch is left."""
        return "the callflow ends" if self.returns else "the call is cut off"

    def findings(self) -> Iterator[Finding]:
        survey = self.survey
        callflow = survey.callflow
        if not survey.is_summary and is_empty(callflow.flow) and (callflow.numbers or callflow.patterns):
            yield Finding("E301", "error", callflow.id, "", "the callflow has no flow: calls to it fail")
        for index, (node, _, _) in enumerate(survey.table):
            found = self._node(node, survey.untaken_keys.get(index, ()))
            if found and index in survey.unreachable:
                found = [each for each in found if each[0][0] in "RS"]  # references and secrets
            if found:
                path = survey.pointers[index]
                yield from (_finding(fault, callflow.id, _place(path, node, fault)) for fault in found)
        for top, place in metaflow_tops(callflow):
            table = rows(top)
            pointers = Pointers(table, place)
            for index, (node, _, _) in enumerate(table):
                yield from (_finding(fault, callflow.id, pointers[index]) for fault in self._metaflow(node))

    def _metaflow(self, node: FlowNode) -> Iterator[Fault]:
        for kind, field, target in metaflow_references(node):
            if kind == "callflow" and self.complete and target not in self.ids:
                yield _missing_callflow(node.module or "", target)
            elif kind == "url":
                yield from _unencrypted(field, target)
        yield from _secrets(node)

    def _node(  # noqa: C901  # a condition for each group of rules, so that most are skipped
        self, node: FlowNode, untaken_keys: Collection[str]
    ) -> list[Fault]:
        module, data = node.module, node.data
        if module is None:
            if is_empty(node):
                return []
            return [("E308", "error", "a node without a module: the call is dropped here", ())]
        known = MODULES.get(module)
        found = _secrets(node) if data else []
        if known and "skip_module" in data and is_skipped(node):
            ends = is_empty(node.children.get("_")) and not self.returns
            what = "nothing follows it, and the call is cut off" if ends else "the call continues after it"
            nobody = " without ringing anybody" if self._rings_nobody(node) else ""
            severity: Severity = "warning" if ends or nobody else "info"
            found.append(("M702", severity, f"{module} is switched off: {what}{nobody}", ()))
            return found
        for reference in flow_references(node, self.survey.callflow.metadata):
            if self.metadata_complete or reference[0] in _ALWAYS_CHECKED:
                found.extend(self._reference(masked_text(module), reference))
        if known is None:
            if module not in OTHER_VENDORS:
                found.append(_unknown(node, module))
            return found
        children = node.children
        if (known.required and not data.get(known.required)) or module == "voicemail":
            found.extend(self._required(known, node))
        if untaken_keys or (children and any(child.module is None for child in children.values())):
            found.extend(self._children(known, node, untaken_keys))
        if (known.silent or known.ending == "answered") and "_" not in children:
            found.extend(self._missing_branches(known, node))
        if module in _OWN_RULES:
            found.extend(_OWN_RULES[module](self, node))
        return found

    def _rings_nobody(self, switched_off: FlowNode) -> bool:
        """Whether a call to a number of the callflow rings nobody, because the node ``switched_off`` does not ring."""
        callflow = self.survey.callflow
        is_dialled = (callflow.numbers or callflow.patterns) and not callflow.featurecode
        return bool(is_dialled and switched_off.module in _RINGING) and not any(
            _may_connect(node)
            for index, (node, _, _) in enumerate(self.survey.table)
            if index not in self.survey.unreachable
        )

    def _reference(self, module: str, reference: Found) -> Iterator[Fault]:
        kind, field, target = reference
        if kind == "url":
            yield from _unencrypted(field, target)
        is_direct = field.startswith("children.") or not ("." in field or "[" in field)
        if kind in NOT_IN_METADATA or not is_direct or (kind == "callflow" and target in self.ids):
            return
        about = self.survey.callflow.metadata.get(target)
        actual = about.get("pvt_type") if isinstance(about, dict | Mapping) else None
        what = kind.replace("_", " ")
        if self.metadata_complete and _is_other_kind(actual, kind):
            wrong = masked_text(actual).replace("_", " ")
            article = "an" if wrong[0] in "aeio" else "a"  # but "a user"
            message = f"{module} refers to {article} {wrong}, not to a {what}: {name_of(target, self.names)}"
            yield "R103", "error", message, (target,)
        elif kind == "callflow":
            if self.complete:
                yield _missing_callflow(module, target)
        elif self.metadata_complete and about is None and _ID.fullmatch(target) and _in_metadata(field):
            if field.startswith("children."):
                message = f"this child is never taken, because its time rule does not exist: {target}"
            else:
                message = f"{module} refers to a {what} that does not exist: {target}"
            yield "R101", "error", message, (target,)

    def _required(self, known: Module, node: FlowNode) -> Iterator[Fault]:
        data, module = node.data, known.name
        if module == "voicemail":
            composes = data.get("action", "compose") == "compose"
            if composes and not data.get("id") and not _captures_mailbox(self.survey.callflow):
                yield (
                    "R102",
                    "error",
                    "voicemail has no id of a mailbox: callers hear that there is no mailbox",
                    ("id",),
                )
            return
        if (module == "group" and data.get("endpoints")) or (module == "faxbox" and data.get("faxbox_id")):
            return
        severe = known.ending == "answered" or module in _DECIDING
        yield (
            "R102",
            "error" if severe else "warning",
            f"{module} has no {known.required}: the module does not work",
            (known.required,),
        )

    def _children(self, known: Module, node: FlowNode, untaken_keys: Collection[str]) -> Iterator[Fault]:
        for key, child in node.children.items():
            if key in untaken_keys:
                yield from self._never_taken(known, node, key)
            elif child.module is None and is_empty(child):
                yield from self._empty_child(known, node, key)

    def _never_taken(self, known: Module, node: FlowNode, key: str) -> Iterator[Fault]:
        module, shown = known.name, masked_text(key)
        if module == "acdc_wait_time":
            return  # B406 reports it
        if known.branches == "carrier":
            message = f"{known.label} never takes the child {shown!r}: only hangup causes and SIP statuses can be taken"
            yield "B404", "warning", message, (key,)
        elif key == "_" and known.branches == "none":
            yield "B401", "info", f"the default branch of {module} is never taken", (key,)
        elif key == "rule_set" and known.branches == "rules" and not is_switch(node.data):
            yield "B401", "warning", "the child rule_set is never taken, because data has no rule_set", (key,)
        else:
            yield "B401", "warning", f"{module} never takes the child {shown!r}{_hint(known, key)}", (key,)

    def _empty_child(self, known: Module, node: FlowNode, key: str) -> Iterator[Fault]:
        shown = masked_text(key)
        if key == "_":
            if known.ending in {"stops", "ends"}:
                return
            ends_badly = known.choice or known.silent or known.ending == "answered"
            severity: Severity = "warning" if ends_badly and not self.returns else "info"
            if known.name == "menu" and not is_empty(node.children.get("max_retries")):
                return  # calls take the child max_retries instead of the default branch
            yield "E305", severity, f"the default branch of {known.name} is empty: {self._outcome}", (key,)
        elif known.branches == "menu":
            outcome = f"{key} counts as a wrong key" if is_digits(key) else "it counts as missing"
            yield "E305", "warning", f"the child {shown!r} of the menu is empty: {outcome}", (key,)
        elif not has_child(node, key):
            yield "E305", "warning", f"the child {shown!r} of {known.name} is empty: it counts as missing", (key,)
        elif known.name != "park":
            message = f"the child {shown!r} of {known.name} is empty: {self._outcome} there"
            yield "E305", "warning", f"{message}, and the default branch is not tried", (key,)

    def _missing_branches(self, known: Module, node: FlowNode) -> Iterator[Fault]:
        """Report a node without a default branch if calls are cut off there and do not return to another callflow."""
        if self.returns or known.choice:
            return
        callflow = self.survey.callflow
        if not callflow.numbers or callflow.featurecode or known.name in {"page_group", "pivot"}:
            return
        if known.silent:
            yield "E303", "warning", f"the call ends after {known.name}: the caller is cut off without a word", ()
        else:
            covered = [key for key in node.children if is_cause(key) and has_child(node, key)]
            when = f"for causes other than {' or '.join(covered)}" if covered else "if nobody answers"
            message = f"{when}, the call is cut off: {known.label} has no default branch"
            yield "E306", "info", message, ()

    def menu(self, node: FlowNode) -> Iterator[Fault]:
        children = node.children
        if not is_empty(children.get("max_retries")) and not is_empty(children.get("_")):
            yield (
                "B403",
                "warning",
                "the default branch of the menu is never taken, because the menu has max_retries",
                ("_",),
            )
        if not any(is_digits(key) and has_child(node, key) for key in children):
            yield (
                "E304",
                "info",
                "the menu has no keys: callers can dial only extensions, if its settings allow that",
                (),
            )
        if not any(has_child(node, key) for key in ("_", "max_retries", "timeout")):
            message = f"if callers press no key or wrong keys, {self._outcome}"
            yield "E307", "info", f"{message}: there is no child timeout, max_retries or _", ()

    def temporal_route(self, node: FlowNode) -> Iterator[Fault]:
        data, children = node.data, node.children
        if is_switch(data):
            return
        rules = time_rules(node)
        for rule in dict.fromkeys(rules):
            if rule not in children:
                message = (
                    f"time rule {name_of(rule, self.names)} has no child: while it is active, calls take the default"
                )
                yield "B402", "info", f"{message} branch, and later rules are not tried", (rule,)
        has_set = bool(data.get("rule_set"))
        if has_set and "rule_set" not in children:
            yield "B402", "info", "the rule set has no effect, because there is no child named rule_set", ("rule_set",)
        has_rules = rules or has_set or any(key != "_" for key in children)
        if "_" not in children:
            lacking = f"outside all time rules {self._outcome}: there is no default branch"
            neither = f"no time rules and no default branch: {self._outcome}"
            yield self._without_default(lacking if has_rules else neither)
        elif not has_rules:
            yield "B405", "info", "no time rules: every call takes the default branch", ()

    def choice(self, node: FlowNode) -> Iterator[Fault]:
        """Check a node whose module has a fixed set of keys.

        The node needs a default branch only if a child for one of these keys is missing.
        """
        children, module = node.children, node.module
        if "_" in children:
            return
        if lacking := [key for key in outcomes(node) if not has_child(node, key)]:
            shown = " or ".join("other callers" if key == "_" else key for key in lacking)
            yield self._without_default(f"{module} has no child for {shown} and no default branch: {self._outcome}")

    def wait_time(self, node: FlowNode) -> Iterator[Fault]:
        for key in node.children:
            if key != "_" and not is_integer(key):
                lost = f"{self._outcome}, because there is no default branch"
                effect = "every call takes the default branch" if "_" in node.children else lost
                yield "B406", "error", f"the key {masked_text(key)!r} is not a number of seconds: {effect}", (key,)
                return
        yield from self.values(node)

    def values(self, node: FlowNode) -> Iterator[Fault]:
        """Check a node whose keys are compared with a value of the call."""
        if "_" in node.children or takes_every_call(node):
            return
        when = f"for {branch_word(node, '_', self.names)} " if node.children else ""
        if node.module == "branch_bnumber" and is_true(node.data.get("hunt")):
            when = "if no callflow has the number, "
        yield self._without_default(f"{when}{self._outcome}: there is no default branch")

    def _without_default(self, message: str) -> Fault:
        return "E302", "info" if self.returns else "warning", message, ()

    def group(self, node: FlowNode) -> Iterator[Fault]:
        listed = list(members(node.data))
        if not listed:
            if node.module != "group":
                label = MODULES[node.module].label if node.module else ""
                yield "M703", "warning", f"{label} has no members: it rings nobody", ()
            return
        silent = silent_members(node)
        for _, field, target, _ in listed:
            if field in silent:
                message = f"member {name_of(target, self.names)} never rings: {silent[field]}"
                yield "M704", "warning", message, (target,)
        seen: set[str] = set()
        repeated: dict[str, None] = {}
        for _, _, target, _ in listed:
            if target in seen:
                repeated[target] = None
            seen.add(target)
        for target in repeated:
            yield "M705", "info", f"member {name_of(target, self.names)} is in the group more than once", (target,)

    def disa(self, node: FlowNode) -> Iterator[Fault]:
        if not node.data.get("pin"):
            yield "S802", "error", "DISA without a PIN: all callers can dial out at the cost of the account", ()


_OWN_RULES: Final = {
    "acdc_wait_time": _Check.wait_time,
    "branch_bnumber": _Check.values,
    "branch_variable": _Check.values,
    "check_cid": _Check.choice,
    "cidlistmatch": _Check.choice,
    "disa": _Check.disa,
    "fax_detect": _Check.choice,
    "group": _Check.group,
    "menu": _Check.menu,
    "nomorobo": _Check.values,
    "page_group": _Check.group,
    "ring_group": _Check.group,
    "temporal_route": _Check.temporal_route,
}
"""The checks that apply to one module only, by module."""


def _is_other_kind(actual: Any, kind: str) -> TypeGuard[str]:
    """Whether a reference of the kind ``kind`` must not refer to a document of the kind ``actual``."""
    if not isinstance(actual, str) or not actual or kind not in _KINDS or actual == kind:
        return False
    return (kind, actual) != ("temporal_rule", "temporal_rule_set")


def _missing_callflow(module: str, target: str) -> Fault:
    return "J201", "error", f"{module} refers to a callflow that is missing: {masked_text(target)}", (target,)


def _unknown(node: FlowNode, module: str) -> Fault:
    severity: Severity = "info" if "_" in node.children else "warning"
    return "M701", severity, f"unknown module {masked_text(module)}: a server without this module skips it", (module,)


def _hint(known: Module, key: str) -> str:
    if known.branches == "menu" and "#" in key:
        return ": # ends what the caller enters"
    if known.name == "branch_bnumber":
        return ": with hunt, the server looks for a callflow instead"
    if known.name == "nomorobo" and is_integer(key):
        return ": scores are 0 to 10"
    if known.branches == "cause" and len(key) == 3 and key.isdigit():
        return f"; did you mean 'sip:{key}'?"
    upper = key.upper()
    is_meant = is_cause(upper) if known.branches == "cause" else known.branches == "fax" and upper in FAX_CHILDREN
    return f"; did you mean {upper!r}?" if is_meant and upper != key else ""


def _finding(fault: Fault, callflow_id: str, path: str) -> Finding:
    code, severity, message, related = fault
    return Finding(code, severity, callflow_id, path, message, tuple(map(masked_text, related)))


def _place(path: str, node: FlowNode, fault: Fault) -> str:
    """Return the path of a finding about a node.

    This is usually the path of the node. If the node has a child for a missing time rule, it is the path of the child.
    """
    code, _, _, related = fault
    if code == "R101" and node.module == "temporal_route" and related[0] in node.children:
        return f"{path}/children/{escape(related[0])}"
    return path


def _in_metadata(field: str) -> bool:
    """Whether the server looks up the target of ``field`` when it adds the ``metadata`` to a callflow."""
    return field == "id" or "_id" in field or (field.startswith("children.") and len(field) > len("children.") + 1)


def _captures_mailbox(callflow: Callflow) -> bool:
    """Whether callers dial the number of a mailbox: a pattern captures it, or it follows a code such as ``**``."""
    code = callflow.featurecode.number if callflow.featurecode else None
    return (
        any("(" in pattern for pattern in callflow.patterns)
        or any(number.startswith("**") for number in callflow.numbers)
        or (code or "").replace("\\", "") in {"*", "**"}
    )


def _unencrypted(field: str, url: str) -> Iterator[Fault]:
    if url.startswith("http://") and field in {"cdr_url", "uri", "url", "voice_url"}:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            host = ""
        sent = f"sends call data without encryption to {host}"
        yield "S803", "info", f"{field} {sent if host else 'begins with http:// and has no valid host'}", (field,)


def _secrets(node: FlowNode) -> list[Fault]:
    return [
        (
            "S801",
            "warning",
            f"{masked_text(field)} contains {what}: everyone who can read callflows can read it",
            (field,),
        )
        for field, what in find_secrets(node.data)
    ]
