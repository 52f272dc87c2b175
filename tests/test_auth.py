"""Credentials, the exchange as a request, expiry as arithmetic."""

import base64
import hashlib
import json
import math
from typing import Any

import pytest
from vinix_async._pipeline.auth import read_token

from vinix_async import ApiKeyAuth, Auth, ConfigurationError, DecodeError, TokenAuth, UserAuth
from vinix_async._http.request import Envelope

MONOTONIC, TIME = 500.0, 1_750_000_000.0


def sent(auth: UserAuth | ApiKeyAuth) -> Any:
    request = auth.exchange()
    assert request.body is not None
    return request.method, request.target, json.loads(request.body)["data"]


def test_a_user_s_password_never_leaves() -> None:
    auth = UserAuth("Ann", "Secret Wörd", account_realm="acme.example.com")
    credentials = hashlib.md5("ann:Secret Wörd".encode()).hexdigest()  # noqa: S324  # what the server wants
    assert sent(auth) == (
        "PUT",
        "/user_auth",
        {"credentials": credentials, "method": "md5", "account_realm": "acme.example.com"},
    )
    assert auth.secrets() == ("Secret Wörd", credentials)


def test_sha_is_the_other_method() -> None:
    auth = UserAuth("ann", "pw", phone_number="+15550100", method="sha")
    credentials = hashlib.sha1(b"ann:pw").hexdigest()  # noqa: S324  # what the server wants
    assert sent(auth)[2] == {"credentials": credentials, "method": "sha", "phone_number": "+15550100"}


def test_an_api_key_is_sent_as_it_is() -> None:
    assert sent(ApiKeyAuth("k" * 64)) == ("PUT", "/api_auth", {"api_key": "k" * 64})
    given: Auth = TokenAuth("t")
    assert given.exchange() is None
    assert given.secrets() == ("t",)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: UserAuth("", "p", account_name="a"), "username"),
        (lambda: UserAuth("u", "", account_name="a"), "password"),
        (lambda: UserAuth("u", 7, account_name="a"), "password"),  # type: ignore[arg-type]
        (lambda: UserAuth("u", "planted\ud800", account_name="a"), "password"),
        (lambda: UserAuth("u", "p"), "exactly one"),
        (lambda: UserAuth("u", "p", account_name="a", phone_number="1"), "exactly one"),
        (lambda: UserAuth("u", "p", account_name=""), "account_name"),
        (lambda: UserAuth("u", "p", account_name="a", method="sha1"), "method"),
        (lambda: ApiKeyAuth(""), "api_key"),
        (lambda: TokenAuth(""), "token"),
        (lambda: TokenAuth("planted\n"), "token"),
        (lambda: TokenAuth("plantéd"), "token"),
        (lambda: TokenAuth("t" * 9000), "token"),
        (lambda: TokenAuth(None), "token"),  # type: ignore[arg-type]
    ],
)
def test_bad_credentials_are_refused_and_not_repeated(make: Any, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word) as caught:
        make()
    assert "plant" not in str(caught.value)


def test_credentials_are_values_that_hide_themselves() -> None:
    for auth in (UserAuth("ann", "planted", account_name="a"), ApiKeyAuth("planted"), TokenAuth("planted")):
        assert "planted" not in repr(auth)
    assert len({TokenAuth("a"), TokenAuth("a"), TokenAuth("b")}) == 2


def jwt(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def token(value: str | None) -> Any:
    return read_token(Envelope(data={}, auth_token=value), monotonic=MONOTONIC, time=TIME)


@pytest.mark.parametrize(("life", "ahead"), [(3600, 60), (100, 10)])
def test_a_jwt_is_renewed_ahead_of_its_end(life: int, ahead: int) -> None:
    read = token(jwt({"exp": TIME + life}))
    assert (read.expires_at, read.refresh_at) == (MONOTONIC + life, MONOTONIC + life - ahead)
    assert read.value not in repr(read)


@pytest.mark.parametrize(
    "value",
    [
        "opaque",
        "a.b",
        "a.b.c",
        "....",
        jwt({}),
        jwt([]),
        jwt({"exp": "soon"}),
        jwt({"exp": True}),
        jwt({"exp": TIME - 5}),
        jwt({"exp": 0}),
        "e30." + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".x",
    ],
)
def test_other_tokens_have_no_known_end(value: str) -> None:
    read = token(value)
    assert (read.refresh_at, read.expires_at) == (math.inf, math.inf)


def test_a_clock_that_begins_with_1970_makes_no_time_of_a_boolean() -> None:
    read = read_token(Envelope(data={}, auth_token=jwt({"exp": True})), monotonic=MONOTONIC, time=0.0)
    assert read.expires_at == math.inf


@pytest.mark.parametrize("value", [None, "", "two words", "a\nb", "é"])
def test_an_exchange_without_a_usable_token(value: str | None) -> None:
    with pytest.raises(DecodeError, match="auth_token"):
        token(value)
