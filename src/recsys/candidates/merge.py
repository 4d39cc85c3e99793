"""The pool: the union of what all sources offer, with each source's rank and score."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.offers import Availability, Gone, Offers
from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.core.log import ItemTable, RowBlock

if TYPE_CHECKING:  # ranking must not load polars
    import polars as pl

Array = NDArray[Any]
RANK_PREFIX = "rank_"
SCORE_PREFIX = "score_"


class Pool(NamedTuple):
    """Candidates of each request, best rank first; S sources."""

    sources: tuple[str, ...]
    offsets: Array  # int64, shape (requests + 1,)
    items: Array  # int32, shape (rows,)
    ranks: Array  # int16, shape (rows, S), from 1; 0 where the source did not offer the item
    scores: Array  # float32, shape (rows, S), NaN where the source did not offer the item

    def block(self) -> RowBlock:
        """The rows alone, as kernels take them."""
        return RowBlock(self.offsets, self.items)

    def take(self, rows: Array) -> "Pool":
        """Some rows (ascending) of the pool; requests keep their places."""
        ends = np.searchsorted(rows, self.offsets)
        return Pool(
            self.sources, ends.astype(np.int64), self.items[rows], self.ranks[rows], self.scores[rows]
        )

    def frame(self, request: Array | None = None) -> "pl.DataFrame":
        """The table of the stage.

        Parameters
        ----------
        request : int32 array, shape (requests,), optional
            The ``request`` of each place; its place itself where none is given.

        Returns
        -------
        DataFrame
            request Int32, item Int32, then ``rank_<source>`` Int16 and ``score_<source>`` Float32 of
            each source, null where it did not offer the item.
        """
        import polars as pl

        numbers = np.arange(len(self.offsets) - 1) if request is None else np.asarray(request)
        data: dict[str, pl.Series] = {
            c.REQUEST: pl.Series(np.repeat(numbers.astype(np.int32), np.diff(self.offsets))),
            c.ITEM: pl.Series(self.items),
        }
        for s, source in enumerate(self.sources):
            data[RANK_PREFIX + source] = pl.Series(np.ascontiguousarray(self.ranks[:, s]))
            data[SCORE_PREFIX + source] = pl.Series(np.ascontiguousarray(self.scores[:, s]))
        return pl.DataFrame(data).with_columns(
            pl.col(f"^{RANK_PREFIX}.*$").replace(0, None), pl.col(f"^{SCORE_PREFIX}.*$").fill_nan(None)
        )


def pool_of_frame(frame: "pl.DataFrame", request: Array) -> Pool:
    """The pool that `Pool.frame` wrote, for the same requests.

    Parameters
    ----------
    frame : DataFrame
    request : int32 array, shape (requests,)
        Ascending; a request without rows has an empty place.
    """
    sources = tuple(name.removeprefix(RANK_PREFIX) for name in frame.columns if name.startswith(RANK_PREFIX))
    column = frame[c.REQUEST].to_numpy()
    offsets = np.append(np.searchsorted(column, request, side="left"), len(column)).astype(np.int64)
    shape = (frame.height, len(sources))
    ranks, scores = np.zeros(shape, np.int16), np.full(shape, np.nan, np.float32)
    for s, source in enumerate(sources):
        ranks[:, s] = frame[RANK_PREFIX + source].fill_null(0).to_numpy()
        scores[:, s] = frame[SCORE_PREFIX + source].fill_null(float("nan")).to_numpy()
    return Pool(sources, offsets, frame[c.ITEM].to_numpy(), ranks, scores)


@kernel
def union(
    items: Array, scores: Array, place: Array, out_items: Array, out_ranks: Array, out_scores: Array
) -> int:
    """The union of one request's offers, rank by rank, source by source.

    Parameters
    ----------
    items : int32 array, shape (S, depth)
        -1 beyond a source's last item.
    scores : float32 array, shape (S, depth)
    place : int32 array, shape (catalogue,)
        Scratch, -1 throughout; left so.
    out_items, out_ranks, out_scores : arrays, shape (S * depth,) and (S * depth, S)
        ``out_ranks`` zeros and ``out_scores`` NaN on entry.

    Returns
    -------
    int
        How many rows were written.
    """
    n = 0
    for rank in range(items.shape[1]):
        for s in range(items.shape[0]):
            item = items[s, rank]
            if item < 0:
                continue
            row = place[item]
            if row < 0:
                row = n
                place[item] = n
                out_items[n] = item
                n += 1
            out_ranks[row, s] = rank + 1
            out_scores[row, s] = scores[s, rank]
    for row in range(n):
        place[out_items[row]] = -1
    return n


def _stack(offers: Sequence[Offers], r: int, depth: int) -> tuple[Array, Array]:
    items = np.full((len(offers), depth), -1, np.int32)
    scores = np.full((len(offers), depth), np.nan, np.float32)
    for s, offer in enumerate(offers):
        items[s, : offer.items.shape[1]] = offer.items[r]
        scores[s, : offer.scores.shape[1]] = offer.scores[r]
    return items, scores


def merge(
    offers: Mapping[str, Offers],
    items: ItemTable,
    times: Array | None = None,
    *,
    whole: bool = False,
    gone: Gone | None = None,
) -> Pool:
    """Unite the sources' offers.

    Parameters
    ----------
    offers : mapping of source name to Offers
        All for the same requests. The order of sources settles who comes first at equal rank.
    items : ItemTable
    times : int64 array, shape (requests,), optional
        Needed for ``whole``: when each request is made.
    whole : bool
        Append every other item that can be had, in the order of codes, unranked: for a small catalogue.
    gone : Gone, optional
        What is not appended to a request either.

    Returns
    -------
    Pool
        Each request's items by their best rank over the sources, then by the order of sources.
    """
    if not offers:
        raise ConfigError(
            "candidates", expected="at least one source", found="none", do="Give a source a depth above 0."
        )
    if whole and times is None:
        raise ValueError("whole=True needs the requests' times")
    parts = tuple(offers.values())
    n_requests, n_items = parts[0].items.shape[0], len(items.category)
    depth = max(part.items.shape[1] for part in parts)
    availability = Availability(items, gone)
    place = np.full(n_items, -1, np.int32)
    blocks: list[tuple[Array, Array, Array]] = []
    for r in range(n_requests):
        stacked = _stack(parts, r, depth)
        size = stacked[0].size
        found = np.empty(size, np.int32)
        ranks = np.zeros((size, len(parts)), np.int16)
        scores = np.full((size, len(parts)), np.nan, np.float32)
        n = union(*stacked, place, found, ranks, scores)
        if whole and times is not None:
            rest = availability.to(r, int(times[r])).copy()
            rest[found[:n]] = False
            others = np.flatnonzero(rest).astype(np.int32)
            found = np.concatenate([found[:n], others])
            ranks = np.concatenate([ranks[:n], np.zeros((len(others), len(parts)), np.int16)])
            scores = np.concatenate([scores[:n], np.full((len(others), len(parts)), np.nan, np.float32)])
            n = len(found)
        blocks.append((found[:n], ranks[:n], scores[:n]))
    offsets = np.zeros(n_requests + 1, np.int64)
    np.cumsum([len(block[0]) for block in blocks], out=offsets[1:])
    if not blocks:
        width = (0, len(parts))
        return Pool(
            tuple(offers),
            offsets,
            np.empty(0, np.int32),
            np.empty(width, np.int16),
            np.empty(width, np.float32),
        )
    return Pool(tuple(offers), offsets, *(np.concatenate(column) for column in zip(*blocks, strict=True)))
