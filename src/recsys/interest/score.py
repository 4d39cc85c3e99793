"""The interest columns of a request's candidates: one kernel, offline and online."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import HISTORY, EventLog, RowBlock, View, follow
from recsys.core.progress import track
from recsys.interest.user import UserTower, dot, has_vector, mean_vector, user_vectors

Array = NDArray[Any]

INTEREST_COLUMNS: Final = (
    "interest_click",
    "interest_purchase",
    "interest_click_rank",
    "interest_purchase_rank",
    "interest_click_z",
    "interest_purchase_z",
    "text_similarity_mean",
    "text_similarity_last",
    "text_similarity_max",
)
"""Similarity of user and item (trained, by head); its rank from 1 and its z-score within the request's
candidates; and cosines of untrained vectors, centred as they are stored, with the mean of the last 50
events, with the last event, and the greatest of the last 10. A tie shares the better rank."""

SIMILAR_TO = 10
_CHUNK = 2_000  # requests between two steps of the progress bar


@kernel
def _rank(scores: Array, out: Array) -> None:
    """Rank from 1, the highest first; equal scores share the better rank; NaN stays NaN."""
    order = np.argsort(-scores)  # NaN last
    rank = np.float32(1.0)
    for place in range(scores.shape[0]):
        score = scores[order[place]]
        if place > 0 and score != scores[order[place - 1]]:
            rank = np.float32(place + 1)
        out[order[place]] = rank if score == score else np.float32(np.nan)


@kernel
def _z_score(scores: Array, out: Array) -> None:
    """Distance from the mean of the candidates in standard deviations; 0 where all are equal."""
    n, total = 0, 0.0
    for i in range(scores.shape[0]):
        if scores[i] == scores[i]:
            n += 1
            total += scores[i]
    mean = total / max(n, 1)
    spread = 0.0
    for i in range(scores.shape[0]):
        if scores[i] == scores[i]:
            spread += (scores[i] - mean) ** 2
    deviation = np.sqrt(spread / max(n, 1))
    for i in range(scores.shape[0]):
        if scores[i] != scores[i]:
            out[i] = np.nan
        elif deviation > 1e-9:
            out[i] = (scores[i] - mean) / deviation
        else:
            out[i] = 0.0


@kernel
def _score(
    tower: UserTower,
    tuned: Array,
    raw: Array,
    n: int,
    items: Array,
    kinds: Array,
    times: Array,
    candidates: Array,
    extra_tuned: Array,
    extra_raw: Array,
    out: Array,
) -> None:
    """Fill ``out`` (candidates, 9); a candidate of code -1 takes its row of the extra vectors, if given."""
    dims = tuned.shape[1]
    heads = np.empty((2, dims), np.float32)
    mean = np.empty(dims, np.float32)
    scratch = np.empty(dims, np.float32)
    user_vectors(tower, tuned, n, items, kinds, times, heads)
    known = mean_vector(raw, min(n, HISTORY), items, mean)
    for c in range(candidates.shape[0]):
        code = candidates[c]
        if has_vector(tuned, code):
            tuned_row, raw_row = tuned[code], raw[code]
        elif code < 0 and has_vector(extra_tuned, c):
            tuned_row, raw_row = extra_tuned[c], extra_raw[c]
        else:
            for column in range(9):
                out[c, column] = np.nan
            continue
        out[c, 0] = dot(heads[0], tuned_row, scratch)
        out[c, 1] = dot(heads[1], tuned_row, scratch)
        out[c, 6] = dot(mean, raw_row, scratch) if known else np.float32(np.nan)
        last, best, seen = np.float32(np.nan), np.float32(np.nan), 0
        for t in range(min(n, SIMILAR_TO)):
            if has_vector(raw, items[t]):
                similarity = dot(raw[items[t]], raw_row, scratch)
                if seen == 0:
                    last = similarity
                if seen == 0 or similarity > best:
                    best = similarity
                seen += 1
        out[c, 7] = last
        out[c, 8] = best
    for head in range(2):
        _rank(out[:, head], out[:, 2 + head])
        _z_score(out[:, head], out[:, 4 + head])


@kernel
def _score_rows(
    tower: UserTower,
    tuned: Array,
    raw: Array,
    log: EventLog,
    heads: Array,
    offsets: Array,
    candidates: Array,
    start: int,
    stop: int,
    out: Array,
) -> None:
    items = np.empty(HISTORY, np.int32)
    kinds = np.empty(HISTORY, np.int8)
    times = np.empty(HISTORY, np.int64)
    none = np.empty((0, tuned.shape[1]), np.float32)
    for r in range(start, stop):
        n = follow(log, heads[r], HISTORY, items, kinds, times)
        a, b = offsets[r], offsets[r + 1]
        _score(tower, tuned, raw, n, items, kinds, times, candidates[a:b], none, none, out[a:b])


def score_rows(
    tower: UserTower, tuned: Array, raw: Array, log: EventLog, heads: Array, rows: RowBlock
) -> Array:
    """Interest columns of the rows of many requests.

    Parameters
    ----------
    tower : UserTower
    tuned, raw : float32 arrays, shape (items, dims)
        Stored item vectors; a row of NaN where an item has none.
    log : EventLog
    heads : int64 array, shape (requests,)
        ``core.log.heads`` of the requests: the entrance to each user's visible history.
    rows : RowBlock
        The candidates of each request.

    Returns
    -------
    float32 array, shape (rows, 9)
        `INTEREST_COLUMNS`, NaN where an item has no vector or, for similarities, a user no history.
    """
    out = np.empty((len(rows.items), len(INTEREST_COLUMNS)), np.float32)
    for start in track(range(0, len(heads), _CHUNK), "interest columns"):
        stop = min(start + _CHUNK, len(heads))
        _score_rows(tower, tuned, raw, log, heads, rows.offsets, rows.items, start, stop, out)
    return out


def score_view(
    tower: UserTower,
    tuned: Array,
    raw: Array,
    view: View,
    items: Array,
    candidate_tuned: Array | None = None,
    candidate_raw: Array | None = None,
) -> Array:
    """Interest columns of one request's candidates, the same bits as `score_rows` gives.

    Parameters
    ----------
    tower, tuned, raw
        As in `score_rows`.
    view : View
        The user's last events.
    items : int32 array, shape (candidates,)
        Codes; -1 unknown.
    candidate_tuned, candidate_raw : float32 arrays, shape (candidates, dims), optional
        Vectors of items encoded on the spot; only the rows whose code is -1 are read.

    Returns
    -------
    float32 array, shape (candidates, 9)
    """
    out = np.empty((len(items), len(INTEREST_COLUMNS)), np.float32)
    none = np.empty((0, tuned.shape[1]), np.float32)
    extra_tuned = none if candidate_tuned is None else candidate_tuned
    extra_raw = none if candidate_raw is None else candidate_raw
    _score(tower, tuned, raw, view.n, view.items, view.kinds, view.times, items, extra_tuned, extra_raw, out)
    return out


@kernel
def score_catalogue(user: Array, vectors: Array, out: Array) -> None:
    """Similarity of one user vector (dims,) to every item (items, dims), into ``out`` (items,)."""
    scratch = np.empty(vectors.shape[1], np.float32)
    for i in range(vectors.shape[0]):
        out[i] = dot(user, vectors[i], scratch)


@kernel
def _catalogue(tower: UserTower, tuned: Array, log: EventLog, heads: Array, out: Array) -> None:
    items = np.empty(HISTORY, np.int32)
    kinds = np.empty(HISTORY, np.int8)
    times = np.empty(HISTORY, np.int64)
    vectors = np.empty((2, tuned.shape[1]), np.float32)
    for r in range(heads.shape[0]):
        n = follow(log, heads[r], HISTORY, items, kinds, times)
        user_vectors(tower, tuned, n, items, kinds, times, vectors)
        score_catalogue(vectors[0], tuned, out[r])


def catalogue_scores(tower: UserTower, tuned: Array, log: EventLog, heads: Array) -> Array:
    """Scores of the whole catalogue for some requests, by the model ``encoder``.

    Parameters
    ----------
    As in `score_rows`; give few requests at a time, the answer is requests x items.

    Returns
    -------
    float32 array, shape (requests, items)
        The click head's similarity, NaN for items without a vector.
    """
    out = np.empty((len(heads), tuned.shape[0]), np.float32)
    _catalogue(tower, tuned, log, heads, out)
    return out


@kernel
def _queries(tower: UserTower, tuned: Array, log: EventLog, heads: Array, out: Array) -> None:
    items = np.empty(HISTORY, np.int32)
    kinds = np.empty(HISTORY, np.int8)
    times = np.empty(HISTORY, np.int64)
    vectors = np.empty((2, tuned.shape[1]), np.float32)
    for r in range(heads.shape[0]):
        n = follow(log, heads[r], HISTORY, items, kinds, times)
        user_vectors(tower, tuned, n, items, kinds, times, vectors)
        out[r] = vectors[0]


def query_vectors(tower: UserTower, tuned: Array, log: EventLog, heads: Array) -> Array:
    """The click head's user vector of many requests: float32, shape (requests, dims)."""
    out = np.empty((len(heads), tuned.shape[1]), np.float32)
    _queries(tower, tuned, log, heads, out)
    return out
