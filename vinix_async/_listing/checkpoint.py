"""Where a walk stands, as a value that outlives the process."""

import json
from typing import Any, Final, Self

from attrs import field, frozen

from .._exceptions import ConfigurationError

_VERSION: Final = 1


@frozen(kw_only=True)
class Checkpoint:
    """A walk up to the last row that was handed out; ``list(..., resume=checkpoint)`` yields the rest.

    ``scope``: the path and filters that were walked. ``start_key``: the cursor of the page in progress, None for the
    first. ``done``: the ids of the rows that were handed out and that this page, or one behind it, may have.
    ``before``: the ids of the page before, which a server may send again. ``yielded``: how many rows in all.
    ``finished``: whether nothing is left.
    """

    scope: str
    start_key: str | None = None
    done: tuple[str, ...] = field(default=(), repr=lambda ids: f"<{len(ids)} ids>")
    before: tuple[str, ...] = field(default=(), repr=lambda ids: f"<{len(ids)} ids>")
    yielded: int = 0
    finished: bool = False

    def to_json(self) -> str:
        """Text for ``from_json``, in this process or another."""
        return json.dumps(self.to_value())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The checkpoint that ``to_json`` wrote; raises ``ConfigurationError`` for anything else."""
        try:
            value = json.loads(text)
        except (ValueError, TypeError):
            value = None
        return cls.from_value(value)

    def to_value(self) -> dict[str, Any]:
        """What ``to_json`` writes, as a part of a larger JSON value."""
        return {"version": _VERSION, **{name: getattr(self, name) for name in _TYPES}}

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """The checkpoint that was ``to_value()`` before it was JSON; ``value`` is used up."""
        if not isinstance(value, dict) or value.keys() != {"version", *_TYPES}:
            raise ConfigurationError("this is no checkpoint: give the text that checkpoint.to_json() returned")
        if value.pop("version") != _VERSION:
            raise ConfigurationError("this checkpoint was written by another version of the library")
        for name, kinds in _TYPES.items():
            if type(value[name]) not in kinds:
                raise ConfigurationError(f"this checkpoint is damaged: {name} is not what to_json() writes")
        ids = [*value["done"], *value["before"]]
        if not all(isinstance(each, str) for each in ids) or value["yielded"] < 0:
            raise ConfigurationError("this checkpoint is damaged")
        return cls(**{**value, "done": tuple(value["done"]), "before": tuple(value["before"])})


_TYPES: Final[dict[str, tuple[Any, ...]]] = {
    "scope": (str,),
    "start_key": (str, type(None)),
    "done": (list,),
    "before": (list,),
    "yielded": (int,),
    "finished": (bool,),
}
