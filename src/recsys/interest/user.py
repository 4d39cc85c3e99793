"""The user tower without torch: attention pooling of a history of stored item vectors.

Every sum runs in a fixed order, so a user's vector has the same bits whether it is computed alone or
among thousands. A dot product writes the products down and folds them in halves: that order is fixed
as well, and every pass is one that the compiler vectorises (3 times as fast as running sums, which it
may not reorder). The formulas are those of `recsys.encoder.user_tower`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import fit_array, read_archive, reading
from recsys.core.columns import EVENT_TYPES
from recsys.core.gaps import gap_bucket
from recsys.core.jit import kernel
from recsys.core.log import HISTORY

Array = NDArray[Any]
AGAIN = "Train the encoder again, or copy the whole folder."
TINY = np.float32(1e-12)


class UserTower(NamedTuple):
    """Weights of the user tower; Q queries, H heads (click, purchase), D dims, R rank."""

    query: Array  # float32 (Q, D)
    kind_bias: Array  # float32 (Q, event types)
    order_bias: Array  # float32 (Q, places); older events share the last place
    gap_bias: Array  # float32 (Q, gap buckets)
    mix: Array  # float32 (H, Q)
    down: Array  # float32 (R, Q * D)
    up: Array  # float32 (H, R, D)
    prior: Array  # float32 (H, D), the vector of an empty history
    scale: Array  # float32 (H,), what the training softmax multiplied a cosine by
    gap_edges: Array  # int64 (gap buckets - 2,), microseconds
    read_history: int  # most events that are read
    clock: bool  # whether gaps are read


def load_user_tower(folder: Path, clock: bool) -> UserTower:
    """Read ``user_tower.npz`` of a trained encoder.

    Parameters
    ----------
    folder : Path
    clock : bool
        Whether times are real.

    Raises
    ------
    BundleError
        The file is missing or incomplete, or its arrays do not fit each other.
    """
    path = folder / "user_tower.npz"
    arrays = read_archive(path, [name for name in UserTower._fields if name != "clock"], AGAIN)
    with reading(path, "a whole number under read_history", AGAIN):
        history = min(int(arrays.pop("read_history")), HISTORY)
    _check_shapes(arrays, path)
    return UserTower(**arrays, read_history=history, clock=clock)


def _check_shapes(arrays: Mapping[str, Array], path: Path) -> None:
    """Compiled code takes the arrays to fit each other, and reads beyond those that are too small."""
    free = (None, None)
    fit_array(arrays["query"], f"query in {path}", np.float32, free, AGAIN)
    fit_array(arrays["down"], f"down in {path}", np.float32, free, AGAIN)
    fit_array(arrays["mix"], f"mix in {path}", np.float32, free, AGAIN)
    (queries, dims), rank, heads = arrays["query"].shape, len(arrays["down"]), len(arrays["mix"])
    shapes: dict[str, tuple[int | None, ...]] = {
        "kind_bias": (queries, len(EVENT_TYPES)),
        "order_bias": (queries, None),
        "gap_bias": (queries, len(arrays["gap_edges"]) + 2),
        "mix": (heads, queries),
        "down": (rank, queries * dims),
        "up": (heads, rank, dims),
        "prior": (heads, dims),
        "scale": (heads,),
    }
    for name, shape in shapes.items():
        fit_array(arrays[name], f"{name} in {path}", np.float32, shape, AGAIN)
    fit_array(arrays["gap_edges"], f"gap_edges in {path}", np.int64, (None,), AGAIN)


@kernel
def dot(a: Array, b: Array, scratch: Array) -> np.float32:
    """Inner product of two float32 vectors, in a fixed order; ``scratch`` is at least as long."""
    n = a.shape[0]
    for j in range(n):
        scratch[j] = a[j] * b[j]
    half = n // 2
    for j in range(half):
        scratch[j] += scratch[j + half]
    quarter = half // 2
    for j in range(quarter):
        scratch[j] += scratch[j + quarter]
    eighth = quarter // 2
    for j in range(eighth):
        scratch[j] += scratch[j + eighth]
    total = np.float32(0.0)
    fours = eighth - eighth % 4
    for j in range(0, fours, 4):
        total += (scratch[j] + scratch[j + 1]) + (scratch[j + 2] + scratch[j + 3])
    for j in range(fours, eighth):
        total += scratch[j]
    if quarter % 2:  # what the halvings left over
        total += scratch[quarter - 1]
    if half % 2:
        total += scratch[half - 1]
    if n % 2:
        total += scratch[n - 1]
    return total


@kernel
def has_vector(vectors: Array, item: int) -> bool:
    """Whether an item code has a vector: known, within the table, and not a row of NaN."""
    return item >= 0 and item < vectors.shape[0] and vectors[item, 0] == vectors[item, 0]


@kernel
def to_unit(vector: Array, scratch: Array) -> None:
    """Scale a float32 vector to length one, in place; zero stays zero."""
    length = np.sqrt(dot(vector, vector, scratch) + TINY)
    for d in range(vector.shape[0]):
        vector[d] = vector[d] / length


@kernel
def user_vectors(
    tower: UserTower, vectors: Array, n: int, items: Array, kinds: Array, times: Array, out: Array
) -> bool:
    """The user's vector for each head, from the history alone.

    Parameters
    ----------
    tower : UserTower
    vectors : float32 array, shape (items, D)
        Stored trained vectors.
    n : int
        How many places of the history are filled, newest first.
    items, kinds, times : arrays, shape (at least n,)
        As in ``core.log.View``.
    out : float32 array, shape (H, D)
        Written; the learned prior where no event of the history has a vector.

    Returns
    -------
    bool
        Whether any event had a vector.
    """
    queries, dims = tower.query.shape
    heads, rank = tower.mix.shape[0], tower.down.shape[0]
    scratch = np.empty(queries * dims, np.float32)
    n = min(n, tower.read_history)
    weights = np.empty((queries, n), np.float32)
    last = tower.order_bias.shape[1] - 1
    some = False
    for t in range(n):
        if not has_vector(vectors, items[t]):
            continue
        some = True
        gap = 0
        if tower.clock and t > 0:
            gap = gap_bucket(tower.gap_edges, times[t - 1] - times[t])
        for q in range(queries):
            logit = dot(tower.query[q], vectors[items[t]], scratch)
            weights[q, t] = (
                logit
                + tower.kind_bias[q, kinds[t]]
                + tower.order_bias[q, min(t, last)]
                + tower.gap_bias[q, gap]
            )
    if not some:
        for h in range(heads):
            for d in range(dims):
                out[h, d] = tower.prior[h, d]
        return False
    pooled = np.zeros(queries * dims, np.float32)
    for q in range(queries):
        top = np.float32(-np.inf)
        for t in range(n):
            if has_vector(vectors, items[t]) and weights[q, t] > top:
                top = weights[q, t]
        total = np.float32(0.0)
        for t in range(n):
            if has_vector(vectors, items[t]):
                weights[q, t] = np.exp(weights[q, t] - top)
                total += weights[q, t]
        part = pooled[q * dims : (q + 1) * dims]
        for t in range(n):
            if has_vector(vectors, items[t]):
                weight, row = weights[q, t] / total, vectors[items[t]]
                for d in range(dims):
                    part[d] += weight * row[d]
    low = np.empty(rank, np.float32)
    for r in range(rank):
        low[r] = dot(tower.down[r], pooled, scratch)
    for h in range(heads):
        user = out[h]
        for d in range(dims):
            user[d] = 0.0
        for r in range(rank):
            weight, row = low[r], tower.up[h, r]
            for d in range(dims):
                user[d] += weight * row[d]
        for q in range(queries):
            weight, row = tower.mix[h, q], pooled[q * dims : (q + 1) * dims]
            for d in range(dims):
                user[d] += weight * row[d]
        to_unit(user, scratch)
    return True


@kernel
def mean_vector(vectors: Array, n: int, items: Array, out: Array) -> bool:
    """The mean of a history's vectors, of length one, into ``out`` (D,); False where there is none."""
    scratch = np.empty(out.shape[0], np.float32)
    some = False
    for d in range(out.shape[0]):
        out[d] = 0.0
    for t in range(n):
        if has_vector(vectors, items[t]):
            some = True
            row = vectors[items[t]]
            for d in range(out.shape[0]):
                out[d] += row[d]
    to_unit(out, scratch)
    return some
