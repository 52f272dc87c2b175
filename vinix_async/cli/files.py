"""Recognize export files among arguments, lock output files, and replace files atomically."""

import contextlib
import glob
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .._locks import try_lock
from .exit_codes import UsageError

EXPORT_SUFFIXES: Final = (".ndjson", ".jsonl", ".gz")


def is_file(word: str) -> bool:
    """Return whether an argument names a file, not an account. A file with the suffix of an export need not exist."""
    return word.lower().endswith(EXPORT_SUFFIXES) or (Path(word).exists() and not Path(word).is_dir())


def exists(path: Path) -> bool:
    """Return whether there is a file or folder at ``path``. False if a folder in the path cannot be entered."""
    return os.path.exists(path)  # noqa: PTH110  # before Python 3.14, Path.exists() raises PermissionError


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file with mode 0600, and replace an existing file atomically. The new file is durable afterwards."""
    with replacing(path, private=True) as new:
        new.write_bytes(data)


@contextlib.contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield the path of a new file for the block to write, and rename it to ``path`` when the block succeeds.

    The new file has mode 0600 while the block runs. Then it gets the default mode, unless ``private`` is true. If the
    block fails, the new file is deleted, and ``path`` is unchanged. If ``path`` is a symbolic link, the target of the
    link is replaced.
    """
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    new = Path(name)
    try:
        yield new
        if not private:
            os.fchmod(descriptor, _default_mode())
        os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def remove_unfinished(path: Path) -> None:
    """Remove the new files that ``replacing`` could not rename or delete, because its process was killed.

    The caller must have locked the output. Otherwise another process could still be writing one of these files.
    """
    path = path.resolve()
    for new in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):
        new.unlink(missing_ok=True)


def lock(descriptor: int, path: Path) -> None:
    """Lock an output file until its descriptor is closed. Raise ``UsageError`` if another run has locked it.

    Devices and pipes are not locked, nor are files in a file system without locks.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and not try_lock(descriptor):
            raise UsageError(f"another run is writing {path}: wait until it has ended")


def sync_folder(folder: Path) -> None:
    """Make new and renamed files in ``folder`` durable, if its file system and its permissions allow it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _default_mode() -> int:
    """Return the mode that the process's umask gives to new files."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
