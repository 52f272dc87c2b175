"""Quirks that real documents have and that a client must accept. Each function adds one quirk to a document.

No quirk makes a phone call fail.
"""

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
    """Turn the document into a callflow that is not in use yet: remove its flow, feature code, numbers and patterns."""
    document.pop("flow")
    document.pop("featurecode", None)
    document |= {"numbers": [], "patterns": []}


def _no_children(document: Json) -> None:
    for node in _nodes(document):
        if not node.get("children"):
            node.pop("children", None)


def _children_as_a_list(document: Json) -> None:
    for node in list(_nodes(document)):
        if not node.get("children"):
            node["children"] = []


def _skipped_node(document: Json) -> None:
    """Make the server skip the first node that has a child ``_``, so that calls continue with this child."""
    for node in _nodes(document):
        if "_" in node.get("children", ()):
            node.setdefault("data", {})["skip_module"] = True
            return


def _unknown_module(document: Json) -> None:
    document["flow"] |= {"module": "qubicle", "vendor": {"ticket": 7}}


def _placeholder_numbers(document: Json) -> None:
    document["numbers"] = ["undefinedMainNumber", *document["numbers"]]


def _extra_keys(document: Json) -> None:
    document |= {"ui_metadata": {"origin": "voip", "version": "4.3"}, "contact_list": {"exclude": False}, "realms": []}


def _nulls(document: Json) -> None:
    document |= {"name": None, "metaflow": None, "ringback": [], "flags": None}


def _node_without_data(document: Json) -> None:
    document["flow"] = {"module": "noop", "children": {"_": document["flow"]}}


def _stored_metadata(document: Json) -> None:
    document["metadata"] = {}


QUIRKS: tuple[Callable[[Json], None], ...] = (
    _no_flow,
    _no_children,
    _children_as_a_list,
    _skipped_node,
    _unknown_module,
    _placeholder_numbers,
    _extra_keys,
    _nulls,
    _node_without_data,
    _stored_metadata,
)
