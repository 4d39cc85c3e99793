"""Plots are well-formed SVG with marks where the numbers say."""

import math
import re
from xml.etree import ElementTree

from recsys.evaluation.plots import Interval, Line, bars, dots, legend, lines, ticks


def parse(svg):
    return ElementTree.fromstring(f"<root>{svg}</root>")


def test_ticks_are_round_and_span_the_range():
    assert ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.013, 0.048)[0] <= -0.013
    assert ticks(-0.013, 0.048)[-1] >= 0.048
    assert 0.0 in ticks(-0.013, 0.048)
    assert ticks(2.0, 2.0) == [2.0]


def test_dots_stand_in_order_of_their_values():
    svg = dots([Interval("a", 0.1, 0.05, 0.15, "good"), Interval("b", -0.1, -0.2, 0.02)], "t")
    parse(svg)
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)]
    zero = float(re.search(r'<line x1="([\d.]+)"[^>]*class="zero"', svg)[1])
    assert xs[1] < zero < xs[0]
    assert svg.count('class="bar') == 2
    assert 'class="dot good"' in svg


def test_dots_without_numbers_are_no_plot():
    assert dots([], "t") == ""
    assert dots([Interval("a", math.nan, math.nan, math.nan)], "t") == ""
    assert "<circle" in dots([Interval("a", 0.0, 0.0, 0.0)], "t")


def test_lines_leave_gaps_and_draw_intervals():
    svg = lines(
        ["0", "1", "2", "3"],
        [Line("m", (1.0, 2.0, math.nan, 1.0), (0.5, 1.5, math.nan, 0.9), (2, 3, math.nan, 2))],
        "t",
    )
    parse(svg)
    assert svg.count("<polyline") == 1  # the last point stands alone
    assert svg.count("<circle") == 3
    assert svg.count("whisker") == 3
    assert "nan" not in svg


def test_lines_of_one_point_and_of_many():
    assert lines(["1"], [Line("m", (2.0,))], "t").count("<circle") == 1
    many = lines([str(i) for i in range(500)], [Line("m", tuple(float(i) for i in range(500)))], "t")
    assert many.count("<circle") == 0
    assert many.count("<text") < 30
    assert lines([], [], "t") == ""


def test_bars_are_in_proportion():
    svg = bars([("a", 4.0, "4"), ("b", 1.0, "1")], "t")
    parse(svg)
    a, b = (float(w) for w in re.findall(r"width:([\d.]+)%", svg))
    assert a == 4 * b
    assert bars([], "t") == ""
    assert "width:0.0%" in bars([("a", 0.0, "0")], "t")


def test_texts_are_escaped():
    for svg in (
        bars([("<b>", 1.0, "&")], "<t>"),
        dots([Interval("<b>", 1.0, 0.0, 2.0)], "<t>"),
        lines(["<x>"], [Line("<m>", (1.0,))], "<t>", x_title="<y>"),
        legend(["<m>"]),
    ):
        parse(svg)
        assert not re.search(r"<(b|t|x|m|y)>", svg)
