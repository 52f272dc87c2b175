"""Where public names say that they live."""

from typing import TypeVar

T = TypeVar("T")


def public(name: T) -> T:
    """Let a public class or function report ``vinix_async`` as its module.

    So tracebacks, reprs, pickles and ``help()`` show what users import.
    """
    name.__module__ = "vinix_async"
    return name
