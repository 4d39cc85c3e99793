"""Stage train-ranker: one LightGBM reranker for each variant, seed and set of columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.data.prepare import Prepared, load
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.pipelines.features import FEATURES, SCORES
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant
from recsys.ranking.frame import RankFrame, side_by_side
from recsys.ranking.reranker import Reranker, RerankerConfig, train

Array = NDArray[Any]
RERANKERS = ("full", "no_interest", "behaviour_only", "text_only")
TEXT_SOURCES = ("nearest",)


@dataclass(frozen=True)
class Config:
    """The reranker, the variants and the seeds."""

    ranker: RerankerConfig
    variants: Mapping[str, Variant]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """A variant's rows: the frame of all columns, and which source offered each row."""

    frame: RankFrame
    items: Array  # int32 (rows,)
    offered: Mapping[str, Array]  # source -> bool (rows,)

    def keep(self, mask: Array) -> "Rows":
        """Some of the rows; requests keep their places."""
        ends = np.concatenate(([0], np.cumsum(mask)))
        frame = RankFrame(
            self.frame.columns,
            np.ascontiguousarray(self.frame.values[mask]),
            ends[self.frame.offsets].astype(np.int64),
            self.frame.labels[mask],
            None if self.frame.positions is None else self.frame.positions[mask],
        )
        return Rows(frame, self.items[mask], {name: flag[mask] for name, flag in self.offered.items()})


def columns_of(model: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns that a reranker of the vocabulary may read."""
    text = [name for name in names if name.startswith(("interest_", "text_similarity_"))]
    chosen = {
        "full": list(names),
        "no_interest": [name for name in names if not name.startswith("interest_")],
        "behaviour_only": [name for name in names if name not in text],
        "text_only": text,
    }
    return tuple(chosen[model])


def rows_of(model: str, rows: Rows) -> Rows:
    """The rows that a reranker may rank: those that its own kind of source offered, alone.

    Logged lists, and a catalogue that is pooled whole, are everyone's.
    """
    text = [flag for name, flag in rows.offered.items() if name in TEXT_SOURCES]
    rest = [flag for name, flag in rows.offered.items() if name not in TEXT_SOURCES]
    own = {"text_only": text, "behaviour_only": rest}.get(model, [])
    return rows.keep(np.any(own, axis=0)) if own and text and rest else rows


def load_rows(inputs: Mapping[str, Path], name: str, data: Prepared) -> Rows:
    """A variant's rows with features, scores and labels side by side."""
    table = pl.read_parquet(inputs["select"] / f"{name}.parquet")
    features = pl.read_parquet(inputs["features"] / f"{name}.{FEATURES}.parquet")
    scores = pl.read_parquet(inputs["features"] / f"{name}.{SCORES}.parquet")
    labelled = table.select(c.REQUEST, c.ITEM).join(
        data.truth.select(c.REQUEST, c.ITEM, c.LABEL, *(n for n in (c.POSITION,) if n in data.truth.columns)),
        on=[c.REQUEST, c.ITEM],
        how="left",
        maintain_order="left",
    )
    offsets = np.searchsorted(table[c.REQUEST].to_numpy(), np.arange(len(data.requests) + 1)).astype(np.int64)
    positions = None
    if (
        data.meta["rows"] == "logged"
        and c.POSITION in labelled.columns
        and labelled[c.POSITION].null_count() == 0
    ):
        positions = labelled[c.POSITION].cast(pl.Int16).to_numpy()
    blocks = [
        (frame.columns, frame.to_numpy().astype(np.float32, copy=False)) for frame in (features, scores)
    ]
    frame = side_by_side(blocks, offsets, labelled[c.LABEL].fill_null(0).cast(pl.UInt8).to_numpy(), positions)
    sources = [n.removeprefix("rank_") for n in table.columns if n.startswith("rank_")]
    offered = {s: table[f"rank_{s}"].is_not_null().to_numpy() for s in sources}
    return Rows(frame, table[c.ITEM].to_numpy(), offered)


def fit(frame: RankFrame, window: Array, fold: Array, variant: Variant, config: RerankerConfig) -> Reranker:
    """Train on the variant's windows; the number of trees comes from *valid*, or from a fold of users."""
    teach = np.isin(window, variant.train)
    learn = frame.select_requests(teach)
    if variant.stop == "valid":
        return train(learn, frame.select_requests(window == "valid"), config)
    held = fold[teach] == 0
    probe = train(learn.select_requests(~held), learn.select_requests(held), config)
    return train(learn, None, config, num_iterations=probe.best_iteration)


def categorical(names: Sequence[str], config: RerankerConfig, words: Sequence[str]) -> RerankerConfig:
    """The config with what applies to these columns: categorical ones, and monotone directions."""
    monotone = {name: sign for name, sign in config.monotone.items() if name in names}
    return replace(config, monotone=monotone, categorical=tuple(name for name in words if name in names))


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Train every reranker of the vocabulary."""
    data = load(inputs["prepare"])
    words = (*item_attributes(data.items).vocabularies, *user_attributes(data.users).vocabularies)
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    fold = data.requests[c.FOLD].to_numpy()
    metrics: list[tuple[str, float, int]] = []
    saw = {}
    for name, variant in config.variants.items():
        rows = load_rows(inputs, name, data)
        for model in RERANKERS:
            own = rows_of(model, rows)
            columns = columns_of(model, own.frame.columns)
            frame = own.frame.select_columns(columns)
            for seed in config.seeds:
                settings = categorical(columns, replace(config.ranker, seed=seed), words)
                reranker = fit(frame, window, fold, variant, settings)
                reranker.save(out / name / model / str(seed))
                metrics.append((f"{name}/{model}/trees", float(reranker.best_iteration), seed))
        saw[f"reranker {name}"] = "+".join(variant.train)
        saw[f"tree count {name}"] = "valid" if variant.stop == "valid" else "+".join(variant.train)
    return Facts(saw=saw, metrics=tuple(metrics))


STAGE = Stage("train-ranker", work, ("recsys.ranking", "recsys.pipelines.train_ranker"))
