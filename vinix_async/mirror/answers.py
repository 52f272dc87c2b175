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
        old: the callflow before the change. None if the callflow was added.
        new: the callflow after the change. None if the callflow was deleted.
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
        module: the module of the node that contains the reference. Empty if the reference is in a field of the callflow
            itself, such as ``owner_id``.
        path: the JSON pointer of the node in the document. Empty if the reference is in a field of the callflow itself.
        field: the field that contains the reference: a path within the node's ``data``, such as ``endpoints[1].id``,
            or a field of the callflow itself. ``children.KEY`` if the reference is the key of a child of the node.
        name: the name of the callflow. None if the callflow has no name.
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
        valid_from: the time at which a refresh first found the number in the callflow.
        valid_to: the time at which a refresh found that the callflow no longer had the number. None if the period has
            not ended.
        name: the name of the callflow at the end of the period, or its present name if the period has not ended. None
            if the callflow has no name.
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
            this time and ``valid_from``. None if no such time is known, as for the versions that the first refresh of
            an account found.
        valid_to: the time at which a refresh found that the version had ended. None for the current version.
        ended_by: whether a change or a deletion ended the version. None for the current version.
        document: the callflow in this version.
    """

    valid_from: datetime
    not_before: datetime | None
    valid_to: datetime | None
    ended_by: Literal["change", "delete"] | None
    document: Callflow
