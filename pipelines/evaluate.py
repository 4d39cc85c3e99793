"""Stage evaluate: every model's predictions, their metrics with intervals, and the report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core import tables
from recsys.core.as_of import available
from recsys.core.errors import ConfigError
from recsys.core.log import RowBlock
from recsys.data.prepare import Prepared, load
from recsys.data.requests import request_arrays
from recsys.evaluation.baselines.rank import ScoreFn, rank_catalogue, rank_lists, score_lists
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.past import had_before, item_events, seen_items, user_events
from recsys.evaluation.slices import make_slices
from recsys.pipelines.baselines import Asked, baselines
from recsys.pipelines.models import RERANKERS
from recsys.pipelines.prepare import TRUE_PREFERENCE
from recsys.pipelines.probabilities import MODEL, RELIABILITY, check_shown, of_rows, shown_kind
from recsys.pipelines.reads import count_read
from recsys.pipelines.recall import recall_of
from recsys.pipelines.report import write_report
from recsys.pipelines.rows import LOGGED, kind_of, kinds, rows_name
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.settings import EvaluateConfig
from recsys.pipelines.shop_references import shop_references
from recsys.pipelines.train_ranker import load_rows
from recsys.pipelines.variants import Variant, cuts_of
from recsys.ranking.reranker import Reranker

Array = NDArray[Any]
PREDICTIONS, METRICS, DIFFERENCES, PER_REQUEST, RECALL, REPORT = (
    "predictions.parquet",
    "metrics.parquet",
    "differences.parquet",
    "per_request.parquet",
    "recall.parquet",
    "report.html",
)


@dataclass(frozen=True)
class Config:
    """What is measured, for which variants and seeds."""

    name: str
    evaluation: EvaluateConfig
    variants: Mapping[str, Variant]
    seeds: tuple[int, ...]
    features: Any = None  # the feature rows, for the words of the report


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Predict, measure, write the report."""
    data = load(inputs["prepare"])
    chosen = {f.name: getattr(config.evaluation, f.name) for f in fields(EvaluationConfig)}
    settings = EvaluationConfig(**chosen | {"rows": data.meta["rows"]})  # what competes is what was ranked
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    windows = ("valid", "test") if config.evaluation.read_test else ("valid",)
    reads = count_read(out, config.name, truth_of(data, "test")) if config.evaluation.read_test else None

    parts: list[pl.DataFrame] = []
    slices: dict[str, Array] = {}
    told: dict[str, Array] = {}  # the requests that each variant is measured on
    preference = None
    requests = request_arrays(data.requests)
    for name, variant in config.variants.items():
        rows = np.flatnonzero(np.isin(window, windows) & ~np.isin(window, variant.train))
        if not len(rows):
            continue  # what a variant learned is not what it is measured on
        cuts = cuts_of(data.log, requests, window, data.windows, variant)
        asked = Asked(data, rows, cuts, bool(data.meta["clock"]))
        references, preference = shop_references(asked.data, rows, cuts, inputs["prepare"] / TRUE_PREFERENCE)
        scores = baselines(inputs, asked, config.evaluation, config.seeds[0]) | references
        for model, score in scores.items():
            frame = ranked(score, asked, data, exclude_seen=config.evaluation.exclude_seen)
            parts.append(_named(frame, model, name, config.seeds[0]))
        parts += [
            _named(frame, model, name, seed)
            for model, seed, frame in _reranked(inputs, name, asked, config.seeds)
        ]
        told[name] = np.isin(np.arange(len(window)), rows)
        slices = slices or _slices(data, cuts)  # of the first variant, so that slices mean the same for all
    if not parts:
        raise ConfigError(
            "variants",
            expected=f"one that did not learn {' and '.join(windows)}, on which it is measured",
            found=", ".join(config.variants),
            do="Set evaluation.read_test=true, or add a variant that leaves a window aside.",
        )
    predictions = tables.check(pl.concat(parts, how="diagonal_relaxed"), tables.PREDICTIONS)
    metrics, differences, per_request = evaluate(
        predictions.partition_by(c.MODEL, c.VARIANT, c.SEED, maintain_order=True),
        data.truth,
        data.requests,
        settings,
        slices=slices,
        preference=preference,
    )
    calibration, reliability = calibrated(inputs, data, config.seeds, window, told)
    predictions.write_parquet(out / PREDICTIONS)
    everything = pl.concat([metrics, calibration])
    tables.check(everything, tables.METRICS).write_parquet(out / METRICS)
    reliability.write_parquet(out / RELIABILITY)
    differences.write_parquet(out / DIFFERENCES)
    per_request.write_parquet(out / PER_REQUEST)
    artifacts: tuple[str, ...] = (METRICS, DIFFERENCES, RELIABILITY)
    reached = np.flatnonzero(np.isin(window, ("rank", *windows)))
    recall = recall_of(inputs, tuple(config.variants), reached, data)
    if recall is not None:
        recall.write_parquet(out / RECALL)
        artifacts = (*artifacts, RECALL)
    write_report(
        out / REPORT, inputs, data, config, settings, metrics, differences, recall, reads, reliability
    )
    return Facts(metrics=_numbers(everything, config.seeds), artifacts=artifacts)


def calibrated(
    inputs: Mapping[str, Path],
    data: Prepared,
    seeds: tuple[int, ...],
    window: Array,
    told: Mapping[str, Array],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """How well probabilities hold on shown lists: rows of the metrics table, and the bins behind them."""
    kind = shown_kind(data, kinds(data))
    folders = {
        (variant, seed): inputs["train-ranker"] / variant / MODEL / str(seed)
        for variant in told
        for seed in seeds
    }
    shown = (
        {variant: load_rows(inputs, rows_name(variant, kind), data).frame for variant in told} if kind else {}
    )
    return check_shown(folders, shown, window, told)


def truth_of(data: Prepared, window: str) -> pl.DataFrame:
    """Targets of a window, by the ids of the raw data."""
    asked = data.requests.filter(pl.col(c.WINDOW) == window).select(c.REQUEST, c.REQUEST_ID)
    items = data.items.select(c.ITEM_ID).with_row_index(c.ITEM).cast({c.ITEM: pl.Int32})
    targets = data.truth.filter(pl.col(c.LABEL) > 0)
    found = targets.join(asked, on=c.REQUEST).join(items, on=c.ITEM)
    return found.select(c.REQUEST_ID, c.ITEM_ID, c.LABEL)


def ranked(score: ScoreFn, asked: Asked, data: Prepared, *, exclude_seen: bool = False) -> pl.DataFrame:
    """A baseline's predictions: of the logged lists, or of the whole available catalogue."""
    item_ids = data.items[c.ITEM_ID]
    if data.meta["rows"] == "logged":
        asks = pl.col(c.REQUEST).is_in(pl.Series(asked.rows).cast(pl.Int32).implode())
        shown = data.truth.filter(asks & pl.col(c.SHOWN))  # the same lists as the rerankers'
        offsets = np.searchsorted(shown[c.REQUEST].to_numpy(), np.append(asked.rows, asked.rows[-1] + 1))
        block = RowBlock(offsets.astype(np.int64), shown[c.ITEM].to_numpy())
        values = score_lists(score, block, len(item_ids), rows=asked.rows)
        return rank_lists(values, block, data.requests, item_ids, rows=asked.rows)
    times = request_arrays(data.requests).time
    seen = seen_items(data.log, asked.user, asked.cuts["user"], len(item_ids)) if exclude_seen else None

    def mask(rows: Array) -> Array:
        there = np.stack([available(data.item_table, int(times[r])) for r in rows])
        return there & ~seen(rows) if seen else there

    return rank_catalogue(score, data.requests, data.truth, item_ids, rows=asked.rows, available=mask)


def _reranked(
    inputs: Mapping[str, Path], variant: str, asked: Asked, seeds: tuple[int, ...]
) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Predictions of the rerankers on the rows that are theirs; what does not compete is not among them."""
    data, rows = asked.data, asked.rows
    lists = {
        kind: load_rows(inputs, rows_name(variant, kind), data) for kind in kinds(data) if kind != LOGGED
    }
    keep = np.zeros(len(data.requests), np.bool_)
    keep[rows] = True
    for model in RERANKERS:
        own = lists[kind_of(model, lists)]
        of_request = np.repeat(keep, own.frame.groups)
        frame = own.frame.select_requests(keep)
        block = RowBlock(frame.offsets, own.items[of_request])
        for seed in seeds:
            folder = inputs["train-ranker"] / variant / model / str(seed)
            scores = Reranker.load(folder).predict_frame(frame)
            predicted = rank_lists(scores, block, data.requests, data.items[c.ITEM_ID], rows=rows)
            chances = of_rows(folder, frame, block.items, rows)
            if chances is not None:
                on = [c.REQUEST, c.ITEM]
                predicted = predicted.join(chances, on=on, how="left", maintain_order="left")
            yield model, seed, predicted


def _named(frame: pl.DataFrame, model: str, variant: str, seed: int) -> pl.DataFrame:
    return frame.select(
        pl.lit(model).alias(c.MODEL),
        pl.lit(variant).alias(c.VARIANT),
        pl.lit(seed, pl.Int32).alias(c.SEED),
        pl.all(),
    )


def _slices(data: Prepared, cuts: Mapping[str, Array]) -> dict[str, Array]:
    """Slices over the rows of the truth: cold items, light users, repeats."""
    request, item = data.truth[c.REQUEST].to_numpy(), data.truth[c.ITEM].to_numpy()
    user = data.requests[c.USER].to_numpy()[request]
    own, shared = cuts["user"][request], cuts["item"][request]
    return make_slices(
        n_item_events=item_events(data.log, item, shared),
        n_user_events=user_events(data.log, user, own),
        is_repeat=had_before(data.log, user, item, own),
    )


def _numbers(metrics: pl.DataFrame, seeds: tuple[int, ...]) -> tuple[tuple[str, float, int], ...]:
    """The metrics of all requests, as the tracker names them."""
    whole = metrics.filter(pl.col(c.SLICE) == "all", pl.col(c.SEED) == (seeds[0] if len(seeds) == 1 else -1))
    return tuple(
        (
            f"{row[c.WINDOW]}/{row[c.VARIANT]}/{row[c.MODEL]}/{row[c.METRIC]}"
            + (f"@{row[c.K]}" if row[c.K] else ""),
            row["value"],
            0,
        )
        for row in whole.iter_rows(named=True)
        if row["value"] is not None and np.isfinite(row["value"])
    )


STAGE = Stage(
    "evaluate",
    work,
    (
        "recsys.candidates",
        "recsys.evaluation",
        "recsys.metrics",
        "recsys.interest",
        "recsys.ranking",
        "recsys.pipelines.baselines",
        "recsys.pipelines.evaluate",
        "recsys.pipelines.models",
        "recsys.pipelines.probabilities",
        "recsys.pipelines.recall",
        "recsys.pipelines.report",
        "recsys.pipelines.shop_references",
        "recsys.pipelines.variants",
    ),
)
