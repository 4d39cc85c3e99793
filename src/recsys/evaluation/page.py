"""The frame of a report: one HTML file that asks nothing of the network, with its style inside."""

from collections.abc import Sequence
from html import escape

import polars as pl

STYLE = (
    """
:root{--bg:#fff;--ink:#1c2330;--soft:#5d6675;--line:#e1e5eb;--card:#f6f7f9;--good:#137a4b;--bad:#b3372f;--flat:#8a6d1a;--c0:#2a6fbb;--c1:#d9822b;--c2:#3a9a6b;--c3:#9a5fb5;--c4:#c2476a;--c5:#7a8494;--shade:#c3cad4}
@media (prefers-color-scheme:dark){:root{
--bg:#14181f;--ink:#e6e9ee;--soft:#9aa4b2;--line:#2c333d;--card:#1c222b;
--good:#4fc78d;--bad:#f0837a;--flat:#e0bd5a;--c0:#6aa8ec;--c1:#f0a55c;--c2:#6ccb9c;--c3:#c596de;--c4:#ef86a5;
--c5:#a3adbb;--shade:#454f5d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}
main{max-width:920px;margin:0 auto;padding:28px 18px 60px}
h1{font-size:1.15rem;margin:0 0 4px;color:var(--soft);font-weight:600}
h2{font-size:1.25rem;margin:42px 0 6px}
h3{font-size:1.02rem;margin:24px 0 6px}
p{margin:8px 0}
.verdict{font-size:1.3rem;line-height:1.4;font-weight:600;margin:0 0 18px;padding:16px 18px;
border-radius:10px;background:var(--card);border-left:6px solid var(--flat)}
.verdict.better{border-color:var(--good)}.verdict.worse{border-color:var(--bad)}
.soft{color:var(--soft);font-size:.93rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:16px 0;padding:0}
.facts div{background:var(--card);border-radius:8px;padding:10px 12px}
.facts dt{color:var(--soft);font-size:.82rem}.facts dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:10px 0;background:
linear-gradient(to left,var(--bg) 40%,transparent) right/44px 100% no-repeat local,
linear-gradient(to left,var(--shade),transparent) right/18px 100% no-repeat scroll}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);
vertical-align:top;white-space:nowrap}
th{color:var(--soft);font-weight:600;border-bottom-width:2px;white-space:normal}
th:first-child,td:first-child{text-align:left;padding-left:0;position:sticky;left:0;background:var(--bg)}
td.words,th.words{text-align:left;white-space:normal;min-width:9em}
tr.ours td{font-weight:600;background:var(--card)}
td small{display:block;color:var(--soft);font-size:.8rem;font-weight:400}
.good{color:var(--good)}.bad{color:var(--bad)}.flat{color:var(--flat)}
svg.plot{display:block;width:100%;max-width:640px;height:auto;margin:10px 0;overflow:visible}
svg text{font-size:13px;fill:var(--ink)}svg text.tick{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line);stroke-width:1}.zero{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:4 3}
.bar{stroke:var(--flat);stroke-width:3;stroke-linecap:round}.dot{fill:var(--flat)}
.bar.good{stroke:var(--good)}.bar.bad{stroke:var(--bad)}.dot.good{fill:var(--good)}.dot.bad{fill:var(--bad)}
.curve{fill:none;stroke-width:2.2}.whisker{stroke-width:1.6;opacity:.7}
"""
    + "".join(
        f".curve.s{i},.whisker.s{i}{{stroke:var(--c{i})}}.dot.s{i}{{fill:var(--c{i})}}"
        f".key.k{i}{{background:var(--c{i})}}"
        for i in range(6)
    )
    + """
.bars{max-width:640px;margin:10px 0;font-size:.86rem}.bars div{margin:0 0 7px;line-height:1.35}
.bars span{display:flex;align-items:center;gap:8px}.bars small{color:var(--soft)}
.bars i{height:9px;min-width:1px;border-radius:2px;background:var(--c0);print-color-adjust:exact}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr));gap:0 24px}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.88rem}
.key{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
ul{padding-left:1.2em;margin:8px 0}li{margin:4px 0}
footer{margin-top:50px;color:var(--soft);font-size:.85rem;border-top:1px solid var(--line);padding-top:12px}
@media (max-width:560px){body{font-size:15px}.verdict{font-size:1.1rem}svg text{font-size:18px}
svg text.tick{font-size:16px}th,td{padding:6px 7px}}
@media print{:root{--bg:#fff;--ink:#000;--soft:#444;--card:#f3f3f3;--line:#ccc}main{max-width:none;padding:0}
h2,h3{break-after:avoid}svg.plot,tr,.verdict{break-inside:avoid}.wide{overflow:visible}
th,td{white-space:normal}}
"""
)


def page(title: str, body: str) -> str:
    """A whole document around a body."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


class Cell(str):
    """Text that is HTML already; every other string is escaped."""


def cell(value: object) -> str:
    """A table cell's content: escaped text, counts with thin groups, None as a dash."""
    if isinstance(value, Cell):
        return str(value)
    if value is None:
        return "&ndash;"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return escape(str(value))


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    words: Sequence[int] = (),
    ours: Sequence[int] = (),
) -> str:
    """An HTML table that scrolls by itself on a narrow screen.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences
        `Cell` for HTML, anything else is escaped.
    words : sequence of int
        Columns that hold sentences and wrap.
    ours : sequence of int
        Rows to stress.
    """

    def kind(c: int) -> str:
        return ' class="words"' if c in words else ""

    head = "".join(f"<th{kind(c)}>{cell(name)}</th>" for c, name in enumerate(header))
    body = "".join(
        ("<tr class='ours'>" if r in ours else "<tr>")
        + "".join(f"<td{kind(c)}>{cell(value)}</td>" for c, value in enumerate(row))
        + "</tr>"
        for r, row in enumerate(rows)
    )
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{whole}</div>'


def frame_table(frame: pl.DataFrame, names: dict[str, str], *, words: Sequence[str] = ()) -> str:
    """A frame's columns under other names, those that it has."""
    present = [column for column in names if column in frame.columns]
    return table(
        [names[column] for column in present],
        frame.select(present).rows(),
        words=[i for i, column in enumerate(present) if column in words],
    )


def section(title: str, *parts: str) -> str:
    """A heading and its content; nothing where there is no content."""
    content = "\n".join(part for part in parts if part)
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>\n" if content else ""


def paragraph(text: str, *, soft: bool = False) -> str:
    """A paragraph of plain text."""
    return f"<p class='{'soft' if soft else 'plain'}'>{escape(text)}</p>" if text else ""


def bullets(items: Sequence[str]) -> str:
    """A list of plain sentences."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Short facts as a grid of cards."""
    cards = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{cards}</dl>' if pairs else ""
