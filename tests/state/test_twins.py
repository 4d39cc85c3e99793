"""Every family against its twin in plain Python, on random logs and cuts."""

import numpy as np
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.log import RequestArrays, RowBlock
from recsys.state.family import Feature
from tests.state import twins
from tests.state.worlds import DAY, EVERYTHING, ITEMS, START, USERS, items_of, log_of, new_state

pytestmark = pytest.mark.kernel


def expected_of(
    feature: Feature, seen: dict[str, list[twins.Event]], lists: dict, user: int, now: int, item: int
):
    """What a row of config reads, by its twin."""
    items = items_of()
    events = seen[feature.key]
    if feature.family == "counts":
        return twins.counts(feature, events, user, now, item, items)
    if feature.family == "pair_counts":
        return twins.pairs(feature, events, user, now, item, items)
    if feature.family == "recent":
        return twins.recent(feature, events, user, now, item, items)
    if feature.family == "price":
        return [twins.price(feature, events, user, item, items, EVERYTHING.purchase_weight)]
    if feature.family == "neighbours":
        return [lists[feature.types, feature.both].read(feature.stat, seen["user"], user, item, ITEMS)]
    born = items.available_from[item] if 0 <= item < ITEMS else -1
    return [(now - born) / DAY if born > 0 else np.nan]


@pytest.mark.parametrize(
    ("seed", "policy", "requests"),
    [
        (1, Policy(), True),
        (2, Policy(snapshot="daily"), False),
        (3, Policy(lag_us=DAY // 3, freeze_us=START + 9 * DAY), True),
    ],
)
def test_replayed_columns_equal_the_twins(seed: int, policy: Policy, requests: bool) -> None:
    rng = np.random.default_rng(seed)
    log, items, state = log_of(seed, 160, requests=requests), items_of(), new_state()
    asked = RequestArrays(
        rng.integers(-1, USERS + 1, 9).astype(np.int32),
        START + np.sort(rng.integers(DAY, 21 * DAY, 9)),
        rng.integers(-1, 40, 9).astype(np.int32),
    )
    rows = RowBlock(np.arange(10) * 4, rng.integers(-1, ITEMS + 1, 36).astype(np.int32))
    cuts = cut(log, asked, policy)
    names, values = state.replay(log, asked, rows, cuts)
    column = {name: j for j, name in enumerate(names)}
    for r in range(9):
        seen = {key: twins.known(log, items, int(n[r])) for key, n in cuts.items()}
        lists = {
            (types, both): twins.Neighbours(EVERYTHING, types, both)
            for types, both in (((), False), (("purchase",), False), ((), True))
        }
        for twin in lists.values():
            for event in seen["item"]:
                twin.apply(event)
        user, now = int(asked.user[r]), int(asked.time[r])
        known = user if user < USERS else -1
        for row in range(4 * r, 4 * r + 4):
            item = int(rows.items[row])
            for name, feature in EVERYTHING.rows.items():
                own = user if feature.family in ("pair_counts",) else known
                found = [
                    values[row, column[n]]
                    for n in names
                    if n == name or (n.startswith(name + "_") and n not in EVERYTHING.rows)
                ]
                wanted = expected_of(feature, seen, lists, own, now, item)
                np.testing.assert_allclose(
                    found, wanted, rtol=2e-6, atol=1e-6, err_msg=f"{name} of {user}, {item}"
                )
