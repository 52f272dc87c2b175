"""The errors as values: what they hold, say and survive."""

import copy
import inspect
import pickle

import pytest

import vinix_async
from vinix_async import (
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    DecodeError,
    PaginationLoopError,
    RateLimitError,
    VinixError,
)
from vinix_async import _exceptions as exceptions

ALL = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, VinixError)]


def test_every_error_is_public_and_of_one_family() -> None:
    assert len(ALL) == 16
    for kind in ALL:
        assert getattr(vinix_async, kind.__name__) is kind


def test_the_picture_is_true() -> None:
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
    error = kind("words", account_id="a", request_id="r", attempts=3, start_key="k")
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


def test_an_error_says_who_and_where() -> None:
    error = RateLimitError("too many", status=429, detail="later", account_id="a", request_id="r", attempts=5)
    assert str(error) == "429 too many - later (account_id=a, request_id=r, attempts=5)"
    error.start_key = "k"
    assert str(error).endswith("attempts=5, start_key=k)")
    assert str(VinixError("words")) == "words"
    assert str(APIStatusError("words", status=500, detail="words")) == "500 words"


def test_many_problems_are_cut() -> None:
    text = str(DecodeError("no", problems=tuple(f"p{number}" for number in range(25))))
    assert "p9" in text
    assert "p10" not in text
    assert "and 15 more" in text


def test_builtin_kin() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(APITimeoutError, TimeoutError)
