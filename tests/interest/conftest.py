"""Random towers, vectors and histories without torch."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from recsys.core.columns import INTERACTIONS
from recsys.core.log import HISTORY, EventLog, RowBlock, View, follow, heads, make_log
from recsys.interest.user import UserTower


class World(NamedTuple):
    """30 users, 50 items of 21 dims (no multiple of anything), 40 requests."""

    tower: UserTower
    tuned: np.ndarray
    raw: np.ndarray
    log: EventLog
    users: np.ndarray
    visible: np.ndarray
    heads: np.ndarray
    rows: RowBlock

    def view(self, request: int) -> View:
        """What the online ring would hold for a request."""
        items, kinds = np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8)
        times = np.zeros(HISTORY, np.int64)
        n = follow(self.log, self.heads[request], HISTORY, items, kinds, times)
        return View(int(self.users[request]), 10**15, n, items, kinds, times)

    def candidates(self, request: int) -> Any:
        return self.rows.items[self.rows.offsets[request] : self.rows.offsets[request + 1]]


def unit_rows(rng: np.random.Generator, n: int, dims: int) -> np.ndarray:
    rows = rng.normal(size=(n, dims))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_tower(
    rng: np.random.Generator, dims: int, clock: bool = True, read_history: int = 50
) -> UserTower:
    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32) * np.float32(0.5)

    queries, rank = 3, 5
    edges = np.array([60, 600, 3600, 86_400], np.int64) * 1_000_000
    return UserTower(
        draw(queries, dims),
        draw(queries, 6),
        draw(queries, 8),
        draw(queries, 6),
        draw(2, queries),
        draw(rank, queries * dims),
        draw(2, rank, dims),
        draw(2, dims),
        draw(2),
        edges,
        read_history,
        clock,
    )


@pytest.fixture(scope="session")
def world() -> World:
    rng = np.random.default_rng(11)
    n_users, n_items, n, requests, dims = 30, 50, 900, 40, 21
    log = make_log(
        rng.integers(0, n_users, n) ** 2 // n_users,  # some users are busy, some are not
        rng.integers(0, n_items, n),
        np.cumsum(rng.integers(0, 3_600_000_000, n)),
        rng.choice([0, *INTERACTIONS], n),
    )
    users = rng.integers(-1, n_users, requests).astype(np.int32)
    visible = np.sort(rng.integers(0, n, requests))
    sizes = rng.integers(0, 30, requests)
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    items = rng.integers(-1, n_items, offsets[-1]).astype(np.int32)
    tuned, raw = unit_rows(rng, n_items, dims), unit_rows(rng, n_items, dims)
    tuned[7] = raw[7] = np.nan  # an item without a vector
    return World(
        random_tower(rng, dims),
        tuned,
        raw,
        log,
        users,
        visible,
        heads(log, users, visible),
        RowBlock(offsets, items),
    )
