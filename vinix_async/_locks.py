"""Locks files for as long as they are open."""

import sys

if sys.platform == "win32":  # pragma: no cover  # the tests run on Linux
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(descriptor: int) -> None:
        """Unlock an open file. Closing it is not enough: a process that was forked in the meantime keeps the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def try_lock(descriptor: int) -> bool:
    """Lock an open file, and return whether that succeeded. Return False if the file is locked already.

    The lock belongs to the operating system. It ends when the file is closed, and when the process ends.
    """
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):  # if it is locked: on Linux, or on Windows
        return False
    return True
