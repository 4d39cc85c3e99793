"""How much of what the demo shop's log can teach is learned: the library call against ``learnable``.

The reference knows the true attributes of every item and fits each user's log to them; what it misses, no
model can know. Both rank every item of a kind that could be had, request by request, and are judged by the
true preference for them.
"""

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import available
from recsys.data.requests import request_arrays
from recsys.evaluation.true_preference import true_preference_ndcg
from recsys.metrics.bootstrap import clusters, ratio
from recsys.pipelines.bench import Figure
from recsys.pipelines.bench_encoder_inputs import SHOP, left_out
from recsys.pipelines.bench_quality_runs import config_of, stages_of
from recsys.pipelines.bench_told import Told
from recsys.pipelines.parity import interleave, read_offline, write_snapshot
from recsys.pipelines.path import stage_configs
from recsys.pipelines.prepare import TRUE_PREFERENCE
from recsys.pipelines.shop_references import shop_references
from recsys.pipelines.variants import cuts_of
from recsys.serving.ranker import Ranker

Array = NDArray[Any]
WARM, NEW = "warm", "new"
SHARES: Mapping[str, tuple[str, float]] = {
    "shop_learnable_share_warm": (WARM, 0.95),
    "shop_learnable_share_new": (NEW, 0.85),
}
K = 10
MOST_REQUESTS = 1_000  # evenly out of the window's


class Judged(NamedTuple):
    """NDCG of both, request by request: float64 (requests,), NaN where nothing of the kind could be had."""

    full: Array
    learnable: Array
    users: Array


def share(name: str, told: Told) -> list[Figure]:
    """NDCG of ``full`` over that of ``learnable``, among warm items or new ones; the mean over seeds."""
    kind, goal = SHARES[name]
    runs = [judged(seed, told)[kind] for seed in told.seeds]
    full, learnable = (
        np.mean([getattr(run, side) for run in runs], axis=0) for side in ("full", "learnable")
    )
    there = ~np.isnan(full)
    if not there.any():
        return left_out([name], f"no {kind} items in the window {told.window}")
    full, learnable, users = full[there], learnable[there], runs[0].users[there]
    value, low, high, requests = ratio(full, learnable, users)
    what = "that came in the window" if kind == NEW else "that were there before the window"
    note = (
        f"NDCG@{K} of the true preference among items {what}: {full.mean():.4f} and {learnable.mean():.4f} "
        f"of the oracle's 1; {requests:,} requests of {told.window}, {len(told.seeds)} seeds"
    )
    return [Figure(name, value, "times", "learnable", goal, "min", low, high, note)]


@functools.cache
def judged(seed: int, told: Told) -> Mapping[str, Judged]:
    """Lead the model of one run over the window, and rank all items of each kind at each request."""
    stages, (config, _) = stages_of(SHOP, seed, told), config_of(SHOP, seed, told)
    offline = read_offline(stages, config.served, seed, told.window)
    data = offline.data
    rows = offline.requests[c.REQUEST].to_numpy().astype(np.int64)
    asked = rows[np.unique(np.linspace(0, len(rows) - 1, min(MOST_REQUESTS, len(rows))).astype(np.int64))]
    every = request_arrays(data.requests)
    window = data.requests[c.WINDOW].cast(str).to_numpy()
    cuts = cuts_of(data.log, every, window, data.windows, config.variants[config.served])
    references, preference = shop_references(data, rows, cuts, stages["prepare"] / TRUE_PREFERENCE)
    assert preference is not None
    is_new = data.item_table.available_from >= data.windows.start(told.window)
    kinds = {WARM: ~is_new, NEW: is_new}
    ids = data.items[c.ITEM_ID].to_numpy()
    code = {name: i for i, name in enumerate(ids)}
    lists = {kind: np.full((len(asked), K), -1, np.int64) for kind in kinds}
    place = {request: i for i, request in enumerate(asked.tolist())}
    with tempfile.TemporaryDirectory() as folder:
        snapshot = write_snapshot(
            stages,
            stage_configs(config)["bundle"],
            Path(folder) / "model",
            told.window,  # type: ignore[arg-type]
        )
        ranker = Ranker.load(snapshot)
        for request, user, moment in interleave(ranker, offline):
            if request not in place:
                continue
            there = available(data.item_table, int(every.time[request]))
            for kind, mask in kinds.items():
                answer = ranker.rank(user, ids[there & mask], at=moment, k=K)
                lists[kind][place[request], : len(answer.item_ids)] = [code[one] for one in answer.item_ids]
    gains, scores = preference(asked), references["learnable"](asked)
    users, found = clusters(data.requests[c.USER].to_numpy()[asked]), {}
    for kind, mask in kinds.items():
        worth = np.where(mask, gains, 0.0)
        known = _best(np.where(worth > 0, scores, -np.inf))
        found[kind] = Judged(
            true_preference_ndcg(lists[kind], worth, K), true_preference_ndcg(known, worth, K), users
        )
    return found


def _best(scores: Array) -> Array:
    """Items of the best scores, best first, -1 beyond those there are."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return np.where(np.isfinite(np.take_along_axis(scores, order, axis=1)), order, -1)
