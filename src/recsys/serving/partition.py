"""One partition of batch scoring: rows of its users as parquet, scored now or carried over."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.core.tables import RECOMMENDATIONS, check
from recsys.serving.batch_config import BatchConfig
from recsys.serving.ranker import Ranker


class Part(NamedTuple):
    """What one file is made of."""

    users: Sequence[str]  # in the order of their rows
    fresh: Sequence[str]  # those of them who are scored
    carried: Sequence[str] = ()  # earlier files, which have the rows of the others


def part_bytes(ranker: Ranker, part: Part, config: BatchConfig) -> bytes:
    """The file of a partition; it depends on the bundle's files, on ``part`` and on ``config`` alone."""
    frame = recommendations(ranker, part.fresh, config)
    if part.carried:
        frame = _merged(frame, part)
    out = io.BytesIO()
    check(frame, RECOMMENDATIONS).write_parquet(out)
    return out.getvalue()


def recommendations(ranker: Ranker, user_ids: Sequence[str], config: BatchConfig) -> pl.DataFrame:
    """The best items of some users, as of the state."""
    users: list[str] = []
    items: list[str] = []
    ranks: list[Any] = []
    scores: list[Any] = []
    chances: dict[str, list[Any]] = {}
    for user in user_ids:
        answer = ranker.recommend(user, config.k, exclude_seen=config.exclude_seen, at="state")
        users.extend([user] * len(answer))
        items.extend(answer.item_ids)
        ranks.append(answer.ranks)
        scores.append(answer.scores)
        for name, chance in answer.chances.items() if config.chances else ():
            chances.setdefault(name, []).append(chance)
    n = len(users)
    return pl.DataFrame(
        {
            c.USER_ID: pl.Series(users, dtype=pl.String),
            c.RANK: np.concatenate(ranks).astype(np.int32) if n else np.empty(0, np.int32),
            c.ITEM_ID: pl.Series(items, dtype=pl.String),
            c.SCORE: np.concatenate(scores).astype(np.float32) if n else np.empty(0, np.float32),
            c.MODEL: pl.Series([ranker.bundle.manifest["model"]] * n, dtype=pl.String),
        }
        | {name: np.concatenate(parts).astype(np.float32) for name, parts in chances.items()}
    )


def _merged(fresh: pl.DataFrame, part: Part) -> pl.DataFrame:
    """The rows of all users of a partition in its order, the others' as they were."""
    place = pl.DataFrame({c.USER_ID: pl.Series(part.users, dtype=pl.String)}).with_row_index("place")
    others = place.join(pl.DataFrame({c.USER_ID: pl.Series(part.fresh, dtype=pl.String)}), c.USER_ID, "anti")
    wanted = others[c.USER_ID].implode()
    kept = pl.concat([pl.read_parquet(path).filter(pl.col(c.USER_ID).is_in(wanted)) for path in part.carried])
    both = pl.concat([kept, fresh] if part.fresh else [kept])
    return both.join(place, c.USER_ID, "left").sort("place", c.RANK).drop("place")
