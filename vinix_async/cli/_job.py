"""What was asked for and how far it is: a value, and the file that outlives the process."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from attrs import asdict, field, frozen

from .. import Checkpoint, SweepCheckpoint
from ._errors import UsageError
from ._files import write_privately
from ._options import Connection

_VERSION: Final = 1
_NO_CHECKPOINT: Final = "this is no checkpoint of vinix, or one of another version"


@frozen(kw_only=True)
class Job:
    """Which callflows of which accounts, and where they go.

    ``where``: the base URL, or ``sandbox``. ``to``: the file, as an absolute path; None for stdout.
    """

    command: str
    accounts: tuple[str, ...] = ()
    accounts_from: str | None = None
    descendants_of: str | None = None
    all: bool = False
    shard: str | None = None
    filters: Mapping[str, str] = field(factory=dict)
    details: bool = False
    page_size: int | None = None
    max_items: int | None = None
    output: str | None = None
    to: str | None = None
    raw_cells: bool = False
    where: str = ""

    @property
    def one_account(self) -> bool:
        """Whether only one account can be meant."""
        return self.descendants_of is None and not self.all and len(set(self.accounts)) == 1


@frozen(kw_only=True)
class Saved:
    """A job that was interrupted: the bytes that count in its file, and what has been handed out."""

    job: Job
    connection: Connection
    size: int
    sweep: SweepCheckpoint

    def to_json(self) -> str:
        """Text for ``from_json``; it has no secret in it."""
        sandbox = {name: value for name, value in vars(self.connection).items() if name.startswith("sandbox")}
        sweep = json.loads(self.sweep.to_json())
        value = {"version": _VERSION, "job": asdict(self.job), "sandbox": sandbox, "size": self.size, "sweep": sweep}
        return json.dumps(value)

    @classmethod
    def from_json(cls, text: str, connection: Connection) -> Self:
        """What ``to_json`` wrote. The profile and the credentials are those of ``connection``."""
        try:
            value = json.loads(text)
            size = int(value["size"]) if value["version"] == _VERSION else -1
            connection = Connection(**{**vars(connection), **value["sandbox"]})
            sweep = SweepCheckpoint.from_json(json.dumps(value["sweep"]))
            job = Job(**{**value["job"], "accounts": tuple(value["job"]["accounts"])})
        except (ValueError, TypeError, KeyError, AttributeError):  # a ConfigurationError is a ValueError
            raise UsageError(_NO_CHECKPOINT) from None
        if size < 0:
            raise UsageError(_NO_CHECKPOINT)
        return cls(job=job, connection=connection, size=size, sweep=sweep)


class Progress:
    """What of a job has been written, account by account, page by page."""

    def __init__(self, sweep: SweepCheckpoint | None = None) -> None:
        self._done = set(sweep.done) if sweep else set[str]()
        self._points = dict(sweep.failed) if sweep else dict[str, Checkpoint]()

    @property
    def begun(self) -> bool:
        """Whether anything has been handed out."""
        return bool(self._done or self._points)

    def is_done(self, account_id: str) -> bool:
        """Whether all of an account has been written."""
        return account_id in self._done

    def point(self, account_id: str) -> Checkpoint | None:
        """Where an account goes on."""
        return self._points.get(account_id)

    def wrote(self, account_id: str, point: Checkpoint) -> None:
        """An account's rows up to ``point`` have been written."""
        self._points[account_id] = point

    def finished(self, account_id: str) -> None:
        """All of an account has been written."""
        self._points.pop(account_id, None)
        self._done.add(account_id)

    def sweep(self) -> SweepCheckpoint:
        """All of it as one value."""
        return SweepCheckpoint(done=frozenset(self._done), failed=dict(self._points))


class CheckpointFile:
    """Where a job is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, saved: Saved) -> float:
        """Write it; when this returns, it is on the disk. The seconds that it took."""
        began = time.monotonic()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_privately(self.path, saved.to_json().encode())
        return time.monotonic() - began

    def remove(self) -> None:
        """Nothing is left to go on with."""
        self.path.unlink(missing_ok=True)


def checkpoint_path(job: Job) -> Path:
    """Where a job's checkpoint is unless told: beside its file, or where this system keeps a program's state."""
    from platformdirs import user_state_path  # noqa: PLC0415  # few need it

    if job.to is not None:
        return Path(job.to + ".checkpoint")
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.json"
    return user_state_path("vinix", appauthor=False) / "checkpoints" / name


def read_saved(path: Path, job: Job, connection: Connection) -> Saved:
    """The job to go on with. ``job`` is what the command line says: the command, and nothing else."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    saved = Saved.from_json(text, connection)
    if saved.job.command != job.command:
        raise UsageError(f"this is a checkpoint of `vinix {saved.job.command}`")
    if job != Job(command=job.command):
        raise UsageError("--resume takes accounts, filters and output from its file: leave the other options out")
    return saved
