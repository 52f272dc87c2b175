"""Rows' JSON to documents: by a shell, if the row is as the API's own clients write it.

What no shell takes may be odd or wrong, and is read as a value by ``_readers``. Both ways give equal documents. Keys
that no shell knows and that are met again (editors of callflows keep notes of their own) are learned.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from .base import Document
from .fields import Problems
from .json import parse_json
from .models import Account, Callflow
from .readers import read_object, read_objects
from .shells import (
    AccountRow,
    AnyAccount,
    AnyCallflow,
    AnyNodes,
    Build,
    Sent,
    Summary,
    Whole,
    accounts,
    summaries,
    wholes,
    with_keys,
)

_MOST_LEARNED: Final = 16
_MOST_COUNTED: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a shell cannot have fields of every name


class _Shell:
    """A struct with the decoders for it, and what makes documents of it."""

    def __init__(self, kind: Any, build: Build) -> None:
        self.kind = kind
        self.build = build

    @cached_property
    def one(self) -> Callable[[Raw], Any]:
        return Decoder(self.kind).decode

    @cached_property
    def many(self) -> Callable[[bytes], list[Any]]:
        return Decoder(list[self.kind]).decode  # type: ignore[name-defined]

    @cached_property
    def reply(self) -> Callable[[bytes], Sent[list[Any]]]:
        return Decoder(Sent[list[self.kind]]).decode  # type: ignore[name-defined]


_fields_of_each: Final = Decoder(list[dict[str, Raw]]).decode


class Family:
    """The shells of a kind of document: for rows as they mostly come, for all, and with any key at the top.

    ``build`` makes documents of ``strict`` with the further keys that it is given.
    """

    def __init__(
        self,
        kind: type[Document],
        strict: type[Struct],
        lenient: Sequence[type[Struct]],
        build: Callable[[Sequence[str]], Build],
        *,
        first: _Shell | None = None,
        learned: Sequence[str] = (),
    ) -> None:
        self._kind = kind
        self._strict = strict
        self._known = frozenset(strict.__struct_fields__)
        self._lenient = [_Shell(each, build(())) for each in lenient]
        self._build = build
        self._first = first
        self._shells: dict[type, _Shell] = {}  # a page may be in shells from before more was learned
        self._met: Counter[str] = Counter()
        self.learn(learned)

    def learn(self, keys: Sequence[str]) -> None:
        """Take rows with these ``keys`` too."""
        self._learned = tuple(keys)
        widest = _Shell(with_keys(self._strict, keys), self._build(keys))
        self._widest = widest
        self._names = frozenset(widest.kind.__struct_encode_fields__)
        self._tried = (widest,) if self._first is None else (self._first, widest)
        self._shells |= {shell.kind: shell for shell in self._tried}

    def read_reply(self, body: bytes) -> Sent[list[Any]] | None:
        """The reply in ``body`` with its rows in shells, if one takes them all."""
        for shell in self._tried:
            try:
                return shell.reply(body)
            except (msgspec.DecodeError, RecursionError) as error:
                if self._is_strange(error):
                    break
        return None

    def read(self, rows: Sequence[Any], first: int, problems: Problems) -> list[Any]:
        """The documents in ``rows``: JSON, shells or values. The first row stands at ``$.data[first]``.

        For a row that is wrong there is None, and in ``problems`` what is wrong with it.
        """
        shell = self._shells.get(type(rows[0]))
        if shell is not None:
            return shell.build(rows, first, problems)
        if type(rows[0]) is Raw:
            return self._read_texts(rows, first, problems)
        documents = read_objects(rows, self._kind, first, problems)
        self._note(documents)
        return documents

    def _read_texts(self, rows: Sequence[Raw], first: int, problems: Problems) -> list[Any]:
        text = b"[%b]" % b",".join(rows)
        for shell in self._tried:
            try:
                return shell.build(shell.many(text), first, problems)
            except (msgspec.DecodeError, RecursionError) as error:
                if self._is_strange(error):
                    break
        for shell in self._lenient:
            documents = self._read_leniently(shell, text, first, problems)
            if documents is not None:
                return documents
        return self._read_singly(rows, first, problems)

    def _is_strange(self, error: Exception) -> bool:
        """Whether ``error`` names a key that no shell takes, so that there is no need to try another one."""
        key = str(error).partition("unknown field `")[2].partition("`")[0]
        return bool(key) and key not in self._names

    def _read_leniently(self, shell: _Shell, text: bytes, first: int, problems: Problems) -> list[Any] | None:
        try:
            shells = shell.many(text)
        except (msgspec.DecodeError, RecursionError):
            return None
        before = len(problems)
        documents = shell.build(shells, first, problems)
        if len(problems) > before:  # they are to be named row by row
            del problems[before:]
            return None
        known = self._known
        for document, fields in zip(documents, _fields_of_each(text), strict=True):
            others = {key: parse_json(value) for key, value in fields.items() if key not in known}
            if others:
                object.__setattr__(document, "extra", others)
        self._note(documents)
        return documents

    def _read_singly(self, rows: Sequence[Raw], first: int, problems: Problems) -> list[Any]:
        documents: list[Any] = []
        widest = self._widest
        taken = refused = 0
        for index, row in enumerate(rows, first):
            if refused <= taken + 1:  # else many are odd, and a try costs more than it gains
                try:
                    shell = widest.one(row)
                except (msgspec.DecodeError, RecursionError):
                    refused += 1
                else:
                    taken += 1
                    documents += widest.build([shell], index, problems)
                    continue
            documents.append(read_object(parse_json(row), self._kind, ("$", ".data", index), problems))
        self._note(documents)
        return documents

    def _note(self, documents: Sequence[Any]) -> None:
        """Learn the unknown keys that were met before."""
        if len(self._learned) == _MOST_LEARNED:
            return
        met = list(chain.from_iterable([each.extra for each in documents if each is not None]))
        self._met.update(met)
        again = {key for key in met if self._met[key] > 1 and _NAME.fullmatch(key)}.difference(self._learned)
        if again:
            self.learn((*self._learned, *again)[:_MOST_LEARNED])
        if len(self._met) > _MOST_COUNTED:
            self._met.clear()


FAMILIES: Final[Mapping[type, Family]] = {
    # The vendor's own editor writes the keys that are learned.
    Callflow: Family(
        Callflow,
        Whole,
        (AnyCallflow, AnyNodes),
        wholes,
        first=_Shell(Summary, summaries),
        learned=("contact_list", "ui_metadata"),
    ),
    Account: Family(Account, AccountRow, (AnyAccount,), accounts),
}
