"""``Sandbox``: a local Vinix server in this process, with any number of synthetic accounts."""

from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from aiohttp import web

from .. import ApiKeyAuth, Clock, ConfigurationError, UserAuth
from .._pipeline.clock import SystemClock
from .breakage import BREAKAGES
from .dialects import DIALECTS
from .estate.accounts import AccountTree
from .estate.callflow_store import CallflowStore
from .estate.dates import gregorian_seconds
from .estate.summary import summary
from .faults import Faults
from .filters import filters_in, matches
from .http_handler import HttpHandler, RecordedRequest, restore_cowboy_headers
from .listener import Listener
from .outages import Outage, OutageController, OutageKind, OutagePart
from .responses import early, status_error
from .state import SandboxState
from .token_bucket import TokenBuckets
from .tokens import USERNAME, TokenIssuer, normalized_name

if TYPE_CHECKING:
    from .. import VinixClient

_MAX_UPLOAD: Final = 8 * 2**20
"""The largest request body in bytes, which is Kazoo's default ``max_upload_size``."""

_MAX_REQUEST_LINE: Final = 2**16
"""aiohttp's own limit for lines of a request head, well above Cowboy's, which the handler applies."""

_IDLE_TIMEOUT: Final = 5.0
"""Seconds after which Cowboy closes an idle connection."""

_SHUTDOWN_TIMEOUT: Final = 0.1
"""Seconds that ``close`` gives to requests under way."""

_DEFAULT_CAPACITY: Final = 100
_DEFAULT_RATE: Final = 10
_UNLIMITED: Final = 10**9


class Sandbox:
    """A server on this machine that answers as Vinix does.

    Args:
        dialect: ``kazoo5``, ``kazoo43`` or ``documented``; ``vinix_async.sandbox.dialects`` describes them.
        accounts: the number of accounts, the root reseller included. An account is generated when it is first asked
            for, so 100,000 accounts cost no more than 3.
        callflows: the number of callflows of each account: an exact number, or a range (smallest, largest).
        seed: the same seed gives the same accounts, documents and credentials.
        host, port: where to listen; port 0 chooses a free one.
        rate_limit: True for Kazoo's buckets, one for each client address and account, of 100 tokens with 10 more
            each second. Kazoo 5 does not charge requests with a valid token to them. With (capacity, tokens a
            second) every request is charged, in every dialect. False for no limit.
        login_cost: the number of tokens that a login costs besides the one that each request costs; 35 where the
            operator has configured costs.
        token_ttl: seconds for which a token is valid.
        faults: a ``Faults`` that makes a share of the responses go wrong.
        clock: the source of time, shared with ``client()``.
        record: the number of requests that ``requests`` keeps.
    """

    requests: deque[RecordedRequest]

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
        if type(accounts) is not int or accounts < 1:
            raise ConfigurationError("accounts must be an int and at least 1, since the root account is one")
        count_range = (callflows, callflows) if isinstance(callflows, int) else callflows
        if not all(isinstance(count, int) for count in count_range) or not 0 <= count_range[0] <= count_range[1]:
            raise ConfigurationError("callflows must be an int, or a range (smallest, largest)")
        chosen = DIALECTS[dialect]()
        tree = AccountTree(seed, accounts, chosen.id_style)
        capacity, rate = (_DEFAULT_CAPACITY, _DEFAULT_RATE) if isinstance(rate_limit, bool) else rate_limit
        self.account_ids = tree
        self.requests = deque(maxlen=record)
        self._clock = clock or SystemClock()
        self._outages = OutageController(self._clock)
        self._state = SandboxState(
            dialect=chosen,
            accounts=tree,
            callflows=CallflowStore(seed, tree.__getitem__, count_range),
            tokens=TokenIssuer(seed, tree, opaque=chosen.opaque_tokens, ttl=token_ttl),
            buckets=TokenBuckets(_UNLIMITED if rate_limit is False else capacity, rate),
            clock=self._clock,
            charges_valid_tokens=chosen.charges_valid_tokens or not isinstance(rate_limit, bool),
            login_cost=login_cost,
        )
        self._handler = HttpHandler(self._state, self.requests, faults, self._outages)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self.url: str = ""

    # --- running ---

    async def start(self) -> None:
        """Start to listen, and set ``url`` to the base URL."""
        self._handler.open()
        app = web.Application(client_max_size=_MAX_UPLOAD)
        app.router.add_route("*", "/{path:.*}", self._handler.handle)
        app.on_response_prepare.append(restore_cowboy_headers)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_IDLE_TIMEOUT,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
            max_line_size=_MAX_REQUEST_LINE,
            max_field_size=_MAX_REQUEST_LINE,
        )
        await self._runner.setup()
        web_server = cast("web.Server", self._runner.server)  # which setup has made
        try:
            self._listener = Listener(self._host, self._port, web_server)
        except OSError:
            await self._runner.cleanup()
            raise
        self._listener.accept()
        self._outages.attach(self._listener, web_server)
        self._port = self._listener.port
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{host}:{self._port}/v2"

    async def close(self) -> None:
        """Stop listening and close every connection. An outage ends."""
        if self._runner is None or self._listener is None:
            return
        self._outages.detach()
        await self._listener.close()
        self._handler.close()
        await self._runner.cleanup()
        self._runner = self._listener = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    # --- credentials and clients ---

    @property
    def root_id(self) -> str:
        """The id of the root account, a reseller above all others."""
        return self.account_ids[0]

    def user_auth(self) -> UserAuth:
        """Return the credentials of the root account's user."""
        name = normalized_name(self._state.accounts.name(0))
        return UserAuth(USERNAME, self._state.tokens.password, account_name=name)

    def api_key_auth(self, account_id: str | None = None) -> ApiKeyAuth:
        """Return the API key of an account; without an id, that of the root account."""
        return ApiKeyAuth(self._state.tokens.api_key(self._index(account_id or self.root_id)))

    def client(self, **options: Any) -> "VinixClient":
        """Return a client of this server with its clock. Without ``auth`` it logs in as the root account's user."""
        from .. import VinixClient  # noqa: PLC0415  # the server alone does not need the client

        return VinixClient(**{"auth": self.user_auth(), "base_url": self.url, "clock": self._clock, **options})

    # --- what the sandbox holds ---

    def callflow_ids(self, account_id: str, filters: Mapping[str, str] | None = None) -> list[str]:
        """Return the ids of an account's callflows, ascending; with ``filters``, of those that pass them all."""
        index, store = self._index(account_id), self._state.callflows
        known = filters_in(filters or {})
        return [each for each in store.ids(index) if not known or matches(store.cached(index, each), known)]

    def document(self, account_id: str, callflow_id: str) -> dict[str, Any]:
        """Return a callflow as ``GET`` of one sends it. Raises KeyError if there is none."""
        return self._state.callflows.document(self._index(account_id), callflow_id)

    def row(self, account_id: str, callflow_id: str) -> dict[str, Any]:
        """Return a callflow as a listing sends it. Raises KeyError if there is none."""
        index, store = self._index(account_id), self._state.callflows
        if self._state.dialect.whole_rows:
            return store.document(index, callflow_id)
        return summary(store.stored(index, callflow_id))

    @property
    def served(self) -> int:
        """The number of requests received so far, logins included."""
        return self._handler.served

    def count(self, *, method: str | None = None, status: int | None = None, account_id: str | None = None) -> int:
        """Count the recorded requests that have all the given properties."""
        return sum(
            1
            for each in self.requests
            if method in {None, each.method} and status in {None, each.status} and account_id in {None, each.account_id}
        )

    # --- changes of the data and of the credentials ---

    def put(self, account_id: str, document: Mapping[str, Any], *, dated: bool = True) -> str:
        """Add a callflow, or replace the one with the same id. Returns the id.

        The document gets the date of the sandbox's clock as ``pvt_modified`` (and ``pvt_created`` if it is new), which
        the filters ``modified_from`` and ``created_from`` see. With ``dated=False`` it keeps the dates that it had, as
        when Kazoo toggles a member of a ring group. Dates in ``document`` are kept.
        """
        modified = gregorian_seconds(self._clock.time()) if dated else None
        return self._state.callflows.put(self._index(account_id), dict(document), modified)

    def remove(self, account_id: str, callflow_id: str) -> None:
        """Delete a callflow. Raises KeyError if there is none."""
        self._state.callflows.remove(self._index(account_id), callflow_id)

    def expire_tokens(self) -> None:
        """Expire every token issued so far."""
        self._state.tokens.expire_all()

    def refuse_logins(self, refuse: bool = True) -> None:  # noqa: FBT001, FBT002  # refuse_logins(False) reads well
        """Answer logins with 401 from now on. ``refuse_logins(False)`` ends it."""
        self._state.logins_refused = refuse

    def deny(self, account_id: str, status: int = 403) -> None:
        """Answer every request for an account with an error."""
        self._index(account_id)
        self._state.denied_accounts[account_id] = early(status_error(status))

    def hang(self, account_id: str) -> None:
        """Never answer requests for an account: they wait until their clients give up."""
        self._index(account_id)
        self._state.hanging_accounts.add(account_id)

    def disable(self, account_id: str) -> None:
        """Disable an account. Its logins get 400; a token from before still reads it, as on the real server."""
        self._index(account_id)
        self._state.disabled_accounts.add(account_id)

    def allow(self, account_id: str) -> None:
        """Undo ``deny``, ``disable`` and ``hang``."""
        self._state.disabled_accounts.discard(account_id)
        self._state.denied_accounts.pop(account_id, None)
        self._state.hanging_accounts.discard(account_id)

    # --- chaos ---

    def outage(
        self, seconds: float | None = None, *, kind: OutageKind = "503", only: OutagePart | None = None
    ) -> Outage:
        """Begin an outage, in place of one that is already on.

        It ends after ``seconds``, with ``end_outage()``, or at the end of a block:

        >>> with sandbox.outage(kind="refuse"):
        ...     ...

        Args:
            seconds: how long it lasts on the sandbox's clock; None or infinity for an outage that has to be ended.
            kind: ``502``, ``503`` and ``504`` answer with that status and HTML, as a load balancer does; ``refuse``
                closes all connections and refuses new ones; ``reset`` resets the connection of every request; ``hang``
                never answers a request, not even after the outage.
            only: the part of the API that is away: ``callflows`` (listings and documents), ``accounts`` (everything
                else about accounts) or ``logins``. Connections cannot be refused for only a part.
        """
        return self._outages.begin(seconds, kind, only)

    def end_outage(self) -> None:
        """End the outage that is on, if there is one."""
        self._outages.end()

    def break_callflow(self, account_id: str, callflow_id: str, how: int | str = 500) -> None:
        """Break one callflow, until ``mend_callflow``. ``document`` and ``row`` still return it unbroken.

        Args:
            account_id: its account.
            callflow_id: its id.
            how: a status from 400 to 599 with which ``GET`` of the callflow is answered; a kind of ``Faults`` that
                this answer has, such as ``html`` or ``hang``; ``init_failed``, the 500 that Kazoo repeats for certain
                documents; ``wrong_type`` (``numbers`` is a number, in listings, too); ``wrong_node`` (text in place of
                a node of the flow); ``empty`` (an empty document); ``without_id`` (in listings, too); or ``unlisted``
                (missing from listings, although ``GET`` finds it).
        """
        if not (400 <= how <= 599 if isinstance(how, int) else how in BREAKAGES):
            raise ConfigurationError(f"how must be a status from 400 to 599, or one of {', '.join(BREAKAGES)}")
        index = self._index(account_id)
        self._state.callflows.stored(index, callflow_id)
        self._state.broken_callflows[index, callflow_id] = how

    def mend_callflow(self, account_id: str, callflow_id: str) -> None:
        """Undo ``break_callflow``."""
        self._state.broken_callflows.pop((self._index(account_id), callflow_id), None)

    def _index(self, account_id: str) -> int:
        index = self._state.accounts.find(account_id)
        if index is None:
            raise KeyError(account_id)
        return index
