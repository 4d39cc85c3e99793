"""Settings of the evaluation that cannot work are refused."""

from typing import Any

import pytest

from recsys.core.errors import ConfigError
from recsys.evaluation.config import EvaluationConfig


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"metrics": ("ndgc",)}, "evaluation.metrics: expected one of ndcg, .*Did you mean ndcg"),
        ({"ks": (0, 10)}, "evaluation.ks: expected at least 1; found 0"),
        ({"gains": (0.0, 1.0)}, "evaluation.gains: expected four: of no event, click, cart, purchase; found"),
        ({"gains": (0.0, 1.0, -3.0, 10.0)}, "evaluation.gains: expected at least 0; found -3.0"),
        ({"rows": "loged"}, "evaluation.rows: expected one of retrieved, logged; found 'loged'"),
        ({"n_boot": 0}, "evaluation.n_boot: expected at least 1; found 0"),
        ({"seed": -1}, "evaluation.seed: expected 0 to 2147483647; found -1"),
        ({"confidence": 1.0}, "evaluation.confidence: expected above 0 and below 1; found 1.0"),
        ({"main_k": 7}, "evaluation.main_metric and main_k: expected one of the metrics and depths"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        EvaluationConfig(**fields)
