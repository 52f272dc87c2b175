"""Checkpoints, which record the progress of a listing or a sweep and can be saved as JSON.

The JSON has a version number. Version 2 added bad items. Version 1 can still be read.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from attrs import field, frozen

from .._exceptions import ConfigurationError
from .._public import public

_VERSION: Final = 2

_Types = Mapping[str, tuple[type, ...]]
"""The names of the fields in one version of the format, and the types that each field may have."""


def _count_only(ids: Any) -> str:
    return f"<{len(ids)} ids>"


@public
@frozen(kw_only=True)
class Checkpoint:
    """The progress of a listing up to the last item that was yielded. ``list(..., resume=checkpoint)`` yields the rest.

    Attributes:
        scope: the path and the filters of the listing.
        start_key: the cursor of the page at which a resumed listing begins. None for the first page.
        done: the ids of the items that were already yielded and that the server may list again.
        bad: the ids of rows and documents that could not be read. A resumed listing tries to read them again.
        yielded: the total number of items that were yielded.
        finished: whether the listing is complete.
    """

    scope: str
    start_key: str | None = None
    done: tuple[str, ...] = field(default=(), repr=_count_only)
    bad: tuple[str, ...] = field(default=(), repr=_count_only)
    yielded: int = 0
    finished: bool = False

    def to_json(self) -> str:
        """Return the checkpoint as JSON text, from which ``from_json`` can restore it in any process."""
        return json.dumps(self.to_value())

    def to_value(self) -> dict[str, Any]:
        """Return the checkpoint as a dict that can be part of other JSON. ``from_value`` restores it."""
        lists = {"done": list(self.done), "bad": list(self.bad)}
        return {"version": _VERSION, **{name: getattr(self, name) for name in _CHECKPOINT}, **lists}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore a checkpoint from the result of ``to_json``. Any other text raises ``ConfigurationError``."""
        return cls.from_value(_load(text))

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Restore a checkpoint from the result of ``to_value``. Any other value raises ``ConfigurationError``."""
        fields = _checked("checkpoint", value, {1: _CHECKPOINT_1, 2: _CHECKPOINT})
        fields["done"] = _strings("done", [*fields["done"], *fields.pop("before", ())])
        fields["bad"] = _strings("bad", fields.get("bad", ()))
        if fields["yielded"] < 0:
            raise _damaged("yielded")
        if fields["start_key"] == "":  # Kazoo 5 answers an empty start_key with an empty page
            raise _damaged("start_key")
        return cls(**fields)


def same_scope(one: str, other: str) -> bool:
    """Return whether two scopes have the same path and the same filters, in any order."""
    return sorted(re.split("[?&]", one)) == sorted(re.split("[?&]", other))


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
    """The progress of a sweep. ``list_many(..., resume=checkpoint)`` reads the rest.

    Attributes:
        done: the ids of accounts that were read completely.
        unfinished: the checkpoints of accounts that were interrupted, failed or have bad items, by account id.
        scope: the filters of the sweep as a query string. A resumed sweep must have the same filters.
    """

    done: frozenset[str] = field(default=frozenset(), repr=_count_only)
    unfinished: Mapping[str, Checkpoint] = field(factory=dict, repr=_count_only, hash=False)
    scope: str = ""

    def to_json(self) -> str:
        """Return the checkpoint as JSON text, from which ``from_json`` can restore it in any process."""
        return json.dumps(self.to_value())

    def to_value(self) -> dict[str, Any]:
        """Return the checkpoint as a dict that can be part of other JSON. ``from_value`` restores it."""
        unfinished = {account_id: point.to_value() for account_id, point in self.unfinished.items()}
        return {"version": _VERSION, "scope": self.scope, "done": sorted(self.done), "unfinished": unfinished}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Restore a checkpoint from the result of ``to_json``. Any other text raises ``ConfigurationError``."""
        return cls.from_value(_load(text))

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Restore a checkpoint from the result of ``to_value``. Any other value raises ``ConfigurationError``."""
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
    """Return the fields of ``value`` if it is a checkpoint in one of the formats ``versions``.

    Otherwise raise ``ConfigurationError``.
    """
    invalid = f"this is not a {what}: pass the result of to_json() to from_json(), or of to_value() to from_value()"
    version = value.get("version") if isinstance(value, dict) else None
    if type(version) is not int:
        raise ConfigurationError(invalid)
    types = versions.get(version)
    if types is None:
        raise ConfigurationError(
            f"this {what} was written by another version of vinix_async (format {version}): start again without it"
        )
    if value.keys() != {"version", *types}:
        raise ConfigurationError(invalid)
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
    return ConfigurationError(f"this checkpoint is damaged (invalid value of {name!r}): start again without it")
