"""What goes over the wire, as values: a request to be sent, a reply that came, what a reply says.

Nothing here does I/O. Every field that leaves this module for an error or a log has been named,
checked for its type, cleaned of control characters and cut to a length; the body itself never leaves.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from msgspec import Struct

from .._documents.base import Document
from .._documents.decode import MISSING as MISSING  # noqa: PLC0414  # imported from here by others
from .._documents.json import write_json
from .._exceptions import ConfigurationError


class Value(Struct, frozen=True):
    """A value whose repr shows nothing: a debugger shows the arguments of a frame."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # a struct has one of its own, with every field
        return []


class Request(Value, frozen=True):
    """``target`` is the path below the base URL with its query, percent-encoded.

    ``kind`` is what a listing's rows are; a reply that is small is then decoded in one go with its envelope.
    """

    method: str
    target: str
    account_id: str | None = None
    body: bytes | None = None
    kind: type[Document] | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Response(Value, frozen=True):
    """``headers`` are asked for in lower case; ``body`` is whole and decompressed; ``sent_request_id`` is ours."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_request_id: str


class Envelope(Value, frozen=True):
    """What a success says around its data, and in every body its ``auth_token``.

    ``data`` is a JSON value; the rows of an array may still be JSON (``msgspec.Raw``), or all be shells.
    """

    data: Any
    request_id: str | None = None
    next_start_key: str | None = None
    page_size: int | None = None
    auth_token: str | None = None


class Secrets(Value, frozen=True):
    """What no text may repeat."""

    values: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        for value in self.values:
            if len(value) >= 4:  # a shorter one would blot out parts of other words
                text = text.replace(value, "[redacted]")
        return text


NO_SECRETS: Final = Secrets()

# --- outbound ------------------------------------------------------------------------------------


def get(
    *segments: str,
    query: Mapping[str, str] | None = None,
    account_id: str | None = None,
    kind: type[Document] | None = None,
) -> Request:
    """A GET of ``/segment/segment?query``."""
    try:
        target = _path(segments) + (f"?{urlencode(query, quote_via=quote, safe='')}" if query else "")
    except UnicodeEncodeError:
        target = ""
    if not target:
        raise _no_text()
    return Request("GET", target, account_id, kind=kind)


def page_of(listing: Request, page_size: int | None, start_key: str | None) -> Request:
    """The request for the page of a ``listing`` that begins at a cursor."""
    query = "" if page_size is None else f"page_size={page_size}"
    if start_key is not None:
        query += "&start_key=" if query else "start_key="
        try:
            query += quote(start_key, safe="")
        except UnicodeEncodeError:
            query = ""
        if not query:
            raise _no_text()
    if not query:
        return listing
    target = f"{listing.target}{'&' if '?' in listing.target else '?'}{query}"
    return Request("GET", target, listing.account_id, kind=listing.kind)


def _no_text() -> ConfigurationError:
    return ConfigurationError("ids, cursors and filters must be text that can be written as UTF-8")


def put(*segments: str, data: Mapping[str, str]) -> Request:
    """A PUT of ``{"data": ...}``, the form that the server wants."""
    return Request("PUT", _path(segments), body=write_json({"data": data}))


def _path(segments: tuple[str, ...]) -> str:
    path = "/".join(("", *segments))
    if _PLAIN.fullmatch(path) and path.count("/") == len(segments):
        return path
    return "".join([f"/{quote(segment, safe='')}" for segment in segments])


_PLAIN: Final = re.compile(r"[A-Za-z0-9/_.~-]*")


def check_id(name: str, value: object) -> str:
    """``value`` if it can be one segment of a path. It is sent unchanged, whatever its form.

    The server takes any 32 characters for an account id, and a gateway may take others (a dashed UUID).
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    if value in {"", ".", ".."}:
        raise ConfigurationError(f"{name} must not be {value!r}")
    if not value.isprintable():
        raise ConfigurationError(f"{name} must not have control or other unprintable characters")
    return value


def check_count(name: str, value: object) -> int | None:
    """``value`` if it is None or at least 1 (a bad ``page_size`` would come back as a 404)."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, not {value}")
    return value


_FILTERS: Final = (
    r"filter_(not_)?.+|has_key|key_missing|has_value|value_missing"
    r"|(created|modified)_(from|to)|ascending|descending|paginate"
)


def check_filters(filters: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of ``filters``, if the server knows each name: it ignores an unknown one without a word."""
    if filters is None:
        return {}
    if not isinstance(filters, Mapping):
        raise ConfigurationError(f"filters must be a mapping, not {type(filters).__name__}")
    for name, value in filters.items():
        if type(name) is not str or type(value) is not str:
            raise ConfigurationError(f"filters take strings (true is 'true'), not {name!r}: {type(value).__name__}")
        if not re.fullmatch(_FILTERS, name):
            raise ConfigurationError(
                f"{name!r} is no filter of the server, which would ignore it and send everything; "
                "it knows filter_*, filter_not_*, has_key, key_missing, has_value, value_missing, "
                "created_from, created_to, modified_from and modified_to"
            )
    return dict(filters)


# --- inbound ---------------------------------------------------------------------------------------


def clean(value: object, secrets: Secrets = NO_SECRETS, limit: int = 200) -> str | None:
    """A string or number of a body as it may be shown: printable, short, without the secrets."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = secrets.redact(str(value))
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:limit])
    return text or None
