"""What a night costs: new events onto a model folder, against a full replay and all texts encoded."""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.core.artefact import link_or_copy
from recsys.interest.text import TextTower
from recsys.interest.vectors import embed
from recsys.pipelines.bench import Figure, quotient, rounds, spread
from recsys.pipelines.bench_serving_world import World
from recsys.pipelines.model_update import update
from recsys.pipelines.settings import DataConfig
from recsys.state.store import State

EVENTS, ITEMS = 0.01, 0.001  # of the log and of the catalogue, that are new
PASSES, TEXTS = 3, 300  # texts that are encoded; all of the catalogue's take longer by their number
QUICK_PASSES, QUICK_TEXTS = 1, 50


def night(world: World, folder: Path) -> tuple[Path, Path, int, int]:
    """Files of new events and of new items: the end of the log once more, later; how many of each."""
    log, data = world.data.log, world.data
    n = max(1, round(EVENTS * len(log.time)))
    events = data.events.tail(n).drop(c.USER, c.ITEM, c.REQUEST)
    gap = int(log.time[-1] - log.time[-n]) + 1_000_000
    later = pl.col(c.TIMESTAMP) + pl.duration(microseconds=gap)
    names = [name for name in (c.EVENT_ID,) if name in events.columns]
    m = max(1, round(ITEMS * data.items.height))
    items = data.items.head(m).drop(c.ITEM, c.TEXT)
    items = items.with_columns(
        pl.concat_str(pl.lit("night-"), c.ITEM_ID).alias(c.ITEM_ID),
        pl.concat_str(c.TITLE, pl.lit(" refurbished")).alias(c.TITLE),
    )
    folder.mkdir()
    events.with_columns(later).drop(names).write_parquet(folder / "events.parquet")
    items.write_parquet(folder / "items.parquet")
    return folder / "events.parquet", folder / "items.parquet", n, m


def update_figure(world: World, root: Path, quick: bool) -> Figure:
    """The whole function: read, check, apply, encode, write, exchange; one thread each."""
    events, items, n, m = night(world, root / "night")
    passes = QUICK_PASSES if quick else PASSES
    copies = [
        shutil.copytree(world.model, root / "nights" / str(i), copy_function=link_or_copy)
        for i in range(passes)
    ]
    data, parts, number = world.data, world.parts, count()
    texts = data.items[c.TEXT].unique(maintain_order=True)
    n_some = min(len(texts), QUICK_TEXTS if quick else TEXTS)
    some = texts.gather(np.linspace(0, len(texts) - 1, n_some, dtype=int))
    tower = TextTower.load(world.model / "text", threads=1)

    def replay() -> None:
        State.new(parts.state.config, True, len(data.users), data.item_table, lists=True).advance(
            data.log, len(data.log.time)
        )

    runs: dict[str, Callable[[], object]] = {
        "update": lambda: update(copies[next(number)], events, items, DataConfig()),
        "replay": replay,
        "embed": lambda: embed(some.to_list(), tower),
    }
    took = rounds(runs, passes)
    scale = len(texts) / len(some)
    whole = [a + scale * b for a, b in zip(took["replay"], took["embed"], strict=True)]
    ratio, alone = quotient(took["update"], whole), quotient(took["update"], took["replay"])
    middle = {name: spread(values).middle for name, values in took.items()}
    note = (
        f"{n:,} new events and {m:,} new items onto {len(data.log.time):,} and {data.items.height:,}: "
        f"{middle['update']:.1f} s against {middle['replay']:.1f} s and {scale * middle['embed']:.0f} s "
        f"(from {len(some):,} of {len(texts):,} texts); of the replay alone {alone.middle:.2f}"
    )
    return Figure(
        "update_share", ratio.middle, "of it", "a full replay and all texts", 0.05, "max", *ratio[1:], note
    )
