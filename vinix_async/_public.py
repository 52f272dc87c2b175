"""A decorator that makes public names report the public package as their module."""

from typing import TypeVar

T = TypeVar("T")


def public(name: T) -> T:
    """Set the ``__module__`` of a public class or function to ``vinix_async``.

    Tracebacks, reprs, pickles and ``help()`` then show the path that users import from.
    """
    name.__module__ = "vinix_async"
    return name
