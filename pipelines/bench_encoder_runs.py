"""Short runs of the encoder's benchmark: prepare, train-encoder and embed, and what the encoder alone ranks.

Stages lie in a work folder, so the same data, settings and seed train once, whichever figure asks.
"""

import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.data.prepare import load as load_prepared
from recsys.pipelines.bench_encoder_inputs import MIND, TOY, load_world, overrides_of, tiny_encoder
from recsys.pipelines.bench_told import Told
from recsys.pipelines.evaluate import truth_of
from recsys.pipelines.path import walk
from recsys.pipelines.reads import count_read
from recsys.pipelines.request_scores import Scores, request_scores
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import RunConfig, load

TINY = (
    "encoder.max_tokens=16",
    "trainer.max_epochs=1",
    "trainer.threads=1",
)


class Arm(NamedTuple):
    """One side of a comparison."""

    overrides: tuple[str, ...] = ()
    model: str = "encoder"


def window_of(data: str, told: Told) -> str:
    """The window whose requests are ranked."""
    return told.window if data == MIND else "valid"


def mean_scores(data: str, arm: Arm, told: Told) -> Scores:
    """Each request's values, mean over the seeds."""
    runs = [scores_of(data, (*arm.overrides, f"seed={seed}"), told) for seed in told.seeds]
    values = {key: np.mean([run.values[key] for run in runs], axis=0) for key in runs[0].values}
    return Scores(runs[0].users, values)


def run_stages(data: str, overrides: tuple[str, ...], told: Told) -> tuple[RunConfig, dict[str, Path]]:
    """Run prepare, train-encoder and embed, or find them: the configuration, and the folder of each."""
    given = overrides_of(data, told.quick)
    assert given is not None, "asked for after the data set was found"
    tiny: tuple[str, ...] = ()
    if told.quick:
        graph = () if "encoder=static" in overrides else ("encoder.export=vectors",)
        tiny = (*TINY, *graph, f"encoder.name_or_path={_tiny(told.work)}")
    config, _ = load([*given, *overrides, *tiny, "tracking=none"])
    with tempfile.TemporaryDirectory() as run:
        stages = walk(Runner(told.work, Path(run) / "run"), config, "embed")
    return config, {name: one.folder for name, one in stages.items()}


@functools.cache
def scores_of(data: str, overrides: tuple[str, ...], told: Told) -> Scores:
    """What encoder and text_raw make of each request of the window, as the stage evaluate has it."""
    config, inputs = run_stages(data, overrides, told)
    window = window_of(data, told)
    if window == "test":
        count_read(inputs["embed"], config.name, truth_of(load_prepared(inputs["prepare"]), window))
    variant = next(iter(config.variants.values()))
    asked = config.evaluation
    return request_scores(inputs, window, variant, asked.gains, config.seed, exclude_seen=asked.exclude_seen)


def _tiny(work: Path) -> Path:
    """A tiny encoder, made once a work folder."""
    folder = work / "tiny"
    return folder if folder.is_dir() else tiny_encoder(load_world(TOY).texts, folder)
