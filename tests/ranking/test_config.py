"""Settings of the reranker that cannot work are refused before anything is read."""

from typing import Any

import pytest

from recsys.core.errors import ConfigError
from recsys.ranking.config import RerankerConfig


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_leaves", 1, "2 to 131072"),
        ("learning_rate", 0.0, "above 0"),
        ("num_iterations", 0, "at least 1"),
        ("early_stopping", -1, "at least 0"),
        ("early_stopping_at", 0, "at least 1"),
        ("min_data_in_leaf", -1, "at least 0"),
        ("feature_fraction", 0.0, "above 0 and at most 1"),
        ("feature_fraction", 1.1, "above 0 and at most 1"),
        ("bagging_fraction", -0.5, "above 0 and at most 1"),
        ("bagging_freq", -1, "at least 0"),
        ("lambda_l2", -0.1, "at least 0"),
        ("truncation", 0, "at least 1"),
        ("seed", -1, "0 to 2147483647"),
        ("threads", -1, "at least 0"),
        ("boosters", 0, "at least 1"),
    ],
)
def test_numbers_out_of_range(name: str, value: float, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RerankerConfig(**{name: value})  # type: ignore[arg-type]
    default = getattr(RerankerConfig(), name)
    assert str(caught.value) == (
        f"ranker.{name}: expected {expected}; found {value}. Correct the value; the default is {default}."
    )


@pytest.mark.parametrize("gains", [{"clik": 1.0}, {"click": -1.0}])
def test_gains_are_checked_at_once(gains: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="ranker.label_gain: expected gains of at least 0"):
        RerankerConfig(label_gain=gains)


def test_the_ends_of_ranges_are_taken() -> None:
    config = RerankerConfig(num_leaves=2, feature_fraction=1.0, early_stopping=0, num_iterations=1)
    assert (config.num_leaves, config.gains()) == (2, [0.0, 1.0, 3.0, 10.0])
