"""``Sandbox``: a Vinix server of one's own, in this process, with as many synthetic accounts as wanted."""

from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from .._exceptions import ConfigurationError
from .._pipeline.clock import Clock, SystemClock
from .._pipeline.login import ApiKeyAuth, UserAuth
from ._accounts import Accounts
from ._bucket import Buckets
from ._dialects import DIALECTS, Reply
from ._documents import Documents, summary
from ._faults import Faults
from ._filters import filters_in, matches
from ._http import Handler, Served
from ._state import State
from ._tokens import USERNAME, Tokens, normalised

if TYPE_CHECKING:
    from .._client import VinixClient

_WORDS = {401: "invalid_credentials", 403: "forbidden", 404: "bad_identifier", 423: "locked", 429: "too_many_requests"}


class Sandbox:
    """A server that answers as Vinix does. It listens on this machine only.

    Args:
        dialect: ``kazoo5``, ``kazoo43`` or ``documented``; ``vinix_async.sandbox._dialects`` tells them apart.
        accounts: how many, the root reseller included. They are made as they are asked for, so 100,000 cost no
            more than 3.
        callflows: for each account, exactly so many, or a random number in a range.
        seed: the same seed gives the same accounts, documents and credentials.
        host, port: where to listen; port 0 takes a free one.
        rate_limit: whether there is a bucket for each address and account, of 100 tokens with 10 more each second;
            or (capacity, tokens a second).
        login_cost: tokens for a login; 35 where the operator has configured costs.
        token_ttl: seconds that a token is good for.
        faults: a ``Faults``: what share of the answers goes wrong, and how.
        clock: time, shared with ``client()``.
        record: how many of the last requests ``requests`` keeps.
    """

    requests: deque[Served]

    def __init__(
        self,
        *,
        dialect: str = "kazoo5",
        accounts: int = 3,
        callflows: int | tuple[int, int] = (4, 12),
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        rate_limit: bool | tuple[int, int] = True,
        login_cost: int = 1,
        token_ttl: float = 3600.0,
        faults: Faults | None = None,
        clock: Clock | None = None,
        record: int = 10_000,
    ) -> None:
        if dialect not in DIALECTS:
            raise ConfigurationError(f"dialect must be one of {', '.join(DIALECTS)}, not {dialect!r}")
        if accounts < 1:
            raise ConfigurationError("accounts must be at least 1: the root is one")
        spread = (callflows, callflows) if isinstance(callflows, int) else callflows
        if not 0 <= spread[0] <= spread[1]:
            raise ConfigurationError("callflows must be a count, or a range (least, most)")
        spoken = DIALECTS[dialect]()
        tree = Accounts(seed, accounts, spoken.account_style)
        capacity, rate = (100, 10) if isinstance(rate_limit, bool) else rate_limit
        self.account_ids = tree
        self.requests = deque(maxlen=record)
        self._clock = clock or SystemClock()
        self._state = State(
            dialect=spoken,
            accounts=tree,
            documents=Documents(seed, tree.__getitem__, spread),
            tokens=Tokens(seed, tree, opaque=spoken.opaque_tokens, ttl=token_ttl),
            buckets=Buckets(10**9 if rate_limit is False else capacity, rate),
            clock=self._clock,
            login_cost=login_cost,
        )
        self._handler = Handler(self._state, self.requests, faults)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self.url: str = ""

    # --- running ---

    async def start(self) -> None:
        """Listen; from here on ``url`` is the base URL."""
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handler.handle)
        # Cowboy closes a connection that has been idle for 5 s.
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=5.0, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{self._host}:{self._port}/v2"

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    # --- who may come in ---

    @property
    def root_id(self) -> str:
        """The reseller above all other accounts."""
        return self.account_ids[0]

    def user_auth(self) -> UserAuth:
        """The root account's user."""
        name = normalised(self._state.accounts.name(0))
        return UserAuth(USERNAME, self._state.tokens.password, account_name=name)

    def api_key_auth(self, account_id: str | None = None) -> ApiKeyAuth:
        """An account's API key, the root's unless told."""
        return ApiKeyAuth(self._state.tokens.api_key(self._index(account_id or self.root_id)))

    def client(self, **options: Any) -> "VinixClient":
        """A client of this server with its clock, logged in as the root's user unless ``auth`` is given."""
        from .._client import VinixClient  # noqa: PLC0415  # the server alone does not need the client

        return VinixClient(**{"auth": self.user_auth(), "base_url": self.url, "clock": self._clock, **options})

    # --- the truth ---

    def callflow_ids(self, account_id: str, filters: Mapping[str, str] | None = None) -> list[str]:
        """The ids of an account's callflows, or of those that pass the filters, ascending."""
        index, documents = self._index(account_id), self._state.documents
        known = filters_in(filters or {})
        return [each for each in documents.ids(index) if not known or matches(documents.kept(index, each), known)]

    def document(self, account_id: str, callflow_id: str) -> dict[str, Any]:
        """A whole callflow as ``get`` sends it; KeyError if there is none."""
        return self._state.documents.whole(self._index(account_id), callflow_id)

    def row(self, account_id: str, callflow_id: str) -> dict[str, Any]:
        """The callflow as a listing sends it; KeyError if there is none."""
        index, documents = self._index(account_id), self._state.documents
        return (
            documents.whole(index, callflow_id)
            if self._state.dialect.whole_rows
            else summary(documents.stored(index, callflow_id))
        )

    @property
    def served(self) -> int:
        """How many requests have been answered, logins included."""
        return self._handler.served

    def count(self, *, method: str | None = None, status: int | None = None, account_id: str | None = None) -> int:
        """How many of the recorded requests were such."""
        return sum(
            1
            for each in self.requests
            if method in {None, each.method} and status in {None, each.status} and account_id in {None, each.account_id}
        )

    # --- what a test may change ---

    def put(self, account_id: str, document: Mapping[str, Any]) -> str:
        """Add a callflow, or replace the one with its id; the id is returned."""
        return self._state.documents.put(self._index(account_id), dict(document))

    def remove(self, account_id: str, callflow_id: str) -> None:
        """Delete a callflow; KeyError if there is none."""
        self._state.documents.remove(self._index(account_id), callflow_id)

    def expire_tokens(self) -> None:
        """Refuse every token issued so far."""
        self._state.tokens.expire_all()

    def refuse_logins(self, refuse: bool = True) -> None:  # noqa: FBT001, FBT002  # refuse_logins(False) reads well
        """Answer logins with 401 from now on, or no longer."""
        self._state.logins_refused = refuse

    def deny(self, account_id: str, status: int = 403) -> None:
        """Answer everything about an account with an error, as for one that is disabled."""
        self._index(account_id)
        word = _WORDS.get(status, "failed")
        self._state.denied[account_id] = Reply(status, {"message": word.replace("_", " ")}, word)

    def hang(self, account_id: str) -> None:
        """Answer nothing about an account any more: its requests wait until their clients give up."""
        self._index(account_id)
        self._state.silent.add(account_id)

    def allow(self, account_id: str) -> None:
        """Take ``deny`` and ``hang`` back."""
        self._state.denied.pop(account_id, None)
        self._state.silent.discard(account_id)

    def _index(self, account_id: str) -> int:
        index = self._state.accounts.find(account_id)
        if index is None:
            raise KeyError(account_id)
        return index
