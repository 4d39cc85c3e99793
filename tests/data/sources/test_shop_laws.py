"""Laws of the demo shop on a tiny one: seeds, sizes, the funnel in time, availability, texts, users."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys.core.columns import EVENT_TYPES
from recsys.data.sources import shop_sentences as sentences
from recsys.data.sources import shop_words as words
from recsys.data.sources.shop import DAY, Shop, ShopConfig, _dense, generate
from recsys.data.sources.shop_items import BLOCKS, NAMES, make_catalogue
from recsys.data.sources.shop_policy import _without_repeats
from recsys.data.sources.shop_truth import (
    AT_MOST,
    THRESHOLDS,
    YEAR_US,
    TruePreference,
    chance,
    examination,
    on_grid,
)
from recsys.data.sources.shop_users import AVERAGE, COUNTRIES, DEVICES, make_users

TINY = ShopConfig(items=60, users=30, events=1500, days=6, list_size=4)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate(TINY)


def test_a_seed_is_a_shop(shop: Shop) -> None:
    again, other = generate(TINY), generate(replace(TINY, seed=8))
    assert again.events.equals(shop.events) and again.items.equals(shop.items)
    assert again.users.equals(shop.users)
    assert np.array_equal(again.truth.tastes, shop.truth.tastes)
    assert not other.events.equals(shop.events) and not other.items.equals(shop.items)


def test_sizes_are_as_asked_and_time_stays_in_the_span(shop: Shop) -> None:
    assert (shop.items.height, shop.users.height, shop.events.height) == (60, 30, 1500)
    start = 1_709_251_200_000_000  # 2024-03-01
    times = shop.events["timestamp"].dt.epoch("us")
    assert times.min() >= start and times.max() < start + TINY.days * DAY
    assert shop.events["position"].drop_nulls().max() <= TINY.list_size


def test_another_start_moves_the_clock(shop: Shop) -> None:
    late = generate(replace(TINY, start="2024-03-08"))
    first, second = (each.events["timestamp"].min().date() for each in (shop, late))  # type: ignore[union-attr]
    assert (second - first).days == 7
    assert late.items["title"].equals(shop.items["title"])


def test_more_events_of_a_shop_are_of_the_same_people(shop: Shop) -> None:
    more = generate(replace(TINY, events=2000))
    assert more.users.equals(shop.users) and more.items.equals(shop.items)


def test_propensities_are_chances_and_shared_by_all_of_a_row(shop: Shop) -> None:
    listed = shop.events.filter(pl.col("request_id").is_not_null())
    assert listed["propensity"].is_between(0, 1, closed="right").all()
    by_place = listed.group_by("request_id", "position").agg(pl.col("propensity", "item_id").n_unique())
    assert (by_place["propensity"] == 1).all() and (by_place["item_id"] == 1).all()


def test_a_funnel_never_goes_back(shop: Shop) -> None:
    steps = {name: i for i, name in enumerate(EVENT_TYPES)}
    funnel = shop.events.filter(pl.col("request_id").is_not_null())
    for _, rows in funnel.group_by("request_id", "item_id"):
        order = [steps[kind] for kind in rows.sort("timestamp")["event_type"]]
        assert order == list(range(len(order))), "impression, click, cart, purchase, each once"
        assert rows["user_id"].n_unique() == 1


def test_nothing_is_seen_before_it_arrives(shop: Shop) -> None:
    seen = shop.events.join(shop.items.select("item_id", "available_from"), on="item_id")
    assert seen.height == shop.events.height
    assert (seen["timestamp"] >= seen["available_from"]).all()


def test_prices_are_those_of_the_catalogue(shop: Shop) -> None:
    both = shop.events.join(shop.items.select("item_id", listed="price"), on="item_id")
    assert (both["price"] == both["listed"]).all()
    paid = both.filter(pl.col("value").is_not_null())
    assert (paid["value"] == paid["price"]).all()


def test_examination_falls_and_starts_at_one() -> None:
    looked = examination(np.arange(1, 30))
    assert looked[0] == 1.0 and (np.diff(looked) < 0).all() and (looked > 0).all()


def test_dense_codes_count_by_first_appearance() -> None:
    assert _dense(np.array([7, -1, 3, 7, 9, -1])).tolist() == [0, -1, 1, 0, 2, -1]
    assert _dense(np.array([5, 5, 1])).tolist() == [0, 0, 1]


def test_a_list_keeps_first_draws_and_what_is_left_of_the_chance() -> None:
    rows = np.array([0, 0, 0, 0, 1, 1, 1])
    item = np.array([4, 4, 2, 3, 4, 1, 4])
    q = np.array([0.5, 0.5, 0.25, 0.125, 0.2, 0.4, 0.2])
    shown = _without_repeats(rows, item, q, size=2, n_items=5)
    assert shown.row.tolist() == [0, 0, 1, 1]
    assert shown.item.tolist() == [4, 2, 4, 1]
    assert shown.position.tolist() == [1, 2, 1, 2]
    assert shown.propensity == pytest.approx([0.5, 0.25 / 0.5, 0.2, 0.4 / 0.8])


@pytest.mark.parametrize("step", [0, 1, 2])
def test_chances_by_hand(step: int) -> None:
    at = THRESHOLDS[step]
    assert chance(np.array([at]), step)[0] == pytest.approx(AT_MOST[step] / 2, abs=1e-6)
    one_up = AT_MOST[step] / (1 + np.exp(-1.0))
    assert chance(np.array([at + 1]), step)[0] == pytest.approx(one_up, abs=1e-6)


def test_the_score_of_a_pair_is_its_place_in_the_table(shop: Shop) -> None:
    truth, time = shop.truth, np.array([0, int(YEAR_US / 4)])
    whole = truth.score(np.array([3, 9]), time)
    assert whole.shape == (2, 60)
    for row, (user, when) in enumerate(zip((3, 9), time, strict=True)):
        alone = truth.score(np.array([user]), np.array([when]), np.array([11, 5]))
        assert alone[0] == pytest.approx(whole[row, [11, 5]])
    year = truth.score(np.array([3]), np.array([int(YEAR_US)]))
    assert year[0] == pytest.approx(whole[0], abs=1e-5), "a year later it is the same season"


def test_the_grid_keeps_what_lies_on_it() -> None:
    values = on_grid(np.linspace(-3, 3, 50), 64)
    assert np.array_equal(on_grid(values, 64), values)
    assert np.abs(values - np.linspace(-3, 3, 50)).max() <= 1 / 128


def test_people_buy_what_they_truly_want(shop: Shop) -> None:
    user = {name: i for i, name in enumerate(shop.truth.user_id)}
    item = {name: i for i, name in enumerate(shop.truth.item_id)}
    means = {}
    for kind in ("impression", "click"):
        rows = shop.events.filter(pl.col("event_type") == kind)
        means[kind] = shop.truth.utility(
            np.array([user[u] for u in rows["user_id"]]), np.array([item[i] for i in rows["item_id"]]),
            rows["timestamp"].dt.epoch("us").to_numpy(),
        ).mean()  # fmt: skip
    assert means["click"] > means["impression"] + 0.3


def test_the_catalogue_is_sorted_by_arrival_and_says_what_it_is() -> None:
    made = make_catalogue(np.random.default_rng(0), 80, 1000 * DAY, 1030 * DAY)
    assert (np.diff(made.available_from) >= 0).all()
    assert ((made.available_from < 1000 * DAY).mean(), made.available_from.max() < 1030 * DAY) == (
        pytest.approx(0.64, abs=0.02),
        True,
    )
    attributes = made.attributes()
    assert attributes.shape == (80, len(NAMES)) and attributes.dtype == np.float32
    start = 0
    for name, block in BLOCKS:
        part = attributes[:, start : start + len(block)]
        assert (part.sum(1) == 1).all() and np.array_equal(part.argmax(1), made.values[name])
        start += len(block)
    assert (attributes[:, start] == 1).all()
    departments = tuple(words.CATEGORIES.values())
    materials = tuple(words.MATERIALS)
    for category, material in zip(made.values["category"], made.values["material"], strict=True):
        assert materials[material] in departments[category].materials


def test_a_season_peaks_on_its_day() -> None:
    made = make_catalogue(np.random.default_rng(1), 80, 1000 * DAY, 1030 * DAY)
    days = np.arange(0, 365)
    angle = 2 * np.pi * days / 365.25
    for item in range(0, 80, 9):
        wave = np.stack([np.cos(angle), np.sin(angle)], 1) @ made.season()[item].astype(float)
        peak = words.SEASON_PEAKS[words.USES and tuple(words.USES)[made.values["use"][item]]]
        assert abs(int(days[wave.argmax()]) - peak) <= 1


def test_words_and_personas_speak_of_attributes_that_exist() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for persona in sentences.PERSONAS:
        assert set(persona.likes) <= set(NAMES)
    assert set(words.SEASON_PEAKS) == set(words.USES)
    for department in words.CATEGORIES.values():
        assert set(department.materials) <= set(words.MATERIALS) and len(department.types) == 6
    assert len(set(sentences.BRANDS)) == len(sentences.BRANDS)


def test_users_have_a_first_day_a_rate_and_a_taste() -> None:
    users = make_users(np.random.default_rng(2), 400, 90)
    assert users.frame["user_id"].is_unique().all()
    assert set(users.frame["country"]) <= set(COUNTRIES) and set(users.frame["device"]) <= set(DEVICES)
    assert users.rate.min() >= 1 and users.rate.max() > 5 * np.median(users.rate), "a few come very often"
    assert 0.1 < (users.first_day > 0).mean() < 0.3 and users.first_day.max() < 90
    assert (users.tastes[:, -2] == AVERAGE).all()
    assert np.array_equal(users.tastes, on_grid(users.tastes, 1024).astype(np.float32))


def test_words_of_a_user_are_the_greatest_tastes(shop: Shop) -> None:
    truth: TruePreference = shop.truth
    for user in (0, 7):
        liked = truth.words(user, 4)
        values = [truth.tastes[user, list(truth.names).index(word)] for word in liked]
        assert values == sorted(truth.tastes[user, :-2].tolist(), reverse=True)[:4]
