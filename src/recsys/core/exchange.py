"""Two folders change names: whoever opens either name finds one of the two, whole."""

import ctypes
import errno
import os
from pathlib import Path

_HERE = -100  # AT_FDCWD: names are relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)  # an old kernel, or a file system without it


def aside(place: Path) -> Path:
    """Where the folder of a place stands for a moment where names cannot be exchanged in one step."""
    return place.with_name(f".{place.name}.aside")


def exchange(place: Path, other: Path) -> None:
    """Let two folders of one file system change names.

    In one step (renameat2 with RENAME_EXCHANGE) on Linux and the file systems in use there. Where that is
    not to be had, by renames one after the other: between the first two ``place`` is missing, and a process
    that is killed there leaves its folder at `aside`.

    Parameters
    ----------
    place, other : Path
        Both are there.
    """
    code = _in_one_step(place, other)
    if code == 0:
        return
    if code not in _CANNOT:
        raise OSError(code, os.strerror(code), str(place), None, str(other))
    place.rename(aside(place))
    other.rename(place)
    aside(place).rename(other)


def _in_one_step(place: Path, other: Path) -> int:
    """0, or the number of the error."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return errno.ENOSYS
    done = call(_HERE, os.fsencode(place), _HERE, os.fsencode(other), _EXCHANGE)
    return 0 if done == 0 else ctypes.get_errno()
