"""JSON to documents: strict, complete, at any depth; with the accelerator and without."""

import copy
import json
import sys
import weakref
from typing import Any, cast

import attrs
import pytest
from documents import WHOLE, chain_text, listing

from vinix_async import (
    Account,
    Callflow,
    ConfigurationError,
    DecodeError,
    FeatureCode,
    FlowNode,
    Ringback,
    decode_page,
    structure,
    to_dict,
)
from vinix_async._documents.base import Document
from vinix_async._documents.decode import MISSING, BadRow, _rules, iter_rows, parse_envelope, read_one, read_rows
from vinix_async._documents.deep_json import parse_json

pytestmark = pytest.mark.usefixtures("accelerator")


def pages(*rows: Any) -> list[Any]:
    """The ``data`` of a listing of ``rows`` as a small response has it, as a large one has it, and as values."""
    body = listing(*rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vinix_async._documents.fast_decode._LARGE", 0)
        large = parse_envelope(body, Callflow)
    return [envelope["data"] for envelope in (parse_envelope(body, Callflow), large, parse_json(body))]


def test_every_field_is_read() -> None:
    callflow = structure(WHOLE, Callflow)
    assert (callflow.id, callflow.name, callflow.type) == ("611", "Main menu", "main")
    assert callflow.numbers == ("+15550100", "no_match")
    assert callflow.patterns == ("^\\*97$",)
    assert callflow.featurecode == FeatureCode(name="voicemail", number="97", extra={"odd": 1})
    assert (callflow.flags, callflow.modules) == (("a",), ("menu", "user"))
    assert (callflow.owner_id, callflow.group_id) == ("o1", "g1")
    assert callflow.ringback == Ringback(early="m2", transfer="m3", extra={"odd": False})
    assert callflow.metadata == {"u1": {"name": "Ann", "pvt_type": "user"}}
    assert callflow.extra == {
        "ui_metadata": {"origin": "voip"},
        "extra": {"a key of that name": 1},
        "_read_only": True,
    }
    flow = callflow.flow
    assert flow is not None
    assert (flow.module, flow.data["timeout"], flow.extra) == ("menu", "20", {"odd": {"deep": [1]}})
    assert list(flow.children) == ["1", "_", "+14155550100", "sip:486"]
    assert flow.children["_"].extra == {"remote_execution": True}
    assert flow.children["+14155550100"] == FlowNode()
    metaflow = callflow.metaflow
    assert metaflow is not None
    assert (metaflow.binding_digit, metaflow.digit_timeout, metaflow.listen_on) == ("*", 800, "self")
    assert metaflow.numbers["2"].children["_"].module == "hold"
    assert metaflow.patterns["^7(.)$"].module == "callflow"
    assert metaflow.extra == {"odd": None}
    assert list(decode_page(listing(WHOLE)).items) == [callflow]


WRONG: list[Any] = [
    ({"id": 7}, ".id: expected str, got int"),
    ({"id": True}, ".id: expected str, got bool"),
    ({"name": ["x"]}, ".name: expected str, got array"),
    ({"name": {}}, ".name: expected str, got object"),
    pytest.param({"name": 12345}, ".name: expected str, got int", id="L30-name"),
    pytest.param({"modules": [5]}, ".modules[0]: expected str, got int", id="L30-modules"),
    pytest.param({"modules": 5}, ".modules: expected array, got int", id="L30-modules-of-a-document"),
    pytest.param({"flags": {"x": True}}, ".flags: expected array, got object", id="L30-flags"),
    pytest.param({"numbers": "2009"}, ".numbers: expected array, got str", id="L30-numbers"),
    pytest.param(
        {"featurecode": {"name": "park", "number": 4}}, ".featurecode.number: expected str, got int", id="L30-code"
    ),
    pytest.param(
        {"flow": {"module": "menu", "children": {"module": "user", "data": {"id": "u"}}}},
        '.flow.children["module"]: expected object, got str',
        id="L28-a-node-one-level-too-shallow",
    ),
    ({"numbers": {}}, ".numbers: expected array, got object"),
    ({"numbers": ["1", None]}, ".numbers[1]: expected str, got null"),
    ({"patterns": [1]}, ".patterns[0]: expected str, got int"),
    ({"flags": False}, ".flags: expected array, got bool"),
    ({"featurecode": True}, ".featurecode: expected object, got bool"),
    ({"featurecode": 0}, ".featurecode: expected object, got int"),
    ({"featurecode": {"number": 97}}, ".featurecode.number: expected str, got int"),
    ({"flow": False}, ".flow: expected object, got bool"),
    ({"flow": [{}]}, ".flow: expected object, got array"),
    ({"flow": {"module": 7, "data": {"a": 1}, "children": {}}}, ".flow.module: expected str, got int"),
    ({"flow": {"module": "x", "data": "y"}}, ".flow.data: expected object, got str"),
    ({"flow": {"module": "x", "data": [1]}}, ".flow.data: expected object, got array"),
    ({"flow": {"children": {"1": None}}}, '.flow.children["1"]: expected object, got null'),
    (
        {"flow": {"children": {"1": {"children": {'a"\n': 5}}}}},
        '.flow.children["1"].children["a\\"\\n"]: expected object, got int',
    ),
    ({"metaflow": {"digit_timeout": "800"}}, ".metaflow.digit_timeout: expected int, got str"),
    ({"metaflow": {"digit_timeout": True}}, ".metaflow.digit_timeout: expected int, got bool"),
    ({"metaflow": {"numbers": {"2": 3}}}, '.metaflow.numbers["2"]: expected object, got int'),
    ({"ringback": {"early": 1}}, ".ringback.early: expected str, got int"),
    ({"metadata": "x"}, ".metadata: expected object, got str"),
]


@pytest.mark.parametrize(("sent", "problem"), WRONG)
def test_a_wrong_type_is_refused_with_its_path(sent: Any, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        structure(sent, Callflow)
    assert caught.value.problems == (f"${problem}",)
    assert problem in str(caught.value)


@pytest.mark.parametrize(("sent", "problem"), WRONG)
def test_a_bad_row_costs_itself_only(sent: Any, problem: str) -> None:
    bad_id = sent["id"] if isinstance(sent.get("id"), str) else None
    for data in pages({"id": "1"}, sent, {"id": "3"}):
        ((rows, bad_rows),) = iter_rows(data, Callflow)
        assert [row.id for row in rows] == ["1", "3"]
        assert bad_rows == [BadRow(1, bad_id, (f"$.data[1]{problem}",))]
    with pytest.raises(DecodeError) as caught:
        read_one(copy.deepcopy(sent), Callflow)
    assert caught.value.problems == (f"$.data{problem}",)


ROW: dict[str, Any] = {"id": "09c4", "name": "owner is a number", "numbers": ["7990"], "patterns": [], "flags": []}
ANY_JSON: list[Any] = [5, 1.5, True, False, "", "x", None, [], ["x"], {}, {"a": 1}, [[None]]]


@pytest.mark.parametrize("value", ANY_JSON, ids=lambda value: f"L29-{json.dumps(value)}")
@pytest.mark.parametrize("key", ["type", "owner_id", "group_id"])
def test_what_the_server_stores_unchecked_is_kept_as_it_came(key: str, value: Any) -> None:
    sent = {**ROW, "featurecode": False, "modules": ["user"], key: value}
    for data in pages(sent):
        (row,) = read_rows(data, Callflow)
        assert getattr(row, key) == value
        assert type(getattr(row, key)) is type(value)
        assert json.dumps(to_dict(row), sort_keys=True) == json.dumps(sent, sort_keys=True)
    assert to_dict(read_one(dict(sent), Callflow)) == sent


def test_l29_a_real_row() -> None:
    sent = {**ROW, "type": ["x"], "featurecode": False, "owner_id": 5, "group_id": {"a": 1}, "modules": ["user"]}
    for data in pages(sent):
        (row,) = read_rows(data, Callflow)
        assert (row.type, row.owner_id, row.group_id) == (["x"], 5, {"a": 1})
        assert to_dict(row) == sent


def test_every_bad_field_is_named_and_no_value() -> None:
    sent: list[Any] = [{"id": "ok"}, {"id": 1, "name": 2}, "secret-value", {"flow": {"module": ["secret-value"]}}]
    problems = {
        "$.data[1].id: expected str, got int",
        "$.data[1].name: expected str, got int",
        "$.data[2]: expected object, got str",
        "$.data[3].flow.module: expected str, got array",
    }
    for data in pages(*sent):
        with pytest.raises(DecodeError) as caught:
            read_rows(data, Callflow)
        assert set(caught.value.problems) == problems
        assert "secret-value" not in str(caught.value)


def test_a_bad_row_has_the_id_that_it_has() -> None:
    for data in pages({"id": "a", "name": 1}, {"id": 7}, {"id": "", "name": 1}, "row"):
        ((rows, bad_rows),) = iter_rows(data, Callflow)
        assert rows == []
        assert [(bad.index, bad.id) for bad in bad_rows] == [(0, "a"), (1, None), (2, None), (3, None)]


def test_the_list_of_problems_is_bounded() -> None:
    for data in pages(*({"id": 1} for _ in range(500))):
        with pytest.raises(DecodeError) as caught:
            read_rows(data, Callflow)
        assert len(caught.value.problems) == 100
        assert len(str(caught.value)) < 1000
    with pytest.raises(DecodeError) as caught:
        structure({"numbers": [1] * 5000}, Callflow)
    assert len(caught.value.problems) == 100


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("https://u:planted@h.example/x?token=planted", "https…"),
        ("u:planted@h.example", "u…"),
        ("x?token=planted", "x…"),
        ("sip:486", "sip:486"),
        ("a/b ~", "a/b ~"),
    ],
)
def test_keys_in_paths_are_without_credentials(key: str, shown: str) -> None:
    flow = {"module": "menu", "children": {key: {"module": 5}}}
    with pytest.raises(DecodeError) as caught:
        structure({"id": "1", "flow": flow}, Callflow)
    path = f"$.flow.children[{json.dumps(shown)}].module"
    assert caught.value.problems == (f"{path}: expected str, got int",)


def test_long_keys_are_cut_in_paths() -> None:
    with pytest.raises(DecodeError) as caught:
        structure({"flow": {"children": {"k" * 10_000: 1}}}, Callflow)
    assert len(caught.value.problems[0]) < 150


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        ([{"id": "1"}, {"id": "2"}], ["1", "2"]),
        ({"id": "1"}, ["1"]),
        ({"flow": {"module": "x"}}, [""]),
        ({"numbers": [], "odd": 1}, [""]),
        ([], []),
        ([{"numbers": ["1"]}], [""]),
    ],
)
def test_every_shape_of_a_listing_is_a_page(data: Any, ids: list[str]) -> None:
    body = json.dumps({"data": data, "status": "success"}).encode()
    assert [callflow.id for callflow in read_rows(parse_envelope(body, Callflow)["data"], Callflow)] == ids
    assert [callflow.id for callflow in read_rows(copy.deepcopy(data), Callflow)] == ids


@pytest.mark.parametrize(
    ("data", "got"),
    [
        pytest.param(MISSING, "nothing", id="L16-missing"),
        pytest.param(None, "null", id="L16-null"),
        pytest.param({}, "object without a field of Callflow", id="L16-empty-object"),
        pytest.param({"a1": {"id": "a1"}, "b2": {"id": "b2"}}, "object without a field", id="L16-rows-by-id"),
        ({"odd": 1}, "object without a field"),
        ("text", "str"),
        (7, "int"),
        (True, "bool"),
    ],
)
def test_any_other_shape_is_refused(data: Any, got: str) -> None:
    envelope = {"status": "success"} if data is MISSING else {"status": "success", "data": data}
    found = parse_envelope(json.dumps(envelope).encode(), Callflow).get("data", MISSING)
    with pytest.raises(DecodeError, match=rf"\$\.data: expected array, got {got}"):
        read_rows(found, Callflow)


def test_a_single_document_with_a_wrong_field_is_a_bad_row() -> None:
    ((rows, bad_rows),) = iter_rows({"id": "a", "name": 7}, Callflow)
    assert (rows, bad_rows) == ([], [BadRow(0, "a", ("$.data.name: expected str, got int",))])


def test_one_document_is_an_object_that_is_not_empty() -> None:
    assert read_one({"id": "1"}, Callflow).id == "1"
    assert read_one({"odd": 1}, Callflow).extra == {"odd": 1}
    none: list[Any] = [[], None, {}, [{"id": "1"}], "text", MISSING]
    for data in none:
        with pytest.raises(DecodeError, match=r"\$\.data: expected (non-empty )?object, got"):
            read_one(data, Callflow)


def test_a_known_key_alone_makes_an_account() -> None:
    assert [account.name for account in read_rows({"name": "A"}, Account)] == ["A"]
    with pytest.raises(DecodeError, match="object without a field of Account"):
        read_rows({"numbers": []}, Account)


def test_decode_page_reads_a_saved_body() -> None:
    body = {"data": [{"id": "1"}], "status": "success", "next_start_key": "g20", "page_size": 1, "request_id": "r"}
    page = decode_page(json.dumps(body).encode())
    assert [callflow.id for callflow in page.items] == ["1"]
    assert (page.next_start_key, page.start_key, page.page_size, page.request_id) == ("g20", None, 1, "r")
    with pytest.raises(DecodeError):
        decode_page(b"<html>")
    with pytest.raises(ConfigurationError, match="bytes"):
        decode_page('{"data": []}')  # type: ignore[arg-type]


def test_structure_takes_json_and_documents_only() -> None:
    with pytest.raises(DecodeError, match=r'\$\["flow"\]\["data"\]: expected JSON, got set'):
        structure({"flow": {"data": {1, 2}}}, Callflow)
    with pytest.raises(DecodeError, match="keys of type str, got int"):
        structure({"flow": {"data": {1: 2}}}, Callflow)
    with pytest.raises(DecodeError, match=r'\["x"\]\[0\]: expected a finite number, got float'):
        structure({"x": [float("nan")]}, Callflow)
    with pytest.raises(ConfigurationError, match="document class"):
        structure({}, dict)  # type: ignore[type-var]
    with pytest.raises(ConfigurationError, match="document class"):
        structure(Callflow, {})  # type: ignore[arg-type]  # in the wrong order
    with pytest.raises(DecodeError, match="expected object, got array"):
        structure([], Callflow)  # type: ignore[arg-type]


def test_a_field_whose_type_has_no_rule_is_refused_at_once() -> None:
    @attrs.frozen(kw_only=True, eq=False)
    class Odd(Document):
        ratio: float | None = None

    with pytest.raises(KeyError):
        _rules(Odd)


@pytest.mark.parametrize("kind", [str, int, bool])
def test_a_field_may_be_of_any_simple_type(kind: type) -> None:
    (rule,) = _rules(
        attrs.make_class(
            "Odd",
            {"value": attrs.field(type=cast("type", kind | None), default=None)},
            bases=(Document,),
            kw_only=True,
            eq=False,
        )
    )
    assert (rule.name, rule.json, rule.empties) == ("value", kind, ((type(None), None),))


# --- pieces ------------------------------------------------------------------------------------------


def test_a_page_comes_in_pieces() -> None:
    ids = [str(number) for number in range(100)]
    for data in pages(*({"id": each} for each in ids)):
        pieces = iter_rows(data, Callflow)
        rows, _ = next(pieces)
        assert [row.id for row in rows] == ids[:64]
        assert [row.id for rows, _ in pieces for row in rows] == ids[64:]


def test_a_row_is_named_by_its_place_in_the_page() -> None:
    sent: list[Any] = [{"id": str(number), "numbers": []} for number in range(160)]
    sent[3]["name"], sent[70], sent[150]["featurecode"] = 7, "x", True
    for data in pages(*sent):
        found = list(iter_rows(data, Callflow))
        assert [bad.index for _, bad_rows in found for bad in bad_rows] == [3, 70, 150]
        assert sum(len(rows) for rows, _ in found) == 157
    with pytest.raises(DecodeError) as caught:
        decode_page(listing(*sent))
    assert caught.value.problems == (
        "$.data[3].name: expected str, got int",
        "$.data[70]: expected object, got str",
        "$.data[150].featurecode: expected object, got bool",
    )


def test_no_frame_holds_a_piece() -> None:
    for data in pages(*({"id": str(number)} for number in range(100))):
        for rows, _ in iter_rows(data, Callflow):
            held = weakref.ref(rows[0])
            del rows
            assert held() is None


@pytest.mark.parametrize(
    "row", [b'{"id":"\\ud800"}', b'{"id":"1","odd":1e999}', b'{"id":"1","flow":{"data":{"a":1e999}}}', b'{"id":"\xff"}']
)
def test_text_that_is_not_json_is_refused_in_any_place(row: bytes) -> None:
    for count in (1, 30_000):  # a small response and a large one
        with pytest.raises(DecodeError, match="not valid JSON") as caught:
            decode_page(listing(*[b'{"id":"1"}'] * count, row))
        assert caught.value.transient
        assert caught.value.__context__ is None


def test_numbers_of_any_size_are_exact() -> None:
    (callflow,) = decode_page(listing(b'{"id":"1","flow":{"data":{"a":123456789012345678901234567890}}}')).items
    assert to_dict(callflow)["flow"]["data"]["a"] == 123456789012345678901234567890


# --- depth -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [100, 440, 470, pytest.param(512, id="L31-512"), 1_000, 10_000])
def test_l31_a_flow_of_any_depth_that_a_server_accepts_is_read(depth: int) -> None:
    limit = sys.getrecursionlimit()
    for data in pages(b'{"id":"1","flow":' + chain_text(depth) + b"}", {"id": "2"}):
        found = read_rows(data, Callflow)
        assert found[0].flow is not None
        assert sum(1 for _ in found[0].flow.walk()) == depth
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("depth", [10_100 if sys.version_info < (3, 14) else 100_000, 40_000])  # see test_json.py
def test_a_deeper_one_is_refused(depth: int) -> None:
    with pytest.raises(DecodeError, match="too deep") as caught:
        decode_page(listing(b'{"id":"1","flow":' + chain_text(depth) + b"}"))
    assert not caught.value.transient


def test_a_wrong_value_far_down_is_named() -> None:
    text = chain_text(1_000).replace(b"{}", b'{"module":7}')
    for data in pages(b'{"id":"1","flow":' + text + b"}", {"id": "2"}):
        ((rows, bad_rows),) = iter_rows(data, Callflow)
        assert [row.id for row in rows] == ["2"]
        assert bad_rows[0].problems[0].endswith('.children["_"].module: expected str, got int')


def test_the_callers_own_depth_costs_a_document_nothing() -> None:
    def below(frames: int) -> Any:
        return below(frames - 1) if frames else decode_page(body).items

    body = listing(b'{"id":"1","flow":' + chain_text(50) + b"}")
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    assert below(sys.getrecursionlimit() - depth - 60) == decode_page(body).items
