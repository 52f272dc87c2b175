"""What each endpoint answers, from a request's parts and the sandbox's state. Nothing here knows HTTP."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._dialects import FORBIDDEN, GONE, NOT_FOUND, TOO_MANY, WRONG_METHOD, Reply, bad_identifier, invalid
from ._dialects import invalid_credentials as refused
from ._filters import filters_in, matches
from ._ids import digest
from ._views import View, decode, encode, view_5, view_43

if TYPE_CHECKING:
    from ._state import State

PAGE_SIZE = 50
_PAGED = ("callflows", "descendants", "children")


def answer(
    state: "State", method: str, path: list[str], query: Mapping[str, str], token: str | None, body: Any, peer: str
) -> tuple[Reply, int | None]:
    """The reply, and the index of the account whose token came along."""
    version, *segments = path
    if version == "v1" and state.dialect.engine_5:
        return GONE, None
    if segments in (["user_auth"], ["api_auth"]):
        return _login(state, method, segments[0], body, peer), None
    if len(segments) < 3 or segments[0] != "accounts":
        return NOT_FOUND, None
    account_id, endpoint, *rest = segments[1:]
    owner = state.tokens.owner(token, state.clock.time()) if token else "missing"
    if owner == "expired" and state.dialect.engine_5:
        return state.dialect.expired(), None
    index = state.accounts.find(account_id)
    if index is None:
        return _no_account(state, account_id), None
    charged = state.dialect.charges_valid_tokens or not isinstance(owner, int)
    if charged and not state.buckets.take(f"{peer}/{account_id}", state.clock.monotonic()):
        return TOO_MANY, None
    if not isinstance(owner, int):
        return state.dialect.expired() if owner == "expired" else refused(), None
    if owner != index and owner not in state.accounts.ancestors(index):
        return FORBIDDEN, owner
    if account_id in state.denied:
        return state.denied[account_id], owner
    if endpoint not in _PAGED or len(rest) > (endpoint == "callflows"):
        return NOT_FOUND, owner
    if method != "GET":
        return WRONG_METHOD, owner
    if rest:
        return _one(state, index, rest[0]), owner
    return _listing(state, index, endpoint, query), owner


def _no_account(state: "State", account_id: str) -> Reply:
    if not account_id:
        return Reply(404, {"message": "missing account_id"}, "bad identifier")
    length = 36 if state.dialect.account_style == "uuid" else 32
    if len(account_id.encode()) != length:
        return Reply(404, {"message": f"invalid account_id '{account_id}'"}, "bad identifier")
    return bad_identifier(account_id)


def _one(state: "State", index: int, callflow_id: str) -> Reply:
    try:
        whole = state.documents.whole(index, callflow_id)
    except KeyError:
        return bad_identifier(callflow_id)
    return Reply(200, whole, revision=state.documents.revision(index, callflow_id))


def _listing(state: "State", index: int, endpoint: str, query: Mapping[str, str]) -> Reply:
    size = _page_size(state, query.get("page_size"))
    if isinstance(size, Reply):
        return size
    cursor = query.get("start_key") or None
    start = None if cursor is None else decode(cursor)
    view: View
    if endpoint == "callflows":
        filters = filters_in(query)

        def wanted(key: str) -> bool:
            return not filters or matches(state.documents.kept(index, key), filters)

        keys = state.documents.ids(index)
        view = _view(state, keys, start, size, wanted, query)
        row = state.documents.whole if state.dialect.whole_rows else state.documents.row
        rows = [row(index, key) for key in view.keys]
        above = None
    else:
        below = {
            f"{name}\0{account_id}": each for name, account_id, each in state.accounts.sorted_below(index, endpoint)
        }
        view = _view(state, list(below), start, size, lambda _: True, query)
        rows = [state.accounts.row(below[key], endpoint) for key in view.keys]
        above = state.accounts[index] if state.dialect.engine_5 else None
    envelope: dict[str, Any] = {}
    if _paginates(query):
        envelope["page_size"] = len(rows)
        # Accounts are keyed by name, and that is all that their cursors tell.
        for name, key in (("start_key", view.start_key), ("next_start_key", view.next_key)):
            if key is not None:
                envelope[name] = encode(key.partition("\0")[0], above)
    state.listings += 1
    return Reply(200, rows, envelope=envelope, revision=digest(state.listings, endpoint) if rows else None)


def _view(state: "State", keys: Any, start: str | None, size: int, wanted: Any, query: Mapping[str, str]) -> View:
    if not _paginates(query):
        size, start = max(len(keys), 1), None
    if state.dialect.engine_5:
        return view_5(keys, start, size, wanted, ascending=query.get("ascending") == "true")
    return view_43(keys, start, size, wanted)


def _paginates(query: Mapping[str, str]) -> bool:
    """Anything but the exact word turns paging off."""
    return query.get("paginate", "true") == "true"


def _page_size(state: "State", text: str | None) -> int | Reply:
    """Kazoo 5 answers a bad one with 404, 4.3 takes the default without a word."""
    if text is None:
        return PAGE_SIZE
    try:
        size = round(float(text))
    except (ValueError, OverflowError):
        size, word = 0, "invalid page size"
    else:
        word = "page size must be at least 1"
    if size >= 1:
        return size
    return Reply(404, {"message": word}, "faulty_request") if state.dialect.engine_5 else PAGE_SIZE


def _login(state: "State", method: str, kind: str, body: Any, peer: str) -> Reply:
    if method != "PUT":
        return WRONG_METHOD
    now = state.clock.monotonic()
    if not state.buckets.take(f"{peer}/no_account", now, cost=state.login_cost, drain=True):
        return TOO_MANY
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        return invalid("json", "invalid", "failed to parse the body")
    problem = _schema_problem(kind, data)
    if problem:
        return problem
    if state.logins_refused:
        return refused()
    if kind == "api_auth":
        index = state.tokens.login_with_key(data["api_key"])
        if index is None:
            return Reply(404, [data["api_key"]], "bad identifier")
    else:
        index = state.tokens.login(data)
        if index is None:
            return refused()
    token = state.tokens.issue(index, state.clock.time(), f"cb_{kind}")
    parent = state.accounts.parent(index)
    session = {
        "account_id": state.accounts[index],
        "account_name": state.accounts.name(index),
        "is_reseller": index == 0,
        "reseller_id": state.accounts[parent or 0],
        "language": "en-us",
        "apps": [],
        **({"owner_id": digest("owner", index)} if kind == "user_auth" else {}),
    }
    return Reply(201, session, envelope={"auth_token": token})


def _schema_problem(kind: str, data: Mapping[str, Any]) -> Reply | None:
    if kind == "api_auth":
        key = data.get("api_key")
        if data.keys() - {"api_key"}:
            return invalid("api_auth", "additionalProperties", "Strict checking of data failed")
        if not isinstance(key, str):
            return invalid("api_key", "required", "Field is required but missing")
        if len(key) != 64:
            rule = "minLength" if len(key) < 64 else "maxLength"
            return invalid("api_key", rule, "String must have exactly 64 characters")
        return None
    credentials = data.get("credentials")
    if not isinstance(credentials, str):
        return invalid("credentials", "required", "Field is required but missing")
    if not 1 <= len(credentials) <= 64:
        return invalid("credentials", "maxLength", "String must not be more than 64 characters")
    if data.get("method", "md5") not in {"md5", "sha"}:
        return invalid("method", "enum", "Value not found in enumerated list of values")
    return None
