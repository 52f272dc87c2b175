"""Keeps the import of the drawing modules working until they use ``cli/text.py``."""

from .console import printable as printable  # noqa: PLC0414  # exported again
