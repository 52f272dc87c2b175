"""What a user would write or install instead, doing the same work.

``DECODERS`` read a response body. ``CLIENTS`` request a page and read its body.
"""

import contextlib
import gc
import importlib
import io
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import orjson
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, ConfigDict

from harness import VINIX
from vinix_async import Limits, VinixClient, decode_page
from vinix_async.telemetry import instrument

TOKEN = "benchmark"  # noqa: S105  # not a secret
HEADERS = {"X-Auth-Token": TOKEN, "Accept": "application/json"}
MAX_CONNECTIONS = 64

ORJSON = "orjson.loads"
PYDANTIC = "pydantic v2"
BARE = "aiohttp + orjson.loads"
HTTPX = "httpx + pydantic v2"
GENERATED = "generated client"
TRACED = f"{VINIX} with OpenTelemetry"

_FOLDER = tempfile.TemporaryDirectory()  # deleted at the end of the process

# --- decoders ---------------------------------------------------------------------------------------------------


class _Model(BaseModel):
    model_config = ConfigDict(extra="allow")


class PydanticFeatureCode(_Model):
    """``featurecode``."""

    name: str | None = None
    number: str | None = None


class PydanticNode(_Model):
    """A node of a flow."""

    module: str | None = None
    data: dict[str, Any] = {}
    children: "dict[str, PydanticNode]" = {}


class PydanticCallflow(_Model):
    """A callflow."""

    id: str
    name: str | None = None
    type: str | None = None
    numbers: list[str] = []
    patterns: list[str] = []
    featurecode: PydanticFeatureCode | bool | None = None
    flags: list[str] = []
    flow: PydanticNode | None = None
    metaflow: dict[str, Any] | None = None
    ringback: dict[str, Any] | None = None
    owner_id: str | None = None
    group_id: str | None = None
    modules: list[str] = []
    metadata: dict[str, Any] = {}


class PydanticListing(_Model):
    """A page."""

    data: list[PydanticCallflow]
    next_start_key: str | None = None


DECODERS = {ORJSON: orjson.loads, VINIX: decode_page, PYDANTIC: PydanticListing.model_validate_json}

# --- clients ----------------------------------------------------------------------------------------------------


class Client:
    """One way to read a listing."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def url(self, account_id: str) -> str:
        """Return the listing's address."""
        return f"{self.base_url}/accounts/{account_id}/callflows"

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        """Read one page and return the cursor of the next."""
        raise NotImplementedError

    async def walk(self, account_id: str) -> None:
        """Read all pages, one after the other."""
        cursor = await self.page(account_id)
        while cursor is not None:
            cursor = await self.page(account_id, cursor)

    async def close(self) -> None:
        """Close the connections."""
        raise NotImplementedError


def _query(start_key: str | None) -> dict[str, str]:
    return {} if start_key is None else {"start_key": start_key}


class Vinix(Client):
    """This library."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        limits = Limits(max_connections=MAX_CONNECTIONS, max_concurrency=MAX_CONNECTIONS, per_account=MAX_CONNECTIONS)
        self.client = VinixClient(auth=TOKEN, base_url=base_url, limits=limits)

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        return (await self.client.callflows.list(account_id, start_key=start_key)).next_start_key

    async def walk(self, account_id: str) -> None:
        async for _ in self.client.callflows.list(account_id):
            pass

    async def close(self) -> None:
        await self.client.close()


class Traced(Vinix):
    """This library with OpenTelemetry: two sampled spans and a measurement for each call, which are not exported."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        instrument(self.client, tracer_provider=TracerProvider(), meter_provider=MeterProvider())


class Aiohttp(Client):
    """aiohttp with ``orjson.loads``, and a look at the envelope."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS))

    async def fetch(self, account_id: str, start_key: str | None = None) -> bytes:
        """Return the body of one page."""
        async with self.session.get(self.url(account_id), headers=HEADERS, params=_query(start_key)) as response:
            response.raise_for_status()
            return await response.read()

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        envelope = orjson.loads(await self.fetch(account_id, start_key))
        if envelope["status"] != "success" or not isinstance(envelope["data"], list):
            raise ValueError("the response is not a listing")
        next_start_key: str | None = envelope.get("next_start_key")
        return next_start_key

    async def close(self) -> None:
        await self.session.close()


_HTTPX_LIMITS = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)


class Httpx(Client):
    """httpx with pydantic."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.client = httpx.AsyncClient(limits=_HTTPX_LIMITS, timeout=60)

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        response = await self.client.get(self.url(account_id), headers=HEADERS, params=_query(start_key))
        response.raise_for_status()
        next_start_key: str | None = PydanticListing.model_validate_json(response.content).next_start_key
        return next_start_key

    async def close(self) -> None:
        await self.client.aclose()


@cache
def _generated(module: str = "client") -> Any:
    """Return a module of the client that openapi-python-client generates from ``openapi.yaml``."""
    name = "generated_client"
    if name not in sys.modules:
        folder = Path(_FOLDER.name)
        settings = ConfigFile(post_hooks=[], package_name_override=name)
        config = Config.from_sources(
            settings, MetaType.NONE, Path(__file__).with_name("openapi.yaml"), "utf-8", True, folder / name
        )
        with contextlib.redirect_stdout(io.StringIO()):
            errors = generate(config=config)
        if errors:
            raise RuntimeError(errors)
        sys.path.insert(0, str(folder))
    return importlib.import_module(f"{name}.{module}")


class Generated(Client):
    """The generated client, which uses httpx."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.client = _generated().AuthenticatedClient(
            base_url, token=TOKEN, prefix="", auth_header_name="X-Auth-Token", httpx_args={"limits": _HTTPX_LIMITS}
        )
        self.client = self.client.with_timeout(httpx.Timeout(60))
        self.call = _generated("api.callflows.list_callflows").asyncio

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        listing = await self.call(account_id, client=self.client, **_query(start_key))
        return listing.next_start_key or None

    async def close(self) -> None:
        await self.client.get_async_httpx_client().aclose()


CLIENTS: dict[str, type[Client]] = {BARE: Aiohttp, VINIX: Vinix, HTTPX: Httpx, GENERATED: Generated}


@contextlib.asynccontextmanager
async def open_all(base_url: str, kinds: Mapping[str, type[Client]]) -> AsyncIterator[dict[str, Client]]:
    """Open one client of each kind, and close them at the end of the block.

    Each has read a page, and the collector ignores what they have made so far.
    """
    clients = {name: kind(base_url) for name, kind in kinds.items()}
    try:
        for client in clients.values():
            await client.page("S.0.1")
        gc.collect()
        gc.freeze()
        yield clients
    finally:
        for client in clients.values():
            await client.close()
