"""Rows' JSON to documents: by a shell, if the row is as the API's own clients write it.

What no shell takes may be odd or wrong, and is read as a value by ``_readers``. Both ways give equal documents. Keys
that no shell knows and that are met again (editors of callflows keep notes of their own) are learned.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, defstruct
from msgspec.json import Decoder

from ._flat import Document
from ._json import parse_json
from ._models import Account, Callflow
from ._readers import Problems, read_object
from ._shells import AccountRow, AnyAccount, AnyCallflow, Summary, Whole, accounts, callflows

_MOST_LEARNED: Final = 16
_MOST_COUNTED: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a shell cannot have fields of every name


class _Shell:
    """A struct with the decoders for it; ``learned`` are further keys that it takes."""

    def __init__(self, kind: type[Struct], build: Any, learned: Sequence[str] | None = None) -> None:
        if learned:
            names = {f"learned_{number}": key for number, key in enumerate(learned)}
            fields = [(name, Any, UNSET) for name in names]
            kind = defstruct(kind.__name__, fields, bases=(kind,), rename=names, kw_only=True, gc=False)
        self.kind = kind
        self._many = Decoder(list[kind]).decode  # type: ignore[valid-type]
        self._one = Decoder(kind).decode
        self.build: Callable[[Sequence[Any], int, Problems], list[Any]] = partial(build, learned=learned)

    def read(self, text: bytes, first: int, problems: Problems) -> list[Any]:
        """The documents in a JSON array; raises what the parser does for one that does not fit."""
        return self.build(self._many(text), first, problems)

    def read_one(self, row: Raw, index: int, problems: Problems) -> list[Any]:
        """The document in a JSON object."""
        return self.build([self._one(row)], index, problems)


_parse: Final = Decoder().decode
_fields_of_each: Final = Decoder(list[dict[str, Raw]]).decode


class Family:
    """The shells of a kind of document: for rows as they mostly come, for all, and with any key at the top."""

    def __init__(
        self, kind: type[Document], build: Any, first: type[Struct], strict: type[Struct], lenient: type[Struct]
    ) -> None:
        self._kind = kind
        self._build = build
        self._strict = strict
        self._known = {*strict.__struct_fields__}
        self._learned: tuple[str, ...] = ()
        self._met: Counter[str] = Counter()
        self._lenient = _Shell(lenient, build, ())
        self.first = _Shell(first, build)
        self.learn(())

    def read(self, rows: Sequence[Raw], first: int, problems: Problems) -> list[Any]:
        """The documents in ``rows``, whose first stands at ``$.data[first]``; None for one that is wrong."""
        text = b"[%b]" % b",".join(rows)
        for read in (self.first.read, self._widest.read, self._read_with_others):
            try:
                return read(text, first, problems)
            except (msgspec.DecodeError, RecursionError):
                continue
        return self._read_singly(rows, first, problems)

    def _read_with_others(self, text: bytes, first: int, problems: Problems) -> list[Any]:
        documents = self._lenient.read(text, first, problems)
        known = self._known
        for document, fields in zip(documents, _fields_of_each(text), strict=True):
            others = [key for key in fields if key not in known]
            if others:
                object.__setattr__(document, "extra", {key: _parse(fields[key]) for key in others})
        self._note(documents)
        return documents

    def _read_singly(self, rows: Sequence[Raw], first: int, problems: Problems) -> list[Any]:
        documents: list[Any] = []
        refused = 0
        for index, row in enumerate(rows, first):
            if 4 * refused <= len(documents):  # else many are odd, and a try costs more than it gains
                try:
                    documents += self._widest.read_one(row, index, problems)
                    continue
                except (msgspec.DecodeError, RecursionError):
                    refused += 1
            documents.append(read_object(parse_json(row), self._kind, ("$", ".data", index), problems))
        self._note(documents)
        return documents

    def _note(self, documents: Sequence[Any]) -> None:
        """Learn the unknown keys that were met before."""
        if len(self._learned) == _MOST_LEARNED:
            return
        met = [key for each in documents if each is not None for key in each.extra if _NAME.fullmatch(key)]
        self._met.update(met)
        again = {key for key in met if self._met[key] > 1}.difference(self._learned)
        if again:
            self.learn((*self._learned, *again)[:_MOST_LEARNED])
        if len(self._met) > _MOST_COUNTED:
            self._met.clear()

    def learn(self, keys: Sequence[str]) -> None:
        """Take rows with these ``keys`` too."""
        self._learned = tuple(keys)
        self._widest = _Shell(self._strict, self._build, self._learned)


FAMILIES: Final[Mapping[type, Family]] = {
    Callflow: Family(Callflow, callflows, Summary, Whole, AnyCallflow),
    Account: Family(Account, accounts, AccountRow, AccountRow, AnyAccount),
}
FAMILIES[Callflow].learn(("contact_list", "ui_metadata"))  # the vendor's own editor writes them
