"""One run of the whole path on a toy shop, made once a process; other tests read what it left."""

import atexit
import contextlib
import functools
import io
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recsys.core import columns as c
from recsys.data.door import Tables
from recsys.data.prepare import Prepared, load
from recsys.pipelines import run
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.settings import EvaluateConfig
from recsys.pipelines.settings import load as load_settings
from tests.encoder.tiny import random_tiny_encoder

SHOP = ("data.shop.items=80", "data.shop.users=60", "data.shop.events=5000", "data.shop.days=30")
MODEL = (
    "encoder=adapter",
    "encoder.max_tokens=12",
    "+encoder.export=onnx",
    "trainer.max_epochs=1",
    "candidates.depths={popular: 10, repeat: 5, covisit: 10, nearest: 10}",
    "select.n=25",
    "ranker.num_iterations=8",
    "ranker.min_data_in_leaf=2",
    "evaluation.n_boot=20",
    "scoring.k=5",
    "tracking=none",
    "threads=1",
)
# models that a run measures when nobody chooses among the baselines
MEASURED = set(c.MODELS) - (set(c.BASELINES) - set(EvaluateConfig().baselines))
WORD = re.compile(r"[a-z]+|\d|[^\w\s]")  # what the tokenizer cuts a text into


@dataclass(frozen=True)
class ToyRun:
    """A finished run: where it is, how it was asked for, and what it said."""

    root: Path
    run_dir: Path
    encoder: Path
    overrides: tuple[str, ...]  # without the run folder
    said: tuple[str, ...]

    def stage(self, name: str) -> Path:
        """The output folder of a stage."""
        return (self.run_dir / "stages" / name).resolve()

    def table(self, stage: str, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.stage(stage) / f"{name}.parquet")

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_dir / "manifest.json").read_text())
        return found

    def again(self, folder: Path, *changes: str, only: str | None = None) -> list[str]:
        """Run once more over the same work folder, into another run folder; what was said."""
        return say([*self.overrides, f"paths.run_dir={folder}", *changes], only)


def say(overrides: Sequence[str], only: str | None = None) -> list[str]:
    """Run, and give the printed lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run.main(overrides, only)
    assert code == 0
    return out.getvalue().splitlines()


def scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="recsys-toy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def toy_tables() -> Tables:
    """The toy shop's own tables."""
    config, _ = load_settings(SHOP)
    return read_tables(config.data)


@functools.cache
def toy_encoder() -> Path:
    """A tiny random encoder that knows the shop's words."""
    texts = toy_tables().items.select("title", "description", "category", "brand").rows()
    words = {word for row in texts for text in row if text for word in WORD.findall(text.lower())}
    return random_tiny_encoder(scratch() / "encoder", words)


@functools.cache
def toy_run() -> ToyRun:
    """The whole path over the toy shop."""
    root = scratch()
    encoder = toy_encoder()
    overrides = (*SHOP, *MODEL, f"encoder.name_or_path={encoder}", f"paths.root={root}")
    said = say([*overrides, f"paths.run_dir={root}/first"])
    return ToyRun(root, root / "first", encoder, overrides, tuple(said))


@functools.cache
def toy_data() -> Prepared:
    """What the run's stage prepare left."""
    return load(toy_run().stage("prepare"))
