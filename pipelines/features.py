"""Stage features: behaviour features of the rows as of their requests, and interest columns beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.log import RowBlock
from recsys.core.tables import ROWS, check
from recsys.data.prepare import load
from recsys.data.requests import request_arrays
from recsys.features.attributes import Attributes
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.pipelines.describe import Block, Describer
from recsys.pipelines.rows import kinds, row_block, rows_name
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant, sight_of
from recsys.state.family import StateConfig

Array = NDArray[Any]
FEATURES, SCORES = "features", "scores"


@dataclass(frozen=True)
class Config:
    """Feature rows, variants, and how many families work side by side."""

    features: StateConfig
    variants: Mapping[str, Variant]
    threads: int = 1


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
    requests = request_arrays(data.requests)
    describe = Describer(inputs, data, config.features, config.threads)
    of_items, of_users = item_attributes(data.items), user_attributes(data.users)
    for variant_name, variant in config.variants.items():
        sight = sight_of(data, variant)
        for kind in kinds(data):
            name = rows_name(variant_name, kind)
            table = pl.read_parquet(inputs["select"] / f"{name}.parquet", columns=[c.REQUEST, c.ITEM])
            rows = row_block(check(table, ROWS), len(data.requests))
            blocks = [
                describe.behaviour(sight, rows),
                attribute_block(of_items, of_users, requests.user, rows),
                context_block(data.requests, rows),
            ]
            _write(blocks, out / f"{name}.{FEATURES}.parquet")
            _write([describe.interest(sight, rows)], out / f"{name}.{SCORES}.parquet")
    return Facts(notes={"columns": len(describe.columns) + len(of_items.names) + len(of_users.names)})


def _write(blocks: list[Block], path: Path) -> None:
    columns = {name: values[:, i] for names, values in blocks for i, name in enumerate(names)}
    pl.DataFrame(columns).write_parquet(path, compression="lz4")


STAGE = Stage(
    "features",
    work,
    (
        "recsys.state",
        "recsys.features",
        "recsys.interest",
        "recsys.pipelines.describe",
        "recsys.pipelines.features",
        "recsys.pipelines.variants",
    ),
)
