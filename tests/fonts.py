"""Whether this system has a font with which pictures can be drawn as PNG."""

import pytest

from vinix_async.cli.drawing.svg import check_renderer
from vinix_async.cli.exit_codes import UsageError


def _fault() -> str:
    try:
        check_renderer()
    except UsageError as error:
        return str(error)
    return ""


_FAULT = _fault()
needs_a_font = pytest.mark.skipif(bool(_FAULT), reason=_FAULT)
