"""Which rows teach probabilities, what rows get, and whether they are what they say on lists since shown."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.data.prepare import Prepared
from recsys.evaluation.schemas import METRICS_SCHEMA, RELIABILITY_SCHEMA
from recsys.evaluation.slices import ALL
from recsys.metrics.calibration import reliability
from recsys.pipelines.rows import LOGGED, RETRIEVED
from recsys.ranking.config import ProbabilityConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.probability import EVENT, LEAST, Probabilities

Array = NDArray[Any]
MODEL = "full"  # the reranker whose columns they read
RELIABILITY = "reliability.parquet"


def shown_kind(data: Prepared, there: Collection[str]) -> str | None:
    """The kind of rows that are lists which were shown; None where none were."""
    if LOGGED in there:
        return LOGGED
    return RETRIEVED if data.meta["rows"] == LOGGED else None


def teaching_kind(data: Prepared, there: Collection[str], config: ProbabilityConfig) -> str | None:
    """The kind of rows that teach probabilities; None for none."""
    if config.learn == "none":
        return None
    return shown_kind(data, there) or (RETRIEVED if config.learn == "any" else None)


def outcomes(data: Prepared) -> tuple[str, ...]:
    """The probabilities that labels can teach: those of event types that are targets."""
    return tuple(name for name, event in EVENT.items() if event in data.meta["targets"])


def of_rows(folder: Path, frame: RankFrame, items: Array, requests: Array) -> pl.DataFrame | None:
    """Chances of the rows of some requests, by request and item; None where the reranker has none.

    Parameters
    ----------
    folder : Path
        Of a trained reranker.
    frame : RankFrame
    items : int32 array, shape (rows,)
    requests : int array, shape (requests,)
        The code of each request of the frame.
    """
    found = Probabilities.load(folder)
    if found is None:
        return None
    chances = found.predict(frame.select_columns(found.columns).values)  # as if all stood at one position
    return pl.DataFrame(
        {c.REQUEST: np.repeat(requests, frame.groups).astype(np.int32), c.ITEM: items.astype(np.int32)}
        | {name: chance.astype(np.float32) for name, chance in chances.items()}
    )


def check_shown(
    folders: Mapping[tuple[str, int], Path],
    shown: Mapping[str, RankFrame],
    window: Array,
    asked: Mapping[str, Array],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Calibration on lists that were shown, each row at the position where it stood.

    Parameters
    ----------
    folders : mapping of (variant, seed) to a trained reranker's folder
    shown : mapping of variant to its shown lists, over all requests
    window : array of str, shape (requests,)
    asked : mapping of variant to bool array, shape (requests,)
        The requests that are measured.

    Returns
    -------
    metrics, reliability : DataFrame
        ``calibration_error_click`` and ``_purchase`` as rows of the metrics table, and their bins.
    """
    metrics: list[tuple[Any, ...]] = []
    bins: list[tuple[Any, ...]] = []
    for (variant, seed), folder in folders.items():
        found = Probabilities.load(folder)
        if found is None or variant not in shown:
            continue
        for name in dict.fromkeys(window[asked[variant]]):
            frame = shown[variant].select_requests(asked[variant] & (window == name))
            if not frame.n_rows:
                continue
            for outcome, chances in found.predict_frame(frame).items():
                cut = reliability(chances, frame.labels >= LEAST[outcome])
                what = outcome.removeprefix("p_")
                metric = f"calibration_error_{what}"
                metrics.append(
                    (MODEL, variant, seed, name, metric, 0, ALL, cut.error, None, None, frame.n_rows)
                )
                bins += [
                    (variant, seed, name, what, i, float(chance), float(share), int(rows))
                    for i, (chance, share, rows) in enumerate(zip(*cut, strict=True))
                ]
    return (
        pl.DataFrame(metrics, METRICS_SCHEMA, orient="row"),
        pl.DataFrame(bins, RELIABILITY_SCHEMA, orient="row"),
    )
