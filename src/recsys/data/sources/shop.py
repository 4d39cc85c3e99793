"""The demo shop: a seeded world of items, users and events, with the true preference beside it.

The clock is real, the lists are logged, the policy that drew them is known (``shop_policy``), and what
users really want is known too (``shop_truth``); no column of the tables gives it away.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.checks import MOST_SEED, at_least, check_numbers
from recsys.core.errors import ConfigError
from recsys.data.sources.shop_items import NAMES, Catalogue, make_catalogue
from recsys.data.sources.shop_policy import by_popularity, make_policy, show
from recsys.data.sources.shop_truth import TruePreference, chance, examination
from recsys.data.sources.shop_users import Users, make_users

Array = NDArray[Any]

SECOND = 1_000_000
DAY = 86_400 * SECOND
EVENTS_A_LIST = 13.0  # a first guess; corrected day by day
LISTS_A_VISIT = 1.8
WEEK_FADE = 0.5 ** (1.0 / 7.0)
RETURNED = 0.06
HOURS = np.repeat(np.arange(24), (2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 8, 9, 8, 7, 7, 8, 9, 11, 13, 14, 13, 9, 5))


@dataclass(frozen=True)
class ShopConfig:
    """Size and seed of the shop.

    Parameters
    ----------
    items, users, events : int
        Rows of the three tables; events are cut at exactly this number.
    days : int
        The span of the log.
    list_size : int
        Items shown a request.
    order : {"drawn", "popular"}
        How a list is put in order: as its items were drawn, which tells hardly anything of them; or the
        most clicked of earlier days first, as shops do. Then a click that the place earned looks like one
        that the item earned, and no propensities are known.
    unbiased : bool
        Every place of a list is looked at with the same chance, the mean of what they have otherwise: as
        many clicks without the bias of position.
    start : str
        First day, ISO, UTC.
    seed : int
    """

    items: int = 3000
    users: int = 5000
    events: int = 300_000
    days: int = 90
    list_size: int = 10
    order: Literal["drawn", "popular"] = "drawn"
    unbiased: bool = False
    start: str = "2024-03-01"
    seed: int = 7

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "data.shop",
            items=at_least(50),
            users=at_least(1),
            events=at_least(1),
            days=at_least(1),
            list_size=at_least(1),
            seed=at_least(0, MOST_SEED),
        )


@dataclass(frozen=True)
class Shop:
    """The three tables of an input, and the truth beside them."""

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    truth: TruePreference


class _Events(NamedTuple):
    """A batch of events in columns; -1 stands for no request, position or visit."""

    time: Array
    user: Array
    item: Array
    kind: Array
    request: Array
    position: Array
    propensity: Array
    visit: Array


def _first_moment(config: ShopConfig) -> int:
    try:
        given = datetime.fromisoformat(config.start)
        start = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(
            "data.shop.start",
            expected="an ISO date such as 2024-03-01",
            found=repr(config.start),
            do="Mend it.",
        ) from error
    return int(start.timestamp()) * SECOND


def _examined(config: ShopConfig) -> Array:
    """The chance that each place is looked at."""
    looked = examination(np.arange(1, config.list_size + 1))
    return np.full_like(looked, looked.mean()) if config.unbiased else looked


def _visits(rng: np.random.Generator, users: Users, day: int, lists: int) -> tuple[Array, Array, Array]:
    """Who comes on a day: user, visit number within the day and start of each of ``lists`` lists, in us."""
    cumulative = np.cumsum(np.where(users.first_day <= day, users.rate, 0))
    if cumulative[-1] == 0:
        cumulative = np.cumsum(users.rate)
    n = max(int(np.ceil(lists / LISTS_A_VISIT * 1.3)), lists // 2 + 8)
    user = np.searchsorted(cumulative, rng.integers(cumulative[-1], size=n), side="right")
    hour = HOURS[rng.integers(len(HOURS), size=n)]
    start = hour * 3600 * SECOND + rng.integers(3600 * SECOND, size=n)
    length = np.minimum(rng.geometric(1.0 / LISTS_A_VISIT, size=n), 6)
    visit = np.repeat(np.arange(n), length)
    nth = np.arange(len(visit)) - np.repeat(np.cumsum(length) - length, length)
    gap = 180 * SECOND + rng.integers(300 * SECOND, size=len(visit))
    time = np.minimum(
        start[visit] + nth * gap.max(initial=0) - nth * rng.integers(60 * SECOND, size=len(visit)), DAY - 1
    )
    return user[visit[:lists]], visit[:lists], time[:lists]


def _funnel(rng: np.random.Generator, truth: TruePreference, shown: _Events, end: int) -> Iterator[_Events]:
    """The shown lists, and what comes of them: clicks, carts, purchases, a few returns."""
    yield shown
    utility = truth.utility(shown.user, shown.item, shown.time)
    luck = rng.random((3, len(utility)))
    wait = rng.integers(
        (5 * SECOND, 20 * SECOND, 60 * SECOND), (60 * SECOND, 120 * SECOND, 600 * SECOND), (len(utility), 3)
    )
    delay = np.cumsum(wait, axis=1)
    took = truth.examined[shown.position - 1] * chance(utility, 0) > luck[0]
    for step in range(3):
        if step:
            took = took & (chance(utility, step) > luck[step])
        time = shown.time[took] + delay[took, step]
        yield shown._replace(
            time=time, user=shown.user[took], item=shown.item[took], visit=shown.visit[took],
            kind=np.full(len(time), c.CLICK + step), request=shown.request[took],
            position=shown.position[took], propensity=shown.propensity[took],
        )  # fmt: skip
    back = took & (rng.random(len(took)) < RETURNED)
    time = shown.time[back] + delay[back, 2] + rng.integers(3 * DAY, 14 * DAY, int(back.sum()))
    none = np.full(len(time), -1)
    yield _Events(
        time, shown.user[back], shown.item[back], np.full(len(time), c.RETURN), none, none,
        np.full(len(time), np.nan), none,
    )  # fmt: skip


def _simulate(
    rng: np.random.Generator,
    config: ShopConfig,
    start: int,
    catalogue: Catalogue,
    users: Users,
    truth: TruePreference,
) -> _Events:
    """Day by day: visits, lists, what comes of them; the clicks of a day are popular on the next."""
    policy = make_policy(catalogue, truth)
    tastes = truth.tastes.astype(np.float64)
    popularity = np.zeros(config.items)
    batches: list[_Events] = []
    made = requests = visits = 0
    end = start + config.days * DAY
    for day in range(config.days):
        due = config.events * (day + 1) / config.days - made
        if day == config.days - 1:
            due = due * 1.2 + 50.0  # enough to cut the log at the size asked for
        rate = made / requests if requests > 50 else EVENTS_A_LIST
        lists = max(int(np.ceil(due / rate)), 1)
        morning = start + day * DAY
        user, visit, time = _visits(rng, users, day, lists)
        basis = truth.basis(np.array([morning]))[0]
        shown = show(rng, policy, tastes[user], basis, popularity, morning, config.list_size)
        if config.order == "popular":
            shown = by_popularity(shown, popularity)
        impressions = _Events(
            time[shown.row] + morning, user[shown.row], shown.item, np.zeros(len(shown.row), np.int64),
            shown.row + requests, shown.position, shown.propensity, visit[shown.row] + visits,
        )  # fmt: skip
        today = list(_funnel(rng, truth, impressions, end))
        popularity = popularity * WEEK_FADE + np.bincount(today[1].item, minlength=config.items)
        batches += today
        made += sum(len(batch.time) for batch in today)
        requests += len(user)
        visits += int(visit[-1]) + 1
    events = _Events(*(np.concatenate(column) for column in zip(*batches, strict=True)))
    order = np.argsort(events.time, kind="stable")[: config.events]
    order = order[events.time[order] < end]
    return _Events(*(column[order] for column in events))


def _dense(code: Array) -> Array:
    """Number codes by first appearance, -1 stays."""
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    seen = np.argsort(np.argsort(np.where(code[first] < 0, -1, first)))
    dense: Array = seen[inverse] - (1 if code.min(initial=0) < 0 else 0)
    return dense


def _ids(prefix: str, code: Array) -> pl.Series:
    numbers = pl.Series(code).cast(pl.Int64)
    text = prefix + numbers.cast(pl.String).str.zfill(7)
    return text.set(numbers < 0, None) if (code < 0).any() else text


def _frame(events: _Events, catalogue: Catalogue, users: Users) -> pl.DataFrame:
    price = catalogue.price[events.item]
    bought = (events.kind == c.PURCHASE) | (events.kind == c.RETURN)
    logged = pl.Series(events.position >= 1)
    return pl.DataFrame(
        {
            c.EVENT_ID: _ids("e", np.arange(len(events.time))),
            c.USER_ID: users.frame[c.USER_ID].gather(events.user),
            c.ITEM_ID: catalogue.frame[c.ITEM_ID].gather(events.item),
            c.TIMESTAMP: pl.Series(events.time).cast(pl.Datetime("us", "UTC")),
            c.EVENT_TYPE: pl.Series(c.EVENT_TYPES, dtype=pl.Enum(c.EVENT_TYPES)).gather(events.kind),
            c.VALUE: pl.Series(np.where(bought, price, np.nan)).fill_nan(None),
            c.PRICE: price,
            c.REQUEST_ID: _ids("r", _dense(events.request)),
            c.POSITION: pl.Series(events.position).cast(pl.Int32).set(~logged, None),
            c.PROPENSITY: pl.Series(events.propensity).fill_nan(None),
            c.SESSION_ID: _ids("s", _dense(events.visit)),
        }
    )


def generate(config: ShopConfig) -> Shop:
    """Make a shop; the same configuration gives the same shop.

    Parameters
    ----------
    config : ShopConfig

    Returns
    -------
    Shop
        ``events`` sorted by time with exactly ``config.events`` rows.

    Raises
    ------
    ConfigError
        For sizes too small to make a shop, or a start that is no date.
    """
    start = _first_moment(config)
    rng = np.random.default_rng(config.seed)
    catalogue = make_catalogue(rng, config.items, start, start + config.days * DAY)
    users = make_users(rng, config.users, config.days)
    truth = TruePreference(
        user_id=users.frame[c.USER_ID].to_numpy().astype(str),
        item_id=catalogue.frame[c.ITEM_ID].to_numpy().astype(str),
        tastes=users.tastes,
        attributes=catalogue.attributes(),
        season=catalogue.season(),
        names=np.array(NAMES),
        examined=_examined(config),
    )
    events = _simulate(rng, config, start, catalogue, users, truth)
    return Shop(_frame(events, catalogue, users), catalogue.frame, users.frame, truth)
