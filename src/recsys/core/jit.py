"""The one way to compile: ``kernel``, its cache folder, and ``warm``.

numba notices a change only in the file that holds the calling function. A constant edited in a file
that is merely called would go on giving the old result, silently; and code compiled with bounds
checks shares its key with code compiled without. The cache folder's name therefore carries a hash of
the source of every room that holds kernels (constants come from files without any), of numba's version,
of the processor and of the bounds-check switch.
"""

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import llvmlite.binding
import numba

P = ParamSpec("P")
R = TypeVar("R")


# Kernels live in these, and what they compile in comes from these alone: no room imports one beyond them.
ROOMS = ("candidates", "core", "encoder", "interest", "metrics", "ranking", "state")


def _sources() -> Iterator[Path]:
    """Files of this package whose code or constants may be compiled, in a fixed order."""
    root = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        yield from sorted((root / room).rglob("*.py"))


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    for part in (
        numba.__version__,
        platform.machine(),
        llvmlite.binding.get_host_cpu_name(),
        os.environ.get("NUMBA_BOUNDSCHECK", "0"),
    ):
        digest.update(str(part).encode())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> Path | None:
    """The kernels' cache folder, or None where nothing can be written."""
    home = os.environ.get("RECSYS_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(home) if home else Path.home() / ".cache"
    except RuntimeError:  # no home directory
        return None
    folder = base / "recsys" / "kernels" / _fingerprint()
    return folder if _writable(folder) else None


CACHE_FOLDER = _cache_folder()
KERNELS: list[Callable[..., object]] = []


@contextmanager
def _cache_here(folder: Path | None) -> Iterator[None]:
    """Let numba place its cache in our folder for one decoration; other libraries keep theirs."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = "" if folder is None else str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function with numba, cached on disk, without the GIL and without fast maths.

    Division follows numpy (no exception on zero), so that loops vectorise; a kernel guards the
    divisions that can meet a zero. ``NUMBA_DISABLE_JIT=1`` gives the plain Python function.
    """
    with _cache_here(CACHE_FOLDER):
        compiled = numba.njit(cache=CACHE_FOLDER is not None, nogil=True, error_model="numpy")(function)
    KERNELS.append(compiled)
    return cast(Callable[P, R], compiled)
