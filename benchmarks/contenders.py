"""What a user would write or install instead, on the same work.

``DECODERS`` read a body; ``CLIENTS`` send a request for a page and read its body the way they would.
"""

import asyncio
import contextlib
import gc
import importlib
import io
import json
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import orjson
import requests
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from pydantic import BaseModel, ConfigDict

from harness import FLOOR, VINIX
from raw import RawClient
from vinix_async import Limits, VinixClient, decode_page

TOKEN = "benchmark"  # noqa: S105  # no secret
HEADERS = {"X-Auth-Token": TOKEN, "Accept": "application/json"}
MOST = 256  # connections
BARE = "aiohttp + orjson.loads"
PYDANTIC = "httpx + pydantic v2"
GENERATED = "generated client"
REQUESTS = "requests in threads"
_FOLDER = tempfile.TemporaryDirectory()  # deleted at the end of the process

# --- pydantic ------------------------------------------------------------------------------------


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


# --- the generated client ------------------------------------------------------------------------


@cache
def generated(module: str = "client") -> Any:
    """A module of the client that openapi-python-client makes of ``openapi.yaml``."""
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


def _decode_generated(body: bytes) -> object:
    return generated("models").Listing.from_dict(json.loads(body))


DECODERS = {
    FLOOR: orjson.loads,
    VINIX: decode_page,
    "pydantic v2": PydanticListing.model_validate_json,
    GENERATED: _decode_generated,
}

# --- clients -------------------------------------------------------------------------------------


class Client:
    """One way to read a listing. ``page`` reads one page and returns the cursor of the next."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def url(self, account_id: str) -> str:
        """The listing's address."""
        return f"{self.base_url}/accounts/{account_id}/callflows"

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        """Read one page."""
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
        limits = Limits(max_connections=MOST, max_concurrency=MOST, per_account=MOST)
        self.client = VinixClient(auth=TOKEN, base_url=base_url, limits=limits)

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        return (await self.client.callflows.list(account_id, start_key=start_key)).next_start_key

    async def walk(self, account_id: str) -> None:
        async for _ in self.client.callflows.list(account_id):
            pass

    async def close(self) -> None:
        await self.client.close()


class Aiohttp(Client):
    """aiohttp with ``orjson.loads``."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MOST))

    async def fetch(self, account_id: str, start_key: str | None = None) -> bytes:
        """The body of one page."""
        async with self.session.get(self.url(account_id), headers=HEADERS, params=_query(start_key)) as response:
            response.raise_for_status()
            return await response.read()

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        body = orjson.loads(await self.fetch(account_id, start_key))
        next_start_key: str | None = body.get("next_start_key")
        return next_start_key

    async def close(self) -> None:
        await self.session.close()


class Raw(Client):
    """A bare asyncio protocol with ``orjson.loads``: about the least that a client can do."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.raw = RawClient(base_url, HEADERS)

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        query = "" if start_key is None else f"?start_key={start_key}"
        body = orjson.loads(await self.raw.get(f"/accounts/{account_id}/callflows{query}"))
        next_start_key: str | None = body.get("next_start_key")
        return next_start_key

    async def close(self) -> None:
        self.raw.close()


_HTTPX_LIMITS = httpx.Limits(max_connections=MOST, max_keepalive_connections=MOST)


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


class Generated(Client):
    """The generated client, which uses httpx."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.client = generated().AuthenticatedClient(
            base_url, token=TOKEN, prefix="", auth_header_name="X-Auth-Token", httpx_args={"limits": _HTTPX_LIMITS}
        )
        self.client = self.client.with_timeout(httpx.Timeout(60))
        self.call = generated("api.callflows.list_callflows").asyncio

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        listing = await self.call(account_id, client=self.client, **_query(start_key))
        return listing.next_start_key or None

    async def close(self) -> None:
        await self.client.get_async_httpx_client().aclose()


class Requests(Client):
    """requests in threads, a session for each, with ``json()``."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.pool = ThreadPoolExecutor(MOST)
        self.of_thread = threading.local()

    def get(self, account_id: str, start_key: str | None) -> str | None:
        """One page, in a thread of the pool."""
        if not hasattr(self.of_thread, "session"):
            self.of_thread.session = requests.Session()
        session: requests.Session = self.of_thread.session
        response = session.get(self.url(account_id), headers=HEADERS, params=_query(start_key), timeout=60)
        response.raise_for_status()
        next_start_key: str | None = response.json().get("next_start_key")
        return next_start_key

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.get, account_id, start_key)

    async def close(self) -> None:
        self.pool.shutdown()


CLIENTS: dict[str, type[Client]] = {
    "raw asyncio + orjson.loads": Raw,
    BARE: Aiohttp,
    VINIX: Vinix,
    PYDANTIC: Httpx,
    GENERATED: Generated,
    REQUESTS: Requests,
}


@contextlib.asynccontextmanager
async def open_all(base_url: str, kinds: Mapping[str, type[Client]]) -> AsyncIterator[dict[str, Client]]:
    """One client of each kind, closed at the end of the block."""
    clients = {name: kind(base_url) for name, kind in kinds.items()}
    try:
        yield clients
    finally:
        for client in clients.values():
            await client.close()


async def settle(clients: Mapping[str, Client], account_id: str) -> None:
    """Let each client read one page first, and leave what they have made so far out of the collector's work."""
    for client in clients.values():
        await client.page(account_id)
    gc.collect()
    gc.freeze()
