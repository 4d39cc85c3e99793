"""The demo shop: its tables, its funnel, and that it never changes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.data.sources.shop import Shop, ShopConfig, generate
from recsys.data.sources.shop_truth import examination

SMALL = ShopConfig(items=300, users=200, events=12_000, days=30, seed=3)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate(SMALL)


def fingerprint(shop: Shop) -> str:
    """A hash of every column of the three tables; floats rounded to integers (propensities to 1e-7)."""
    digest = hashlib.sha256()
    for table in (shop.events, shop.items, shop.users):
        for name in table.columns:
            column = table[name]
            if column.dtype.is_float():
                scale = 1e7 if name == c.PROPENSITY else 100.0
                column = (column * scale).round().cast(pl.Int64)
            if column.dtype == pl.String:
                digest.update("\n".join(v or "" for v in column.unique(maintain_order=True)).encode())
                column = column.rank("dense")
            digest.update(name.encode())
            digest.update(column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy().tobytes())
    return digest.hexdigest()[:16]


def test_the_small_shop_is_frozen(shop: Shop) -> None:
    assert fingerprint(shop) == "2fb3b5263efbed98"


def test_the_default_shop_is_frozen() -> None:
    default = generate(ShopConfig())
    assert (default.events.height, default.items.height, default.users.height) == (300_000, 3000, 5000)
    assert fingerprint(default) == "9000353b0182456f"


def test_a_seed_gives_one_shop_and_another_seed_another(shop: Shop) -> None:
    again = generate(SMALL)
    assert shop.events.equals(again.events) and shop.items.equals(again.items)
    assert shop.users.equals(again.users)
    other = generate(ShopConfig(items=300, users=200, events=12_000, days=30, seed=4))
    assert not shop.events.equals(other.events) and not shop.items.equals(other.items)


@pytest.mark.parametrize(
    "config",
    [
        ShopConfig(items=50, users=1, events=1, days=1),
        ShopConfig(items=60, users=40, events=4000, days=90),
        ShopConfig(items=60, users=5, events=50, days=90),
        ShopConfig(items=400, users=30, events=5000, days=7, list_size=25),
        ShopConfig(items=50, users=30, events=900, days=3, list_size=1),
    ],
)
def test_any_size_is_met_exactly(config: ShopConfig) -> None:
    made = generate(config)
    assert made.events.height == config.events
    assert made.items.height == config.items and made.users.height == config.users
    start = datetime.fromisoformat(config.start).replace(tzinfo=UTC)
    span = made.events[c.TIMESTAMP] - start
    assert span.min().total_seconds() >= 0 and span.max().total_seconds() < config.days * 86_400


def test_the_log_fills_its_span(shop: Shop) -> None:
    days = shop.events[c.TIMESTAMP].dt.date()
    assert days.n_unique() == SMALL.days
    counts = days.value_counts()["count"]
    assert counts.max() < 3 * counts.min()


def test_columns_and_types(shop: Shop) -> None:
    assert shop.events.schema == {
        c.EVENT_ID: pl.String,
        c.USER_ID: pl.String,
        c.ITEM_ID: pl.String,
        c.TIMESTAMP: pl.Datetime("us", "UTC"),
        c.EVENT_TYPE: pl.Enum(c.EVENT_TYPES),
        c.VALUE: pl.Float64,
        c.PRICE: pl.Float64,
        c.REQUEST_ID: pl.String,
        c.POSITION: pl.Int32,
        c.PROPENSITY: pl.Float64,
        c.SESSION_ID: pl.String,
    }
    assert shop.items.schema[c.AVAILABLE_FROM] == pl.Datetime("us", "UTC")
    assert shop.events[c.EVENT_ID].is_unique().all() and shop.items[c.ITEM_ID].is_unique().all()
    assert shop.users[c.USER_ID].is_unique().all()
    for column in (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT_TYPE, c.PRICE):
        assert shop.events[column].null_count() == 0


def test_events_are_in_order_and_name_known_things(shop: Shop) -> None:
    assert shop.events[c.TIMESTAMP].is_sorted()
    assert shop.events.join(shop.items, on=c.ITEM_ID, how="anti").is_empty()
    assert shop.events.join(shop.users, on=c.USER_ID, how="anti").is_empty()


def test_nothing_is_shown_before_it_is_there(shop: Shop) -> None:
    seen = shop.events.join(shop.items.select(c.ITEM_ID, c.AVAILABLE_FROM), on=c.ITEM_ID)
    assert (seen[c.TIMESTAMP] >= seen[c.AVAILABLE_FROM]).all()


def test_new_items_arrive_late_and_are_seen(shop: Shop) -> None:
    first, last = shop.events[c.TIMESTAMP].min(), shop.events[c.TIMESTAMP].max()
    arrived = shop.items[c.AVAILABLE_FROM]
    third = (arrived > first + 2 * (last - first) / 3).mean()
    tenth = arrived > first + 0.9 * (last - first)
    assert 0.08 < third < 0.17 and tenth.sum() > 0
    late = shop.items.filter(tenth).join(shop.events, on=c.ITEM_ID, how="semi")
    assert late.height > 0


def test_a_list_is_one_user_at_one_time_with_places_from_one(shop: Shop) -> None:
    impressions = shop.events.filter(pl.col(c.EVENT_TYPE) == "impression")
    lists = impressions.group_by(c.REQUEST_ID).agg(
        pl.col(c.USER_ID).n_unique().alias("users"),
        pl.col(c.TIMESTAMP).n_unique().alias("times"),
        pl.col(c.ITEM_ID).n_unique().alias("items"),
        pl.col(c.SESSION_ID).n_unique().alias("sessions"),
        pl.col(c.POSITION).max().alias("deepest"),
        pl.len(),
    )
    assert (lists["users"] == 1).all() and (lists["times"] == 1).all() and (lists["sessions"] == 1).all()
    assert (lists["items"] == lists["len"]).all() and (lists["deepest"] == lists["len"]).all()
    assert lists["len"].max() == SMALL.list_size and lists["len"].mean() > 0.98 * SMALL.list_size


def test_each_step_of_the_funnel_needs_the_one_before(shop: Shop) -> None:
    key = [c.REQUEST_ID, c.ITEM_ID]
    for step, before in (("click", "impression"), ("cart", "click"), ("purchase", "cart")):
        later = shop.events.filter(pl.col(c.EVENT_TYPE) == step)
        earlier = shop.events.filter(pl.col(c.EVENT_TYPE) == before).select(
            *key, pl.col(c.TIMESTAMP).alias("t")
        )
        both = later.join(earlier, on=key)
        assert later.height > 0 and both.height == later.height
        assert (both[c.TIMESTAMP] > both["t"]).all()
    share = shop.events[c.EVENT_TYPE].value_counts(normalize=True)
    shares = dict(zip(share[c.EVENT_TYPE], share["proportion"], strict=True))
    assert 0.6 < shares["impression"] < 0.78
    assert shares["click"] > shares["cart"] > shares["purchase"] > shares["return"] > 0


def test_returns_follow_a_purchase_and_belong_to_no_list(shop: Shop) -> None:
    back = shop.events.filter(pl.col(c.EVENT_TYPE) == "return")
    assert back[c.REQUEST_ID].null_count() == back[c.POSITION].null_count() == back.height
    bought = shop.events.filter(pl.col(c.EVENT_TYPE) == "purchase")
    assert back.join(bought, on=[c.USER_ID, c.ITEM_ID], how="anti").is_empty()
    with_value = shop.events.filter(pl.col(c.VALUE).is_not_null())
    assert set(with_value[c.EVENT_TYPE].unique().cast(pl.String)) == {"purchase", "return"}


def test_position_bias_shows_in_the_click_rates(shop: Shop) -> None:
    by_place = (
        shop.events.filter(pl.col(c.POSITION) > 0)
        .group_by(c.POSITION)
        .agg(
            (pl.col(c.EVENT_TYPE) == "click").sum().alias("clicks"),
            (pl.col(c.EVENT_TYPE) == "impression").sum().alias("shown"),
        )
    )
    rate = by_place.sort(c.POSITION).select(pl.col("clicks") / pl.col("shown")).to_series().to_numpy()
    assert rate[:3].mean() > 1.4 * rate[-3:].mean()
    assert examination(np.array([1]))[0] == 1.0
    assert examination(np.array([11]))[0] == pytest.approx(0.4)


def test_texts_are_varied_and_of_the_right_length(shop: Shop) -> None:
    text = shop.items[c.TITLE] + " " + shop.items[c.DESCRIPTION]
    words = text.str.split(" ").list.len()
    assert words.min() >= 15 and words.max() <= 50 and 25 < words.mean() < 40
    assert text.n_unique() == SMALL.items
    assert not text.str.contains(r"[{}]").any() and not text.str.contains(r"\b[Aa] [aeiou]").any()


def test_no_truth_in_the_tables(shop: Shop) -> None:
    assert shop.items.columns == [
        "item_id", "title", "description", "category", "brand", "price", "available_from", "colour",
        "weight_grams",
    ]  # fmt: skip
    assert shop.users.columns == ["user_id", "country", "device"]
    quality = shop.truth.attributes[:, -1]
    for column in ("price", "weight_grams"):
        assert abs(np.corrcoef(quality, shop.items[column].to_numpy())[0, 1]) < 0.2


@pytest.mark.parametrize(
    "change", [{"items": 10}, {"events": 0}, {"users": 0}, {"days": 0}, {"list_size": 0}]
)
def test_a_shop_too_small_is_refused(change: dict[str, int]) -> None:
    name, value = next(iter(change.items()))
    with pytest.raises(ConfigError, match=rf"data\.shop\.{name}: expected at least \d+; found {value}"):
        generate(ShopConfig(**change))  # type: ignore[arg-type]


def test_a_start_that_is_no_date_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"data\.shop\.start: expected an ISO date such as 2024-03-01; found 'soon'"
    ):
        generate(ShopConfig(start="soon"))


def click_rates(shop: Shop) -> pl.DataFrame:
    """By place: showings, share clicked, and how often the items were clicked in the whole log."""
    clicks = shop.events.filter(pl.col("event_type") == "click")
    keys = ["request_id", "item_id"]
    popular = clicks.group_by("item_id").agg(pl.len().alias("popularity"))
    shown = shop.events.filter(pl.col("event_type") == "impression").select(*keys, "position")
    return (
        shown.join(clicks.select(keys).unique().with_columns(clicked=1.0), on=keys, how="left")
        .join(popular, on="item_id", how="left")
        .group_by("position")
        .agg(pl.col("clicked").fill_null(0.0).mean(), pl.col("popularity").fill_null(0).mean())
        .sort("position")
    )


def test_unbiased_logs_have_as_many_clicks_and_no_slope(shop: Shop) -> None:
    unbiased = generate(replace(SMALL, unbiased=True))
    rates, before = click_rates(unbiased)["clicked"].to_numpy(), click_rates(shop)["clicked"].to_numpy()
    assert before[0] > 1.6 * before[-1]
    assert abs(rates[:3].mean() / rates[-3:].mean() - 1) < 0.15
    assert rates.mean() == pytest.approx(before.mean(), rel=0.1)
    assert np.ptp(unbiased.truth.examined) == 0.0


def test_lists_in_order_of_popularity(shop: Shop) -> None:
    popular = generate(replace(SMALL, order="popular"))
    found, drawn = click_rates(popular)["popularity"], click_rates(shop)["popularity"]
    assert found[0] > 1.5 * found[-1]
    assert abs(drawn[0] / drawn[-1] - 1) < 0.2
    assert popular.events["propensity"].null_count() == popular.events.height
    seen = popular.events.filter(pl.col("event_type") == "impression")
    places = seen.group_by("request_id").agg(pl.col("position").sort())["position"]
    assert all(p.to_list() == list(range(1, len(p) + 1)) for p in places.head(50))
