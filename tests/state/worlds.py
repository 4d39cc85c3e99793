"""Small random worlds, and every family under one config."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.log import HISTORY, OPEN_FROM, OPEN_TO, EventLog, ItemTable, View, make_log
from recsys.state.family import Feature, StateConfig
from recsys.state.store import State

Array = NDArray[Any]
START = 1_600_000_000_000_000
HOUR = 3_600_000_000
DAY = 24 * HOUR
USERS, ITEMS = 7, 12


def rows(**given: Feature) -> StateConfig:
    """A config of these rows, small enough that lists fill up."""
    return StateConfig(rows=given, neighbours=4, past=3)


EVERYTHING = rows(
    item_popularity=Feature("counts", "item", "count", half_lives=("all", "7d", "12h")),
    item_click_lift=Feature("counts", "item", "lift", half_lives=("all", "1d")),
    item_click_rate=Feature("counts", "item", "rate", types=("click",), over=("impression",), prior=3.0),
    item_purchase_rate=Feature("counts", "item", "rate", types=("purchase",), over=("click",), prior=2.0),
    item_mean_rating=Feature("counts", "item", "mean", types=("rating",), value="value", prior=1.0),
    item_mean_price=Feature("counts", "item", "mean", types=("purchase",), value="price", prior=1.0),
    item_trend=Feature("counts", "item", "trend", half_lives=("1d", "7d")),
    item_days_since=Feature("counts", "item", "recency"),
    item_category_clicks=Feature("counts", "category", "count", types=("click",), half_lives=("2d",)),
    item_brand_lift=Feature("counts", "brand", "lift"),
    user_activity=Feature("counts", "user", "count", half_lives=("all", "1d")),
    user_global_clicks=Feature("counts", "global", "count", types=("click",), half_lives=("6h",)),
    item_age=Feature("static", "item", "age"),
    user_history_length=Feature("recent", "user", "length"),
    user_hours_since=Feature("recent", "user", "hours"),
    pair_seen=Feature("recent", "user", "seen"),
    pair_steps_since=Feature("recent", "user", "steps"),
    pair_times_seen=Feature("recent", "user", "times_seen"),
    pair_category_share=Feature("recent", "user", "same_category", depth=4),
    pair_brand_share=Feature("recent", "user", "same_brand", depth=4),
    pair_last=Feature("neighbours", "item", "last"),
    pair_recent=Feature("neighbours", "item", "recent"),
    pair_share=Feature("neighbours", "item", "share"),
    pair_surprise=Feature("neighbours", "item", "surprise"),
    pair_bought_share=Feature("neighbours", "item", "share", types=("purchase",)),
    pair_together=Feature("neighbours", "item", "recent", both=True),
    pair_clicks=Feature("pair_counts", "user_item", "count", types=("click",), half_lives=("all", "1d")),
    pair_showings=Feature("pair_counts", "user_item", "count", types=("impression",)),
    pair_days_since=Feature("pair_counts", "user_item", "recency"),
    pair_category_rate=Feature(
        "pair_counts", "user_category", "rate", types=("click",), over=("impression",), prior=2.0
    ),
    pair_brand_affinity=Feature("pair_counts", "user_brand", "count", half_lives=("3d",)),
    item_log_price=Feature("price", "user", "log_price"),
    user_usual_price=Feature("price", "user", "usual"),
    pair_price_ratio=Feature("price", "user", "ratio"),
    pair_price_z=Feature("price", "user", "z"),
)


def items_of(seed: int = 0, n: int = ITEMS) -> ItemTable:
    """A catalogue with gaps."""
    rng = np.random.default_rng(seed)
    price = np.exp(rng.normal(2.0, 1.0, n)).astype(np.float32)
    price[rng.random(n) < 0.2] = np.nan
    born = START - rng.integers(0, 30 * DAY, n)
    born[rng.random(n) < 0.2] = OPEN_FROM
    return ItemTable(
        rng.integers(-1, 3, n).astype(np.int32),
        rng.integers(-1, 4, n).astype(np.int32),
        price,
        born,
        np.full(n, OPEN_TO),
    )


def log_of(seed: int, n: int, *, late: bool = False, requests: bool = True) -> EventLog:
    """Random events of every type; ``late`` leaves them out of order."""
    rng = np.random.default_rng(seed)

    def with_gaps(values: Array) -> Array:
        return np.where(rng.random(n) < 0.5, np.nan, values)

    time = START + np.sort(rng.integers(0, 20 * DAY, n))
    if late:
        moved = rng.random(n) < 0.2
        time[moved] -= rng.integers(0, 2 * DAY, int(moved.sum()))
    return make_log(
        rng.integers(-1, USERS, n),
        rng.integers(-1, ITEMS, n),
        time,
        rng.choice(6, n, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]),
        with_gaps(rng.integers(1, 6, n).astype(np.float64)),
        with_gaps(rng.random(n) * 20 - 1),
        rng.integers(-1 if not requests else 0, n // 4 + 1, n),
        rng.integers(-1, 60, n),
        sort=not late,
    )


def event_of(log: EventLog, i: int) -> tuple[Any, ...]:
    """One event as `State.observe` takes it."""
    return tuple(column[i].item() for column in log[:8])


def observe(state: State, log: EventLog, start: int, stop: int) -> None:
    """Event by event."""
    for i in range(start, stop):
        state.observe(*event_of(log, i))


def new_state(
    config: StateConfig = EVERYTHING, *, clock: bool = True, items: ItemTable | None = None
) -> State:
    """An empty state of the small world."""
    return State.new(config, clock, USERS, items or items_of())


def history(user: int, time: int, *past: tuple[int, int, int]) -> View:
    """A view by hand: (item, kind, time), newest first."""
    items, kinds = np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8)
    times = np.zeros(HISTORY, np.int64)
    for j, (item, kind, moment) in enumerate(past):
        items[j], kinds[j], times[j] = item, kind, moment
    return View(user, time, len(past), items, kinds, times)


def codes(*items: int) -> Array:
    """Candidates."""
    return np.array(items, np.int32)
