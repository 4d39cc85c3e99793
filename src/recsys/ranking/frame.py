"""The ranking frame: rows of whole requests, named float columns, labels and positions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError

Array = NDArray[Any]


def _broken(expected: str, found: str) -> DataError:
    return DataError(
        "the ranking frame", expected=expected, found=found, do="Build all its parts from the same rows."
    )


def _check_names(columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise _broken("every column name once", f"{', '.join(twice)} more than once")


@dataclass(frozen=True)
class RankFrame:
    """Rows to rank; those of request r are ``offsets[r]:offsets[r + 1]``.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns of ``values``.
    values : float32, shape (rows, columns), C-contiguous
        NaN is missing.
    offsets : int64, shape (requests + 1,)
        Rises from 0 to the number of rows; a request may be empty.
    labels : uint8, shape (rows,)
        Relevance of a row as in ``core.columns.LABELS``, 0 for none.
    positions : int16, shape (rows,), optional
        Display position from 1, -1 where unknown.

    Raises
    ------
    DataError
        Where the parts do not fit each other.
    """

    columns: tuple[str, ...]
    values: Array
    offsets: Array
    labels: Array
    positions: Array | None = None

    def __post_init__(self) -> None:
        _check_names(self.columns)
        values, rows = self.values, self.labels.shape[0]
        if values.dtype != np.float32 or values.shape != (rows, len(self.columns)):
            raise _broken(
                f"float32 values of shape ({rows}, {len(self.columns)})", f"{values.dtype} {values.shape}"
            )
        if not values.flags.c_contiguous:
            raise _broken("C-contiguous values", f"strides {values.strides}")
        if self.labels.dtype != np.uint8:
            raise _broken("uint8 labels", f"{self.labels.dtype}")
        offsets = self.offsets
        rising = offsets.size > 0 and offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())
        if offsets.dtype != np.int64 or not rising or offsets[-1] != rows:
            raise _broken(f"int64 offsets rising from 0 to {rows}", f"{offsets.dtype} {offsets[:3]}...")
        if self.positions is not None and self.positions.shape != (rows,):
            raise _broken(f"{rows} positions", f"{self.positions.shape}")

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.labels.shape[0])

    @property
    def n_requests(self) -> int:
        """Number of requests."""
        return int(self.offsets.shape[0] - 1)

    @property
    def groups(self) -> Array:
        """Rows of each request, int64 of shape (requests,)."""
        return np.diff(self.offsets)

    def select_columns(self, names: Sequence[str]) -> "RankFrame":
        """The same rows with these columns in this order; ``DataError`` names what is not there."""
        place = {name: at for at, name in enumerate(self.columns)}
        absent = [name for name in names if name not in place]
        if absent:
            raise DataError(
                "the ranking frame",
                expected=f"columns {', '.join(absent)}",
                found=f"{', '.join(self.columns)}",
                do="Compute the features that the model was trained on.",
            )
        if tuple(names) == self.columns:
            return self
        values = np.ascontiguousarray(self.values[:, [place[name] for name in names]])
        return replace(self, columns=tuple(names), values=values)

    def select_requests(self, keep: Array) -> "RankFrame":
        """The requests where ``keep`` (bool, shape (requests,)) is true, whole and in order."""
        rows = np.repeat(keep, self.groups)
        return RankFrame(
            self.columns,
            np.ascontiguousarray(self.values[rows]),
            np.concatenate(([0], np.cumsum(self.groups[keep]))).astype(np.int64),
            self.labels[rows],
            None if self.positions is None else self.positions[rows],
        )


def side_by_side(
    blocks: Sequence[tuple[Sequence[str], Array]],
    offsets: Array,
    labels: Array,
    positions: Array | None = None,
) -> RankFrame:
    """Put blocks of columns of the same rows next to each other: rows | features | scores.

    Nothing is joined: row i of every block is row i of the frame, so the blocks must come from the same
    rows in the same order.

    Parameters
    ----------
    blocks : sequence of (names, array)
        Each array has shape (rows, names) or, for a single name, (rows,).
    offsets, labels, positions
        As in `RankFrame`.

    Raises
    ------
    DataError
        For blocks of different lengths or a name that two blocks carry.
    """
    names = [name for columns, _ in blocks for name in columns]
    _check_names(names)
    rows = labels.shape[0]
    values = np.empty((rows, len(names)), np.float32)
    at = 0
    for columns, block in blocks:
        wide = block[:, None] if block.ndim == 1 else block
        if wide.shape != (rows, len(columns)):
            raise _broken(
                f"shape ({rows}, {len(columns)}) for {', '.join(columns)}", f"shape {tuple(wide.shape)}"
            )
        values[:, at : at + len(columns)] = wide
        at += len(columns)
    return RankFrame(tuple(names), values, offsets, labels, positions)


def concat(frames: Sequence[RankFrame]) -> RankFrame:
    """Requests of several frames one after another; they must have the same columns in the same order.

    Positions survive only where every frame has them.
    """
    if not frames:
        raise _broken("at least one frame", "none")
    columns = frames[0].columns
    for frame in frames[1:]:
        if frame.columns != columns:
            odd = sorted(set(columns) ^ set(frame.columns)) or ["the order of the columns"]
            raise _broken("frames with the same columns", f"a difference in {', '.join(odd)}")
    positions = [frame.positions for frame in frames if frame.positions is not None]
    return RankFrame(
        columns,
        np.concatenate([frame.values for frame in frames]),
        np.concatenate(([0], np.cumsum(np.concatenate([f.groups for f in frames])))).astype(np.int64),
        np.concatenate([frame.labels for frame in frames]),
        np.concatenate(positions) if len(positions) == len(frames) else None,
    )
