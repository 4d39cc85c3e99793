"""The frame of a report: cells, tables, sections."""

import re

import polars as pl
import pytest

from recsys.evaluation.page import (
    STYLE,
    Cell,
    bullets,
    cell,
    facts,
    frame_table,
    page,
    paragraph,
    section,
    table,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (12345.6, "1.235e+04"),
        (None, "&ndash;"),
        (True, "yes"),
        (False, "no"),
        ("<b>", "&lt;b&gt;"),
        (Cell("<b>x</b>"), "<b>x</b>"),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


def test_a_table_stresses_our_row_and_lets_words_wrap():
    html = table(["model", "what"], [["a", "x"], ["b", "y"]], words=[1], ours=[1])
    assert html.count("<tr class='ours'>") == 1
    assert html.index("<tr class='ours'>") > html.index("<td>a</td>")
    assert html.count('class="words"') == 3


def test_a_frame_shows_the_columns_it_has_under_their_new_names():
    html = frame_table(
        pl.DataFrame({"b": [1], "a": ["<x>"], "hidden": [7]}), {"a": "first", "b": "B", "c": "C"}
    )
    assert html.index("first") < html.index("<th>B</th>")
    assert "&lt;x&gt;" in html
    assert "hidden" not in html
    assert "<th>C</th>" not in html


def test_what_has_no_content_is_not_there():
    assert section("Title", "", "") == ""
    assert "<h2>A &amp; B</h2>" in section("A & B", "<p>x</p>", "")
    assert paragraph("") == ""
    assert bullets([]) == ""
    assert facts([]) == ""


def test_styles_of_text():
    assert paragraph("a < b", soft=True) == "<p class='soft'>a &lt; b</p>"
    assert bullets(["a & b"]) == "<ul><li>a &amp; b</li></ul>"
    assert "<dt>x&gt;</dt><dd>&lt;y</dd>" in facts([("x>", "<y")])


def test_the_page_is_one_document_for_any_screen():
    html = page("<T>", "<p>body</p>")
    assert html.startswith("<!doctype html>")
    assert "<title>&lt;T&gt;</title>" in html
    assert "width=device-width" in html
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html


def test_a_wide_table_scrolls_by_itself_and_keeps_its_first_column_in_sight():
    assert table(["a"], [["x"]]).startswith('<div class="wide" tabindex="0"><table>')
    assert re.search(r"\.wide\{overflow-x:auto", STYLE)
    assert re.search(r"td:first-child\{[^}]*position:sticky;left:0;background", STYLE)
