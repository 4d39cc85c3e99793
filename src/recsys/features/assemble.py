"""Features as blocks aligned with rows: a pure function of the log, the cuts, any rows and any columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import Cuts, LeftOut
from recsys.core.log import EventLog, ItemTable, RequestArrays, RowBlock
from recsys.state.store import State

Array = NDArray[Any]


def assemble(
    state: State,
    log: EventLog,
    items: ItemTable,
    requests: RequestArrays,
    cuts: Cuts,
    rows: RowBlock,
    columns: Sequence[str] | None = None,
    *,
    left_out: LeftOut | None = None,
    threads: int = 1,
    out: Array | None = None,
) -> tuple[tuple[str, ...], Array]:
    """Replay the log from its beginning and read each request's rows at its cut.

    Parameters
    ----------
    state : State
        Says which features there are; it is neither read nor changed.
    log, items, requests : EventLog, ItemTable, RequestArrays
    cuts : mapping of key to int64 array, shape (requests,)
        How many events each request may see (`core.as_of.cut`).
    rows : RowBlock
        Items to describe, aligned with the requests.
    columns : sequence of str, optional
        The columns wanted; only families that give one of them are replayed.
    left_out : LeftOut, optional
        The fold of users that each request's shared state is without: the log is replayed once a fold.
    threads : int
        Families work in parallel.
    out : float32 array, shape (rows, columns), optional
        Where to write, say a mapped ``.npy`` file that is larger than memory.

    Returns
    -------
    names : tuple of str
        In the order of the catalogue, whatever the order they were asked for in.
    values : float32 array, shape (rows, columns)
    """
    wanted = frozenset(columns) if columns is not None else frozenset(state.names)

    def fresh() -> State:
        return State.new(state.config, state.clock, state.n_users, items, wanted, views=False)

    if left_out is None:
        return fresh().replay(log, requests, rows, cuts, threads=threads, out=out)
    names = fresh().names
    values = np.empty((len(rows.items), len(names)), np.float32) if out is None else out
    for fold in np.unique(left_out.of_request).tolist():
        asked = np.flatnonzero(left_out.of_request == fold)
        places, block = _of_requests(rows, asked)
        _, values[places] = fresh().replay(
            log,
            RequestArrays(*(column[asked] for column in requests)),
            block,
            {key: cut[asked] for key, cut in cuts.items()},
            hidden=left_out.hidden(log, fold),
            threads=threads,
        )
    return names, values


def _of_requests(rows: RowBlock, asked: Array) -> tuple[Array, RowBlock]:
    """Where the rows of some requests lie, and these rows as a block of their own."""
    sizes = np.diff(rows.offsets)
    chosen = np.zeros(len(sizes), np.bool_)
    chosen[asked] = True
    places = np.flatnonzero(np.repeat(chosen, sizes))
    return places, RowBlock(np.r_[0, np.cumsum(sizes[asked])].astype(np.int64), rows.items[places])
