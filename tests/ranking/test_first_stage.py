from typing import Any

import numpy as np
import pytest

from recsys.core.errors import ConfigError
from recsys.ranking.first_stage import SelectConfig, select, select_top

OFFSETS = np.array([0, 5, 5, 8], np.int64)
#          a  b
RANKS = np.array([[1, 0], [0, 1], [2, 0], [3, 2], [0, 3], [1, 1], [2, 0], [0, 0]], np.int16)
SOURCES = ("a", "b")
pytestmark = pytest.mark.kernel


def test_without_quotas_the_best_ranks_are_kept() -> None:
    assert select(OFFSETS, RANKS, SOURCES, SelectConfig(n=2)).tolist() == [0, 1, 5, 6]


def test_a_quota_puts_a_source_behind() -> None:
    assert select(OFFSETS, RANKS, SOURCES, SelectConfig(n=3, quotas={"a": 1})).tolist() == [0, 1, 3, 5, 6, 7]
    assert select(OFFSETS, RANKS, SOURCES, SelectConfig(n=2, quotas={"a": 0, "b": 2})).tolist() == [
        1,
        3,
        5,
        6,
    ]


def test_what_is_left_fills_up_in_pool_order() -> None:
    found = select(OFFSETS, RANKS, SOURCES, SelectConfig(n=4, quotas={"a": 0, "b": 1}))
    assert found.tolist() == [0, 1, 2, 3, 5, 6, 7]


def test_all_of_it() -> None:
    assert select(OFFSETS, RANKS, SOURCES, SelectConfig(n=99)).tolist() == list(range(8))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"n": 0}, "select.n: expected at least 1; found 0. Correct the value; the default is 100."),
        ({"quotas": {"a": -1}}, "select.quotas.a: expected at least 0; found -1."),
    ],
)
def test_sizes_that_cannot_work_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SelectConfig(**fields)


def test_a_quota_of_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="select.quotas: expected sources among a, b; found c"):
        select(OFFSETS, RANKS, SOURCES, SelectConfig(quotas={"c": 3}))


def test_the_best_by_a_score_keep_the_order_of_the_pool() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.9, -1.0, 2.0, 3.0, 1.0], np.float32)
    assert select_top(OFFSETS, scores, 2).tolist() == [1, 3, 5, 6]
    assert select_top(OFFSETS, scores, 1).tolist() == [1, 6]  # of equal scores the first
    assert select_top(OFFSETS, scores, 9).tolist() == list(range(8))
