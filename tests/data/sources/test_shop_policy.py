"""The logging policy: its propensities are the chances with which it shows things."""

import numpy as np
import pytest

from recsys.data.sources.shop import Shop, ShopConfig, generate
from recsys.data.sources.shop_items import NAMES, make_catalogue
from recsys.data.sources.shop_policy import Shown, make_policy, show
from recsys.data.sources.shop_truth import TruePreference
from recsys.data.sources.shop_users import make_users

DAY = 86_400_000_000
N = 80


def world() -> tuple[TruePreference, object]:
    rng = np.random.default_rng(5)
    catalogue = make_catalogue(rng, N, 1000 * DAY, 1090 * DAY)
    users = make_users(rng, 4, 90)
    truth = TruePreference(
        np.array(users.frame["user_id"].to_list()), np.array(catalogue.frame["item_id"].to_list()),
        users.tastes, catalogue.attributes(), catalogue.season(), np.array(NAMES),
    )  # fmt: skip
    return truth, make_policy(catalogue, truth)


def lists(user: int, n: int, size: int, popularity: np.ndarray, day: int = 1045) -> tuple[Shown, int]:
    truth, policy = world()
    now = day * DAY
    tastes = np.repeat(truth.tastes[[user]].astype(np.float64), n, axis=0)
    basis = truth.basis(np.array([now]))[0]
    rng = np.random.default_rng(1)
    there = int((policy.arrival <= now).sum())  # type: ignore[attr-defined]
    return show(rng, policy, tastes, basis, popularity, now, size), there  # type: ignore[arg-type]


@pytest.mark.parametrize("known", [False, True])
def test_a_propensity_is_the_frequency_of_being_shown_first(known: bool) -> None:
    popularity = np.zeros(N)
    if known:
        popularity[:20] = np.arange(20)
    shown, there = lists(0, 40_000, 3, popularity)
    first = shown.position == 1
    often = np.bincount(shown.item[first], minlength=N) / first.sum()
    stated = np.zeros(N)
    stated[shown.item[first]] = shown.propensity[first]
    assert stated.sum() == pytest.approx(1.0, abs=1e-6)
    assert (often[there:] == 0).all()
    assert np.abs(often - stated).max() < 4 * np.sqrt(stated.max() / first.sum())


def test_the_second_place_is_given_the_first() -> None:
    """Inverse propensities count the items: their mean at each place is the number still to show."""
    shown, there = lists(1, 40_000, 4, np.zeros(N))
    for place in (1, 2, 3, 4):
        inverse = 1.0 / shown.propensity[shown.position == place]
        assert inverse.mean() == pytest.approx(there - place + 1, rel=0.03)


def test_a_search_follows_the_taste() -> None:
    truth, _ = world()
    for user in range(4):
        shown, _ = lists(user, 3000, 5, np.zeros(N))
        liked = truth.utility(
            np.full(len(shown.item), user), shown.item, np.full(len(shown.item), 1045 * DAY)
        )
        everything = truth.utility(np.full(N, user), np.arange(N), np.full(N, 1045 * DAY))
        assert liked.mean() > everything.mean() + 0.3


def test_new_items_are_shown_from_their_day_on() -> None:
    early, few = lists(0, 3000, 5, np.zeros(N), day=1001)
    late, many = lists(0, 3000, 5, np.zeros(N), day=1090)
    assert few < many == N
    assert early.item.max() < few and late.item.max() == N - 1


def test_the_logged_propensities_are_chances() -> None:
    made: Shop = generate(ShopConfig(items=100, users=50, events=3000, days=10))
    logged = made.events["propensity"].drop_nulls()
    assert logged.len() > 2500 and logged.min() > 0 and logged.max() <= 1
    assert made.events.filter(made.events["position"].is_not_null())["propensity"].null_count() == 0
