"""The library under aioresponses, by the plugin's fixture."""

import json
import re
from typing import Any

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from vinix_async import NotFoundError, VinixClient

ACCOUNT = "a" * 32
LISTING = re.compile(r"^https://api\.vinixglobal\.com/v2/accounts/a{32}/callflows")


async def test_a_listing_over_two_pages(vinix_aioresponses: aioresponses) -> None:
    vinix_aioresponses.get(LISTING, payload={"data": [{"id": "1"}], "next_start_key": "k", "status": "success"})
    vinix_aioresponses.get(LISTING, payload={"data": [{"id": "2"}], "status": "success"})
    async with VinixClient(auth="a-token") as client:
        assert [callflow.id async for callflow in client.callflows.list(ACCOUNT)] == ["1", "2"]
    sent = [call for calls in vinix_aioresponses.requests.values() for call in calls]
    assert len(sent) == 2
    assert {call.kwargs["headers"]["X-Auth-Token"] for call in sent} == {"a-token"}
    assert {call.kwargs["allow_redirects"] for call in sent} == {False}


async def test_an_error(vinix_aioresponses: aioresponses) -> None:
    payload = {"status": "error", "error": "404", "message": "bad_identifier"}
    vinix_aioresponses.get(LISTING, status=404, payload=payload)
    async with VinixClient(auth="a-token") as client:
        with pytest.raises(NotFoundError, match="404 bad_identifier"):
            await client.callflows.list(ACCOUNT)


@pytest.mark.parametrize(
    "reply",
    [
        {"payload": {"data": [{"id": "é"}]}},
        {"body": '{"data": [{"id": "é"}]}'},
        {"body": '{"data": [{"id": "é"}]}'.encode()},
        {"callback": lambda *_, **__: CallbackResult(payload={"data": [{"id": "é"}]})},
        {"callback": lambda *_, **__: None, "payload": {"data": [{"id": "é"}]}},
    ],
    ids=["payload", "text", "bytes", "callback", "callback without a result"],
)
async def test_s5_replies_have_their_length(vinix_aioresponses: aioresponses, reply: dict[str, Any]) -> None:
    vinix_aioresponses.get("http://127.0.0.1/x", **reply)
    async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1/x") as response:
        body = await response.read()
    assert json.loads(body) == {"data": [{"id": "é"}]}
    assert response.headers["Content-Length"] == str(len(body))


async def test_s5_what_a_test_sets_itself_is_kept(vinix_aioresponses: aioresponses) -> None:
    async def reply(url: object, **_: object) -> CallbackResult:
        return CallbackResult(status=418, body="{}", headers={"Content-Length": "7"})

    vinix_aioresponses.put("http://127.0.0.1/x", callback=reply)
    vinix_aioresponses.put("http://127.0.0.1/x", headers={"Content-Length": "9", "X-Mine": "1"})
    async with aiohttp.ClientSession() as session:
        async with session.put("http://127.0.0.1/x") as response:
            assert (response.status, response.headers["Content-Length"]) == (418, "7")
        async with session.put("http://127.0.0.1/x") as response:
            assert (response.headers["Content-Length"], response.headers["X-Mine"]) == ("9", "1")
