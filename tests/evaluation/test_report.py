"""The report says what it should, and nothing it should not."""

import re
from html.parser import HTMLParser

import polars as pl
import pytest

from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.report import ReportInput, Setting, WindowFacts, render, stage_table, with_stages
from recsys.evaluation.schemas import DIFFERENCES_SCHEMA, METRICS_SCHEMA

CONFIG = EvaluationConfig(metrics=("ndcg", "hit_rate", "mrr"), ks=(5, 10))
MODELS = {"full": 0.2, "popularity": 0.1, "behaviour_only": 0.18, "text_only": 0.12, "oracle": 0.6}
STEPS = ("item_events:0", "item_events:1-4", "item_events:5-19")


def tables(variants=("default",), window="test", word="better"):
    metrics, diffs = [], []
    for variant in variants:
        for model, v in MODELS.items():
            for metric, k in CONFIG.columns:
                metrics.append((model, variant, 0, window, metric, k, "all", v, v - 0.01, v + 0.01, 400))
            for part in (*STEPS, "target:repeat", "target:new"):
                metrics.append((model, variant, 0, window, "ndcg", 10, part, v, v - 0.02, v + 0.02, 80))
            if model != "full":
                d = MODELS["full"] - v
                for part in ("all", *STEPS):
                    row = (
                        "full",
                        model,
                        variant,
                        window,
                        "ndcg",
                        10,
                        part,
                        d,
                        d - 0.01,
                        d + 0.01,
                        400,
                        0.0,
                        0.0,
                    )
                    diffs.append((*row, word))
    return (
        pl.DataFrame(metrics, schema=METRICS_SCHEMA, orient="row"),
        pl.DataFrame(diffs, schema=DIFFERENCES_SCHEMA, orient="row"),
    )


def everything(**changes):
    metrics, diffs = tables()
    setting = Setting(
        data="demo shop",
        unit="basket",
        rows="retrieved",
        clock=True,
        n_items=3000,
        windows=(WindowFacts("test", "2024-05-01", "2024-06-01", 1234, 567),),
        variants={"default": "learned before the window, state to the second"},
    )
    parts = {
        "metrics": metrics,
        "differences": diffs,
        "config": CONFIG,
        "setting": setting,
        "recall": pl.DataFrame({"source": ["popular", "pool"], "depth": [100, 400], "recall": [0.31, 0.62]}),
        "training": pl.DataFrame({"step": [1, 2, 3], "name": ["loss"] * 3, "value": [3.0, 2.0, 1.5]}),
        "importance": pl.DataFrame(
            {
                "column": ["item_click_7d", "x"],
                "words": ["clicks of the item, 7 days", None],
                "gain": [9.0, 1.0],
            }
        ),
        "ledger": pl.DataFrame(
            {
                "rule": ["no item"],
                "scope": ["causal"],
                "table": ["events"],
                "dropped": [7],
                "kept": [93],
                "why": ["?"],
            }
        ),
        "stages": pl.DataFrame(
            {"stage": ["prepare"], "seconds": [1.23], "peak_mib": [512.4], "reused": [False]}
        ),
        "notes": ("No positions were logged.",),
        "test_reads": 2,
        "made": "recsys 0.1",
    }
    return ReportInput(**{**parts, **changes})


def text_of(html):
    class Text(HTMLParser):
        def __init__(self):
            super().__init__()
            self.parts, self.skip = [], 0

        def handle_starttag(self, tag, attrs):
            self.skip += tag in ("style", "title")

        def handle_endtag(self, tag):
            self.skip -= tag in ("style", "title")

        def handle_data(self, data):
            if not self.skip and data.strip():
                self.parts.append(data.strip())

    parser = Text()
    parser.feed(html)
    return parser.parts


class Balance(HTMLParser):
    """Every tag that opens closes."""

    VOID = ("meta", "br", "circle", "line", "rect", "polyline")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_first_line_is_the_verdict():
    first = text_of(render(everything()))[0]
    assert first.startswith(
        "full is better than popularity, behaviour_only and text_only on test: NDCG@10 .200"
    )
    assert 'class="verdict better"' in render(everything())


@pytest.mark.parametrize(("word", "css"), [("worse", "worse"), ("cannot tell", "cannot-tell")])
def test_the_other_verdicts(word, css):
    metrics, diffs = tables(word=word)
    html = render(everything(metrics=metrics, differences=diffs))
    assert f'class="verdict {css}"' in html


def test_every_part_is_there():
    html = render(everything())
    text = " ".join(text_of(html))
    for expected in (
        "How the models compare",
        "Is full better, and is that more than luck?",
        "New and rare items: with and without text",
        "What the candidates can reach",
        "How the encoder learned",
        "clicks of the item, 7 days",
        "What was cleaned away",
        "prepare",
        "1,234",
        "3,000 items",
        "A request is one basket",
        "read 2 times",
        "No positions were logged.",
        "the true preference itself: the ceiling",
        "recsys 0.1",
        "repeat",
        "full minus behaviour_only",
        "NDCG counts with the gains click 1, cart 3, purchase 10",
    ):
        assert expected in text, expected
    assert html.count('<svg class="plot"') == 3  # differences, cold start, training
    assert html.count('<div class="bars"') == 2  # recall, importance
    assert "x, 1" not in text


def test_tags_are_balanced():
    parser = Balance()
    parser.feed(render(everything()))
    assert parser.open == []


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs():
    html = render(everything())
    assert not re.search(r"https?:|//[a-z]|<script|<link|<img|@import|url\(|\son[a-z]+=", html)


def test_texts_are_escaped():
    nasty = '<img src=x onerror="alert(1)">&'
    html = render(
        everything(
            title=nasty,
            notes=(nasty,),
            made=nasty,
            importance=pl.DataFrame({"column": [nasty], "words": [nasty], "gain": [1.0]}),
            recall=pl.DataFrame({"source": [nasty], "depth": [1], "recall": [0.5]}),
        )
    )
    assert "<img" not in html
    assert "&lt;img src=x" in html
    assert nasty not in html


def test_absent_parts_leave_no_heading():
    metrics, diffs = tables()
    html = render(ReportInput(metrics, diffs, CONFIG))
    for heading in (
        "candidates can reach",
        "encoder learned",
        "reranker looks",
        "cleaned away",
        "Time and memory",
    ):
        assert heading not in html
    assert "How the models compare" in html


def test_other_variants_follow_the_first_line():
    metrics, diffs = tables(("strict", "refit"))
    html = render(everything(metrics=metrics, differences=diffs, variant="strict"))
    text = text_of(html)
    assert "on test (strict)" in text[0]
    assert any("on test (refit)" in part for part in text[1:4])
    assert text.count("Window test, refit") >= 2


def test_a_missing_clock_is_said():
    assert "real clock" in render(everything())
    setting = Setting(data="d", unit="event", rows="logged", clock=False, n_items=5)
    html = render(everything(setting=setting))
    assert "order only, no clock" in html
    assert "no date in this report is a date on a calendar" in html
    assert "Only items that were shown are ranked" in html


def test_nothing_compared_is_said_too():
    html = render(everything(differences=tables()[1].clear()))
    assert text_of(html)[0] == "No verdict on test: full was not compared with any other model."


def test_nan_is_shown_as_not_available():
    broken = tables()[0].with_columns(
        value=pl.when(pl.col("model") == "popularity").then(float("nan")).otherwise(pl.col("value"))
    )
    html = render(everything(metrics=broken))
    assert "n/a" in html
    assert "nan" not in " ".join(text_of(html))


RECORDS = {
    "prepare": {"seconds": 1.26, "peak_gib": 0.5, "skipped": True},
    "score": {"seconds": 2.0, "peak_gib": 1.0, "skipped": False},
}


@pytest.mark.parametrize("stages", [None, stage_table({"evaluate": RECORDS["score"]})])
def test_time_and_memory_can_be_filled_in_later(stages):
    html = render(everything(stages=stages))
    later = with_stages(html, stage_table(RECORDS))
    assert "<tr><td>prepare</td><td>1.3</td><td>512</td><td>yes</td></tr>" in later
    assert "<tr><td>score</td><td>2</td><td>1,024</td><td>no</td></tr>" in later
    assert "<td>evaluate</td>" not in later
    assert later.count("Time and memory") == 1
    assert ("Time and memory" in html) == (stages is not None)
    assert later.index("What was cleaned away") < later.index("Time and memory") < later.index("keep in mind")
    assert with_stages(later, stage_table(RECORDS)) == later
    Balance().feed(later)


def test_a_page_that_has_no_place_for_it_stays_as_it_is():
    assert with_stages("<p>x</p>", stage_table(RECORDS)) == "<p>x</p>"
