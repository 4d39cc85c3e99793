"""A tiny world with a bundle: ten items, four users, a state, vectors, and a few trees that read them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from recsys.candidates.sources import CandidatesConfig, popularity_at
from recsys.core.codes import Codes
from recsys.core.columns import CLICK, PURCHASE
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, make_log
from recsys.features.attributes import Attributes
from recsys.interest.score import INTEREST_COLUMNS
from recsys.interest.vectors import Vectors, item_keys
from recsys.ranking.first_stage import SelectConfig
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.ranker import Ranker
from recsys.state.family import Feature, StateConfig
from recsys.state.store import State

N_ITEMS, N_USERS, DIMS = 10, 4, 4
START = 1_700_000_000_000_000
SECOND = 1_000_000
CANDIDATES = CandidatesConfig(depths={"popular": 4, "repeat": 3, "covisit": 4, "nearest": 3}, half_life="all")
FEATURES = StateConfig(
    rows={
        "item_count": Feature("counts", "item", "count", half_lives=("all", "1d")),
        "pair_seen": Feature("recent", "user", "seen"),
        "pair_follows": Feature("neighbours", "item", "recent"),
    }
)


def item_table() -> ItemTable:
    open_from, open_to = np.full(N_ITEMS, OPEN_FROM, np.int64), np.full(N_ITEMS, OPEN_TO, np.int64)
    open_to[9] = START  # sold out before anything happened
    codes = np.arange(N_ITEMS, dtype=np.int32) % 3
    return ItemTable(codes, codes, np.full(N_ITEMS, 5.0, np.float32), open_from, open_to)


def event_log(n: int = 60) -> EventLog:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, N_USERS, n), rng.integers(0, N_ITEMS - 1, n)
    kinds = rng.choice([CLICK, PURCHASE], n, p=[0.8, 0.2])
    return make_log(users, items, START + SECOND * np.arange(n), kinds)


def write_encoder(folder: Path, engine: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"engine": engine}))
    (folder / "model.safetensors").write_bytes(b"large, and of no use to serving")
    np.savez(
        folder / "user_tower.npz",
        query=np.zeros((1, DIMS), np.float32),
        kind_bias=np.zeros((1, 6), np.float32),
        order_bias=np.zeros((1, 3), np.float32),
        gap_bias=np.zeros((1, 4), np.float32),
        mix=np.ones((2, 1), np.float32),
        down=np.zeros((1, DIMS), np.float32),
        up=np.zeros((2, 1, DIMS), np.float32),
        prior=np.full((2, DIMS), 0.5, np.float32),
        scale=np.ones(2, np.float32),
        gap_edges=np.array([60, 3600], np.int64) * SECOND,
        read_history=np.int64(50),
    )
    return folder


def unit(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write_static(folder: Path) -> Path:
    """An encoder whose text tower is a table over letters."""
    write_encoder(folder, "static")
    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmn:;"])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = unit(np.random.default_rng(3).normal(size=(2 * len(words), DIMS))).reshape(len(words), 2, DIMS)
    np.save(folder / "static.npy", table)
    sizes = {"dims": DIMS, "max_tokens": 12, "pad_id": 0}
    hashes = {"static.npy": "a", "tokenizer.json": "b"}
    (folder / "manifest.json").write_text(json.dumps({"engine": "static", "sha256": hashes, **sizes}))
    return folder


def trees(columns: tuple[str, ...]) -> str:
    """A few trees of which every column decides something."""
    rng = np.random.default_rng(1)
    x = rng.normal(1, 2, (600, len(columns))).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x).sum(axis=1)
    parameters = {"num_leaves": 12, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1}
    data = lightgbm.Dataset(x, y, feature_name=list(columns), params={"verbosity": -1})
    return str(lightgbm.train(parameters, data, 40).model_to_string())


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> BundleParts:
    log, table = event_log(), item_table()
    state = State.new(FEATURES, True, N_USERS, table)
    state.advance(log, len(log.time))
    rng = np.random.default_rng(2)
    vectors = Vectors(unit(rng.normal(size=(N_ITEMS, DIMS))), unit(rng.normal(size=(N_ITEMS, DIMS))))
    items = Attributes(
        ("item_x_pages", "item_x_kind"),
        rng.integers(0, 3, (N_ITEMS, 2)).astype(np.float32),
        {"item_x_kind": ["paper", "glass", "wood"]},
    )
    users = Attributes(("user_x_age",), np.arange(N_USERS, dtype=np.float32)[:, None] * 10)
    columns = (*INTEREST_COLUMNS, *items.names, *users.names, *state.names, "ctx_hour")
    return BundleParts(
        users=Codes.build([f"u{i}" for i in range(N_USERS)]),
        items=Codes.build([f"i{i}" for i in range(N_ITEMS)]),
        categories=Codes.build(["c0", "c1", "c2"]),
        brands=Codes.build(["b0", "b1", "b2"]),
        state=state,
        state_time=int(log.time[-1]),
        trees=trees(columns),
        columns=columns,
        popularity=popularity_at(log, table, len(log.time), CANDIDATES, clock=True),
        reranker={"best_iteration": 40},
        vectors=vectors,
        item_keys=item_keys([f"title: T{i} ; brand: b{i % 3}" for i in range(N_ITEMS)], {}),
        encoder=write_encoder(tmp_path_factory.mktemp("encoder") / "e", "vectors"),
        text_columns=("title", "brand"),
        item_attributes=items,
        user_attributes=users,
        candidates=CANDIDATES,
        select=SelectConfig(n=8),
        windows={"encoder": "fit", "reranker": "rank"},
        labels={"click": 1.0},
    )


@pytest.fixture(scope="session")
def folder(parts: BundleParts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "model", parts)


@pytest.fixture
def ranker(folder: Path) -> Ranker:
    return Ranker.load(folder)


@pytest.fixture
def bundle_with(parts: BundleParts, tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        return write_bundle(tmp_path / "model", replace(parts, **changes))

    return write
