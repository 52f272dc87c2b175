"""Define jobs that read accounts, and the checkpoint files from which jobs are resumed."""

import json
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec
from attrs import asdict, field, frozen
from platformdirs import user_state_path

from .. import ConfigurationError, SweepCheckpoint
from .exit_codes import UsageError
from .files import write_private_file
from .options import Connection

_VERSION: Final = 2


@frozen(kw_only=True)
class Job:
    """A job: the accounts and callflows to read, and the output to write.

    ``to``: the absolute path of the output file, or None for stdout. ``where``: the base URL of the server, or
    ``sandbox``.
    """

    command: str
    accounts: tuple[str, ...] = ()
    accounts_from: str | None = None
    descendants_of: str | None = None
    all: bool = False
    filters: Mapping[str, str] = field(factory=dict)
    details: bool = False
    page_size: int | None = None
    max_items: int | None = None
    output: str | None = None
    to: str | None = None
    raw_cells: bool = False
    bom: bool = False
    title: str | None = None
    where: str = ""

    @property
    def one_account(self) -> bool:
        """Whether the job reads only one account. A job with ``accounts_from`` must be ``completed`` first."""
        return self.descendants_of is None and not self.all and len(set(self.accounts)) == 1

    def command_line(self, *arguments: str) -> str:
        """Return a shell command that runs the job's command of ``vinix`` with these arguments."""
        return f"vinix {self.command} {shlex.join(arguments)}"


@frozen(kw_only=True)
class SavedJob:
    """A job with its progress: the size of its output in bytes, and the checkpoint of its sweep."""

    job: Job
    connection: Connection
    size: int
    sweep: SweepCheckpoint

    def to_json(self) -> str:
        """Return the content of a checkpoint file. It contains no secret."""
        sandbox = _sandbox_options(vars(self.connection))
        job, sweep = asdict(self.job), self.sweep.to_value()
        return json.dumps({"version": _VERSION, "job": job, "sandbox": sandbox, "size": self.size, "sweep": sweep})

    @classmethod
    def from_json(cls, text: str | bytes, connection: Connection) -> Self:
        """Return the job of a checkpoint file. Raises ``UsageError`` if the content is not valid.

        The profile, the credentials and the server come from ``connection``, because they are not in the file.
        """
        try:
            value = json.loads(text)
            if msgspec.convert(value["version"], int) not in {1, _VERSION}:
                raise UsageError("the checkpoint was written by another version of vinix: start the job again")
            job = asdict(Job(**value["job"]), recurse=False)  # rejects unknown names
            saved = cls(
                job=msgspec.convert(job, Job),  # rejects wrong types
                connection=msgspec.convert({**vars(connection), **_sandbox_options(value["sandbox"])}, Connection),
                size=msgspec.convert(value["size"], Annotated[int, msgspec.Meta(ge=0)]),
                sweep=SweepCheckpoint.from_value(value["sweep"]),
            )
        except ConfigurationError as error:
            raise UsageError(str(error)) from None
        except (msgspec.ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UsageError("the file is not a checkpoint of vinix, or it is damaged") from None
        return saved

    @classmethod
    def read(cls, path: Path, job: Job, connection: Connection) -> Self:
        """Read a checkpoint file. ``job`` must have the command of the saved job, and nothing else."""
        try:
            text = path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        try:
            saved = cls.from_json(text, connection)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        if saved.job.command != job.command:
            raise UsageError(f"{path} is a checkpoint of `vinix {saved.job.command}`: resume it with that command")
        if job != Job(command=job.command):
            raise UsageError(
                "--resume takes accounts, filters and output from the checkpoint: remove the arguments and options "
                "for them"
            )
        return saved

    def write(self, path: Path) -> None:
        """Write a checkpoint file. The data is on the disk when this returns."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private_file(path, self.to_json().encode())


def _sandbox_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name.startswith("sandbox")}


def default_checkpoint(job: Job) -> Path:
    """Return the path of a job's checkpoint: beside the output file, or in the user state directory for stdout."""
    if job.to is not None:
        return Path(job.to + ".checkpoint")
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.json"
    return user_state_path("vinix", appauthor=False) / "checkpoints" / name
