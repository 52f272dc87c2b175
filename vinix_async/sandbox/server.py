"""Defines ``Sandbox``, a server that behaves like Vinix and runs in the current process."""

import math
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import msgspec
from aiohttp import web
from attrs import evolve

from .. import ApiKeyAuth, Clock, ConfigurationError, UserAuth
from .._pipeline.clock import SystemClock
from .breakage import BREAKAGES
from .dialects import DIALECTS
from .estate.accounts import AccountTree
from .estate.callflow_store import CallflowStore
from .estate.dates import gregorian_seconds
from .estate.faulty_callflows import FAULTY_ACCOUNT_NAME
from .estate.summary import summary
from .faults import Faults
from .filters import filters_in, matches
from .http_handler import HttpHandler, RecordedRequest, expect, restore_cowboy_headers
from .listener import Listener
from .outages import Outage, OutageController, OutageKind, OutagePart
from .responses import early, status_error
from .state import SandboxState
from .token_bucket import TokenBuckets
from .tokens import USERNAME, TokenIssuer, normalized_name

if TYPE_CHECKING:
    from .. import VinixClient

_MAX_UPLOAD: Final = 8 * 2**20
"""The maximum size of a request body in bytes. This is Kazoo's default ``max_upload_size``."""

_MAX_REQUEST_LINE: Final = 2**16
"""aiohttp's limit for request lines and headers in bytes. It exceeds Cowboy's limits, which the handler applies."""

_IDLE_TIMEOUT: Final = 5.0
"""The number of seconds after which Cowboy closes an idle connection."""

_SHUTDOWN_TIMEOUT: Final = 0.1
"""The maximum number of seconds for which ``close`` waits for requests in progress."""

_MAX_PORT: Final = 65_535

_DEFAULT_CAPACITY: Final = 100
_DEFAULT_RATE: Final = 10
_UNLIMITED: Final = 10**9


class Sandbox:
    """A local server that behaves like Vinix.

    Args:
        dialect: the server to imitate. ``kazoo5`` and ``kazoo43`` behave like these versions of Kazoo. ``documented``
            behaves as the vendor's documentation says. The dialects differ in filters, cursors, errors and the order
            of rows.
        accounts: the number of accounts, including the root account, which is a reseller. Accounts are generated when
            they are needed, so 100,000 accounts use little memory.
        callflows: the number of callflows per account. With a tuple (minimum, maximum), each account has a random
            number of callflows in this range.
        findings: whether to add an account whose callflows have deliberate faults. It is the last of ``account_ids``.
            For each rule of ``vinix_async.flows``, this account has a callflow that the rule reports. The name of the
            callflow describes the fault. The callflows of all other accounts have no faults that make phone calls fail.
        seed: the seed of the random data. The same seed produces the same accounts, documents and credentials.
        host: the address to listen on.
        port: the port to listen on. 0 chooses a free one.
        rate_limit: True for Kazoo's rate limit, False for none. Kazoo has a token bucket for each pair of client
            address and account. A bucket has 100 tokens and gains 10 per second. In ``kazoo5``, authenticated requests
            take no tokens. A tuple (capacity, tokens per second) sets other numbers. With a tuple, authenticated
            requests take tokens in every dialect.
        login_cost: the number of tokens that a login costs, in addition to the one token that each request costs. It is
            35 on real servers whose operator has configured costs. If the capacity of a bucket is smaller than the sum
            of both costs, every login is refused.
        token_ttl: the lifetime of an auth token in seconds.
        faults: a ``Faults`` object, which replaces a share of the responses with faults. None for no faults.
        clock: the source of time for the sandbox and for the clients that ``client()`` returns. None for real time.
        record: the maximum number of requests in ``requests``. Only the latest requests are kept.
    """

    requests: deque[RecordedRequest]

    def __init__(
        self,
        *,
        dialect: str = "kazoo5",
        accounts: int = 3,
        callflows: int | tuple[int, int] = (4, 12),
        findings: bool = False,
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
            raise ConfigurationError("accounts must be an int of at least 1, because the root account is included")
        count_range = _count_range(callflows)
        capacity, rate = _bucket_size(rate_limit)
        if type(login_cost) is not int or login_cost < 0:
            raise ConfigurationError(f"login_cost must be an int of at least 0, not {login_cost!r}")
        if type(port) is not int or not 0 <= port <= _MAX_PORT:
            raise ConfigurationError(f"port must be an int from 0 to {_MAX_PORT}, not {port!r}")
        if not isinstance(faults, Faults | None):
            raise ConfigurationError(f"faults must be a Faults object or None, not {faults!r}")
        if not _is_lifetime(token_ttl):
            raise ConfigurationError(f"token_ttl must be a finite number of seconds greater than 0, not {token_ttl!r}")
        chosen = DIALECTS[dialect]()
        faulty_account = accounts if findings else None
        tree = AccountTree(seed, accounts + findings, chosen.id_style, FAULTY_ACCOUNT_NAME if findings else None)
        self.account_ids = tree
        self.requests = deque(maxlen=record)
        self._clock = clock or SystemClock()
        self._outages = OutageController(self._clock)
        self._state = SandboxState(
            dialect=chosen,
            accounts=tree,
            callflows=CallflowStore(seed, tree.__getitem__, count_range, faulty_account),
            tokens=TokenIssuer(seed, tree, opaque=chosen.opaque_tokens, ttl=token_ttl),
            buckets=TokenBuckets(capacity, rate),
            clock=self._clock,
            charges_valid_tokens=chosen.charges_valid_tokens or not isinstance(rate_limit, bool),
            login_cost=login_cost,
        )
        own_faults = None if faults is None else evolve(faults)  # a copy, which has its own random generator
        self._handler = HttpHandler(self._state, self.requests, own_faults, self._outages)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None
        self.url: str = ""

    # --- running ---

    async def start(self) -> None:
        """Start listening, and set ``url`` to the base URL of the API.

        Raises ``ConfigurationError`` if the sandbox is running.
        """
        if self._runner is not None:
            raise ConfigurationError("the sandbox is already running")
        self._handler.open()
        app = web.Application(client_max_size=_MAX_UPLOAD)
        app.router.add_route("*", "/{path:.*}", self._handler.handle, expect_handler=expect)
        app.on_response_prepare.append(restore_cowboy_headers)
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_IDLE_TIMEOUT,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
            max_line_size=_MAX_REQUEST_LINE,
            max_field_size=_MAX_REQUEST_LINE,
        )
        await runner.setup()
        web_server = cast("web.Server", runner.server)  # not None after setup()
        try:
            self._listener = Listener(self._host, self._port, web_server)
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._listener.accept()
        self._outages.attach(self._listener, web_server)
        self._port = self._listener.port
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{host}:{self._port}/v2"

    async def close(self) -> None:
        """Stop listening, close all connections and end the current outage."""
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
        """The id of the root account. All other accounts are its descendants."""
        return self.account_ids[0]

    def user_auth(self) -> UserAuth:
        """Return the credentials of the root account's user."""
        name = normalized_name(self._state.accounts.name(0))
        return UserAuth(USERNAME, self._state.tokens.password, account_name=name)

    def api_key_auth(self, account_id: str | None = None) -> ApiKeyAuth:
        """Return the API key of an account as credentials. Without ``account_id``, use the root account."""
        return ApiKeyAuth(self._state.tokens.api_key(self._index(account_id or self.root_id)))

    def client(self, **options: Any) -> "VinixClient":
        """Return a client for this sandbox. ``options`` are arguments of ``VinixClient``.

        By default the client uses the sandbox's clock and logs in as the root account's user. Raises
        ``ConfigurationError`` if the sandbox has not been started.
        """
        if not self.url:
            raise ConfigurationError("the sandbox has not been started: use 'async with' or 'await sandbox.start()'")
        from .. import VinixClient  # noqa: PLC0415  # not needed if the sandbox is used without a client

        return VinixClient(**{"auth": self.user_auth(), "base_url": self.url, "clock": self._clock, **options})

    # --- content of the sandbox ---

    def callflow_ids(self, account_id: str, filters: Mapping[str, str] | None = None) -> list[str]:
        """Return the ids of those callflows of an account that pass all ``filters``, in ascending order."""
        index, store = self._index(account_id), self._state.callflows
        known = filters_in(filters or {})
        return [each for each in store.ids(index) if not known or matches(store.cached(index, each), known)]

    def document(self, account_id: str, callflow_id: str) -> dict[str, Any]:
        """Return the full document of a callflow as the API returns it. Raises KeyError if it does not exist."""
        return self._state.callflows.document(self._index(account_id), callflow_id)

    def row(self, account_id: str, callflow_id: str) -> dict[str, Any]:
        """Return the row of a callflow in a listing. Raises KeyError if the callflow does not exist."""
        index, store = self._index(account_id), self._state.callflows
        if self._state.dialect.whole_rows:
            return store.document(index, callflow_id)
        return summary(store.stored(index, callflow_id))

    @property
    def served(self) -> int:
        """The number of requests received so far, including logins."""
        return self._handler.served

    def count(self, *, method: str | None = None, status: int | None = None, account_id: str | None = None) -> int:
        """Return the number of requests in ``requests`` that match all arguments except those that are None."""
        return sum(
            1
            for each in self.requests
            if method in {None, each.method} and status in {None, each.status} and account_id in {None, each.account_id}
        )

    # --- changes to data and credentials ---

    def put(self, account_id: str, document: Mapping[str, Any], *, dated: bool = True) -> str:
        """Add a callflow or replace the one with the same id, and return the id.

        ``pvt_modified`` is set to the time of the sandbox's clock. If the callflow is new, ``pvt_created`` is set too.
        Filters such as ``modified_from`` and ``created_from`` use these dates. With ``dated=False``, a replaced
        callflow keeps its dates, and a new callflow gets none. Kazoo also keeps the dates of a callflow that the
        module ``ring_group_toggle`` changes during a call. Dates in ``document`` take precedence.

        The key ``metadata`` of ``document`` says which users, devices and so on exist. As on the real server, the
        ``metadata`` that the API returns contains only those that the flow refers to.

        The sandbox stores a copy. Raises ``ConfigurationError`` if ``document`` cannot be stored as JSON.
        """
        modified = gregorian_seconds(self._clock.time()) if dated else None
        return self._state.callflows.put(self._index(account_id), _as_json(document), modified)

    def remove(self, account_id: str, callflow_id: str) -> None:
        """Delete a callflow. Raises KeyError if it does not exist."""
        self._state.callflows.remove(self._index(account_id), callflow_id)

    def expire_tokens(self) -> None:
        """Expire all tokens that have been issued so far."""
        self._state.tokens.expire_all()

    def refuse_logins(self, refuse: bool = True) -> None:  # noqa: FBT001, FBT002  # refuse_logins(False) reads well
        """Answer even valid logins with 401. After ``refuse_logins(False)``, valid logins are accepted again."""
        self._state.logins_refused = refuse

    def deny(self, account_id: str, status: int = 403) -> None:
        """Answer requests for an account with an error of this ``status``, which is from 400 to 599.

        A request without a valid token still gets a 401. A request whose token has no access to the account still gets
        a 403. If ``status`` is 404, the account appears to be unknown, but listings still contain it.
        ``remove_account`` removes the account from listings too.
        """
        if type(status) is not int or not 400 <= status <= 599:
            raise ConfigurationError(f"the argument 'status' must be an int from 400 to 599, not {status!r}")
        self._index(account_id)
        self._state.denied_accounts[account_id] = early(status_error(status, account_id))

    def remove_account(self, account_id: str) -> None:
        """Delete an account. Listings no longer contain it, and requests for it get a 404.

        The ``cause`` in the 404 is the id of the account. ``account_ids`` still contains the account. ``allow``
        restores it.
        """
        self._index(account_id)
        self._state.removed_accounts.add(account_id)

    def hang(self, account_id: str) -> None:
        """Do not answer requests for an account. They wait until the client disconnects or the sandbox is closed."""
        self._index(account_id)
        self._state.hanging_accounts.add(account_id)

    def disable(self, account_id: str) -> None:
        """Disable an account. Its logins get a 400, but existing tokens stay valid, as on the real server."""
        self._index(account_id)
        self._state.disabled_accounts.add(account_id)

    def allow(self, account_id: str) -> None:
        """Undo ``deny``, ``remove_account``, ``disable`` and ``hang``."""
        self._state.removed_accounts.discard(account_id)
        self._state.disabled_accounts.discard(account_id)
        self._state.denied_accounts.pop(account_id, None)
        self._state.hanging_accounts.discard(account_id)

    # --- simulated failures ---

    def outage(
        self, seconds: float | None = None, *, kind: OutageKind = "503", only: OutagePart | None = None
    ) -> Outage:
        """Begin an outage. If another outage is active, it ends.

        The outage ends after ``seconds``, when ``end_outage()`` is called, or when a ``with`` block is left:

        >>> with sandbox.outage(kind="refuse"):
        ...     ...

        Args:
            seconds: the duration on the sandbox's clock. With None or infinity, the outage does not end by itself.
            kind: with ``502``, ``503`` or ``504``, every request is answered with this status and HTML, as by a load
                balancer. ``refuse`` resets all connections and refuses new ones. ``reset`` resets the connection of
                every request. With ``hang``, a request that is sent during the outage is never answered, not even when
                the outage has ended.
            only: the part of the API that is unavailable: ``callflows`` (listings and documents), ``accounts`` (all
                other paths of ``/accounts``) or ``logins``. None for the whole server. ``refuse`` requires None.
        """
        return self._outages.begin(seconds, kind, only)

    def end_outage(self) -> None:
        """End the current outage, if there is one."""
        self._outages.end()

    def break_callflow(self, account_id: str, callflow_id: str, how: int | str = 500) -> None:
        """Break one callflow until ``mend_callflow`` is called. ``document`` and ``row`` still return it unbroken.

        Raises KeyError if the account or the callflow does not exist.

        Args:
            account_id: the id of the account.
            callflow_id: the id of the callflow.
            how: one of the following. In the dialect ``documented``, rows are documents. There ``wrong_node`` and
                ``empty`` break the row as well.

                - a status from 400 to 599: ``GET`` of the callflow returns an error with this status.
                - a kind of ``Faults``, such as ``html`` or ``hang``: the response to ``GET`` has this fault.
                - ``init_failed``: ``GET`` returns the 500 with which Kazoo answers all requests for certain documents.
                - ``wrong_type``: ``numbers`` is an integer, in the document and in the row.
                - ``wrong_node``: the flow of the document contains a string in place of a node.
                - ``empty``: the document is an empty object.
                - ``without_id``: the document and the row have no ``id``.
                - ``unlisted``: listings do not contain the callflow, but ``GET`` returns it.
        """
        if not (400 <= how <= 599 if isinstance(how, int) else how in BREAKAGES):
            raise ConfigurationError(
                f"the argument 'how' must be a status from 400 to 599 or one of {', '.join(BREAKAGES)}, not {how!r}"
            )
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


def _count_range(callflows: object) -> tuple[int, int]:
    """Return the minimum and the maximum of the argument ``callflows``."""
    match callflows:
        case int() if not isinstance(callflows, bool):
            minimum = maximum = callflows
        case [int(minimum), int(maximum)]:
            pass
        case _:
            raise ConfigurationError(
                f"callflows must be an int or a tuple of two ints (minimum, maximum), not {callflows!r}"
            )
    if minimum < 0:
        raise ConfigurationError(f"the number of callflows must not be negative, but the argument is {callflows!r}")
    if minimum > maximum:
        raise ConfigurationError(f"callflows must be (minimum, maximum), but {minimum} is greater than {maximum}")
    return minimum, maximum


def _bucket_size(rate_limit: object) -> tuple[int, int]:
    """Return the number of tokens in a bucket, and the number that it gains per second."""
    match rate_limit:
        case bool():
            return (_DEFAULT_CAPACITY if rate_limit else _UNLIMITED), _DEFAULT_RATE
        case (int(capacity), int(rate)) if capacity >= 1 and rate >= 0:
            return capacity, rate
    raise ConfigurationError(
        "rate_limit must be True, False or a tuple of two ints (capacity of at least 1, tokens per second of at least "
        f"0), not {rate_limit!r}"
    )


def _is_lifetime(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _as_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a document that contains only JSON values. Raises ``ConfigurationError`` if this is impossible.

    Lone surrogates are refused, because Kazoo's JSON parser does not accept them either.
    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"document must be a mapping, not {type(document).__name__}")
    try:
        return cast("dict[str, Any]", msgspec.json.decode(msgspec.json.encode(dict(document))))
    except UnicodeEncodeError:
        problem = "it contains a lone surrogate, which UTF-8 cannot encode"
    except RecursionError:
        problem = "it is nested too deeply"
    except TypeError as error:
        problem = str(error)
    raise ConfigurationError(f"document cannot be stored as JSON: {problem}")
