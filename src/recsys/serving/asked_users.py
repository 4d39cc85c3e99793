"""Whom to score: the user ids in files, or all that a model knows."""

import glob
from pathlib import Path

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.core.codes import Codes
from recsys.core.errors import DataError
from recsys.serving.bundle import read_manifest

READERS = {".parquet": pl.scan_parquet, ".csv": lambda path: pl.scan_csv(path, infer_schema=False)}


def read_users(place: str | Path) -> list[str]:
    """User ids in the order of the files, each once; of a table nothing but that column is read.

    Parameters
    ----------
    place : path
        A parquet or csv file with a column user_id, a folder of such, or a pattern (``users/*.parquet``).
        Files are taken in the order of their names.

    Raises
    ------
    DataError
        For no such file, one of another kind, one that cannot be read, a missing column, a missing id, and
        where there is nobody at all.
    """
    ids = pl.concat([_column(path) for path in _files(place)]).unique(maintain_order=True).to_list()
    if not ids:
        raise _error(place, "at least one user", "none", "Leave users out to score all users of the model.")
    return ids


def known_users(model: str | Path) -> list[str]:
    """The users that a model folder knows, in the order of their codes."""
    read_manifest(Path(model))  # says what is no model folder
    users = Codes.load(Path(model) / "codes" / "users")
    return users.decode(np.arange(len(users)))


def _files(place: str | Path) -> list[Path]:
    path = Path(place)
    found = [path]
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix in READERS)
    elif not path.exists():
        found = sorted(map(Path, glob.glob(str(place))))
    if not found:
        what = "no such file in it" if path.is_dir() else "no such file"
        raise _error(place, "parquet or csv files with a column user_id", what, "Check the path.")
    for one in found:
        if one.suffix not in READERS:
            ending = one.suffix or "no ending"
            raise _error(one, "a file that ends with .parquet or .csv", ending, "Rename or convert it.")
    return found


def _column(path: Path) -> pl.Series:
    try:
        table = READERS[path.suffix](path)
        names = table.collect_schema().names()
        if c.USER_ID in names:
            ids = table.select(pl.col(c.USER_ID).cast(pl.String)).collect()[c.USER_ID]
    except pl.exceptions.NoDataError:
        return pl.Series(c.USER_ID, [], pl.String)  # a csv without even a heading
    except (pl.exceptions.PolarsError, OSError) as error:
        words = str(error).strip().partition("\n")[0]
        raise _error(path, f"a readable {path.suffix[1:]} file", words, "Check it.") from error
    if c.USER_ID not in names:
        raise _error(path, f"a column {c.USER_ID}", f"columns {', '.join(names) or 'none'}", "Rename one.")
    if nulls := ids.null_count():
        raise _error(path, "a user_id in every row", f"{nulls} of {len(ids)} without", "Drop those rows.")
    return ids


def _error(place: str | Path, expected: str, found: str, do: str) -> DataError:
    return DataError(f"users {place}", expected=expected, found=found, do=do)
