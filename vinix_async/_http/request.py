"""Builds requests: checks ids and filters, and encodes paths, queries and headers. There is no I/O here."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from attrs import define, field

from .. import __version__
from .._documents.base import Document
from .._documents.json import write_json
from .._exceptions import ConfigurationError

Filters = Mapping[str, str | int | datetime | Sequence[str]]


@define(eq=False)
class Request:
    """One request of the API.

    Attributes:
        method: ``GET`` or ``PUT``.
        path: the path below the base URL, percent-encoded.
        query: the query, percent-encoded, without the question mark.
        account_id, callflow_id: what it asks for; None for a login.
        body: JSON, or None.
        kind: the class of a listing's rows, so that they can be decoded together with their envelope.
        login_as: for a login, whose it is, in words for an error. None for all other requests.
    """

    method: str
    path: str
    account_id: str | None = None
    callflow_id: str | None = None
    body: bytes | None = field(default=None, repr=False)  # of a login: debuggers show the arguments of a frame
    kind: type[Document] | None = None
    login_as: str | None = None
    query: str = ""

    @property
    def target(self) -> str:
        """The path and the query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def asks_for_callflows(self) -> bool:
        """Whether it asks for callflows, and not for accounts or an identity."""
        return self.path.split("/")[3:4] == ["callflows"]


def get(
    *segments: str,
    query: Mapping[str, str] | None = None,
    account_id: str | None = None,
    callflow_id: str | None = None,
    kind: type[Document] | None = None,
) -> Request:
    """Return a GET of ``/segment/segment?query``."""
    return Request("GET", _path(segments), account_id, callflow_id, kind=kind, query=encode_query(query or {}))


def login(endpoint: str, data: Mapping[str, str], *, login_as: str) -> Request:
    """Return the PUT of ``{"data": ...}`` that exchanges credentials for a token."""
    return Request("PUT", f"/{endpoint}", body=write_json({"data": data}), login_as=login_as)


def headers_for(request: Request, request_id: str, token: str | None) -> dict[str, str]:
    """Return the headers of one attempt of ``request``."""
    headers = Headers(_COMMON_HEADERS)
    headers["X-Request-ID"] = request_id
    if token is not None:
        headers["X-Auth-Token"] = token
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


class Headers(dict[str, str]):
    """Headers whose repr shows the names only: debuggers and tracebacks show the arguments of a frame."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


# Kazoo 4.3 answers 406 to an Accept with a charset (api-facts 12).
_COMMON_HEADERS: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"vinix-async/{__version__}",
}


def _path(segments: tuple[str, ...]) -> str:
    try:
        return "".join([f"/{quote(segment, safe='')}" for segment in segments])
    except UnicodeEncodeError:
        pass
    raise _not_text()


def encode_query(query: Mapping[str, str]) -> str:
    """Return ``query`` percent-encoded, without the question mark."""
    try:
        return urlencode(query, quote_via=quote, safe="")
    except UnicodeEncodeError:
        pass
    raise _not_text()


def _not_text() -> ConfigurationError:
    # Raised outside of the handler: the encoder's error repeats the value.
    return ConfigurationError("ids, cursors and filters must be text that can be encoded as UTF-8")


# --- checks of arguments ------------------------------------------------------------------------------------


_NOT_IN_A_SEGMENT: Final = r"/\%?#"


def check_id(name: str, value: object) -> str:
    """Return ``value`` if it can be one segment of a path. It is sent unchanged.

    The server takes any 32 characters as an account id, and a gateway may take others (a dashed UUID).
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    if value in {"", ".", ".."}:
        raise ConfigurationError(f"{name} must not be {value!r}")
    if not value.isprintable():
        raise ConfigurationError(f"{name} must not contain control or other unprintable characters")
    if wrong := [letter for letter in _NOT_IN_A_SEGMENT if letter in value]:
        raise ConfigurationError(f"{name} must not contain {wrong[0]!r}: it is one segment of the path")
    return value


_TIMES: Final = ("created_from", "created_to", "modified_from", "modified_to")
_KEYS: Final = ("has_key", "key_missing", "has_value", "value_missing")
_GREGORIAN_EPOCH: Final = 62_167_219_200
"""Seconds between the beginning of year 0, from which the server counts, and of 1970."""

_LEAST_GREGORIAN: Final = 10**10
"""A smaller number of seconds can only be a Unix time: the server would find every document modified after it."""

_MOST_GREGORIAN: Final = 315_569_520_000
"""The beginning of the year 10000. A larger number can only be milliseconds."""


def check_filters(filters: Filters | None) -> dict[str, str]:
    """Return ``filters`` as the server's query parameters (api-facts 3.2).

    The server ignores a parameter that it does not know, and then sends every row. So unknown names are refused.
    """
    if filters is None:
        return {}
    if not isinstance(filters, Mapping):
        raise ConfigurationError(f"filters must be a mapping, not {type(filters).__name__}")
    return {_filter_name(name): _filter_value(name, value) for name, value in filters.items()}


def _filter_name(name: object) -> str:
    if not isinstance(name, str):
        raise ConfigurationError(f"the names of filters must be str, not {type(name).__name__}")
    if name in {"paginate", "ascending", "descending"}:
        raise ConfigurationError(
            f"{name!r} is not a filter: this library pages by itself; sort the callflows if needed"
        )
    if name not in {*_TIMES, *_KEYS} and not re.fullmatch(r"filter_(not_)?(?!not_$).+", name):
        raise ConfigurationError(
            f"the server does not know the filter {name[:80]!r}: it would ignore it and send everything. It knows "
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
            raise ConfigurationError(f"{name} must not be empty: the server would not match anything")
        return value
    if isinstance(value, Sequence) and value and all(isinstance(each, str) for each in value):
        if len(value) == 1:
            return _filter_value(name, value[0])
        if name in _KEYS:
            raise ConfigurationError(f"{name} takes one value: the server does not match several")
        return json.dumps(list(value))  # which the server reads as "one of"
    raise ConfigurationError(
        f"{name[:80]} must be a str, an int or a sequence of str that is not empty, not {type(value).__name__}"
    )


def _gregorian_seconds(name: str, value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError(f"{name} must be a datetime with a time zone, such as datetime.now(UTC)")
        return str(int(value.timestamp()) + _GREGORIAN_EPOCH)
    digits = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,20}", digits):
        raise ConfigurationError(f"{name} must be a datetime with a time zone, or the server's Gregorian seconds")
    if int(digits) < _LEAST_GREGORIAN:
        raise ConfigurationError(
            f"{name} looks like a Unix time, which the server would misread: give a datetime with a time zone, "
            f"or add {_GREGORIAN_EPOCH} to get Gregorian seconds"
        )
    if int(digits) >= _MOST_GREGORIAN:
        raise ConfigurationError(
            f"{name} is after the year 9999: give a datetime with a time zone, or Gregorian seconds, not milliseconds"
        )
    return digits


def describe_filters(filters: Mapping[str, str]) -> str:
    """Return checked filters as a query, for checkpoints."""
    return encode_query(filters) if filters else ""
