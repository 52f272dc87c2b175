"""What differs between the server's two engines and the vendor's pages.

``kazoo5``: Kazoo's master. ``kazoo43``: the 4.3 series. ``documented``: the vendor's reference as it stands, which no
server is known to send: dashed account ids, whole documents in a listing, one bare object where a page has
one row, errors as ``{code, message, request_id}``, opaque tokens, and around the data nothing but ``next_start_key``.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from ._ids import digest


@frozen
class Reply:
    """An answer before it is bytes. ``word`` is an error's message, ``data`` what it says in detail."""

    status: int
    data: Any = None
    word: str | None = None
    envelope: Mapping[str, Any] = {}
    revision: str | None = None


@frozen
class Asked:
    """What an envelope repeats of its request."""

    request_id: str
    token: str | None
    timestamp: str
    tokens_left: int
    authenticated: bool


class Dialect:
    """One way of answering."""

    account_style = "hex"
    opaque_tokens = False
    whole_rows = False
    engine_5 = False
    charges_valid_tokens = True
    requests_per_connection = 1000

    def body(self, reply: Reply, asked: Asked) -> dict[str, Any]:
        """The JSON around an answer's data."""
        raise NotImplementedError

    def expired(self) -> Reply:
        """A token that has ended: 4.3 does not tell it from one that never was."""
        return invalid_credentials()


class Kazoo43(Dialect):
    """Kazoo 4.3: every request costs, no ``tokens``, always ``version``; an error echoes a missing token by name."""

    def body(self, reply: Reply, asked: Asked) -> dict[str, Any]:
        body = _kazoo(reply, asked)
        if reply.status >= 400 and asked.token is None:
            body["auth_token"] = "undefined"
        return body | {"version": "4.3.142"}


class Kazoo5(Dialect):
    """Kazoo master: valid tokens are free, ``tokens`` in every envelope, ``version`` for the authenticated."""

    engine_5 = True
    charges_valid_tokens = False
    requests_per_connection = 100

    def body(self, reply: Reply, asked: Asked) -> dict[str, Any]:
        body = _kazoo(reply, asked) | {"tokens": {"consumed": 1, "remaining": asked.tokens_left}}
        return body | {"version": "5.0.0"} if asked.authenticated else body

    def expired(self) -> Reply:
        return Reply(401, {}, "invalid credentials")


class Documented(Dialect):
    """The vendor's pages."""

    account_style = "uuid"
    opaque_tokens = True
    whole_rows = True

    def body(self, reply: Reply, asked: Asked) -> dict[str, Any]:
        if reply.status >= 400:
            return {"code": str(reply.status), "message": reply.word, "request_id": asked.request_id}
        data = reply.data
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        shown = {key: reply.envelope[key] for key in ("next_start_key", "auth_token") if key in reply.envelope}
        return {"data": data, **shown}


def _kazoo(reply: Reply, asked: Asked) -> dict[str, Any]:
    failed = reply.status >= 400
    body = {
        "data": reply.data,
        "status": "error" if failed else "success",
        "request_id": asked.request_id,
        "node": digest("node", size=12),
        "timestamp": asked.timestamp,
        "auth_token": asked.token,
        "revision": reply.revision,
        "error": str(reply.status) if failed else None,
        "message": reply.word,
        **reply.envelope,
    }
    return {key: value for key, value in body.items() if value is not None}


DIALECTS: Final[dict[str, type[Dialect]]] = {"kazoo5": Kazoo5, "kazoo43": Kazoo43, "documented": Documented}


def invalid_credentials() -> Reply:
    """401 for a token or login that never was good."""
    return Reply(401, {"message": "invalid credentials"}, "invalid_credentials")


def bad_identifier(cause: str) -> Reply:
    """404 for an id that nothing has."""
    return Reply(404, {"message": "bad identifier", "cause": cause}, "bad_identifier")


def invalid(field: str, rule: str, message: str) -> Reply:
    """400 with the validation tree of one field."""
    return Reply(400, {field: {rule: {"message": message}}}, "validation error")


NOT_FOUND: Final = Reply(404, {"message": "not found"}, "not_found")
FORBIDDEN: Final = Reply(403, {"message": "forbidden"}, "forbidden")
WRONG_METHOD: Final = Reply(405, {"message": "method not allowed"}, "invalid_method")
TOO_MANY: Final = Reply(429, {"message": "too many requests"}, "too_many_requests")
GONE: Final = Reply(410, {"message": "gone"}, "gone")

BANNER: Final = r"""
      __      __ _         _
      \ \    / /(_) _ __  (_)__  __
       \ \  / / | || '_ \ | |\ \/ /
        \ \/ /  | || | | || | >  <
         \__/   |_||_| |_||_|/_/\_\      sandbox
"""
