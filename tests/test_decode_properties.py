"""What holds for every document: nothing lost, nothing invented, nothing converted."""

import copy
import json
import pickle
from typing import Any

from documents import CHARACTERS
from hypothesis import given
from hypothesis import strategies as st

from vinix_async import Callflow, DecodeError, structure, to_dict, to_json

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS, max_size=5)
)
keys = st.sampled_from(["id", "name", "module", "data", "children", "numbers", "extra", "_", "1", "x"]) | st.text(
    CHARACTERS, max_size=3
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(keys, json_values, max_size=3)
absent = st.just("<absent>")
texts = st.text(CHARACTERS, max_size=5)
maps: st.SearchStrategy[Any] = objects | st.sampled_from([None, [], {}])


def document(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Each known key present, empty or absent, beside keys that nobody knows."""

    def build(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
        found = {key: value for key, value in values.items() if value != "<absent>"}
        return found | {key: value for key, value in others.items() if key not in known}

    fields = {key: strategy | absent for key, strategy in known.items()}
    return st.builds(build, st.fixed_dictionaries(fields), objects)


leaf = document({"module": texts | st.none(), "data": maps, "children": st.sampled_from([None, [], {}])})
nodes = st.recursive(
    leaf,
    lambda inner: document(
        {"module": texts | st.none(), "data": maps, "children": st.dictionaries(keys, inner, max_size=3) | st.none()}
    ),
    max_leaves=6,
)
empty: st.SearchStrategy[Any] = st.sampled_from([None, {}, []])
optional_text = texts | st.none()
lists = st.lists(texts, max_size=3) | st.none()
callflows = document(
    {
        "id": optional_text,
        "name": optional_text,
        "type": json_values,
        "numbers": lists,
        "patterns": lists,
        "featurecode": document({"name": optional_text, "number": optional_text}) | empty | st.just(False),
        "flags": lists,
        "flow": nodes | empty,
        "metaflow": empty
        | document(
            {
                "binding_digit": optional_text,
                "digit_timeout": st.integers() | st.none(),
                "listen_on": optional_text,
                "numbers": st.dictionaries(keys, nodes, max_size=2) | empty,
                "patterns": st.dictionaries(keys, nodes, max_size=2) | empty,
            }
        ),
        "ringback": document({"early": optional_text, "transfer": optional_text}) | empty,
        "owner_id": json_values,
        "group_id": json_values,
        "modules": lists,
        "metadata": maps,
    }
)


def exact(value: Any) -> str:
    """A text that tells 1 from 1.0 and from true, whatever the order of keys."""
    return json.dumps(value, sort_keys=True)


@given(callflows)
def test_to_dict_is_what_came(sent: dict[str, Any]) -> None:
    before = copy.deepcopy(sent)
    callflow = structure(sent, Callflow)
    assert sent == before
    assert exact(to_dict(callflow)) == exact(sent)
    assert exact(json.loads(to_json(callflow))) == exact(sent)


@given(callflows)
def test_twins_are_equal(sent: dict[str, Any]) -> None:
    callflow = structure(sent, Callflow)
    twin = pickle.loads(pickle.dumps(callflow))
    assert twin == callflow == copy.deepcopy(callflow) == structure(to_dict(callflow), Callflow)
    assert hash(twin) == hash(callflow)
    assert len(repr(callflow)) < 600


@given(callflows, callflows)
def test_equal_means_that_the_server_sent_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (structure(one, Callflow) == structure(other, Callflow)) == (one == other)


@given(
    st.dictionaries(
        st.sampled_from(["id", "name", "numbers", "flow", "featurecode", "metaflow", "metadata", "x"]), json_values
    )
)
def test_any_object_is_kept_or_refused(sent: dict[str, Any]) -> None:
    try:
        callflow = structure(sent, Callflow)
    except DecodeError as error:
        assert error.problems
        assert all(problem.startswith("$") and ": expected " in problem for problem in error.problems)
    else:
        assert exact(to_dict(callflow)) == exact(sent)
