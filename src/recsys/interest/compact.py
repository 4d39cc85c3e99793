"""Item vectors in less room: fewer numbers, or numbers of 8 bits with one scale an item."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import fit_array, read_array
from recsys.core.checks import at_least, check_choice, check_numbers
from recsys.core.errors import ConfigError

Array = NDArray[Any]
DTYPES = ("float32", "float16", "int8")
LARGEST = 127  # of int8, both ways
AGAIN = "Run recsys export-vectors again, or copy the whole folder."


@dataclass(frozen=True)
class VectorsConfig:
    """How item vectors are exported, and on what their cost is measured.

    Parameters
    ----------
    dims : int
        How many numbers of each vector are kept; 0: all.
    dtype : {"float32", "float16", "int8"}
        int8: with one scale an item.
    requests : int
        Most requests of the window *valid* that the cost is measured on; the last ones.
    """

    dims: int = 0
    dtype: str = "int8"
    requests: int = 2000

    def __post_init__(self) -> None:
        check_choice("vectors.dtype", self.dtype, DTYPES)
        check_numbers(self, "vectors", dims=at_least(0), requests=at_least(1))


class Compact(NamedTuple):
    """Item vectors by item code; item i is ``values[i] * scale[i]``, in the first dimensions of the whole."""

    values: Array  # float32, float16 or int8, shape (items, kept dims)
    scale: Array  # float32 (items,); NaN where an item has no vector


def compact(vectors: Array, config: VectorsConfig) -> Compact:
    """Keep the first dimensions of some vectors, and round them.

    Parameters
    ----------
    vectors : float32 array, shape (items, all dims)
        Of length one; a row of NaN where an item has none.
    config : VectorsConfig
        What is kept of a row is of length one again. int8 is symmetric: the largest number of a row
        becomes 127 or -127.

    Raises
    ------
    ConfigError
        There are fewer dimensions.
    """
    dims, dtype = config.dims or vectors.shape[1], config.dtype
    if dims > vectors.shape[1]:
        raise ConfigError(
            "vectors.dims",
            expected=f"0 (all) to {vectors.shape[1]}, the dimensions of this encoder",
            found=str(dims),
            do="Lower it.",
        )
    kept = np.array(vectors[:, :dims], np.float32)
    there = ~np.isnan(kept[:, 0])
    if dims < vectors.shape[1]:
        length = np.sqrt(np.square(kept).sum(1, keepdims=True))
        kept = np.divide(kept, length, out=np.zeros_like(kept), where=length > 0)
    kept[~there] = 0.0
    scale = np.where(there, np.float32(1.0), np.float32(np.nan)).astype(np.float32)
    if dtype != "int8":
        return Compact(kept.astype(dtype), scale)
    largest = np.abs(kept).max(1)
    step = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    return Compact(np.rint(kept / step[:, None]).astype(np.int8), step * scale)


def expand(stored: Compact, dims: int) -> Array:
    """The vectors again, float32 (items, dims): 0 in dimensions that were cut, NaN where there was none."""
    items, kept = stored.values.shape
    out = np.zeros((items, dims), np.float32)
    out[:, :kept] = stored.values.astype(np.float32) * stored.scale[:, None]
    out[np.isnan(stored.scale)] = np.nan
    return out


def save_compact(stored: Compact, folder: Path) -> None:
    """Write ``values.npy`` and ``scale.npy``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(Compact._fields, stored, strict=True):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_compact(folder: Path) -> Compact:
    """Map what `save_compact` wrote.

    Raises
    ------
    BundleError
        A file is missing or damaged, or the two do not fit each other.
    """
    values = read_array(folder / "values.npy", None, (None, None), AGAIN)
    scale = read_array(folder / "scale.npy", np.float32, (len(values),), AGAIN)
    if values.dtype.name not in DTYPES:
        fit_array(values, str(folder / "values.npy"), np.int8, do=AGAIN)
    return Compact(values, scale)
