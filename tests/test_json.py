"""JSON texts to values: strict, with the place of what is wrong, and at depths where msgspec gives up."""

import json
import sys

import pytest
from documents import chain_text

from vinix_async import DecodeError
from vinix_async._documents.deep_json import parse_json, write_json

INSIDES = [
    *('{"a":[],"b":{}}', '"x\\u00e9\\n"', '"a\\"]\\\\"', "-1.5e3", "12345678901234567890123", "true", "null"),
    *('[1,"a",{"b":false}]', ' { "a" : 1 } ', '""', '{"":{}}', '{"a":1,"a":[2]}', '"{[,:"', "[[],[]]"),
]
NOT_INSIDES = [
    *("[1 2]", "[,1]", "[1,]", '{"a" 1}', '{"a":1,}', "{1:2}", '{"a":}', "{:1}", "[:]", "[}", '{"a"]', "tru", "01"),
    *('"\\x"', '"a', '{"a":1 "b":2}', '"\\ud800"', "1e999", "[1]]", "]", '{"a":1:2}', "9" * 5000, '"\t"', "", "NaN"),
    *("{[]:1}", '{"a":1 2}', '{"a","b"}', "1:2", "{,}", '"a""b"', "[1]2", "'a'"),
]


def deep(inside: str) -> bytes:
    return b"[" * 1010 + inside.encode() + b"]" * 1010


@pytest.mark.parametrize("inside", INSIDES)
def test_a_deep_text_is_read(inside: str) -> None:
    value = parse_json(deep(inside))
    for _ in range(1010):
        (value,) = value
    assert json.dumps(value) == json.dumps(json.loads(inside)) == json.dumps(parse_json(inside.encode()))


@pytest.mark.parametrize("inside", NOT_INSIDES, ids=lambda inside: inside[:10])
def test_a_text_that_is_not_json_is_refused_at_any_depth(inside: str) -> None:
    if inside not in {"[1]]", "]", ""}:
        with pytest.raises(DecodeError, match="not valid JSON"):
            parse_json(inside.encode())
    body = deep(inside) if inside else b"[" * 1010 + b"]" * 1009
    with pytest.raises(DecodeError, match="not valid JSON") as caught:
        parse_json(body)
    assert caught.value.transient
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "at byte 0"),
        (b"<html>", "at byte 0"),
        (b'{"a": tru}', "at byte 6"),
        ('{"é": x}'.encode(), "at byte 7"),
        (b'{"a": "\xff"}', "at byte 7"),
        (b"[1e999]", "out of range"),
        (b"[1, NaN, x]", "it contains NaN"),
        (b"[-Infinity]", "it contains -Infinity"),
        (b'["\\ud800"]', "out of range"),
        (b"[" * 2000 + "é".encode(), "at byte 2000"),
    ],
)
def test_the_place_of_an_error_is_told(body: bytes, place: str) -> None:
    with pytest.raises(DecodeError, match=place):
        parse_json(body)


def test_the_bound_of_nesting() -> None:
    assert parse_json(chain_text(10_000)) is not None
    assert parse_json(b"[" * 20_100 + b"]" * 20_100) is not None
    # From Python 3.14 on, msgspec itself reads as deep as the stack allows, which is a little more.
    levels = 20_101 if sys.version_info < (3, 14) else 200_000
    for body in (b"[" * levels + b"]" * levels, b"[" * 200_000):
        with pytest.raises(DecodeError, match="nested too deeply: more than 20100 levels") as caught:
            parse_json(body)
        assert not caught.value.transient


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_json(b"\xef\xbb\xbf" + '["é"]'.encode()) == ["é"]


@pytest.mark.parametrize("depth", [1, 3_000])
def test_what_is_written_is_read_back(depth: int) -> None:
    value: object = {"a": [], "b": {}, "c": ['"\\\n\u2028é', None, True, 1.5, 2**80], "": {"x": {"y": "z"}}}
    for _ in range(depth):
        value = [value]
    assert write_json(parse_json(write_json(value))) == write_json(value)
    assert write_json(["\ud800", {"a": 1}]) == b'["\\ud800",{"a":1}]'
