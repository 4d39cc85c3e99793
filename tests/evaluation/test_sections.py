"""What each section of a report shows, and what it leaves out."""

import re

import polars as pl

from recsys.evaluation import sections
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.schemas import DIFFERENCES_SCHEMA, METRICS_SCHEMA

CONFIG = EvaluationConfig(metrics=("ndcg", "auc"), ks=(5, 10), main_metric="auc")


def metric_row(model, value, metric="auc", k=0, part="all", seed=0, n=50):
    return (model, "default", seed, "test", metric, k, part, value, value - 0.01, value + 0.01, n)


def metrics_of(*rows):
    return pl.DataFrame(rows, schema=METRICS_SCHEMA, orient="row")


def difference_of(*models):
    rows = [
        ("full", m, "default", "test", "auc", 0, "all", d, d - 0.01, d + 0.01, 50, 0.001, 0.0004, verdict)
        for m, d, verdict in models
    ]
    return pl.DataFrame(rows, schema=DIFFERENCES_SCHEMA, orient="row")


def first_column(html):
    return re.findall(r"<tr(?: class='ours')?><td>([^<]*)</td>", html)


def test_models_stand_best_first_by_the_main_metric():
    frame = metrics_of(
        metric_row("popularity", 0.5),
        metric_row("full", 0.7),
        metric_row("full", 0.1, "ndcg", 10),
        metric_row("random", 0.6),
    )
    html = sections.comparison(frame, CONFIG, "default", "test")
    assert first_column(html) == ["full", "random", "popularity"]
    assert html.index("AUC") < html.index("NDCG@10")
    assert "&ndash;" in html  # popularity has no NDCG here
    assert "Means over 50 requests" in html


def test_other_depths_are_folded_away():
    frame = metrics_of(
        metric_row("full", 0.7), metric_row("full", 0.1, "ndcg", 5), metric_row("full", 0.2, "ndcg", 10)
    )
    html = sections.comparison(frame, CONFIG, "default", "test")
    before, after = html.split("<details>")
    assert "NDCG@10" in before
    assert "NDCG@5" not in before
    assert "NDCG@5" in after


def test_the_mean_over_seeds_is_what_is_shown():
    frame = metrics_of(
        metric_row("full", 0.9, seed=0), metric_row("full", 0.7, seed=1), metric_row("full", 0.8, seed=-1)
    )
    html = sections.comparison(frame, CONFIG, "default", "test")
    assert ".800" in html
    assert ".900" not in html
    assert ".700" not in html


def test_yardsticks_are_in_the_table_but_off_the_scale_of_the_plot():
    frame = difference_of(
        ("popularity", 0.1, "better"), ("oracle", -0.9, "worse"), ("text_only", 0.0, "cannot tell")
    )
    html = sections.difference(frame, CONFIG, "default", "test")
    svg, rest = html.split("</svg>")
    assert "oracle" not in svg
    assert first_column(rest) == ["popularity", "text_only", "oracle"]
    assert svg.count('class="dot good"') == 1
    assert "<span class='bad'>worse</span>" in rest
    assert "<span class='flat'>cannot tell</span>" in rest
    assert "&lt; .001" in rest


def test_other_places_and_metrics_do_not_mix_in():
    assert sections.comparison(metrics_of(metric_row("full", 0.5)), CONFIG, "strict", "test") == ""
    assert sections.difference(difference_of(("popularity", 0.1, "better")), CONFIG, "default", "valid") == ""


def test_a_cold_start_curve_wants_two_models():
    parts = ("item_events:0", "item_events:1-4")
    alone = metrics_of(*(metric_row("full", 0.5, part=p) for p in parts))
    assert sections.cold_start(alone, difference_of(), CONFIG, "default", "test") == ""
    both = metrics_of(*(metric_row(m, 0.5, part=p) for p in parts for m in ("full", "behaviour_only")))
    html = sections.cold_start(both, difference_of(), CONFIG, "default", "test")
    assert first_column(html) == ["0", "1-4"]
    assert html.count("<polyline") == 2


def test_slices_show_how_many_requests_they_hold():
    frame = metrics_of(
        metric_row("full", 0.5, part="target:new", n=1234), metric_row("full", 0.6, part="target:repeat", n=9)
    )
    html = sections.sliced(frame, CONFIG, "default", "test")
    assert "1,234" in html
    assert html.index("new") < html.index("repeat")
    assert sections.sliced(metrics_of(metric_row("full", 0.5)), CONFIG, "default", "test") == ""


def test_recall_is_apart_for_each_window():
    frame = pl.DataFrame(
        {"source": ["pool", "pool"], "depth": [10, 10], "recall": [0.5, 0.25], "window": ["valid", "test"]}
    )
    html = sections.recall(frame)
    assert "<h3>valid</h3>" in html
    assert html.count('<div class="bars"') == 2
    assert sections.recall(frame.head(1)).count("<h3>") == 0
    assert sections.recall(None) == ""


def test_importance_shows_shares_of_all_columns():
    frame = pl.DataFrame({"column": ["a", "b", "c"], "words": ["A", None, "C"], "gain": [6.0, 3.0, 1.0]})
    html = sections.importance(frame, top=2)
    assert "the first 2 of 3 columns" in html
    assert "60.0%" in html
    assert "<div>b<span>" in html  # a column without words goes by its name
    assert "10.0%" not in html


def test_training_is_in_order_of_steps():
    frame = pl.DataFrame({"step": [2, 1], "name": ["loss", "loss"], "value": [1.0, 5.0]})
    points = re.search(r'points="([^"]+)"', sections.training(frame))[1].split()
    assert float(points[0].split(",")[1]) < float(points[1].split(",")[1])  # high on the page first
    assert sections.training(None) == ""


def test_training_shows_what_was_learned_and_not_how_long_it_took():
    frame = pl.DataFrame(
        {"step": [0, 0], "name": ["holdout/click_ndcg_at_10", "seconds"], "value": [0.1, 33.0]}
    )
    html = sections.training(frame)
    assert html.startswith("<div class='pair'>") and html.count("<svg") == 1
    assert "holdout/click_ndcg@10" in html
    assert "seconds" not in html
    assert sections.training(frame.tail(1)) == ""


def test_stages_and_the_glossary():
    frame = pl.DataFrame({"stage": ["prepare"], "seconds": [1.26], "peak_mib": [511.6], "reused": [True]})
    html = sections.stages(frame)
    assert "1.3" in html
    assert "512" in html
    assert "yes" in html
    words = sections.glossary(metrics_of(metric_row("popularity", 0.5), metric_row("mine", 0.4)))
    assert first_column(words) == ["popularity", "mine"]
    assert "what most people chose lately" in words
