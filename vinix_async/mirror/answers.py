"""Defines the objects that the queries of a mirror yield."""

from datetime import datetime
from typing import Literal

from attrs import frozen

from .. import Callflow


@frozen
class StoredChange:
    """A change of a callflow: it was added, changed or deleted.

    Attributes:
        account_id: the id of the account.
        callflow_id: the id of the callflow.
        kind: the kind of the change.
        at: the time at which a refresh found the change.
        not_before: the latest time that is known to be before the change. The change was made between this time and
            ``at``. None if no such time is known.
        old: the callflow before the change. None if it was added.
        new: the callflow after the change. None if it was deleted.
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
    """A reference from a callflow to an entity, such as a voicemail box or a media file.

    Attributes:
        account_id: the id of the account.
        callflow_id: the id of the callflow.
        module: the module of the node that contains the reference. Empty if the callflow itself contains it.
        path: the JSON pointer of the node in the document. Empty if the callflow itself contains the reference.
        field: the field of the node's ``data``, or of the callflow, that contains the reference.
        name: the name of the callflow.
    """

    account_id: str
    callflow_id: str
    module: str
    path: str
    field: str = ""
    name: str | None = None


@frozen
class NumberUse:
    """A period during which a callflow had a number.

    Attributes:
        account_id: the id of the account.
        callflow_id: the id of the callflow.
        valid_from: the beginning of the period.
        valid_to: the end of the period. None if the callflow still has the number.
        name: the name of the callflow at the end of the period.
    """

    account_id: str
    callflow_id: str
    valid_from: datetime
    valid_to: datetime | None
    name: str | None = None


@frozen
class Version:
    """A version of a callflow.

    Attributes:
        valid_from: the time at which a refresh first found this version.
        not_before: the latest time that is known to be before the beginning of the version. The version began between
            this time and ``valid_from``. None for a version that the first refresh of the account found.
        valid_to: the time at which the version ended. None for the current version.
        ended_by: whether a change or a deletion ended the version. None for the current version.
        document: the content of the version.
    """

    valid_from: datetime
    not_before: datetime | None
    valid_to: datetime | None
    ended_by: Literal["change", "delete"] | None
    document: Callflow
