"""How far a listing or a sweep has come, as values that outlive the process, and their JSON.

The JSON has a version. Version 2 added bad items; version 1 is still read.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from attrs import field, frozen

from .._exceptions import ConfigurationError
from .._public import public

_VERSION: Final = 2

_Types = Mapping[str, tuple[type, ...]]


def _count_only(ids: Any) -> str:
    return f"<{len(ids)} ids>"


@public
@frozen(kw_only=True)
class Checkpoint:
    """A listing up to the last item that was handed out; ``list(..., resume=checkpoint)`` yields the rest.

    Attributes:
        scope: the path and the filters of the listing.
        start_key: the cursor of the page that a resumed listing begins with; None for the first.
        done: the ids of rows that were handed out and that this page, or a later one, may list again.
        bad: the ids of rows and documents that could not be read. They are tried again.
        yielded: how many rows were handed out in all.
        finished: whether nothing is left.
    """

    scope: str
    start_key: str | None = None
    done: tuple[str, ...] = field(default=(), repr=_count_only)
    bad: tuple[str, ...] = field(default=(), repr=_count_only)
    yielded: int = 0
    finished: bool = False

    def to_json(self) -> str:
        """Return text for ``from_json``, in this process or another."""
        return json.dumps(self.to_value())

    def to_value(self) -> dict[str, Any]:
        """Return the JSON value that ``to_json`` writes, to make it a part of a larger one."""
        lists = {"done": list(self.done), "bad": list(self.bad)}
        return {"version": _VERSION, **{name: getattr(self, name) for name in _CHECKPOINT}, **lists}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the checkpoint that ``to_json`` wrote. Raises ``ConfigurationError`` for anything else."""
        return cls.from_value(_load(text))

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Return the checkpoint whose JSON value this is. Raises ``ConfigurationError`` for anything else."""
        fields = _checked("checkpoint", value, {1: _CHECKPOINT_1, 2: _CHECKPOINT})
        fields["done"] = _strings("done", [*fields["done"], *fields.pop("before", ())])
        fields["bad"] = _strings("bad", fields.get("bad", ()))
        if fields["yielded"] < 0:
            raise _damaged("yielded")
        return cls(**fields)


_CHECKPOINT: Final[_Types] = {
    "scope": (str,),
    "start_key": (str, type(None)),
    "done": (list,),
    "bad": (list,),
    "yielded": (int,),
    "finished": (bool,),
}
_CHECKPOINT_1: Final[_Types] = {**{name: _CHECKPOINT[name] for name in _CHECKPOINT if name != "bad"}, "before": (list,)}


@public
@frozen(kw_only=True)
class SweepCheckpoint:
    """What a sweep has handed out; ``list_many(..., resume=checkpoint)`` reads the rest.

    Attributes:
        done: the ids of accounts that were read completely.
        unfinished: the checkpoints, by id, of accounts that were interrupted, have failed, or have bad items.
        scope: the sweep's filters as a query. A sweep with other filters cannot be resumed from it.
    """

    done: frozenset[str] = field(default=frozenset(), repr=_count_only)
    unfinished: Mapping[str, Checkpoint] = field(factory=dict, repr=_count_only)
    scope: str = ""

    def to_json(self) -> str:
        """Return text for ``from_json``, in this process or another."""
        return json.dumps(self.to_value())

    def to_value(self) -> dict[str, Any]:
        """Return the JSON value that ``to_json`` writes, to make it a part of a larger one."""
        unfinished = {account_id: point.to_value() for account_id, point in self.unfinished.items()}
        return {"version": _VERSION, "scope": self.scope, "done": sorted(self.done), "unfinished": unfinished}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the checkpoint that ``to_json`` wrote. Raises ``ConfigurationError`` for anything else."""
        return cls.from_value(_load(text))

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Return the checkpoint whose JSON value this is. Raises ``ConfigurationError`` for anything else."""
        fields = _checked("checkpoint of a sweep", value, {1: _SWEEP_1, 2: _SWEEP})
        unfinished = fields.get("unfinished", fields.get("failed", {}))
        points = {account_id: Checkpoint.from_value(point) for account_id, point in unfinished.items()}
        return cls(done=frozenset(_strings("done", fields["done"])), unfinished=points, scope=fields["scope"])


_SWEEP: Final[_Types] = {"scope": (str,), "done": (list,), "unfinished": (dict,)}
_SWEEP_1: Final[_Types] = {"scope": (str,), "done": (list,), "failed": (dict,)}


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _checked(what: str, value: Any, versions: Mapping[int, _Types]) -> dict[str, Any]:
    """Return the fields of ``value`` if it is a checkpoint of one of ``versions``."""
    version = value.get("version") if isinstance(value, dict) else None
    if type(version) is not int:
        raise ConfigurationError(f"this is not a {what}: give the text that checkpoint.to_json() returned")
    types = versions.get(version)
    if types is None:
        raise ConfigurationError(f"this {what} was written by another version of vinix_async (format {version})")
    if value.keys() != {"version", *types}:
        raise ConfigurationError(f"this is not a {what}: give the text that checkpoint.to_json() returned")
    for name, kinds in types.items():
        if type(value[name]) not in kinds:
            raise _damaged(name)
    return {name: value[name] for name in types}


def _strings(name: str, values: Iterable[Any]) -> tuple[str, ...]:
    strings = tuple(values)
    if not all(isinstance(each, str) for each in strings):
        raise _damaged(name)
    return strings


def _damaged(name: str) -> ConfigurationError:
    return ConfigurationError(f"this checkpoint is damaged: {name} is not what to_json() writes")
