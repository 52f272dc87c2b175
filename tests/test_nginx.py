"""The client and a real reverse proxy: nginx, with its own rate limits, compression and TLS."""

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from fake_clock import FakeClock
from free_port import free_port

from vinix_async import (
    APIConnectionError,
    APITimeoutError,
    Limits,
    RateLimitError,
    RetryPolicy,
    ServerError,
    VinixClient,
)
from vinix_async.sandbox import Sandbox

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light")

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} {tls};
        {server}
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {location}
        }}
    }}
}}
"""


async def answers(port: int) -> None:
    """Wait until somebody listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.005)
            continue
        writer.close()
        await writer.wait_closed()
        return


Proxy = Callable[..., Any]


@pytest.fixture
def proxied(tmp_path: Path) -> Proxy:
    """``async with proxied(upstream, location=...) as url``: nginx in front of a server."""

    @asynccontextmanager
    async def run(upstream: str, scheme: str = "http", **parts: str) -> AsyncIterator[str]:
        port = free_port()
        known = {"http": "", "server": "", "location": "", "tls": "", **parts}
        path = tmp_path / "nginx.conf"
        path.write_text(CONFIG.format(folder=tmp_path, port=port, upstream=upstream, **known))
        user = "user root;\n" if os.geteuid() == 0 else ""
        path.write_text(user + path.read_text())
        assert NGINX
        process = await asyncio.create_subprocess_exec(
            NGINX, "-p", str(tmp_path), "-c", str(path), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await asyncio.wait_for(answers(port), 10)
            yield f"{scheme}://127.0.0.1:{port}/v2"
        finally:
            process.terminate()
            await process.wait()

    return run


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(callflows=120, rate_limit=False) as running:
        yield running


def origin(sandbox: Sandbox) -> str:
    return sandbox.url.removesuffix("/v2")


async def all_there(client: VinixClient, sandbox: Sandbox, page_size: int = 10) -> None:
    found = [callflow.id async for callflow in client.callflows.list(sandbox.root_id, page_size=page_size)]
    assert sorted(found) == sandbox.callflow_ids(sandbox.root_id)


async def test_everything_gets_through(sandbox: Sandbox, proxied: Proxy) -> None:
    async with proxied(origin(sandbox)) as url, sandbox.client(base_url=url) as client:
        await all_there(client, sandbox)
        odd = sandbox.put(sandbox.root_id, {"id": "a b+c;é", "name": "odd"})
        assert (await client.callflows.get(sandbox.root_id, odd)).name == "odd"


async def test_gzip_of_its_own(sandbox: Sandbox, proxied: Proxy) -> None:
    http = "gzip on; gzip_proxied any; gzip_min_length 1; gzip_types application/json;"
    strip = 'proxy_set_header Accept-Encoding "";'
    async with proxied(origin(sandbox), http=http, location=strip) as url, sandbox.client(base_url=url) as client:
        await all_there(client, sandbox)


@pytest.mark.parametrize(("status", "error"), [(429, RateLimitError), (503, ServerError)])
async def test_its_rate_limit(sandbox: Sandbox, proxied: Proxy, status: int, error: type[Exception]) -> None:
    """One request in 50 ms, two more in hand; HTML bodies and no Retry-After."""
    http = "limit_req_zone $binary_remote_addr zone=one:1m rate=20r/s;"
    location = f"limit_req zone=one burst=2 nodelay; limit_req_status {status};"
    async with proxied(origin(sandbox), http=http, location=location) as url:
        retry, limits = RetryPolicy(attempts=10), Limits(rate=20.0)
        async with sandbox.client(base_url=url, retry=retry, limits=limits) as client:
            with pytest.raises(error):
                await all_there(client.with_options(retry=RetryPolicy(attempts=1)), sandbox)
            await all_there(client, sandbox)


async def test_an_upstream_that_is_down(sandbox: Sandbox, proxied: Proxy) -> None:
    clock = FakeClock()
    async with (
        proxied(f"http://127.0.0.1:{free_port()}") as url,
        sandbox.client(base_url=url, clock=clock, auth="a-token") as client,
    ):
        with pytest.raises(ServerError, match="502") as waited:
            await client.callflows.list(sandbox.root_id)
        alone = client.with_options(retry=RetryPolicy(outage_wait=0))
        with pytest.raises(ServerError, match="502") as caught:
            await alone.callflows.list(sandbox.root_id)
    assert waited.value.server_away
    assert waited.value.attempts > 5
    assert (caught.value.attempts, caught.value.probes) == (5, 0)


async def test_an_upstream_that_is_slow(sandbox: Sandbox, proxied: Proxy) -> None:
    location = "proxy_read_timeout 1s; proxy_next_upstream off;"
    async with (
        proxied(origin(sandbox), location=location) as url,
        sandbox.client(base_url=url, retry=RetryPolicy(attempts=1)) as client,
    ):
        await client.callflows.list(sandbox.account_ids[1])
        sandbox.hang(sandbox.root_id)
        with pytest.raises(ServerError, match="504"):
            await client.callflows.list(sandbox.root_id)
        with pytest.raises(APITimeoutError):
            await client.with_options(timeout=0.05).callflows.list(sandbox.root_id)


async def test_connections_that_it_closes_again_and_again(sandbox: Sandbox, proxied: Proxy) -> None:
    """It closes after every third request, and idle ones after a while that races with the next request."""
    server = "keepalive_requests 3; keepalive_timeout 50ms;"
    async with proxied(origin(sandbox), server=server) as url, sandbox.client(base_url=url) as client:
        for _ in range(15):
            await all_there(client, sandbox, page_size=60)
            await asyncio.sleep(0.05)


async def test_tls_with_an_authority_of_one_s_own(sandbox: Sandbox, proxied: Proxy, tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    server = f"ssl_certificate {tmp_path}/cert.pem; ssl_certificate_key {tmp_path}/key.pem;"
    async with proxied(origin(sandbox), scheme="https", tls="ssl", server=server) as url:
        async with sandbox.client(base_url=url, ssl=context) as client:
            with pytest.raises(APIConnectionError, match="certificate"):
                await client.callflows.list(sandbox.root_id)
        authority.configure_trust(context)
        async with sandbox.client(base_url=url, ssl=context) as client:
            await all_there(client, sandbox)
