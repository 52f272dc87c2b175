"""The errors as values: their fields, their text, and what survives pickle and copy."""

import copy
import inspect
import pickle

import pytest

import vinix_async
from vinix_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PaginationLoopError,
    RateLimitError,
    VinixError,
)
from vinix_async import _exceptions as exceptions

ALL = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, VinixError)]


def test_every_error_is_public_and_a_vinix_error() -> None:
    assert len(ALL) == 16
    for kind in ALL:
        assert getattr(vinix_async, kind.__name__) is kind


def test_the_tree_in_the_docstring_is_true() -> None:
    assert exceptions.__doc__
    above: list[str] = []
    drawn: dict[str, str | None] = {}
    for line in exceptions.__doc__.splitlines():
        name = line.lstrip("│├└─ ").partition(" ")[0]
        if not name.endswith("Error") or "Every" in line:
            continue
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        above[depth:] = [name]
        drawn[name] = above[depth - 1] if depth else None
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ if kind is not VinixError else None for kind in ALL}


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickle_and_copy(kind: type[VinixError]) -> None:
    error = kind("words", account_id="a", callflow_id="c", method="GET", path="/x", request_id="r", attempts=3)
    error.start_key, error.gave_up, error.attempts_allowed, error.probes, error.affects_others = "k", "w", 5, 1, True
    error.add_note("a note")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)
        assert twin.__notes__ == ["a note"]


def test_fields_of_their_own_survive_too() -> None:
    error = RateLimitError("words", status=429, code="x", detail="d", problems=("p",), retry_after=1.5)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
    assert pickle.loads(pickle.dumps(PaginationLoopError("x", pages=7))).pages == 7
    assert pickle.loads(pickle.dumps(DecodeError("x", problems=("p",), transient=True))).transient


def test_a_copy_keeps_the_cause() -> None:
    error = APIConnectionError("words")
    error.__cause__ = ConnectionResetError(104, "Connection reset by peer")
    assert copy.copy(error).__cause__ is error.__cause__
    assert copy.copy(error).args == error.args


PATH = "/accounts/a1/callflows"
TEXTS: list[tuple[VinixError, str]] = [
    (VinixError("words"), "words"),
    (ConfigurationError("page_size must be at least 1, not 0"), "page_size must be at least 1, not 0"),
    (
        ClientClosedError("the client is closed", method="GET", path=PATH, account_id="a1"),
        "the client is closed [GET /accounts/a1/callflows] (not sent)",
    ),
    (
        APIConnectionError("cannot connect", method="GET", path=PATH, account_id="a1", attempts=2, attempts_allowed=5),
        "cannot connect [GET /accounts/a1/callflows] (attempt 2 of 5)",
    ),
    (
        APITimeoutError("too slow", method="GET", path=PATH, attempts=9, attempts_allowed=5, probes=4, gave_up="why"),
        "too slow [GET /accounts/a1/callflows] (9 attempts (5 allowed, 4 probes); why)",
    ),
    (
        APITimeoutError("too slow", attempts=6, attempts_allowed=5, probes=1),
        "too slow (6 attempts (5 allowed, 1 probe))",
    ),
    (
        NotFoundError(
            "bad_identifier",
            status=404,
            detail="bad identifier",
            method="GET",
            path=f"{PATH}/c1",
            account_id="a1",
            callflow_id="c1",
            request_id="r",
            attempts=1,
            attempts_allowed=5,
            gave_up="a 404 is not retried",
        ),
        (
            "404 bad_identifier - bad identifier [GET /accounts/a1/callflows/c1] "
            "(attempt 1 of 5; a 404 is not retried; request_id=r)"
        ),
    ),
    (
        AuthenticationError("refused", status=401, method="PUT", path="/api_auth", request_id="r"),
        "401 refused [PUT /api_auth] (request_id=r)",
    ),
    (BadRequestError("no", status=400, problems=("a: b", "c: d")), "400 no: a: b; c: d"),
    (APIStatusError("same", status=500, detail="same"), "500 same"),
    (
        DecodeError("odd", problems=("$.data[0]: x",), account_id="a1", callflow_id="c1", path=PATH, method="GET"),
        "odd: $.data[0]: x [GET /accounts/a1/callflows] (not sent; callflow_id=c1)",
    ),
    (
        PaginationLoopError("loop", account_id="a1", start_key="k\n", pages=3, attempts=1),
        "loop (attempt 1; account_id=a1; start_key=k\\n)",
    ),
    (
        RateLimitError("slow", status=429, account_id="a", path="/accounts/ab", method="GET", attempts=1),
        "429 slow [GET /accounts/ab] (attempt 1; account_id=a)",
    ),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_the_text_of_an_error(error: VinixError, text: str) -> None:
    assert str(error) == text


LONG = "long\r\n\x1b[31m\u2028\ud800" + "x" * 2000


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("probes", [0, 12_345_678])
@pytest.mark.parametrize("problems", [(), ("x" * 2000,) * 15])
def test_the_text_is_one_line_of_at_most_500_characters(
    kind: type[VinixError], probes: int, problems: tuple[str, ...]
) -> None:
    """The request, the reason and the id of the request are there even if everything is too long."""
    error = kind(LONG, account_id=LONG, callflow_id=LONG, start_key=LONG, gave_up=LONG, method="GET", path=LONG)
    error.request_id, error.attempts, error.attempts_allowed, error.probes = "r" * 32, 87_654_321, 87_654_321, probes
    for name in ("detail", "code"):
        setattr(error, name, LONG)
    vars(error)["problems"] = problems
    text = str(error)
    assert len(text) <= 500
    assert text.isprintable()
    assert "[GET long\\r\\n" in text
    assert "87654321" in text
    assert text.endswith(f"request_id={'r' * 32})")
    assert "; long" in text
    assert text.index("[GET") >= 100
    assert len(repr(error)) < 1000
    assert repr(error).isprintable()


@pytest.mark.parametrize("kind", ALL)
def test_the_repr_has_the_message_and_the_ids(kind: type[VinixError]) -> None:
    error = kind("words", account_id="a", callflow_id="c", request_id="r", attempts=3)
    status = "status=0, " if issubclass(kind, APIStatusError) else ""
    assert repr(error) == f"{kind.__name__}('words', {status}account_id='a', callflow_id='c', request_id='r')"
    assert repr(kind("words")) == f"{kind.__name__}('words'{', status=0' if status else ''})"


def test_attempts_are_0_if_nothing_was_sent() -> None:
    assert ConfigurationError("words").attempts == 0


def test_many_problems_are_cut() -> None:
    text = str(DecodeError("no", problems=tuple(f"p{number}" for number in range(25))))
    assert "p9" in text
    assert "p10" not in text
    assert "and 15 more" in text


def test_builtin_base_classes() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(APITimeoutError, TimeoutError)


@pytest.mark.parametrize(
    ("attempts", "probes", "text"),
    [
        (1, 0, "attempt 1 of 5"),
        (5, 0, "attempt 5 of 5"),
        (9, 4, "9 attempts (5 allowed, 4 probes)"),
        (1, 1, "1 attempt (5 allowed, 1 probe)"),
        (6, 1, "6 attempts (5 allowed, 1 probe)"),
        (6, 0, "6 attempts (5 allowed, not counting those during an outage or after a new login)"),
    ],
)
def test_the_attempts_are_told_as_they_were(attempts: int, probes: int, text: str) -> None:
    error = exceptions.ServerError(
        "down", status=503, method="GET", path="/x", attempts=attempts, attempts_allowed=5, probes=probes
    )
    assert f"({text})" in str(error)
