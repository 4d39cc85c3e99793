"""Better, worse, or cannot tell: the sentence that a report begins with."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import polars as pl

from recsys.core.columns import METRIC, MODEL, SEED, SLICE, VARIANT, WINDOW, K
from recsys.evaluation.config import EvaluationConfig

BETTER: Final = "better"
WORSE: Final = "worse"
CANNOT_TELL: Final = "cannot tell"

METRIC_NAMES: Final = {
    "ndcg": "NDCG",
    "hit_rate": "hit rate",
    "recall": "recall",
    "precision": "precision",
    "map": "MAP",
    "mrr": "MRR",
    "mean_rr": "MRR over all clicks",
    "auc": "AUC",
    "ndcg_true": "NDCG against the true preference",
}


FEWEST_USERS: Final = 10  # below it no interval is worth a verdict


def p_value(value: float, low: float, high: float, confidence: float = 0.95) -> float:
    """Two-sided p that a difference is 0: normal, with the standard error that the interval's width says."""
    if not all(map(math.isfinite, (value, low, high))) or value == 0:
        return 1.0
    error = (high - low) / (2 * NormalDist().inv_cdf((1 + confidence) / 2))
    return 0.0 if error <= 0 else math.erfc(abs(value) / error / math.sqrt(2.0))


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979), in the order given."""
    order = sorted(range(len(p)), key=p.__getitem__)
    out, running = [1.0] * len(p), 0.0
    for place, i in enumerate(order):
        running = max(running, min(1.0, p[i] * (len(p) - place)))
        out[i] = running
    return out


def judge(low: float, high: float, p: float, alpha: float = 0.05) -> str:
    """A difference's verdict: the interval clear of zero, and the corrected p below alpha."""
    if not (math.isfinite(low) and math.isfinite(high)) or p >= alpha:
        return CANNOT_TELL
    return BETTER if low > 0 else WORSE if high < 0 else CANNOT_TELL


def metric_name(metric: str, k: int) -> str:
    """``ndcg, 10`` -> ``NDCG@10``."""
    name = METRIC_NAMES.get(metric, metric.replace("_", " "))
    if metric == "ndcg_true":
        return f"NDCG@{k} against the true preference"
    return f"{name}@{k}" if k else name


def number(value: float | None) -> str:
    """Three decimals without the leading zero, as tables of such metrics are printed."""
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{value + 0.0:.3f}" if abs(value) >= 0.0005 else "0.000"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def signed(value: float | None) -> str:
    """`number` with its sign."""
    text = number(value)
    return text if text.startswith("-") or text == "n/a" else f"+{text}"


class Verdict(NamedTuple):
    """The answer in a word and a sentence."""

    word: str  # better, worse, cannot tell; mixed where models differ; "none" without a comparison
    sentence: str


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _value(
    metrics: pl.DataFrame, model: str, variant: str, window: str, config: EvaluationConfig
) -> float | None:
    metric, k = config.main
    found = metrics.filter(
        (pl.col(MODEL) == model)
        & (pl.col(VARIANT) == variant)
        & (pl.col(WINDOW) == window)
        & (pl.col(METRIC) == metric)
        & (pl.col(K) == k)
        & (pl.col(SLICE) == "all")
    ).sort(SEED)  # the mean over seeds, -1, first
    return None if found.is_empty() else float(found["value"][0])


def headline(
    metrics: pl.DataFrame, differences: pl.DataFrame, config: EvaluationConfig, *, variant: str, window: str
) -> Verdict:
    """The sentence for one variant and window.

    Parameters
    ----------
    metrics, differences : DataFrame
        As `evaluate` returns them.
    config : EvaluationConfig
        Its ``reference`` is held against each model of ``against`` that was evaluated.
    variant, window : str
    """
    metric, k = config.main
    name = metric_name(metric, k)
    rows = {
        row["model_b"]: row
        for row in differences.filter(
            (pl.col(VARIANT) == variant)
            & (pl.col(WINDOW) == window)
            & (pl.col(METRIC) == metric)
            & (pl.col(K) == k)
            & (pl.col(SLICE) == "all")
            & (pl.col("model_a") == config.reference)
        ).iter_rows(named=True)
    }
    others = [model for model in config.against if model in rows]
    where = f"on {window}" + ("" if variant == "default" else f" ({variant})")
    ours = number(_value(metrics, config.reference, variant, window, config))
    if not others:
        return Verdict(
            "none", f"No verdict {where}: {config.reference} was not compared with any other model."
        )
    parts: list[str] = []
    words: list[str] = []
    for word, say in (
        (BETTER, f"{config.reference} is better than"),
        (WORSE, f"{config.reference} is worse than"),
        (CANNOT_TELL, f"cannot tell whether {config.reference} is better or worse than"),
    ):
        these = [model for model in others if rows[model]["verdict"] == word]
        if not these:
            continue
        words.append(word)
        details = "; ".join(
            f"{number(_value(metrics, model, variant, window, config))} for {model}, difference "
            f"{signed(rows[model]['diff'])} [{signed(rows[model]['low'])}, {signed(rows[model]['high'])}]"
            for model in these
        )
        parts.append(f"{say} {_join(these)} {where}: {name} {ours} against {details}")
    sentence = (
        ". ".join(part[0].upper() + part[1:] if part.startswith("cannot") else part for part in parts) + "."
    )
    return Verdict(words[0] if len(words) == 1 else "mixed", sentence)
