"""A callflow as a tree in the terminal, as Mermaid text, as SVG and as an HTML page."""

from collections.abc import Mapping
from typing import Literal

from ... import Callflow
from .diagram import title
from .mermaid import mermaid
from .page import data_block, flow_data, page
from .svg import svg
from .tree import tree, tree_text

__all__ = ["Kind", "render", "tree"]

Kind = Literal["tree", "mermaid", "svg", "html"]


def render(callflow: Callflow, kind: Kind, *, names: Mapping[str, str] | None = None) -> str:
    """The picture as text; a page of HTML needs nothing beside itself.

    ``names``: of ids that the callflow's own ``metadata`` does not name. A large flow is folded: each picture says how
    many modules it does not show, and the page opens them.
    """
    if kind == "tree":
        return tree_text(callflow, names)
    if kind == "mermaid":
        return mermaid(callflow, names)
    if kind == "svg":
        return svg(callflow, names)
    before, after = page(title(callflow), single=True, noscript=svg(callflow, names, style=False))
    account = ["", "", "", 0, None, [flow_data(callflow, names)]]
    return before + data_block(account, "class=account") + data_block({"complete": True}, "id=end") + after
