"""Every section stands or falls with its input, and nothing that a user can name breaks the page."""

import re
from html.parser import HTMLParser

import polars as pl
import pytest

from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.page import Cell, bullets, cell, facts, frame_table, page, paragraph, section, table
from recsys.evaluation.report import ReportInput, Setting, WindowFacts, render
from recsys.evaluation.schemas import DIFFERENCES_SCHEMA, METRICS_SCHEMA, RELIABILITY_SCHEMA

CONFIG = EvaluationConfig(metrics=("ndcg",), ks=(10,))
BAD = "<script>alert('x')</script> & \"more\""


def tables(
    models: tuple[str, ...] = ("full", "popularity"), variant: str = "default"
) -> dict[str, pl.DataFrame]:
    rows = [
        (m, variant, 0, "test", "ndcg", 10, "all", 0.3 - 0.1 * i, 0.1, 0.4, 50) for i, m in enumerate(models)
    ]
    pairs = [
        ("full", m, variant, "test", "ndcg", 10, "all", 0.1, 0.05, 0.15, 50, 0.001, 0.002, "better")
        for m in models[1:]
    ]
    return {
        "metrics": pl.DataFrame(rows, schema=METRICS_SCHEMA, orient="row"),
        "differences": pl.DataFrame(pairs, schema=DIFFERENCES_SCHEMA, orient="row"),
    }


SETTING = Setting(
    "demo", "basket", "retrieved", True, 3000, (WindowFacts("test", "a", "b", 1, 1),), {"x": "y"}
)
RECALL = pl.DataFrame({"source": ["pool"], "depth": [10], "recall": [0.5]})
TRAINING = pl.DataFrame({"step": [1, 2], "name": ["loss"] * 2, "value": [2.0, 1.0]})
IMPORTANCE = pl.DataFrame({"column": ["a"], "words": ["the word"], "gain": [1.0]})
LEDGER = pl.DataFrame(
    {"rule": ["no id"], "scope": ["causal"], "table": ["events"], "dropped": [1], "kept": [2], "why": ["w"]}
)
RELIABILITY = pl.DataFrame(
    [("default", 0, "test", "click", 0, 0.1, 0.2, 50), ("default", 0, "test", "click", 1, 0.5, 0.3, 150)],
    RELIABILITY_SCHEMA,
    orient="row",
)
STAGES = pl.DataFrame({"stage": ["prepare"], "seconds": [1.0], "peak_mib": [10.0], "reused": [False]})
OPTIONAL = {
    "setting": (SETTING, "What was measured"),
    "recall": (RECALL, "What the candidates can reach"),
    "training": (TRAINING, "How the encoder learned"),
    "importance": (IMPORTANCE, "What the reranker looks at"),
    "reliability": (RELIABILITY, "Are the probabilities what they say?"),
    "ledger": (LEDGER, "What was cleaned away"),
    "stages": (STAGES, "Time and memory"),
}


class Tags(HTMLParser):
    """Checks that every tag is closed in order."""

    VOID = frozenset({"meta", "br", "line", "circle", "rect", "polyline", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def checked(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def headings(html: str) -> list[str]:
    return re.findall(r"<h2>([^<]*)</h2>", html)


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_section_is_there_with_its_input_alone(name: str) -> None:
    value, title = OPTIONAL[name]
    bare = render(ReportInput(**tables(), config=CONFIG))
    filled = render(ReportInput(**tables(), config=CONFIG, **{name: value}))
    assert title not in headings(bare)
    assert set(headings(filled)) - set(headings(bare)) == {title}
    checked(filled)


@pytest.mark.parametrize("name", [n for n in OPTIONAL if n != "setting"])
def test_an_empty_table_is_no_section(name: str) -> None:
    value, title = OPTIONAL[name]
    html = render(ReportInput(**tables(), config=CONFIG, **{name: value.clear()}))  # type: ignore[attr-defined]
    assert title not in headings(html)


def test_everything_at_once_keeps_one_order() -> None:
    html = render(ReportInput(**tables(), config=CONFIG, **{n: v for n, (v, _) in OPTIONAL.items()}))
    order = [title for title in headings(html) if title in {t for _, t in OPTIONAL.values()}]
    assert order == [title for _, title in OPTIONAL.values()]
    assert html.index('class="verdict better"') < html.index("<h1>")


def test_the_calibration_error_of_the_bins_is_told() -> None:
    html = render(ReportInput(**tables(), config=CONFIG, reliability=RELIABILITY))
    assert "click, window test: expected calibration error 0.1750" in html  # (.1 * 50 + .2 * 150) / 200


def test_names_that_look_like_html_are_text() -> None:
    setting = Setting(BAD, BAD, "logged", False, 3, (WindowFacts(BAD, BAD, BAD, 1, 1),), {BAD: BAD})
    report = ReportInput(
        **tables(("full", BAD)),
        config=CONFIG,
        setting=setting,
        recall=RECALL.with_columns(source=pl.lit(BAD)),
        training=TRAINING.with_columns(name=pl.lit(BAD)),
        importance=IMPORTANCE.with_columns(words=pl.lit(BAD)),
        ledger=LEDGER.with_columns(why=pl.lit(BAD)),
        stages=STAGES.with_columns(stage=pl.lit(BAD)),
        notes=(BAD,),
        title=BAD,
        made=BAD,
    )
    html = render(report)
    assert "script" not in checked(html).seen
    assert "<script" not in html


def test_the_page_asks_nothing_of_the_network() -> None:
    html = render(ReportInput(**tables(), config=CONFIG, **{n: v for n, (v, _) in OPTIONAL.items()}))
    assert not re.search(r"(src|href|url)\s*[=(]", html)
    assert checked(html).seen.isdisjoint({"script", "link", "img", "iframe", "object"})


@pytest.mark.parametrize(("reads", "words"), [(1, "has been read once."), (7, "has been read 7 times.")])
def test_how_often_the_test_window_was_read(reads: int, words: str) -> None:
    assert words in render(ReportInput(**tables(), config=CONFIG, test_reads=reads))
    assert "has been read" not in render(ReportInput(**tables(), config=CONFIG))


@pytest.mark.parametrize(
    ("clock", "rows", "said", "unsaid"),
    [
        (True, "retrieved", "real clock", "carry an order only"),
        (False, "retrieved", "no date in this report is a date on a calendar", "real clock"),
        (True, "logged", "the list that was shown", "the whole catalogue</dd>"),
        (True, "retrieved", "the whole catalogue</dd>", "Only items that were shown are ranked"),
    ],
)
def test_the_setting_is_said_in_words(clock: bool, rows: str, said: str, unsaid: str) -> None:
    setting = Setting("demo", "basket", rows, clock, 10)
    html = render(ReportInput(**tables(), config=CONFIG, setting=setting))
    assert said in html
    assert unsaid not in html


def test_the_reports_own_variant_comes_first_and_every_other_follows() -> None:
    one, two = tables(), tables(variant="strict")
    both = {name: pl.concat([two[name], one[name]]) for name in one}
    html = render(ReportInput(**both, config=CONFIG))
    assert html.index("<h3>Window test</h3>") < html.index("<h3>Window test, strict</h3>")
    turned = render(ReportInput(**both, config=CONFIG, variant="strict"))
    assert turned.index("<h3>Window test, strict</h3>") < turned.index("<h3>Window test</h3>")
    assert "on test (strict)" in turned.split("<h1>")[0]


def test_gains_and_draws_are_told() -> None:
    html = render(ReportInput(**tables(), config=EvaluationConfig(gains=(0.0, 1.0, 2.5, 7.0), n_boot=1234)))
    assert "click 1, cart 2.5, purchase 7" in html
    assert "1,234 bootstrap draws" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "&ndash;"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        ("a < b", "a &lt; b"),
        (Cell("<b>x</b>"), "<b>x</b>"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


def test_tables_stress_rows_and_wrap_columns() -> None:
    html = table(["m", "v"], [["a", 1], ["b", None]], words=[1], ours=[1])
    assert html.count("<tr class='ours'><td>b</td>") == 1
    assert html.count('class="words"') == 3
    checked(html)


def test_a_frame_shows_the_columns_it_has_under_their_names() -> None:
    frame = pl.DataFrame({"b": [1], "a": ["x"], "secret": [9]})
    html = frame_table(frame, {"a": "first", "missing": "no", "b": "second"})
    assert re.findall(r"<th>([^<]*)</th>", html) == ["first", "second"]
    assert re.findall(r"<td>([^<]*)</td>", html) == ["x", "1"]


def test_nothing_gives_nothing() -> None:
    assert (section("t"), section("t", "", ""), paragraph(""), bullets([]), facts([])) == ("",) * 5
    assert section("a & b", "x") == "<section><h2>a &amp; b</h2>\nx</section>\n"
    assert checked(page("t", "")).seen >= {"html", "head", "body", "main"}
