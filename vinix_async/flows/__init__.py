"""Analyse callflows: where a call goes, what a callflow refers to, what is wrong in it, and what has changed.

The functions are pure and send no requests to the server. ``diff``, ``findings``, ``lookup``, ``trace`` and
``ReferenceIndex`` take the callflows of one account in any order. The order does not affect their results.

The texts that describe something, such as the message of a ``Finding`` or the label of a ``TraceNode``, contain no
passwords or tokens. Values, names, numbers, targets, and paths with the keys of children come from the documents
unchanged, and may contain secrets. ``to_plain`` and the functions ``describe_…`` hide them.

``lookup`` and ``findings`` match patterns with the package pcre2, which the extra ``flows`` installs.
"""

from .branch_order import ordered_children
from .descriptions import (
    Description,
    branch_word,
    describe_change,
    describe_node,
    describe_place,
    describe_reference,
    description_of,
    trace_lines,
)
from .differences import Change, diff
from .findings import Finding, findings
from .module_catalog import METAFLOW_MODULES, MODULES, Module, label
from .plain import to_plain
from .positions import is_summary
from .references import Name, Reference, ReferenceIndex, inactive, names_of, references
from .routing import Rival, Route, lookup, normalize
from .rules import RULES, Rule
from .secrets import masked, masked_path
from .tracing import TraceNode, trace

__all__ = [
    "METAFLOW_MODULES",
    "MODULES",
    "RULES",
    "Change",
    "Description",
    "Finding",
    "Module",
    "Name",
    "Reference",
    "ReferenceIndex",
    "Rival",
    "Route",
    "Rule",
    "TraceNode",
    "branch_word",
    "describe_change",
    "describe_node",
    "describe_place",
    "describe_reference",
    "description_of",
    "diff",
    "findings",
    "inactive",
    "is_summary",
    "label",
    "lookup",
    "masked",
    "masked_path",
    "names_of",
    "normalize",
    "ordered_children",
    "references",
    "to_plain",
    "trace",
    "trace_lines",
]


def _claim() -> None:
    """Make this package the ``__module__`` of the public names, for tracebacks, pickles and ``help()``."""
    for name in __all__:
        if hasattr(globals()[name], "__qualname__"):
            globals()[name].__module__ = __name__


_claim()
