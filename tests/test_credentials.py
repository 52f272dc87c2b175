"""Credentials, the login request, and the token that comes back."""

import base64
import hashlib
import json
import math
import traceback
from typing import Any

import pytest

from vinix_async import ApiKeyAuth, Auth, ConfigurationError, DecodeError, Identity, TokenAuth, UserAuth
from vinix_async._http.request import login
from vinix_async._http.response import Envelope
from vinix_async._http.status_errors import NO_SECRETS
from vinix_async._pipeline.credentials import as_auth, identity_claims, read_identity, read_token

MONOTONIC, TIME = 500.0, 1_750_000_000.0


def sent(auth: UserAuth | ApiKeyAuth) -> Any:
    request = auth.login_request()
    assert request.body is not None
    return request.method, request.target, json.loads(request.body)["data"]


def test_a_password_is_never_sent() -> None:
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
    assert given.login_request() is None
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
        (lambda: UserAuth("u", "p", account_name="a", method=["sha"]), "method"),  # type: ignore[arg-type]
        (lambda: ApiKeyAuth(""), "api_key"),
        (lambda: ApiKeyAuth("planted\n"), "api_key must not contain spaces, tabs or line ends"),
        (lambda: TokenAuth(""), "token"),
        (lambda: TokenAuth("planted\n"), "token"),
        (lambda: TokenAuth("plantéd"), "token"),
        (lambda: TokenAuth("t" * 65_537), "65,537 characters"),
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


LOGIN = login("api_auth", {"api_key": "x"}, login_as="ann")


def token(value: str | None, data: Any = (), *, time: float = TIME) -> Any:
    envelope = Envelope(data=dict(data), request_id="r1", auth_token=value)
    return read_token(LOGIN, envelope, monotonic=MONOTONIC, time=time, secrets=NO_SECRETS)


def test_a_jwt_tells_when_it_expires() -> None:
    read = token(jwt({"exp": TIME + 3600}))
    assert read.expires_at == MONOTONIC + 3600
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
def test_the_expiry_of_other_tokens_is_not_known(value: str) -> None:
    read = token(value)
    assert read.expires_at == math.inf


def test_a_boolean_is_not_an_expiry_even_if_the_clock_says_1970() -> None:
    assert token(jwt({"exp": True}), time=0.0).expires_at == math.inf


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "is missing"),
        ("", "is empty"),
        ("two words", "spaces"),
        ("a\nb", "line breaks"),
        ("é", "other characters"),
        ("t" * 65_537, "has 65,537 characters, more than the 65,536 that fit in a header line"),
    ],
)
def test_a_login_without_a_usable_token(value: str | None, word: str) -> None:
    with pytest.raises(DecodeError, match="the auth_token in its response cannot be used") as caught:
        token(value)
    assert word in str(caught.value)
    assert (caught.value.method, caught.value.path, caught.value.request_id) == ("PUT", "/api_auth", "r1")


def test_the_traceback_does_not_show_a_token_that_cannot_be_used() -> None:
    with pytest.raises(DecodeError) as caught:
        token("planted token")
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb) if frame.f_code.co_name == "read_token"]
    assert len(frames) == 1
    assert "planted" not in repr(frames[0].f_locals)


@pytest.mark.parametrize("length", [8_192, 8_193, 65_536])
def test_long_tokens_are_accepted(length: int) -> None:
    assert TokenAuth("t" * length).token == "t" * length
    assert token("t" * length).value == "t" * length


# --- identity ------------------------------------------------------------------------------------


def test_an_identity_comes_from_the_claims_and_the_login() -> None:
    claims = {"account_id": "a1", "owner_id": "u1", "exp": TIME + 60, "identity_sig": "planted"}
    assert read_identity(identity_claims(jwt(claims))) == Identity(account_id="a1", owner_id="u1")
    data = {"account_id": "a2", "account_name": "Acme", "reseller_id": "r", "is_reseller": True, "owner_id": 7}
    known = Identity(account_id="a2", account_name="Acme", reseller_id="r", is_reseller=True)
    assert read_identity(token(jwt(claims), data).claims) == known
    assert read_identity(token("opaque", data).claims) == known
    assert "planted" not in repr(token(jwt(claims)))


@pytest.mark.parametrize("value", ["opaque", jwt({"exp": TIME}), jwt({"owner_id": "u1"})])
def test_claims_that_do_not_name_the_account_do_not_count(value: str) -> None:
    assert identity_claims(value) == {}
    assert token(value, {"owner_id": "u1"}).claims == {}


def test_odd_values_of_an_identity_are_none() -> None:
    assert read_identity({"account_id": "", "owner_id": ["x"], "is_reseller": "yes"}) == Identity()


@pytest.mark.parametrize("value", [None, 7, b"token", object()])
def test_what_are_not_credentials(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"auth is of type \w+\. It must be a token"):
        as_auth(value)
