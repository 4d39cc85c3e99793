"""The sentence for each of the three answers."""

import math

import polars as pl
import pytest

from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.schemas import DIFFERENCES_SCHEMA, METRICS_SCHEMA
from recsys.evaluation.verdict import headline, holm, judge, metric_name, number, p_value, signed

CONFIG = EvaluationConfig()
VALUES = {"full": 0.204, "popularity": 0.101, "behaviour_only": 0.18, "text_only": 0.2}


def metrics():
    rows = [
        (m, "default", 0, "test", "ndcg", 10, "all", v, v - 0.01, v + 0.01, 99) for m, v in VALUES.items()
    ]
    return pl.DataFrame(rows, schema=METRICS_SCHEMA, orient="row")


def diffs(**verdicts):
    rows = []
    for model, (word, low, high) in verdicts.items():
        d = VALUES["full"] - VALUES[model]
        rows.append(
            ("full", model, "default", "test", "ndcg", 10, "all", d, low, high, 99, 0.001, 0.002, word)
        )
    return pl.DataFrame(rows, schema=DIFFERENCES_SCHEMA, orient="row")


def said(differences, config=CONFIG):
    return headline(metrics(), differences, config, variant="default", window="test")


def test_better():
    verdict = said(diffs(popularity=("better", 0.09, 0.12), behaviour_only=("better", 0.01, 0.04)))
    assert verdict.word == "better"
    assert verdict.sentence == (
        "full is better than popularity and behaviour_only on test: NDCG@10 .204 against .101 for "
        "popularity, difference +.103 [+.090, +.120]; .180 for behaviour_only, "
        "difference +.024 [+.010, +.040]."
    )


def test_worse():
    verdict = said(diffs(popularity=("worse", -0.04, -0.01)))
    assert verdict.word == "worse"
    assert verdict.sentence.startswith("full is worse than popularity on test: NDCG@10 .204 against .101")
    assert "[-.040, -.010]" in verdict.sentence


def test_cannot_tell():
    verdict = said(diffs(text_only=("cannot tell", -0.01, 0.02)))
    assert verdict.word == "cannot tell"
    assert verdict.sentence.startswith("Cannot tell whether full is better or worse than text_only on test")


def test_mixed_answers_are_all_given():
    verdict = said(diffs(popularity=("better", 0.09, 0.12), text_only=("cannot tell", -0.01, 0.02)))
    assert verdict.word == "mixed"
    assert "full is better than popularity on test" in verdict.sentence
    assert "Cannot tell whether full is better or worse than text_only" in verdict.sentence


def test_nothing_to_compare_with():
    assert said(diffs()).sentence == "No verdict on test: full was not compared with any other model."
    assert said(diffs()).word == "none"


def test_only_the_models_asked_for_are_spoken_of():
    config = EvaluationConfig(against=("text_only",))
    verdict = said(diffs(popularity=("worse", -1, -0.9), text_only=("better", 0.001, 0.02)), config)
    assert verdict.word == "better"
    assert "popularity" not in verdict.sentence


@pytest.mark.parametrize(
    ("low", "high", "p", "word"),
    [
        (0.01, 0.02, 0.01, "better"),
        (-0.02, -0.01, 0.01, "worse"),
        (-0.01, 0.02, 0.3, "cannot tell"),
        (0.01, 0.02, 0.06, "cannot tell"),  # not after the correction
        (0.0, 0.02, 0.01, "cannot tell"),
        (math.nan, math.nan, 0.0, "cannot tell"),
    ],
)
def test_judge(low, high, p, word):
    assert judge(low, high, p) == word


def test_p_values():
    assert p_value(1.959964, 0.0, 2 * 1.959964) == pytest.approx(0.05, abs=1e-6)
    assert p_value(0.0, -1.0, 1.0) == 1.0
    assert p_value(math.nan, -1.0, 1.0) == 1.0
    assert p_value(0.5, 0.5, 0.5) == 0.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_names_and_numbers():
    assert metric_name("ndcg", 10) == "NDCG@10"
    assert metric_name("auc", 0) == "AUC"
    assert metric_name("ndcg_true", 10) == "NDCG@10 against the true preference"
    assert (number(0.1236), number(1.0), number(-0.05), number(None)) == (".124", "1.000", "-.050", "n/a")
    assert (signed(0.1), signed(-0.1), signed(math.nan)) == ("+.100", "-.100", "n/a")
