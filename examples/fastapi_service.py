"""A web service that answers from the Vinix API: one client for all requests, errors as statuses, a streamed sweep.

    uvicorn --app-dir examples --timeout-graceful-shutdown 10 fastapi_service:app

The environment says where the server is and who logs in: VINIX_BASE, and for example VINIX_API_KEY. The service itself
checks no credentials: put it behind something that does.
"""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vinix_async import (
    AccountPage,
    APITimeoutError,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    VinixClient,
    VinixError,
    to_json,
)

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logger = logging.getLogger("service")

ONE_REQUEST = 10.0
"""Seconds after which a request is given up. Somebody is waiting for it, so it is not retried for long."""

ONE_ACCOUNT = 60.0
"""Seconds after which an account of a streamed sweep is given up."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client when the service starts, and close it when the service ends."""
    async with VinixClient.from_env(deadline=ONE_REQUEST, retry=RetryPolicy(attempts=3)) as client:
        app.state.client = client
        yield


app = FastAPI(title="Callflows", lifespan=lifespan)


def shared_client(request: Request) -> VinixClient:
    """Return the client that all requests share."""
    client: VinixClient = request.app.state.client
    return client


Client = Annotated[VinixClient, Depends(shared_client)]


@app.exception_handler(VinixError)
async def report(_: Request, error: VinixError) -> JSONResponse:
    """Answer with a status that says whose fault it was. The log has the details."""
    logger.warning("%s", error)
    status, text, headers = 502, "the Vinix API did not answer this request", dict[str, str]()
    match error:
        case ConfigurationError():
            status, text = 422, str(error)
        case NotFoundError():
            status, text = 404, "no such account or callflow"
        case APITimeoutError():
            status, text = 504, "the Vinix API did not answer in time"
        case RateLimitError():
            status, text, headers = 503, "too many requests for this account", {"Retry-After": "5"}
    return JSONResponse({"detail": text, "request_id": error.request_id}, status, headers)


@app.get("/health")
async def health(client: Client) -> dict[str, int]:
    """Answer without a request to the Vinix API, whose outages must not restart this service."""
    return {"requests": client.stats.requests, "outages": client.stats.outages}


@app.get("/accounts/{account_id}/callflows")
async def callflows(account_id: str, client: Client) -> Response:
    """Return the summaries of all callflows of an account."""
    found = await client.callflows.list(account_id).to_list()
    return Response(b"[%b]" % b",".join(map(to_json, found)), media_type="application/json")


@app.get("/accounts/{account_id}/callflows/{callflow_id}")
async def callflow(account_id: str, callflow_id: str, client: Client) -> Response:
    """Return one callflow with its flow."""
    return Response(to_json(await client.callflows.get(account_id, callflow_id)), media_type="application/json")


@app.get("/accounts/{account_id}/descendants/callflows")
async def sweep(account_id: str, client: Client) -> StreamingResponse:
    """Stream the callflows of all accounts below an account as NDJSON: a line for each page, as soon as it is read."""
    await client.accounts.get(account_id)  # an unknown account is a 404, which a stream that has begun cannot send
    return StreamingResponse(pages(client, account_id), media_type="application/x-ndjson")


async def pages(client: VinixClient, account_id: str) -> AsyncIterator[bytes]:
    """Yield the lines of a sweep. If the browser leaves, this generator is closed, which ends the sweep's requests.

    The last line says whether something is missing. If it does not come, the stream was cut off.
    """
    patient = client.with_options(deadline=ONE_ACCOUNT)
    accounts = client.with_options(deadline=None).accounts.descendants(account_id)  # it is read until the sweep ends
    try:
        async with patient.callflows.list_many(accounts) as found:
            async for page in found.by_page():
                yield line_of(page)
            done, failed = found.stats.accounts_done, found.stats.accounts_failed
        yield json.dumps({"accounts_done": done, "accounts_failed": failed}).encode() + b"\n"
    except VinixError as error:  # too late for another status
        logger.warning("%s", error)
        yield json.dumps({"error": type(error).__name__, "request_id": error.request_id}).encode() + b"\n"


def line_of(page: AccountPage) -> bytes:
    """Return a page as one line of JSON."""
    head = {
        "account_id": page.account_id,
        "error": page.error and type(page.error).__name__,
        "unreadable": [bad.id for bad in page.bad_items],
        "is_last": page.is_last,
    }
    return b'%b,"callflows":[%b]}\n' % (json.dumps(head).encode()[:-1], b",".join(map(to_json, page.items)))
