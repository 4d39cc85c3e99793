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
from recsys.core.artefact import read_json, reading
from recsys.data.prepare import Prepared
from recsys.pipelines.describe import Describer
from recsys.pipelines.models import RERANKERS, first_stage_columns
from recsys.pipelines.variants import Variant, sight_of
from recsys.ranking.first_stage import FIRST_STAGE
from recsys.ranking.linear import Linear, draw_rows, fit_linear

Array = NDArray[Any]
SERVED = "full"  # the reranker whose score selects the rows
FIRST_STAGE_FILE = "first_stage.json"
OTHERS = 50  # rows of a request beside its positives that the weights are learned from
BLOCK = 1 << 18  # rows that are copied at once
NO_FOLD = 255  # of requests that teach nothing; folds end before


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
        self._sight = sight_of(data, variant)
        self._fold = np.where(np.isin(window, variant.train), data.requests[c.FOLD].to_numpy(), NO_FOLD)
        self._names, self._values = self._described(pool)
        self._request = _request_of_row(pool)
        positive = _positive(pool, self._request, data) & (self._fold[self._request] != NO_FOLD)
        rows, offsets = draw_rows(pool.offsets, positive, OTHERS)
        self.whole: dict[str, Linear] = {}
        self._without: dict[str, dict[int, Linear]] = {}
        for model in RERANKERS:
            columns = first_stage_columns(model, self._names)
            drawn = self._values[np.ix_(rows, [self._names.index(name) for name in columns])]
            learn = partial(_learn, columns, drawn, offsets, positive[rows], l2)
            self.whole[model] = whole = learn(self._fold != NO_FOLD)
            folds = np.unique(self._fold[self._fold != NO_FOLD]).tolist()
            self._without[model] = {k: learn(self._fold != k, whole) for k in folds}

    def score(self, model: str, rows: Array | None = None) -> Array:
        """One reranker's scores, float32, of some rows of the pool; of all by default."""
        values = self._values if rows is None else self._values[rows]
        return self._score(model, values, self._request if rows is None else self._request[rows])

    def score_others(self, lists: Pool) -> dict[str, Array]:
        """``first_stage_<model>`` of other rows of the same requests: float32 (rows,) each."""
        _, values = self._described(lists)
        request = _request_of_row(lists)
        return {FIRST_STAGE + model: self._score(model, values, request) for model in self.whole}

    def save(self, path: Path) -> None:
        """Write the weights that were learned on all training requests."""
        path.write_text(json.dumps({model: linear.as_json() for model, linear in self.whole.items()}))

    def _score(self, model: str, values: Array, request: Array) -> Array:
        whole = self.whole[model]
        columns = [self._names.index(name) for name in whole.columns]
        out = np.empty(len(values), np.float32)
        for begin in range(0, len(values), BLOCK):
            block = slice(begin, begin + BLOCK)
            fold = self._fold[request[block]]
            for k, linear in ((NO_FOLD, whole), *self._without[model].items()):
                here = fold == k
                if here.any():
                    out[block][here] = linear.score(values[block][np.ix_(here, columns)])
        return out

    def _described(self, pool: Pool) -> tuple[list[str], Array]:
        rows = pool.block()
        blocks = self._describe.behaviour(self._sight, rows), self._describe.interest(self._sight, rows)
        names = [name for names, _ in blocks for name in names]
        return names, np.concatenate([values for _, values in blocks], axis=1)


def _learn(
    columns: tuple[str, ...],
    values: Array,
    offsets: Array,
    positive: Array,
    l2: float,
    requests: Array,
    start: Linear | None = None,
) -> Linear:
    """Weights from the drawn rows of some requests."""
    sizes = np.diff(offsets) * requests
    rows = np.repeat(requests, np.diff(offsets))
    own = np.r_[0, np.cumsum(sizes)].astype(np.int64)
    return fit_linear(columns, values[rows], own, positive[rows], l2, start=start)


def load_first_stage(path: Path) -> Mapping[str, Linear]:
    """What `FirstStage.save` wrote."""
    stored = read_json(path)
    with reading(path, "the weights of each reranker"):
        return {model: Linear.from_json(given) for model, given in stored.items()}


def _request_of_row(pool: Pool) -> Array:
    return np.repeat(np.arange(len(pool.offsets) - 1, dtype=np.int64), np.diff(pool.offsets))


def _positive(pool: Pool, request: Array, data: Prepared) -> Array:
    """Which rows of the pool are targets."""
    n_items = len(data.items)
    wanted = data.truth.filter(pl.col(c.LABEL) > 0)
    keys = wanted[c.REQUEST].to_numpy().astype(np.int64) * n_items + wanted[c.ITEM].to_numpy()
    return np.isin(request * n_items + pool.items, keys)
