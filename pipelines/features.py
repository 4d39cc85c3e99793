"""Stage features: behaviour features of the rows as of their requests, and interest columns beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.log import RowBlock, heads
from recsys.data.prepare import load
from recsys.data.requests import request_arrays
from recsys.features.assemble import assemble
from recsys.features.attributes import Attributes
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.interest.score import INTEREST_COLUMNS, score_rows
from recsys.interest.user import load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.pipelines.rows import kinds, row_block, rows_name
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant, cuts_of
from recsys.state.family import StateConfig
from recsys.state.store import State

Array = NDArray[Any]
FEATURES, SCORES = "features", "scores"


@dataclass(frozen=True)
class Config:
    """Feature rows, variants, and how many families work side by side."""

    features: StateConfig
    variants: Mapping[str, Variant]
    threads: int = 2


def attribute_block(
    items: Attributes, users: Attributes, user: Array, rows: RowBlock
) -> tuple[tuple[str, ...], Array]:
    """Free columns of the rows' items and users, side by side."""
    of_user = np.repeat(user, np.diff(rows.offsets))
    return (*items.names, *users.names), np.concatenate((items.of(rows.items), users.of(of_user)), axis=1)


def context_block(requests: pl.DataFrame, rows: RowBlock) -> tuple[tuple[str, ...], Array]:
    """Numeric ``ctx_*`` columns of the requests, repeated for their rows."""
    names = tuple(
        n for n in requests.columns if n.startswith(c.CONTEXT_PREFIX) and requests[n].dtype.is_numeric()
    )
    values = (
        requests.select(pl.col(n).cast(pl.Float32) for n in names).to_numpy()
        if names
        else np.empty((len(requests), 0))
    )
    return names, np.repeat(values.astype(np.float32), np.diff(rows.offsets), axis=0)


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Two blocks a variant, aligned with its rows."""
    data = load(inputs["prepare"])
    clock = bool(data.meta["clock"])
    requests = request_arrays(data.requests)
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    tower = load_user_tower(inputs["train-encoder"], clock)
    vectors = load_vectors(inputs["embed"])
    state = State.new(config.features, clock, len(data.users), data.item_table, views=False)
    of_items, of_users = item_attributes(data.items), user_attributes(data.users)
    for variant_name, variant in config.variants.items():
        cuts = cuts_of(data.log, requests, window, data.windows, variant)
        entrance = heads(data.log, requests.user, cuts["user"])
        for kind in kinds(data):
            name = rows_name(variant_name, kind)
            table = pl.read_parquet(inputs["select"] / f"{name}.parquet", columns=[c.REQUEST, c.ITEM])
            rows = row_block(table, len(data.requests))
            blocks = [
                assemble(state, data.log, data.item_table, requests, cuts, rows, threads=config.threads),
                attribute_block(of_items, of_users, requests.user, rows),
                context_block(data.requests, rows),
            ]
            _write(blocks, out / f"{name}.{FEATURES}.parquet")
            scores = score_rows(tower, vectors.tuned, vectors.raw, data.log, entrance, rows)
            _write([(INTEREST_COLUMNS, scores)], out / f"{name}.{SCORES}.parquet")
    return Facts(notes={"columns": len(state.names) + len(of_items.names) + len(of_users.names)})


def _write(blocks: list[tuple[tuple[str, ...], Array]], path: Path) -> None:
    columns = {name: values[:, i] for names, values in blocks for i, name in enumerate(names)}
    pl.DataFrame(columns).write_parquet(path, compression="lz4")


STAGE = Stage(
    "features",
    work,
    (
        "recsys.state",
        "recsys.features",
        "recsys.interest",
        "recsys.pipelines.features",
        "recsys.pipelines.variants",
    ),
)
