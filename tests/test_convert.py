"""JSON to documents and back: strict, complete, at any depth."""

import copy
import gc
import json
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from vinix_async import (
    Account,
    Callflow,
    ConfigurationError,
    DecodeError,
    FeatureCode,
    FlowNode,
    Metaflow,
    Ringback,
    decode_page,
    structure,
    to_dict,
    to_json,
)
from vinix_async._documents.convert import read_one, read_rows
from vinix_async._http.request import MISSING

WHOLE: dict[str, Any] = {
    "id": "611",
    "name": "Main menu",
    "type": "main",
    "numbers": ["+15550100", "no_match"],
    "patterns": ["^\\*97$"],
    "featurecode": {"name": "voicemail", "number": "97", "odd": 1},
    "flags": ["a"],
    "flow": {
        "module": "menu",
        "data": {"id": "m1", "timeout": "20", "nested": {"a": [1, None, {"b": 2.5}]}},
        "children": {
            "1": {"module": "user", "data": {"id": "u1"}, "children": {}},
            "_": {"module": "hangup", "data": {"skip_module": True}, "remote_execution": True},
            "+14155550100": {},
            "sip:486": {"data": {}, "children": []},
        },
        "odd": {"deep": [1]},
    },
    "metaflow": {
        "binding_digit": "*",
        "digit_timeout": 800,
        "listen_on": "self",
        "numbers": {
            "2": {"module": "transfer", "data": {"takeback_dtmf": "*1"}, "children": {"_": {"module": "hold"}}}
        },
        "patterns": {"^7(.)$": {"module": "callflow", "data": {}}},
        "odd": None,
    },
    "ringback": {"early": "m2", "transfer": "m3", "odd": False},
    "owner_id": "o1",
    "group_id": "g1",
    "modules": ["menu", "user"],
    "metadata": {"u1": {"name": "Ann", "pvt_type": "user"}},
    "ui_metadata": {"origin": "voip"},
    "extra": {"a key of that name": 1},
    "_read_only": True,
}


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


def test_to_dict_gives_back_what_came() -> None:
    before = copy.deepcopy(WHOLE)
    callflow = structure(WHOLE, Callflow)
    assert to_dict(callflow) == WHOLE == before
    assert json.loads(to_json(callflow)) == WHOLE


def test_an_account_is_read_and_given_back() -> None:
    sent = {"id": "a", "name": "A", "realm": "r", "tree": ["b"], "flags": [], "descendants_count": 3, "odd": 1}
    account = structure(sent, Account)
    assert (account.name, account.tree, account.flags, account.descendants_count) == ("A", ("b",), (), 3)
    assert to_dict(account) == sent


EMPTIES: list[Any] = [None, {}, []]
EMPTY_AT: list[tuple[str, Any]] = [
    *[(key, None) for key in ("name", "type", "owner_id", "group_id", "id", "numbers", "patterns", "flags", "modules")],
    *[(key, []) for key in ("numbers", "patterns", "flags", "modules")],
    *[(key, empty) for key in ("flow", "metaflow", "ringback", "featurecode", "metadata") for empty in EMPTIES],
    ("featurecode", False),
    ("id", ""),
]


@pytest.mark.parametrize(("key", "empty"), EMPTY_AT, ids=str)
def test_every_kind_of_empty_reads_as_empty_and_survives(key: str, empty: Any) -> None:
    sent = {key: empty}
    callflow = structure(sent, Callflow)
    assert getattr(callflow, key) in (None, (), {}, "")
    given_back = to_dict(callflow)
    assert given_back == sent
    assert type(given_back[key]) is type(empty)


@pytest.mark.parametrize("key", ["data", "children"])
@pytest.mark.parametrize("empty", EMPTIES, ids=str)
def test_the_same_inside_a_node(key: str, empty: Any) -> None:
    sent = {
        "flow": {"module": "menu", "children": {"1": {"module": "x", "data": {"a": 1}, "children": {}, key: empty}}}
    }
    callflow = structure(sent, Callflow)
    assert to_dict(callflow) == sent
    assert callflow.flow is not None
    assert getattr(callflow.flow.children["1"], key) == {}


def test_absent_is_not_empty() -> None:
    assert to_dict(structure({}, Callflow)) == {}
    assert to_dict(structure({"flow": {"module": "x"}}, Callflow)) == {"flow": {"module": "x"}}
    assert structure({}, Callflow) != structure({"flags": []}, Callflow)


def test_an_empty_value_gives_way_to_one_that_is_set_later() -> None:
    callflow = attrs.evolve(structure({"id": "1", "name": None, "numbers": []}, Callflow), name="x", numbers=("1",))
    assert to_dict(callflow) == {"id": "1", "name": "x", "numbers": ["1"]}


WRONG: list[tuple[Any, str]] = [
    ({"id": 7}, "$.id: expected str, got int"),
    ({"id": True}, "$.id: expected str, got bool"),
    ({"name": ["x"]}, "$.name: expected str, got array"),
    ({"name": {}}, "$.name: expected str, got object"),
    ({"type": 1.5}, "$.type: expected str, got float"),
    ({"numbers": "1234"}, "$.numbers: expected array, got str"),
    ({"numbers": {}}, "$.numbers: expected array, got object"),
    ({"numbers": ["1", None]}, "$.numbers[1]: expected str, got null"),
    ({"patterns": [1]}, "$.patterns[0]: expected str, got int"),
    ({"flags": False}, "$.flags: expected array, got bool"),
    ({"featurecode": True}, "$.featurecode: expected object, got bool"),
    ({"featurecode": 0}, "$.featurecode: expected object, got int"),
    ({"featurecode": {"number": 97}}, "$.featurecode.number: expected str, got int"),
    ({"flow": False}, "$.flow: expected object, got bool"),
    ({"flow": [{}]}, "$.flow: expected object, got array"),
    ({"flow": {"module": 7, "data": {"a": 1}, "children": {}}}, "$.flow.module: expected str, got int"),
    ({"flow": {"module": "x", "data": "y"}}, "$.flow.data: expected object, got str"),
    ({"flow": {"module": "x", "data": [1]}}, "$.flow.data: expected object, got array"),
    ({"flow": {"children": {"1": None}}}, '$.flow.children["1"]: expected object, got null'),
    (
        {"flow": {"children": {"1": {"children": {'a"\n': 5}}}}},
        '$.flow.children["1"].children["a\\"\\n"]: expected object, got int',
    ),
    ({"metaflow": {"digit_timeout": "800"}}, "$.metaflow.digit_timeout: expected int, got str"),
    ({"metaflow": {"digit_timeout": True}}, "$.metaflow.digit_timeout: expected int, got bool"),
    ({"metaflow": {"numbers": {"2": 3}}}, '$.metaflow.numbers["2"]: expected object, got int'),
    ({"ringback": {"early": 1}}, "$.ringback.early: expected str, got int"),
    ({"metadata": "x"}, "$.metadata: expected object, got str"),
]


@pytest.mark.parametrize(("sent", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_a_wrong_type_is_refused_with_its_path(sent: Any, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        structure(sent, Callflow)
    assert caught.value.problems == (problem,)
    assert problem in str(caught.value)


def test_every_bad_field_is_named_and_no_value() -> None:
    rows: Any = [{"id": "ok"}, {"id": 1, "name": 2}, "secret-value", {"flow": {"module": ["secret-value"]}}]
    with pytest.raises(DecodeError) as caught:
        read_rows(rows, Callflow)
    assert set(caught.value.problems) == {
        "$.data[1].id: expected str, got int",
        "$.data[1].name: expected str, got int",
        "$.data[2]: expected object, got str",
        "$.data[3].flow.module: expected str, got array",
    }
    assert "secret-value" not in str(caught.value)


def test_the_list_of_problems_is_bounded() -> None:
    with pytest.raises(DecodeError) as caught:
        read_rows([{"id": 1} for _ in range(5000)], Callflow)
    assert len(caught.value.problems) == 100
    assert len(str(caught.value)) < 1000


def test_long_keys_are_cut_in_paths() -> None:
    with pytest.raises(DecodeError) as caught:
        structure({"flow": {"children": {"k" * 10_000: 1}}}, Callflow)
    assert len(caught.value.problems[0]) < 150


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        ([{"id": "1"}, {"id": "2"}], ["1", "2"]),
        ({"id": "1"}, ["1"]),
        ([], []),
        ({}, []),
        (None, []),
        (MISSING, []),
    ],
)
def test_every_shape_of_a_listing_is_a_page(data: Any, ids: list[str]) -> None:
    assert [callflow.id for callflow in read_rows(data, Callflow)] == ids


@pytest.mark.parametrize("data", ["text", 7, True])
def test_other_shapes_are_not(data: Any) -> None:
    with pytest.raises(DecodeError, match=r"\$\.data: expected object"):
        read_rows(data, Callflow)


def test_one_document_is_one() -> None:
    assert read_one({"id": "1"}, Callflow).id == read_one([{"id": "1"}], Callflow).id == "1"
    none_or_two: list[Any] = [[], None, [{}, {}]]
    for data in none_or_two:
        with pytest.raises(DecodeError, match="expected 1"):
            read_one(data, Callflow)


def test_decode_page_reads_a_saved_body() -> None:
    body = {"data": [{"id": "1"}], "status": "success", "next_start_key": "g20", "page_size": 1, "request_id": "r"}
    page = decode_page(json.dumps(body).encode())
    assert [callflow.id for callflow in page.items] == ["1"]
    assert (page.next_start_key, page.start_key, page.page_size, page.request_id) == ("g20", None, 1, "r")
    with pytest.raises(DecodeError):
        decode_page(b"<html>")


def test_structure_takes_json_and_documents_only() -> None:
    with pytest.raises(DecodeError, match=r'\$\["flow"\]\["data"\]: expected JSON, got set'):
        structure({"flow": {"data": {1, 2}}}, Callflow)
    with pytest.raises(DecodeError, match="keys of type str, got int"):
        structure({"flow": {"data": {1: 2}}}, Callflow)
    with pytest.raises(ConfigurationError, match="documents"):
        structure({}, dict)  # type: ignore[type-var]
    with pytest.raises(ConfigurationError, match="document"):
        to_dict({})  # type: ignore[arg-type]
    with pytest.raises(DecodeError, match="expected object, got array"):
        structure([], Callflow)  # type: ignore[arg-type]


def test_nothing_is_shared_with_argument_or_result() -> None:
    sent = copy.deepcopy(WHOLE)
    callflow = structure(sent, Callflow)
    sent["flow"]["data"]["nested"]["a"].append("changed")
    sent["metadata"]["u1"]["name"] = "changed"
    given_back = to_dict(callflow)
    given_back["flow"]["data"]["nested"]["a"].append("changed")
    given_back["flow"]["odd"]["deep"].append("changed")
    assert to_dict(callflow) == WHOLE


def test_documents_are_frozen_hashable_and_compared_whole() -> None:
    one, same = structure(WHOLE, Callflow), structure(WHOLE, Callflow)
    other = structure({**WHOLE, "flow": {"module": "user"}}, Callflow)
    assert one == same
    assert one != other
    assert one != "text"
    assert len({one, same, other}) == 2
    assert structure({"metadata": {"a": 1, "b": 2}}, Callflow) == structure({"metadata": {"b": 2, "a": 1}}, Callflow)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.name = "x"  # type: ignore[misc]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_documents_survive_pickle_and_copy(protocol: int) -> None:
    callflow = structure(WHOLE, Callflow)
    for twin in (pickle.loads(pickle.dumps(callflow, protocol)), copy.copy(callflow), copy.deepcopy(callflow)):
        assert twin == callflow
        assert to_dict(twin) == WHOLE
    deep = copy.deepcopy(callflow)
    assert deep.metadata is not callflow.metadata


def test_a_pickle_of_another_version_is_refused() -> None:
    kind, (flat,) = FeatureCode(name="park").__reduce__()
    flat[0] = (FeatureCode, flat[0][1] + 1)
    with pytest.raises(ValueError, match="another version"):
        kind(flat)


def chain(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"module": "hangup", "data": {"at": 0}}
    for at in range(1, depth):
        node = {"module": "menu", "data": {"at": at}, "children": {"_": node}}
    return node


def test_a_flow_450_deep_does_everything() -> None:
    sent = {"id": "deep", "flow": chain(450)}
    (callflow,) = decode_page(json.dumps({"data": []}).encode()[:-3] + b"[" + _text(sent) + b"]}").items
    assert callflow.flow is not None
    assert sum(1 for _ in callflow.flow.walk()) == 450
    assert callflow == structure(sent, Callflow)
    assert copy.deepcopy(callflow) == copy.copy(callflow) == pickle.loads(pickle.dumps(callflow)) == callflow
    assert len(repr(callflow)) < 500
    assert "450 nodes" in repr(callflow)
    assert to_json(callflow) == _text(sent)
    assert json.loads(to_json(callflow)) == to_dict(callflow) == sent


def _text(sent: dict[str, Any]) -> bytes:
    return json.dumps(sent, separators=(",", ":")).encode()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collection, which takes most of the time of a test with a million objects."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("depth", [5_000, 40_000])
def test_deeper_than_any_parser_takes(depth: int) -> None:
    limit = sys.getrecursionlimit()
    sent = chain(depth)
    callflow = structure({"flow": sent, "extra": 1}, Callflow)
    twin = copy.deepcopy(pickle.loads(pickle.dumps(callflow)))
    assert twin == callflow
    assert f"{depth} nodes" in repr(callflow)
    assert to_json(callflow).count(b'"module"') == depth
    back = to_dict(callflow)["flow"]
    for at in range(depth - 1, 0, -1):
        assert back["data"] == {"at": at}
        back = back["children"]["_"]
    assert sys.getrecursionlimit() == limit
    del callflow, twin, sent, back
    gc.collect()


def test_bytes_of_any_depth_decode_or_are_refused() -> None:
    for depth in (100, 505, 600, 5_000, 40_000):
        body = b'{"data":[{"flow":' + b'{"children":{"_":' * depth + b"{}" + b"}}" * depth + b"}]}"
        try:
            page = decode_page(body)
        except DecodeError as error:
            assert depth > 505
            assert "too deep" in str(error)
            assert not error.transient
        else:
            flow = page.items[0].flow
            assert flow is not None
            assert sum(1 for _ in flow.walk()) == depth + 1  # some Pythons let the parser go deeper


@pytest.mark.usefixtures("uncollected")
def test_depth_in_data_metadata_and_extra() -> None:
    value: Any = 1
    for _ in range(20_000):
        value = [{"a": value}]
    sent = {"flow": {"module": "x", "data": {"v": value}}, "metadata": {"v": value}, "odd": value}
    callflow = structure(sent, Callflow)
    assert pickle.loads(pickle.dumps(callflow)) == copy.deepcopy(callflow) == callflow
    assert to_json(callflow).count(b"[") == 60_000
    assert len(repr(callflow)) < 500
    del sent, callflow
    gc.collect()


def test_json_beyond_64_bits_is_still_json() -> None:
    sent = {"odd": {"huge": 2**80, "text": 'a"\\\n\u2028é', "deep": [[], {}, [1, {"x": None}], {"y": [True, 1.5]}]}}
    assert json.loads(to_json(structure(sent, Callflow))) == sent


def test_a_repr_is_short_and_shows_no_settings() -> None:
    secret = {"username": "ann", "password": "planted"}
    sent = {
        "id": "i" * 5000,
        "name": "n" * 5000,
        "numbers": ["1" * 500] * 500,
        "flow": {"module": "nomorobo", "data": secret},
        "metadata": {"x": "planted"},
        "odd": "planted",
    }
    callflow = structure(sent, Callflow)
    assert len(repr(callflow)) < 500
    assert "planted" not in repr(callflow) + repr(callflow.flow)
    for document in (Metaflow(), Ringback(), FeatureCode(), Account(), FlowNode()):
        assert len(repr(document)) < 120
