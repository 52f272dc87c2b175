"""Builds requests and their headers, and validates the ids and filters in them. This module does no I/O."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from attrs import define, field

from .. import __version__
from .._documents.base import Document
from .._documents.deep_json import write_json
from .._documents.models import Callflow
from .._exceptions import ConfigurationError

Filters = Mapping[str, str | int | datetime | Sequence[str]]


@define(eq=False)
class Request:
    """A request to the API.

    Attributes:
        method: ``GET`` or ``PUT``.
        path: the percent-encoded path, relative to the base URL.
        query: the percent-encoded query, without the question mark.
        account_id, callflow_id: the ids of the account and the callflow that are requested, or None.
        body: JSON, or None.
        kind: for a listing, the document class of the rows. None for all other requests.
        login_as: for a login, a description of the user for messages. None for all other requests.
        revision: the revision of the document that the caller already has. If it is still the current revision, the
            server answers 304. None to get the document in any case.
    """

    method: str
    path: str
    account_id: str | None = None
    callflow_id: str | None = None
    body: bytes | None = field(default=None, repr=False)  # the body of a login contains credentials
    kind: type[Document] | None = None
    login_as: str | None = None
    query: str = ""
    revision: str | None = None

    @property
    def target(self) -> str:
        """The path with the query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def asks_for_callflows(self) -> bool:
        """Whether the request is for callflows rather than for accounts or an identity."""
        return self.kind is Callflow or self.callflow_id is not None


def get(
    *segments: str,
    query: Mapping[str, str] | None = None,
    account_id: str | None = None,
    callflow_id: str | None = None,
    kind: type[Document] | None = None,
    revision: str | None = None,
) -> Request:
    """Return a GET request. Its path consists of ``segments``, which are percent-encoded."""
    path = "/" + "/".join([_encode(segment) for segment in segments])
    encoded = encode_query(query) if query else ""
    return Request("GET", path, account_id, callflow_id, kind=kind, query=encoded, revision=revision)


def login(endpoint: str, data: Mapping[str, str], *, login_as: str) -> Request:
    """Return a login request, which exchanges the credentials in ``data`` for a token."""
    return Request("PUT", f"/{endpoint}", body=write_json({"data": data}), login_as=login_as)


def headers_for(request: Request, request_id: str, token: str | None) -> dict[str, str]:
    """Return the headers of one attempt of ``request``."""
    headers = Headers(_COMMON_HEADERS)
    headers["X-Request-ID"] = request_id
    if token is not None:
        headers["X-Auth-Token"] = token
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.revision is not None:
        headers["If-None-Match"] = f'"{request.revision}"'
    return headers


class Headers(dict[str, str]):
    """Headers whose repr contains only their names, because debuggers and crash reports show reprs."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


# Accept must not contain a charset, because Kazoo 4.3 would answer 406.
_COMMON_HEADERS: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"vinix-async/{__version__}",
}


def encode_query(query: Mapping[str, str]) -> str:
    """Return ``query`` as a percent-encoded string, without the question mark."""
    return "&".join([f"{_encode(name)}={_encode(value)}" for name, value in query.items()])


def _encode(text: str) -> str:
    if text.isascii() and text.isalnum():  # usually true, and much faster than quote()
        return text
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        pass
    # Raised outside the except block. Otherwise its __context__ would be the encoder's error, which contains the text.
    raise ConfigurationError("ids, cursors and filters must be text that can be encoded as UTF-8")


# --- validation of arguments --------------------------------------------------------------------------------


_NOT_IN_A_SEGMENT: Final = re.compile(r"[/\\%?#]")


def check_id(name: str, value: object) -> None:
    """Raise ``ConfigurationError`` unless ``value`` can be one segment of a path.

    Other requirements are not checked. Kazoo's ids have 32 characters, but a gateway may accept other ids, such as
    UUIDs with dashes.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    if value in {"", ".", ".."}:
        raise ConfigurationError(f"{name} must not be {value!r}, because an id is one segment of the path")
    if not value.isprintable():
        raise ConfigurationError(f"{name} must not contain control characters or other unprintable characters")
    if wrong := _NOT_IN_A_SEGMENT.search(value):
        raise ConfigurationError(f"{name} must not contain {wrong[0]!r}, because an id is one segment of the path")


def is_revision(value: object) -> bool:
    """Whether ``value`` can be sent as an entity tag (RFC 9110).

    It must have 1 to 200 printable ASCII characters, and no spaces or quotation marks.
    """
    return isinstance(value, str) and re.fullmatch(r"[!#-~]{1,200}", value) is not None


_TIMES: Final = ("created_from", "created_to", "modified_from", "modified_to")
_KEYS: Final = ("has_key", "key_missing", "has_value", "value_missing")
_NOT_FILTERS: Final = {
    "page_size": "use the argument page_size=",
    "start_key": "use the argument start_key= of callflows.list",
    "is_chunked": "streamed listings are not supported",
    "chunk_size": "streamed listings are not supported",
    "paginate": "the library requests the pages of a listing itself",
    "ascending": "sort the callflows after reading them",
    "descending": "sort the callflows after reading them",
}
"""Parameters of listings that are not filters, and what to do instead."""

_GREGORIAN_EPOCH: Final = 62_167_219_200
"""The number of seconds from the beginning of the year 0, which is the server's epoch, to the beginning of 1970."""

_LEAST_GREGORIAN: Final = 10**10
"""A smaller number is refused, because it is probably a Unix time.

The server would read it as a date in the first centuries, and ``modified_from`` would match every document.
"""

_MOST_GREGORIAN: Final = 315_569_520_000
"""The beginning of the year 10000 in Gregorian seconds. A larger number is probably in milliseconds."""


def check_filters(filters: Filters | None) -> dict[str, str]:
    """Return ``filters`` as query parameters of the server (``docs/server.md``, Filters).

    Unknown names are refused. The server would ignore them and send all rows.
    """
    if filters is None:
        return {}
    if not isinstance(filters, Mapping):
        raise ConfigurationError(f"filters must be a mapping, not {type(filters).__name__}")
    return {_filter_name(name): _filter_value(name, value) for name, value in filters.items()}


def _filter_name(name: object) -> str:
    if not isinstance(name, str):
        raise ConfigurationError(f"the names of filters must be str, not {type(name).__name__}")
    if name in _NOT_FILTERS:
        raise ConfigurationError(f"{name!r} is not a filter: {_NOT_FILTERS[name]}")
    if name not in {*_TIMES, *_KEYS} and not re.fullmatch(r"filter_(not_)?(?!not_$).+", name):
        raise ConfigurationError(
            f"the server has no filter {name[:80]!r} and would return all rows. The filters are "
            f"filter_<path>, filter_not_<path>, {', '.join(_KEYS)}, {', '.join(_TIMES)}"
        )
    return name


def _filter_value(name: str, value: object) -> str:
    if name in _TIMES:
        return _gregorian_seconds(name, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if name in _KEYS and not value:
            raise ConfigurationError(f"{name} must not be empty: pass the name of a key")
        return value
    if isinstance(value, Sequence) and value and all(isinstance(each, str) for each in value):
        if len(value) == 1:
            return _filter_value(name, value[0])
        if name in _KEYS:
            raise ConfigurationError(f"{name} must have only one value: the server cannot match several")
        return json.dumps(list(value))  # the server reads a JSON list as "one of these values"
    found = "" if isinstance(value, list | tuple) else f", not {type(value).__name__}"
    raise ConfigurationError(f"{name[:80]} must be a str, an int or a non-empty sequence of str{found}")


def _gregorian_seconds(name: str, value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError(f"{name} must be a datetime with a time zone, such as datetime.now(UTC)")
        return str(int(value.timestamp()) + _GREGORIAN_EPOCH)
    digits = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,20}", digits):
        raise ConfigurationError(f"{name} must be a datetime with a time zone, or a number of Gregorian seconds")
    if int(digits) < _LEAST_GREGORIAN:
        raise ConfigurationError(
            f"{name} looks like a Unix time, but the server uses Gregorian seconds: pass a datetime with a time zone, "
            f"or add {_GREGORIAN_EPOCH} to the number"
        )
    if int(digits) >= _MOST_GREGORIAN:
        raise ConfigurationError(
            f"{name} is after the year 9999: pass a datetime with a time zone, or Gregorian seconds (not milliseconds)"
        )
    return digits
