"""Converts callflows to the rows of CSV files, Parquet files and Dask DataFrames."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ._documents.base import Document
from ._documents.deep_json import write_json
from ._documents.encode import to_dict
from ._documents.models import Account, Callflow

if TYPE_CHECKING:
    import pyarrow as pa

Cell = str | list[str] | None

SUMMARY_COLUMNS: Final = (
    *("account_id", "account_name", "id", "name", "type", "numbers", "patterns"),
    *("featurecode_name", "featurecode_number", "flags", "modules", "owner_id", "group_id"),
)
DETAIL_COLUMNS: Final = ("flow", "metaflow", "ringback", "metadata", "extra")
"""The columns that are added if full documents are read. Their cells contain JSON, or null for an empty value."""

LIST_COLUMNS: Final = ("numbers", "patterns", "flags", "modules")
REQUIRED_COLUMNS: Final = ("account_id", "id")
"""The columns whose cells are never null."""


def column_names(*, details: bool) -> tuple[str, ...]:
    """Return the names of the columns. If ``details`` is true, these include ``DETAIL_COLUMNS``."""
    return SUMMARY_COLUMNS + DETAIL_COLUMNS if details else SUMMARY_COLUMNS


def cells(account: Account, callflow: Callflow, *, details: bool) -> list[Cell]:
    """Return the row of a callflow. Its cells are in the order of ``column_names``.

    Lone surrogates, which UTF-8 cannot encode, are written as escape sequences.
    """
    code = callflow.featurecode
    row: list[Cell] = [
        *(account.id, account.name, callflow.id, callflow.name, _text(callflow.type)),
        *(list(callflow.numbers), list(callflow.patterns)),
        *(code.name if code else None, code.number if code else None),
        *(list(callflow.flags), list(callflow.modules), _text(callflow.owner_id), _text(callflow.group_id)),
    ]
    if details:
        row += [json_text(value) if (value := getattr(callflow, name)) else None for name in DETAIL_COLUMNS]
    return [
        [_encodable(each) for each in cell] if isinstance(cell, list) else cell and _encodable(cell) for cell in row
    ]


def _text(value: Any) -> str | None:
    """Return the cell for a field that the server does not validate: a string, or None, or any other value as JSON."""
    return value if value is None or isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """Return a document or any JSON value as JSON text, at any depth of nesting."""
    return write_json(to_dict(value) if isinstance(value, Document) else value).decode()


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


# --- Arrow, which the extras parquet and dask install -------------------------------------------------------


def arrow_schema(*, details: bool) -> "pa.Schema":
    """Return the Arrow schema of the rows."""
    import pyarrow as pa  # noqa: PLC0415  # an optional dependency

    strings = {True: pa.list_(pa.string()), False: pa.string()}
    return pa.schema(
        [
            pa.field(name, strings[name in LIST_COLUMNS], name not in REQUIRED_COLUMNS)
            for name in column_names(details=details)
        ]
    )


def arrow_table(rows: Sequence[Sequence[Cell]], schema: "pa.Schema") -> "pa.Table":
    """Return ``rows`` as an Arrow table with ``schema``."""
    import pyarrow as pa  # noqa: PLC0415  # an optional dependency

    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
