"""Folders that several processes share and that a killed one must not spoil."""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger(__name__)
_NEW, _OLD = ".new-", ".old-"  # being written, being replaced


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for the length of a ``with`` block; a second process waits, and then finds the work done.

    The kernel drops the lock of a process that ends, however it ends; what it left half done is removed here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOG.warning("Another process works in %s: waiting until it is done.", folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        for prefix in (_NEW, _OLD):
            for left in folder.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        yield
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
