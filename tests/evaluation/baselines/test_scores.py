"""The baselines' scores from five events, by hand, and what they may not see."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.log import make_log
from recsys.evaluation.baselines.popularity import popularity_scores
from recsys.evaluation.baselines.random_ import random_scores
from recsys.evaluation.baselines.transition import histories, transition_scores
from recsys.evaluation.baselines.vectors import dot_scores, mean_history_vectors

DAY = 86_400_000_000


def log_of(rows):
    """Rows of (user, item, day, kind)."""
    user, item, day, kind = (np.array(column) for column in zip(*rows, strict=True))
    return make_log(user, item, day * DAY, kind)


LOG = log_of(
    [(0, 0, 0, CLICK), (0, 1, 1, PURCHASE), (1, 0, 2, CLICK), (1, 2, 3, IMPRESSION), (1, 1, 4, CLICK)]
)


def test_popularity_counts_what_is_visible():
    score = popularity_scores(LOG, np.array([0, 2, 5]), 3)
    assert score(np.array([0, 1, 2])).tolist() == [[0, 0, 0], [1, 10, 0], [2, 11, 0]]
    assert score(np.array([1])).tolist() == [[1, 10, 0]]  # an earlier request after a later one
    assert popularity_scores(LOG, np.array([5]), 3, kinds=[CLICK])(np.array([0])).tolist() == [[2, 1, 0]]


def test_popularity_fades():
    score = popularity_scores(LOG, np.array([2, 5]), 3, half_life_us=DAY, kinds=[CLICK])
    assert score(np.array([0, 1]))[1] == pytest.approx([2**-4 + 2**-2, 1, 0])
    assert score(np.array([1]))[0] == pytest.approx([2**-4 + 2**-2, 1, 0])


def test_histories_are_newest_first_and_interactions_only():
    items, count = histories(LOG, np.array([1, 1, -1]), np.array([5, 4, 5]), 3)
    assert items.tolist() == [[1, 0, -1], [0, -1, -1], [-1, -1, -1]]
    assert count.tolist() == [2, 1, 0]


def test_transitions_from_the_last_items():
    """Both users went from 0 to 1; a third stands on 0."""
    log = log_of(
        [*[(r[0], r[1], r[2], CLICK) for r in [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]], (2, 0, 4, CLICK)]
    )
    users, visible = np.array([2, 2]), np.array([5, 5])
    score = transition_scores(log, users, visible, np.array([5, 3]), 3, prior=0.0)
    assert score(np.array([0])).tolist() == [[0.0, 2.0, 0.0]]
    assert score(np.array([1])).tolist() == [[0.0, 1.0, 0.0]]  # the shared cut came before the second step


def test_a_step_over_two_events_weighs_half():
    log = log_of([(0, 0, 0, CLICK), (0, 1, 1, CLICK), (0, 2, 2, CLICK), (1, 0, 3, CLICK)])
    score = transition_scores(log, np.array([1]), np.array([4]), np.array([4]), 3, prior=0.0)
    assert score(np.array([0])).tolist() == [[0.0, 1.0, 0.5]]
    score = transition_scores(log, np.array([1]), np.array([4]), np.array([4]), 3, reach=1, prior=0.0)
    assert score(np.array([0])).tolist() == [[0.0, 1.0, 0.0]]


def test_what_no_step_reaches_is_ordered_by_its_incoming_steps():
    log = log_of([(0, 0, 0, CLICK), (0, 1, 1, CLICK), (1, 2, 2, CLICK)])
    score = transition_scores(log, np.array([1]), np.array([3]), np.array([3]), 4)
    row = score(np.array([0]))[0]
    assert row[1] > row[3] == 0.0


def test_a_log_without_steps():
    score = transition_scores(log_of([(0, 0, 0, CLICK)]), np.array([0]), np.array([1]), np.array([1]), 2)
    assert score(np.array([0])).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("make", ["popularity", "transition"])
def test_nothing_after_the_cut_changes_a_score(make):
    rng = np.random.default_rng(0)
    n = 200
    user, item = rng.integers(0, 10, n), rng.integers(0, 15, n)
    time, kind = np.arange(n) * DAY, rng.integers(0, 4, n)
    users, visible = rng.integers(0, 10, 20), np.full(20, 120)
    changed = np.where(np.arange(n) >= 120, rng.integers(0, 15, n), item)

    def scores(items):
        log = make_log(user, items, time, kind)
        if make == "popularity":
            return popularity_scores(log, visible, 15, half_life_us=9 * DAY)(np.arange(20))
        return transition_scores(log, users, visible, visible, 15)(np.arange(20))

    assert np.array_equal(scores(item), scores(changed))
    assert scores(item).std() > 0


def test_random_is_the_same_for_a_request_whatever_stands_beside_it():
    score = random_scores(5, seed=1)
    assert np.array_equal(score(np.array([3, 7]))[1], score(np.array([7]))[0])
    assert not np.array_equal(score(np.array([3]))[0], score(np.array([7]))[0])
    assert not np.array_equal(random_scores(5, seed=2)(np.array([7])), score(np.array([7])))


def test_random_scores_of_no_request():
    assert random_scores(5)(np.zeros(0, np.int64)).shape == (0, 5)


def test_vectors():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], np.float32)
    users = mean_history_vectors(LOG, np.array([0, -1]), np.array([5, 5]), vectors)
    assert users.tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert dot_scores(users, vectors)(np.array([0, 1])).tolist() == [[0.5, 0.5, 1.0], [0.0, 0.0, 0.0]]
