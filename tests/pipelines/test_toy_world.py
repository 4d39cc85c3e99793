"""A world with a known answer: half of the users want red things alone, the others blue; words say which."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from tests.encoder.tiny import random_tiny_encoder
from tests.pipelines.toy_shop import MODEL, say

ITEMS, USERS, DAYS = 40, 30, 24
READ_THE_USER = (
    "transition", "text_raw", "encoder", "text_only", "behaviour_only", "no_interest", "full",
)  # fmt: skip
START = datetime(2024, 1, 1, tzinfo=UTC)


def write_world(folder: Path) -> None:
    """Everybody buys one thing a day, any of their own colour."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    users = np.repeat(np.arange(USERS), DAYS)
    items = rng.integers(0, ITEMS // 2, len(users)) * 2 + users % 2
    minutes = np.tile(np.arange(DAYS) * 1440, USERS) + rng.integers(0, 1440, len(users))
    pl.DataFrame(
        {
            "user_id": [f"u{u}" for u in users],
            "item_id": [f"i{i}" for i in items],
            "timestamp": [START + timedelta(minutes=int(m)) for m in minutes],
            "event_type": "purchase",
        }
    ).sort("timestamp").write_parquet(folder / "events.parquet")
    shapes = ["ball", "box", "ring", "cup", "star"]
    titles = [f"{('red', 'blue')[i % 2]} {shapes[i // 2 % 5]}" for i in range(ITEMS)]
    pl.DataFrame({"item_id": [f"i{i}" for i in range(ITEMS)], "title": titles}).write_parquet(
        folder / "items.parquet"
    )


@pytest.fixture(scope="module")
def auc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    root = tmp_path_factory.mktemp("world")
    write_world(root / "data")
    encoder = random_tiny_encoder(root / "encoder", {"red", "blue", "ball", "box", "ring", "cup", "star"})
    day = [(START + timedelta(days=d)).strftime("%Y-%m-%d") for d in (12, 17, 20)]
    say(
        [
            *MODEL,
            "data=files",
            f"data.dir={root / 'data'}",
            f"split={{rank: {day[0]}, valid: {day[1]}, test: {day[2]}}}",
            "requests={unit: event, rows: retrieved, targets: [purchase]}",
            f"candidates.depths={{popular: {ITEMS}, repeat: 5, covisit: {ITEMS}, nearest: {ITEMS}}}",
            f"select.n={ITEMS}",
            "ranker={num_iterations: 30, min_data_in_leaf: 20}",
            f"encoder.name_or_path={encoder}",
            f"paths.root={root}",
            f"paths.run_dir={root / 'run'}",
        ]
    )
    table = pl.read_parquet(root / "run" / "metrics.parquet").filter(
        pl.col(c.METRIC) == "auc", pl.col(c.WINDOW) == "test", pl.col(c.SLICE) == "all"
    )
    assert table[c.MODEL].is_unique().all()
    return dict(table.select(c.MODEL, "value").rows())


@pytest.mark.parametrize("model", READ_THE_USER)
def test_who_reads_the_user_tells_the_colours_apart(auc: dict[str, float], model: str) -> None:
    assert auc[model] > 0.7  # among the twenty of the right colour all are equal: the best there is, .756


@pytest.mark.parametrize("model", ["random", "popularity"])
def test_who_does_not_cannot(auc: dict[str, float], model: str) -> None:
    assert 0.4 < auc[model] < 0.6
