"""Stage train-encoder: the language model fine-tuned on the pairs of the fit window, and exported."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from recsys.core import columns as c
from recsys.data.pairs import PairsConfig
from recsys.data.prepare import load
from recsys.encoder.config import EncoderConfig
from recsys.encoder.trainer_config import TrainerConfig
from recsys.interest.vectors import index_vectors
from recsys.pipelines.encoder_slices import make_slices, seen_until
from recsys.pipelines.id_values import id_values, usable
from recsys.pipelines.runner import Facts, Stage

TRAINING = "training.parquet"
CARD = "README.md"  # the encoder's, for people
PRETRAINED = "pretrained"  # the input folder of an encoder of one's own
STATES = "training-state"
KEPT_STATES, DAY_S = 4, 86_400  # of trainings that were broken off; those of the last day stay beside them
START = "from"  # the input folder of a trained encoder to go on from


@dataclass(frozen=True)
class Config:
    """The encoder (where a folder holds it, by its content), its training, and what teaches it."""

    encoder: EncoderConfig
    trainer: TrainerConfig
    pairs: PairsConfig


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Train on what lies before the window *rank*; write the exported encoder.

    What the pretrained model makes of the texts is kept beside the stage folders, for the next run.
    """
    from recsys.encoder.cache_folder import keep_newest
    from recsys.encoder.chain import train_chain  # torch: seconds that other stages need not wait for

    data = load(inputs["prepare"])
    encoder = config.encoder
    if PRETRAINED in inputs:
        encoder = replace(encoder, name_or_path=str(inputs[PRETRAINED]))
    start = inputs.get(START)
    slices = make_slices(
        data, config.pairs, encoder.slices, encoder.lists != "none", seen_until(start) if start else None
    )
    ids = id_values(data.items, usable(data.items, encoder.ids)) if encoder.ids.kind != "none" else None
    # beside the stage's folders, since what a killed stage leaves in its own is swept away
    state = out.parent.parent / STATES / out.name.removeprefix(".tmp-")
    if state.is_dir():
        os.utime(state)
    keep_newest(state.parent, KEPT_STATES, DAY_S)
    result = train_chain(
        data.items[c.TEXT].to_list(),
        slices,
        data.log,
        encoder,
        config.trainer,
        out,
        clock=bool(data.meta["clock"]),
        start=start,
        resume=state,
        cache_folder=out.parent.parent / "catalogue-cache",
        ids=ids,
    )
    index_vectors(data.items[c.TEXT].to_list(), out)
    training = _long(result.history)
    training.write_parquet(out / TRAINING)
    metrics = tuple((f"encoder/{name}", value, step) for step, name, value in training.iter_rows())
    work = result.manifest["work"]
    metrics += tuple((f"encoder/work_{name}", float(value), 0) for name, value in work.items())
    return Facts(
        rows={"pairs": sum(len(part.pairs.item) for part in slices)},
        saw={"encoder": "fit", "text mean": "fit"},
        metrics=metrics,
        artifacts=(TRAINING, "manifest.json", CARD),
        notes={"work": work, "export_check": result.manifest["export_check"]},
    )


def _long(history: list[dict[str, Any]]) -> pl.DataFrame:
    """One row a number: step, name, value."""
    rows = [
        (int(row["epoch"]), name, float(value))
        for row in history
        for name, value in row.items()
        if name != "epoch" and isinstance(value, int | float) and value == value
    ]
    return pl.DataFrame(rows, {"step": pl.Int64, "name": pl.String, "value": pl.Float64}, orient="row")


STAGE = Stage(
    "train-encoder",
    work,
    (
        "recsys.encoder",
        "recsys.data.lists",
        "recsys.data.pairs",
        "recsys.data.slices",
        "recsys.metrics",
        "recsys.interest.vectors",
        "recsys.pipelines.encoder_slices",
        "recsys.pipelines.id_values",
        "recsys.pipelines.train_encoder",
    ),
)
