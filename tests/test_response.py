"""From a response to an envelope or an error, which show only fields that are named and checked."""

import json
import pickle
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from documents import CHARACTERS
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from vinix_async import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DecodeError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    VinixError,
)
from vinix_async._config import check_count
from vinix_async._documents.decode import MISSING
from vinix_async._documents.deep_json import parse_json
from vinix_async._documents.models import Callflow
from vinix_async._http.request import Request, check_filters, check_id, get, login
from vinix_async._http.response import Envelope, decode_envelope, read_envelope
from vinix_async._http.status_errors import Secrets, clean, read_retry_after
from vinix_async._http.transport import Response
from vinix_async._pipeline.credentials import Token

NOW = 1_750_000_000.0
REQUEST = Request("GET", "/accounts/a-b/callflows", "a-b")
SUCCESS: dict[str, Any] = {"data": [], "status": "success", "request_id": "r1", "auth_token": "planted-token"}


def read(
    body: Any,
    status: int = 200,
    *,
    request: Request = REQUEST,
    base_url: str = "https://h/v2",
    secrets: Any = (),
    headers: Mapping[str, str] = {},
) -> Envelope:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status, headers, raw)
    return read_envelope(
        request, response, request_id="r1", base_url=base_url, now=NOW, secrets=Secrets(tuple(secrets))
    )


def test_an_envelope() -> None:
    envelope = read({**SUCCESS, "data": ["planted-password"], "next_start_key": "g20", "page_size": 7, "odd": 1})
    assert (envelope.data, envelope.next_start_key, envelope.page_size) == (["planted-password"], "g20", 7)
    assert (envelope.request_id, envelope.auth_token) == ("r1", "planted-token")
    assert "planted" not in repr(envelope)


def test_what_may_be_missing() -> None:
    assert read({"status": "success"}).data is MISSING
    assert read({"data": None}).data is None
    assert read({"data": {"id": "x"}}).data == {"id": "x"}
    assert read({**SUCCESS, "next_start_key": ""}).next_start_key is None
    assert read({**SUCCESS, "next_start_key": None}).next_start_key is None


def test_a_byte_order_mark_is_skipped() -> None:
    assert read(b"\xef\xbb\xbf" + json.dumps(SUCCESS).encode()).data == []


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>busy</html>", b"{", b'{"data": NaN}', b'{"data": "\xff"}', b"encoding response failed: bad term"],
)
def test_a_success_that_is_no_json_is_passing(body: bytes) -> None:
    with pytest.raises(DecodeError, match="not valid JSON") as caught:
        read(body)
    assert caught.value.transient
    assert caught.value.server_away
    assert caught.value.request_id == "r1"


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"{}", b'{"odd": 1}'])
def test_json_that_is_no_envelope_is_final(body: bytes) -> None:
    with pytest.raises(DecodeError, match="no envelope") as caught:
        read(body)
    assert not caught.value.transient


def test_json_that_is_too_deep_is_final() -> None:
    with pytest.raises(DecodeError, match="too deep") as caught:
        parse_json(b"[" * 100_000)
    assert not caught.value.transient


def test_the_banner_says_what_was_forgotten() -> None:
    with pytest.raises(DecodeError, match="base_url must end with /v2") as caught:
        read(b"  __  banner", base_url="https://h", headers={"content-type": "text/plain; charset=UTF-8"})
    assert not caught.value.transient
    with pytest.raises(DecodeError, match="not valid JSON"):
        read(b"  __  banner", base_url="https://h/v2", headers={"content-type": "text/plain"})
    # JSON is JSON, whatever it is called, below whatever path
    assert read(SUCCESS, base_url="https://h", headers={"content-type": "text/plain"}).data == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("page_size", "25"), ("page_size", True), ("request_id", 5), ("auth_token", 5)],
)
def test_envelope_fields_of_another_type_are_refused(key: str, value: Any) -> None:
    with pytest.raises(DecodeError, match=rf"\$\.{key}: expected"):
        read({**SUCCESS, key: value})


@pytest.mark.parametrize(
    ("body", "headers", "echoes"),
    [
        (SUCCESS, {}, True),
        ({**SUCCESS, "request_id": "other"}, {"x-request-id": "r1"}, True),
        ({**SUCCESS, "request_id": "R1"}, {"x-request-id": "other"}, True),
        ({**SUCCESS, "request_id": "other"}, {"x-request-id": "another"}, False),
        ({"data": []}, {}, False),
    ],
)
def test_an_envelope_tells_whether_it_echoes_the_request_id(body: Any, headers: dict[str, str], echoes: bool) -> None:  # noqa: FBT001  # as the field is
    assert read(body, headers=headers).echoes_request_id is echoes


def test_the_request_id_is_the_server_s_or_else_the_one_that_was_sent() -> None:
    assert read({**SUCCESS, "request_id": "r9"}).request_id == "r9"
    assert read({"data": []}).request_id == "r1"
    shown = read({**SUCCESS, "request_id": "planted-key\n" + "r" * 1000}, secrets=["planted-key"]).request_id
    assert shown == "[redacted]\ufffd" + "r" * 189


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, PaymentRequiredError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (405, APIStatusError),
        (418, APIStatusError),
        (499, APIStatusError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b'["x"]', b'{"a":', json.dumps({"message": "words"}).encode()])
def test_a_class_for_each_status_whatever_the_body(status: int, kind: type[APIStatusError], body: bytes) -> None:
    with pytest.raises(APIStatusError) as caught:
        read(body, status)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert str(caught.value).startswith(str(status))
    assert caught.value.request_id == "r1"


def test_kazoo_s_error() -> None:
    body = {
        "status": "error",
        "error": "403",
        "message": "forbidden",
        "data": {"message": "not yours"},
        "request_id": "r9",
    }
    with pytest.raises(PermissionDeniedError) as caught:
        read(body, 403)
    error = caught.value
    assert (error.code, error.message, error.detail, error.request_id) == ("403", "forbidden", "not yours", "r9")
    assert str(error) == "403 forbidden - not yours (request_id=r9)"


def test_the_vendor_s_error() -> None:
    with pytest.raises(NotFoundError) as caught:
        read({"code": "not_found", "message": "no such account", "request_id": "r9"}, 404)
    error = caught.value
    assert (error.code, error.message, error.detail, error.request_id) == ("not_found", "no such account", None, "r9")


def test_a_validation_tree_names_fields_and_no_values() -> None:
    data = {"data.api_key": {"minLength": {"message": "too short", "value": "planted"}}, "x": 1, "y": {"z": 1}}
    with pytest.raises(BadRequestError) as caught:
        read({"message": "validation error", "data": data}, 400)
    assert caught.value.problems == ("data.api_key: minLength: too short",)
    assert "planted" not in str(caught.value)
    assert "too short" in str(caught.value)
    with pytest.raises(APIStatusError) as other:
        read({"message": "gone", "data": {"deleted": {"by": {"message": "ann"}}}}, 410)
    assert other.value.problems == ()


def test_a_validation_tree_is_cut_and_redacted() -> None:
    rules = {f"rule {number}": {"message": "m"} for number in range(20)}
    with pytest.raises(BadRequestError) as caught:
        read({"data": {f"path {number}": rules for number in range(200)}}, 400)
    assert len(caught.value.problems) == 50 * 10
    secret = "planted-key"
    with pytest.raises(BadRequestError) as caught:
        read({"data": {secret: {secret: {"message": "x"}}}}, 400, secrets=[secret])
    assert caught.value.problems == ("[redacted]: [redacted]: x",)


def test_a_success_that_is_an_error() -> None:
    with pytest.raises(ServerError) as caught:
        read({"status": "error", "error": "503", "message": "datastore_fault", "data": {}})
    assert (caught.value.status, caught.value.message) == (503, "datastore_fault")
    with pytest.raises(APIStatusError, match=r"^200 the status means success, but the body contains an error") as odd:
        read({"status": "fatal", "data": []})
    assert odd.value.status == 200
    with pytest.raises(APIStatusError, match="maintenance"):
        read({"code": "busy", "message": "maintenance"})
    with pytest.raises(APIStatusError):
        decode_envelope(b'{"status": "error", "data": []}', Callflow)
    with pytest.raises(APIStatusError, match="not now"):
        read({"error": "busy", "message": "not now"})
    with pytest.raises(DecodeError, match=r"\$\.request_id: expected str, got int"):
        decode_envelope(b'{"data": [], "request_id": 7}', Callflow)
    with pytest.raises(NotFoundError) as other:  # the status that came counts, if it is one of an error
        read({"error": "503", "message": "x"}, 404)
    assert other.value.status == 404


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example.com/login?auth_token=planted", "https://other.example.com"),
        ("/login?planted", None),
        ("http://[::1", None),
        (None, None),
    ],
)
def test_a_redirect_shows_where_to_and_no_more(location: str | None, shown: str | None) -> None:
    with pytest.raises(APIStatusError, match="not followed") as caught:
        read(b"", 302, headers={"location": location} if location else {})
    assert "planted" not in str(caught.value)
    assert shown is None or shown in str(caught.value)


@pytest.mark.parametrize(
    ("account_id", "helps"),
    [
        ("1f9a8b2c-3d4e-4f50-91a2-7b8c9d0e1f23", True),
        ("1F9A8B2C-3D4E-4F50-91A2-7B8C9D0E1F23", True),
        ("1f9a8b2c3d4e4f5091a27b8c9d0e1f23", False),
        ("1f9a8b2c-3d4e-4f50-91a2-7b8c9d0e1f2", False),
        ("the-account-of-the-office-in-london", False),
        (None, False),
    ],
)
def test_an_account_id_gets_a_hint_if_only_its_dashes_are_wrong(account_id: str | None, *, helps: bool) -> None:
    body = {"message": "bad identifier", "data": {"message": f"invalid account_id {account_id!r}"}}
    with pytest.raises(NotFoundError) as caught:
        read(body, 404, request=Request("GET", "/x", account_id))
    assert ("without its dashes" in str(caught.value)) is helps


def test_what_is_shown_of_a_body_is_printable_short_and_without_secrets() -> None:
    secrets = ["planted-key", "abc"]
    body = {"error": "planted-key", "message": "\x1b[31m" + "m" * 5000, "data": {"message": "it was planted-key"}}
    with pytest.raises(NotFoundError) as caught:
        read(body, 404, secrets=secrets)
    text = f"{caught.value}{caught.value!r}{pickle.dumps(caught.value)!r}"
    assert "planted" not in text
    assert "\x1b" not in text
    assert len(str(caught.value)) <= 500
    assert clean("m" * 195 + "planted-key", Secrets(("planted-key",))) == "m" * 195 + "[reda"
    assert clean("abc", Secrets(("abc",))) == "abc"  # too short to be told from words
    nothing: list[Any] = [None, True, [], {}, 1.5, ""]
    assert [clean(value) for value in nothing] == [None] * 6
    assert clean(404) == "404"


def test_reprs_show_no_contents() -> None:
    shown: list[Any] = [
        Secrets(("planted",)),
        Request("PUT", "/user_auth", body=b"planted"),
        Response(200, {"location": "planted"}, b"planted"),
        Envelope({"planted": 1}, auth_token="planted"),
        Token("planted"),
    ]
    for value in shown:
        assert "planted" not in repr(value)
        assert "planted" not in pretty_repr(value)


# --- Retry-After ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True)}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Mon, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": "9" * 40}, 1e9),
        ({"retry-after-ms": "9" * 40}, 1e9 / 1000),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 1e9),
        ({"retry-after": "Mon, 01 Jan 2026 00:00:00 +99999999999"}, None),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, NOW) == (seconds if seconds is None else pytest.approx(seconds))


@given(
    st.text(CHARACTERS)
    | st.from_regex(r"[-+]?[0-9]{1,400}(\.[0-9]*)?([eE][0-9]+)?", alphabet=CHARACTERS)
    | st.datetimes().map(format_datetime)
)
def test_no_retry_after_is_ever_an_error(value: str) -> None:
    seconds = read_retry_after({"retry-after": value, "retry-after-ms": value}, NOW)
    assert seconds is None or seconds >= 0


# --- outbound ------------------------------------------------------------------------------------


def test_paths_and_queries_are_encoded_whole() -> None:
    assert get("accounts", "a/b", "c d+%é").target == "/accounts/a%2Fb/c%20d%2B%25%C3%A9"
    listing = get("x", "y", query={"filter_name": "g2/+=& é"})
    assert listing.target == "/x/y?filter_name=g2%2F%2B%3D%26%20%C3%A9"
    assert get("x", query={"a": "b"}).path == "/x"
    request = login("api_auth", {"api_key": "planted"}, login_as="ann")
    assert request.body == b'{"data":{"api_key":"planted"}}'
    assert "planted" not in repr(request)


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a\n", "\x7f", "a\u2028", "\ud800", None, 7, b"a", "a/b", "a\\b", "a%2fb", "a?b", "a#b"]
)
def test_ids_that_cannot_be_a_segment_are_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="account_id"):
        check_id("account_id", value)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        get("x", query={"start_key": "\ud800"})


@pytest.mark.parametrize("value", ["a" * 32, "1f9a8b2c-3d4e-4f50-91a2-7b8c9d0e1f23", "...", "é", " ", "a b", "a:b;c&d"])
def test_other_ids_are_left_as_they_are(value: str) -> None:
    check_id("account_id", value)


@pytest.mark.parametrize("value", [0, -1, True, "5", 2.0])
def test_counts(value: Any) -> None:
    check_count("page_size", None)
    check_count("page_size", 1)
    with pytest.raises(ConfigurationError, match="page_size must be None or an int of at least 1, not "):
        check_count("page_size", value)


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("filter_type", "main", "main"),
        ("filter_not_numbers", "no_match", "no_match"),
        ("filter_not_a", "", ""),
        ("filter_n", 5, "5"),
        ("filter_flag", True, "true"),
        ("filter_flag", False, "false"),
        ("filter_type", ["main", "é"], '["main", "\\u00e9"]'),
        ("filter_not_type", ("main", "x"), '["main", "x"]'),
        ("filter_type", ["main"], "main"),
        ("has_key", "a.b", "a.b"),
        ("has_key", ["a"], "a"),
        ("created_from", "63900000000", "63900000000"),
        ("modified_to", 63900000000, "63900000000"),
        ("modified_from", datetime(1970, 1, 1, tzinfo=UTC), "62167219200"),
        ("modified_from", datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=1))), "62167222800"),
    ],
)
def test_filters_are_sent_as_the_server_reads_them(name: str, value: Any, sent: str) -> None:
    assert check_filters({name: value}) == {name: sent}


def test_no_filters() -> None:
    assert check_filters(None) == {}
    assert check_filters({}) == {}


@pytest.mark.parametrize(
    ("filters", "word"),
    [
        ({"missing_value": "x"}, "has no filter"),
        ({"has_keys": "x"}, "has no filter"),
        ({"paginate\n": "x"}, "has no filter"),
        ({"paginate": "false"}, "not a filter"),
        ({"ascending": "true"}, "not a filter"),
        ({"descending": "true"}, "not a filter"),
        ({"verb": "DELETE"}, "has no filter"),
        ({"accept": "csv"}, "has no filter"),
        ({"jsonp": "f"}, "has no filter"),
        ({"auth_token": "x"}, "has no filter"),
        ({"action": "x"}, "has no filter"),
        ({"data": "x"}, "has no filter"),
        ({"is_chunked": "true"}, "streamed listings are not supported"),
        ({"page_size": "5"}, "'page_size' is not a filter: use the argument page_size="),
        ({"start_key": "x"}, "use the argument start_key="),
        ({"filter_": "x"}, "has no filter"),
        ({"filter_not_": "x"}, "has no filter"),
        ({"filter_" + "x" * 1000: 1.5}, "not float"),
        ({"x" * 1000: "1"}, "has no filter"),
        ({"has_key": ""}, "must not be empty"),
        ({"has_key": None}, "has_key"),
        ({"has_key": ["a", "b"]}, "one value"),
        ({"value_missing": ["a", "b"]}, "one value"),
        ({"filter_type": []}, "non-empty"),
        ({"filter_type": [5]}, "sequence of str"),
        ({"filter_type": b"x"}, "not bytes"),
        ({"filter_type": datetime(2026, 1, 1, tzinfo=UTC)}, "not datetime"),
        ({"modified_from": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001  # which is the point
        ({"modified_from": "2026-01-01"}, "datetime with a time zone"),
        ({"modified_from": "1767225600"}, "Unix time"),
        ({"created_to": 1767225600}, "Unix time"),
        ({"created_to": 1767225600000}, "not milliseconds"),
        ({"created_to": -1}, "datetime with a time zone"),
        ({"created_to": True}, "datetime with a time zone"),
        ({"created_to": ["63900000000"]}, "datetime with a time zone"),
        ({"created_to": "9" * 21}, "datetime with a time zone"),
        ({"created_to": "\u0661" * 11}, "datetime with a time zone"),
        ({5: "x"}, "filters"),
        (["has_key"], "mapping"),
        ("has_key", "mapping"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_other_filters_are_refused(filters: Any, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word) as caught:
        check_filters(filters)
    assert len(str(caught.value)) < 310


@pytest.mark.parametrize(("change", "status"), [({"page_size": "x"}, 200), ({"status": "error"}, 200), ({}, 403)])
def test_no_frame_of_an_error_holds_the_body(change: Any, status: int) -> None:
    with pytest.raises(VinixError) as caught:
        read({**SUCCESS, **change}, status)
    assert caught.value.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb) if "vinix_async" in frame.f_code.co_filename]
    assert len(frames) == 1
    assert "planted" not in repr(frames[0].f_locals)
