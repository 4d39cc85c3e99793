import pytest

from recsys.candidates.covisit import covisit, neighbour_lists
from recsys.candidates.offers import Offers
from recsys.core.as_of import DAY_US, Policy, cut
from recsys.core.log import EventLog, ItemTable, RequestArrays
from recsys.state.family import StateConfig

pytestmark = pytest.mark.kernel


def offered(log: EventLog, items: ItemTable, requests: RequestArrays, policy: Policy) -> Offers:
    cuts = cut(log, requests, policy)
    family = neighbour_lists(StateConfig(neighbours=4, past=2), 3, 6, clock=True)
    return covisit(family, log, items, requests, cuts["user"], cuts["item"], depth=3)


def test_lists_are_of_the_tick_and_the_history_is_live(
    log: EventLog, items: ItemTable, requests: RequestArrays
) -> None:
    log = log._replace(item=log.item.copy())
    log.item[8] = 0  # user 2 ends with item 0, hours before asking
    found = offered(log, items, requests, Policy(shared_snapshot="daily"))
    assert found.items[0].tolist() == [-1, -1, -1]  # the first tick saw nothing
    assert found.items[2].tolist() == [1, -1, -1]  # on the first day 1 followed 0, twice
    assert found.scores[2, 0] == pytest.approx(2.0)
    assert found.items[3].tolist() == [-1, -1, -1]  # nobody has no history


def test_a_list_to_the_second_knows_today(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    daily = offered(log, items, requests, Policy(shared_snapshot="daily"))
    live = offered(log, items, requests, Policy())
    assert daily.items[2].tolist() == [-1, -1, -1]  # nothing had followed item 2 by midnight
    assert live.items[2].tolist() == [0, -1, -1]  # user 0 went from 2 to 0 today


def test_what_cannot_be_had_is_not_offered(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    items.available_to[0] = DAY_US + 50
    found = offered(log, items, requests, Policy())
    assert found.items[2].tolist() == [-1, -1, -1]
