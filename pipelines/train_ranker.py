"""Stage train-ranker: one LightGBM reranker for each variant, seed and set of columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.data.prepare import Prepared, load
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.pipelines.features import FEATURES, SCORES
from recsys.pipelines.models import RERANKERS, columns_of
from recsys.pipelines.probabilities import MODEL, outcomes, teaching_kind
from recsys.pipelines.rows import LOGGED, kind_of, kinds, row_block, rows_name
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant
from recsys.ranking.config import RerankerConfig
from recsys.ranking.ensemble import train_boosters
from recsys.ranking.first_stage import FIRST_STAGE
from recsys.ranking.frame import RankFrame, concat, side_by_side
from recsys.ranking.parameters import check_there
from recsys.ranking.pointwise import train_probabilities
from recsys.ranking.reranker import Reranker, count_trees, train
from recsys.ranking.search import Trial, search

Array = NDArray[Any]
TRIALS = "trials.parquet"  # of a search, where there was one


@dataclass(frozen=True)
class Config:
    """The reranker, the variants and the seeds."""

    ranker: RerankerConfig
    variants: Mapping[str, Variant]
    seeds: tuple[int, ...]


class Rows(NamedTuple):
    """A rows table as rerankers take it."""

    frame: RankFrame
    items: Array  # int32 (rows,)


def load_rows(inputs: Mapping[str, Path], name: str, data: Prepared) -> Rows:
    """Rows with features, scores and labels side by side; ``name`` as in `rows.rows_name`."""
    table = pl.read_parquet(inputs["select"] / f"{name}.parquet")
    features = pl.read_parquet(inputs["features"] / f"{name}.{FEATURES}.parquet")
    scores = pl.read_parquet(inputs["features"] / f"{name}.{SCORES}.parquet")
    labelled = table.select(c.REQUEST, c.ITEM).join(
        data.truth.select(c.REQUEST, c.ITEM, c.LABEL, c.POSITION),
        on=[c.REQUEST, c.ITEM],
        how="left",
        maintain_order="left",
    )
    labels = labelled[c.LABEL].fill_null(0).cast(pl.UInt8).to_numpy()
    placed = labelled[c.POSITION].null_count() == 0
    positions = labelled[c.POSITION].cast(pl.Int16).to_numpy() if placed else None
    first = table.select(f"^{FIRST_STAGE}.*$")
    blocks = [
        (tuple(frame.columns), frame.to_numpy().astype(np.float32))
        for frame in (features, scores, first)
        if frame.width
    ]
    frame = side_by_side(blocks, row_block(table, len(data.requests)).offsets, labels, positions)
    return Rows(frame, table[c.ITEM].to_numpy())


@dataclass(frozen=True)
class Lists:
    """Lists that may teach: frames of the same columns, each over all requests."""

    frames: tuple[RankFrame, ...]

    def where(self, keep: Array) -> RankFrame:
        """The lists of some requests (bool, shape (requests,)), of every kind."""
        return concat([frame.select_requests(keep) for frame in self.frames])


def lists_of(model: str, rows: Mapping[str, Rows], learn: str, config: RerankerConfig) -> Lists:
    """What a reranker learns from, with its own columns: the rows that it ranks, logged lists, or both.

    Raises
    ------
    ConfigError
        Where the config names a column that is not there.
    """
    ranked = kind_of(model, rows)
    wanted = {"retrieved": (ranked,), "logged": (LOGGED,), "both": (ranked, LOGGED)}[learn]
    frames = [rows[kind].frame for kind in wanted if kind in rows] or [rows[ranked].frame]
    there = frames[0].columns
    for key in ("leave_out", "monotone", "categorical"):
        check_there(key, getattr(config, key), there)
    columns = [name for name in columns_of(model, there) if name not in config.leave_out]
    return Lists(tuple(frame.select_columns(columns) for frame in frames))


def fit(lists: Lists, window: Array, fold: Array, variant: Variant, config: RerankerConfig) -> Reranker:
    """Train on the variant's windows; the number of trees comes from *valid*, or from folds of users."""
    teach = np.isin(window, variant.train)
    if variant.stop == "valid":
        return train_boosters(lists.where(teach), lists.where(window == "valid"), config)
    learn = lists.where(teach)
    trees, _ = count_trees(learn, np.tile(fold[teach], len(lists.frames)), config)
    return train_boosters(learn, None, config, num_iterations=trees)


def searched(
    lists: Lists, window: Array, fold: Array, variant: Variant, config: RerankerConfig
) -> tuple[RerankerConfig, tuple[Trial, ...]]:
    """Settings found by the NDCG of what chooses the number of trees: *valid*, or folds of users."""
    teach = np.isin(window, variant.train)
    learn, valid = lists.where(teach), lists.where(window == "valid")
    folds = np.tile(fold[teach], len(lists.frames))

    def ndcg(tried: RerankerConfig) -> float:
        if variant.stop == "valid":
            return train(learn, valid, tried).valid_ndcg or 0.0
        return count_trees(learn, folds, tried)[1]

    return search(ndcg, config)


def applied(names: Sequence[str], config: RerankerConfig, words: Sequence[str]) -> RerankerConfig:
    """The config with what applies to these columns: categorical ones, and monotone directions."""
    monotone = {name: sign for name, sign in config.monotone.items() if name in names}
    categorical = tuple(name for name in dict.fromkeys((*words, *config.categorical)) if name in names)
    return replace(config, monotone=monotone, categorical=categorical)


def words_of(data: Prepared) -> tuple[str, ...]:
    """The columns that hold words, as codes."""
    return (*item_attributes(data.items).vocabularies, *user_attributes(data.users).vocabularies)


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Train every reranker of the vocabulary."""
    data = load(inputs["prepare"])
    words = words_of(data)
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    fold = data.requests[c.FOLD].to_numpy()
    metrics: list[tuple[str, float, int]] = []
    saw: dict[str, str] = {}
    read: dict[str, int] = {}
    probable: dict[str, Any] = {}
    trials: list[dict[str, Any]] = []
    for name, variant in config.variants.items():
        rows = {kind: load_rows(inputs, rows_name(name, kind), data) for kind in kinds(data)}
        read |= {rows_name(name, kind): table.frame.n_rows for kind, table in rows.items()}
        ranker = config.ranker
        if ranker.search.trials:
            lists = lists_of(MODEL, rows, variant.learn, ranker)
            first = applied(lists.frames[0].columns, replace(ranker, seed=config.seeds[0]), words)
            found, tried = searched(lists, window, fold, variant, first)
            ranker = replace(ranker, **{key: getattr(found, key) for key in tried[0].settings})
            saw[f"settings {name}"] = "valid" if variant.stop == "valid" else "+".join(variant.train)
            trials += [{c.VARIANT: name, "trial": i, **_told(trial)} for i, trial in enumerate(tried)]
        for model in RERANKERS:
            lists = lists_of(model, rows, variant.learn, ranker)
            for seed in config.seeds:
                settings = applied(lists.frames[0].columns, replace(ranker, seed=seed), words)
                reranker = fit(lists, window, fold, variant, settings)
                folder = out / name / model / str(seed)
                reranker.save(folder)
                metrics.append((f"{name}/{model}/trees", float(reranker.best_iteration), seed))
                kind = teaching_kind(data, rows, config.ranker.probabilities) if model == MODEL else None
                if kind is not None:
                    shown = rows[kind].frame.select_columns(reranker.columns)
                    teach = np.isin(window, variant.train)
                    chances = train_probabilities(
                        shown.select_requests(teach), fold[teach], settings, kind, outcomes(data)
                    )
                    if chances is not None:
                        chances.save(folder)
                        probable[f"{name}/{seed}"] = chances.learned
                        saw[f"probabilities {name}"] = "+".join(variant.train)
        saw[f"reranker {name}"] = "+".join(variant.train)
        saw[f"tree count {name}"] = "valid" if variant.stop == "valid" else "+".join(variant.train)
    if trials:
        pl.DataFrame(trials).write_parquet(out / TRIALS)
    return Facts(
        rows=read,
        saw=saw,
        metrics=tuple(metrics),
        artifacts=(TRIALS,) if trials else (),
        notes={"probabilities": probable},
    )


def _told(trial: Trial) -> dict[str, float]:
    """A trial as a row of the table of trials."""
    return {"ndcg": trial.value, "seconds": trial.seconds} | {
        name: float(value) for name, value in trial.settings.items()
    }


STAGE = Stage(
    "train-ranker",
    work,
    (
        "recsys.ranking",
        "recsys.pipelines.models",
        "recsys.pipelines.probabilities",
        "recsys.pipelines.rows",
        "recsys.pipelines.train_ranker",
    ),
)
