"""The rules of ``findings`` for numbers, feature codes and patterns."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

from .. import Callflow
from .routing import NO_MATCH, UNSET, Router, invalid, literal_head, match
from .rules import Fault
from .secrets import masked_text

PLACEHOLDER: Final = re.compile(r"undefined.*", re.DOTALL)
"""Matches the placeholder that user interfaces store in a callflow that does not have a number yet."""

_LETTER: Final = re.compile(r"[A-Za-z]")

_TAILS: Final = (
    "",
    "1",
    "12",
    "100",
    "1000",
    "5551234",
    "2125550123",
    "12125550123",
    "8ca0e4c50aa1e2901d749307e19b2e4b",
)
"""Texts that are appended to the ``literal_head`` of a pattern, to find numbers that match the pattern."""

_CODE_TAILS: Final = ("", "1", "100", "1000", "5551234", "2125550123")
"""Texts that callers may dial after a feature code, as its argument."""

_SAMPLES_KEPT: Final = 8192

_PROBES: Final = ("+12125550123", "+442071234567", "5551234", "411")
"""Unrelated numbers. If patterns take all of these numbers, they are assumed to take every number (P604)."""


class NumberCheck:
    """The rules for the numbers and patterns of callflows.

    ``callflows`` must be sorted by id. ``used`` holds the ids of the callflows to which other callflows lead. ``used``
    is None if not all of these ids are known. Patterns are matched only if one of the codes in ``wanted`` needs that.
    """

    def __init__(
        self, callflows: list[Callflow], used: Collection[str] | None, *, complete: bool, wanted: Collection[str]
    ) -> None:
        self.callflows = callflows
        self.used = used
        self.complete = complete
        self.tries_patterns: bool = any(code[0] == "P" or code == "N503" for code in wanted)
        self.router: Router = Router(callflows if self.tries_patterns else ())
        self.by_id: dict[str, Callflow] = {callflow.id: callflow for callflow in callflows}
        self.first: dict[str, Callflow] = {}
        for callflow in callflows:
            for number in callflow.numbers:
                self.first.setdefault(number, callflow)

    def findings(self) -> list[list[Fault]]:
        """Return the findings of each callflow."""
        found = [list(self._of(callflow)) for callflow in self.callflows]
        if self.tries_patterns:
            self._check_no_match(found)
        return found

    def _of(self, callflow: Callflow) -> Iterator[Fault]:
        real = [number for number in callflow.numbers if not PLACEHOLDER.fullmatch(number)]
        for number in dict.fromkeys(real):
            first = self.first[number]
            if first is not callflow:
                message = f"callflow {_shown(first)} also has the number {masked_text(number)}, and gets the calls"
                yield "N501", "error", message, (number, first.id)
        if NO_MATCH in real and (beside := [*(number for number in real if number != NO_MATCH), *callflow.patterns]):
            message = f"the callflow has both no_match and {masked_text(beside[0])}: it refuses all calls from outside"
            yield "N504", "error", message, (NO_MATCH,)
        if self.tries_patterns:
            for pattern in dict.fromkeys(callflow.patterns):
                yield from self._pattern(callflow, pattern)
            if self.complete:
                yield from self._feature_code(callflow)
        if self._is_unused(callflow, real):
            message = "no number, pattern or jump leads to it; a directory, a preflow or a script may still use it"
            yield "N502", "info", message, ()

    def _is_unused(self, callflow: Callflow, real: list[str]) -> bool:
        if self.used is None or callflow.id in self.used:
            return False
        if callflow.patterns or callflow.featurecode or callflow.type or len(real) < len(callflow.numbers):
            return False
        return all(number != NO_MATCH and _LETTER.search(number) for number in real)

    def _feature_code(self, callflow: Callflow) -> Iterator[Fault]:
        code = callflow.featurecode.number if callflow.featurecode else None
        if not code:
            return
        bare = code.replace("\\", "").lstrip("*")
        dialled = (star + bare + tail for star in ("*", "", "**") for tail in _CODE_TAILS)
        if not any(self.router.lookup(number).callflow_id == callflow.id for number in dialled):
            yield "N503", "warning", f"feature code {masked_text(code)} does not reach this callflow", (code,)

    def _pattern(self, callflow: Callflow, pattern: str) -> Iterator[Fault]:
        shown = masked_text(pattern)
        if reason := invalid(pattern):
            yield "P601", "error", f"pattern {shown} is never used, because it is not valid: {reason}", (pattern,)
            return
        samples = _samples(pattern)
        if any(match(pattern, sample) == UNSET for sample in samples):
            message = f"pattern {shown} matches some numbers without setting any of its groups"
            yield "P603", "error", f"{message}: the server fails, and no callflow gets the call", (pattern,)
        wins = False
        losses: list[tuple[str, str, str, str]] = []
        for sample in samples:
            route = self.router.lookup(sample)
            if route.callflow_id == callflow.id:
                wins = True
            elif route.callflow_id is not None:
                losses.append((sample, route.callflow_id, route.by, route.how))
        if not losses:
            return
        if not wins:
            sample, other, by, _ = losses[0]
            message = (
                f"pattern {shown} gets no calls: {sample}, for example, goes to {self._name(other)} ({masked_text(by)})"
            )
            yield "P602", "warning", message, (pattern, other)
        elif by_pattern := next((loss for loss in losses if loss[3] == "pattern"), None):
            sample, other, by, _ = by_pattern
            message = f"patterns overlap: {sample} matches {shown} but goes to {self._name(other)} ({masked_text(by)})"
            yield "P605", "info", message, (pattern, other)

    def _check_no_match(self, found: list[list[Fault]]) -> None:
        """Add a finding if a callflow has ``no_match``, but patterns match all numbers in ``_PROBES``.

        The finding belongs to the callflow that gets the first of these numbers.
        """
        other = self.first.get(NO_MATCH)
        if other is None or not self.router.has_patterns:
            return
        routes = [self.router.lookup(probe) for probe in _PROBES]
        if all(route.how == "pattern" for route in routes):
            position = next(at for at, each in enumerate(self.callflows) if each.id == routes[0].callflow_id)
            taking = list(dict.fromkeys(masked_text(route.by) for route in routes))
            subject = (
                f"pattern {taking[0]} takes" if len(taking) == 1 else f"patterns {', '.join(taking)} together take"
            )
            message = f"{subject} every number: no number is left for {_shown(other)} (no_match)"
            found[position].append(("P604", "warning", message, (routes[0].by, other.id)))

    def _name(self, callflow_id: str) -> str:
        return _shown(self.by_id[callflow_id])


@lru_cache(_SAMPLES_KEPT)
def _samples(pattern: str) -> tuple[str, ...]:
    """Return some numbers that match a pattern.

    Each number consists of ``literal_head(pattern)``, with or without its plus sign, and one of ``_TAILS``.
    """
    head = literal_head(pattern)
    heads = dict.fromkeys((head, head.removeprefix("+")))
    tried = dict.fromkeys(f"{each}{tail}" for each in heads for tail in _TAILS)
    return tuple(number for number in tried if number and match(pattern, number) is not None)


def _shown(callflow: Callflow) -> str:
    return masked_text(callflow.name or callflow.id)
