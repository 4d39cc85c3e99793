"""Predictions and truth in, the tables of metrics, of differences and of single requests out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.columns import METRIC, MODEL, REQUEST, SEED, SLICE, USER, VARIANT, WINDOW, K
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.measure import Measured, Preference, measure
from recsys.evaluation.schemas import (
    DIFFERENCES_SCHEMA,
    METRICS_SCHEMA,
    PAIRS_SCHEMA,
    PER_REQUEST_SCHEMA,
    VALUE,
)
from recsys.evaluation.verdict import FEWEST_USERS, holm, judge, p_value
from recsys.metrics.bootstrap import clusters, intervals

Array = NDArray[Any]
MEAN_SEED = -1
_NAMES = (MODEL, VARIANT, SEED, WINDOW)


class Evaluated(NamedTuple):
    """Three tables, see `summarise`, `differences` and `single_requests`."""

    metrics: pl.DataFrame
    differences: pl.DataFrame
    per_request: pl.DataFrame


class _Mean(NamedTuple):
    """A mean over requests with its interval."""

    value: float
    low: float
    high: float
    n: int
    users: int


def mean_over_seeds(measured: Sequence[Measured]) -> list[Measured]:
    """One entry a model, variant, window and slice: the mean of several seeds under seed -1."""
    groups: dict[tuple[str, str, str, str], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.model, one.variant, one.window, one.slice), []).append(one)
    return [
        same[0]
        if len(same) == 1
        else same[0]._replace(seed=MEAN_SEED, values=np.mean([one.values for one in same], axis=0))
        for same in groups.values()
    ]


def _means(
    measured: Sequence[Measured], requests: pl.DataFrame, config: EvaluationConfig
) -> list[list[_Mean]]:
    """For each entry the mean of each column. What stands on the same requests is drawn in one go."""
    users = clusters(requests[USER].to_numpy())
    together: dict[tuple[str, str, bytes], list[int]] = {}
    for i, one in enumerate(measured):
        together.setdefault((one.window, one.slice, one.rows.tobytes()), []).append(i)
    out: list[list[_Mean]] = [[] for _ in measured]
    for members in together.values():
        cluster = users[measured[members[0]].rows]
        values = np.concatenate([measured[i].values for i in members], axis=1)
        found = intervals(values, cluster, config.n_boot, config.seed, config.confidence)
        column = 0
        for i in members:
            for _ in measured[i].columns:
                there = np.unique(cluster[~np.isnan(values[:, column])])
                mean, low, high, n = (float(part[column]) for part in found)
                out[i].append(_Mean(mean, low, high, int(n), len(there)))
                column += 1
    return out


def summarise(measured: Sequence[Measured], requests: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    """The metrics table: means over requests with user-clustered intervals.

    Returns
    -------
    DataFrame
        ``model, variant, seed, window, metric, k, slice, value, ci_low, ci_high, n``; seed -1 is the mean
        over several seeds.
    """
    several = [one for one in mean_over_seeds(measured) if one.seed == MEAN_SEED]
    entries = [*(one for one in measured if one.seed != MEAN_SEED), *several]
    rows = [
        (*entry[:4], metric, k, entry.slice, mean.value, mean.low, mean.high, mean.n)
        for entry, means in zip(entries, _means(entries, requests, config), strict=True)
        for (metric, k), mean in zip(entry.columns, means, strict=True)
    ]
    return pl.DataFrame(rows, schema=METRICS_SCHEMA, orient="row")


def differences(
    measured: Sequence[Measured], requests: pl.DataFrame, config: EvaluationConfig
) -> pl.DataFrame:
    """Paired differences of the reference model minus each other, request by request.

    Returns
    -------
    DataFrame
        ``model_a, model_b, variant, window, metric, k, slice, diff, low, high, n, p, p_holm, verdict``.
        ``p_holm`` is corrected for the number of models compared; ``verdict`` (better, worse, cannot
        tell) wants the interval clear of zero and the corrected p below 1 - confidence.
    """
    by_name = {(m.model, m.variant, m.window, m.slice): m for m in mean_over_seeds(measured)}
    pairs: list[Measured] = []
    for (model, variant, window, part), other in by_name.items():
        reference = by_name.get((config.reference, variant, window, part))
        if model == config.reference or reference is None:
            continue
        common, ours, theirs = np.intersect1d(reference.rows, other.rows, return_indices=True)
        pairs.append(other._replace(rows=common, values=reference.values[ours] - other.values[theirs]))
    rows = []
    for pair, means in zip(pairs, _means(pairs, requests, config), strict=True):
        for (metric, k), mean in zip(pair.columns, means, strict=True):
            p = p_value(*mean[:3], config.confidence) if mean.users >= FEWEST_USERS else 1.0
            names = (config.reference, pair.model, pair.variant, pair.window, metric, k, pair.slice)
            rows.append((*names, *mean[:4], p))
    return _judged(pl.DataFrame(rows, schema=PAIRS_SCHEMA, orient="row"), 1 - config.confidence)


def _judged(frame: pl.DataFrame, alpha: float) -> pl.DataFrame:
    """Correct p among the models compared on one metric, and judge."""
    corrected = np.ones(len(frame))
    keys = list(frame.select(VARIANT, WINDOW, METRIC, K, SLICE).rows())
    families: dict[tuple[object, ...], list[int]] = {}
    for i, key in enumerate(keys):
        families.setdefault(key, []).append(i)
    for members in families.values():
        corrected[members] = holm([frame["p"][i] for i in members])
    verdicts = [
        judge(low, high, p, alpha)
        for low, high, p in zip(frame["low"], frame["high"], corrected, strict=True)
    ]
    added = [pl.Series("p_holm", corrected, pl.Float64), pl.Series("verdict", verdicts, pl.String)]
    return frame.with_columns(added).select(DIFFERENCES_SCHEMA.names())


def single_requests(measured: Sequence[Measured], requests: pl.DataFrame) -> pl.DataFrame:
    """Each model's value of each request, for tests of one's own and to put several runs side by side.

    Returns
    -------
    DataFrame
        ``model, variant, seed, window, metric, k, slice, request, user, value``; where a metric is not
        defined there is no row. Users are codes, -1 unknown.
    """
    users = requests[USER].to_numpy()
    parts = [
        pl.DataFrame({REQUEST: one.rows, USER: users[one.rows], VALUE: one.values[:, column]})
        .filter(pl.col(VALUE).is_not_nan())
        .select(
            *(pl.lit(name).alias(column) for column, name in zip(_NAMES, one[:4], strict=True)),
            pl.lit(metric).alias(METRIC),
            pl.lit(k).alias(K),
            pl.lit(one.slice).alias(SLICE),
            REQUEST,
            USER,
            VALUE,
        )
        .cast(dict(PER_REQUEST_SCHEMA))  # type: ignore[arg-type]
        for one in measured
        for column, (metric, k) in enumerate(one.columns)
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=PER_REQUEST_SCHEMA)


def evaluate(
    predictions: pl.DataFrame | Iterable[pl.DataFrame],
    truth: pl.DataFrame,
    requests: pl.DataFrame,
    config: EvaluationConfig,
    *,
    slices: Mapping[str, Array] | None = None,
    preference: Preference | None = None,
) -> Evaluated:
    """`measure`, and the three tables that come of it."""
    measured = measure(predictions, truth, requests, config, slices=slices, preference=preference)
    return Evaluated(
        summarise(measured, requests, config),
        differences(measured, requests, config),
        single_requests(measured, requests),
    )
