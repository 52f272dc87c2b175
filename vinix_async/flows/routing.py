"""Find the callflow that a dialled number reaches, by the rules of the server.

Source: ``cf_flow.erl`` and ``cf_route_req.erl`` of Kazoo's callflow application. The server matches patterns with
Erlang's ``re`` (PCRE), on bytes and without options. This module uses the package pcre2, because Python's ``re`` reads
some patterns differently and cannot limit the steps of a match.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from .. import Callflow, ConfigurationError
from .positions import ordered

How = Literal["number", "pattern", "no_match", "none", "refused", "crash"]
Caller = Literal["outside", "phone"]

NO_MATCH: Final = "no_match"
"""An entry of ``numbers``. The callflow that has this entry gets the calls that no other callflow takes."""

_MATCH_LIMIT: Final = 100_000
"""The maximum number of steps of a match, which take a few milliseconds. Ordinary patterns need fewer than 1,000."""

_COMPILED_KEPT: Final = 8192

_CONVERTERS: Final = (
    (re.compile(r"(?:\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})"), "+1"),
    (re.compile(r"(?:011|00)([0-9]{5,})"), "+"),
    (re.compile(r"([2-9][0-9]{7,})"), "+"),
)
"""The default converters to E.164 (``knm_converter_regex.erl``)."""

_ORDER: Final = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
"""The order of ASCII characters in a view of CouchDB, which sorts by ICU's collation. Letters come after these."""


@frozen
class Rival:
    """Another callflow's pattern, which also matches the number. ``capture`` is the text that the pattern captures."""

    callflow_id: str
    pattern: str
    capture: str


@frozen
class Route:
    """Where a call to a number goes.

    ``how`` is the reason:

    - ``number``: the callflow has the number.
    - ``pattern``: a pattern of the callflow matches the number.
    - ``no_match``: no other callflow takes the number, and this one has ``no_match`` among its numbers.
    - ``none``: no callflow takes the number.
    - ``refused``: ``callflow_id`` has ``no_match`` among its numbers, so it accepts no calls from outside.
    - ``crash``: the pattern ``by`` matches without setting any of its groups. The server fails on such a match, and no
      callflow gets the call.

    ``by`` is the number, the pattern or ``no_match``, as written in the callflow, or ``""`` if there is none.
    ``capture`` is the text that the pattern captures, such as a mailbox number in a call to voicemail. For a pattern
    without groups, it is the whole match. ``rivals`` are the patterns of other callflows that also match. There are
    none if a callflow has the number itself, because patterns are then not tried.
    """

    callflow_id: str | None
    how: How
    by: str = ""
    capture: str = ""
    rivals: tuple[Rival, ...] = ()

    @property
    def is_tie(self) -> bool:
        """Whether a rival captures as many bytes as the pattern ``by``.

        The server then uses the pattern that it tries first.
        """
        own = len(_bytes(self.capture))
        return any(len(_bytes(rival.capture)) == own for rival in self.rivals)


def lookup(callflows: Iterable[Callflow], dialled: str, *, caller: Caller = "outside") -> Route:
    """Return the route of a call to the number ``dialled``. ``callflows`` are all callflows of the account.

    ``caller`` is ``outside`` for a call that a carrier delivers, or ``phone`` for a call from a device of the account.

    ``dialled`` is first converted with ``normalize``: ``2125550123`` becomes ``+12125550123``. Spaces and dashes are
    not removed. The account's own converters and dial plan are not considered.

    Raises ConfigurationError if ``caller`` has another value. Raises ImportError if a pattern must be matched and the
    extra ``flows`` is not installed.
    """
    if caller not in {"outside", "phone"}:
        raise ConfigurationError(f"caller must be 'outside' or 'phone', not {caller!r}")
    return Router(ordered(callflows)).lookup(normalize(dialled), caller=caller)


def normalize(dialled: str) -> str:
    """Convert a number to E.164 with the server's default converters. If none matches, return the text unchanged."""
    if dialled.startswith("*"):
        return dialled
    for pattern, prefix in _CONVERTERS:
        if found := pattern.fullmatch(dialled):
            return prefix + found[1]
    return dialled


class Router:
    """An index of the numbers and patterns of an account, for many lookups. ``callflows`` must be sorted by id.

    A pattern cannot match a number that does not begin with the pattern's literal head (``literal_head``). Such numbers
    are not matched against the pattern, which saves most attempts if the heads differ. A pattern without a literal head
    is tried on every number that no callflow has.
    """

    def __init__(self, callflows: Iterable[Callflow]) -> None:
        self.numbers: dict[str, str] = {}
        self._refusing: set[str] = set()
        view: list[tuple[tuple[Any, ...], str, str]] = []
        for callflow in callflows:
            for number in callflow.numbers:
                self.numbers.setdefault(number, callflow.id)  # the server uses the callflow with the lowest id
            if NO_MATCH in callflow.numbers:
                self._refusing.add(callflow.id)
            view.extend((_collation_key(pattern), callflow.id, pattern) for pattern in callflow.patterns)
        view.sort(reverse=True)  # the server tries the last row of its view first
        self._by_head: dict[str, list[tuple[int, str, str]]] = {}
        for rank, (_, callflow_id, pattern) in enumerate(view):
            self._by_head.setdefault(literal_head(pattern), []).append((rank, callflow_id, pattern))
        self._longest_head = max(map(len, self._by_head), default=0)
        self.has_patterns: bool = bool(view)

    def lookup(self, number: str, *, caller: Caller = "phone") -> Route:
        """Return the route of a call to a number that ``normalize`` has converted."""
        if not number:
            return Route(None, "none")
        if number in self.numbers:
            return self._admit(Route(self.numbers[number], "number", number), caller)
        if number == NO_MATCH:
            return Route(None, "none")
        found = self._by_pattern(number)
        if found is None and NO_MATCH in self.numbers and _is_plain(number):
            found = Route(self.numbers[NO_MATCH], "no_match", NO_MATCH)
        return self._admit(found, caller) if found else Route(None, "none")

    def _admit(self, route: Route, caller: Caller) -> Route:
        if caller == "outside" and route.callflow_id in self._refusing:
            return Route(route.callflow_id, "refused", route.by, route.capture, route.rivals)
        return route

    def _by_pattern(self, number: str) -> Route | None:
        best: tuple[str, str, bytes] | None = None
        matched: list[tuple[str, str, bytes]] = []
        for _, callflow_id, pattern in self._candidates(number):
            capture = match(pattern, number)
            if capture == UNSET:
                return Route(None, "crash", pattern)
            if isinstance(capture, bytes):
                matched.append((callflow_id, pattern, capture))
                if best is None or len(capture) > len(best[2]):
                    best = matched[-1]
        if best is None:
            return None
        callflow_id, pattern, capture = best
        rivals = tuple(Rival(each, by, _text(got)) for each, by, got in matched if each != callflow_id)
        return Route(callflow_id, "pattern", pattern, _text(capture), rivals)

    def _candidates(self, number: str) -> list[tuple[int, str, str]]:
        """Return the patterns that may match, in the order in which the server tries them.

        Each pattern comes with its rank in this order and the id of its callflow.
        """
        found: list[tuple[int, str, str]] = []
        for length in range(min(len(number), self._longest_head) + 1):
            found.extend(self._by_head.get(number[:length], ()))
        found.sort()
        return found


UNSET: Final = "unset"
"""The result of ``match`` if the pattern has groups, but the match sets none of them."""

Matched: TypeAlias = bytes | Literal["unset"] | None


def match(pattern: str, number: str) -> Matched:
    """Return the longest group of a match, or the whole match if the pattern has no groups.

    The server prefers the pattern for which this text is longest. Returns ``UNSET`` if the pattern has groups, but the
    match sets none of them. Returns None if the pattern does not match, is invalid, or needs more steps than
    ``_MATCH_LIMIT``.
    """
    search = _compiled(pattern)
    return None if isinstance(search, str) else search(number)


def invalid(pattern: str) -> str:
    """Return why a pattern is not valid, or an empty text if it is valid."""
    search = _compiled(pattern)
    return search if isinstance(search, str) else ""


@lru_cache(_COMPILED_KEPT)
def _compiled(pattern: str) -> Callable[[str], Matched] | str:
    """Return a function that matches a number against the pattern, or the reason why the pattern is invalid."""
    pcre2 = _pcre2()
    limit = b"(*LIMIT_MATCH=%d)" % _MATCH_LIMIT
    try:
        # The JIT compiler stays off: it is slow to start, and counts the steps of a match differently.
        compiled = pcre2.compile(limit + _bytes(pattern), jit=False)
    except pcre2.PatternError as error:
        return str(error.msg).partition("; ")[2] or str(error.msg)
    except (pcre2.LibraryError, MemoryError, ValueError) as error:
        return str(error)
    groups = range(1, compiled.groups + 1)

    def search(number: str) -> Matched:
        try:
            found = compiled.search(_bytes(number))
        except pcre2.LibraryError:
            return None
        if found is None:
            return None
        if not groups:
            whole: bytes = found.group(0)
            return whole
        captured: list[bytes | None] = [found.group(group) for group in groups]
        if all(group is None for group in captured):
            return UNSET
        return max((group or b"" for group in captured), key=len)

    return search


@cache
def _pcre2() -> Any:
    try:
        import pcre2  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise ImportError(
            "to match patterns of callflows, install the extra flows: pip install 'vinix-async[flows]'"
        ) from None
    return pcre2


_HEAD: Final = re.compile(r"\^((?:\\[*+#.]|[0-9A-Za-z#]|\[\*\])+)")


def literal_head(pattern: str) -> str:
    """Return the text with which every matching number begins, or an empty text if no such text is found."""
    found = _HEAD.match(pattern)
    if not found or "|" in pattern or "(?#" in pattern or "\\E" in pattern:
        return ""
    head = found[1].replace("[*]", "\\*")
    letters = re.findall(r"\\?(.)", head)
    if pattern[found.end() : found.end() + 1] in {"?", "*", "{"}:
        letters.pop()  # the quantifier may allow the last letter to be missing
    return "".join(letters)


def _is_plain(number: str) -> bool:
    """Whether a number consists of digits, after an optional plus sign. The digits may be missing, as on the server."""
    return all(digit in "0123456789" for digit in number.removeprefix("+"))


@lru_cache(_COMPILED_KEPT)
def _collation_key(pattern: str) -> tuple[Any, ...]:
    """Return a key that sorts patterns as a view of CouchDB does. Characters beyond ASCII come last."""
    primary = tuple(_primary(letter) for letter in pattern)
    return primary, tuple(letter.isupper() for letter in pattern), pattern


def _primary(letter: str) -> tuple[int, str]:
    position = _ORDER.find(letter)
    return (position, "") if position >= 0 else (len(_ORDER), letter.lower())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
