"""Figures of embedding a catalogue again: after an edit of one text in a hundred, and unchanged."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.data.prepare import load as load_prepared
from recsys.data.prepare import save
from recsys.interest.text import TextTower
from recsys.pipelines import embed
from recsys.pipelines.bench import Figure, quotient
from recsys.pipelines.bench_encoder_inputs import (
    OFFICE,
    THREADS,
    encoder_folder,
    left_out,
    load_world,
    no_data,
    overrides_of,
    threads,
)
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load

NAMES = ("reembed_1pct_share", "reembed_0_share")
REPEATS, QUICK_REPEATS = 3, 1
SHARE = 0.01


@contextmanager
def counted(encoded: list[list[str]]) -> Iterator[None]:
    """Note the texts of each call of the text tower."""
    encode = TextTower.encode

    def noted(tower: TextTower, texts: Sequence[str]) -> Any:
        encoded.append(list(texts))
        return encode(tower, texts)

    TextTower.encode = noted  # type: ignore[method-assign]
    try:
        yield
    finally:
        TextTower.encode = encode  # type: ignore[method-assign]


def edited(prepared: Path, out: Path, share: float) -> set[str]:
    """Write a catalogue of which a share of the texts has a new last word; the new texts."""
    data = load_prepared(prepared)
    texts = data.items[c.TEXT].to_list()
    chosen = np.random.default_rng(0).choice(len(texts), max(1, round(share * len(texts))), replace=False)
    for i in chosen:
        texts[i] = f"{texts[i]} refurbished"
    save(replace(data, items=data.items.with_columns(pl.Series(c.TEXT, texts))), out)
    return {texts[i] for i in chosen}


def seconds(inputs: dict[str, Path], out: Path, n_threads: int) -> float:
    """Of the stage's own function."""
    out.mkdir(parents=True)
    start = time.perf_counter()
    embed.work(inputs, embed.Config(n_threads), out)
    return time.perf_counter() - start


def reembed_figures(quick: bool) -> list[Figure]:
    """A second embedding over a first one, each first one with an empty cache."""
    overrides = overrides_of(OFFICE, quick)
    if overrides is None:
        return left_out(NAMES, no_data(OFFICE))
    config, _ = load([*overrides, "encoder=adapter", "encoder.export=onnx", "trainer.max_epochs=1"])
    took: dict[str, list[float]] = {"first": [], "edited": [], "unchanged": []}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if quick:
            tiny = encoder_folder(True, load_world(overrides).texts, root / "tiny")
            config = replace(config, encoder=replace(config.encoder, name_or_path=str(tiny)))
        done = walk(Runner(root / "work", root / "run", say=lambda line: None), config, "train-encoder")
        inputs = {stage: one.folder for stage, one in done.items()}
        known = inputs["train-encoder"] / "known"
        known.rename(known.with_name("known-in-training"))  # or the first embedding would have nothing to do
        (root / "changed").mkdir()
        new = edited(inputs["prepare"], root / "changed", SHARE)
        changed = inputs | {"prepare": root / "changed"}
        for repeat in range(QUICK_REPEATS if quick else REPEATS):
            place, encoded = root / str(repeat) / "embed", list[list[str]]()
            with counted(encoded):
                took["first"].append(seconds(inputs, place / "first", threads(quick)))
                took["unchanged"].append(seconds(inputs, place / "unchanged", threads(quick)))
                took["edited"].append(seconds(changed, place / "edited", threads(quick)))
            if encoded[1] or set(encoded[2]) != new or len(encoded[2]) != len(new):
                raise AssertionError(f"{[len(texts) for texts in encoded]} texts encoded, {len(new)} edited")
    items = len(encoded[0])
    said = f"of {items:,} distinct texts, encoded by onnxruntime with {THREADS} threads in a warm process"
    out = []
    for name, goal, which, what in (
        (NAMES[0], 0.03, "edited", f"after an edit of {len(new)} texts, which alone are encoded: {said}"),
        (NAMES[1], 0.02, "unchanged", f"nothing edited, nothing encoded: {said}"),
    ):
        ratio = quotient(took[which], took["first"])
        out.append(
            Figure(name, ratio.middle, "of it", "the first embedding", goal, "max", *ratio[1:], note=what)
        )
    return out
