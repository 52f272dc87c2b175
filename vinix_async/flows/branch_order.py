"""Sort the children of a node for pictures and traces."""

from typing import Final

from .. import FlowNode
from .module_catalog import time_rules

_KEYPAD: Final = "1234567890*#"
_NUMERIC: Final = "0123456789*#"


def ordered_children(node: FlowNode) -> list[tuple[str, FlowNode]]:
    """Return the children of a node with their keys, in the order in which pictures and traces show them.

    The time rules in ``data.rules`` come first, in the order in which the server tries them. Then come keys made of
    digits, ``*`` and ``#``: short keys before long ones. Keys of the same length are in numeric order, or, in a menu,
    in the order of a telephone keypad. Other keys follow. ``rule_set`` is the last of these, and ``_`` is the last of
    all.
    """
    order = _KEYPAD if node.module == "menu" else _NUMERIC
    rules = time_rules(node)

    def rank(branch: tuple[str, FlowNode]) -> tuple[int, int, list[int]]:
        key = branch[0]
        if key == "_":
            return 3, 0, []
        if key in rules:
            return 0, rules.index(key), []
        if all(letter in order for letter in key):
            return 1, len(key), [order.index(letter) for letter in key]
        return 2, int(key == "rule_set"), []  # the server tries rule_set after the rules

    return sorted(node.children.items(), key=rank)
