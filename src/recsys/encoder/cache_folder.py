"""Folders that several processes share and that a killed one must not spoil."""

import fcntl
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOG = logging.getLogger(__name__)
_NEW, _OLD = ".new-", ".old-"  # being written, being replaced


@contextmanager
def alone(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a folder for the length of a ``with`` block; a second process waits, and then finds the work done.

    The kernel drops the lock of a process that ends, however it ends; what it left half done is removed here.
    Without ``wait`` the block is told whether the folder is held: False where another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield False
                return
            LOG.warning("Another process works in %s: waiting until it is done.", folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        for prefix in (_NEW, _OLD):
            for left in folder.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        yield True
    finally:
        os.close(descriptor)


def put(place: Path, write: Callable[[Path], None]) -> None:
    """Make a folder beside its place, and put it there when it is whole; what was there is removed.

    Parameters
    ----------
    place : Path
        In a folder that is held (`alone`). Files of the old one that are mapped stay readable.
    write : callable
        Fills the empty folder that it is given.
    """
    beside = Path(tempfile.mkdtemp(dir=place.parent, prefix=_NEW))
    try:
        write(beside)
        if place.exists():
            place.rename(Path(tempfile.mkdtemp(dir=place.parent, prefix=_OLD)) / "old")
        beside.rename(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        for old in place.parent.glob(f"{_OLD}*"):
            shutil.rmtree(old, ignore_errors=True)


def last_used(place: Path) -> float:
    """When a folder or a file in it was last written or touched, in seconds since 1970."""
    return max((one.st_mtime for one in _stats(place)), default=0.0)


def size_of(place: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(one.st_size for one in _stats(place) if stat.S_ISREG(one.st_mode))


def _stats(place: Path) -> Iterator[os.stat_result]:
    """Of a folder and all in it; what another process removes meanwhile is left out."""
    for path in (place, *place.rglob("*")):
        with suppress(FileNotFoundError):
            yield path.stat()


def keep_newest(folder: Path, most: int, spare_s: float = 0.0) -> None:
    """Remove the folders in a folder that were not used for longest.

    Parameters
    ----------
    folder : Path
    most : int
        How many stay.
    spare_s : float
        What was used within so many seconds stays in any case.
    """
    used = {place: last_used(place) for place in folder.glob("*/")}
    for place in sorted(used, key=used.__getitem__)[: max(len(used) - most, 0)]:
        if time.time() - used[place] > spare_s:
            shutil.rmtree(place, ignore_errors=True)
