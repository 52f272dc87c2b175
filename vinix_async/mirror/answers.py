"""What the questions about a mirror return."""

from datetime import datetime
from typing import Literal

from attrs import frozen

from .. import Callflow


@frozen
class StoredChange:
    """A callflow that was added, changed or deleted.

    ``at`` is when a refresh found it. The true time lies after ``not_before``, when the callflow was last seen
    otherwise, and not after ``at``. ``old`` is None if it was added, ``new`` is None if it was deleted.
    """

    account_id: str
    callflow_id: str
    kind: Literal["added", "changed", "deleted"]
    at: datetime
    not_before: datetime | None
    old: Callflow | None
    new: Callflow | None


@frozen
class Use:
    """A place in a callflow that refers to an entity, such as a voicemail box or a media file.

    ``module`` is the module of the node, ``path`` its JSON pointer in the document, and ``field`` the place in its
    ``data``. For a field of the callflow itself, ``module`` and ``path`` are empty. ``name`` is the callflow's.
    """

    account_id: str
    callflow_id: str
    module: str
    path: str
    field: str = ""
    name: str | None = None


@frozen
class NumberUse:
    """The time during which a callflow had a number. ``valid_to`` is None if it has it still.

    ``name`` is the callflow's name at the end of that time.
    """

    account_id: str
    callflow_id: str
    valid_from: datetime
    valid_to: datetime | None
    name: str | None = None


@frozen
class Version:
    """A content that a callflow had from ``valid_from`` until ``valid_to``, or until now if that is None.

    It was first seen at ``valid_from``; it began after ``not_before``, when the callflow was last seen otherwise. That
    is None for a callflow that the account's first refresh found. ``ended_by`` is None for the current version.
    """

    valid_from: datetime
    not_before: datetime | None
    valid_to: datetime | None
    ended_by: Literal["change", "delete"] | None
    document: Callflow
