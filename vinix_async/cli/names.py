"""Name callflows, modules, branches and numbers in the same way in tables, trees, pictures and pages.

The words for modules come from ``vinix_async.flows``. All returned text is safe to show (``display``).
"""

import re
from collections.abc import Iterable, Mapping
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


def titles(callflows: Iterable[Callflow]) -> dict[str, Name]:
    """Return the titles of callflows as names, by id."""
    return {each.id: Name(title(each), "callflow") for each in callflows}


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
        label=printable(about.label) or "end",
        name=printable(about.name),
        members=tuple(map(printable, about.members)),
        details=tuple(map(printable, about.details)),
    )


def branch_name(parent: FlowNode, key: str, names: Mapping[str, Name]) -> str:
    """Return words that say when a call takes the child ``key``, or "" if the child simply follows the node."""
    return printable(branch_word(parent, key, names) or ("default" if key == "_" and len(parent.children) > 1 else ""))


def shown_node(node: FlowNode) -> FlowNode:
    """Return a copy of the node whose own data is safe to show (``shown_data``). Its children are unchanged."""
    return evolve(node, data=shown_data(node.data), extra=shown_data(node.extra))


def shown_data(data: Any) -> Any:
    """Return a copy of a JSON value in which passwords, PINs and tokens are hidden and every text is safe to show.

    An ellipsis replaces objects and arrays that are nested more than ``_MAX_DEPTH`` levels deep.
    """
    return _shown(masked(data), 0)


def _shown(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return printable(value)
    if not isinstance(value, dict | list):
        return value
    if depth == _MAX_DEPTH:
        return "…"
    if isinstance(value, list):
        return [_shown(item, depth + 1) for item in value]
    return {printable(key): _shown(item, depth + 1) for key, item in value.items()}
