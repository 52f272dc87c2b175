"""The documents as objects: frozen, compared, copied, pickled and shown, at any depth."""

import copy
import gc
import json
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import attrs
import pytest
from documents import WHOLE, chain, listing

from vinix_async import (
    Account,
    Callflow,
    FeatureCode,
    FlowNode,
    Metaflow,
    Ringback,
    decode_page,
    structure,
    to_dict,
    to_json,
)


def fast(sent: Any) -> Callflow:
    """The callflow of a listing, whose flow has not been built yet."""
    (callflow,) = decode_page(listing(sent)).items
    return callflow


def slow(sent: Any) -> Callflow:
    return structure(sent, Callflow)


def test_documents_are_frozen_hashable_and_compared_whole() -> None:
    one, same = slow(WHOLE), fast(WHOLE)
    other = slow({**WHOLE, "flow": {"module": "user"}})
    assert one == same
    assert one != other
    assert one != "text"
    assert len({one, same, other}) == 2
    assert slow({"metadata": {"a": 1, "b": 2}}) == slow({"metadata": {"b": 2, "a": 1}})
    for document in (one, same, fast({"id": "1"})):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            document.name = "x"  # type: ignore[misc]


class Module(StrEnum):
    MENU = "menu"


def test_nodes_that_differ_have_different_hashes() -> None:
    flow = slow({"flow": chain(100)}).flow
    same = fast({"id": "1", "flow": chain(100)}).flow
    assert flow is not None
    assert same is not None
    assert len({hash(node) for node in flow.walk()}) == 100
    assert hash(FlowNode(data=OrderedDict(a=1))) == hash(FlowNode(data=OrderedDict(a=1)))
    assert len({FlowNode(module="menu"), FlowNode(module=Module.MENU)}) == 1
    assert len({*flow.walk(), *same.walk()}) == 100
    assert hash(slow({"id": "1"})) == hash(slow({"id": "1", "flow": chain(2)}))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("read", [fast, slow])
def test_documents_survive_pickle_and_copy(read: Any, protocol: int) -> None:
    for sent in (WHOLE, {"id": "1", "flow": {"module": "a", "data": {}, "children": {}}}):
        callflow = read(sent)
        for twin in (pickle.loads(pickle.dumps(callflow, protocol)), copy.copy(callflow), copy.deepcopy(callflow)):
            assert twin == callflow == slow(sent)
            assert to_dict(twin) == sent
        deep = copy.deepcopy(callflow)
        assert deep.flow is not callflow.flow


def test_documents_are_pickled_by_their_public_names() -> None:
    body = b'{"data":[{"id":"1","flow":{"module":"a","children":{"1":{"module":"b"}}}}],"status":"success"}'
    (callflow,) = decode_page(body).items
    pickled = pickle.dumps(callflow)
    assert b"vinix_async._documents.models" not in pickled
    assert pickle.loads(pickled) == callflow == structure(to_dict(callflow), Callflow)


def test_a_pickle_of_another_version_is_refused() -> None:
    kind, (flat,) = FeatureCode(name="park").__reduce__()
    flat[0] = (FeatureCode, flat[0][1] + 1)
    with pytest.raises(ValueError, match="another version"):
        kind(flat)


def test_the_value_of_an_absent_object_cannot_be_filled() -> None:
    callflow = fast({"id": "1", "flow": {"module": "a"}})
    assert callflow.flow is not None
    data: Any = callflow.flow.data
    for change in (data.update, data.setdefault, data.__setitem__, data.__ior__):
        with pytest.raises(TypeError, match="read-only"):
            change("a", 1)
    assert data == {}
    assert json.dumps([data, callflow.patterns]) == "[{}, []]"
    assert pickle.loads(pickle.dumps(data)) is copy.deepcopy(data) is data
    assert pickle.loads(pickle.dumps(callflow.patterns)) is copy.deepcopy(callflow.patterns) is callflow.patterns


# --- flow and modules --------------------------------------------------------------------------------

FLOW = {
    "module": "menu",
    "data": {},
    "children": {
        "1": {"module": "user", "data": {"id": "u"}, "children": {"_": {"module": "voicemail", "data": {}}}},
        "2": {"module": "hangup"},
        "3": {"module": "play", "data": None},
        "4": {"module": "device", "data": {"skip_module": True}, "children": {"_": {"module": "tts", "data": {}}}},
        "5": {"module": "park", "data": {"skip_module": "true"}},
        "6": {"module": "user", "data": {}},
        "7": {"data": {"a": 1}},
    },
}


def test_p12_modules_are_computed_by_the_servers_rule() -> None:
    sent = {"id": "1", "flow": FLOW}
    for callflow in (fast(sent), slow(sent)):
        assert callflow.modules == ("menu", "user", "voicemail", "tts", "park")
        assert isinstance(callflow.modules, tuple)
        assert callflow == fast(sent) == slow(sent)
        assert to_dict(callflow) == sent
        assert pickle.loads(pickle.dumps(callflow.modules)) == copy.deepcopy(callflow.modules) == callflow.modules
        twin = pickle.loads(pickle.dumps(callflow))
        assert twin.modules == callflow.modules
        assert to_dict(twin) == to_dict(copy.deepcopy(callflow)) == sent
        renamed = attrs.evolve(callflow, name="x")
        assert to_dict(renamed) == {**sent, "name": "x"}
        assert attrs.evolve(renamed, flow=FlowNode(module="a", data={})).modules == ("a",)
        assert to_dict(attrs.evolve(callflow, modules=("a",)))["modules"] == ["a"]


@pytest.mark.parametrize("modules", [[], ["menu"]])
def test_the_modules_that_came_are_kept(modules: list[str]) -> None:
    sent = {"id": "1", "flow": FLOW, "modules": modules}
    for callflow in (fast(sent), slow(sent)):
        assert list(callflow.modules) == modules
        assert to_dict(callflow) == sent
        assert callflow != slow({"id": "1", "flow": FLOW})
    assert slow({"id": "1"}).modules == ()


def test_a_flow_is_built_when_it_is_looked_at_and_only_once() -> None:
    flow = {"module": "menu", "data": {"a": 1}, "children": {"1": {"module": "menu", "data": {}, "children": {}}}}
    sent = {"id": "1", "flow": flow, "metaflow": {"binding_digit": "*", "numbers": {"2": {"module": "hold"}}}}
    callflow = fast(sent)
    unbuilt = vars(Callflow)["flow"].slot.__get__(callflow)
    assert not isinstance(unbuilt, FlowNode)
    assert Callflow.flow is vars(Callflow)["flow"]  # as inspect and help() read it
    assert Callflow.modules is vars(Callflow)["modules"]
    assert callflow.flow is callflow.flow
    assert type(callflow.flow) is FlowNode
    assert type(callflow.flow.children["1"]) is FlowNode
    assert callflow.metaflow is not None
    assert type(callflow.metaflow.numbers["2"]) is FlowNode
    assert unbuilt.build() == unbuilt.build() == callflow.flow  # as two threads may do at once
    assert callflow == slow(sent)
    renamed = attrs.evolve(fast(sent), name="x")
    assert renamed.flow == callflow.flow


# --- depth -------------------------------------------------------------------------------------------


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collection, which takes most of the time of a test with a million objects."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("depth", [450, 5_000])
def test_a_flow_of_any_depth_does_everything(depth: int) -> None:
    limit = sys.getrecursionlimit()
    sent = chain(depth)
    callflow = structure({"flow": sent, "extra": 1}, Callflow)
    twin = copy.deepcopy(pickle.loads(pickle.dumps(callflow)))
    assert twin == callflow
    assert callflow.modules == ("menu", "hangup")
    assert f"{depth} nodes" in repr(callflow)
    assert len(repr(callflow)) < 500
    assert hash(twin) == hash(callflow)
    assert to_json(callflow).count(b'"module"') == depth
    assert structure(to_dict(callflow), Callflow) == callflow
    assert sys.getrecursionlimit() == limit
    del callflow, twin, sent
    gc.collect()


@pytest.mark.usefixtures("uncollected")
def test_depth_in_data_metadata_extra_and_an_owner_id() -> None:
    value: Any = 1
    for _ in range(5_000):
        value = [{"a": value}]
    sent = {"flow": {"module": "x", "data": {"v": value}}, "metadata": {"v": value}, "odd": value, "owner_id": value}
    callflow = structure(sent, Callflow)
    assert pickle.loads(pickle.dumps(callflow)) == copy.deepcopy(callflow) == callflow
    assert to_json(callflow).count(b"[") == 20_000
    assert len(repr(callflow)) < 500
    del sent, callflow
    gc.collect()


# --- repr --------------------------------------------------------------------------------------------


def test_l20_a_repr_shows_python_values() -> None:
    sent = {"id": "1", "name": "Main", "numbers": ["1004"], "flow": {"module": "menu", "children": {"1": {}}}}
    assert repr(slow(sent)) == (
        "Callflow(id='1', name='Main', numbers=('1004',), patterns=(), flow=FlowNode(module='menu', 2 nodes))"
    )
    assert "numbers=('1', '2')" in repr(Callflow(numbers=("1", "2")))
    assert "numbers=('0', '1', '2', and 4 more)" in repr(Callflow(numbers=tuple("0123456")))


def test_a_repr_is_short_and_shows_no_settings() -> None:
    secret = {"username": "ann", "password": "planted"}
    sent = {
        "id": "i" * 5000,
        "name": "n" * 5000,
        "numbers": ["1" * 500] * 500,
        "flow": {"module": "nomorobo", "data": secret},
        "metadata": {"x": "planted"},
        "odd": "planted",
        "owner_id": {"x": "planted"},
    }
    callflow = structure(sent, Callflow)
    assert len(repr(callflow)) < 500
    assert "planted" not in repr(callflow) + repr(callflow.flow)
    for document in (Metaflow(), Ringback(), FeatureCode(), Account(), FlowNode()):
        assert len(repr(document)) < 120
