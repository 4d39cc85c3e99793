"""Stage candidates: what each source offers at each request, merged into a pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys.candidates.merge import Pool
from recsys.candidates.sources import CandidatesConfig, make_pool, offer_all
from recsys.core import columns as c
from recsys.core.log import heads
from recsys.data.prepare import Prepared, load
from recsys.data.requests import request_arrays
from recsys.evaluation.past import items_before
from recsys.interest.score import query_vectors
from recsys.interest.user import load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.pipelines.rows import shown_pool
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant, cuts_of
from recsys.state.family import StateConfig


@dataclass(frozen=True)
class Config:
    """The sources, the neighbour lists they read, the variants, and whether seen items are offered."""

    candidates: CandidatesConfig
    features: StateConfig
    variants: Mapping[str, Variant]
    exclude_seen: bool = False


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """One pool a variant; logged lists are their own pool."""
    data = load(inputs["prepare"])
    rows = {}
    for name, variant in config.variants.items():
        logged = data.meta["rows"] == "logged"
        pool = shown_pool(data) if logged else _retrieved(inputs, config, data, variant)
        pool.frame().write_parquet(out / f"{name}.parquet")
        rows[name] = len(pool.items)
    return Facts(rows=rows)


def _retrieved(inputs: Mapping[str, Path], config: Config, data: Prepared, variant: Variant) -> Pool:
    requests = request_arrays(data.requests)
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    clock = bool(data.meta["clock"])
    snapshot = "daily" if clock else None  # without a clock there are no days: the state as of the request
    cuts = cuts_of(data.log, requests, window, data.windows, variant, snapshot)
    tower = load_user_tower(inputs["train-encoder"], clock)
    vectors = load_vectors(inputs["embed"])
    compared, queries = vectors.raw, None
    if config.candidates.nearest_by == "interest":
        compared = vectors.tuned
        queries = query_vectors(tower, compared, data.log, heads(data.log, requests.user, cuts["user"]))
    gone = items_before(data.log, requests.user, cuts["user"]) if config.exclude_seen else None
    offers = offer_all(
        data.log,
        data.item_table,
        requests,
        cuts,
        config.candidates,
        clock=clock,
        state=config.features,
        vectors=compared,
        queries=queries,
        gone=gone,
    )
    return make_pool(offers, data.item_table, requests, config.candidates, gone)


STAGE = Stage(
    "candidates",
    work,
    (
        "recsys.candidates",
        "recsys.evaluation.past",
        "recsys.state",
        "recsys.interest",
        "recsys.pipelines.candidates",
        "recsys.pipelines.rows",
        "recsys.pipelines.variants",
    ),
)
