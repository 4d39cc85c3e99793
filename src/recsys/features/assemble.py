"""Features as blocks aligned with rows: a pure function of the log, the cuts, any rows and any columns."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from recsys.core.as_of import Cuts
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
    fresh = State.new(state.config, state.clock, state.n_users, items, wanted, views=False)
    return fresh.replay(log, requests, rows, cuts, threads=threads, out=out)
