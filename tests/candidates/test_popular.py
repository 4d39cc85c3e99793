import numpy as np
import pytest

from recsys.candidates.offers import Offers
from recsys.candidates.popular import popular, popularity, ranked
from recsys.candidates.sources import CandidatesConfig, new_popularity, popularity_at
from recsys.core.as_of import DAY_US, Policy, cut
from recsys.core.log import EventLog, ItemTable, RequestArrays
from recsys.state.family import no_reads

CONFIG = CandidatesConfig(half_life="all")
pytestmark = pytest.mark.kernel


def offered(
    log: EventLog, items: ItemTable, requests: RequestArrays, config: CandidatesConfig = CONFIG
) -> Offers:
    found = new_popularity(config, len(items.category), clock=True)
    shared = cut(log, requests, Policy(shared_snapshot="daily"))["item"]
    return popular(found.family, found.weights, log, items, requests, shared, depth=3)


def test_offers_stand_as_of_the_tick(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    found = offered(log, items, requests)
    assert found.items[0].tolist() == [-1, -1, -1]  # the first midnight saw nothing
    assert found.items[1].tolist() == [0, 1, -1]  # the second day's own events are not in the list
    assert found.scores[1, :2].tolist() == [4, 2]
    assert found.items[2].tolist() == found.items[1].tolist()
    # item 2: click 1 + purchase 3 + purchase 3; item 0: 4 + 1
    assert found.items[3].tolist() == [2, 0, 1]
    assert found.scores[3].tolist() == [7, 5, 2]


def test_an_impression_is_not_popularity(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    assert 3 not in offered(log, items, requests).items


def test_what_cannot_be_had_is_replaced_by_the_next(
    log: EventLog, items: ItemTable, requests: RequestArrays
) -> None:
    items.available_to[0] = DAY_US + 40  # gone between the second and the third request
    found = offered(log, items, requests)
    assert found.items[1].tolist() == [0, 1, -1]
    assert found.items[2].tolist() == [1, -1, -1]
    assert found.items[3].tolist() == [2, 1, -1]


def test_old_events_fade(log: EventLog, items: ItemTable) -> None:
    _, scores = popularity_at(log, items, len(log.time), CandidatesConfig(half_life="1h"), clock=True).ranked(
        items
    )
    codes, without_clock = popularity_at(
        log, items, len(log.time), CandidatesConfig(half_life="1h"), clock=False
    ).ranked(items)
    assert scores.max() < 7.01 and scores.min() < 1e-6
    assert codes.tolist() == [2, 0, 1]
    assert without_clock.tolist() == [7, 5, 2]


def test_the_list_of_the_bundle_is_that_of_a_tick(
    log: EventLog, items: ItemTable, requests: RequestArrays
) -> None:
    codes, scores = popularity_at(log, items, len(log.time), CONFIG, clock=True).ranked(items)
    found = offered(log, items, requests)
    assert found.items[3].tolist() == codes.tolist()
    assert found.scores[3].tolist() == scores.tolist()
    assert [len(part) for part in popularity_at(log, items, 0, CONFIG, clock=True).ranked(items)] == [0, 0]


def test_ranked_leaves_out_zeros_and_breaks_ties_by_code() -> None:
    codes, scores = ranked(np.array([0, 2, 5, 2], np.float32))
    assert codes.tolist() == [2, 1, 3]
    assert scores.tolist() == [5, 2, 2]


def test_popularity_weighs_event_types(log: EventLog, items: ItemTable) -> None:
    config = CandidatesConfig(half_life="all", weights={"purchase": 10.0})
    found = new_popularity(config, 6, clock=True)
    family, weights = found.family, found.weights
    family.replay(log, items, no_reads(1), 0, 0, len(log.time))
    assert popularity(family, weights, items, 0).tolist() == [10, 0, 20, 0, 0, 0]
