"""The linear first stage of each reranker: learned where the reranker learns, out of fold by user there."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.candidates.merge import Pool
from recsys.core import columns as c
from recsys.data.prepare import Prepared
from recsys.data.requests import request_arrays
from recsys.pipelines.describe import Describer
from recsys.pipelines.models import FIRST_STAGE, RERANKERS, first_stage_columns
from recsys.pipelines.variants import Variant, cuts_of
from recsys.ranking.linear import Linear, fit_linear

Array = NDArray[Any]
SERVED = "full"  # the reranker whose score selects the rows
FIRST_STAGE_FILE = "first_stage.json"


class FirstStage:
    """For each reranker, weights learned on a variant's training requests.

    The rows of those requests get the score of weights learned without their user's fold, so that the
    reranker learns on scores like those it will be served with; all other rows get that of all weights.

    Parameters
    ----------
    describe : Describer
    data : Prepared
    variant : Variant
    pool : Pool
        What is learned from.
    l2 : float
    """

    def __init__(self, describe: Describer, data: Prepared, variant: Variant, pool: Pool, l2: float) -> None:
        window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
        self._describe = describe
        self._teach = np.isin(window, variant.train)
        self._fold = data.requests[c.FOLD].to_numpy()
        self._cuts = cuts_of(data.log, request_arrays(data.requests), window, data.windows, variant)
        self._described = (pool, *self._values(pool))
        values, names = self._described[1:]
        positive = _positive(pool, data)
        folds = np.unique(self._fold[self._teach])
        self.whole: dict[str, Linear] = {}
        self._without: dict[str, dict[int, Linear]] = {}
        for model in RERANKERS:
            columns = first_stage_columns(model, names)
            mine = values[:, [names.index(name) for name in columns]]
            learn = partial(_learn, columns, mine, pool.offsets, positive, l2)
            self.whole[model] = whole = learn(self._teach)
            self._without[model] = {int(k): learn(self._teach & (self._fold != k), whole) for k in folds}

    def scores(self, pool: Pool) -> dict[str, Array]:
        """``first_stage_<model>`` of the rows of the same requests: float32 (rows,) each."""
        values, names = self._described[1:] if pool is self._described[0] else self._values(pool)
        sizes = np.diff(pool.offsets)
        out = {}
        for model, whole in self.whole.items():
            mine = np.ascontiguousarray(values[:, [names.index(name) for name in whole.columns]])
            score = whole.score(mine)
            for fold, linear in self._without[model].items():
                rows = np.repeat(self._teach & (self._fold == fold), sizes)
                score[rows] = linear.score(mine[rows])
            out[FIRST_STAGE + model] = score
        return out

    def save(self, path: Path) -> None:
        """Write the weights that were learned on all training requests."""
        path.write_text(json.dumps({model: linear.as_json() for model, linear in self.whole.items()}))

    def _values(self, pool: Pool) -> tuple[Array, list[str]]:
        blocks = (
            self._describe.behaviour(self._cuts, pool.block()),
            self._describe.interest(self._cuts, pool.block()),
        )
        return np.concatenate([values for _, values in blocks], axis=1), [
            n for names, _ in blocks for n in names
        ]


def _learn(
    columns: tuple[str, ...],
    values: Array,
    offsets: Array,
    positive: Array,
    l2: float,
    requests: Array,
    start: Linear | None = None,
) -> Linear:
    """Weights from the lists of some requests."""
    sizes = np.diff(offsets)
    rows = np.repeat(requests, sizes)
    own = np.r_[0, np.cumsum(sizes[requests])].astype(np.int64)
    return fit_linear(columns, values[rows], own, positive[rows], l2, start=start)


def load_first_stage(path: Path) -> Mapping[str, Linear]:
    """What `FirstStage.save` wrote."""
    return {model: Linear.from_json(given) for model, given in json.loads(path.read_text()).items()}


def _positive(pool: Pool, data: Prepared) -> Array:
    """Which rows of the pool are targets."""
    n_items = len(data.items)
    request = np.repeat(np.arange(len(pool.offsets) - 1, dtype=np.int64), np.diff(pool.offsets))
    wanted = data.truth.filter(pl.col(c.LABEL) > 0)
    keys = wanted[c.REQUEST].to_numpy().astype(np.int64) * n_items + wanted[c.ITEM].to_numpy()
    return np.isin(request * n_items + pool.items, keys)
