"""Documents to JSON: exactly what the server sent."""

import copy
import gc
import json
from typing import Any

import attrs
import pytest
from documents import WHOLE, chain

from vinix_async import Account, Callflow, ConfigurationError, structure, to_dict, to_json


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
    assert structure({}, Callflow) != structure({"metadata": {}}, Callflow)


def test_an_empty_value_gives_way_to_one_that_is_set_later() -> None:
    callflow = attrs.evolve(structure({"id": "1", "name": None, "numbers": []}, Callflow), name="x", numbers=("1",))
    assert to_dict(callflow) == {"id": "1", "name": "x", "numbers": ["1"]}


def test_to_dict_takes_documents_only() -> None:
    with pytest.raises(ConfigurationError, match="document"):
        to_dict({})  # type: ignore[arg-type]


def test_nothing_is_shared_with_argument_or_result() -> None:
    sent = copy.deepcopy(WHOLE) | {"owner_id": [{"a": 1}]}
    before = copy.deepcopy(sent)
    callflow = structure(sent, Callflow)
    sent["flow"]["data"]["nested"]["a"].append("changed")
    sent["metadata"]["u1"]["name"] = "changed"
    sent["owner_id"][0]["a"] = "changed"
    given_back = to_dict(callflow)
    given_back["flow"]["data"]["nested"]["a"].append("changed")
    given_back["flow"]["odd"]["deep"].append("changed")
    given_back["owner_id"][0]["a"] = "changed"
    assert to_dict(callflow) == before


def test_a_flow_of_any_depth_is_written() -> None:
    sent = {"id": "deep", "flow": chain(450)}
    assert to_json(structure(sent, Callflow)) == json.dumps(sent, separators=(",", ":")).encode()
    callflow = structure({"flow": chain(5_000)}, Callflow)
    assert to_json(callflow).count(b'"module"') == 5_000
    back = to_dict(callflow)["flow"]
    for at in range(4_999, 0, -1):
        assert back["data"] == {"at": at}
        back = back["children"]["_"]
    del callflow, back
    gc.collect()


def test_json_beyond_64_bits_is_still_json() -> None:
    sent = {"odd": {"huge": 2**80, "text": 'a"\\\n\u2028é', "deep": [[], {}, [1, {"x": None}], {"y": [True, 1.5]}]}}
    assert json.loads(to_json(structure(sent, Callflow))) == sent
