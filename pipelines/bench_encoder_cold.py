"""What items lose without their ids: the figure ``cold_keep`` of the demo shop.

The encoder learns with ids, some of them dropped in each step. Then the id parts of a random fifth of the
items are taken away, as if those items were new, and the same requests are answered again.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import Policy, cut
from recsys.core.log import heads
from recsys.data.prepare import Prepared
from recsys.data.prepare import load as load_prepared
from recsys.data.requests import request_arrays
from recsys.interest.score import query_vectors
from recsys.interest.user import UserTower, load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.pipelines import warm
from recsys.pipelines.bench import Figure, spread
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load

Array = NDArray[Any]
# a vectors-only encoder has the same vectors, and spares the export
DEMO = ("data=shop", "encoder=adapter", "encoder.export=vectors", "tracking=none", "threads=1")
WITH_IDS = "encoder.ids.kind=plain"
NAMES = ("cold_keep", "ids_ndcg")
WINDOW, COLD, DRAWS, K, BLOCK = "valid", 0.2, 5, 10, 256


class Asked(NamedTuple):
    """The targets of a window's requests, one row each."""

    data: Prepared
    head: Array  # int64, the entrance to the user's history as of the request
    item: Array  # int32 code


class Trained(NamedTuple):
    """A trained encoder."""

    tower: UserTower
    text: Array  # float32 (items, dims), the texts' part of the item vectors
    tuned: Array  # float32 (items, dims), the whole


def cold_figures(quick: bool) -> list[Figure]:
    """Train with and without ids; answer the requests of *valid* from the whole catalogue.

    Parameters
    ----------
    quick : bool
        On a shop of toy size, where the numbers mean nothing.
    """
    base = warm.TOY if quick else DEMO
    with tempfile.TemporaryDirectory() as root:
        asked, ids = _trained([*base, WITH_IDS], Path(root))
        _, without = _trained([*base], Path(root))
        whole = gains(asked, ids.tower, ids.tuned)
        plain = float(gains(asked, without.tower, without.tuned).mean())
        kept = [_kept(asked, ids, whole, draw) for draw in range(2 if quick else DRAWS)]
    found, share = float(whole.mean()), spread([one for one in kept if one == one] or [float("nan")])
    made = f"{len(whole):,} targets of the window {WINDOW}, ranked in the whole catalogue by the click head"
    return [
        Figure(
            "cold_keep",
            share.middle,
            f"of NDCG@{K}",
            "the same model and requests with all ids",
            0.8,
            "min",
            share.low,
            share.high,
            f"targets among a random {COLD:.0%} of items without id part, {len(kept)} draws; {made}",
        ),
        Figure("ids_ndcg", found, f"NDCG@{K}", f"{plain:.4f} without ids", note=made),
    ]


def _trained(overrides: list[str], root: Path) -> tuple[Asked, Trained]:
    config, _ = load(overrides)
    done = walk(Runner(root / "work", root / "run", say=lambda line: None), config, "embed")
    encoder = done["train-encoder"].folder
    data = load_prepared(done["prepare"].folder)
    requests = request_arrays(data.requests)
    entrance = heads(data.log, requests.user, cut(data.log, requests, Policy())["user"])
    window = data.requests.filter(pl.col(c.WINDOW) == WINDOW).select(c.REQUEST)
    wanted = data.truth.filter(pl.col(c.LABEL) > 0).join(window, on=c.REQUEST, maintain_order="left")
    asked = Asked(data, entrance[wanted[c.REQUEST].to_numpy()], wanted[c.ITEM].to_numpy())
    tower = load_user_tower(encoder, bool(data.meta["clock"]))
    whole = load_vectors(done["embed"].folder)
    return asked, Trained(tower, np.array(load_vectors(encoder).tuned), np.array(whole.tuned))


def gains(asked: Asked, tower: UserTower, vectors: Array) -> Array:
    """NDCG at 10 of each target alone, ties at their mid rank: float64, shape (targets,)."""
    out = np.zeros(len(asked.item))
    users = query_vectors(tower, vectors, asked.data.log, asked.head)
    for start in range(0, len(out), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = users[rows] @ vectors.T
        own = np.take_along_axis(scores, asked.item[rows, None].astype(np.int64), 1)
        rank = 1 + (scores > own).sum(1) + 0.5 * ((scores == own).sum(1) - 1)
        out[rows] = np.where(rank <= K, 1 / np.log2(rank + 1), 0)
    return out


def _kept(asked: Asked, model: Trained, whole: Array, draw: int) -> float:
    """The share of NDCG that targets among the cold items keep."""
    n = len(model.tuned)
    cold = np.zeros(n, np.bool_)
    cold[np.random.default_rng(draw).choice(n, round(COLD * n), replace=False)] = True
    vectors = np.where(cold[:, None], model.text, model.tuned)
    among = cold[asked.item]
    before = whole[among].sum()
    return float(gains(asked, model.tower, vectors)[among].sum() / before) if before else float("nan")
