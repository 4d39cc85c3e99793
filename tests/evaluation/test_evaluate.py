"""The metrics table and the differences table."""

import numpy as np
import polars as pl
import pytest

from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.evaluate import differences, evaluate, mean_over_seeds, summarise
from recsys.evaluation.measure import measure
from recsys.evaluation.schemas import DIFFERENCES_SCHEMA, METRICS_SCHEMA, PER_REQUEST_SCHEMA
from recsys.evaluation.slices import make_slices
from tests.evaluation.worlds import predictions_of, requests_of, truth_of

CONFIG = EvaluationConfig(metrics=("ndcg", "mrr"), ks=(10,), n_boot=200)


def world(n=60, n_items=8, seed=0):
    """full puts the true item first in 3 of 4 requests, noise anywhere, twin where full does."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, n_items, n)
    truth = truth_of([(r, int(t), 3) for r, t in enumerate(targets)])
    good, noise = [], []
    for r, t in enumerate(targets):
        scores = rng.random(n_items)
        noise += [(r, i, float(s)) for i, s in enumerate(rng.random(n_items))]
        if r % 4:
            scores[t] = 2.0
        good += [(r, i, float(s)) for i, s in enumerate(scores)]
    frames = [predictions_of(good), predictions_of(noise, "popularity"), predictions_of(good, "text_only")]
    return pl.concat(frames), truth, requests_of(n, n_catalogue=n_items, users=np.arange(n) // 2)


def test_tables_have_their_columns_and_every_model():
    metrics, diffs, _ = evaluate(*world(), CONFIG)
    assert metrics.schema == METRICS_SCHEMA
    assert diffs.schema == DIFFERENCES_SCHEMA
    assert len(metrics) == 3 * 2
    assert metrics["n"].unique().to_list() == [60]
    assert (
        metrics.select((pl.col("ci_low") <= pl.col("value")) & (pl.col("value") <= pl.col("ci_high")))
        .to_series()
        .all()
    )


def test_the_mean_is_the_plain_mean_over_requests():
    predictions, truth, requests = world()
    measured = measure(predictions, truth, requests, CONFIG)
    metrics = summarise(measured, requests, CONFIG)
    row = metrics.filter((pl.col("model") == "full") & (pl.col("metric") == "mrr"))
    assert row["value"][0] == pytest.approx(measured[0].values[:, 1].mean())


def test_differences_tell_better_worse_and_cannot_tell():
    predictions, truth, requests = world()
    _, diffs, _ = evaluate(predictions, truth, requests, CONFIG)
    verdicts = dict(diffs.filter(pl.col("metric") == "ndcg").select("model_b", "verdict").rows())
    assert verdicts == {"popularity": "better", "text_only": "cannot tell"}
    twin = diffs.filter((pl.col("model_b") == "text_only") & (pl.col("metric") == "ndcg")).to_dicts()[0]
    assert (twin["diff"], twin["low"], twin["high"], twin["p"]) == (0.0, 0.0, 0.0, 1.0)
    turned = EvaluationConfig(metrics=("ndcg",), ks=(10,), n_boot=200, reference="popularity")
    _, diffs, _ = evaluate(predictions, truth, requests, turned)
    assert dict(diffs.select("model_b", "verdict").rows()) == {"full": "worse", "text_only": "worse"}


def test_few_users_give_no_verdict():
    predictions, truth, requests = world()
    same = requests.with_columns(user=(pl.col("request") % 9))
    _, diffs, _ = evaluate(predictions, truth, same, CONFIG)
    assert set(diffs["verdict"]) == {"cannot tell"}


def test_unknown_users_are_each_their_own():
    predictions, truth, requests = world()
    unknown = requests.with_columns(user=pl.lit(-1, pl.Int32))
    alone = requests.with_columns(user=pl.col("request"))
    first, _, _ = evaluate(predictions, truth, unknown, CONFIG)
    second, _, _ = evaluate(predictions, truth, alone, CONFIG)
    assert first["ci_low"].to_list() == pytest.approx(second["ci_low"].to_list(), abs=0.02)
    assert first["ci_low"][0] < first["value"][0]


def test_seeds_have_a_mean_row_and_enter_differences_once():
    predictions, truth, requests = world()
    other = world(seed=1)[0].filter(pl.col("model") == "full").with_columns(seed=pl.lit(1, pl.Int32))
    measured = measure([predictions, other], truth, requests, CONFIG)
    assert len([m for m in mean_over_seeds(measured) if m.model == "full"]) == 1
    metrics = summarise(measured, requests, CONFIG)
    full = metrics.filter((pl.col("model") == "full") & (pl.col("metric") == "ndcg")).sort("seed")
    assert full["seed"].to_list() == [-1, 0, 1]
    assert full["value"][0] == pytest.approx((full["value"][1] + full["value"][2]) / 2)
    assert len(differences(measured, requests, CONFIG)) == 2 * 2


def test_results_do_not_depend_on_the_order_of_rows():
    predictions, truth, requests = world()
    metrics, diffs, _ = evaluate(predictions, truth, requests, CONFIG)
    shuffled = predictions.sample(fraction=1.0, shuffle=True, seed=3).sort("model", maintain_order=True)
    again, other, _ = evaluate(shuffled, truth.reverse(), requests, CONFIG)
    keys = ["model", "metric"]
    assert metrics.sort(keys).equals(again.sort(keys))
    assert diffs.sort("model_b", "metric").equals(other.sort("model_b", "metric"))


def test_slices_are_rows_of_both_tables_for_the_main_metric():
    predictions, truth, requests = world()
    slices = make_slices(
        n_item_events=truth["item"].to_numpy() * 3, is_repeat=truth["request"].to_numpy() % 2 == 0
    )
    metrics, diffs, _ = evaluate(predictions, truth, requests, CONFIG, slices=slices)
    sliced = metrics.filter(pl.col("slice") != "all")
    assert set(sliced["metric"]) == {"ndcg"}
    assert {"item_events:0", "item_events:1-4", "item_events:5-19", "target:repeat", "target:new"} <= set(
        sliced["slice"]
    )
    parts = sliced.filter((pl.col("model") == "full") & pl.col("slice").str.starts_with("target:"))
    assert parts["n"].sum() == 60
    assert set(diffs["slice"]) == set(metrics["slice"])
    assert "item_events:100+" not in set(metrics["slice"])


def test_requests_of_one_user_are_not_independent():
    """Five copies of each user's one request bring no news."""
    predictions, truth, _ = world(40)
    copies = 5
    more = [
        (r * copies + c, i, s)
        for r, i, s in predictions.filter(pl.col("model") == "full").select("request", "item", "score").rows()
        for c in range(copies)
    ]
    many_truth = truth_of([(r * copies + c, i, 3) for r, i, _ in truth.rows() for c in range(copies)])
    users = np.repeat(np.arange(40), copies)
    clustered = evaluate(
        predictions_of(more), many_truth, requests_of(40 * copies, n_catalogue=8, users=users), CONFIG
    )[0]
    naive = evaluate(predictions_of(more), many_truth, requests_of(40 * copies, n_catalogue=8), CONFIG)[0]

    def width(metrics):
        return metrics["ci_high"][0] - metrics["ci_low"][0]

    assert width(clustered) > 1.7 * width(naive)


def test_single_requests_are_what_the_means_are_made_of():
    predictions, truth, requests = world()
    found = evaluate(predictions, truth, requests, CONFIG)
    one = found.per_request
    assert one.schema == PER_REQUEST_SCHEMA
    assert len(one) == 3 * 2 * 60
    keys = ["model", "metric", "k"]
    means = one.group_by(keys).agg(pl.col("value").mean().alias("mean"))
    both = found.metrics.join(means, on=keys)
    assert len(both) == 6 and both["value"].to_list() == pytest.approx(both["mean"].to_list())
    assert one.filter(pl.col("request") == 7)["user"].unique().to_list() == [3]
