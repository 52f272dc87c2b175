"""Negotiates the content type and encodes bodies as JSON, JSONP, CSV or Kazoo 5's streamed JSON."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

MediaType = Literal["application/json", "text/csv"]

_MEDIA_RANGE: Final = re.compile(r"(?P<type>[\w!#$&^.+*-]+/[\w!#$&^.+*-]+)(?P<parameters>(\s*;[^,]*)?)")
_JSON_RANGES: Final = {"*/*", "application/*", "application/json"}
_CSV_RANGES: Final = {"text/*", "text/csv"}


def negotiate(accept: str, *, allow_parameters: bool) -> MediaType | Literal[400, 406]:
    """Return the media type of the response, or the status with which Cowboy refuses the ``Accept`` header.

    Args:
        accept: the value of the header.
        allow_parameters: whether media types may have parameters other than a weight. If False, media types with such
            parameters are ignored.
    """
    for part in accept.split(","):
        parsed = _MEDIA_RANGE.fullmatch(part.strip())
        if parsed is None:
            return 400
        parameters = parsed["parameters"].strip("; ")
        if parameters and not parameters.startswith("q=") and not allow_parameters:
            continue
        if parsed["type"].lower() in _JSON_RANGES:
            return "application/json"
        if parsed["type"].lower() in _CSV_RANGES:
            return "text/csv"
    return 406


def encode_json(content: Mapping[str, Any], *, callback: str | None = None, is_pretty: bool = False) -> bytes:
    """Return ``content`` as JSON, or as JSONP if ``callback`` is given."""
    body = msgspec.json.encode(content)
    if is_pretty:
        body = msgspec.json.format(body, indent=2)
    return body if callback is None else f"{callback}(".encode() + body + b");"


def encode_streamed(content: Mapping[str, Any]) -> bytes:
    """Return the body of a streamed response: the rows first, then the other keys, whose values are unescaped strings.

    A streamed response has no ``tokens`` and no ``revision``.
    """
    trailer = ", ".join(
        f'"{key}":"{value}"' for key, value in content.items() if key not in {"data", "tokens", "revision"}
    )
    return b'{"data":' + msgspec.json.encode(content["data"]) + f", {trailer}}}".encode()


def encode_csv(data: Any) -> bytes:
    """Return the rows of a listing, or one document, as CSV. Columns are in the order in which keys first occur.

    A value that is not an object, such as the text of an error, becomes a row with the column ``data``.
    """
    values = data if isinstance(data, list) else [] if data is None else [data]
    rows = [value if isinstance(value, dict) else {"data": value} for value in values]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow("ID" if column == "id" else column for column in columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    return ",".join(
        each if isinstance(each, str) else "" if each is None else msgspec.json.encode(each).decode()
        for each in leaves(value)
    )


def leaves(value: Any) -> Iterator[Any]:
    """Yield the items of nested lists, or ``value`` itself if it is not a list. An empty list yields None."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list) and item:
            waiting.extend(reversed(item))
        else:
            yield None if isinstance(item, list) else item
