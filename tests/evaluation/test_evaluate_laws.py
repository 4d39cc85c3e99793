"""Means, intervals and differences: what swaps, what scales, what is corrected."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.evaluate import differences, evaluate, mean_over_seeds, summarise
from recsys.evaluation.measure import Measured
from recsys.evaluation.verdict import CANNOT_TELL, holm, judge, metric_name, number, p_value, signed
from tests.evaluation.worlds import requests_of

CONFIG = EvaluationConfig(metrics=("ndcg",), ks=(10,), n_boot=200)
N = 40
REQUESTS = requests_of(N, users=np.arange(N) // 2)


def measured(model: str, values: np.ndarray, seed: int = 0, rows: np.ndarray | None = None) -> Measured:
    rows = np.arange(len(values)) if rows is None else rows
    return Measured(model, "default", seed, "test", "all", (("ndcg", 10),), rows, values[:, None])


RNG = np.random.default_rng(0)
OURS, THEIRS = RNG.random(N), RNG.random(N)


def only(frame: pl.DataFrame) -> dict[str, object]:
    assert len(frame) == 1
    return frame.to_dicts()[0]


def test_a_difference_turned_round_has_the_other_sign() -> None:
    both = [measured("full", OURS), measured("other", THEIRS)]
    one = only(differences(both, REQUESTS, CONFIG))
    two = only(differences(both, REQUESTS, replace(CONFIG, reference="other")))
    assert one["diff"] == pytest.approx(-two["diff"])  # type: ignore[operator]
    assert one["low"] == pytest.approx(-two["high"])  # type: ignore[operator]
    assert one["high"] == pytest.approx(-two["low"])  # type: ignore[operator]
    assert one["p"] == pytest.approx(two["p"])


def test_a_difference_is_that_of_the_means_and_a_model_does_not_differ_from_itself() -> None:
    entries = [measured("full", OURS), measured("other", THEIRS), measured("twin", OURS)]
    table = summarise(entries, REQUESTS, CONFIG)
    mean = dict(table.select("model", "value").rows())
    found = {row["model_b"]: row for row in differences(entries, REQUESTS, CONFIG).to_dicts()}
    assert found["other"]["diff"] == pytest.approx(mean["full"] - mean["other"])
    assert (found["twin"]["diff"], found["twin"]["verdict"]) == (0.0, CANNOT_TELL)
    assert set(found) == {"other", "twin"}


def test_a_constant_lead_has_an_interval_without_width() -> None:
    found = only(differences([measured("full", OURS + 0.25), measured("other", OURS)], REQUESTS, CONFIG))
    assert found["low"] == pytest.approx(0.25) and found["high"] == pytest.approx(0.25)
    assert (found["p"], found["verdict"]) == (pytest.approx(0.0, abs=1e-9), "better")


def test_only_requests_of_both_models_are_compared() -> None:
    theirs = measured("other", THEIRS[10:30], rows=np.arange(10, 30))
    found = only(differences([measured("full", OURS), theirs], REQUESTS, CONFIG))
    assert found["n"] == 20
    assert found["diff"] == pytest.approx((OURS[10:30] - THEIRS[10:30]).mean())


def test_undefined_values_count_nowhere() -> None:
    holes = OURS.copy()
    holes[::4] = np.nan
    row = only(summarise([measured("full", holes)], REQUESTS, CONFIG))
    assert (row["n"], row["value"]) == (30, pytest.approx(np.nanmean(holes)))
    pair = only(differences([measured("full", holes), measured("other", THEIRS)], REQUESTS, CONFIG))
    assert pair["n"] == 30
    none = only(summarise([measured("full", np.full(N, np.nan))], REQUESTS, CONFIG))
    assert none["n"] == 0 and math.isnan(none["value"])  # type: ignore[arg-type]


def test_other_variants_and_windows_are_not_compared() -> None:
    other = measured("other", THEIRS)
    entries = [measured("full", OURS), other._replace(variant="strict"), other._replace(window="valid")]
    assert differences(entries, REQUESTS, CONFIG).is_empty()
    assert len(summarise(entries, REQUESTS, CONFIG)) == 3


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_seeds_are_averaged_request_by_request(seeds: int) -> None:
    entries = [measured("full", OURS + 0.1 * seed, seed) for seed in range(seeds)]
    (mean,) = mean_over_seeds(entries)
    assert mean.seed == (0 if seeds == 1 else -1)
    np.testing.assert_allclose(mean.values[:, 0], OURS + 0.1 * (seeds - 1) / 2)
    assert len(summarise(entries, REQUESTS, CONFIG)) == (1 if seeds == 1 else seeds + 1)


def test_an_interval_is_the_same_whoever_stands_beside() -> None:
    alone = only(summarise([measured("full", OURS)], REQUESTS, CONFIG))
    beside = summarise([measured("other", THEIRS), measured("full", OURS)], REQUESTS, CONFIG)
    assert only(beside.filter(pl.col("model") == "full")) == alone


@pytest.mark.parametrize("narrow,wide", [(0.5, 0.8), (0.8, 0.95), (0.95, 0.999)])
def test_more_confidence_means_a_wider_interval(narrow: float, wide: float) -> None:
    width = {}
    for confidence in (narrow, wide):
        row = only(summarise([measured("full", OURS)], REQUESTS, replace(CONFIG, confidence=confidence)))
        width[confidence] = row["ci_high"] - row["ci_low"]  # type: ignore[operator]
    assert 0 < width[narrow] < width[wide]


def test_no_predictions_give_empty_tables_with_their_columns() -> None:
    truth = pl.DataFrame({"request": [0], "item": [1], "label": [3]})
    metrics, diffs, _ = evaluate([], truth, REQUESTS, CONFIG)
    assert metrics.is_empty() and "ci_low" in metrics.columns
    assert diffs.is_empty() and "verdict" in diffs.columns


PS = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(PS)
@settings(deadline=None)
def test_holm_only_raises_keeps_the_order_and_stops_at_one(p: list[float]) -> None:
    corrected = holm(p)
    assert all(a <= b <= 1.0 for a, b in zip(p, corrected, strict=True))
    for i in range(len(p)):
        for j in range(len(p)):
            assert p[i] > p[j] or corrected[i] <= corrected[j]
    assert min(corrected) == pytest.approx(min(1.0, min(p) * len(p)))


@given(PS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_holm_does_not_ask_for_an_order(p: list[float], random: object) -> None:
    order = list(range(len(p)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight = holm(p)
    assert holm([p[i] for i in order]) == pytest.approx([straight[i] for i in order])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
def test_a_p_value_is_alpha_where_the_interval_touches_zero(confidence: float) -> None:
    assert p_value(1.0, 0.0, 2.0, confidence) == pytest.approx(1 - confidence)
    assert p_value(-1.0, -2.0, 0.0, confidence) == pytest.approx(1 - confidence)
    assert p_value(1.0, 0.1, 1.9, confidence) < 1 - confidence < p_value(1.0, -0.1, 2.1, confidence)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [(0.0, -1.0, 1.0, 1.0), (0.3, 0.3, 0.3, 0.0), (float("nan"), 0, 1, 1.0), (0.1, float("nan"), 1, 1.0)],
)
def test_p_values_at_the_edges(value: float, low: float, high: float, expected: float) -> None:
    assert p_value(value, low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "p", "word"),
    [
        (0.1, 0.2, 0.01, "better"),
        (-0.2, -0.1, 0.01, "worse"),
        (-0.1, 0.2, 0.01, CANNOT_TELL),
        (0.1, 0.2, 0.05, CANNOT_TELL),
        (0.0, 0.2, 0.01, CANNOT_TELL),
        (-0.2, 0.0, 0.01, CANNOT_TELL),
        (0.1, float("inf"), 0.01, CANNOT_TELL),
        (float("nan"), 0.2, 0.01, CANNOT_TELL),
    ],
)
def test_a_verdict_wants_a_clear_interval_and_a_small_p(low: float, high: float, p: float, word: str) -> None:
    assert judge(low, high, p) == word


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.1234, ".123", "+.123"),
        (-0.5, "-.500", "-.500"),
        (1.0, "1.000", "+1.000"),
        (0.0, ".000", "+.000"),
        (-12.3456, "-12.346", "-12.346"),
        (None, "n/a", "n/a"),
        (float("nan"), "n/a", "n/a"),
        (float("-inf"), "n/a", "n/a"),
    ],
)
def test_numbers_as_they_are_printed(value: float | None, plain: str, with_sign: str) -> None:
    assert (number(value), signed(value)) == (plain, with_sign)


@pytest.mark.parametrize(
    ("metric", "k", "name"),
    [("ndcg", 10, "NDCG@10"), ("auc", 0, "AUC"), ("hit_rate", 5, "hit rate@5"), ("my_own", 3, "my own@3")],
)
def test_metrics_by_their_names(metric: str, k: int, name: str) -> None:
    assert metric_name(metric, k) == name
