"""One process at a time on a stage's folder.

The kernel drops the lock when its holder ends, however it ends, so a killed run leaves nothing stale.
The file says who holds it, for the message to those who wait.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.1


@contextmanager
def held(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Hold a lock file for the length of a ``with`` block.

    Parameters
    ----------
    path : Path
        The lock file, made where it is missing and never removed.
    waiting : callable, optional
        Called once with the holder's process id where another process holds the lock, and then
        this one waits. Without it there is no waiting, and the block receives False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        got = _try(descriptor)
        if not got and waiting is not None:
            waiting(os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown")
            while not _try(descriptor):
                time.sleep(_POLL_S)
            got = True
        if got:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield got
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
