"""Offline and online side by side: a model folder as of a window's start, led over the window's requests."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import before
from recsys.core.errors import DataError
from recsys.data.prepare import Prepared, load
from recsys.pipelines import bundle
from recsys.pipelines.train_ranker import load_rows
from recsys.ranking.reranker import Reranker
from recsys.serving.bundle_write import write_bundle
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker

Array = NDArray[Any]
WINDOW = "test"


class Offline(NamedTuple):
    """What the stages wrote for the window's requests."""

    data: Prepared
    requests: pl.DataFrame  # in the order of time
    rows: dict[int, list[str]]  # request -> item ids, in the order of the rows
    values: dict[int, Array]  # request -> the reranker's columns
    reranker: Reranker


class Compared(NamedTuple):
    """One request, online against offline."""

    request: int
    columns: list[str]  # those that are not equal to the bit; a missing value equals a missing one
    gap: float  # the largest distance of a score, NaN where one is no number
    scores: dict[str, float]  # item id -> online score

    @property
    def equal(self) -> bool:
        """Columns to the bit, scores to 1e-9."""
        return not self.columns and self.gap <= 1e-9


def read_offline(
    stages: Mapping[str, Path], variant: str = "default", seed: int = 0, window: str = WINDOW
) -> Offline:
    """Read the outputs of ``prepare``, ``select``, ``features`` and ``train-ranker``, given their folders."""
    data = load(stages["prepare"])
    reranker = Reranker.load(stages["train-ranker"] / variant / "full" / str(seed))
    rows = load_rows(stages, variant, data)
    wide = rows.frame.select_columns(reranker.columns).values
    ids = data.items[c.ITEM_ID].gather(rows.items).to_list()
    asked = data.requests.filter(pl.col(c.WINDOW) == window)
    request = asked[c.REQUEST].to_numpy()
    spans = rows.frame.offsets[[request, request + 1]].T.tolist()
    return Offline(
        data,
        asked,
        {r: ids[lo:hi] for r, (lo, hi) in zip(request.tolist(), spans, strict=True)},
        {r: wide[lo:hi] for r, (lo, hi) in zip(request.tolist(), spans, strict=True)},
        reranker,
    )


def write_snapshot(
    stages: Mapping[str, Path], config: bundle.Config, out: Path, window: str = WINDOW
) -> Path:
    """The model folder as it would have been written at the window's start."""
    data = load(stages["prepare"])
    stop = before(data.log, data.windows.start(window))
    return write_bundle(out, bundle.parts(stages, config, data, stop))


def interleave(
    ranker: Ranker, offline: Offline, most: int | None = None
) -> Iterator[tuple[int, str, datetime]]:
    """Go over requests in the order of time, telling the ranker what happened strictly before each.

    Yields
    ------
    request, user id, moment
    """
    data, done = offline.data, ranker.position
    told = (c.REQUEST, c.USER_ID, c.TIMESTAMP)
    for request, user, moment in (
        offline.requests.head(most or len(offline.requests)).select(told).iter_rows()
    ):
        stop = before(data.log, (moment - EPOCH) // timedelta(microseconds=1))
        seen = ranker.observe(data.events.slice(done, stop - done))
        done += seen.applied
        if not done == stop == ranker.position:
            raise DataError(
                "a replay through observe",
                expected=f"{stop} events applied",
                found=f"{done}, position {ranker.position}",
                do="Look for events that observe leaves out and the log holds.",
            )
        yield request, user, moment


def compare(ranker: Ranker, offline: Offline, most: int | None = None) -> Iterator[Compared]:
    """What the ranker says at each request against what the stages wrote; ``most`` requests at most."""
    for request, user, moment in interleave(ranker, offline, most):
        items, wanted = offline.rows[request], offline.values[request]
        live = ranker.features(user, items, at=moment)
        unequal = ~((live == wanted) | (np.isnan(live) & np.isnan(wanted)))
        names = [name for name, bad in zip(ranker.columns, unequal.any(axis=0), strict=True) if bad]
        answer = ranker.rank(user, items, at=moment)
        scores = dict(zip(answer.item_ids, answer.scores.tolist(), strict=True))
        gaps = np.abs(np.array([scores[item] for item in items]) - offline.reranker.predict(wanted))
        yield Compared(request, names, float(gaps.max(initial=0.0)), scores)
