"""Files that are either the old ones or the new ones, whatever happens meanwhile."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_privately(path: Path, data: bytes) -> None:
    """Replace a file by one of mode 0600, in one step; when this returns it is on the disk."""
    with replacing(path, mode=0o600) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends well, and is gone if it does not."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # it is a descriptor
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105  # it is a name
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108  # as above
        raise
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
