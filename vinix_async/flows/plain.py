"""Convert results to plain dicts, for JSON."""

from typing import Any, Final

import attrs

from .. import Callflow, ConfigurationError, FlowNode, to_dict
from .descriptions import Description
from .differences import Change
from .findings import Finding
from .module_catalog import Module
from .references import Name, Reference
from .routing import Rival, Route
from .rules import Rule
from .secrets import masked, masked_path, masked_text
from .tracing import TraceNode


def to_plain(
    result: Change | Description | Finding | Module | Name | Reference | Rival | Route | Rule | TraceNode,
) -> dict[str, Any]:
    """Return a result as a dict of JSON values. Passwords and tokens are hidden.

    If a key in a ``path`` contains a secret, the secret is hidden, and the path leads to no node. The dict of a finding
    also has the ``title``, ``explanation`` and ``source`` of its rule.

    Raises ConfigurationError if ``result`` has none of the types in the signature.
    """
    if isinstance(result, TraceNode):
        return _trace(result)
    if isinstance(result, Module | Rule):
        return {name: _with_lists(value) for name, value in attrs.asdict(result).items()}
    if isinstance(result, Change):
        old = masked_path(result.old) if result.kind == "node_moved" else masked(_value(result.old), result.field)
        return _shown(result) | {"old": old, "new": masked(_value(result.new), result.field)}
    if isinstance(result, Finding):
        rule = result.rule
        return _shown(result) | {"title": rule.title, "explanation": rule.explanation, "source": rule.source}
    if isinstance(result, Route):
        return _shown(result) | {"rivals": [_shown(rival) for rival in result.rivals]}
    if isinstance(result, Description | Name | Reference | Rival):
        return _shown(result)
    raise ConfigurationError(f"to_plain() cannot convert a value of type {type(result).__name__}")


_TEXTS: Final = frozenset({"by", "capture", "field", "kind", "module", "name", "pattern", "target"})
"""The fields of results whose texts come from the documents. In the other texts, secrets are hidden already."""


def _shown(result: Any) -> dict[str, Any]:
    """Return the fields of a result, with secrets hidden in its path and its texts."""
    plain = {name: _with_lists(value) for name, value in attrs.asdict(result, recurse=False).items()}
    return plain | {
        name: masked_path(value) if name == "path" else masked_text(value)
        for name, value in plain.items()
        if name == "path" or name in _TEXTS
    }


def _with_lists(value: Any) -> Any:
    return [_with_lists(each) for each in value] if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    return to_dict(value) if isinstance(value, Callflow | FlowNode) else value


def _trace(tree: TraceNode) -> dict[str, Any]:
    top: list[dict[str, Any]] = []
    waiting = [(tree, top)]
    for step, siblings in waiting:  # the loop appends to waiting
        plain = _shown(step) | {"children": []}
        siblings.append(plain)
        waiting.extend((child, plain["children"]) for child in step.children)
    return top[0]
