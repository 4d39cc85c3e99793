"""Each model's metrics, request by request: what means, intervals and differences are made of."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.columns import (
    ITEM,
    LABEL,
    MODEL,
    N_CATALOGUE,
    RANK,
    REQUEST,
    SEED,
    VARIANT,
    WINDOW,
)
from recsys.core.errors import DataError
from recsys.evaluation.config import NDCG_TRUE, EvaluationConfig
from recsys.evaluation.per_request import Column, request_metrics, take
from recsys.evaluation.ranks import Ranks, true_ranks
from recsys.evaluation.slices import ALL
from recsys.evaluation.true_preference import true_preference_ndcg

Array = NDArray[Any]
Preference = Callable[[Array], Array]
"""Request rows int64 (b,) -> the true preference for every item, float (b, items), at least 0."""
PREFERENCE_BLOCK = 256  # requests whose true preferences are held at once


class Measured(NamedTuple):
    """One model's metrics, request by request, over one slice of one window."""

    model: str
    variant: str
    seed: int
    window: str
    slice: str
    columns: tuple[Column, ...]
    rows: Array  # int64 (r,), rows of the requests table, ascending
    values: Array  # float64 (r, columns), NaN where not defined


def measure(
    predictions: pl.DataFrame | Iterable[pl.DataFrame],
    truth: pl.DataFrame,
    requests: pl.DataFrame,
    config: EvaluationConfig,
    *,
    slices: Mapping[str, Array] | None = None,
    preference: Preference | None = None,
) -> list[Measured]:
    """Metrics of every request, for each model, variant, seed, window and slice.

    Parameters
    ----------
    predictions : DataFrame or iterable of DataFrame
        ``model, variant, seed, request, item, score, rank`` and, for partial lists (baselines over a
        whole catalogue), ``mid_rank``. A model's rows for a variant and seed stand in one frame.
    truth : DataFrame
        ``request, item, label``.
    requests : DataFrame
        In code order: ``request, user, window, n_catalogue``.
    config : EvaluationConfig
    slices : mapping of name to bool array, shape (truth rows,), optional
        See `slices.make_slices`.
    preference : Preference, optional
        Adds ``ndcg_true`` at ``main_k``, over every request that has predictions.

    Notes
    -----
    A request counts in a window as soon as the model has predictions anywhere in that window; a request
    of it for which the model has none counts as all missed.
    """
    _check(truth, requests, slices or {})
    competing = requests[N_CATALOGUE].to_numpy().astype(np.int64)
    if config.rows == "logged":
        competing = np.bincount(truth[REQUEST].to_numpy(), minlength=len(requests)).astype(np.int64)
    windows = requests[WINDOW].cast(pl.String).to_numpy()
    out: list[Measured] = []
    frames = [predictions] if isinstance(predictions, pl.DataFrame) else predictions
    for frame in frames:
        for key, part in frame.partition_by(MODEL, VARIANT, SEED, as_dict=True, maintain_order=True).items():
            name = (str(key[0]), str(key[1]), int(key[2]))
            seen = np.unique(part[REQUEST].to_numpy())
            for window in dict.fromkeys(windows[seen]):
                here = np.flatnonzero(windows == window)
                out += _one(name, str(window), here, part, truth, competing, config, slices or {}, preference)
    return out


def _one(
    name: tuple[str, str, int],
    window: str,
    here: Array,
    predictions: pl.DataFrame,
    truth: pl.DataFrame,
    competing: Array,
    config: EvaluationConfig,
    slices: Mapping[str, Array],
    preference: Preference | None,
) -> list[Measured]:
    ranks = true_ranks(predictions, truth, competing)
    inside = np.isin(ranks.request, here)
    ranks = Ranks(*(column[inside] for column in ranks))
    gains = np.asarray(config.gains)
    rows, values = request_metrics(ranks, gains, config.columns)
    columns = config.columns
    if preference is not None:
        columns = (*columns, (NDCG_TRUE, config.main_k))
        values = _with_preference(rows, values, here, predictions, config.main_k, preference)
        rows = here
    out = [Measured(*name, window, ALL, columns, rows, values)]
    sliced = (config.sliced,)
    for slice_name, mask in slices.items():
        keep = np.asarray(mask)[ranks.row]
        if keep.any():
            found = request_metrics(take(ranks, keep), gains, sliced)
            out.append(Measured(*name, window, slice_name, sliced, *found))
    return out


def _with_preference(
    rows: Array, values: Array, here: Array, predictions: pl.DataFrame, k: int, preference: Preference
) -> Array:
    """Values of all requests of the window, with the true preference as a last column."""
    out = np.full((len(here), values.shape[1] + 1), np.nan)
    out[np.searchsorted(here, rows), :-1] = values
    top = predictions.filter(pl.col(RANK) <= k)
    lists = np.full((len(here), k), -1, np.int64)
    request = top[REQUEST].to_numpy()
    inside = np.isin(request, here)
    lists[np.searchsorted(here, request[inside]), top[RANK].to_numpy()[inside] - 1] = top[ITEM].to_numpy()[
        inside
    ]
    for begin in range(0, len(here), PREFERENCE_BLOCK):
        block = slice(begin, begin + PREFERENCE_BLOCK)
        out[block, -1] = true_preference_ndcg(lists[block], preference(here[block]), k)
    return out


def _check(truth: pl.DataFrame, requests: pl.DataFrame, slices: Mapping[str, Array]) -> None:
    if not np.array_equal(requests[REQUEST].to_numpy(), np.arange(len(requests))):
        raise DataError(
            "the requests table",
            expected="its rows in the order of the request codes 0, 1, 2, ...",
            found="another order or missing codes",
            do="Pass the whole table as prepare wrote it.",
        )
    for name, mask in slices.items():
        if len(mask) != len(truth):
            raise DataError(
                f"the slice {name}",
                expected=f"one value for each of the {len(truth)} truth rows",
                found=f"{len(mask)} values",
                do="Compute it on the truth table that is passed.",
            )
    if truth.filter(pl.col(LABEL) > 0).is_empty():
        raise DataError(
            "the truth table",
            expected="at least one row with a label above 0",
            found="none",
            do="Check the windows and requests.unit: nothing was clicked or bought in them.",
        )
