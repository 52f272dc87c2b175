"""Name callflows, modules, targets and numbers, for the table, the tree, the pictures, the page and the exports alike.

Every function returns text that is safe to show (``text.display``).
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from .. import Callflow, FlowNode
from .text import display

_SAYS: Final = {
    "branch_variable": "variable",
    "language": "language",
    "play": "id",
    "response": "code",
    "set_cid": "caller_id_name",
    "sleep": "duration",
    "transfer": "target",
    "tts": "text",
}
"""The field of ``data`` that names a module which refers to nothing and has no ``name``."""

_CHOOSES: Final = {
    *("acdc_wait_time", "branch_bnumber", "branch_variable", "check_cid"),
    *("cidlistmatch", "menu", "nomorobo", "temporal_route"),
}
"""Modules that choose among their children: there even a lone ``_`` is labelled."""

_UNITS: Final = {"acdc_wait_time": "over {} s", "nomorobo": "score {}", "park": "slot {}"}
_TARGETS: Final = {"callflow": "id", "ring_group_toggle": "callflow_id"}
_STREAM: Final = re.compile(r"(?:\{[^}]*\})?(?:(tone|silence)_stream://|%\()", re.IGNORECASE)
_ID: Final = re.compile(r"[0-9a-f]{32}")


def title(callflow: Callflow) -> str:
    """Return the callflow's name, else its feature's, else the first number, else its id."""
    code = callflow.featurecode
    candidates = (callflow.name, code.name if code else None, *numbers(callflow))
    return next((display(text) for text in candidates if text and text.strip()), "") or short(callflow.id) or "callflow"


def type_name(callflow: Callflow) -> str:
    """Return the callflow's type; the server stores any JSON there, of which texts and numbers are shown."""
    return display(_text(callflow.type))


def numbers(callflow: Callflow) -> list[str]:
    """Return what is dialled to reach the callflow, each once: its feature code, numbers and patterns."""
    dialled = (feature_code(callflow), *map(display, callflow.numbers), *map(display, callflow.patterns))
    return list(dict.fromkeys(filter(None, dialled)))


def feature_code(callflow: Callflow) -> str:
    """Return what is dialled for the feature code, with a star in front if the numbers or patterns have one there."""
    code = ((callflow.featurecode and callflow.featurecode.number) or "").replace("\\", "")
    if not code:
        return ""
    letters = "".join(rf"\\?{re.escape(letter)}" for letter in code)
    starred = re.compile(rf"\^?(?:\((?:\?:)?)*(?:\\\*|\[\*\]){letters}")  # the beginning of a pattern
    has_star = f"*{code}" in callflow.numbers or any(starred.match(pattern) for pattern in callflow.patterns)
    return display(f"*{code}" if has_star else code)


def names_by_id(callflow: Callflow) -> dict[str, str]:
    """Return the names of what the callflow refers to, by id, from its ``metadata``: a name or the first number."""
    found = {}
    for entity, about in callflow.metadata.items():
        if isinstance(about, Mapping):
            dialled = about.get("numbers")
            first = dialled[0] if isinstance(dialled, list | tuple) and dialled else None
            if name := _text(about.get("name")) or _text(first):
                found[entity] = name
    return found


def target(node: FlowNode) -> str:
    """Return the id of the callflow to which the node leads, or an empty text."""
    key = _TARGETS.get(node.module or "")
    return display(_text(node.data.get(key))) if key else ""


def node_name(node: FlowNode, names: Mapping[str, str]) -> str:
    """Return the name of what the node refers to, else what its ``data`` says of itself, else the id, shortened."""
    data = node.data
    references = [_text(data.get("id")), *(_text(value) for key, value in data.items() if key.endswith("_id"))]
    for reference in references:
        if reference in names:
            return display(names[reference])
    for key in ("name", _SAYS.get(node.module or "", "name")):
        if text := _text(data.get(key), separator="." if key == "variable" else ", "):
            return _media(text) if key == "id" else display(_stream(text) or text)
    return next((short(reference) for reference in references if reference and "/" not in reference), "")


def branch_label(parent: FlowNode, key: str, names: Mapping[str, str]) -> str:
    """Return what the key of a child means to the parent; nothing where the key tells nothing."""
    module = parent.module or ""
    if key == "_":
        return "default" if len(parent.children) > 1 or module in _CHOOSES else ""
    if key in {"nomatch", "no_match"}:
        return "no match"
    if key == "rule_set" and module == "temporal_route":
        return display(names.get(_text(parent.data.get("rule_set")), "rule set"))
    if module in _UNITS and key.isdigit():
        return _UNITS[module].format(key)
    return display(names[key]) if names.get(key) else short(key)


def short(key: str) -> str:
    """Return an id cut to eight characters, and any other text whole."""
    return f"{key[:8]}…" if _ID.fullmatch(key) else display(key)


def _text(value: Any, separator: str = ", ") -> str:
    """Return a string, a number or a list of them as text; anything else as an empty text."""
    if isinstance(value, list | tuple):
        return separator.join(filter(None, map(_text, value)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _stream(text: str) -> str:
    """Return "tone" or "silence" if FreeSWITCH generates it from ``text``, else an empty text."""
    found = _STREAM.match(text)
    return (found[1] or "tone").lower() if found else ""


def _media(reference: str) -> str:
    """Return the name of a media file: the last part of a path or URL, decoded."""
    if stream := _stream(reference):
        return stream
    if "/" not in reference:
        return short(reference)
    shown = display(reference)
    host, _, path = shown.partition("://")[2].partition("/") if "://" in shown else ("", "", shown)
    return display(unquote(path.rpartition("/")[2])) or host.removeprefix("…")
