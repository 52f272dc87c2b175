"""Files that are either the old ones or the new ones, whatever happens meanwhile."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write_privately(path: Path, data: bytes) -> None:
    """Replace a file by one of mode 0600, in one step; when this returns it is on the disk."""
    with replacing(path, mode=0o600) as fresh:
        fresh.write_bytes(data)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int) -> Iterator[Path]:
    """A new file that takes the place of ``path`` when the block ends well, and is gone if it does not.

    Until then nobody else may read it.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        yield fresh
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in ``folder`` last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain_mode() -> int:
    """The mode that a new file of this person has."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
