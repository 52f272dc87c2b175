"""The library under aioresponses, as some of its users will test their own code."""

import re

import pytest
from aioresponses import aioresponses

from vinix_async import NotFoundError, VinixClient

ACCOUNT = "a" * 32
LISTING = re.compile(r"^https://api\.vinixglobal\.com/v2/accounts/a{32}/callflows")


async def test_a_listing_over_two_pages(mocked: aioresponses) -> None:
    mocked.get(LISTING, payload={"data": [{"id": "1"}], "next_start_key": "k", "status": "success"})
    mocked.get(LISTING, payload={"data": [{"id": "2"}], "status": "success"})
    async with VinixClient(auth="a-token") as client:
        assert [callflow.id async for callflow in client.callflows.list(ACCOUNT)] == ["1", "2"]
    sent = [call for calls in mocked.requests.values() for call in calls]
    assert len(sent) == 2
    assert {call.kwargs["headers"]["X-Auth-Token"] for call in sent} == {"a-token"}
    assert {call.kwargs["allow_redirects"] for call in sent} == {False}


async def test_an_error(mocked: aioresponses) -> None:
    mocked.get(LISTING, status=404, payload={"status": "error", "error": "404", "message": "bad_identifier"})
    async with VinixClient(auth="a-token") as client:
        with pytest.raises(NotFoundError, match="404 bad_identifier"):
            await client.callflows.list(ACCOUNT)
