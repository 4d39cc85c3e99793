"""Slices are masks over truth rows."""

import numpy as np

from recsys.evaluation.slices import ITEM_STEPS, USER_STEPS, make_slices, step_labels, step_masks, words


def test_labels_read_as_ranges():
    assert step_labels(ITEM_STEPS) == ("0", "1-4", "5-19", "20-99", "100+")
    assert step_labels(USER_STEPS) == ("0", "1-4", "5-19", "20+")


def test_every_known_count_is_in_exactly_one_step():
    counts = np.array([-1, 0, 1, 4, 5, 19, 20, 99, 100, 10**9])
    masks = step_masks("item_events", counts, ITEM_STEPS)
    assert np.sum(list(masks.values()), axis=0).tolist() == [0] + [1] * 9
    assert np.flatnonzero(masks["item_events:5-19"]).tolist() == [4, 5]
    assert np.flatnonzero(masks["item_events:100+"]).tolist() == [8, 9]


def test_only_what_the_caller_counted_is_sliced():
    repeat = np.array([True, False])
    slices = make_slices(is_repeat=repeat, others={"category:books": np.array([True, True])})
    assert list(slices) == ["target:repeat", "target:new", "category:books"]
    assert slices["target:new"].tolist() == [False, True]
    assert make_slices() == {}


def test_kinds_have_words():
    assert "history" in words("user_events")
    assert words("price_band") == "by price band"
