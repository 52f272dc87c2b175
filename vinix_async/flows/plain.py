"""Convert results to plain dicts, for JSON."""

from typing import Any

import attrs

from .. import Callflow, ConfigurationError, FlowNode, to_dict
from .descriptions import Description
from .differences import Change
from .findings import Finding
from .module_catalog import Module
from .references import Name, Reference
from .routing import Rival, Route
from .rules import Rule
from .secrets import masked
from .tracing import TraceNode


def to_plain(
    result: Change | Description | Finding | Module | Name | Reference | Rival | Route | Rule | TraceNode,
) -> dict[str, Any]:
    """Return a result as a dict of JSON values.

    The dict of a finding also has the ``title``, ``explanation`` and ``source`` of its rule. Passwords and tokens are
    hidden in the values of a change and in the target of a reference.

    Raises ConfigurationError if ``result`` has none of the types in the signature.
    """
    if isinstance(result, TraceNode):
        return _trace(result)
    if isinstance(result, Change):
        plain = attrs.asdict(result, recurse=False)
        return plain | {side: masked(_value(plain[side]), result.field) for side in ("old", "new")}
    if isinstance(result, Finding):
        rule = result.rule
        about = {"title": rule.title, "explanation": rule.explanation, "source": rule.source}
        return attrs.asdict(result, recurse=False) | {"related": list(result.related)} | about
    if isinstance(result, Route):
        return attrs.asdict(result, recurse=False) | {"rivals": [attrs.asdict(rival) for rival in result.rivals]}
    if isinstance(result, Reference):
        return attrs.asdict(result) | {"target": masked(result.target)}
    if isinstance(result, Description | Module | Name | Rival | Rule):
        return {name: _with_lists(value) for name, value in attrs.asdict(result).items()}
    raise ConfigurationError(f"to_plain() cannot convert a value of type {type(result).__name__}")


def _with_lists(value: Any) -> Any:
    return [_with_lists(each) for each in value] if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    return to_dict(value) if isinstance(value, Callflow | FlowNode) else value


def _trace(tree: TraceNode) -> dict[str, Any]:
    top: list[dict[str, Any]] = []
    waiting = [(tree, top)]
    for step, siblings in waiting:  # the loop appends to waiting
        plain = attrs.asdict(step, recurse=False) | {"words": list(step.words), "children": []}
        siblings.append(plain)
        waiting.extend((child, plain["children"]) for child in step.children)
    return top[0]
