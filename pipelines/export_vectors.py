"""The command ``recsys export-vectors``: item vectors in less room, and what that costs.

The cost is measured on requests of the window *valid*: the catalogue is ranked by the user tower and the
vectors as they were, and once more with what was stored in their place, histories included.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import Policy, cut
from recsys.core.log import heads
from recsys.core.progress import working
from recsys.data.prepare import Prepared, load
from recsys.data.requests import request_arrays
from recsys.interest.compact import VectorsConfig, compact, expand, save_compact
from recsys.interest.score import catalogue_scores
from recsys.interest.user import UserTower, load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.metrics.ranking import lists, per_request, positives
from recsys.pipelines import atomic
from recsys.pipelines.opening import opened
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Facts, Stage

Array = NDArray[Any]
COST = "cost.json"
VECTORS = "vectors"
K = 10
_CHUNK = 64  # requests whose scores of the whole catalogue are held at once


def ndcg(tower: UserTower, vectors: Array, data: Prepared, rows: Array) -> Array:
    """NDCG at 10 of some requests over the whole catalogue, any target gaining 1; float64 (requests,).

    Parameters
    ----------
    tower : UserTower
    vectors : float32 array, shape (items, dims)
    data : Prepared
    rows : int array
        Of the table of requests; each with a target.
    """
    asked = request_arrays(data.requests)
    entrance = heads(data.log, asked.user, cut(data.log, asked, Policy())["user"])
    targets = data.truth.filter(pl.col(c.LABEL) > 0)
    request, item = targets[c.REQUEST].to_numpy(), targets[c.ITEM].to_numpy()
    order = np.argsort(request, kind="stable")
    request, item = request[order], item[order]
    found = []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        scores = catalogue_scores(tower, vectors, data.log, entrance[part])
        gains = np.zeros_like(scores)
        first, stop = np.searchsorted(request, part), np.searchsorted(request, part, side="right")
        for row, (a, b) in enumerate(zip(first, stop, strict=True)):
            gains[row, item[a:b]] = 1.0
        scores = np.where(np.isnan(scores), -np.inf, scores)
        offsets = np.arange(len(part) + 1) * scores.shape[1]
        ranked = positives(lists(offsets, scores.ravel(), gains.ravel()))
        found.append(per_request(ranked, "ndcg", K))
    return np.concatenate(found) if found else np.empty(0)


def work(inputs: Mapping[str, Path], config: VectorsConfig, out: Path) -> Facts:
    """Write the vectors by item code, the ids beside them, and the cost."""
    data, whole = load(inputs["prepare"]), load_vectors(inputs["embed"]).tuned
    stored = compact(whole, config)
    save_compact(stored, out / VECTORS)
    data.items.select(c.ITEM_ID).write_parquet(out / VECTORS / "items.parquet")
    tower = load_user_tower(inputs["train-encoder"], bool(data.meta["clock"]))
    rows = _valid(data)[-config.requests :]
    with working("rank the catalogue twice"):
        before, after = (
            ndcg(tower, vectors, data, rows) for vectors in (whole, expand(stored, whole.shape[1]))
        )
    cost = {
        "dims": int(stored.values.shape[1]),
        "dims_before": int(whole.shape[1]),
        "dtype": config.dtype,
        "bytes": int(stored.values.nbytes + (stored.scale.nbytes if config.dtype == "int8" else 0)),
        "bytes_before": int(whole.nbytes),
        "requests": len(rows),
        "ndcg_at_10": float(after.mean()) if len(rows) else None,
        "ndcg_at_10_before": float(before.mean()) if len(rows) else None,
    }
    atomic.write_json(out / VECTORS / COST, cost)
    return Facts(rows={"items": len(whole)}, artifacts=(VECTORS,), notes={"cost": cost})


def _valid(data: Prepared) -> Array:
    """The requests of the window valid that have a target."""
    valid = data.requests.with_row_index("row").filter(pl.col(c.WINDOW).cast(pl.String) == "valid")
    targets = data.truth.filter(pl.col(c.LABEL) > 0)[c.REQUEST].unique()
    wanted: Array = (
        valid.filter(pl.col(c.REQUEST).is_in(targets.implode()))["row"].to_numpy().astype(np.int64)
    )
    return wanted


STAGE = Stage(
    "export-vectors",
    work,
    (
        "recsys.interest",
        "recsys.metrics",
        "recsys.data.requests",
        "recsys.pipelines.export_vectors",
    ),
)


def words(cost: Mapping[str, Any]) -> list[str]:
    """What the export saves and costs, in a few lines."""
    size = f"{cost['bytes_before'] / 2**20:,.1f} -> {cost['bytes'] / 2**20:,.1f} MiB"
    lines = [f"vectors: {cost['dims_before']} -> {cost['dims']} numbers of {cost['dtype']}, {size}"]
    if not cost["requests"]:
        return [*lines, "its cost is not known: no request of the window valid has a target"]
    before, after = cost["ndcg_at_10_before"], cost["ndcg_at_10"]
    measured = f"{cost['requests']:,} requests of the window valid"
    return [*lines, f"NDCG@10 on {measured}: {before:.4f} -> {after:.4f} ({after - before:+.4f})"]


def main(overrides: Sequence[str]) -> int:
    """Export the vectors of a run; the stages that it reads must have run with the same settings."""
    with opened(overrides, STAGE.name) as (runner, config):
        done = walk(runner, config, "embed")
        inputs = {name: done[name] for name in ("prepare", "train-encoder", "embed")}
        made = runner(STAGE, inputs, config.vectors)
        runner.publish(made.folder / VECTORS, VECTORS)
    print("\n".join(words(made.record["notes"]["cost"])))
    print(f"done: {runner.run_dir / VECTORS}")
    return 0
