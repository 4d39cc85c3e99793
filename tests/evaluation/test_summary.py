"""The lines that a terminal shows of an evaluation."""

import math

import polars as pl

from recsys.core.columns import CI_HIGH, CI_LOW, MODEL, SEED
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.summary import recall_lines, summary
from recsys.evaluation.verdict import headline
from tests.evaluation.test_report import CONFIG, tables


def test_the_verdict_comes_first_then_the_models_best_first():
    metrics, differences = tables()
    lines = summary(metrics, differences, CONFIG, "test")
    assert lines[0] == lines[-1] == ""
    assert lines[1] == headline(metrics, differences, CONFIG, variant="default", window="test").sentence
    assert lines[2].split() == ["NDCG@10", "NDCG@5", "HR@10", "MRR"]
    assert [line.split()[0] for line in lines[3:-1]] == [
        "oracle", "full", "behaviour_only", "text_only", "popularity",
    ]  # fmt: skip
    assert lines[4].split() == ["full", *(".200", ".190-.210") * 4]
    assert len({line.index(".") for line in lines[3:-1] if not line.startswith("oracle")}) == 1


def test_each_variant_has_its_lines_and_another_window_has_none():
    metrics, differences = tables(variants=("strict", "refit"))
    lines = summary(metrics, differences, CONFIG, "test")
    assert [line.partition(":")[0] for line in lines if " on test " in line] == [
        "full is better than popularity, behaviour_only and text_only on test (strict)",
        "full is better than popularity, behaviour_only and text_only on test (refit)",
    ]
    assert summary(metrics, differences, CONFIG, "valid") == []


def test_the_main_metric_stands_first_and_what_was_not_measured_is_left_out():
    metrics, differences = tables()
    config = EvaluationConfig(metrics=("ndcg", "hit_rate", "mrr", "auc"), ks=(5, 10), main_metric="mrr")
    assert summary(metrics, differences, config, "test")[2].split() == ["MRR", "NDCG@5", "NDCG@10", "HR@10"]


def test_the_mean_over_seeds_is_shown_and_an_interval_that_is_none_is_not():
    metrics, differences = tables()
    nothing = pl.lit(math.nan)
    mean = metrics.with_columns(pl.lit(-1).cast(metrics[SEED].dtype).alias(SEED), value=pl.col("value") + 0.1)
    mean = mean.with_columns(nothing.alias(CI_LOW), nothing.alias(CI_HIGH)).filter(pl.col(MODEL) == "full")
    lines = summary(pl.concat([metrics, mean]), differences, CONFIG, "test")
    assert next(line for line in lines if line.startswith("full  ")).split() == ["full", *[".300"] * 4]


def test_the_recall_ceiling_is_told_for_each_source_at_its_depth_and_for_pool_and_rows():
    table = pl.DataFrame(
        [("popular", 10, 0.1), ("popular", 200, 0.3), ("pool", 400, 0.62), ("rows", 50, 0.5)],
        {"source": pl.String, "depth": pl.Int32, "recall": pl.Float64},
        orient="row",
    ).with_columns(variant=pl.lit("strict"), window=pl.lit("valid"))
    assert recall_lines(table, "valid") == [
        "recall ceiling, valid strict: popular .300 of 200, pool .620 of 400, rows .500 of 50"
    ]
    assert recall_lines(table, "test") == []
