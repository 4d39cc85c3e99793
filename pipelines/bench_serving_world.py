"""What serving is measured on: the demo shop, grown, and a model folder of it that nothing was trained for.

Vectors are random and trees are grown on noise, since what is measured is time: as many columns, trees,
leaves and dimensions as a trained model has, over the same state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.sources import popularity_at
from recsys.core import columns as c
from recsys.core.codes import Codes
from recsys.core.log import ItemTable
from recsys.data.prepare import Prepared, prepare
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.interest.score import INTEREST_COLUMNS, score_view
from recsys.interest.user import load_user_tower
from recsys.interest.vectors import Vectors, item_keys
from recsys.pipelines.bench_encoder_inputs import TOY, load_world, tiny_encoder
from recsys.pipelines.path import walk
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load
from recsys.ranking.library import lightgbm
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.state.store import State

Array = NDArray[Any]
LEAVES = 31


@dataclass(frozen=True)
class Size:
    """Of the shop and of the model."""

    items: int = 100_000
    users: int = 50_000
    events: int = 2_000_000
    trees: int = 300
    rows: int = 20_000  # that the trees are grown on
    quick: bool = False


FULL = Size()
QUICK = Size(items=400, users=100, events=6_000, trees=10, rows=2_000, quick=True)


class World(NamedTuple):
    """A model folder and the names in it."""

    model: Path
    users: Sequence[str]
    items: Sequence[str]
    parts: BundleParts
    data: Prepared


def make_world(size: Size, root: Path) -> World:
    """Simulate the shop, replay it, and write the model folder under ``root``."""
    shop = (
        f"data.shop.items={size.items}",
        f"data.shop.users={size.users}",
        f"data.shop.events={size.events}",
    )
    config, _ = load(("data=shop", *shop, "tracking=none"))
    data = prepare(read_tables(config.data), config.prepare())
    state = State.new(config.features, True, len(data.users), data.item_table, lists=True)
    state.advance(data.log, len(data.log.time))
    encoder = trained_encoder(size.quick, root)
    time = int(data.log.time.max())
    dims = load_user_tower(encoder, True).prior.shape[1]
    vectors = random_vectors(len(data.items), dims)
    columns = (*INTEREST_COLUMNS, *state.names)
    parts = BundleParts(
        users=data.codes["users"],
        items=data.codes["items"],
        categories=data.codes["categories"],
        brands=data.codes["brands"],
        state=state,
        state_time=time,
        trees=grow(sample(state, vectors, encoder, time, size.rows), columns, size.trees),
        columns=columns,
        popularity=popularity_at(data.log, data.item_table, len(data.log.time), config.candidates, True),
        vectors=vectors,
        item_keys=item_keys(data.items[c.TEXT].to_list(), {}),
        encoder=encoder,
        text_columns=("title", "description", "category", "brand"),
        item_attributes=item_attributes(data.items),
        user_attributes=user_attributes(data.users),
        candidates=config.candidates,
        select=config.select,
    )
    model = write_bundle(root / "model", parts)
    return World(model, data.users[c.USER_ID].to_list(), data.items[c.ITEM_ID].to_list(), parts, data)


def larger(world: World, items: int, root: Path) -> Path:
    """The same model folder with so many items; those beyond the shop's have vectors and no past."""
    parts = world.parts
    table = parts.state.items
    more = items - len(table.category)
    far = {"category": -1, "brand": -1, "price": np.nan}
    columns = [
        np.concatenate([column, np.full(more, far.get(name, column[0]), column.dtype)])
        for name, column in zip(ItemTable._fields, table, strict=True)
    ]
    parts.state.grow(len(parts.users), ItemTable(*columns))
    ids = [*world.items, *(f"more-{number}" for number in range(more))]
    assert parts.vectors is not None
    vectors = random_vectors(items, parts.vectors.raw.shape[1])
    keys = item_keys(ids, {})
    parts.popularity.grow(items)
    grown = replace(parts, items=Codes.build(ids), vectors=vectors, item_keys=keys)
    return write_bundle(root / "larger", grown)


def random_vectors(items: int, dims: int) -> Vectors:
    """Of length one."""
    rng = np.random.default_rng(0)

    def unit() -> Array:
        rows = rng.standard_normal((items, dims), np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return Vectors(unit(), unit())


def trained_encoder(quick: bool, root: Path) -> Path:
    """A text tower and a user tower: MiniLM's, exported by the preset adapter from a toy shop."""
    name = (f"encoder.name_or_path={tiny_encoder(load_world(TOY).texts, root / 'tiny')}",) if quick else ()
    asked = (*TOY, "trainer.max_epochs=1", "trainer.threads=1", *name, "tracking=none")
    config, _ = load(asked)
    runner = Runner(root / "work", root / "run", say=lambda line: None)
    return walk(runner, config, "train-encoder")["train-encoder"].folder


def sample(state: State, vectors: Vectors, encoder: Path, time: int, rows: int) -> Array:
    """Columns of random users and items: float32 (rows, columns)."""
    rng = np.random.default_rng(1)
    tower, each, parts = load_user_tower(encoder, True), 50, []
    for user in rng.integers(0, state.n_users, rows // each).tolist():
        view = state.view(user, time)
        codes = rng.integers(0, len(state.items.category), each).astype(np.int32)
        interest = score_view(tower, vectors.tuned, vectors.raw, view, codes)
        parts.append(np.hstack([interest, state.read(view, codes)]))
    return np.concatenate(parts)


def grow(values: Array, columns: Sequence[str], trees: int) -> str:
    """LightGBM's text of trees that read every column, grown on a noisy sum."""
    library, rng = lightgbm(), np.random.default_rng(2)
    known = np.nan_to_num(values)
    spread = known.std(axis=0)
    scaled = known / np.where(spread > 0, spread, 1.0)
    target = (scaled * rng.standard_normal(len(columns))).sum(axis=1) + rng.standard_normal(len(values))
    settings = {"num_leaves": LEAVES, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1, "seed": 0}
    data = library.Dataset(values, target, feature_name=list(columns), params={"verbosity": -1})
    return str(library.train(settings, data, trees).model_to_string())
