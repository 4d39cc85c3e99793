"""Files that an earlier step wrote, read back or passed on: JSON, arrays, and whatever libraries read.

A file may be missing, cut short, of another kind or of another version. All of that is said here, in one
form that names the file, so that no reader needs a guard of its own and nobody meets a library's words.
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import DTypeLike, NDArray

from recsys.core.errors import BundleError, MissingExtraError

Array = NDArray[Any]
AGAIN = "Build the model folder again, or copy the whole of it."
SMALL = 1 << 16  # bytes; less is not worth a mapping, and an empty array cannot have one
_JSON_WORDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@contextmanager
def reading(what: object, expected: str, do: str = AGAIN) -> Iterator[None]:
    """Whatever goes wrong inside is the file's fault: a BundleError that names it.

    Parameters
    ----------
    what : path or str
        The file or folder that is read.
    expected, do : str
        What should be there, and the way out.
    """
    try:
        yield
    except (BundleError, MissingExtraError, ImportError, MemoryError):
        raise
    except Exception as error:  # libraries raise what they like: tokenizers a bare Exception
        raise BundleError(str(what), expected=expected, found=_words(error), do=do) from error


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder"
    if isinstance(error, KeyError):
        return f"nothing under {error}"
    first = str(error).strip().partition("\n")[0]
    return first.rstrip(".") or type(error).__name__


def read_json(path: Path, do: str = AGAIN) -> dict[str, Any]:
    """The JSON object in a file.

    Raises
    ------
    BundleError
        The file is missing, or holds anything else.
    """
    with reading(path, "a JSON object", do):
        told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        found = _JSON_WORDS.get(type(told), "null")
        raise BundleError(str(path), expected="a JSON object", found=found, do=do)
    return told


def require(told: Mapping[str, Any], path: Path, keys: Mapping[str, type], do: str = AGAIN) -> None:
    """Refuse an object of JSON that lacks a key, or holds another type under it.

    Parameters
    ----------
    told : mapping
    path : Path
        Where it stands.
    keys : mapping of key to type
        As JSON has them: dict, list, str, int, float, bool.
    """
    for key, kind in keys.items():
        value = told.get(key)
        fits = isinstance(value, int | float if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            found = repr(value) if key in told else f"only {', '.join(told) or 'an empty object'}"
            raise BundleError(
                str(path), expected=f"{_JSON_WORDS[kind]} under {key!r}", found=found[:200], do=do
            )


def read_array(
    path: Path,
    dtype: DTypeLike | None = None,
    shape: Sequence[int | None] | None = None,
    do: str = AGAIN,
) -> Array:
    """Map a ``.npy`` copy-on-write; read-only arrays would be another type to compiled code.

    Parameters
    ----------
    path : Path
    dtype : optional
        What compiled code will take it for.
    shape : sequence of int or None, optional
        None stands for any length.

    Raises
    ------
    BundleError
        The file is missing, no array, cut short, or of another type or shape.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise BundleError(str(path), expected="an array (.npy)", found=found, do=do)
    small = path.stat().st_size < SMALL
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:  # numpy would take it for a pickle
                raise ValueError
        array: Array = np.load(path, mmap_mode=None if small else "c", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:  # numpy's own words are about pickles and mappings
        found = f"{path.stat().st_size} bytes that are none, or a part of one"
        raise BundleError(str(path), expected="an array (.npy)", found=found, do=do) from error
    fit_array(array, str(path), dtype, shape, do)
    return array if small else array.view(np.ndarray)


def fit_array(
    array: Array,
    what: str,
    dtype: DTypeLike | None = None,
    shape: Sequence[int | None] | None = None,
    do: str = AGAIN,
) -> None:
    """Refuse an array of another type or shape than compiled code, which checks nothing, will take it for."""
    wanted = array.dtype if dtype is None else np.dtype(dtype)
    lengths = array.shape if shape is None else tuple(shape)
    fits = len(lengths) == array.ndim and all(
        want is None or want == have for want, have in zip(lengths, array.shape, strict=True)
    )
    if array.dtype != wanted or not fits:
        raise BundleError(
            what,
            expected=f"an array of {wanted}, shape {_shape(lengths)}",
            found=f"{array.dtype}, shape {_shape(array.shape)}",
            do=do,
        )


def _shape(lengths: Sequence[int | None]) -> str:
    return f"({', '.join('any' if n is None else str(n) for n in lengths)})"


def read_columns(folder: Path, dtypes: Mapping[str, DTypeLike], do: str = AGAIN) -> list[Array]:
    """Map the arrays ``<name>.npy`` of a folder, one-dimensional and of one length."""
    columns: list[Array] = []
    for name, dtype in dtypes.items():
        rows = len(columns[0]) if columns else None
        columns.append(read_array(folder / f"{name}.npy", dtype, (rows,), do))
    return columns


def read_archive(path: Path, names: Sequence[str], do: str = AGAIN) -> dict[str, Array]:
    """The named arrays of an ``.npz``, in memory.

    Raises
    ------
    BundleError
        The file is missing, no archive, cut short, or lacks an array.
    """
    expected = f"an archive (.npz) of the arrays {', '.join(names)}"
    if not path.is_file():
        raise BundleError(str(path), expected=expected, found="no such file", do=do)
    if not zipfile.is_zipfile(path):  # numpy would speak of pickles
        found = f"{path.stat().st_size} bytes that are none, or a part of one"
        raise BundleError(str(path), expected=expected, found=found, do=do)
    with reading(path, expected, do), np.load(path, allow_pickle=False) as file:
        absent = [name for name in names if name not in file]
        if absent:
            raise BundleError(str(path), expected=expected, found=f"no {absent[0]}", do=do)
        return {name: np.asarray(file[name], order="C") for name in names}


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """A hard link, or a copy where there cannot be one (another file system)."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
