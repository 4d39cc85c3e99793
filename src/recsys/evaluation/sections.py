"""The report's sections, each a function of tables to HTML; an empty string where there is nothing."""

from html import escape
from typing import Any

import polars as pl

from recsys.core.columns import CI_HIGH, CI_LOW, METRIC, MODEL, MODELS, SEED, SLICE, VARIANT, WINDOW, K, N
from recsys.evaluation.config import NDCG_TRUE, EvaluationConfig
from recsys.evaluation.page import Cell, frame_table, paragraph, table
from recsys.evaluation.per_request import WITHOUT_K, Column
from recsys.evaluation.plots import Interval, Line, bars, dots, lines
from recsys.evaluation.slices import ALL, ITEM_EVENTS, words
from recsys.evaluation.verdict import BETTER, WORSE, metric_name, number, signed

TONES = {BETTER: "good", WORSE: "bad"}
YARDSTICKS = ("oracle", "learnable")  # they know what no model can; off the scale of a comparison
CURVE = ("full", "behaviour_only", "text_only")
MODEL_WORDS = {
    "random": "a shuffled list: the floor",
    "popularity": "what most people chose lately, the same list for everybody",
    "recent_popularity": "what most people chose in the last hours, the same list for everybody",
    "transition": "what others chose next after the user's last items",
    "item_knn": "what was chosen by those who chose the user's items: nearest neighbours of items",
    "ease": "what goes with all of the user's items together: EASE, linear weights between items",
    "als": "matrix factorisation by least squares, the user's factors as of the request",
    "bpr": "matrix factorisation by pairs, Bayesian personalised ranking",
    "sasrec": "what comes next after the user's last items: a transformer over item ids, without text",
    "text_raw": "similarity of texts, by the language model before any training",
    "encoder": "the trained text encoder's interest score alone",
    "text_only": "the reranker with text columns alone",
    "behaviour_only": "the reranker with behaviour columns alone, no text",
    "no_interest": "the full reranker without the trained interest scores",
    "full": "the whole model: behaviour, text and trained interest scores",
    "learnable": "a reference told the items' true attributes, learning each user's taste from the log",
    "oracle": "the true preference itself: the ceiling",
}
Rows = list[dict[str, Any]]


def _at(frame: pl.DataFrame, variant: str, window: str) -> pl.DataFrame:
    return frame.filter((pl.col(VARIANT) == variant) & (pl.col(WINDOW) == window))


def _in(frame: pl.DataFrame, column: Column) -> pl.DataFrame:
    metric, k = column
    return frame.filter((pl.col(METRIC) == metric) & (pl.col(K) == k))


def _one_seed(metrics: pl.DataFrame) -> pl.DataFrame:
    """The mean over seeds where there are several (seed -1 sorts first), else the only seed."""
    keys = [MODEL, VARIANT, WINDOW, METRIC, K, SLICE]
    return metrics.sort(SEED, maintain_order=True).unique(keys, keep="first", maintain_order=True)


def _heading(variant: str, window: str) -> str:
    named = f"Window {window}" + ("" if variant == "default" else f", {variant}")
    return f"<h3>{escape(named)}</h3>"


def _with_interval(row: dict[str, Any] | None) -> Cell | None:
    if row is None:
        return None
    small = f"<small>{number(row[CI_LOW])} to {number(row[CI_HIGH])}</small>"
    return Cell(number(row["value"]) + small)


def _order(models: list[str]) -> list[str]:
    return sorted(models, key=lambda m: (MODELS.index(m) if m in MODELS else len(MODELS), m))


def comparison(metrics: pl.DataFrame, config: EvaluationConfig, variant: str, window: str) -> str:
    """Models by metrics, best first, and every depth folded away below."""
    here = _one_seed(_at(metrics, variant, window)).filter(pl.col(SLICE) == ALL)
    if here.is_empty():
        return ""
    found = {(r[MODEL], r[METRIC], r[K]): r for r in here.iter_rows(named=True)}
    columns = list(dict.fromkeys((r[METRIC], r[K]) for r in here.iter_rows(named=True)))
    main = config.main
    shown = [c for c in columns if c[1] == config.main_k or c[0] in (*WITHOUT_K, NDCG_TRUE)]
    if main in columns:
        shown = [main, *(c for c in shown if c != main)]
    models = _order(here[MODEL].unique().to_list())
    models.sort(key=lambda m: -_number_or_low(found.get((m, *shown[0]))))

    def rows(names: list[tuple[str, int]]) -> list[list[object]]:
        return [[m, *(_with_interval(found.get((m, *c))) for c in names)] for m in models]

    ours = [i for i, m in enumerate(models) if m == config.reference]
    n = max(r[N] for r in found.values())
    out = _heading(variant, window) + paragraph(
        f"Means over {n:,} requests, with intervals; higher is better throughout.", soft=True
    )
    out += table(["model", *(metric_name(*c) for c in shown)], rows(shown), ours=ours)
    rest = [c for c in columns if c not in shown]
    if rest:
        inside = table(["model", *(metric_name(*c) for c in rest)], rows(rest), ours=ours)
        out += f"<details><summary class='soft'>Other depths</summary>{inside}</details>"
    return out


def _number_or_low(row: dict[str, Any] | None) -> float:
    return float("-inf") if row is None or row["value"] != row["value"] else float(row["value"])


def difference(differences: pl.DataFrame, config: EvaluationConfig, variant: str, window: str) -> str:
    """Paired differences: a plot of dots with intervals, and their table."""
    here = _in(_at(differences, variant, window), config.main).filter(pl.col(SLICE) == ALL)
    rows: Rows = here.sort("diff", descending=True).to_dicts()
    if not rows:
        return ""
    name = metric_name(*config.main)
    marks = [
        Interval(r["model_b"], r["diff"], r["low"], r["high"], TONES.get(r["verdict"], ""))
        for r in rows
        if r["model_b"] not in YARDSTICKS
    ]
    cells = [
        [
            r["model_b"],
            signed(r["diff"]),
            f"{signed(r['low'])} to {signed(r['high'])}",
            "< .001" if r["p_holm"] < 0.001 else number(r["p_holm"]),
            Cell(f"<span class='{TONES.get(r['verdict'], 'flat')}'>{escape(r['verdict'])}</span>"),
        ]
        for r in rows
    ]
    header = [f"{config.reference} against", f"difference in {name}", "interval", "corrected p", "verdict"]
    title = f"{name}: {config.reference} minus each model, {window} {variant}"
    return _heading(variant, window) + dots(marks, title) + table(header, cells)


def cold_start(
    metrics: pl.DataFrame, differences: pl.DataFrame, config: EvaluationConfig, variant: str, window: str
) -> str:
    """The metric of slices by the true item's number of past events, with and without text."""
    here = _one_seed(_in(_at(metrics, variant, window), config.sliced))
    here = here.filter(pl.col(SLICE).str.starts_with(f"{ITEM_EVENTS}:"))
    steps = here[SLICE].unique(maintain_order=True).to_list()
    models = [m for m in CURVE if m in here[MODEL].unique().to_list()]
    if not steps or len(models) < 2:
        return ""
    found = {(r[MODEL], r[SLICE]): r for r in here.iter_rows(named=True)}
    labels = [s.split(":", 1)[1] for s in steps]
    nothing = {"value": float("nan"), CI_LOW: float("nan"), CI_HIGH: float("nan")}

    def along(model: str, column: str) -> tuple[float, ...]:
        return tuple(found.get((model, s), nothing)[column] for s in steps)

    series = [Line(m, along(m, "value"), along(m, CI_LOW), along(m, CI_HIGH)) for m in models]
    name = metric_name(*config.sliced)
    out = _heading(variant, window)
    out += lines(labels, series, f"{name} by past events of the item", x_title="past events of the true item")
    gain = _in(_at(differences, variant, window), config.sliced)
    gain = gain.filter((pl.col("model_b") == "behaviour_only") & pl.col(SLICE).is_in(steps))
    by_step = {r[SLICE]: r for r in gain.iter_rows(named=True)}
    rows = [
        [
            label,
            found[(models[0], step)][N] if (models[0], step) in found else None,
            *(_with_interval(found.get((m, step))) for m in models),
            _signed_cell(by_step.get(step)),
        ]
        for label, step in zip(labels, steps, strict=True)
    ]
    return out + table(["past events", "requests", *models, "full minus behaviour_only"], rows)


def _signed_cell(row: dict[str, Any] | None) -> Cell | None:
    if row is None:
        return None
    small = f"<small>{signed(row['low'])} to {signed(row['high'])}</small>"
    return Cell(f"<span class='{TONES.get(row['verdict'], 'flat')}'>{signed(row['diff'])}</span>{small}")


def sliced(metrics: pl.DataFrame, config: EvaluationConfig, variant: str, window: str) -> str:
    """One table a kind of slice, the cold-start curve aside: models by slices."""
    here = _one_seed(_in(_at(metrics, variant, window), config.sliced))
    here = here.filter(pl.col(SLICE).str.contains(":") & ~pl.col(SLICE).str.starts_with(f"{ITEM_EVENTS}:"))
    if here.is_empty():
        return ""
    found = {(r[MODEL], r[SLICE]): r for r in here.iter_rows(named=True)}
    names = here[SLICE].unique(maintain_order=True).to_list()
    models = _order(here[MODEL].unique().to_list())
    sizes = {r[SLICE]: r[N] for r in here.iter_rows(named=True)}
    ours = [i for i, m in enumerate(models) if m == config.reference]
    out = _heading(variant, window)
    for kind in dict.fromkeys(n.split(":", 1)[0] for n in names):
        mine = [n for n in names if n.startswith(f"{kind}:")]
        header = [n.split(":", 1)[1] for n in mine]
        rows: list[list[object]] = [["requests", *(Cell(f"<small>{sizes[n]:,}</small>") for n in mine)]]
        rows += [[m, *(_with_interval(found.get((m, n))) for n in mine)] for m in models]
        out += paragraph(f"{metric_name(*config.sliced)} {words(kind)}")
        out += table(["model", *header], rows, ours=[i + 1 for i in ours])
    return out


def recall(frame: pl.DataFrame | None) -> str:
    """Recall ceiling by source: nothing ranked later can be above it."""
    if frame is None or frame.is_empty():
        return ""
    keys = [c for c in (VARIANT, WINDOW) if c in frame.columns and frame[c].n_unique() > 1]
    out = paragraph(
        "The share of true items among the candidates. No reranker can lift a model above the rows' share."
    )
    groups = frame.partition_by(keys, maintain_order=True) if keys else [frame]
    for part in groups:
        if keys:
            out += f"<h3>{escape(', '.join(str(part[key][0]) for key in keys))}</h3>"
        marks = [
            (
                f"{r['source']}, first {r['depth']:,}" if r.get("depth") else str(r["source"]),
                float(r["recall"]),
                number(r["recall"]),
            )
            for r in part.iter_rows(named=True)
        ]
        out += bars(marks, "recall of true items by candidate source")
    return out


def training(frame: pl.DataFrame | None) -> str:
    """One chart a quantity that was logged while the encoder learned."""
    if frame is None or frame.is_empty():
        return ""
    out = ""
    for part in frame.filter(pl.col("name") != "seconds").partition_by("name", maintain_order=True):
        part = part.sort("step")
        name = str(part["name"][0])
        curve = [Line(name.replace("_at_", "@"), tuple(float(v) for v in part["value"]))]
        out += f"<div>{lines([str(s) for s in part['step']], curve, name, x_title='step')}</div>"
    return f"<div class='pair'>{out}</div>" if out else ""


def importance(frame: pl.DataFrame | None, top: int = 20) -> str:
    """The columns by the gain of the splits on them, in words."""
    if frame is None or frame.is_empty():
        return ""
    total = float(frame["gain"].sum()) or 1.0
    best = frame.sort("gain", descending=True).head(top)
    marks = [
        (str(r.get("words") or r["column"]), float(r["gain"]), f"{r['gain'] / total:.1%}")
        for r in best.iter_rows(named=True)
    ]
    note = f"Share of the trees' total gain, the first {len(marks)} of {len(frame)} columns."
    return paragraph(note, soft=True) + bars(marks, "share of gain by column")


def stages(frame: pl.DataFrame | None) -> str:
    """Wall time and peak memory of each stage."""
    if frame is None or frame.is_empty():
        return ""
    shown = frame
    if "seconds" in shown.columns:
        shown = shown.with_columns(pl.col("seconds").cast(pl.Float64).round(1))
    if "peak_mib" in shown.columns:
        shown = shown.with_columns(pl.col("peak_mib").cast(pl.Float64).round(0).cast(pl.Int64, strict=False))
    names = {
        "stage": "stage",
        "seconds": "seconds",
        "peak_mib": "peak memory, MiB",
        "reused": "taken from an earlier run",
    }
    return frame_table(shown, names)


def glossary(metrics: pl.DataFrame) -> str:
    """What each model of the report is."""
    models = _order(metrics[MODEL].unique().to_list())
    return table(["model", "what it is"], [[m, MODEL_WORDS.get(m, "")] for m in models], words=[1])
