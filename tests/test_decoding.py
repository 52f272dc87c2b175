"""The fast way from bytes to documents, held against the slow one, which reads values."""

import gc
import json
import sys
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from test_convert_properties import callflows, document, exact, json_values, lists, objects, optional_text

from vinix_async import Account, Callflow, DecodeError, FlowNode, decode_page, to_dict
from vinix_async._documents.convert import iter_rows, read_rows
from vinix_async._documents.families import FAMILIES, Family, _Shell
from vinix_async._documents.fields import Problems
from vinix_async._documents.json import parse_json
from vinix_async._documents.shells import AnyCallflow, AnyNodes, Summary, Whole, summaries, wholes
from vinix_async._http.response import decode_envelope

usual = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=5), "featurecode": st.just(False), "numbers": st.lists(st.text(max_size=3))},
    optional={
        "name": st.text(max_size=3),
        "flow": st.just({"module": "menu", "data": {"a": [1, {}]}, "children": {"1": {}, "_": {"data": {}}}}),
        "metaflow": st.just({"digit_timeout": 800, "numbers": {"2": {"module": "hold", "children": {}}}}),
        "ringback": st.just({"early": "m"}),
        "ui_metadata": json_values,
        "odd": json_values,
    },
)
accounts = document(
    {
        "id": optional_text,
        "name": optional_text,
        "realm": optional_text,
        "tree": lists,
        "flags": lists,
        "descendants_count": st.integers() | st.none(),
    }
)
rows_of: dict[type, st.SearchStrategy[Any]] = {
    Callflow: st.lists(usual | callflows | objects | json_values, max_size=8) | st.lists(usual, max_size=8),
    Account: st.lists(accounts | objects | json_values, max_size=8),
}


def outcome(read: Any) -> Any:
    try:
        return [(document, exact(to_dict(document))) for document in read()]
    except DecodeError as error:
        return error.problems


def fast(body: bytes, kind: type) -> Any:
    return outcome(lambda: read_rows(decode_envelope(body, kind).data, kind))


def in_pieces(body: bytes, kind: type) -> Any:
    return outcome(lambda: read_rows(decode_envelope(body).data, kind))


def slow(body: bytes, kind: type) -> Any:
    return outcome(lambda: read_rows(parse_json(body)["data"], kind))


def listing(rows: bytes) -> bytes:
    return b'{"data":' + rows + b',"status":"success","next_start_key":"g20"}'


@given(
    st.data(),
    st.sampled_from([Callflow, Account]),
    st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_both_ways_give_the_same(data: Any, kind: type, options: dict[str, Any], mark: bytes) -> None:
    rows = data.draw(rows_of[kind])
    body = mark + listing(json.dumps(rows, **options).encode())
    expected = slow(body, kind)
    assert fast(body, kind) == expected
    assert in_pieces(body, kind) == expected
    if isinstance(expected, list):
        assert [text for _, text in expected] == [exact(row) for row in rows]


TEXTS: list[bytes] = [
    b'{"id":"1","name":null,"name":"x"}',
    b'{"id":"1","name":"x","name":null}',
    b'{"id":"1","odd":1,"odd":{"a":1}}',
    b'{"id":"1","flow":{"module":"a","odd":1},"flow":{"module":"b"}}',
    b'{"id":"1","flow":{"module":"a"},"flow":{"module":"b","module":"c","odd":1}}',
    b'{"id":"1","flow":{"children":{"1":{"module":"a"},"1":{"module":"b"}}}}',
    b'{"id":"1","featurecode":true}',
    b'{"id":"1","featurecode":{"name":"a","number":"1","number":"2"}}',
    b'{"id":"1","featurecode":{"name":"a"}}',
    b'{"id":"1","metaflow":{"digit_timeout":1.0}}',
    b'{"id":"1","metaflow":{"digit_timeout":18446744073709551616}}',
    b'{"id":"1","flow":{"data":{"huge":-340282366920938463463374607431768211456,"real":1e22,"minus":-0.0}}}',
    b'{"id":"1","flow":{},"metaflow":{},"ringback":{},"featurecode":{}}',
    b'{"id":"1","flow":{}}',
    b'{"id":"1","metaflow":{}}',
    b'{"id":"1","ringback":{}}',
    b'{"id":"","odd":1}',
    b'{"id":"1","flow":{"data":{}}}',
    b'{"id":"1","flow":{"children":{}},"metaflow":{"numbers":{}}}',
    b'{"id":"1","flow":{"module":"a","extra":1,"_empty":2,"empty":3}}',
    b'{"id":"1","extra":{"a":1},"_empty":[],"learned_0":1}',
    b'{"id":"\\ud83d\\ude00","name":"\\u0000\xc3\xa9"}',
    b'{"id":"1","flow":{"children":[]}}',
    b'{"id":"1","flow":{"children":{"1":[]}}}',
    b'{"id":"1","flow":{"module":7}}',
    b'{"id":"1","odd":1,"flow":{"module":7}}',
    b'{"id":"","numbers":null}',
    b'[{"id":"1"}]',
    b"7",
]


@pytest.mark.parametrize("row", TEXTS, ids=str)
@pytest.mark.parametrize(
    "beside",
    [b"", b',{"id":"2"}', b',{"id":"2","odd":1}', b',{"id":"2","name":null}', b',{"id":"2","featurecode":true}'],
    ids=str,
)
def test_also_for_texts_that_no_writer_makes(row: bytes, beside: bytes) -> None:
    body = listing(b"[" + row + beside + b"]")
    assert fast(body, Callflow) == in_pieces(body, Callflow) == slow(body, Callflow)


@pytest.mark.parametrize(
    "row", [b'{"id":"\\ud800"}', b'{"id":"1","odd":1e999}', b'{"id":"1","flow":{"data":{"a":1e999}}}', b'{"id":"\xff"}']
)
def test_what_is_no_json_is_refused_wherever_it_stands(row: bytes) -> None:
    for count in (1, 3000):  # a page that is decoded in one go, and one in pieces
        with pytest.raises(DecodeError, match="no JSON") as caught:
            decode_page(listing(b"[" + b'{"id":"1"},' * count + row + b"]"))
        assert caught.value.__context__ is None


def test_numbers_of_any_size_are_exact() -> None:
    (callflow,) = decode_page(listing(b'[{"id":"1","flow":{"data":{"a":123456789012345678901234567890}}}]')).items
    assert to_dict(callflow)["flow"]["data"]["a"] == 123456789012345678901234567890


@pytest.mark.parametrize("depth", [100, 300, 440, 470, 500])
def test_both_ways_agree_at_any_depth(depth: int) -> None:
    flow = b'{"module":"a","children":{"_":' * depth + b"{}" + b"}}" * depth
    body = listing(b'[{"id":"1","flow":' + flow + b'},{"id":"2"}]')
    found = decode_page(body).items
    assert found == read_rows(decode_envelope(body).data, Callflow) == read_rows(parse_json(body)["data"], Callflow)
    assert found[0].flow is not None
    assert sum(1 for _ in found[0].flow.walk()) == depth + 1


def test_the_callers_own_depth_costs_a_document_nothing() -> None:
    def below(frames: int) -> Any:
        return below(frames - 1) if frames else decode_page(body).items

    body = listing(b'[{"id":"1","flow":' + b'{"children":{"_":' * 50 + b"{}" + b"}}" * 50 + b"}]")
    depth = len(inspect_stack())
    assert below(sys.getrecursionlimit() - depth - 60) == decode_page(body).items


def inspect_stack() -> list[Any]:
    frame: Any = sys._getframe()
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


# --- shells ----------------------------------------------------------------------------------------


def test_a_flow_grows_when_it_is_looked_at_and_only_once() -> None:
    flow = {"module": "menu", "data": {"a": 1}, "children": {"1": {"module": "menu", "data": {}, "children": {}}}}
    row = {"id": "1", "flow": flow, "metaflow": {"numbers": {"2": {}}}}
    (callflow,) = decode_page(listing(json.dumps([row]).encode())).items
    assert callflow.flow is callflow.flow
    assert type(callflow.flow) is FlowNode
    assert type(callflow.flow.children["1"]) is FlowNode
    assert callflow.flow.module is callflow.flow.children["1"].module
    assert callflow.metaflow is callflow.metaflow
    assert callflow.metaflow is not None
    assert type(callflow.metaflow.numbers["2"]) is FlowNode


def family() -> Family:
    return Family(Callflow, Whole, (AnyCallflow, AnyNodes), wholes, first=_Shell(Summary, summaries))


def read(family: Family, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    documents = family.read([Raw(json.dumps(row).encode()) for row in rows], 0, Problems())
    return [to_dict(document) for document in documents]


def test_unknown_keys_that_come_again_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    one = family()
    rows = [{"id": str(number), "flow": {"module": "a"}, "note": number, "no-name": None} for number in range(3)]
    assert read(one, *rows) == rows
    monkeypatch.setattr(one, "_read_singly", None)
    assert read(one, *rows, {"id": "x", "flow": {}}) == [*rows, {"id": "x", "flow": {}}]


def test_what_is_learned_meanwhile_harms_no_page_in_shells() -> None:
    one = family()
    body = listing(b'[{"id":"1","flow":{"module":"a"}}]')
    sent = one.read_reply(body)
    one.learn(("note",))
    assert sent is not None
    assert one.read(sent.data, 0, Problems()) == list(decode_page(body).items)


def test_what_is_learned_is_bounded() -> None:
    one = family()
    for number in range(3000):
        row = {"id": "1", f"key_{number}": 1}
        assert read(one, row, row) == [row, row]
    assert len(one._learned) == 16
    assert len(one._met) <= 1002


def test_a_page_with_a_key_that_no_shell_knows_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Family(Callflow, Whole, (AnyCallflow,), wholes, first=_Shell(Summary, summaries), learned=("note",))
    flow = b'{"id":"1","note":1,"flow":{"module":"a"}}'
    assert one.read_reply(listing(b"[" + flow + b"]")) is not None
    monkeypatch.setattr(one, "_tried", (one._tried[0], None))  # a second try would fail
    for odd in (b'{"id":"1","odd":1}', b'{"id":"1","featurecode":{"name":"a","number":"1","odd":1}}'):
        assert one.read_reply(listing(b"[" + odd + b"]")) is None
    with pytest.raises(AttributeError):
        one.read_reply(listing(b"[" + flow + b"]"))


def test_a_summary_with_keys_of_its_own_reads_as_any_other() -> None:
    usual: dict[str, Any] = {"id": "1", "name": "x", "type": "t", "numbers": ["1"], "patterns": [], "flags": ["a"]}
    usual |= {"owner_id": "o", "group_id": "g", "modules": ["user"], "featurecode": False}
    rows: list[dict[str, Any]] = [{key: value for key, value in usual.items() if key != left_out} for left_out in usual]
    rows = rows[1:] + [usual | {key: None} for key in usual if key != "id"]
    rows += [usual | {"odd": ["a"]}, usual | {"odd": [1]}, usual | {"featurecode": {"name": "n", "odd": 1}}]
    rows += [usual | {"featurecode": {}}, usual | {"featurecode": []}, usual | {"metadata": {"a": 1}, "flow": {}}]
    for row in rows:
        page = [row | {"custom": 1}, usual | {"id": "2", "other": 2}]
        body = listing(json.dumps(page).encode())
        assert fast(body, Callflow) == slow(body, Callflow)
        assert [to_dict(document) for document in decode_page(body).items] == page


def test_odd_rows_cost_the_others_nothing() -> None:
    rows: list[dict[str, Any]] = [{"id": str(number), "name": "x"} for number in range(40)]
    rows[7]["name"] = None
    rows[9]["flow"] = {"module": "a", "children": []}
    rows[11] |= {"note": 1, "flow": {"module": "a", "odd": 1}}
    assert read(family(), *rows) == rows


def test_the_shared_mapping_stays_empty() -> None:
    (callflow,) = decode_page(listing(b'[{"id":"1","flow":{"module":"a"}}]')).items
    assert callflow.flow is not None
    data: Any = callflow.flow.data
    for change in (data.update, data.setdefault, data.__setitem__, data.__ior__):
        with pytest.raises(TypeError, match="make a new one"):
            change("a", 1)
    assert data == {}
    assert json.dumps([data, callflow.patterns]) == "[{}, []]"


# --- pieces, and the loop --------------------------------------------------------------------------


def large(rows: int) -> bytes:
    flow = {"module": "user", "data": {"id": "x" * 100}, "children": {}}
    return listing(json.dumps([{"id": str(number), "flow": flow} for number in range(rows)]).encode())


def test_a_large_page_comes_in_pieces() -> None:
    pieces = list(iter_rows(decode_envelope(large(2000)).data, Callflow))
    assert len(pieces) > 5
    assert [document.id for piece in pieces for document in piece] == [str(number) for number in range(2000)]
    assert len(list(iter_rows(decode_envelope(large(20), Callflow).data, Callflow))) == 1
    values = list(iter_rows([{"id": str(number)} for number in range(160)], Callflow))
    assert [[row.id for row in piece] for piece in values] == [
        [str(number) for number in range(first, min(first + 64, 160))] for first in (0, 64, 128)
    ]


def test_a_wrong_value_is_named_by_its_place_in_the_page() -> None:
    rows: list[Any] = [{"id": str(number), "numbers": []} for number in range(160)]
    rows[3]["name"], rows[70], rows[150]["featurecode"] = 7, "x", True
    with pytest.raises(DecodeError) as caught:
        read_rows(rows, Callflow)
    assert caught.value.problems == (
        "$.data[3].name: expected str, got int",
        "$.data[70]: expected object, got str",
        "$.data[150].featurecode: expected object, got bool",
    )


def test_a_wrong_row_is_named_by_its_place_in_the_page() -> None:
    body = large(2000).replace(b'"id": "1500"', b'"id": 1500').replace(b'"id": "7"', b'"id": 7')
    with pytest.raises(DecodeError) as caught:
        decode_page(body)
    assert caught.value.problems == ("$.data[7].id: expected str, got int", "$.data[1500].id: expected str, got int")


@pytest.mark.parametrize("parse", [lambda body: decode_envelope(body).data, lambda body: parse_json(body)["data"]])
def test_from_what_is_wrong_on_no_rows_come_and_all_of_it_is_told(parse: Any) -> None:
    ids: list[Any] = [str(number) for number in range(3000)]
    ids[1500] = ids[2900] = 7
    data = parse(listing(json.dumps([{"id": each} for each in ids]).encode()))
    got: list[Callflow] = []
    with pytest.raises(DecodeError) as caught:
        for piece in iter_rows(data, Callflow):
            got.extend(piece)
    assert 500 < len(got) < 1500
    assert [each.id for each in got] == ids[: len(got)]
    assert len(caught.value.problems) == 2


def test_no_frame_holds_a_piece() -> None:
    data = [{"id": str(number)} for number in range(100)]
    for piece in iter_rows(data, Callflow):
        held = weakref.ref(piece[0])
        del piece
        assert held() is None


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_is_left_as_it_was(*, running: bool) -> None:
    seen = []
    (gc.enable if running else gc.disable)()
    try:
        for body in (large(1000), large(1000).replace(b'"id": "7"', b'"id": 7'), b"<html>"):
            try:
                decode_page(body)
                for _ in iter_rows(decode_envelope(body).data, Callflow):
                    seen.append(gc.isenabled())
            except DecodeError:
                seen.append(gc.isenabled())
            seen.append(gc.isenabled())
    finally:
        gc.enable()
    assert set(seen) == {running}


def test_a_family_for_every_listing() -> None:
    assert set(FAMILIES) == {Callflow, Account}


# --- texts that are nested too deeply for the parser ------------------------------------------------

INSIDES = [
    *('{"a":[],"b":{}}', '"x\\u00e9\\n"', "-1.5e3", "12345678901234567890123", "true", "null"),
    *('[1,"a",{"b":false}]', ' { "a" : 1 } '),
]
NO_INSIDES = [
    *("[1 2]", "[,1]", "[1,]", '{"a" 1}', '{"a":1,}', "{1:2}", '{"a":}', "{:1}", "[:]", "[}", '{"a"]', "tru", "01"),
    *('"\\x"', '"a', '{"a":1 "b":2}', '"\\ud800"', "1e999", "[1]]", "]", '{"a":1:2}', "9" * 5000, '"\t"', ""),
]


def deep(inside: str) -> bytes:
    return b"[" * 1010 + inside.encode() + b"]" * 1010


@pytest.mark.parametrize("inside", INSIDES)
def test_a_deep_text_is_read(inside: str) -> None:
    value = parse_json(deep(inside))
    for _ in range(1010):
        (value,) = value
    assert exact(value) == exact(json.loads(inside))


@pytest.mark.parametrize("inside", NO_INSIDES, ids=lambda inside: inside[:10])
def test_a_deep_text_that_is_no_json_is_refused(inside: str) -> None:
    body = deep(inside) if inside else b"[" * 1010 + b"]" * 1009
    with pytest.raises(DecodeError, match="no JSON"):
        parse_json(body)
