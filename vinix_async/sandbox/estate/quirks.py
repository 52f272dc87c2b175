"""Quirks of real documents, which a client's parser must accept. Each function adds one quirk to a document."""

from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]


def _nodes(document: Json) -> Iterator[Json]:
    stack = [document.get("flow") or {}]
    while stack:
        node = stack.pop()
        yield node
        stack.extend((node.get("children") or {}).values())


def _no_flow(document: Json) -> None:
    document.pop("flow")


def _no_children(document: Json) -> None:
    for node in _nodes(document):
        if not node.get("children"):
            node.pop("children", None)


def _children_as_a_list(document: Json) -> None:
    for node in list(_nodes(document)):
        if not node.get("children"):
            node["children"] = []


def _skipped_node(document: Json) -> None:
    document["flow"]["data"]["skip_module"] = True


def _unknown_module(document: Json) -> None:
    document["flow"] |= {"module": "qubicle", "vendor": {"ticket": 7}}


def _placeholder_numbers(document: Json) -> None:
    document["numbers"] = ["undefinedMainNumber", "no_match", *document["numbers"]]


def _empty_reference(document: Json) -> None:
    document["flow"]["data"] |= {"id": "", "media_id": "http://127.0.0.1/hold.wav"}


def _extra_keys(document: Json) -> None:
    document |= {"ui_metadata": {"origin": "voip", "version": "4.3"}, "contact_list": {"exclude": False}, "realms": []}


def _jumps_to_itself(document: Json) -> None:
    document["flow"] = {"module": "callflow", "data": {"id": document["id"]}, "children": {"_": document["flow"]}}


def _nulls(document: Json) -> None:
    document |= {"name": None, "metaflow": None, "ringback": [], "flags": None}


def _node_without_data(document: Json) -> None:
    document["flow"]["children"] = {"#": {"module": "noop"}, **document["flow"]["children"]}


def _stored_metadata(document: Json) -> None:
    document["metadata"] = {}


QUIRKS: tuple[Callable[[Json], None], ...] = (
    _no_flow,
    _no_children,
    _children_as_a_list,
    _skipped_node,
    _unknown_module,
    _placeholder_numbers,
    _empty_reference,
    _extra_keys,
    _jumps_to_itself,
    _nulls,
    _node_without_data,
    _stored_metadata,
)
