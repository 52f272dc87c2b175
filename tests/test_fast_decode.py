"""The accelerator, compared with the specification, which reads values; and the library without it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from documents import CHARACTERS, WHOLE, chain_text, listing
from hypothesis import given
from hypothesis import strategies as st
from test_decode_properties import callflows, document, exact, json_values, lists, objects, optional_text

import vinix_async
from vinix_async import Account, Callflow, DecodeError, decode_page, to_dict, to_json
from vinix_async._documents import decode
from vinix_async._documents.decode import iter_rows, parse_envelope
from vinix_async._documents.deep_json import parse_json

nodes = {"module": "menu", "data": {"a": [1, {}]}, "children": {"1": {"module": "a"}, "_": {"module": "b", "data": {}}}}
usual = st.fixed_dictionaries(
    {"id": st.text(CHARACTERS, min_size=1, max_size=5), "numbers": st.lists(st.text(CHARACTERS, max_size=3))},
    optional={
        "name": st.text(CHARACTERS, max_size=3),
        "type": json_values,
        "owner_id": json_values,
        "featurecode": st.just(False) | st.just({"name": "park", "number": "3"}),
        "flow": st.just(nodes),
        "metaflow": st.just({"binding_digit": "*", "numbers": {"2": nodes, "3": nodes}, "patterns": {}}),
        "ringback": st.just({"early": "m"}),
        "metadata": objects,
        "ui_metadata": json_values,
        "contact_list": json_values,
    },
)
usual_accounts = st.fixed_dictionaries(
    {"id": st.text(CHARACTERS, min_size=1, max_size=5)},
    optional={"name": st.text(CHARACTERS), "tree": st.lists(st.text(CHARACTERS))},
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
    Account: st.lists(accounts | objects | json_values, max_size=8) | st.lists(usual_accounts, max_size=8),
}


def outcome(data: Any, kind: Any) -> Any:
    """What comes of rows: the documents, each with the JSON that it stands for, and the bad rows."""
    documents, bad = [], []
    for rows, bad_rows in iter_rows(data, kind):
        documents += [(row, exact(to_dict(row))) for row in rows]
        bad += bad_rows
    return documents, bad


def fast(body: bytes, kind: type) -> Any:
    return outcome(parse_envelope(body, kind)["data"], kind)


def large(body: bytes, kind: type) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vinix_async._documents.fast_decode._LARGE", 0)
        patch.setattr("vinix_async._documents.decode._ROWS_AT_ONCE", 3)
        return fast(body, kind)


def plain(body: bytes, kind: type) -> Any:
    return outcome(parse_json(body)["data"], kind)


@given(
    st.data(),
    st.sampled_from([Callflow, Account]),
    st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_both_ways_give_the_same(data: Any, kind: type, options: dict[str, Any], mark: bytes) -> None:
    rows = data.draw(rows_of[kind])
    envelope = {"data": rows, "status": "success", "next_start_key": data.draw(json_values)}
    body = mark + json.dumps(envelope, **options).encode()
    expected = plain(body, kind)
    assert fast(body, kind) == expected
    assert large(body, kind) == expected
    documents, bad = expected
    bad_places = {row.index for row in bad}
    good_rows = [row for index, row in enumerate(rows) if index not in bad_places]
    assert [text for _, text in documents] == [exact(row) for row in good_rows]
    found = parse_envelope(body, kind)
    assert exact([found["status"], found["next_start_key"]]) == exact(["success", envelope["next_start_key"]])


TEXTS: list[bytes] = [
    b'{"id":"1","name":null,"name":"x"}',
    b'{"id":"1","name":"x","name":null}',
    b'{"id":"1","odd":1,"odd":{"a":1}}',
    b'{"id":"1","flow":{"module":"a","odd":1},"flow":{"module":"b"}}',
    b'{"id":"1","flow":{"module":"a"},"flow":{"module":"b","module":"c","odd":1}}',
    b'{"id":"1","flow":{"children":{"1":{"module":"a"},"1":{"module":"b"}}}}',
    b'{"id":"1","flow":{"module":"x","children":{"1":{"module":"a"},"1":{"module":"b"}}}}',
    b'{"id":"1","featurecode":true}',
    b'{"id":"1","featurecode":{"name":"a","number":"1","number":"2"}}',
    b'{"id":"1","featurecode":{"name":"a"}}',
    b'{"id":"1","metaflow":{"digit_timeout":1.0}}',
    b'{"id":"1","metaflow":{"binding_digit":"*","digit_timeout":1.0}}',
    b'{"id":"1","metaflow":{"binding_digit":"*","digit_timeout":18446744073709551616}}',
    b'{"id":"1","flow":{"data":{"huge":-340282366920938463463374607431768211456,"real":1e22,"minus":-0.0}}}',
    b'{"id":"1","owner_id":-340282366920938463463374607431768211456,"group_id":1e22,"type":-0.0}',
    b'{"id":"1","owner_id":null,"group_id":{"a":null},"type":false}',
    b'{"id":"1","flow":{},"metaflow":{},"ringback":{},"featurecode":{}}',
    b'{"id":"1","flow":{}}',
    b'{"id":"1","metaflow":{}}',
    b'{"id":"1","ringback":{}}',
    b'{"id":"","odd":1}',
    b'{"id":"1","flow":{"data":{}}}',
    b'{"id":"1","flow":{"module":"","data":{}}}',
    b'{"id":"1","flow":{"children":{}},"metaflow":{"numbers":{}}}',
    b'{"id":"1","flow":{"module":"a","children":{}},"metaflow":{"binding_digit":"","numbers":{}}}',
    b'{"id":"1","flow":{"module":"a","extra":1,"_empty":2,"empty":3}}',
    b'{"id":"1","extra":{"a":1},"_empty":[],"build":1}',
    b'{"id":"1","ui_metadata":null,"contact_list":{}}',
    b'{"id":"1","contact_list":1}',
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
    [[], [b'{"id":"2"}'], [b'{"id":"2","odd":1}'], [b'{"id":"2","name":null}'], [b'{"id":"2","featurecode":true}']],
    ids=str,
)
def test_also_for_texts_that_no_writer_makes(row: bytes, beside: list[bytes]) -> None:
    body = listing(row, *beside)
    assert fast(body, Callflow) == large(body, Callflow) == plain(body, Callflow)


@pytest.mark.parametrize("depth", [100, 300, 440, 470, 500, 600])
def test_both_ways_agree_at_any_depth(depth: int) -> None:
    text = b'{"id":"1","flow":' + chain_text(depth).replace(b"{}", b'{"module":"b"}') + b"}"
    body = listing(text, {"id": "2"})
    ((found, _),) = iter_rows(parse_envelope(body, Callflow)["data"], Callflow)
    ((expected, _),) = iter_rows(parse_json(body)["data"], Callflow)
    assert found == expected
    assert to_json(found[0]) == text


ORDINARY: list[Any] = [
    {"id": "1", "numbers": ["1"], "featurecode": False, "modules": ["user"], "owner_id": 5},
    {"id": "2", "featurecode": {"name": "park", "number": "3"}, "ui_metadata": {"a": 1}, "flow": nodes},
]


@pytest.mark.parametrize("size", [1, 100, 1_000], ids=["one row", "a small page", "a large page"])
def test_ordinary_rows_never_reach_the_specification(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = listing(*ORDINARY * size)
    expected = plain(body, Callflow)
    monkeypatch.setattr(decode, "_read", None)
    assert fast(body, Callflow) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[{"id":"1"}]}',
        b'{"data":[{"id":"1"}],"status":"error"}',
        b'{"data":[{"id":"1"}],"status":null}',
        b'{"data":{"id":"1"},"status":"success"}',
        b'{"data":[{"id":"1"}],"data":null,"status":"success"}',
        b'{"data":null,"status":"success"}',
        b'{"status":"success"}',
    ],
)
@pytest.mark.parametrize("bound", [0, 10_000])
def test_anything_but_an_ordinary_success_is_a_plain_value(
    body: bytes, bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vinix_async._documents.fast_decode._LARGE", bound)
    assert exact(parse_envelope(body, Callflow)) == exact(json.loads(body))


def test_the_keys_of_an_envelope_that_are_used_are_kept() -> None:
    envelope = {
        "data": [{"id": "1"}],
        "status": "success",
        "request_id": "r",
        "start_key": ["a"],
        "next_start_key": 5,
        "page_size": "7",
        "auth_token": None,
        "timestamp": None,
    }
    found = parse_envelope(json.dumps(envelope | {"revision": "x"}).encode(), Callflow)
    assert found.pop("data") is not None
    del envelope["data"]
    assert found == envelope


PROGRAM = """
import importlib.util, sys
from vinix_async import DecodeError, decode_page, to_json
assert importlib.util.find_spec("vinix_async._documents.fast_decode") is None
for line in sys.stdin.buffer:
    try:
        print(*[to_json(callflow).decode() for callflow in decode_page(line).items])
    except DecodeError as error:
        print(error.problems)
"""


def test_the_library_works_after_the_module_is_deleted(tmp_path: Path) -> None:
    package = Path(vinix_async.__file__).parent
    left_out = shutil.ignore_patterns("fast_decode.py", "__pycache__", "cli", "sandbox")
    shutil.copytree(package, tmp_path / "vinix_async", ignore=left_out)
    bodies = [listing(*ORDINARY * 50), listing(WHOLE), listing({"id": 7}), listing({"id": "1", "odd": 1})]
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    found = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-c", PROGRAM],
        input=b"\n".join(bodies),
        cwd=tmp_path,  # where Python looks first
        env=unmeasured,  # the copy is not the library whose coverage is reported
        check=True,
        capture_output=True,
    )
    expected = []
    for body in bodies:
        try:
            expected.append(" ".join(to_json(callflow).decode() for callflow in decode_page(body).items))
        except DecodeError as error:
            expected.append(str(error.problems))
    assert found.stdout.decode().splitlines() == expected
