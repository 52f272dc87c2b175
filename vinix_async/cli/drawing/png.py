"""Draw a callflow as PNG with resvg, in light colours."""

import math
import re
from collections.abc import Mapping
from typing import Final

from ... import Callflow
from ...flows import Name
from ..exit_codes import UsageError
from .svg import svg

_ZOOM: Final = 2.0
_MAX_PIXELS: Final = 50_000_000
"""The most pixels of a picture. A larger picture is scaled down."""

_DARK: Final = re.compile(r"@media .*?\n\}\n", re.DOTALL)
_VARIABLE: Final = re.compile(r"(--[\w-]+): ([^;]+);")
_USE: Final = re.compile(r"var\((--[\w-]+)\)")
_FONTS: Final = "Arial, Liberation Sans, Arimo, Helvetica, sans-serif"  # as in flow.css
_PROBE: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">{}</svg>'


def check_renderer() -> None:
    """Raise UsageError if the extra ``png`` is not installed, or if the system has none of the fonts of the pictures.

    Without them, resvg would draw no text.
    """
    try:
        from resvg_py import svg_to_bytes  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("PNG needs the extra png: pip install 'vinix-async[png]'") from None
    if svg_to_bytes(_PROBE.format(f'<text y="12" font-family="{_FONTS}">x</text>')) == svg_to_bytes(_PROBE.format("")):
        raise UsageError("PNG needs Arial or Liberation Sans: install one of them, such as Debian's fonts-liberation")


def png(callflow: Callflow, names: Mapping[str, Name] | None = None) -> bytes:
    """Return the picture, twice as large as the SVG for sharp text. Call ``check_renderer`` first."""
    from resvg_py import svg_to_bytes  # noqa: PLC0415  # an extra

    text = _DARK.sub("", svg(callflow, names))  # resvg supports neither media queries nor variables
    values = dict(_VARIABLE.findall(text))
    text = _USE.sub(lambda found: values[found[1]], _VARIABLE.sub("", text))
    width, height = (float(size) for size in re.findall(r'(?:width|height)="([\d.]+)"', text)[:2])
    return svg_to_bytes(text, zoom=min(_ZOOM, math.sqrt(_MAX_PIXELS / (width * height))))
