"""Short runs of the encoder's benchmark: prepare, train-encoder and embed, and what the encoder alone ranks.

Stages lie in a work folder, so the same data, settings and seed train once, whichever figure asks.
"""

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.data.prepare import load as load_prepared
from recsys.data.requests import request_arrays
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.measure import measure
from recsys.pipelines.bench_encoder_inputs import MIND, TOY, load_world, overrides_of, tiny_encoder
from recsys.pipelines.evaluate import Asked, baselines, ranked, truth_of
from recsys.pipelines.path import walk
from recsys.pipelines.prepare import TRUE_PREFERENCE
from recsys.pipelines.reads import count_read
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import RunConfig, load
from recsys.pipelines.shop_references import shop_references
from recsys.pipelines.variants import cuts_of

Array = NDArray[Any]
MODELS = ("encoder", "text_raw")
K = 10
NDCG, AUC = "ndcg", "auc"
TINY = (
    "encoder.max_tokens=16",
    "encoder.top_layers=1",
    "encoder.export=vectors",
    "trainer.max_epochs=1",
    "trainer.threads=1",
)


@dataclass(frozen=True)
class Told:
    """How quality is measured.

    Parameters
    ----------
    quick : bool
        On a toy shop with a tiny random encoder.
    work : Path
        Where stages are kept.
    seeds : tuple of int
        Of the trainings.
    read_test : bool
        Whether the lists of MIND are those of the window test, not valid.
    """

    quick: bool
    work: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    read_test: bool = False


class Scores(NamedTuple):
    """Each request's value by model and metric."""

    users: Array  # int (requests,)
    values: Mapping[tuple[str, str], Array]  # float64 (requests,), NaN where not defined


class Arm(NamedTuple):
    """One side of a comparison."""

    overrides: tuple[str, ...] = ()
    model: str = "encoder"


def window_of(data: str, told: Told) -> str:
    """The window whose requests are ranked."""
    return "test" if data == MIND and told.read_test else "valid"


def mean_scores(data: str, arm: Arm, told: Told) -> Scores:
    """Each request's values, mean over the seeds."""
    runs = [scores_of(data, (*arm.overrides, f"seed={seed}"), told) for seed in told.seeds]
    values = {key: np.mean([run.values[key] for run in runs], axis=0) for key in runs[0].values}
    return Scores(runs[0].users, values)


def run_stages(data: str, overrides: tuple[str, ...], told: Told) -> tuple[RunConfig, dict[str, Path]]:
    """Run prepare, train-encoder and embed, or find them: the configuration, and the folder of each."""
    given = overrides_of(data, told.quick)
    assert given is not None, "asked for after the data set was found"
    tiny = (*TINY, f"encoder.name_or_path={_tiny(told.work)}") if told.quick else ()
    config, _ = load([*given, *overrides, *tiny, "tracking=none"])
    with tempfile.TemporaryDirectory() as run:
        stages = walk(Runner(told.work, Path(run) / "run"), config, "embed")
    return config, {name: one.folder for name, one in stages.items()}


@functools.cache
def scores_of(data: str, overrides: tuple[str, ...], told: Told) -> Scores:
    """What encoder and text_raw make of each request of the window, as the stage evaluate has it."""
    config, inputs = run_stages(data, overrides, told)
    prepared = load_prepared(inputs["prepare"])
    windows = prepared.requests[c.WINDOW].cast(pl.String).to_numpy()
    rows = np.flatnonzero(windows == window_of(data, told))
    variant = next(iter(config.variants.values()))  # variants differ in what users share, not in one's own
    cuts = cuts_of(prepared.log, request_arrays(prepared.requests), windows, prepared.windows, variant)
    asked = Asked(prepared, rows, cuts, bool(prepared.meta["clock"]))
    if window_of(data, told) == "test":
        count_read(inputs["embed"], config.name, truth_of(prepared, "test"))
    scores = baselines(inputs, asked)
    frames = [
        ranked(scores[model], asked, prepared).with_columns(
            pl.lit(model).alias(c.MODEL),
            pl.lit("default").alias(c.VARIANT),
            pl.lit(config.seed, pl.Int32).alias(c.SEED),
        )
        for model in MODELS
    ]
    settings = EvaluationConfig(
        metrics=(NDCG, AUC), ks=(K,), gains=config.evaluation.gains, rows=prepared.meta["rows"]
    )
    _, preference = shop_references(prepared, rows, cuts, inputs["prepare"] / TRUE_PREFERENCE)
    found = measure(frames, prepared.truth, prepared.requests, settings, preference=preference)
    values = {
        (one.model, metric): one.values[:, column]
        for one in found
        for column, (metric, _) in enumerate(one.columns)
    }
    return Scores(prepared.requests[c.USER].to_numpy()[found[0].rows], values)


def _tiny(work: Path) -> Path:
    """A tiny encoder, made once a work folder."""
    folder = work / "tiny"
    return folder if folder.is_dir() else tiny_encoder(load_world(TOY).texts, folder)
