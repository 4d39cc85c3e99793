"""The evaluation report: one HTML file that begins with a verdict and hides nothing after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import polars as pl

from recsys.core.columns import VARIANT, WINDOW
from recsys.evaluation import sections
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.page import bullets, facts, frame_table, page, paragraph, section
from recsys.evaluation.probabilities import probabilities
from recsys.evaluation.verdict import headline

STAGES = ("<!-- stages -->", "<!-- /stages -->")


@dataclass(frozen=True)
class WindowFacts:
    """A window in a few words: its half-open dates as text, its requests and users."""

    name: str
    start: str
    end: str
    requests: int
    users: int


@dataclass(frozen=True)
class Setting:
    """What was ranked, for whom, and when.

    Parameters
    ----------
    data : str
        The data set's name.
    unit : str
        ``requests.unit``: impression, event, basket, session or period.
    rows : str
        ``retrieved`` (the whole catalogue competes) or ``logged`` (the lists that were shown).
    clock : bool
        Whether the times are real, or carry an order only.
    n_items : int
    windows : tuple of WindowFacts
    variants : mapping of str to str
        Each variant in a sentence.
    """

    data: str
    unit: str
    rows: str
    clock: bool
    n_items: int
    windows: tuple[WindowFacts, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportInput:
    """Everything a report may show; what is None is left out.

    Parameters
    ----------
    metrics, differences : DataFrame
        As `evaluate.evaluate` returns them.
    config : EvaluationConfig
    variant, window : str
        What the first line speaks of; the others follow it.
    setting : Setting, optional
    recall : DataFrame, optional
        ``source, depth, recall``, and ``variant``, ``window`` where there are several.
    training : DataFrame, optional
        ``step, name, value``: the encoder's losses and scores while it learned.
    importance : DataFrame, optional
        ``column, words, gain``: what the reranker's trees split on, ``words`` a column's meaning.
    reliability : DataFrame, optional
        Probabilities of shown rows against what happened, as `schemas.RELIABILITY_SCHEMA`.
    ledger : DataFrame, optional
        ``rule, scope, table, dropped, kept, why``.
    stages : DataFrame, optional
        ``stage, seconds, peak_mib, reused``.
    notes : tuple of str
        Further honest remarks.
    test_reads : int, optional
        How often the test window of this data was evaluated, this time included.
    title, made : str
        The page's title, and a line at its end: version, time, configuration.
    """

    metrics: pl.DataFrame
    differences: pl.DataFrame
    config: EvaluationConfig
    variant: str = "default"
    window: str = "test"
    setting: Setting | None = None
    recall: pl.DataFrame | None = None
    training: pl.DataFrame | None = None
    importance: pl.DataFrame | None = None
    reliability: pl.DataFrame | None = None
    ledger: pl.DataFrame | None = None
    stages: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()
    test_reads: int | None = None
    title: str = "Evaluation report"
    made: str = ""


def render(report: ReportInput) -> str:
    """The report as one HTML document: no script, nothing loaded from elsewhere, every text escaped."""
    config, metrics, differences = report.config, report.metrics, report.differences
    places = _places(report)
    verdict = headline(metrics, differences, config, variant=report.variant, window=report.window)
    body = f'<p class="verdict {escape(verdict.word.replace(" ", "-"))}">{escape(verdict.sentence)}</p>'
    body += f"<h1>{escape(report.title)}</h1>"
    body += bullets(
        [headline(metrics, differences, config, variant=v, window=w).sentence for v, w in places[1:]]
    )
    body += _setting(report.setting)
    body += section(
        "How the models compare", *[sections.comparison(metrics, config, v, w) for v, w in places]
    )
    body += section(
        f"Is {config.reference} better, and is that more than luck?",
        paragraph(
            f"Each dot is the mean difference of {config.reference} minus the model named, on the same "
            f"requests; the line is its {config.confidence:.0%} interval over users. Right of the dashed "
            f"line {config.reference} is ahead."
        ),
        *[sections.difference(differences, config, v, w) for v, w in places],
    )
    body += section(
        "New and rare items: with and without text",
        *[sections.cold_start(metrics, differences, config, v, w) for v, w in places],
    )
    body += section("For which items and users", *[sections.sliced(metrics, config, v, w) for v, w in places])
    body += section("What the candidates can reach", sections.recall(report.recall))
    body += section("How the encoder learned", sections.training(report.training))
    body += section("What the reranker looks at", sections.importance(report.importance))
    body += section("Are the probabilities what they say?", probabilities(report.reliability))
    body += section("What was cleaned away", _ledger(report.ledger))
    body += f"{STAGES[0]}{_stages(report.stages)}{STAGES[1]}"
    body += section("What to keep in mind", bullets(_notes(report)))
    body += section("The models", sections.glossary(metrics))
    return page(report.title, body + (f"<footer>{escape(report.made)}</footer>" if report.made else ""))


def with_stages(html: str, stages: pl.DataFrame) -> str:
    """A finished report with another table of time and memory.

    The report is made by one of the stages, and those after it are known only later.
    """
    before, mark, rest = html.partition(STAGES[0])
    if not mark:
        return html
    return before + mark + _stages(stages) + STAGES[1] + rest.partition(STAGES[1])[2]


def stage_table(records: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Time and memory as `ReportInput.stages` wants them, from the records of a manifest."""
    rows = [
        (name, float(one["seconds"]), float(one["peak_gib"]) * 1024, bool(one["skipped"]))
        for name, one in records.items()
    ]
    schema = {"stage": pl.String, "seconds": pl.Float64, "peak_mib": pl.Float64, "reused": pl.Boolean}
    return pl.DataFrame(rows, schema, orient="row")


def _stages(frame: pl.DataFrame | None) -> str:
    return section("Time and memory", sections.stages(frame))


def _places(report: ReportInput) -> list[tuple[str, str]]:
    """The (variant, window) pairs that were evaluated, the report's own first."""
    found = report.metrics.select(VARIANT, WINDOW).unique(maintain_order=True).rows()
    first = (report.variant, report.window)
    return [first, *((str(v), str(w)) for v, w in found if (v, w) != first)]


def _setting(setting: Setting | None) -> str:
    if setting is None:
        return ""
    whole = setting.rows == "retrieved"
    cards = facts(
        [
            ("data", setting.data),
            ("a request is", setting.unit),
            ("ranked in each request", "the whole catalogue" if whole else "the list that was shown"),
            ("catalogue", f"{setting.n_items:,} items"),
            ("times", "real clock" if setting.clock else "order only, no clock"),
        ]
    )
    windows = pl.DataFrame(
        [(w.name, w.start, w.end, w.requests, w.users) for w in setting.windows],
        schema=["name", "start", "end", "requests", "users"],
        orient="row",
    )
    names = {
        "name": "window",
        "start": "from",
        "end": "to (exclusive)",
        "requests": "requests",
        "users": "users",
    }
    return section(
        "What was measured",
        cards,
        frame_table(windows, names) if setting.windows else "",
        bullets([f"{name}: {meaning}" for name, meaning in setting.variants.items()]),
    )


def _ledger(ledger: pl.DataFrame | None) -> str:
    if ledger is None or ledger.is_empty():
        return ""
    names = {
        "rule": "rule",
        "table": "table",
        "dropped": "dropped",
        "kept": "kept",
        "scope": "scope",
        "why": "why",
    }
    return paragraph(
        "Causal rules look at a row and what came before it. Whole-data rules look at everything, the future "
        "included, and are shown for that reason.",
        soft=True,
    ) + frame_table(ledger, names, words=("rule", "why"))


def _notes(report: ReportInput) -> list[str]:
    """Remarks that follow from the numbers and the setting, then those of the caller."""
    config, setting = report.config, report.setting
    notes = [
        f"Intervals: {config.confidence:.0%}, from {config.n_boot:,} bootstrap draws of whole users. A "
        "verdict also asks that the difference survives the correction for the number of models "
        "compared (Holm).",
        "Equal scores share their mean rank, and a true item that a model never listed counts as missed.",
    ]
    if "ndcg" in config.metrics:
        names = ("none", "click", "cart", "purchase")
        gains = ", ".join(f"{n} {g:g}" for n, g in zip(names[1:], config.gains[1:], strict=False))
        notes.append(f"NDCG counts with the gains {gains}.")
    if setting is not None:
        notes.append(f"A request is one {setting.unit}: another unit would change every number here.")
        if not setting.clock:
            notes.append(
                "The times of this data carry an order only: nothing here uses ages, hours or decay, and no "
                "date in this report is a date on a calendar."
            )
        if setting.rows == "logged":
            notes.append(
                "Only items that were shown are ranked. What users would have done with others is not known."
            )
    if report.test_reads is not None:
        times = "once" if report.test_reads == 1 else f"{report.test_reads} times"
        notes.append(
            f"The test window of this data has been read {times}. Every further look makes its intervals a "
            "little too hopeful."
        )
    return [*notes, *report.notes]
