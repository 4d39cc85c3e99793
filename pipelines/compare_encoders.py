"""The command ``recsys compare-encoders``: one encoder trained by several presets, and which to use.

Each preset goes through the stages train-encoder and embed with the same data and settings. What its
interest score alone ranks is measured on requests of the window *valid*; its exported tower is timed on
texts of the catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import recsys
from recsys.core import columns as c
from recsys.core.artefact import read_json
from recsys.core.errors import ConfigError
from recsys.core.progress import working
from recsys.data.prepare import load as load_prepared
from recsys.encoder.preset_settings import READ_BY, reads
from recsys.evaluation.encoders import COLUMNS, encoder_lines, render_encoders
from recsys.interest.text import ENGINES, MANIFEST, TOKENIZER, TextTower, can_encode, read_manifest
from recsys.metrics.bootstrap import interval, paired
from recsys.pipelines.bench import rounds, spread
from recsys.pipelines.door import compose, to_dataclass, with_defaults
from recsys.pipelines.encoder_slices import SLICES
from recsys.pipelines.opening import opened
from recsys.pipelines.path import walk
from recsys.pipelines.request_scores import K, Scores, request_scores
from recsys.pipelines.runner import Done, Facts, Stage
from recsys.pipelines.settings import CompareConfig, RunConfig, load
from recsys.pipelines.variants import Variant

TABLE, PAGE = "encoders.parquet", "encoders.html"
MODEL = "encoder"
REPEATS = 3  # of each tower, in turns


@dataclass(frozen=True)
class Config:
    """What is compared and how; ``presets`` in their order, the others held against the first."""

    name: str
    presets: tuple[str, ...]
    texts: int
    variant: Variant
    gains: tuple[float, ...]
    exclude_seen: bool
    seed: int
    threads: int = 1


def of(preset: str, stage: str) -> str:
    """What a stage of a preset is called, as an input and in the run folder."""
    return f"{stage}-{preset}"


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Measure the encoders; write the table and the page."""
    folders = {
        preset: {"prepare": inputs["prepare"]}
        | {stage: inputs[of(preset, stage)] for stage in ("train-encoder", "embed")}
        for preset in config.presets
    }
    scores = {}
    for preset, folder in folders.items():
        with working(f"rank the requests: {preset}"):
            scores[preset] = request_scores(
                folder, "valid", config.variant, config.gains, config.seed, exclude_seen=config.exclude_seen
            )
    texts = load_prepared(inputs["prepare"]).items[c.TEXT].to_list()
    trained = {preset: folder["train-encoder"] for preset, folder in folders.items()}
    with working("time the towers"):
        speed = texts_per_s(trained, _sample(texts, config.texts), config.threads)
    rows = [
        {"preset": preset}
        | ranked_as(scores[preset], scores[config.presets[0]])
        | cost(trained[preset])
        | {"texts_per_s": speed.get(preset)}
        for preset in config.presets
    ]
    table = pl.DataFrame(rows, COLUMNS)
    table.write_parquet(out / TABLE)
    made = f"recsys {recsys.__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, seed {config.seed}"
    page = render_encoders(table, f"Encoders of {config.name}", made)
    (out / PAGE).write_text(page, encoding="utf-8")
    return Facts(rows={"encoders": len(table)}, artifacts=(TABLE, PAGE))


def ranked_as(own: Scores, first: Scores) -> dict[str, Any]:
    """The NDCG of an encoder with its interval and, unless it is the first itself, the paired difference."""
    metric = own.ndcg(MODEL)
    values = own.values[MODEL, metric]
    found = interval(values, own.users)
    told = {"metric": metric, "k": K, "value": found.mean, "n": found.n}
    told |= {c.CI_LOW: found.low, c.CI_HIGH: found.high}
    if own is first:
        return told | dict.fromkeys(("diff", "diff_low", "diff_high"))
    difference = paired(values, first.values[MODEL, metric], own.users)
    return told | {"diff": difference.mean, "diff_low": difference.low, "diff_high": difference.high}


def cost(folder: Path) -> dict[str, Any]:
    """What a trained encoder took and how large it is, from its folder."""
    manifest = read_manifest(folder)
    size = None
    if can_encode(folder):
        files = (ENGINES[manifest["engine"]], TOKENIZER)
        size = sum((folder / name).stat().st_size for name in files) / 2**20
    told = read_json(folder / MANIFEST)
    earlier = [read_json(path)["seconds"] for path in folder.glob(f"{SLICES}/*/{MANIFEST}")]
    # the catalogue is encoded once for all slices, and every slice's manifest says how long that took
    seconds = told["seconds"]["all"] + sum(one["train"] + one["write"] for one in earlier)
    return {
        "chosen": told["preset"],
        "size_mib": size,
        "minutes": seconds / 60,
        "encoded": told["work"]["encoded"],
        "found": told["work"]["found"],
    }


def texts_per_s(folders: Mapping[str, Path], texts: list[str], threads: int) -> dict[str, float]:
    """Texts a second of each exported tower, tokenising included, measured in turns; median of `REPEATS`.

    Encoders that hold vectors alone are left out.
    """
    towers = {name: TextTower.load(path, threads) for name, path in folders.items() if can_encode(path)}
    for tower in towers.values():
        tower.encode(texts[:8])  # compiles, and touches the weights
    took = rounds({name: lambda tower=tower: tower.encode(texts) for name, tower in towers.items()}, REPEATS)
    return {name: len(texts) / max(spread(seconds).middle, 1e-9) for name, seconds in took.items()}


def _sample(texts: list[str], n: int) -> list[str]:
    """Texts evenly spread over the catalogue."""
    return [texts[i] for i in np.unique(np.linspace(0, len(texts) - 1, n).astype(np.int64))]


STAGE = Stage(
    "compare-encoders",
    work,
    (
        "recsys.data.requests",
        "recsys.evaluation",
        "recsys.interest",
        "recsys.metrics",
        "recsys.pipelines.baselines",
        "recsys.pipelines.bench",
        "recsys.pipelines.compare_encoders",
        "recsys.pipelines.evaluate",
        "recsys.pipelines.request_scores",
        "recsys.pipelines.shop_references",
        "recsys.pipelines.variants",
    ),
)


def presets_of(overrides: Sequence[str]) -> tuple[str, ...]:
    """The presets that are asked for.

    Raises
    ------
    ConfigError
        They are named in another place, or make no comparison.
    """
    named = [word for word in overrides if word.lstrip("+~").startswith("encoder=")]
    if named:
        raise ConfigError(
            named[0],
            expected="the presets under compare.presets",
            found="one of them by itself",
            do=f"Write compare.presets=[{named[0].partition('=')[2]},...].",
        )
    node = compose(with_defaults(overrides, RunConfig))
    return to_dataclass(node.compare, CompareConfig, "compare").presets


def by_preset(presets: Sequence[str], overrides: Sequence[str]) -> dict[str, list[str]]:
    """The overrides of each preset, without settings that others alone read; which these are is printed.

    A setting that none of them reads stays, to be refused when the settings are read.
    """
    found = {}
    for preset in presets:
        words = [*overrides, f"encoder={preset}"]
        given = compose(with_defaults(words, RunConfig)).encoder
        others = [name for name in READ_BY if name in given and not reads(preset, name)]
        left = [name for name in others if any(reads(other, name) for other in presets)]
        if left:
            print(f"encoder={preset} does not read {', '.join(left)}: left out for it")
        found[preset] = [*words, *(f"~encoder.{name}" for name in left)]
    return found


def main(overrides: Sequence[str]) -> int:
    """Train and embed by each preset, or find that it was done; compare."""
    presets = presets_of(overrides)
    asked = by_preset(presets, overrides)
    # each preset's settings are read before the first one trains for an hour
    configs = {preset: load(words)[0] for preset, words in asked.items()}
    with opened(asked[presets[0]]) as (runner, config):
        inputs: dict[str, Done | Path] = {}
        for preset, one in configs.items():
            done = walk(runner, one, "embed", tag=preset)
            inputs["prepare"] = done["prepare"]
            inputs |= {of(preset, stage): done[stage] for stage in ("train-encoder", "embed")}
        made = runner(
            STAGE,
            inputs,
            Config(
                config.name,
                presets,
                config.compare.texts,
                next(iter(config.variants.values())),
                config.evaluation.gains,
                config.evaluation.exclude_seen,
                config.seed,
                config.threads or 1,
            ),
        )
        for name in (TABLE, PAGE):
            runner.publish(made.folder / name, name)
    print("\n".join(["", *encoder_lines(pl.read_parquet(made.folder / TABLE)), ""]))
    print(f"done: {runner.run_dir} holds {TABLE} and {PAGE}")
    return 0
