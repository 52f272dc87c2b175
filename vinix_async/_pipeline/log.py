"""The logger ``vinix_async``, and ``VINIX_LOG`` for those who have not set up logging.

``debug`` names each request: method, path, status, request id. ``info`` names each retry and each token
exchange. No header, query or body is ever logged.
"""

import logging
import os
from typing import Final

from .._exceptions import ConfigurationError

logger: Final = logging.getLogger("vinix_async")

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO}


def configure_logging() -> None:
    """Send the log to stderr at the level that ``VINIX_LOG`` names; without it, leave logging alone."""
    name = os.environ.get("VINIX_LOG")
    if not name:
        return
    if name.lower() not in _LEVELS:
        raise ConfigurationError(f"VINIX_LOG must be info or debug, not {name!r}")
    logger.setLevel(_LEVELS[name.lower()])
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
