"""Encoders side by side, as HTML and as lines."""

import polars as pl

from recsys.core.columns import CI_HIGH, CI_LOW
from recsys.evaluation.encoders import COLUMNS, encoder_lines, encoders_section, render_encoders


def row(preset, value, diff=None, **more):
    about = {} if diff is None else {"diff": diff, "diff_low": diff - 0.01, "diff_high": diff + 0.01}
    return {
        "preset": preset, "chosen": preset, "metric": "ndcg", "k": 10, "value": value,
        CI_LOW: value - 0.02, CI_HIGH: value + 0.02, "n": 1200, "texts_per_s": 33.4, "size_mib": 87.25,
        "minutes": 2.04, "encoded": 100, "found": 0,
    } | about | more  # fmt: skip


def frame(*rows):
    return pl.DataFrame([dict.fromkeys(COLUMNS) | one for one in rows], COLUMNS)


def test_a_line_for_each_encoder_the_first_without_a_difference():
    table = frame(row("adapter", 0.1), row("auto", 0.08, -0.02, chosen="static", texts_per_s=23456.0))
    assert encoder_lines(table) == [
        "               NDCG@10         minus adapter         texts/s  MiB   minutes",
        "adapter        .100 .080-.120                        33       87.2  2.0",
        "auto (static)  .080 .060-.100  -.020 [-.030, -.010]  23,456   87.2  2.0",
    ]


def test_what_the_figures_leave_out_is_said():
    lines = encoder_lines(frame(row("adapter", 0.1), row("static", 0.1, 0.0, found=90, texts_per_s=None)))
    assert lines[-2:] == [
        "Texts that an earlier training had encoded, their time not in the minutes: 90 for static.",
        "Without an exported tower, so that no new text is encoded: static.",
    ]


def test_the_section_has_every_figure_and_its_tone():
    table = frame(row("adapter", 0.1), row("top", 0.15, 0.05), row("static", 0.095, -0.005))
    html = encoders_section(table)
    spans = ("<span class='good'>+.050</span>", "<span class='flat'>-.005</span>")
    for text in ("NDCG@10", "minus adapter", *spans, "1,200 requests of the window valid", "87.2", "<svg"):
        assert text in html
    assert "<svg" not in encoders_section(frame(row("adapter", 0.1)))


def test_the_page_escapes_what_is_not_ours():
    page = render_encoders(frame(row("adapter", 0.1)), "Encoders of <b>", "made & so")
    assert "Encoders of &lt;b&gt;" in page and "made &amp; so" in page and page.startswith("<!doctype html>")
