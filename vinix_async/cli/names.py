"""Name callflows, modules, branches and numbers in the same way in tables, trees, pictures and pages.

The words for modules come from ``vinix_async.flows``. All returned text is safe to show (``display``).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from .. import Callflow, FlowNode
from ..flows import Description, Name, branch_word, description_of, masked
from .text import printable

_MAX_DEPTH: Final = 20
_TARGETS: Final = {"callflow": "id", "ring_group_toggle": "callflow_id"}


def display(text: str) -> str:
    """Return ``text`` for tables, pictures and pages: secrets are masked, and unsafe characters are escaped."""
    return printable(masked(text))


def title(callflow: Callflow) -> str:
    """Return the callflow's name, or another short text if it has none.

    The other text is the first of these that exists: the name of its feature code, the feature code, a number, a
    pattern, its id, or the word ``callflow``.
    """
    code = callflow.featurecode
    candidates = (callflow.name, code.name if code else None, *numbers(callflow))
    return (
        next((display(text) for text in candidates if text and text.strip()), "") or display(callflow.id) or "callflow"
    )


def type_name(callflow: Callflow) -> str:
    """Return the callflow's type, or an empty text if it is not a string. The server accepts any JSON value as type."""
    return display(callflow.type) if isinstance(callflow.type, str) else ""


def numbers(callflow: Callflow) -> list[str]:
    """Return the callflow's feature code, numbers and patterns, without duplicates."""
    dialled = (feature_code(callflow), *map(display, callflow.numbers), *map(display, callflow.patterns))
    return list(dict.fromkeys(filter(None, dialled)))


def feature_code(callflow: Callflow) -> str:
    """Return the callflow's feature code as users dial it, or an empty text if there is none.

    The code begins with a star if one of the callflow's numbers or patterns has a star before the code.
    """
    code = ((callflow.featurecode and callflow.featurecode.number) or "").replace("\\", "")
    if not code:
        return ""
    letters = "".join(rf"\\?{re.escape(letter)}" for letter in code)
    starred = re.compile(rf"\^?(?:\((?:\?:)?)*(?:\\\*|\[\*\]){letters}")  # such as ^\*72$ or ^(?:[*]72)$
    has_star = f"*{code}" in callflow.numbers or any(starred.match(pattern) for pattern in callflow.patterns)
    return display(f"*{code}" if has_star else code)


def target(node: FlowNode) -> str:
    """Return the id of the callflow to which the node refers, or an empty text if there is none."""
    found = node.data.get(_TARGETS.get(node.module or "", ""))
    return display(found) if isinstance(found, str) else ""


def describe(node: FlowNode, names: Mapping[str, Name]) -> Description:
    """Describe in words a node that ``shown_node`` returned. A node without a module has the label ``end``."""
    about = description_of(node, names)
    return Description(
        label=display(about.label) or "end",
        name=display(about.name),
        members=tuple(map(display, about.members)),
        details=tuple(map(display, about.details)),
    )


def branch_name(parent: FlowNode, key: str, names: Mapping[str, Name]) -> str:
    """Return words that say when a call takes the child ``key``, or "" if the child simply follows the node."""
    return display(branch_word(parent, key, names) or ("default" if key == "_" and len(parent.children) > 1 else ""))


def shown_node(node: FlowNode) -> FlowNode:
    """Return a copy of the node whose own data is safe to show (``shown_data``). Its children are unchanged."""
    return evolve(node, data=shown_data(node.data), extra=shown_data(node.extra))


def shown_data(data: Any) -> Any:
    """Return a copy of a JSON value in which passwords, PINs and tokens are hidden and every text is safe to show.

    An ellipsis replaces objects and arrays that are nested more than ``_MAX_DEPTH`` levels deep.
    """
    if data == {}:
        return {}
    top = [masked(data)]
    waiting: list[tuple[Any, int]] = [(top, 0)]
    while waiting:
        value, depth = waiting.pop()
        items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        if isinstance(value, dict):
            value.clear()
        for key, item in items:
            is_nested = isinstance(item, dict | list)
            kept = "…" if is_nested and depth == _MAX_DEPTH else item
            value[display(key) if isinstance(key, str) else key] = printable(kept) if isinstance(kept, str) else kept
            if is_nested and kept is item:
                waiting.append((item, depth + 1))
    return top[0]
