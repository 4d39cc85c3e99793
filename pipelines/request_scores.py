"""What the encoder alone makes of each request of a window, as the stage evaluate has it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.data.prepare import load
from recsys.data.requests import request_arrays
from recsys.evaluation.config import NDCG_TRUE, EvaluationConfig
from recsys.evaluation.measure import measure
from recsys.pipelines.baselines import Asked, text_scores
from recsys.pipelines.evaluate import ranked
from recsys.pipelines.prepare import TRUE_PREFERENCE
from recsys.pipelines.shop_references import shop_references
from recsys.pipelines.variants import Variant, cuts_of

Array = NDArray[Any]
MODELS = ("encoder", "text_raw")
NDCG, AUC = "ndcg", "auc"
K = 10


class Scores(NamedTuple):
    """Each request's value by model and metric."""

    users: Array  # int (requests,)
    values: Mapping[tuple[str, str], Array]  # float64 (requests,), NaN where not defined

    def ndcg(self, model: str) -> str:
        """The NDCG that tells: of the true preference where it is known; clicks fall on what was shown."""
        return NDCG_TRUE if (model, NDCG_TRUE) in self.values else NDCG


def request_scores(
    inputs: Mapping[str, Path],
    window: str,
    variant: Variant,
    gains: tuple[float, ...],
    seed: int,
    *,
    exclude_seen: bool = False,
) -> Scores:
    """NDCG at 10 and AUC of each request of a window, by the trained encoder and by the untrained one.

    Parameters
    ----------
    inputs : mapping
        Folders of the stages prepare, train-encoder and embed.
    window : str
    variant : Variant
        How late the state is; variants differ in what users share, not in a user's own history.
    gains : tuple of float
        Of each label.
    seed : int
        Of the training, for the record.
    exclude_seen : bool
        What a user had before does not compete.
    """
    prepared = load(inputs["prepare"])
    windows = prepared.requests[c.WINDOW].cast(pl.String).to_numpy()
    rows = np.flatnonzero(windows == window)
    cuts = cuts_of(prepared.log, request_arrays(prepared.requests), windows, prepared.windows, variant)
    asked = Asked(prepared, rows, cuts, bool(prepared.meta["clock"]))
    scores = text_scores(inputs, asked)
    frames = [
        ranked(scores[model], asked, prepared, exclude_seen=exclude_seen).with_columns(
            pl.lit(model).alias(c.MODEL),
            pl.lit("default").alias(c.VARIANT),
            pl.lit(seed, pl.Int32).alias(c.SEED),
        )
        for model in MODELS
    ]
    settings = EvaluationConfig(metrics=(NDCG, AUC), ks=(K,), gains=gains, rows=prepared.meta["rows"])
    _, preference = shop_references(prepared, rows, cuts, inputs["prepare"] / TRUE_PREFERENCE)
    found = measure(frames, prepared.truth, prepared.requests, settings, preference=preference)
    values = {
        (one.model, metric): one.values[:, column]
        for one in found
        for column, (metric, _) in enumerate(one.columns)
    }
    return Scores(prepared.requests[c.USER].to_numpy()[found[0].rows], values)
