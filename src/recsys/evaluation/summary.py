"""An evaluation in the few lines that a terminal shows: the verdict, and the models side by side."""

import math

import polars as pl

from recsys.core.columns import CI_HIGH, CI_LOW, METRIC, MODEL, SEED, SLICE, VARIANT, WINDOW, K
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.slices import ALL
from recsys.evaluation.verdict import headline, metric_name, number

SHORT = {"ndcg_true": "true NDCG", "hit_rate": "HR"}
COLUMNS = (
    "ndcg",
    "hit_rate",
    "mrr",
    "mean_rr",
    "auc",
)  # NDCG at smaller depths too


def summary(
    metrics: pl.DataFrame, differences: pl.DataFrame, config: EvaluationConfig, window: str
) -> list[str]:
    """Lines for each variant that was measured on a window.

    Parameters
    ----------
    metrics, differences : DataFrame
        As `evaluate.evaluate` returns them.
    config : EvaluationConfig
    window : str
        ``valid`` or ``test``.

    Returns
    -------
    list of str
        For each variant the verdict, then a table of the models, best first, with intervals.
    """
    here = metrics.filter((pl.col(WINDOW) == window) & (pl.col(SLICE) == ALL))
    lines: list[str] = []
    for variant in here[VARIANT].unique(maintain_order=True):
        lines += [
            "",
            headline(metrics, differences, config, variant=variant, window=window).sentence,
            *_table(here.filter(pl.col(VARIANT) == variant), config),
            "",
        ]
    return lines


def recall_lines(recall: pl.DataFrame, window: str) -> list[str]:
    """The recall ceiling of a window, a line for each variant: each source, the pool, the rows.

    Parameters
    ----------
    recall : DataFrame
        ``variant, window, source, depth, recall``; of a source's depths the greatest is told.
    window : str
    """
    whole = pl.col("depth") == pl.col("depth").max().over(VARIANT, "source")
    here = recall.filter(pl.col(WINDOW) == window).filter(whole)
    lines = []
    for (variant,), part in here.group_by(VARIANT, maintain_order=True):
        told = [f"{r['source']} {number(r['recall'])} of {r['depth']:,}" for r in part.iter_rows(named=True)]
        lines.append(f"recall ceiling, {window} {variant}: {', '.join(told)}")
    return lines


def _table(frame: pl.DataFrame, config: EvaluationConfig) -> list[str]:
    one = frame.sort(SEED, maintain_order=True).unique([MODEL, METRIC, K], keep="first", maintain_order=True)
    found = {(row[MODEL], row[METRIC], row[K]): row for row in one.iter_rows(named=True)}
    there = {(metric, k) for _, metric, k in found}
    wanted = [config.main] + [
        (metric, k)
        for name in COLUMNS
        for metric, k in config.columns
        if metric == name and (k in (0, config.main_k) or (metric == "ndcg" and k < config.main_k))
    ]
    columns = [column for column in dict.fromkeys(wanted) if column in there]
    models = sorted(
        one[MODEL].unique(maintain_order=True),
        key=lambda model: -_value(found.get((model, *config.main), {}).get("value")),
    )
    rows = [["", *(_name(*column) for column in columns)]]
    for model in models:
        rows.append([model, *(_cell(found.get((model, *column))) for column in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _name(metric: str, k: int) -> str:
    return f"{SHORT[metric]}@{k}" if metric in SHORT else metric_name(metric, k)


def _value(value: float | None) -> float:
    return float("-inf") if value is None or value != value else float(value)


def _cell(row: dict[str, float] | None) -> str:
    if row is None:
        return ""
    low, high = row[CI_LOW], row[CI_HIGH]
    interval = f" {number(low)}-{number(high)}" if math.isfinite(low) and math.isfinite(high) else ""
    return number(row["value"]) + interval
