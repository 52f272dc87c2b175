"""Draw one callflow as a tree, Mermaid, SVG or an HTML page."""

from collections.abc import Mapping
from typing import Literal

from ... import Account, Callflow
from ...flows import Name
from ..names import title
from .mermaid import mermaid
from .page import account_block, end_block, page
from .svg import svg
from .tree import tree, tree_text

__all__ = ["Kind", "render", "tree"]

Kind = Literal["tree", "mermaid", "svg", "html"]


def render(callflow: Callflow, kind: Kind, *, names: Mapping[str, Name] | None = None) -> str:
    """Return the picture as text. An HTML page needs no other file.

    ``names``: the names of the account's documents, by id (default: those in the callflow's ``metadata``). Pictures of
    large flows show only the upper modules and the number of the others. In the page, the others can be unfolded.
    """
    if kind == "tree":
        return tree_text(callflow, names)
    if kind == "mermaid":
        return mermaid(callflow, names)
    if kind == "svg":
        return svg(callflow, names)
    before, after = page(title(callflow), single=True, noscript=svg(callflow, names, with_style=False))
    block = account_block(Account(id=""), [callflow], complete=False, names=names)
    return before + block + end_block(complete=True) + after
