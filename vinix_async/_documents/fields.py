"""The fields of one JSON object, taken out of it strictly; what is wrong with them, and where it stands."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from .._http.request import json_type
from .base import ABSENT_ARRAY, ABSENT_OBJECT, Document

D = TypeVar("D", bound=Document)

_MOST_PROBLEMS: Final = 100

Path = str | tuple[Any, str, str | int | None]
"""Where a value stands: a text, or the path above, a field and a key in it. Spelled out only for an error."""


class Problems(list[str]):
    def add(self, path: Path, expected: str, got: object) -> None:
        if len(self) < _MOST_PROBLEMS:
            self.append(f"{_spell(path)}: expected {expected}, got {json_type(got)}")


def _spell(path: Path) -> str:
    steps = []
    while not isinstance(path, str):
        path, field, key = path
        if isinstance(key, str):
            field += f"[{json.dumps(key if len(key) <= 64 else key[:63] + '…')}]"
        elif key is not None:
            field += f"[{key}]"
        steps.append(field)
    return path + "".join(reversed(steps))


ABSENT: Final = object()


class Fields:
    """The fields of one object, taken out of it one by one; the values that read as empty are noted."""

    __slots__ = ("empty", "path", "problems", "raw")

    def __init__(self, raw: dict[str, Any], path: Path, problems: Problems) -> None:
        self.raw = raw
        self.path = path
        self.problems = problems
        self.empty: tuple[tuple[str, Any], ...] = ()

    def _other(self, key: str, expected: str, value: Any, *empties: Any) -> None:
        """Note a value that is not of the type that belongs to ``key``: it reads as empty, or is wrong."""
        if value is ABSENT:
            return
        if value is None or (not value and any(value == each and type(value) is type(each) for each in empties)):
            self.empty += ((key, value),)
        else:
            self.problems.add((self.path, f".{key}", None), expected, value)

    def text(self, key: str) -> str | None:
        value = self.raw.pop(key, ABSENT)
        if type(value) is str:
            return value
        self._other(key, "str", value)
        return None

    def id(self) -> str:
        value = self.text("id")
        if value == "":
            self.empty += (("id", ""),)
        return value or ""

    def number(self, key: str) -> int | None:
        value = self.raw.pop(key, ABSENT)
        if type(value) is int:
            return value
        self._other(key, "int", value)
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.pop(key, ABSENT)
        if type(value) is not list:
            self._other(key, "array", value)
            return ABSENT_ARRAY
        try:
            "".join(value)  # the quickest way to see that all are str
        except TypeError:
            for index, item in enumerate(value):
                if type(item) is not str:
                    self.problems.add((self.path, f".{key}", index), "str", item)
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.raw.pop(key, ABSENT)
        if type(value) is dict:
            return value
        self._other(key, "object", value, [])
        return ABSENT_OBJECT

    def nested(self, key: str, read: Callable[[Any, Path, Problems], D], *empties: Any) -> D | None:
        value = self.raw.pop(key, ABSENT)
        if value and type(value) is dict:
            return read(value, (self.path, f".{key}", None), self.problems)
        self._other(key, "object", value, {}, [], *empties)
        return None
